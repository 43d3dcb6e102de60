#include "nn/losses/internal/common.hpp"

namespace nn {

using ag::Tensor;

void detail::check_floating(std::string_view op, const Tensor& input) {
  if (!ag::is_floating(input.dtype()))
    ag::fail(op, "the input must be float32 or float64, got {}", ag::name(input.dtype()));
}

void detail::check_pair(std::string_view op, const Tensor& input, const Tensor& target) {
  check_floating(op, input);
  if (input.dtype() != target.dtype())
    ag::fail(op,
             "input and target must have one dtype, got {} and {}; convert the target with .to({})",
             ag::name(input.dtype()), ag::name(target.dtype()), ag::name(input.dtype()));
  if (input.shape() != target.shape())
    ag::fail(op, "input and target must have one shape, got {} and {}{}", input.shape(),
             target.shape(), input.numel() == target.numel() ? "; reshape one of them" : "");
}

Tensor detail::reduced(const Tensor& loss, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean:
      return ag::mean(loss);
    case Reduction::sum:
      return ag::sum(loss);
    default:
      return loss;
  }
}

}  // namespace nn
