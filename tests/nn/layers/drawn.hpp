#pragma once

#include <cstdint>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

/// Standard normal numbers, a function of the seed.
inline autograd::Tensor drawn(const autograd::Shape& shape, std::uint64_t seed = 1) {
  autograd::Generator g(seed);
  return autograd::randn(shape, autograd::float32, g);
}

/// The largest difference of two elements.
inline double distance(const autograd::Tensor& a, const autograd::Tensor& b) {
  namespace ag = autograd;
  REQUIRE(a.shape() == b.shape());
  return ag::max(ag::abs(a.detach() - b.detach())).to(ag::float64).item();
}
