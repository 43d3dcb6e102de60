#pragma once

#include "autograd/ir/loop.hpp"

namespace autograd::replay {

/// What runs again and again, whatever the order of the derivative: `f` makes of a carry and
/// entries the next carry and results.
struct Scan {
  std::string_view name;
  Body::Function f;
  std::size_t carries = 0;
  std::int64_t steps = 0;  // at most
  bool reverse = false;
  Body::Function condition{};  // of the carry: whether there is another step
  Tensor count{};              // how many steps there are, where that is known when it runs
};

/// Returns the carry in the end, and the results of the steps along a first axis. One operation,
/// whose gradient is another scan, from the last step to the first.
TensorList run(const Scan& scan, const TensorList& init, const TensorList& xs);

/// Throw where a step does not return a carry like that which it got, or the condition one bool.
void check_carry(const Scan& scan, const TensorList& out, const TensorList& in);
void check_condition(std::string_view name, const Tensor& condition);

/// The list from `first` on, or `count` of it.
inline TensorList part(const TensorList& list, std::size_t first, std::size_t count) {
  const auto begin = list.begin() + static_cast<std::ptrdiff_t>(first);
  return TensorList(begin, begin + static_cast<std::ptrdiff_t>(count));
}
inline void append(TensorList& list, const TensorList& more) {
  list.append(more.begin(), more.end());
}
inline Shape with_axis(std::int64_t n, const Shape& shape) {
  Shape all{n};
  all.append(shape.begin(), shape.end());
  return all;
}
/// A tensor of its own with the elements of `t`, or of an entry of it; zeros if that is -1.
Tensor stand_in(const Tensor& t, const Shape& shape, std::int64_t entry = 0);

}  // namespace autograd::replay
