#pragma once

#include <cstddef>
#include <cstdint>

/// One step of each update rule over the elements of many parameters, and what clipping does to
/// many gradients, in one pass. Included by code that is compiled for several instruction sets:
/// plain data only, no inline functions.
namespace nn::optim::kernels {

/// A piece of a parameter: its elements, their gradients, and what is remembered of them (null:
/// nothing).
template <class T>
struct Chunk {
  T* p;
  const T* g;
  T* buffers[3];
  std::int64_t n;
  std::uint32_t step;  // which of the steps that a kernel gets is meant
};

// `sign` is -1 to maximise.
template <class T>
struct SgdStep {                              // buffers: momentum
  T lr, weight_decay, momentum, fresh, sign;  // fresh: 1 - dampening
  bool nesterov;
};
template <class T>
struct AdamStep {                           // buffers: mean, mean of squares, its maximum
  T step_size, beta1, beta2, rest1, rest2;  // rest: 1 - beta
  T root_scale, eps, weight_decay, shrink, sign;
};
template <class T>
struct RmsPropStep {                                     // buffers: mean of squares, mean, momentum
  T lr, alpha, rest, eps, weight_decay, momentum, sign;  // rest: 1 - alpha
};
template <class T>
struct AdagradStep {  // buffers: sum of squares
  T lr, eps, weight_decay, sign;
};

/// Each takes `count` chunks, and the steps that they refer to.
template <class T>
struct Updates {
  void (*sgd)(const Chunk<T>* chunks, std::size_t count, const SgdStep<T>* steps);
  void (*adam)(const Chunk<T>* chunks, std::size_t count, const AdamStep<T>* steps);
  void (*rmsprop)(const Chunk<T>* chunks, std::size_t count, const RmsPropStep<T>* steps);
  void (*adagrad)(const Chunk<T>* chunks, std::size_t count, const AdagradStep<T>* steps);
};

/// A piece of a gradient, and room for the result of its reduction.
template <class T>
struct GradientChunk {
  T* g;
  std::int64_t n;
  double result;
};

/// Of each chunk: Σ |g|, Σ g², Σ |g|^p, or max |g| (NaN if there is one), in double and in an order
/// that depends on its size alone; and its elements times a factor, or limited to [-limit, limit].
template <class T>
struct Clipping {
  void (*sums)(GradientChunk<T>* chunks, std::size_t count);
  void (*squares)(GradientChunk<T>* chunks, std::size_t count);
  void (*powers)(GradientChunk<T>* chunks, std::size_t count, double p);
  void (*largest)(GradientChunk<T>* chunks, std::size_t count);
  void (*scale)(const GradientChunk<T>* chunks, std::size_t count, T factor);
  void (*limit)(const GradientChunk<T>* chunks, std::size_t count, T limit);
};

struct Table {
  Updates<float> updates_f32;
  Updates<double> updates_f64;
  Clipping<float> clipping_f32;
  Clipping<double> clipping_f64;
};

namespace baseline {
const Table& table();
}
namespace avx2 {
const Table& table();
}
namespace avx512 {
const Table& table();
}

/// Those for this CPU; the argument only chooses the type.
const Updates<float>& updates(float);
const Updates<double>& updates(double);
const Clipping<float>& clipping(float);
const Clipping<double>& clipping(double);

}  // namespace nn::optim::kernels
