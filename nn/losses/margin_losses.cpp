#include "nn/losses/margin_losses.hpp"

#include "autograd/core/trace.hpp"
#include "nn/losses/internal/common.hpp"

namespace nn {
namespace {

using ag::Tensor;
using detail::check_floating, detail::check_pair, detail::reduced;

// Where a number is positive; its gradient is 0 at 0.
Tensor positive_part(const Tensor& x) { return ag::relu(x); }

// Targets 1 and -1 in the dtype of the input, of the shape of one number for each.
Tensor signs(std::string_view op, const Tensor& target, const ag::Shape& shape, ag::DType dtype) {
  if (target.dtype() != dtype && target.dtype() != ag::int64)
    ag::fail(op, "targets must be int64 or {}, got {}", ag::name(dtype), ag::name(target.dtype()));
  if (target.shape() != shape)
    ag::fail(op, "targets must have the shape {}, got {}", shape, target.shape());
  return target.to(dtype);
}

void check_vectors(std::string_view op, const Tensor& x) {
  if (x.ndim() != 1 && x.ndim() != 2)
    ag::fail(op, "needs vectors (n, d) or (d), got shape {}", x.shape());
}

ag::Shape without_last(const Tensor& x) {
  ag::Shape shape = x.shape();
  shape.erase(shape.end() - 1);
  return shape;
}

// Throws where a target is no class (or `least`, where that is -1), now and in each replay.
void check_classes(std::string_view op, const Tensor& target, std::int64_t classes,
                   std::int64_t least) {
  ag::perform(op, {target}, {}, [=](const ag::TensorList& in, const ag::TensorList&) {
    const auto* t = in[0].data<std::int64_t>();
    for (std::int64_t i = 0; i < in[0].numel(); ++i)
      if (t[i] < least || t[i] >= classes)
        ag::fail(op, "targets must be in [{}, {}], got {} at element {}", least, classes - 1, t[i],
                 i);
  });
}

void check_labels(std::string_view op, const Tensor& input, const Tensor& target,
                  const ag::Shape& shape) {
  check_floating(op, input);
  if (input.ndim() != 1 && input.ndim() != 2)
    ag::fail(op, "needs scores (n, classes) or (classes), got shape {}", input.shape());
  if (target.dtype() != ag::int64)
    ag::fail(op, "targets must be int64, got {}", ag::name(target.dtype()));
  if (target.shape() != shape)
    ag::fail(op, "targets must have the shape {} for scores {}, got {}", shape, input.shape(),
             target.shape());
}

}  // namespace

Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           const MarginLossOptions& options) {
  const char* op = "margin_ranking_loss";
  const ag::detail::Named as(op);
  check_pair(op, input1, input2);
  const Tensor sign = signs(op, target, input1.shape(), input1.dtype());
  return reduced(positive_part(options.margin - sign * (input1 - input2)), options.reduction);
}

Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             const MarginLossOptions& options) {
  const char* op = "cosine_embedding_loss";
  const ag::detail::Named as(op);
  check_pair(op, input1, input2);
  check_vectors(op, input1);
  const Tensor sign = signs(op, target, without_last(input1), input1.dtype());
  const auto square_length = [](const Tensor& x) { return ag::sum(ag::square(x), -1) + 1e-12; };
  const Tensor cos =
      ag::sum(input1 * input2, -1) / ag::sqrt(square_length(input1) * square_length(input2));
  const Tensor apart = ag::where(sign == -1, positive_part(cos - options.margin), 0);
  return reduced(ag::where(sign == 1, 1 - cos, apart), options.reduction);
}

Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target,
                            const HingeEmbeddingLossOptions& options) {
  const char* op = "hinge_embedding_loss";
  const ag::detail::Named as(op);
  check_floating(op, input);
  const Tensor sign = signs(op, target, input.shape(), input.dtype());
  // A target that is neither sign counts as both, as in PyTorch.
  const Tensor apart = ag::where(sign != 1, positive_part(options.margin - input), 0);
  return reduced(apart + ag::where(sign != -1, input, 0), options.reduction);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLossOptions& options) {
  const char* op = "triplet_margin_loss";
  const ag::detail::Named as(op);
  check_pair(op, anchor, positive);
  check_pair(op, anchor, negative);
  check_vectors(op, anchor);
  if (!(options.margin > 0)) ag::fail(op, "margin must be above 0, got {}", options.margin);
  const auto distance = [&](const Tensor& a, const Tensor& b) {
    return ag::norm(a - b + options.eps, options.p, -1);
  };
  Tensor apart = distance(anchor, negative);
  if (options.swap) apart = ag::minimum(apart, distance(positive, negative));
  return reduced(positive_part(options.margin + distance(anchor, positive) - apart),
                 options.reduction);
}

Tensor multi_margin_loss(const Tensor& input, const Tensor& target,
                         const MultiMarginLossOptions& options) {
  const char* op = "multi_margin_loss";
  const ag::detail::Named as(op);
  if (input.ndim() == 0) ag::fail(op, "the input must have a class axis, got a 0-d tensor");
  check_labels(op, input, target, without_last(input));
  if (options.p != 1 && options.p != 2) ag::fail(op, "p must be 1 or 2, got {}", options.p);
  const std::int64_t classes = input.size(-1);
  if (options.weight.defined() &&
      (options.weight.shape() != ag::Shape(classes) || options.weight.dtype() != input.dtype()))
    ag::fail(op, "weight must be {} with one factor per class, got {} {} for {} classes",
             ag::name(input.dtype()), ag::name(options.weight.dtype()), options.weight.shape(),
             classes);
  check_classes(op, target, classes, 0);
  const Tensor own = ag::unsqueeze(target, -1);
  Tensor excess = positive_part(options.margin - ag::gather(input, -1, own) + input);
  if (options.p == 2) excess = ag::square(excess);
  if (options.weight.defined())
    excess =
        excess * ag::reshape(ag::index_select(options.weight, 0, ag::flatten(target)), own.shape());
  const Tensor others = ag::where(own == ag::arange(classes), 0, excess);
  return reduced(ag::mean(others, -1), options.reduction);
}

Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target,
                              const LossOptions& options) {
  const char* op = "multilabel_margin_loss";
  const ag::detail::Named as(op);
  check_labels(op, input, target, input.shape());
  const std::int64_t classes = input.size(-1);
  check_classes(op, target, classes, -1);
  // Classes up to the first -1; which classes those are.
  const Tensor given = ag::cumsum((target < 0).to(ag::int64), -1) == 0;
  const Tensor place = ag::where(given, target, 0);
  const Tensor hit =
      ag::logical_and(ag::unsqueeze(given, -1), ag::unsqueeze(place, -1) == ag::arange(classes));
  const Tensor other = ag::logical_not(ag::any(hit, -2, true));
  const Tensor own = ag::unsqueeze(ag::gather(input, -1, place), -1);
  const Tensor excess = positive_part(1 - own + ag::unsqueeze(input, -2));
  const Tensor counted = ag::logical_and(ag::unsqueeze(given, -1), other);
  const Tensor loss = ag::sum(ag::where(counted, excess, 0), {-2, -1});
  return reduced(loss / static_cast<double>(classes), options.reduction);
}

Tensor soft_margin_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  const char* op = "soft_margin_loss";
  const ag::detail::Named as(op);
  check_floating(op, input);
  const Tensor sign = signs(op, target, input.shape(), input.dtype());
  return reduced(ag::softplus(-sign * input), options.reduction);
}

Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target,
                                   const MultilabelSoftMarginLossOptions& options) {
  const char* op = "multilabel_soft_margin_loss";
  const ag::detail::Named as(op);
  check_pair(op, input, target);
  if (input.ndim() == 0) ag::fail(op, "the input must have a class axis, got a 0-d tensor");
  const Tensor loss = binary_cross_entropy_with_logits(
      input, target, {.weight = options.weight, .reduction = Reduction::none});
  return reduced(ag::mean(loss, -1), options.reduction);
}

}  // namespace nn
