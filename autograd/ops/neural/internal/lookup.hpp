#pragma once

#include <optional>
#include <string_view>

#include "autograd/core/tensor.hpp"

/// What lookups in tables share. Internal.
namespace autograd::internal {

/// The options that lookups have in common.
struct LookupOptions {
  std::optional<std::int64_t> padding_idx;
  std::optional<double> max_norm;
  double norm_type;
};

/// Throws unless `weight` is a floating table and `indices` are int64. Brings the rows that are
/// looked up to `max_norm`, if any. Returns the row of the padding, or -1.
std::int64_t begin_lookup(std::string_view op, const Tensor& indices, const Tensor& weight,
                          const LookupOptions& options);
/// Throws unless each index is in [0, rows).
void check_rows(std::string_view op, const std::int64_t* index, std::int64_t count,
                std::int64_t rows);
/// The indices, checked and flat, with -1 for those of the padding.
Tensor live_places(std::string_view op, const Tensor& indices, std::int64_t rows,
                   std::int64_t padding);
/// For each index 1 / how often it occurs among all.
Tensor frequency_factors(const Tensor& indices, DType dtype);

}  // namespace autograd::internal
