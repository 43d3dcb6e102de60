#include "nn/losses/losses.hpp"

#include "autograd/tape/function.hpp"
#include "nn/losses/internal/common.hpp"

namespace nn {
namespace {

using ag::Tensor;
using detail::check_pair, detail::reduced;

// A factor for each element of the input, where given.
void check_factor(std::string_view op, std::string_view what, const Tensor& factor,
                  const Tensor& input) {
  if (!factor.defined()) return;
  if (factor.dtype() != input.dtype())
    ag::fail(op, "{} must have the dtype of the input, got {} for {}", what,
             ag::name(factor.dtype()), ag::name(input.dtype()));
  ag::shapes::check_expand(op, factor.shape(), input.shape());
}

// ½ d² up to `bound`, bound (|d| - ½ bound) beyond, over `divisor`. Finite where d² would overflow,
// and without |d|, whose second derivative would be missing at 0.
Tensor huber(const Tensor& input, const Tensor& target, double bound, double divisor) {
  const Tensor d = input - target, inner = ag::clamp(d, -bound, bound);
  return (divisor == 1 ? inner : inner / divisor) * (d - 0.5 * inner);
}

// A function of its own because its gradient stays finite at 0 and 1, where the logarithm's does
// not.
struct BinaryCrossEntropy : ag::Function<BinaryCrossEntropy> {
  static Tensor forward(ag::Context& ctx, const Tensor& x, const Tensor& t) {
    ctx.save_for_backward({x, t});
    return -(t * logarithm(x) + (1 - t) * log_complement(x));
  }
  static ag::TensorList backward(ag::Context& ctx, const ag::TensorList& grad) {
    const Tensor &x = ctx.saved()[0], &t = ctx.saved()[1];
    ag::TensorList result{Tensor(), Tensor()};
    if (ctx.needs_input_grad(0)) result[0] = grad[0] * (x - t) / ag::clamp(x * (1 - x), 1e-12);
    if (ctx.needs_input_grad(1)) result[1] = grad[0] * (log_complement(x) - logarithm(x));
    return result;
  }
  static Tensor logarithm(const Tensor& x) { return ag::clamp(ag::log(x), -100); }
  static Tensor log_complement(const Tensor& x) { return ag::clamp(ag::log1p(-x), -100); }
};

// Throws where an element is no probability, now and in each replay.
void check_probabilities(std::string_view op, const Tensor& x) {
  ag::perform(op, {x}, {}, [op](const ag::TensorList& in, const ag::TensorList&) {
    ag::dispatch_floating(op, in[0].dtype(), [&]<class T>(T) {
      const T* p = in[0].data<T>();
      for (std::int64_t i = 0; i < in[0].numel(); ++i)
        if (!(p[i] >= 0 && p[i] <= 1))
          ag::fail(op,
                   "the input must be in [0, 1], got {} at element {}; for logits use "
                   "binary_cross_entropy_with_logits",
                   p[i], i);
    });
  });
}

// Throws where a target is no class and not ignored, now and in each replay.
void check_classes(std::string_view op, const Tensor& target, std::int64_t classes,
                   std::int64_t ignore) {
  ag::perform(op, {target}, {}, [=](const ag::TensorList& in, const ag::TensorList&) {
    const auto* t = in[0].data<std::int64_t>();
    for (std::int64_t i = 0; i < in[0].numel(); ++i)
      if (t[i] != ignore && (t[i] < 0 || t[i] >= classes))
        ag::fail(op, "targets must be in [0, {}] (or ignore_index {}), got {} at sample {}",
                 classes - 1, ignore, t[i], i);
  });
}

}  // namespace

Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  const ag::detail::Named as("mse_loss");
  check_pair("mse_loss", input, target);
  return reduced(ag::square(input - target), options.reduction);
}

Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  const ag::detail::Named as("l1_loss");
  check_pair("l1_loss", input, target);
  return reduced(ag::abs(input - target), options.reduction);
}

Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options) {
  const ag::detail::Named as("huber_loss");
  check_pair("huber_loss", input, target);
  if (!(options.delta > 0)) ag::fail("huber_loss", "delta must be above 0, got {}", options.delta);
  return reduced(huber(input, target, options.delta, 1), options.reduction);
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target,
                      const SmoothL1LossOptions& options) {
  const ag::detail::Named as("smooth_l1_loss");
  check_pair("smooth_l1_loss", input, target);
  if (!(options.beta >= 0))
    ag::fail("smooth_l1_loss", "beta must be at least 0, got {}", options.beta);
  if (options.beta == 0) return l1_loss(input, target, {options.reduction});
  return reduced(huber(input, target, options.beta, options.beta), options.reduction);
}

Tensor binary_cross_entropy(const Tensor& input, const Tensor& target,
                            const BinaryCrossEntropyOptions& options) {
  const ag::detail::Named as("binary_cross_entropy");
  const char* op = "binary_cross_entropy";
  check_pair(op, input, target);
  check_factor(op, "weight", options.weight, input);
  check_probabilities(op, input);
  const Tensor loss = BinaryCrossEntropy::apply(input, target);
  return reduced(options.weight.defined() ? loss * options.weight : loss, options.reduction);
}

Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                        const BinaryCrossEntropyWithLogitsOptions& options) {
  const ag::detail::Named as("binary_cross_entropy_with_logits");
  const char* op = "binary_cross_entropy_with_logits";
  check_pair(op, input, target);
  check_factor(op, "weight", options.weight, input);
  check_factor(op, "pos_weight", options.pos_weight, input);
  // With p = sigmoid(x): -log p = softplus(-x) and -log(1 - p) = x + softplus(-x).
  Tensor positive = ag::softplus(-input);
  if (options.pos_weight.defined()) positive = (1 + (options.pos_weight - 1) * target) * positive;
  const Tensor loss = (1 - target) * input + positive;
  return reduced(options.weight.defined() ? loss * options.weight : loss, options.reduction);
}

Tensor nll_loss(const Tensor& input, const Tensor& target, const NLLLossOptions& options) {
  const ag::detail::Named as("nll_loss");
  const char* op = "nll_loss";
  if (!ag::is_floating(input.dtype()))
    ag::fail(op, "the input must be float32 or float64, got {}", ag::name(input.dtype()));
  if (input.ndim() == 0) ag::fail(op, "the input must have a class axis, got a 0-d tensor");
  const std::int64_t axis = input.ndim() == 1 ? 0 : 1, classes = input.size(axis);
  ag::Shape samples = input.shape();
  samples.erase(samples.begin() + axis);
  ag::Shape column = samples;
  column.insert(column.begin() + axis, 1);
  const std::string squeezed =
      target.shape() == column ? fmt::format("squeeze(targets, {})", axis) : "targets";
  if (target.dtype() != ag::int64)
    ag::fail(op, "targets must be int64 classes, got {}; use {}.to(int64)",
             ag::name(target.dtype()), squeezed);
  if (target.shape() != samples)
    ag::fail(
        op,
        "targets must have the shape of the input without the class axis, got {} for input {}{}",
        target.shape(), input.shape(), target.shape() == column ? "; use " + squeezed : "");
  if (options.weight.defined() && options.weight.shape() != ag::Shape(classes))
    ag::fail(op, "weight must have one factor per class, got {} for {} classes",
             options.weight.shape(), classes);

  check_classes(op, target, classes, options.ignore_index);
  const Tensor ignored = target == static_cast<double>(options.ignore_index);
  const Tensor index = ag::where(ignored, 0, target);
  Tensor factor = ag::ones(samples, input.dtype());
  if (options.weight.defined())
    factor = ag::reshape(
        ag::index_select(options.weight.detach().to(input.dtype()), 0, ag::flatten(index)),
        samples);
  factor = ag::where(ignored, 0, factor);
  const Tensor picked =
      ag::squeeze(ag::gather(input, axis, ag::unsqueeze(index, axis)), ag::Axes(axis));
  const Tensor loss = ag::where(ignored, 0, -picked * factor);
  if (options.reduction != Reduction::mean) return reduced(loss, options.reduction);
  return ag::sum(loss) / ag::sum(factor);
}

Tensor kl_div(const Tensor& input, const Tensor& target, const KLDivOptions& options) {
  const ag::detail::Named as("kl_div");
  check_pair("kl_div", input, target);
  if (options.log_target) return reduced(ag::exp(target) * (target - input), options.reduction);
  // The logarithm of 0 is never taken: its gradient would be 0 · inf.
  const Tensor zero = target == 0;
  const Tensor entropy = target * ag::log(ag::where(zero, 1, target));
  return reduced(entropy - target * input, options.reduction);
}

}  // namespace nn
