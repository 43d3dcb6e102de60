#pragma once

#include <utility>

#include "autograd/core/kernel.hpp"
#include "autograd/formulas/simd.hpp"

/// Other orders of the lanes of registers, by the shuffles of the compiler.
namespace autograd::kernels::XGRAD_ISA {

using simd::Vec;

template <class T>
using Lanes = std::make_index_sequence<static_cast<std::size_t>(Vec<T>::size)>;

/// The lanes of even or odd number of x, then of y.
template <class T, int Odd, std::size_t... I>
Vec<T> every_second(Vec<T> x, Vec<T> y, std::index_sequence<I...>) {
  using R = typename Vec<T>::Batch::register_type;
  return typename Vec<T>::Batch(R(__builtin_shufflevector(R(x.b), R(y.b), (2 * I + Odd)...)));
}

/// Lanes of x and y in turn, from lane `First` on.
template <class T, std::size_t First, std::size_t... I>
Vec<T> in_turn(Vec<T> x, Vec<T> y, std::index_sequence<I...>) {
  using R = typename Vec<T>::Batch::register_type;
  return typename Vec<T>::Batch(
      R(__builtin_shufflevector(R(x.b), R(y.b), (First + I / 2 + I % 2 * sizeof...(I))...)));
}

}  // namespace autograd::kernels::XGRAD_ISA
