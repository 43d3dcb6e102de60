#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Where in a sequence an element stands, as attention sees it.
namespace autograd {

/// Which two features turn together.
enum class RotaryPairs {
  halves,      ///< i and i + e / 2 (GPT-NeoX, Llama in Hugging Face's files)
  interleaved  ///< 2 i and 2 i + 1 (Su et al. 2021, GPT-J, Llama in Meta's files)
};
/// Options of `rotary_embedding`.
struct RotaryOptions {
  RotaryPairs pairs = RotaryPairs::halves;
  double base = 10000;
  std::int64_t offset = 0;    ///< of the first position, as after those of a cache
  std::int64_t features = 0;  ///< only the first so many turn, an even number; 0: all
};
/// Rotary positions (Su et al. 2021) of x (…, length, e), queries or keys with their heads apart:
/// pair i of position p turns by p · base^(-2 i / features), so that the product of two of them
/// depends on how far apart they are. Linear in x.
Tensor rotary_embedding(const Tensor& x, const RotaryOptions& options = {});

/// sin and cos of p · 10000^(-2 i / features) as features 2 i and 2 i + 1 of position p, (length,
/// features) (Vaswani et al. 2017).
Tensor sinusoidal_positions(std::int64_t length, std::int64_t features, DType dtype = float32);

}  // namespace autograd

#pragma GCC visibility pop
