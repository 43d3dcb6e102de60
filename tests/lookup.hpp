#pragma once

#include <algorithm>
#include <string_view>

#include "autograd/autograd.hpp"

/// Rows of a table by their places, whose gradient is rows; without `sparse` a dense one.
struct Lookup {
  bool sparse = true;

  std::string_view name() const { return "lookup"; }
  autograd::TensorSpec infer(const autograd::Inputs& in) const {
    autograd::Shape shape = in[1].shape();
    shape.append(in[0].shape().begin() + 1, in[0].shape().end());
    return {shape, in[0].dtype()};
  }
  void forward(const autograd::Inputs& in, autograd::Tensor& out) const {
    const auto* place = static_cast<const std::int64_t*>(in[1].raw());
    const auto* table = static_cast<const char*>(in[0].raw());
    auto* to = static_cast<char*>(out.raw_mutable());
    const std::int64_t rows = in[0].size(0), count = in[1].numel();
    const auto bytes =
        rows == 0 ? 0 : in[0].numel() / rows * static_cast<std::int64_t>(size_of(in[0].dtype()));
    for (std::int64_t i = 0; i < count; ++i)
      std::copy_n(table + place[i] * bytes, bytes, to + i * bytes);
  }
  auto saves() const { return autograd::save_input(1); }
  autograd::TensorList backward(const autograd::Call& call) const {
    const autograd::Shape& whole = call.input_shape(0);
    const autograd::Tensor places = autograd::flatten(call.input(1));
    autograd::Shape rows = whole;
    rows[0] = places.numel();
    const autograd::Tensor g = autograd::reshape(call.grad(), rows);
    if (sparse) return {autograd::from_rows(whole, places, g), autograd::Tensor()};
    const autograd::Tensor zero = autograd::zeros(whole, g.dtype());
    return {autograd::index_add(zero, 0, places, g), autograd::Tensor()};
  }
};

inline autograd::Tensor lookup(const autograd::Tensor& table, const autograd::Tensor& places,
                               bool sparse = true) {
  return autograd::apply(Lookup{sparse}, table, places);
}
