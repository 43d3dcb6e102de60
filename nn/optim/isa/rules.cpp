#include "nn/optim/isa/rules.hpp"

#include "autograd/formulas/simd_math.hpp"

namespace nn::optim::XGRAD_ISA {
namespace {

using autograd::simd::Vec;

// Whether a buffer is in use, where the bits of `optional` say which of those are that need not be.
template <class R>
constexpr bool in_use(unsigned optional, std::size_t buffer) {
  return buffer < Chunk<R>::kAlways || (optional >> (buffer - Chunk<R>::kAlways) & 1);
}

// A rule on some elements. A buffer that is not in use reads as 0.
template <class R, unsigned optional, std::size_t... I, class Load, class Store>
void apply(const R& rule, const Chunk<R>& c, std::int64_t at, std::index_sequence<I...>, Load load,
           Store store) {
  using V = Vec<typename R::Element>;
  V p = load(c.p + at);
  V buffers[] = {(in_use<R>(optional, I) ? load(c.buffers[I] + at) : V(0))..., V(0)};
  rule(p, load(c.g + at), buffers[I]...);
  store(p, c.p + at);
  ((in_use<R>(optional, I) ? store(buffers[I], c.buffers[I] + at) : void()), ...);
}

template <class R, unsigned optional>
void apply(const R rule, const Chunk<R> c) {
  using T = typename R::Element;
  using V = Vec<T>;
  constexpr auto all = std::make_index_sequence<Chunk<R>::kBuffers>();
  std::int64_t at = 0;
  for (; at + V::size <= c.n; at += V::size)
    apply<R, optional>(
        rule, c, at, all, [](const T* p) { return V::load(p); }, [](V v, T* p) { v.store(p); });
  const std::int64_t rest = c.n - at;
  if (rest > 0)
    apply<R, optional>(
        rule, c, at, all, [=](const T* p) { return autograd::simd::load_first(p, rest); },
        [=](V v, T* p) { autograd::simd::store_first(v, p, rest); });
}

// Asks for the first lines of a chunk: where chunks are rows of a table, the processor cannot guess
// which comes next.
template <class R>
void prefetch(const Chunk<R>& c) {
  using T = typename R::Element;
  constexpr std::int64_t line = 64 / sizeof(T), most = 8 * line;
  for (std::int64_t i = 0; i < c.n && i < most; i += line) {
    __builtin_prefetch(c.p + i, 1);
    for (T* buffer : c.buffers)
      if (buffer) __builtin_prefetch(buffer + i, 1);
  }
}

template <class R>
void step(const Chunk<R>* chunks, std::int64_t count, const R* rules) {
  constexpr std::size_t always = Chunk<R>::kAlways, optional = Chunk<R>::kBuffers - always;
  constexpr std::ptrdiff_t ahead = 6;
  for (const Chunk<R>*c = chunks, *end = chunks + count; c != end; ++c) {
    if (end - c > ahead) prefetch(c[ahead]);
    unsigned used = 0;
    for (std::size_t i = 0; i < optional; ++i)
      if (c->buffers[always + i]) used |= 1u << i;
    [&]<unsigned... U>(std::integer_sequence<unsigned, U...>) {
      ((used == U ? apply<R, U>(rules[c->rule], *c) : void()), ...);
    }
    (std::make_integer_sequence<unsigned, 1u << optional>());
  }
}

}  // namespace
}  // namespace nn::optim::XGRAD_ISA

#define XGRAD_STEP(name)                                                 \
  XGRAD_KERNEL(nn::optim::Step<nn::optim::name##Rule<float>>,            \
               nn::optim::XGRAD_ISA::step<nn::optim::name##Rule<float>>) \
  XGRAD_KERNEL(nn::optim::Step<nn::optim::name##Rule<double>>,           \
               nn::optim::XGRAD_ISA::step<nn::optim::name##Rule<double>>)
XGRAD_OPTIMIZERS(XGRAD_STEP)
