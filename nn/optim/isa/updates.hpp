#pragma once

#include <cstdint>

/// One step of each update rule over the elements of a parameter, in one pass. Included by code
/// that is compiled for several instruction sets: plain data only, no inline functions.
namespace nn::optim::kernels {

// `sign` is -1 to maximise. Buffers that a rule does not use are null.
template <class T>
struct SgdStep {
  T lr, weight_decay, momentum, fresh, sign;  // fresh: 1 - dampening
  bool nesterov;
};
template <class T>
struct AdamStep {
  T step_size, beta1, beta2, rest1, rest2;  // rest: 1 - beta
  T root_scale, eps, weight_decay, shrink, sign;
};
template <class T>
struct RmsPropStep {
  T lr, alpha, rest, eps, weight_decay, momentum, sign;  // rest: 1 - alpha
};
template <class T>
struct AdagradStep {
  T lr, eps, weight_decay, sign;
};

template <class T>
struct Updates {
  void (*sgd)(T* p, const T* g, T* buffer, std::int64_t n, const SgdStep<T>& step);
  void (*adam)(T* p, const T* g, T* mean, T* square, T* largest, std::int64_t n,
               const AdamStep<T>& step);
  void (*rmsprop)(T* p, const T* g, T* square, T* mean, T* buffer, std::int64_t n,
                  const RmsPropStep<T>& step);
  void (*adagrad)(T* p, const T* g, T* sum, std::int64_t n, const AdagradStep<T>& step);
};
struct Table {
  Updates<float> f32;
  Updates<double> f64;
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

}  // namespace nn::optim::kernels
