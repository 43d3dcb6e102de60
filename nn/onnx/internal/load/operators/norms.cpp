#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

// Sizes of the axes from `axis` on.
ag::Shape tail(std::string_view op, const Tensor& x, std::int64_t axis) {
  return ag::Shape(x.shape().begin() + axis_in(op, axis, x.ndim()), x.shape().end());
}

// One number for each channel (axis 1) beside x.
Tensor by_channel(const Tensor& v, const Tensor& x) {
  ag::Shape shape(v.numel());
  for (std::int64_t i = 2; i < x.ndim(); ++i) shape.push_back(1);
  return ag::reshape(v, shape);
}
ag::Axes but_channels(const Tensor& x) {
  ag::Axes axes{0};
  for (std::int64_t i = 2; i < x.ndim(); ++i) axes.push_back(i);
  return axes;
}

// ---------------------------------------------------------------- BatchNormalization

// By the statistics of the batch, with those that ONNX says: the biased variance runs.
Values by_batch(const Call& call, double eps, double momentum) {
  const Tensor& x = call[0];
  const auto [var, mean] = ag::var_mean(x, but_channels(x), false, 0);
  const Tensor y =
      (x - by_channel(mean, x)) / ag::sqrt(by_channel(var, x) + eps) * by_channel(call[1], x) +
      by_channel(call[2], x);
  return several(y, call[3] * momentum + mean * (1 - momentum),
                 call[4] * momentum + var * (1 - momentum));
}

Run batch_normalization(Node& node) {
  node.ignore("consumed_inputs");
  const double eps = node.number("epsilon", 1e-5), momentum = node.number("momentum", 0.9);
  if (!node.flag("spatial", true)) node.refuse("spatial must be 1, got 0");
  const bool always = node.opset >= 14 && node.flag("training_mode");
  if (node.opset < 7 && !node.flag("is_test")) node.refuse("is_test must be 1, got 0");
  if (!always && node.wants(1)) node.refuse("must have one output, unless in training_mode");
  const bool own = node.statistics.size() > 4 && node.statistics[3] && node.statistics[4];
  return [=](const Call& call) {
    if (always) return by_batch(call, eps, momentum);
    return one(ag::batch_norm(
        call[0], call[3], call[4], call[1], call[2],
        {.training = call.mode.training && own, .momentum = 1 - momentum, .eps = eps}));
  };
}

// ---------------------------------------------------------------- the others

Run instance_normalization(Node& node) {
  node.ignore("consumed_inputs");
  return [eps = node.number("epsilon", 1e-5)](const Call& call) {
    return one(ag::instance_norm(call[0], {}, {}, call[1], call[2], {.eps = eps}));
  };
}

Run layer_normalization(Node& node) {
  const std::int64_t axis = node.integer("axis", -1);
  const double eps = node.number("epsilon", 1e-5);
  node.ignore("stash_type");
  const bool more = node.wants(1) || node.wants(2);
  return [=](const Call& call) {
    const Tensor& x = call[0];
    const ag::Shape shape = tail("LayerNormalization", x, axis);
    const bool fits = call[1].shape() == shape && (!call.has(2) || call[2].shape() == shape);
    Tensor y = fits ? ag::layer_norm(x, shape, call[1], call.has(2) ? call[2] : Tensor(), eps)
                    : ag::layer_norm(x, shape, {}, {}, eps) * call[1];
    if (!fits && call.has(2)) y = y + call[2];
    if (!more) return one(y);
    ag::Axes axes;
    for (std::int64_t i = x.ndim() - shape.ndim(); i < x.ndim(); ++i) axes.push_back(i);
    const auto [var, mean] = ag::var_mean(x, axes, true, 0);
    return several(y, mean, ag::rsqrt(var + eps));
  };
}

Run rms_normalization(Node& node) {
  const std::int64_t axis = node.integer("axis", -1);
  const double eps = node.number("epsilon", 1e-5);
  node.ignore("stash_type");
  return [=](const Call& call) {
    const ag::Shape shape = tail("RMSNormalization", call[0], axis);
    if (call[1].shape() == shape) return one(ag::rms_norm(call[0], shape, call[1], eps));
    return one(ag::rms_norm(call[0], shape, {}, eps) * call[1]);
  };
}

// Up to opset 20 scale and bias are those of groups, then those of channels.
Run group_normalization(Node& node) {
  const std::int64_t groups = node.integer("num_groups");
  const double eps = node.number("epsilon", 1e-5);
  node.ignore("stash_type");
  return [=, by_group = node.opset < 21](const Call& call) {
    const Tensor& x = call[0];
    const auto each = [&](const Tensor& v) {
      return by_group && groups > 0 ? ag::repeat_interleave(v, x.size(1) / groups) : v;
    };
    return one(ag::group_norm(x, groups, each(call[1]), each(call[2]), eps));
  };
}

// Of an even number of channels ONNX takes one more behind, autograd one more before.
Run lrn(Node& node) {
  const std::int64_t size = node.integer("size");
  const double alpha = node.number("alpha", 1e-4), beta = node.number("beta", 0.75);
  const double k = node.number("bias", 1);
  return unary([=](const Tensor& x) {
    const bool even = size % 2 == 0;
    const Tensor y = ag::local_response_norm(even ? ag::flip(x, 1) : x, size, alpha, beta, k);
    return even ? ag::flip(y, 1) : y;
  });
}

Run mean_variance_normalization(Node& node) {
  return unary([axes = node.integers("axes").value_or(Integers{0, 2, 3})](const Tensor& x) {
    const auto [var, mean] = ag::var_mean(x, axes_of(axes), true, 0);
    return (x - mean) / (ag::sqrt(var) + 1e-9);
  });
}

// ---------------------------------------------------------------- Dropout

// In training it drops, whatever the file says; in evaluation it does as the file says.
Run dropout(Node& node) {
  const std::optional<double> old =
      node.opset < 12 ? std::optional(node.number("ratio", 0.5)) : std::nullopt;
  node.ignore("seed");
  node.ignore("is_test");
  node.ignore("consumed_inputs");
  return [old, mask = node.wants(1)](const Call& call) {
    const Tensor& x = call[0];
    const double p = old ? *old : call.has(1) ? call.number(1) : 0.5;
    const bool asked = !old && call.has(2) && call.integer(2) != 0;
    if ((!call.mode.training && !asked) || p == 0)
      return mask ? several(x, ag::ones(x.shape(), ag::boolean)) : one(x);
    if (!(p > 0 && p < 1)) ag::fail("Dropout", "ratio must be in [0, 1), got {}", p);
    const Tensor kept = ag::bernoulli(x.shape(), 1 - p, ag::float32) != 0;
    const Tensor y = ag::where(kept, x / (1 - p), 0);
    return mask ? several(y, kept) : one(y);
  };
}

constexpr Operator kOperators[] = {
    {"BatchNormalization", batch_normalization, 5, 5, Step::Kind::random},
    {"Dropout", dropout, 1, 3, Step::Kind::random},
    {"GroupNormalization", group_normalization, 3, 3},
    {"InstanceNormalization", instance_normalization, 3, 3},
    {"LRN", lrn, 1, 1},
    {"LayerNormalization", layer_normalization, 2, 3},
    {"MeanVarianceNormalization", mean_variance_normalization, 1, 1},
    {"RMSNormalization", rms_normalization, 2, 2},
};

}  // namespace

std::span<const Operator> norm_operators() { return kOperators; }

}  // namespace nn::interpreter
