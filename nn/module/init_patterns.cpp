#include "nn/module/init_patterns.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/ops/ops.hpp"

namespace nn::init {
namespace {

void check_floating(std::string_view op, const ag::Tensor& t) {
  if (!ag::is_floating(t.dtype()))
    ag::fail(op, "needs float32 or float64, got {}", ag::name(t.dtype()));
}
void check_matrix(std::string_view op, const ag::Tensor& t) {
  check_floating(op, t);
  if (t.ndim() != 2) ag::fail(op, "needs a tensor of 2 axes, got shape {}", t.shape());
}

}  // namespace

void eye_(ag::Tensor t) {
  const ag::detail::Named as("eye_");
  check_matrix("eye_", t);
  std::vector<double> values(static_cast<std::size_t>(t.numel()));
  for (std::int64_t i = 0; i < std::min(t.size(0), t.size(1)); ++i)
    values[static_cast<std::size_t>(i * t.size(1) + i)] = 1;
  t.copy_(ag::from_data(values.data(), t.shape()));
}

void dirac_(ag::Tensor t, std::int64_t groups) {
  const ag::detail::Named as("dirac_");
  check_floating("dirac_", t);
  if (t.ndim() < 3 || t.ndim() > 5)
    ag::fail("dirac_", "needs a tensor of 3, 4 or 5 axes, got shape {}", t.shape());
  if (groups < 1 || t.size(0) % groups != 0)
    ag::fail("dirac_", "groups must divide the {} outputs, got {}", t.size(0), groups);
  std::int64_t window = 1, middle = 0;
  for (std::int64_t axis = 2; axis < t.ndim(); ++axis) {
    window *= t.size(axis);
    middle = middle * t.size(axis) + t.size(axis) / 2;
  }
  std::vector<double> values(static_cast<std::size_t>(t.numel()));
  const std::int64_t each = t.size(0) / groups;
  if (t.numel() > 0)
    for (std::int64_t out = 0; out < t.size(0); ++out)
      if (const std::int64_t in = out % each; in < t.size(1))
        values[static_cast<std::size_t>((out * t.size(1) + in) * window + middle)] = 1;
  t.copy_(ag::from_data(values.data(), t.shape()));
}

void sparse_(ag::Tensor t, double sparsity, double std, ag::Generator& g) {
  const ag::detail::Named as("sparse_");
  check_matrix("sparse_", t);
  if (!(sparsity >= 0 && sparsity <= 1))
    ag::fail("sparse_", "sparsity must be in [0, 1], got {}", sparsity);
  normal_(t, 0, std, g);
  const std::int64_t rows = t.size(0), columns = t.size(1);
  const auto zeros = static_cast<std::int64_t>(std::ceil(sparsity * static_cast<double>(rows)));
  std::vector<double> values = t.detach().to(ag::float64).to_vector<double>();
  for (std::int64_t c = 0; c < columns; ++c) {
    const std::vector<std::int64_t> order = ag::randperm(rows, g).to_vector<std::int64_t>();
    for (std::int64_t k = 0; k < zeros; ++k)
      values[static_cast<std::size_t>(order[static_cast<std::size_t>(k)] * columns + c)] = 0;
  }
  t.copy_(ag::from_data(values.data(), t.shape()));
}

}  // namespace nn::init
