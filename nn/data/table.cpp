#include "nn/data/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "nn/data/readers/quoted.hpp"

namespace nn::data {

using autograd::fail;
using detail::quoted;

Table::Table(std::vector<std::string> columns, ag::Tensor values) {
  if (!values.defined() || values.dtype() != ag::float64 || values.ndim() != 2 ||
      values.size(1) != static_cast<std::int64_t>(columns.size()))
    fail("Table", "values must be float64 (rows, {}), one column for each name, got {}",
         columns.size(),
         values.defined() ? fmt::format("{} {}", name(values.dtype()), values.shape())
                          : "an undefined tensor");
  rows_ = values.size(0);
  const double* const from = values.data<double>();
  for (std::size_t c = 0; c < columns.size(); ++c) {
    auto column = std::make_shared<Column>(Column{std::move(columns[c])});
    column->values.reserve(static_cast<std::size_t>(rows_));
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows_); ++row)
      column->values.push_back(from[row * columns.size() + c]);
    add(std::move(column));
  }
}

Table::Table(std::int64_t rows) : rows_(rows) {
  if (rows < 0) fail("Table", "the number of rows must be at least 0, got {}", rows);
}

void Table::add(std::shared_ptr<const Column> column) {
  const auto rows = static_cast<std::int64_t>(column->values.size());
  if (columns_.empty() && rows_ == 0) rows_ = rows;
  if (rows != rows_)
    fail("Table", "column {} must have {} rows as the table has, got {}", quoted(column->name),
         rows_, rows);
  if (!places_.emplace(column->name, columns_.size()).second)
    fail("Table", "each column must have a name of its own, got {} twice", quoted(column->name));
  columns_.push_back(std::move(column));
}

Table& Table::add(std::string name, const ag::Tensor& values) {
  if (!values.defined() || values.dtype() != ag::float64 || values.ndim() != 1)
    fail("Table", "column {} must be float64 (rows), got {}", quoted(name),
         values.defined() ? fmt::format("{} {}", ag::name(values.dtype()), values.shape())
                          : "an undefined tensor");
  add(std::make_shared<Column>(Column{std::move(name), false, values.to_vector<double>()}));
  return *this;
}

Table& Table::add(std::string name, const std::vector<std::string>& texts) {
  Column column{std::move(name), true};
  std::unordered_map<std::string_view, double> places;
  for (const auto& text : texts) {
    const auto [place, is_new] = places.emplace(text, static_cast<double>(column.texts.size()));
    if (is_new && !text.empty()) column.texts.push_back(text);
    column.values.push_back(text.empty() ? std::numeric_limits<double>::quiet_NaN()
                                         : place->second);
  }
  add(std::make_shared<Column>(std::move(column)));
  return *this;
}

std::vector<std::string> Table::columns() const {
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column->name);
  return names;
}

const Table::Column& Table::find(std::string_view name) const {
  if (const auto at = places_.find(name); at != places_.end()) return *columns_[at->second];
  std::string known;
  for (std::size_t i = 0; i < columns_.size() && i < 20; ++i)
    known += (i ? ", " : "") + quoted(columns_[i]->name);
  if (columns_.size() > 20) known += fmt::format(", … ({} in all)", columns_.size());
  fail("Table", "the column must be one of {}, got {}", known.empty() ? "none" : known,
       quoted(name));
}

const Table::Column& Table::find(std::string_view name, bool text) const {
  const Column& column = find(name);
  if (column.text && !text)
    fail("Table",
         "column {} must hold numbers, got text; encode it with a TableEncoder, fitted to "
         "the training table",
         quoted(name));
  if (!column.text && text) fail("Table", "column {} must hold text, got numbers", quoted(name));
  return column;
}

bool Table::is_text(std::string_view name) const { return find(name).text; }

ag::Tensor Table::operator[](std::string_view name) const {
  const Column& column = find(name, false);
  ag::Tensor out = ag::empty({rows_}, ag::float64);
  std::copy(column.values.begin(), column.values.end(), out.mutable_data<double>());
  return out;
}

std::vector<std::string> Table::texts(std::string_view name) const {
  const Column& column = find(name, true);
  std::vector<std::string> texts;
  for (const double v : column.values)
    texts.push_back(std::isnan(v) ? "" : column.texts[static_cast<std::size_t>(v)]);
  return texts;
}

Table Table::select(const std::vector<std::string>& names) const {
  Table table(rows_);
  for (const auto& name : names) {
    find(name);
    table.add(columns_[places_.at(name)]);
  }
  return table;
}

Table Table::drop(const std::vector<std::string>& names) const {
  std::vector<bool> dropped(columns_.size());
  for (const auto& name : names) {
    find(name);
    dropped[places_.at(name)] = true;
  }
  Table table(rows_);
  for (std::size_t i = 0; i < columns_.size(); ++i)
    if (!dropped[i]) table.add(columns_[i]);
  return table;
}

Table Table::take(std::span<const std::int64_t> rows) const {
  for (const std::int64_t row : rows)
    if (row < 0 || row >= rows_) fail("take", "rows must be in [0, {}), got {}", rows_, row);
  Table table(static_cast<std::int64_t>(rows.size()));
  for (const auto& column : columns_) {
    Column part{column->name, column->text, {}, column->texts};
    part.values.reserve(rows.size());
    for (const std::int64_t row : rows)
      part.values.push_back(column->values[static_cast<std::size_t>(row)]);
    table.add(std::make_shared<Column>(std::move(part)));
  }
  return table;
}

void Table::copy_values(double* out) const {
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const auto& values = find(columns_[c]->name, false).values;
    for (std::size_t row = 0; row < values.size(); ++row)
      out[row * columns_.size() + c] = values[row];
  }
}

ag::Tensor Table::values() const {
  ag::Tensor out = ag::empty({rows_, static_cast<std::int64_t>(columns_.size())}, ag::float64);
  copy_values(out.mutable_data<double>());
  return out;
}

TensorDataset Table::features_and_targets(const std::vector<std::string>& targets,
                                          ag::DType dtype) const {
  const Table x = drop(targets), y = select(targets);
  if (x.columns_.empty() || targets.empty())
    fail("features_and_targets", "must leave columns on both sides, got {} of {} as targets",
         targets.size(), columns_.size());
  return TensorDataset(x.values().to(dtype), y.values().to(dtype));
}

static std::vector<Table> parts(const Table& table,
                                const std::vector<std::vector<std::int64_t>>& rows) {
  std::vector<Table> tables;
  for (const auto& part : rows) tables.push_back(table.take(part));
  return tables;
}

std::vector<Table> split(const Table& table, std::span<const std::int64_t> lengths,
                         std::uint64_t seed) {
  return parts(table, detail::split_rows(table.rows(), lengths, seed));
}

std::vector<Table> split(const Table& table, std::span<const double> fractions,
                         std::uint64_t seed) {
  return parts(table,
               detail::split_rows(table.rows(), detail::lengths_of(table.rows(), fractions), seed));
}

}  // namespace nn::data
