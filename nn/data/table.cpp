#include "nn/data/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace nn::data {

using autograd::fail;

Table::Table(std::vector<std::string> columns, ag::Tensor values)
    : columns_(std::move(columns)), values_(std::move(values)), categories_(columns_.size()) {
  if (!values_.defined() || values_.dtype() != ag::float64 || values_.ndim() != 2 ||
      values_.size(1) != static_cast<std::int64_t>(columns_.size()))
    fail("Table", "values must be float64 (rows, {}), one column for each name, got {}",
         columns_.size(),
         values_.defined() ? fmt::format("{} {}", name(values_.dtype()), values_.shape())
                           : "an undefined tensor");
  std::vector<std::string> sorted = columns_;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    fail("Table", "each column must have a name of its own, got \"{}\" twice", *twice);
}

std::size_t Table::find(std::string_view name) const {
  const auto at = std::find(columns_.begin(), columns_.end(), name);
  if (at == columns_.end())
    fail("Table", "the column must be one of \"{}\", got \"{}\"", fmt::join(columns_, "\", \""),
         name);
  return static_cast<std::size_t>(at - columns_.begin());
}

Table Table::pick(const std::vector<std::size_t>& which) const {
  std::vector<std::string> names;
  for (const std::size_t i : which) names.push_back(columns_[i]);
  ag::Tensor out = ag::empty({rows(), which.size()}, ag::float64);
  const double* from = values_.data<double>();
  double* to = out.mutable_data<double>();
  for (std::int64_t row = 0; row < rows(); ++row, from += columns_.size())
    for (const std::size_t i : which) *to++ = from[i];
  Table table(std::move(names), std::move(out));
  for (std::size_t i = 0; i < which.size(); ++i) table.categories_[i] = categories_[which[i]];
  return table;
}

ag::Tensor Table::operator[](std::string_view name) const {
  const std::size_t column = find(name);
  ag::Tensor out = ag::empty({rows()}, ag::float64);
  const double* from = values_.data<double>() + column;
  double* to = out.mutable_data<double>();
  for (std::int64_t row = 0; row < rows(); ++row)
    to[row] = from[static_cast<std::size_t>(row) * columns_.size()];
  return out;
}

Table Table::select(const std::vector<std::string>& names) const {
  std::vector<std::size_t> which;
  for (const auto& name : names) which.push_back(find(name));
  return pick(which);
}

Table Table::drop(const std::vector<std::string>& names) const {
  std::vector<bool> dropped(columns_.size());
  for (const auto& name : names) dropped[find(name)] = true;
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    if (!dropped[i]) which.push_back(i);
  return pick(which);
}

TensorDataset Table::features_and_targets(const std::vector<std::string>& targets,
                                          ag::DType dtype) const {
  const Table x = drop(targets), y = select(targets);
  if (x.columns().empty() || targets.empty())
    fail("features_and_targets", "must leave columns on both sides, got {} of {} as targets",
         targets.size(), columns_.size());
  return TensorDataset(x.values().to(dtype), y.values().to(dtype));
}

const std::vector<std::string>& Table::categories(std::string_view name) const {
  return categories_[find(name)];
}

void Table::set_categories(std::string_view name, std::vector<std::string> texts) {
  categories_[find(name)] = std::move(texts);
}

}  // namespace nn::data
