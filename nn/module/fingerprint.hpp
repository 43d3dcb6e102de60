#pragma once

#include <cstdint>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// A number that two tensors share if shape, dtype and all bits are the same, and else hardly ever.
/// Not for secrets: who wants to can make two tensors that share one.
std::uint64_t fingerprint(const ag::Tensor& tensor);
/// The same of names and tensors, in their order.
std::uint64_t fingerprint(const StateDict& state);
/// That of the model's state dict: `fmt::print("{:016x}\n", nn::fingerprint(model))` tells whether
/// two runs came to the same bits.
std::uint64_t fingerprint(const Module& model);

}  // namespace nn

#pragma GCC visibility pop
