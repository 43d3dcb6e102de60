#pragma once

#include <string>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "nn/module/module.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

/// Fails unless the parameters and buffers have the same names and bits.
inline void check_same_state(const nn::Module& a, const nn::Module& b) {
  const nn::StateDict one = a.state_dict(), other = b.state_dict();
  REQUIRE(one.size() == other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    INFO(one[i].name);
    CHECK(one[i].name == other[i].name);
    CHECK(same_bits(one[i].tensor, other[i].tensor));
  }
}

/// The names of the parameters and buffers, each with a space behind it.
inline std::string names(const nn::Module& module) {
  std::string text;
  for (const auto& entry : module.state_dict()) text += entry.name + ' ';
  return text;
}

/// Fails unless a backward pass through checkpoint() leaves the state and the gradients that one
/// without it leaves in an equal model.
template <class M>
void check_checkpoint(M& plain, M& saving, const autograd::Tensor& x) {
  namespace ag = autograd;
  ag::sum(ag::square(plain(x))).backward();
  ag::sum(ag::square(ag::checkpoint([&](const ag::Tensor& t) { return saving(t); }, x))).backward();
  check_same_state(plain, saving);
  for (std::size_t i = 0; i < plain.parameters().size(); ++i)
    CHECK(same_bits(plain.parameters()[i].grad(), saving.parameters()[i].grad()));
}
