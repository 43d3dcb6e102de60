#include "nn/optim/isa/clipping.hpp"

// The loops are plain, so that the compiler vectorises them.
namespace nn::optim::XGRAD_ISA {
namespace {

template <class T>
T magnitude(T x) {
  return x < 0 ? -x : x;
}

// f over the elements of each chunk, in double, gathered by `join` in lanes that do not depend on
// the instruction set.
template <class T, class F, class Join>
void reduce(GradientChunk<T>* chunks, std::int64_t count, F f, Join join) {
  constexpr int width = 16;
  for (GradientChunk<T>* c = chunks; c != chunks + count; ++c) {
    const T* g = c->g;
    double lanes[width] = {};
    std::int64_t i = 0;
    for (; i + width <= c->n; i += width)
      for (int k = 0; k < width; ++k) lanes[k] = join(lanes[k], f(static_cast<double>(g[i + k])));
    for (int k = 0; i < c->n; ++i, ++k) lanes[k] = join(lanes[k], f(static_cast<double>(g[i])));
    for (int half = width / 2; half > 0; half /= 2)
      for (int k = 0; k < half; ++k) lanes[k] = join(lanes[k], lanes[k + half]);
    c->result = lanes[0];
  }
}

constexpr auto plus = [](double a, double b) { return a + b; };

template <class T>
void sums(GradientChunk<T>* chunks, std::int64_t count) {
  reduce(
      chunks, count, [](double x) { return magnitude(x); }, plus);
}
template <class T>
void squares(GradientChunk<T>* chunks, std::int64_t count) {
  reduce(
      chunks, count, [](double x) { return x * x; }, plus);
}
template <class T>
void powers(GradientChunk<T>* chunks, std::int64_t count, double p) {
  reduce(
      chunks, count, [p](double x) { return __builtin_pow(magnitude(x), p); }, plus);
}
template <class T>
void largest(GradientChunk<T>* chunks, std::int64_t count) {
  reduce(
      chunks, count, [](double x) { return magnitude(x); },
      [](double m, double x) { return x > m || x != x ? x : m; });
}

template <class T>
void scale(const GradientChunk<T>* chunks, std::int64_t count, T factor) {
  for (const GradientChunk<T>* c = chunks; c != chunks + count; ++c)
    for (std::int64_t i = 0; i < c->n; ++i) c->g[i] *= factor;
}
template <class T>
void limit(const GradientChunk<T>* chunks, std::int64_t count, T bound) {
  for (const GradientChunk<T>* c = chunks; c != chunks + count; ++c) {
    T* g = c->g;
    for (std::int64_t i = 0; i < c->n; ++i)
      g[i] = g[i] > bound ? bound : g[i] < -bound ? -bound : g[i];
  }
}

}  // namespace
}  // namespace nn::optim::XGRAD_ISA

#define XGRAD_CLIPPING(K, function) \
  XGRAD_FLOATING_KERNEL(nn::optim::K, nn::optim::XGRAD_ISA::function)
XGRAD_CLIPPING(SumAbs, sums)
XGRAD_CLIPPING(SumSquares, squares)
XGRAD_CLIPPING(SumPowers, powers)
XGRAD_CLIPPING(MaxAbs, largest)
XGRAD_CLIPPING(Scale, scale)
XGRAD_CLIPPING(Limit, limit)
