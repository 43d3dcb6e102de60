#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "autograd/core/tensor.hpp"
#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Named columns of numbers or of text; copies share them. A model takes numbers: `TableEncoder`
/// makes them of text, by what it has seen in the training table.
class Table {
 public:
  /// Columns of numbers: `values` is float64 (rows, columns), NaN where one is missing. Throws
  /// unless each column has a name of its own.
  Table(std::vector<std::string> columns, ag::Tensor values);
  /// No columns, and so many rows.
  explicit Table(std::int64_t rows = 0);
  /// Adds a column of numbers, float64 (rows), or of text, in which "" is a missing one. The first
  /// column of a `Table()` sets the number of rows. Throws if the name is taken.
  Table& add(std::string name, const ag::Tensor& values);
  Table& add(std::string name, const std::vector<std::string>& texts);

  std::int64_t rows() const { return rows_; }
  std::vector<std::string> columns() const;
  bool has(std::string_view name) const { return places_.contains(name); }

  /// A name that no column has makes each of these throw.
  /// One column of numbers, as float64 (rows). Throws if it holds text.
  ag::Tensor operator[](std::string_view name) const;
  bool is_text(std::string_view name) const;
  /// One column of text, "" where one is missing. Throws if it holds numbers.
  std::vector<std::string> texts(std::string_view name) const;
  /// These columns, in this order.
  Table select(const std::vector<std::string>& names) const;
  /// All other columns.
  Table drop(const std::vector<std::string>& names) const;
  /// These rows, in this order; one may come twice. Throws if one is not in [0, rows).
  Table take(std::span<const std::int64_t> rows) const;

  /// Each of these throws if a column holds text.
  /// Everything, as float64 (rows, columns).
  ag::Tensor values() const;
  /// x: all other columns (rows, …); y: the targets (rows, targets).
  TensorDataset features_and_targets(const std::vector<std::string>& targets,
                                     ag::DType dtype = ag::float32) const;

 private:
  friend class CsvReader;
  friend class TableEncoder;
  struct Column {
    std::string name;
    bool text = false;
    std::vector<double> values{};      // of text: the place in `texts`; NaN where missing
    std::vector<std::string> texts{};  // each once; not all need to be in use
  };
  using Columns = std::vector<std::shared_ptr<const Column>>;

  void add(std::shared_ptr<const Column> column);
  const Column& find(std::string_view name) const;
  const Column& find(std::string_view name, bool text) const;
  void copy_values(double* out) const;

  std::int64_t rows_ = 0;
  Columns columns_;
  std::unordered_map<std::string_view, std::size_t> places_;  // the names are those of columns_
};

/// Distributes the rows at random over tables of the given lengths or shares, as `split` of a data
/// set does, and to the same parts: `auto [train, test] = split(table, {0.8, 0.2}, seed)`.
std::vector<Table> split(const Table& table, std::span<const std::int64_t> lengths,
                         std::uint64_t seed = 0);
std::vector<Table> split(const Table& table, std::span<const double> fractions,
                         std::uint64_t seed = 0);
template <class T, std::size_t N>
requires std::is_arithmetic_v<T> std::array<Table, N> split(const Table& table, const T (&parts)[N],
                                                            std::uint64_t seed = 0) {
  return detail::split_into(parts, [&](auto list) { return split(table, list, seed); });
}

}  // namespace nn::data

#pragma GCC visibility pop
