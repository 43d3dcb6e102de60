#pragma once

#include <cstdint>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

/// How kernels are declared: raw buffers in, raw buffers out; no tensors, no tape, everything was
/// validated before. A kernel is
///
///     /// y[i] += x[i].
///     template <class T>
///     struct Add : Kernel<Add<T>, ByElements<200>, void(Each<T> y, Each<const T> x, Count n)> {};
///
/// in the header of its family, which says how its work is cut over threads, and
///
///     template <class T>
///     static void add(T* y, const T* x, std::int64_t n) { … }
///     XGRAD_FLOATING_KERNEL(Add, add)
///
/// in a file of isa/, which is compiled once for each instruction set. Callers include
/// kernel_call.hpp and write `Add<T>::run(y, x, n)`. A kernel without a cut does not compile, and
/// one that is called but not defined does not link.
///
/// Files of isa/ use nothing from the standard library that could leave a shared symbol; neither
/// does this header, nor one that declares kernels.
namespace autograd::kernels {

// What the arguments of a kernel are: rows of n elements, of which a piece of the work has some. A
// plain type is the same for all pieces. Pointers may be null.
template <class T>
struct Row;  ///< T*: n elements for each row
template <class T>
struct Each;  ///< T*: one for each row
template <class T>
struct Total;   ///< T*: n elements to which each row adds
struct Count;   ///< int64: how many rows there are
struct Length;  ///< int64: n; 1 if the kernel has no such argument

// How the work is cut. `picoseconds` is roughly what a float takes; pieces too short to gain are
// not made. Where rounding could depend on a cut, the cut depends on sizes alone, and is the same
// for one thread: the results are the same bits for any number of them.
/// One call, by the thread that calls.
struct Whole;
/// Between any two elements; pieces begin at whole cache lines.
template <int picoseconds>
struct ByElements;
/// Between any two rows; if there is a `Total`, in blocks of a fixed number of rows, each with a
/// total of its own that are added in order.
template <int picoseconds>
struct ByRows;

namespace cut {
template <class A>
struct Argument {
  using Type = A;
};
template <class T>
struct Argument<Row<T>> {
  using Type = T*;
};
template <class T>
struct Argument<Each<T>> {
  using Type = T*;
};
template <class T>
struct Argument<Total<T>> {
  using Type = T*;
};
template <>
struct Argument<Count> {
  using Type = std::int64_t;
};
template <>
struct Argument<Length> {
  using Type = std::int64_t;
};
template <class A>
using Plain = typename Argument<A>::Type;
}  // namespace cut

/// The base of a kernel `Self`. A family may bring a cut of its own, see kernel_call.hpp.
template <class Self, class Cut, class Signature>
struct Kernel;
template <class Self, class Cut, class... A>
struct Kernel<Self, Cut, void(A...)> {
  using Type = void (*)(cut::Plain<A>...);
  /// On the threads of `parallel_for`.
  static void run(cut::Plain<A>... arguments);
  /// On the thread that calls, in one piece.
  static void here(cut::Plain<A>... arguments);
};

// What `K` is for an instruction set: its function, or whatever else K::Type says.
#define XGRAD_DECLARE_ISA(isa)          \
  namespace isa {                       \
  template <class K>                    \
  typename K::Type compiled() noexcept; \
  }
XGRAD_DECLARE_ISA(baseline)
XGRAD_DECLARE_ISA(avx2)
XGRAD_DECLARE_ISA(avx512)
#undef XGRAD_DECLARE_ISA

#ifndef XGRAD_ISA  // tools that look at one file
#define XGRAD_ISA baseline
#endif

/// Defines the kernel K for the instruction set of this object. Stands outside of all namespaces,
/// and looks names up in autograd::kernels::XGRAD_ISA.
#define XGRAD_KERNEL(K, ...)               \
  namespace autograd::kernels::XGRAD_ISA { \
  template <>                              \
  K::Type compiled<K>() noexcept {         \
    return __VA_ARGS__;                    \
  }                                        \
  }
/// K<float> and K<double>, by a function template.
#define XGRAD_FLOATING_KERNEL(K, function) \
  XGRAD_KERNEL(K<float>, function<float>)  \
  XGRAD_KERNEL(K<double>, function<double>)

}  // namespace autograd::kernels

#pragma GCC visibility pop
