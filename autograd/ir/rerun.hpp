#pragma once

#include <functional>
#include <string_view>

#include "autograd/tape/internal/tape.hpp"

namespace autograd::replay {

/// A recorded function that runs again, for a walk back through it: the gradient of the operation
/// that replays it.
class Rerun {
 public:
  /// `draws`: the random tensors that it drew before; `captured`: all that it uses from outside and
  /// that requires a gradient. Throws, as `name`, where it uses another one.
  Rerun(std::string_view name, const std::function<TensorList(const TensorList&)>& f,
        const TensorList& arguments, const TensorList& draws, const TensorList& captured);

  const Tensor& argument(std::size_t i) const { return arguments_[i]; }
  const Tensor& result(std::size_t i) const { return results_[i]; }
  /// What stands for a tensor of `captured`.
  Tensor stand_in(const Tensor& captured) { return capture_.alias(captured); }
  /// `output`, an argument or a result, has this cotangent.
  void add(const Tensor& output, const Tensor& cotangent);
  /// Zeros where nothing flows.
  TensorList gradients(const TensorList& wanted);

 private:
  bool create_graph_;
  EnableGrad on_;
  internal::Capture capture_;
  TensorList arguments_, results_, outputs_, cotangents_;
};

}  // namespace autograd::replay
