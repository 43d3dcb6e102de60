#pragma once

#include <array>

#include "autograd/kernels/recurrent.hpp"
#include "autograd/tape/operation.hpp"

/// The operation behind recurrent layers. Internal.
namespace autograd::internal {

/// What a layer is made of, and at which places its inputs stand: x, the weights and h, then what
/// there is of both biases, projection, c and lengths.
struct RecurrentForm {
  kernels::Cell cell;
  bool biased, projected, masked, reverse;
  XGRAD_ATTRIBUTES(cell, biased, projected, masked, reverse)

  static constexpr std::size_t kX = 0, kInput = 1, kHidden = 2, kH = 3, kBias = 4;
  bool has_cell() const { return cell == kernels::Cell::lstm; }
  std::size_t projection() const { return kBias + (biased ? 2 : 0); }
  std::size_t c() const { return projection() + projected; }
  std::size_t lengths() const { return c() + has_cell(); }
  std::size_t inputs() const { return lengths() + masked; }

  kernels::Recurrence recurrence(const Shape& x, const Shape& hidden,
                                 const std::int64_t* lengths) const {
    return {cell,      reverse,   x[0],   x[1], hidden[0] / kernels::gates_of(cell),
            hidden[1], projected, lengths};
  }
};

/// Output, h and c of inputs that have been checked, and what the gradient keeps.
std::array<Tensor, 4> recurrent(const RecurrentForm& form, const Inputs& in);

}  // namespace autograd::internal
