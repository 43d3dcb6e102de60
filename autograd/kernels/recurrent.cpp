#include "autograd/kernels/recurrent.hpp"

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/gemm.hpp"

namespace autograd::kernels {
namespace {

// Sequences in pieces of so many: whole blocks of the product of a step.
constexpr std::int64_t kGrain = 8;

// Rough nanoseconds that one sequence takes: products, and functions of the gates.
template <class T>
double cost(const Recurrence& s) {
  constexpr double per_gate = 1.5;
  const auto steps = static_cast<double>(s.steps);
  return steps * (2 * gemm_cost<T>(1, s.gates(), s.state) +
                  per_gate * static_cast<double>(s.gates()) * sizeof(T) / 4);
}

}  // namespace

template <class T>
void recur(const Recurrence& shape, const RecurrenceValue<T>& value) {
  parallel_for(shape.batch, kGrain, cost<T>(shape), [&](std::int64_t begin, std::int64_t end) {
    Recur<T>::here(shape, value, begin, end);
  });
}
template <class T>
void recur_back(const Recurrence& shape, const RecurrenceGradient<T>& gradient) {
  parallel_for(shape.batch, kGrain, cost<T>(shape), [&](std::int64_t begin, std::int64_t end) {
    RecurBack<T>::here(shape, gradient, begin, end);
  });
}
template <class T>
void recur_tangent(const Recurrence& shape, const RecurrenceTangent<T>& tangent) {
  parallel_for(shape.batch, kGrain, cost<T>(shape), [&](std::int64_t begin, std::int64_t end) {
    RecurTangent<T>::here(shape, tangent, begin, end);
  });
}
template void recur_tangent(const Recurrence&, const RecurrenceTangent<float>&);
template void recur_tangent(const Recurrence&, const RecurrenceTangent<double>&);
template void recur(const Recurrence&, const RecurrenceValue<float>&);
template void recur(const Recurrence&, const RecurrenceValue<double>&);
template void recur_back(const Recurrence&, const RecurrenceGradient<float>&);
template void recur_back(const Recurrence&, const RecurrenceGradient<double>&);

}  // namespace autograd::kernels
