#pragma once

#include <concepts>

#include "autograd/elementwise/builtins.hpp"
#include "nn/module/parameter.hpp"

#pragma GCC visibility push(default)

/// Updates by hand: `layer.weight -= 0.1 * layer.weight.grad();`. A parameter or buffer stays the
/// tensor that it is, as by `=`: the elements are written, for every handle to it, an optimizer's too,
/// and nothing is recorded. Of a plain tensor `a -= b` moves the handle instead. `b` is a number or a
/// tensor that broadcasts to `a`; throws where the result has another shape.
namespace nn {

template <std::derived_from<OwnedTensor> T, class V>
T& operator+=(T& a, const V& b) {
  a.copy_(a.detach() + b);
  return a;
}
template <std::derived_from<OwnedTensor> T, class V>
T& operator-=(T& a, const V& b) {
  a.copy_(a.detach() - b);
  return a;
}
template <std::derived_from<OwnedTensor> T, class V>
T& operator*=(T& a, const V& b) {
  a.copy_(a.detach() * b);
  return a;
}
template <std::derived_from<OwnedTensor> T, class V>
T& operator/=(T& a, const V& b) {
  a.copy_(a.detach() / b);
  return a;
}

}  // namespace nn

#pragma GCC visibility pop
