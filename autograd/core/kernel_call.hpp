#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel.hpp"
#include "autograd/core/memory.hpp"

#pragma GCC visibility push(default)

/// How kernels are called: which instruction set, and on which threads. Not for files of isa/.
namespace autograd::kernels {

/// `K` for this CPU (see cpu.hpp), chosen at the first call.
template <class K>
typename K::Type chosen() {
  static const typename K::Type choice = [] {
    switch (simd_level()) {
#if defined(XGRAD_HAVE_AVX512)
      case SimdLevel::avx512:
        return avx512::compiled<K>();
#endif
#if defined(XGRAD_HAVE_AVX2)
      case SimdLevel::avx2:
        return avx2::compiled<K>();
#endif
      default:
        return baseline::compiled<K>();
    }
  }();
  return choice;
}

/// A cut: `run<A...>(kernel, arguments...)` calls the function on pieces of arguments, of which A
/// says what they are. A family specialises it for a cut of its own.
template <class Cut>
struct Cutting;

namespace cut {

template <template <class> class Kind, class A>
constexpr bool is = false;
template <template <class> class Kind, class T>
constexpr bool is<Kind, Kind<T>> = true;

/// How many floats the first elements among the arguments are large.
template <class A, class... Others>
constexpr double floats() {
  if constexpr (std::is_pointer_v<Plain<A>>)
    return sizeof(std::remove_pointer_t<Plain<A>>) / 4.0;
  else
    return floats<Others...>();
}

/// The argument of kind `Wanted`, or `otherwise`.
template <class Wanted, class... A>
std::int64_t find(std::int64_t otherwise, Plain<A>... x) {
  std::int64_t found = otherwise;
  const auto look = [&]<class B>(std::type_identity<B>, auto value) {
    if constexpr (std::same_as<B, Wanted>) found = value;
  };
  (look(std::type_identity<A>(), x), ...);
  return found;
}

/// The argument x for the rows from `begin` to `end`.
template <class A>
Plain<A> piece(Plain<A> x, [[maybe_unused]] std::int64_t begin, [[maybe_unused]] std::int64_t end,
               [[maybe_unused]] std::int64_t n) {
  if constexpr (is<Row, A>)
    return x ? x + begin * n : x;
  else if constexpr (is<Each, A>)
    return x ? x + begin : x;
  else if constexpr (std::same_as<A, Count>)
    return end - begin;
  else
    return x;
}

/// Where blocks of rows add to, before that is added to the totals of the caller, which must outlive
/// it. Each block is written by one thread.
template <class... A>
class Totals {
 public:
  static constexpr std::int64_t kBlock = 128;  // rows
  Totals(std::int64_t blocks, std::int64_t n)
      : n_(n),
        bytes_(static_cast<std::size_t>(blocks * n) * kBytes),
        memory_(static_cast<char*>(autograd::detail::pool_allocate(bytes_))) {}
  Totals(const Totals&) = delete;
  Totals& operator=(const Totals&) = delete;
  ~Totals() { autograd::detail::pool_deallocate(memory_, bytes_); }

  /// Calls the kernel for a block of rows, with totals of its own that begin at 0.
  template <class F>
  void run(F kernel, std::int64_t block, std::int64_t count, Plain<A>... x) {
    char* own = memory_ + static_cast<std::size_t>(block * n_) * kBytes;
    const std::int64_t begin = block * kBlock, end = std::min(begin + kBlock, count);
    const std::tuple<Plain<A>...> pieces{block_piece<A>(x, begin, end, own)...};  // left to right
    std::apply(kernel, pieces);
  }
  /// Adds what a block has found to the totals of the caller.
  void add(std::int64_t block, Plain<A>... x) {
    char* own = memory_ + static_cast<std::size_t>(block * n_) * kBytes;
    (add_one<A>(x, own), ...);
  }

 private:
  // Of the totals of a block that belong to one element of a row.
  static constexpr std::size_t kBytes =
      (std::size_t{0} + ... + (is<Total, A> ? sizeof(std::remove_pointer_t<Plain<A>>) : 0));

  template <class B>
  Plain<B> block_piece(Plain<B> x, std::int64_t begin, std::int64_t end, char*& own) {
    if constexpr (is<Total, B>) {
      if (!x) return x;
      const Plain<B> mine = take(x, own);
      std::fill_n(mine, n_, 0);
      return mine;
    } else {
      return piece<B>(x, begin, end, n_);
    }
  }
  template <class B>
  void add_one([[maybe_unused]] Plain<B> x, char*& own) {
    if constexpr (is<Total, B>) {
      if (!x) return;
      const Plain<B> mine = take(x, own);
      for (std::int64_t i = 0; i < n_; ++i) x[i] += mine[i];
    }
  }
  template <class T>
  T* take(T*, char*& own) {
    T* mine = reinterpret_cast<T*>(own);
    own += static_cast<std::size_t>(n_) * sizeof(T);
    return mine;
  }

  std::int64_t n_;
  std::size_t bytes_;
  char* memory_;
};

template <int picoseconds, std::int64_t grain>
struct RowCutting {
  template <class... A, class F>
  static void run(F kernel, Plain<A>... x) {
    const std::int64_t count = find<Count, A...>(1, x...), n = find<Length, A...>(1, x...);
    const double cost = 1e-3 * picoseconds * floats<A...>() * static_cast<double>(n);
    if constexpr ((is<Total, A> || ...)) {
      using T = Totals<A...>;
      if ((wanted<A>(x) || ...)) {
        if (count <= T::kBlock) return kernel(x...);
        const std::int64_t blocks = (count + T::kBlock - 1) / T::kBlock;
        T totals(blocks, n);
        parallel_for(blocks, 1, cost * T::kBlock, [&](std::int64_t begin, std::int64_t end) {
          for (; begin < end; ++begin) totals.run(kernel, begin, count, x...);
        });
        for (std::int64_t b = 0; b < blocks; ++b) totals.add(b, x...);
        return;
      }
    }
    parallel_for(count, grain, cost, [&](std::int64_t begin, std::int64_t end) {
      kernel(piece<A>(x, begin, end, n)...);
    });
  }

 private:
  template <class A>
  static bool wanted([[maybe_unused]] Plain<A> x) {
    if constexpr (is<Total, A>)
      return x != nullptr;
    else
      return false;
  }
};

}  // namespace cut

template <>
struct Cutting<Whole> {
  template <class... A, class F>
  static void run(F kernel, cut::Plain<A>... x) {
    kernel(x...);
  }
};
template <int picoseconds>
struct Cutting<ByElements<picoseconds>> : cut::RowCutting<picoseconds, 64> {};
template <int picoseconds>
struct Cutting<ByRows<picoseconds>> : cut::RowCutting<picoseconds, 1> {};

template <class Self, class Cut, class... A>
void Kernel<Self, Cut, void(A...)>::run(cut::Plain<A>... arguments) {
  Cutting<Cut>::template run<A...>(chosen<Self>(), arguments...);
}
template <class Self, class Cut, class... A>
void Kernel<Self, Cut, void(A...)>::here(cut::Plain<A>... arguments) {
  chosen<Self>()(arguments...);
}

}  // namespace autograd::kernels

#pragma GCC visibility pop
