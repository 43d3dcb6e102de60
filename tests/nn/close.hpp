#pragma once

#include <cmath>
#include <vector>

#include "autograd/core/tensor.hpp"
#include "tests/catch.hpp"

/// Fails unless the elements are these, each within `tolerance` (absolute and relative).
inline void check_close(const autograd::Tensor& t, const std::vector<double>& expected,
                        double tolerance = 1e-8) {
  const auto values = t.detach().to(autograd::float64).to_vector<double>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    INFO("element " << i << " is " << values[i] << ", expected " << expected[i]);
    CHECK(std::abs(values[i] - expected[i]) <= tolerance * (1 + std::abs(expected[i])));
  }
}
