#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/core/kernel.hpp"
#include "nn/optim/option.hpp"

/// How the rule of an optimizer is written: a struct of the numbers of one step, in the precision
/// of the parameters, and a function of registers of elements. Included by code that is compiled
/// for several instruction sets: what needs the standard library is a template that only the rest
/// of nn uses.
namespace nn::optim {

namespace kernels = autograd::kernels;

/// A number that is remembered for each parameter, and what it is before the first step.
struct Number {
  std::string_view name;
  double first;
};

/// What the numbers of a step may depend on besides options.
template <std::size_t N>
struct Moment {
  std::int64_t steps;             ///< of this parameter, with this one
  bool fresh;                     ///< a buffer in use is made in this step
  std::array<double, N> numbers;  ///< of this parameter; the rule changes them
  bool operator==(const Moment&) const = default;
};

/// The base of rules: T is float or double, V a register of them. A rule adds
///   static constexpr std::array<std::string_view, N> buffers   PyTorch's names for the state
///   static void options(auto& o, auto& show)                   name and range of each option but
///                                                              `maximize`, which every rule has
///   Rule(const auto& o, auto& moment)                          the numbers of a step
///   void operator()(V& p, V g, V& buffer…) const               the step of some elements
/// and, where it says something else than here, the functions below. It may have
///   static void check(std::string_view name, const auto& o)    throws if options do not fit
template <class T>
struct Rule {
  using Element = T;

  static constexpr std::array<Number, 0> numbers{};
  /// How many of the buffers, the first ones, are in use whatever the options are.
  static constexpr std::size_t always = 64;
  /// Whether options use a buffer of the others. One that is not used is not made, and reads as 0.
  static bool uses(const auto&, std::size_t) { return true; }
  /// What fills a buffer when it is made.
  static double first(const auto&, std::size_t) { return 0; }
  /// Whether a step goes over the rows of a gradient that is rows, and no others: because it leaves
  /// alone what has a gradient of 0, or is to. Otherwise it goes over all elements.
  static bool by_rows(const auto&) { return false; }
  /// Dense gradients are refused.
  static constexpr bool needs_rows = false;

  T sign;          ///< -1 to maximise
  T weight_decay;  ///< added to the gradient, times the parameter; not if it is `decoupled`

  explicit Rule(const auto& o, bool decoupled = false)
      : sign(o.maximize ? -1 : 1), weight_decay(decoupled ? 0 : decay_of(o)) {}
  /// 0 for an optimizer without the option.
  static double decay_of(const auto& o) {
    if constexpr (requires { o.weight_decay; })
      return o.weight_decay;
    else
      return 0;
  }
  /// What decoupled weight decay leaves of a parameter.
  static double shrunk(const auto& o, bool decoupled = true) {
    return decoupled ? 1 - o.lr * o.weight_decay : 1;
  }

  /// The gradient of what is to be minimised.
  template <class V>
  V gradient(V p, V g) const {
    return weight_decay != 0 ? fma(V(sign), g, weight_decay * p) : sign * g;
  }
};

/// A piece of a parameter: its elements, their gradients, and what is remembered of them (null:
/// nothing). A rule knows only ranges of elements: those of a whole parameter, or of some rows.
template <class R>
struct Chunk {
  using T = typename R::Element;
  static constexpr std::size_t kBuffers = std::tuple_size_v<decltype(R::buffers)>;
  static constexpr std::size_t kAlways = R::always < kBuffers ? R::always : kBuffers;

  T* p;
  const T* g;
  T* buffers[kBuffers > 0 ? kBuffers : 1];
  std::int64_t n;
  std::uint32_t rule;  // which of the rules that a kernel gets is meant
};

/// Between any two chunks.
struct ByChunks;

/// One step of `count` chunks, by the rules that they refer to.
template <class R>
struct Step : kernels::Kernel<Step<R>, ByChunks,
                              void(kernels::Each<const Chunk<R>> chunks, kernels::Count count,
                                   const R* rules)> {};

}  // namespace nn::optim
