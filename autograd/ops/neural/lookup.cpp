#include <cmath>
#include <limits>
#include <unordered_map>

#include "autograd/core/internal/helpers.hpp"
#include "autograd/ops/neural/internal/lookup.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd::internal {
namespace {

struct LivePlaces {
  std::string_view op;
  std::int64_t rows, padding;
  XGRAD_ATTRIBUTES(op, rows, padding)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const { return {{in[0].numel()}, int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* index = static_cast<const std::int64_t*>(in[0].raw());
    auto* place = static_cast<std::int64_t*>(out.raw_mutable());
    check_rows(op, index, out.numel(), rows);
    for (std::int64_t i = 0; i < out.numel(); ++i) place[i] = index[i] == padding ? -1 : index[i];
  }
};

struct FrequencyFactors {
  static constexpr bool kTotal = true;
  DType dtype;
  XGRAD_ATTRIBUTES(dtype)

  std::string_view name() const { return "frequency_factors"; }
  TensorSpec infer(const Inputs& in) const { return {{in[0].numel()}, dtype}; }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* index = static_cast<const std::int64_t*>(in[0].raw());
    std::unordered_map<std::int64_t, std::int64_t> counts;
    for (std::int64_t i = 0; i < out.numel(); ++i) ++counts[index[i]];
    dispatch_floating(name(), dtype, [&]<class T>(T) {
      auto* factor = static_cast<T*>(out.raw_mutable());
      for (std::int64_t i = 0; i < out.numel(); ++i)
        factor[i] = T(1) / static_cast<T>(counts[index[i]]);
    });
  }
};

template <class T>
double norm_of(const T* row, std::int64_t n, double p) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = std::abs(static_cast<double>(row[i]));
    if (std::isinf(p))
      sum = v > sum || v != v ? v : sum;
    else
      sum += p == 2 ? v * v : p == 1 ? v : p == 0 ? v != 0 : std::pow(v, p);
  }
  return std::isinf(p) || p == 1 || p == 0 ? sum : p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / p);
}

// Whether a row of the table has changed. A row that has been brought to the norm is below it, and
// stays as it is when it is met again.
template <class T>
bool renormalise(const Tensor& indices, Tensor& weight, double max_norm, double p) {
  const auto* index = static_cast<const std::int64_t*>(indices.raw());
  const std::int64_t width = weight.shape()[1];
  auto* table = static_cast<T*>(weight.raw_mutable());
  bool changed = false;
  for (std::int64_t i = 0; i < indices.numel(); ++i) {
    T* row = table + index[i] * width;
    double norm = norm_of(row, width, p);
    if (!(norm > max_norm)) continue;
    T factor = static_cast<T>(max_norm / (norm + 1e-7));
    // What is rounded may still be above; a second lookup must find nothing to change.
    for (int tries = 0; tries < 4 && norm > max_norm; ++tries) {
      for (std::int64_t k = 0; k < width; ++k) row[k] *= factor;
      factor = 1 - std::numeric_limits<T>::epsilon();
      norm = norm_of(row, width, p);
    }
    changed = true;
  }
  return changed;
}

void limit_norms(std::string_view op, const Tensor& indices, const Tensor& weight,
                 const LookupOptions& o) {
  if (!(*o.max_norm > 0)) fail(op, "max_norm must be above 0, got {}", *o.max_norm);
  if (!(o.norm_type >= 0)) fail(op, "norm_type must be at least 0, got {}", o.norm_type);
  if (!weight.is_leaf())
    fail(op, "max_norm changes the weight in place, so it must be a leaf, got the result of '{}'",
         weight.op_name());
  perform(op, {indices}, {weight},
          [op, max = *o.max_norm, p = o.norm_type](const TensorList& in, const TensorList& out) {
            Tensor table = out[0];
            check_rows(op, static_cast<const std::int64_t*>(in[0].raw()), in[0].numel(),
                       table.shape()[0]);
            dispatch_floating(op, table.dtype(), [&]<class T>(T) {
              if (renormalise<T>(in[0], table, max, p)) table.impl()->storage->bump_version();
            });
          });
}

}  // namespace

void check_rows(std::string_view op, const std::int64_t* index, std::int64_t count,
                std::int64_t rows) {
  for (std::int64_t i = 0; i < count; ++i)
    if (index[i] < 0 || index[i] >= rows) [[unlikely]]
      fail(op, "indices must be in [0, {}) for a table of {} rows, got {}", rows, rows, index[i]);
}

std::int64_t begin_lookup(std::string_view op, const Tensor& indices, const Tensor& weight,
                          const LookupOptions& options) {
  check_defined(op, indices, 0), check_defined(op, weight, 1);
  if (indices.dtype() != int64) fail(op, "indices must be int64, got {}", name(indices.dtype()));
  check_floating(op, weight);
  if (weight.ndim() != 2) fail(op, "the weight must have 2 axes, got shape {}", weight.shape());
  const std::int64_t rows = weight.shape()[0];
  std::int64_t padding = -1;
  if (options.padding_idx) {
    padding = *options.padding_idx;
    if (padding < -rows || padding >= rows)
      fail(op, "padding_idx must be in [{}, {}) for a table of {} rows, got {}", -rows, rows, rows,
           padding);
    if (padding < 0) padding += rows;
  }
  if (options.max_norm) limit_norms(op, indices, weight, options);
  return padding;
}

Tensor live_places(std::string_view op, const Tensor& indices, std::int64_t rows,
                   std::int64_t padding) {
  return apply(LivePlaces{op, rows, padding}, indices);
}

Tensor frequency_factors(const Tensor& indices, DType dtype) {
  return apply(FrequencyFactors{dtype}, indices);
}

}  // namespace autograd::internal
