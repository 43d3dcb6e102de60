#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"
#include "nn/module/beacon.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace ag = autograd;

namespace detail {
struct Inside;
}

/// A tensor that owns its elements: copying it copies them, and assigning to it writes into the
/// tensor that is there, so that handles held elsewhere (by an optimizer) stay right. As an
/// `ag::Tensor` it is a handle that shares. Undefined unless given values. Base of `Parameter` and
/// `Buffer`.
class OwnedTensor : public ag::Tensor {
 public:
  OwnedTensor() noexcept = default;
  ~OwnedTensor();
  OwnedTensor(const OwnedTensor& other);
  OwnedTensor(OwnedTensor&& other) noexcept;
  OwnedTensor& operator=(const OwnedTensor& other);
  /// As the copy; `other` becomes undefined. An undefined one becomes the very tensor.
  OwnedTensor& operator=(OwnedTensor&& other);

 protected:
  /// A copy of the elements, off the tape.
  explicit OwnedTensor(const ag::Tensor& values);
  // Takes elements, shape and dtype; whether a gradient is wanted stays as it is where defined.
  void assign_values(const ag::Tensor& values, bool requires_grad);

 private:
  friend struct detail::Inside;
  detail::Beacon<detail::BeaconKind::tensor> beacon_;
};

/// A member of a module that is trained: a leaf that requires a gradient. `requires_grad_(false)`
/// freezes it, also in copies. Default-constructed it is undefined (no bias, say) and skipped
/// everywhere.
class Parameter : public OwnedTensor {
 public:
  Parameter() noexcept = default;
  /// From a copy of `values`, float32 or float64.
  Parameter(const ag::Tensor& values) : OwnedTensor(values) {  // NOLINT: conversion is the point
    if (defined()) requires_grad_();
  }
  /// Takes the values; a frozen parameter stays frozen.
  template <std::derived_from<ag::Tensor> T>
  requires(!std::derived_from<T, OwnedTensor>) Parameter& operator=(const T& values) {
    assign_values(values, true);
    return *this;
  }
  /// Makes this another name of `other`, as `decoder.weight.tie(embedding.weight)` does for a
  /// language model: one tensor, listed, stepped and clipped once, saved under both names. Its own
  /// values and gradient are given up, so tie before an optimizer is made. Copies of a model that
  /// holds both are tied as well; assigning to either writes into both. Throws unless shape and
  /// dtype are equal.
  void tie(Parameter& other);
};

/// A member of a module that is saved with it but not trained, such as a running mean. Any dtype.
class Buffer : public OwnedTensor {
 public:
  Buffer() noexcept = default;
  /// From a copy of `values`.
  Buffer(const ag::Tensor& values) : OwnedTensor(values) {}  // NOLINT: conversion is the point
  template <std::derived_from<ag::Tensor> T>
  requires(!std::derived_from<T, OwnedTensor>) Buffer& operator=(const T& values) {
    assign_values(values, false);
    return *this;
  }
};

/// Updates by hand: `layer.weight -= 0.1 * layer.weight.grad();`. A parameter or buffer stays the
/// tensor that it is, as by `=`: the elements are written, for every handle to it, an optimizer's too,
/// and nothing is recorded. (Of a plain tensor `a -= b` moves the handle instead.) Throws where the
/// result has another shape.
OwnedTensor& operator+=(OwnedTensor& a, const ag::Tensor& b);
OwnedTensor& operator-=(OwnedTensor& a, const ag::Tensor& b);
OwnedTensor& operator*=(OwnedTensor& a, const ag::Tensor& b);
OwnedTensor& operator/=(OwnedTensor& a, const ag::Tensor& b);
OwnedTensor& operator+=(OwnedTensor& a, double b);
OwnedTensor& operator-=(OwnedTensor& a, double b);
OwnedTensor& operator*=(OwnedTensor& a, double b);
OwnedTensor& operator/=(OwnedTensor& a, double b);

}  // namespace nn

#pragma GCC visibility pop

template <>
struct fmt::formatter<nn::Parameter> : fmt::formatter<autograd::Tensor> {};
template <>
struct fmt::formatter<nn::Buffer> : fmt::formatter<autograd::Tensor> {};
