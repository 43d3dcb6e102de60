#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/data/table.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// What an encoder does with a text that its training table did not have: an error; the code −1, or
/// 0 in every column of a one-hot encoding; or a category of its own after the others, the code n
/// or a column "name=<unknown>".
enum class Unknown : std::uint8_t { error, ignore, category };

/// What becomes of missing values: an error; NaN; what the training table says, which is the mean
/// or median of its numbers, or the most frequent one of its numbers or texts (of several the
/// smallest); or, of texts, "" as a category like any other.
enum class Impute : std::uint8_t { error, nan, mean, median, most_frequent, category };

/// Options of `TableEncoder`.
struct TableEncoderOptions {
  /// Columns of text that become codes 0, 1, … in the order of the sorted texts. All others become
  /// a column "name=text" of 0 and 1 for each text.
  std::vector<std::string> ordinal{};
  Unknown unknown = Unknown::error;
  Impute impute_numbers = Impute::error, impute_texts = Impute::error;
  bool standardize = false;  ///< columns of numbers to mean 0 and standard deviation 1
  /// In place of the above, for these columns.
  std::map<std::string, Unknown> unknown_in{};
  std::map<std::string, Impute> impute_in{};
};

/// Makes a table of numbers from one with text and missing values. Categories, means and deviations
/// are those of the table that it was fitted to, the training table, so that a text has the same
/// code, and a column the same place, in every other:
///
///     TableEncoder encoder({.impute_numbers = Impute::mean});
///     encoder.fit(train.drop({"income"}));
///     const ag::Tensor x = encoder.transform(test).values();
///
/// A module, so that it can be part of a model and be saved with it. To serve, make it from the
/// file first: `auto encoder = TableEncoder::from_state(nn::load_tensors(path), "encoder")`.
class TableEncoder : public Module {
 public:
  Buffer layout;   ///< int64 (columns, 4): kind, unknown, impute, number of categories
  Buffer numbers;  ///< float64 (columns, 3): what is filled in, mean, scale
  Buffer texts;    ///< int64: the name and the categories of each column, packed
  NN_MODULE(layout, numbers, texts)

  explicit TableEncoder(TableEncoderOptions options = {}) : options_(std::move(options)) {}
  /// As it was saved: from the tensors of its state dict, or from those that a model's has under
  /// the name `member`. Throws if they are none of an encoder.
  static TableEncoder from_state(const StateDict& state, std::string_view member = {});

  /// Takes what it needs to know from the columns of `table`. Throws on a table without rows, on a
  /// missing value where the rule is an error, and on rules that do not fit their column.
  TableEncoder& fit(const Table& table);
  /// The columns that it was fitted to, encoded; `table` may have others, which are left out, and
  /// any order. Throws with the column and the row.
  Table transform(const Table& table) const;
  Table forward(const Table& table) const { return transform(table); }

  /// Names of the columns that `transform` makes.
  std::vector<std::string> columns() const;
  /// The texts of a column that it was fitted to: code i stands for entry i.
  std::vector<std::string> categories(std::string_view name) const;

  /// A line for each column.
  std::string extra_repr() const override;

 private:
  enum class Kind : std::uint8_t { number, ordinal, one_hot };
  struct Column {
    std::string name;
    Kind kind = Kind::number;
    Unknown unknown = Unknown::error;
    Impute impute = Impute::error;
    double fill = 0, mean = 0, scale = 1;  // fill: a code, of texts
    std::vector<std::string> categories{};
    std::vector<std::string> outputs() const;
    std::string str() const;
  };

  void check_names(const Table& table) const;
  Column fit_column(const Table::Column& data) const;
  void fit_numbers(Column& column, const Table::Column& data) const;
  static void fit_texts(Column& column, const Table::Column& data);
  static std::vector<double> encoded_numbers(const Column& column, const Table::Column& data);
  static std::vector<double> codes(const Column& column, const Table::Column& data);

  // The buffers are all that it knows, whoever writes into them; undefined before `fit`.
  void store(const std::vector<Column>& columns);
  std::vector<Column> fitted(const char* op) const;

  TableEncoderOptions options_;
};

}  // namespace nn::data

#pragma GCC visibility pop
