#pragma once

#include <cstdint>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Shifts and scales each column to mean 0 and standard deviation 1. Fit it to the training data
/// alone. A module, so that it can be part of a model and be saved and loaded with it.
class Standardizer : public Module {
 public:
  Buffer mean, scale;  ///< float64, of the shape of one row; undefined before `fit`
  NN_MODULE(mean, scale)

  Standardizer() = default;
  /// Mean 0 and scale 1 for rows of this shape: what `nn::load` fills.
  explicit Standardizer(const ag::Shape& row);
  // Otherwise ({8}) might also stand for a Standardizer to copy.
  template <ag::Index I, std::size_t N>
  explicit Standardizer(const I (&row)[N]) : Standardizer(ag::Shape(row, row + N)) {}

  /// Takes the means and standard deviations (divisor n) over the rows of x, float32 or float64 (n,
  /// …); a constant column gets scale 1. Throws when x is empty or not finite.
  Standardizer& fit(const ag::Tensor& x);
  /// (x - mean) / scale in the dtype of x, whose rows have the shape of those fitted.
  /// Differentiable.
  ag::Tensor transform(const ag::Tensor& x) const;
  /// x · scale + mean: predictions in the units of the data.
  ag::Tensor inverse_transform(const ag::Tensor& x) const;
  ag::Tensor forward(const ag::Tensor& x) const { return transform(x); }
  /// The standardizer of these columns (of rows of any shape: entries of their first axis), in this
  /// order, such as those that a model forecasts. Throws unless it is fitted and each is a column.
  Standardizer select(const std::vector<std::int64_t>& columns) const;

 private:
  void check(const char* op, const ag::Tensor& x) const;
};

}  // namespace nn::data

#pragma GCC visibility pop
