#include "nn/optim/isa/updates.hpp"

#ifndef XGRAD_ISA
#define XGRAD_ISA baseline
#endif

// The loops are plain, so that the compiler vectorises them, and it hoists the tests that do not
// depend on the element.
namespace nn::optim::kernels::XGRAD_ISA {
namespace {

float root(float x) { return __builtin_sqrtf(x); }
double root(double x) { return __builtin_sqrt(x); }

template <class T>
void update(const Chunk<T>& c, const SgdStep<T> s) {
  T* __restrict p = c.p;
  const T* __restrict g = c.g;
  T* __restrict buffer = c.buffers[0];
  const std::int64_t n = c.n;
  for (std::int64_t i = 0; i < n; ++i) {
    T d = s.sign * g[i];
    if (s.weight_decay != 0) d += s.weight_decay * p[i];
    if (buffer) {
      buffer[i] = s.momentum * buffer[i] + s.fresh * d;
      d = s.nesterov ? d + s.momentum * buffer[i] : buffer[i];
    }
    p[i] -= s.lr * d;
  }
}

template <class T>
void update(const Chunk<T>& c, const AdamStep<T> s) {
  T* __restrict p = c.p;
  const T* __restrict g = c.g;
  T* __restrict mean = c.buffers[0];
  T* __restrict square = c.buffers[1];
  T* __restrict largest = c.buffers[2];
  const std::int64_t n = c.n;
  for (std::int64_t i = 0; i < n; ++i) {
    T d = s.sign * g[i];
    if (s.weight_decay != 0) d += s.weight_decay * p[i];
    mean[i] = s.beta1 * mean[i] + s.rest1 * d;
    square[i] = s.beta2 * square[i] + s.rest2 * d * d;
    T v = square[i];
    if (largest) {
      v = v > largest[i] || v != v ? v : largest[i];  // a NaN stays visible
      largest[i] = v;
    }
    p[i] = s.shrink * p[i] - s.step_size * mean[i] / (root(v) * s.root_scale + s.eps);
  }
}

template <class T>
void update(const Chunk<T>& c, const RmsPropStep<T> s) {
  T* __restrict p = c.p;
  const T* __restrict g = c.g;
  T* __restrict square = c.buffers[0];
  T* __restrict mean = c.buffers[1];
  T* __restrict buffer = c.buffers[2];
  const std::int64_t n = c.n;
  for (std::int64_t i = 0; i < n; ++i) {
    T d = s.sign * g[i];
    if (s.weight_decay != 0) d += s.weight_decay * p[i];
    square[i] = s.alpha * square[i] + s.rest * d * d;
    T v = square[i];
    if (mean) {
      mean[i] = s.alpha * mean[i] + s.rest * d;
      v -= mean[i] * mean[i];
    }
    d /= root(v) + s.eps;
    if (buffer) {
      buffer[i] = s.momentum * buffer[i] + d;
      d = buffer[i];
    }
    p[i] -= s.lr * d;
  }
}

template <class T>
void update(const Chunk<T>& c, const AdagradStep<T> s) {
  T* __restrict p = c.p;
  const T* __restrict g = c.g;
  T* __restrict sum = c.buffers[0];
  const std::int64_t n = c.n;
  for (std::int64_t i = 0; i < n; ++i) {
    T d = s.sign * g[i];
    if (s.weight_decay != 0) d += s.weight_decay * p[i];
    sum[i] += d * d;
    p[i] -= s.lr * d / (root(sum[i]) + s.eps);
  }
}

template <class T, class Step>
void update_all(const Chunk<T>* chunks, std::size_t count, const Step* steps) {
  for (std::size_t i = 0; i < count; ++i) update(chunks[i], steps[chunks[i].step]);
}

template <class T>
T magnitude(T x) {
  return x < 0 ? -x : x;
}

// f over the elements of each chunk, in double, gathered by `join` in lanes that do not depend on
// the instruction set.
template <class T, class F, class Join>
void reduce(GradientChunk<T>* chunks, std::size_t count, F f, Join join) {
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
void sums(GradientChunk<T>* chunks, std::size_t count) {
  reduce(
      chunks, count, [](double x) { return magnitude(x); }, plus);
}
template <class T>
void squares(GradientChunk<T>* chunks, std::size_t count) {
  reduce(
      chunks, count, [](double x) { return x * x; }, plus);
}
template <class T>
void powers(GradientChunk<T>* chunks, std::size_t count, double p) {
  reduce(
      chunks, count, [p](double x) { return __builtin_pow(magnitude(x), p); }, plus);
}
template <class T>
void largest(GradientChunk<T>* chunks, std::size_t count) {
  reduce(
      chunks, count, [](double x) { return magnitude(x); },
      [](double m, double x) { return x > m || x != x ? x : m; });
}

template <class T>
void scale(const GradientChunk<T>* chunks, std::size_t count, T factor) {
  for (const GradientChunk<T>* c = chunks; c != chunks + count; ++c)
    for (std::int64_t i = 0; i < c->n; ++i) c->g[i] *= factor;
}
template <class T>
void limit(const GradientChunk<T>* chunks, std::size_t count, T bound) {
  for (const GradientChunk<T>* c = chunks; c != chunks + count; ++c) {
    T* g = c->g;
    for (std::int64_t i = 0; i < c->n; ++i)
      g[i] = g[i] > bound ? bound : g[i] < -bound ? -bound : g[i];
  }
}

template <class T>
constexpr Updates<T> kUpdates{update_all, update_all, update_all, update_all};
template <class T>
constexpr Clipping<T> kClipping{sums, squares, powers, largest, scale, limit};
constexpr Table kTable{kUpdates<float>, kUpdates<double>, kClipping<float>, kClipping<double>};

}  // namespace

const Table& table() { return kTable; }

}  // namespace nn::optim::kernels::XGRAD_ISA
