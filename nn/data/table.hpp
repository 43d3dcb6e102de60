#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/tensor.hpp"
#include "nn/data/dataset.hpp"

namespace nn::data {

/// Numbers in named columns.
class Table {
 public:
  /// `values` is float64 (rows, columns). Throws unless each column has a name of its own.
  Table(std::vector<std::string> columns, ag::Tensor values);

  std::int64_t rows() const { return values_.size(0); }
  const std::vector<std::string>& columns() const { return columns_; }
  /// Everything, as float64 (rows, columns).
  const ag::Tensor& values() const { return values_; }

  // A name that no column has makes each of these throw.
  /// One column, as float64 (rows).
  ag::Tensor operator[](std::string_view name) const;
  /// These columns, in this order.
  Table select(const std::vector<std::string>& names) const;
  /// All other columns.
  Table drop(const std::vector<std::string>& names) const;
  /// x: all other columns (rows, …); y: the targets (rows, targets).
  TensorDataset features_and_targets(const std::vector<std::string>& targets,
                                     ag::DType dtype = ag::float32) const;

  /// The texts that the codes of a column stand for: code i is entry i. Empty for a column of
  /// numbers.
  const std::vector<std::string>& categories(std::string_view name) const;
  void set_categories(std::string_view name, std::vector<std::string> texts);

 private:
  std::size_t find(std::string_view name) const;
  Table pick(const std::vector<std::size_t>& which) const;

  std::vector<std::string> columns_;
  ag::Tensor values_;
  std::vector<std::vector<std::string>> categories_;  // one list for each column
};

}  // namespace nn::data
