#include "nn/losses/likelihood_losses.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/core/trace.hpp"
#include "nn/losses/internal/common.hpp"

namespace nn {
namespace {

using ag::Tensor;
using detail::check_pair, detail::reduced;

// Throws where a variance is negative or NaN, now and in each replay.
void check_variances(std::string_view op, const Tensor& var) {
  ag::perform(op, {var}, {}, [op](const ag::TensorList& in, const ag::TensorList&) {
    ag::dispatch_floating(op, in[0].dtype(), [&]<class T>(T) {
      const T* v = in[0].data<T>();
      for (std::int64_t i = 0; i < in[0].numel(); ++i)
        if (v[i] < 0) ag::fail(op, "var must be at least 0, got {} at element {}", v[i], i);
    });
  });
}

// The variance of each element of the input, by a shape that broadcasts.
Tensor variance_for(std::string_view op, const Tensor& input, const Tensor& var) {
  if (var.dtype() != input.dtype())
    ag::fail(op, "var must have the dtype of the input, got {} for {}", ag::name(var.dtype()),
             ag::name(input.dtype()));
  if (var.shape() == input.shape()) return var;
  ag::Shape one = input.shape(), none = input.shape();
  if (input.ndim() > 0) {
    one[input.ndim() - 1] = 1;
    none.erase(none.end() - 1);
    if (var.shape() == one) return var;
    if (var.shape() == none) return ag::unsqueeze(var, -1);
  }
  ag::fail(op, "var must have the shape of the input, or a last size of 1, got {} for {}",
           var.shape(), input.shape());
}

}  // namespace

Tensor poisson_nll_loss(const Tensor& input, const Tensor& target,
                        const PoissonNLLLossOptions& options) {
  const char* op = "poisson_nll_loss";
  const ag::detail::Named as(op);
  check_pair(op, input, target);
  Tensor loss = options.log_input ? ag::exp(input) - target * input
                                  : input - target * ag::log(input + options.eps);
  if (options.full) {
    const Tensor many = target > 1, n = ag::where(many, target, 1);
    const Tensor stirling = n * ag::log(n) - n + 0.5 * ag::log(2 * std::numbers::pi * n);
    loss = loss + ag::where(many, stirling, 0);
  }
  return reduced(loss, options.reduction);
}

Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var,
                         const GaussianNLLLossOptions& options) {
  const char* op = "gaussian_nll_loss";
  const ag::detail::Named as(op);
  check_pair(op, input, target);
  if (!(options.eps > 0)) ag::fail(op, "eps must be above 0, got {}", options.eps);
  const Tensor given = variance_for(op, input, var);
  check_variances(op, given);
  const Tensor lifted = ag::clamp(given.detach(), options.eps) - given.detach();
  const Tensor v = given + lifted;
  Tensor loss = 0.5 * (ag::log(v) + ag::square(input - target) / v);
  if (options.full) loss = loss + 0.5 * std::log(2 * std::numbers::pi);
  return reduced(loss, options.reduction);
}

Tensor sigmoid_focal_loss(const Tensor& input, const Tensor& target,
                          const SigmoidFocalLossOptions& options) {
  const char* op = "sigmoid_focal_loss";
  const ag::detail::Named as(op);
  check_pair(op, input, target);
  if (!(options.alpha <= 1)) ag::fail(op, "alpha must be at most 1, got {}", options.alpha);
  if (!(options.gamma >= 0)) ag::fail(op, "gamma must be at least 0, got {}", options.gamma);
  Tensor loss = binary_cross_entropy_with_logits(input, target, {.reduction = Reduction::none});
  // 1 - p in a form that keeps its digits.
  const Tensor missed = ag::sigmoid(input) * (1 - target) + ag::sigmoid(-input) * target;
  // Below 1 the power has an infinite derivative at 0, where the loss is 0 as well.
  const double least = input.dtype() == ag::float32 ? std::numeric_limits<float>::min()
                                                    : std::numeric_limits<double>::min();
  if (options.gamma != 0) loss = loss * ag::pow(ag::clamp(missed, least), options.gamma);
  if (options.alpha >= 0)
    loss = loss * (options.alpha * target + (1 - options.alpha) * (1 - target));
  return reduced(loss, options.reduction);
}

}  // namespace nn
