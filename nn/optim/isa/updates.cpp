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
void sgd(T* __restrict p, const T* __restrict g, T* __restrict buffer, std::int64_t n,
         const SgdStep<T>& step) {
  const SgdStep<T> s = step;
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
void adam(T* __restrict p, const T* __restrict g, T* __restrict mean, T* __restrict square,
          T* __restrict largest, std::int64_t n, const AdamStep<T>& step) {
  const AdamStep<T> s = step;
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
void rmsprop(T* __restrict p, const T* __restrict g, T* __restrict square, T* __restrict mean,
             T* __restrict buffer, std::int64_t n, const RmsPropStep<T>& step) {
  const RmsPropStep<T> s = step;
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
void adagrad(T* __restrict p, const T* __restrict g, T* __restrict sum, std::int64_t n,
             const AdagradStep<T>& step) {
  const AdagradStep<T> s = step;
  for (std::int64_t i = 0; i < n; ++i) {
    T d = s.sign * g[i];
    if (s.weight_decay != 0) d += s.weight_decay * p[i];
    sum[i] += d * d;
    p[i] -= s.lr * d / (root(sum[i]) + s.eps);
  }
}

constexpr Table kTable{{sgd<float>, adam<float>, rmsprop<float>, adagrad<float>},
                       {sgd<double>, adam<double>, rmsprop<double>, adagrad<double>}};

}  // namespace

const Table& table() { return kTable; }

}  // namespace nn::optim::kernels::XGRAD_ISA
