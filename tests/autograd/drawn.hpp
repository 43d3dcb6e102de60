#pragma once

#include <cstdint>
#include <vector>

#include "autograd/core/tensor.hpp"

/// What tests ask of places that were drawn.
using Places = std::vector<std::int64_t>;

inline Places places(const autograd::Tensor& t) { return t.to_vector<std::int64_t>(); }

/// How often each of n places was drawn, as shares.
inline std::vector<double> shares(const Places& drawn, std::size_t n) {
  std::vector<double> shares(n);
  for (const std::int64_t i : drawn)
    shares.at(static_cast<std::size_t>(i)) += 1 / static_cast<double>(drawn.size());
  return shares;
}
