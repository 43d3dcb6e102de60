#include "nn/data/standardizer.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "autograd/ops/ops.hpp"

namespace nn::data {

using autograd::fail;

Standardizer::Standardizer(const ag::Shape& row)
    : mean(ag::zeros(row, ag::float64)), scale(ag::ones(row, ag::float64)) {}

Standardizer& Standardizer::fit(const ag::Tensor& data) {
  const ag::detail::Named as("fit");
  const ag::Tensor x = data.detach();
  if (!is_floating(x.dtype()) || x.ndim() == 0 || x.size(0) == 0)
    fail("fit", "needs at least one row of float32 or float64, got {} {}", name(x.dtype()),
         x.shape());
  const ag::Shape row(x.shape().begin() + 1, x.shape().end());
  const ag::Tensor values = x.to(ag::float64);
  const double* begin = values.data<double>();
  const std::int64_t rows = x.size(0), columns = row.numel();
  ag::Tensor means = ag::zeros(row, ag::float64), scales = ag::ones(row, ag::float64);
  for (std::int64_t c = 0; c < columns; ++c) {
    const auto at = [&](std::int64_t r) { return begin[r * columns + c]; };
    // Squares of numbers near the ends of the range of float64 fit in no double.
    long double sum = 0, squares = 0;
    double low = at(0), high = at(0);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (!std::isfinite(at(r)))
        fail("fit", "values must be finite, got {} in row {}, column {}", at(r), r, c);
      sum += at(r);
      low = std::min(low, at(r));
      high = std::max(high, at(r));
    }
    // The mean of equal values may be off by a rounding, which is no deviation.
    const long double n = static_cast<long double>(rows), m = low == high ? low : sum / n;
    for (std::int64_t r = 0; r < rows; ++r) squares += (at(r) - m) * (at(r) - m);
    means.mutable_data<double>()[c] = static_cast<double>(m);
    if (low != high) scales.mutable_data<double>()[c] = static_cast<double>(std::sqrt(squares / n));
  }
  mean = means;
  scale = scales;
  return *this;
}

void Standardizer::check(const char* op, const ag::Tensor& x) const {
  if (!mean.defined()) fail(op, "the standardizer must be fitted, got none; call fit first");
  if (x.ndim() == 0 || ag::Shape(x.shape().begin() + 1, x.shape().end()) != mean.shape())
    fail(op, "rows must have the shape {} of those fitted, got {}", mean.shape(), x.shape());
}

ag::Tensor Standardizer::transform(const ag::Tensor& x) const {
  const ag::detail::Named as("transform");
  check("transform", x);
  return (x - mean.to(x.dtype())) / scale.to(x.dtype());
}

ag::Tensor Standardizer::inverse_transform(const ag::Tensor& x) const {
  const ag::detail::Named as("inverse_transform");
  check("inverse_transform", x);
  return x * scale.to(x.dtype()) + mean.to(x.dtype());
}

Standardizer Standardizer::select(const std::vector<std::int64_t>& columns) const {
  const ag::detail::Named as("select");
  if (!mean.defined() || mean.ndim() == 0)
    fail("select", "the standardizer must be fitted to rows of columns, got {}",
         mean.defined() ? "one of single numbers" : "none; call fit first");
  for (const std::int64_t c : columns)
    if (c < 0 || c >= mean.size(0))
      fail("select", "columns must be in [0, {}), got {}", mean.size(0), c);
  Standardizer out;
  const ag::Tensor places = ag::tensor(columns);
  out.mean = ag::index_select(mean, 0, places);
  out.scale = ag::index_select(scale, 0, places);
  return out;
}

}  // namespace nn::data
