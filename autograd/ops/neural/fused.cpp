#include <algorithm>
#include <array>

#include "autograd/kernels/kernels.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

// Operations with kernels of their own for value and first derivative. Each carries its formula in
// plain operations, which tests compare it with and higher orders differentiate.
namespace autograd {
namespace {

using kernels::active;
using kernels::Floating;

template <class T>
const T* in_ptr(const Tensor& t) {
  return static_cast<const T*>(t.raw());
}
template <class T>
T* out_ptr(Tensor& t) {
  return static_cast<T*>(t.raw_mutable());
}

// Rows of the last axis.
std::int64_t last(const Tensor& t) { return t.ndim() == 0 ? 1 : t.size(-1); }
std::int64_t rows(const Tensor& t) { return last(t) == 0 ? 0 : t.numel() / last(t); }

// The gradient from the result and its cotangent.
struct SoftmaxGradient {
  static constexpr bool kTotal = true;
  bool log;
  std::string_view name() const { return log ? "log_softmax" : "softmax"; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto& k = active().floating<T>();
      (log ? k.log_softmax_gradient : k.softmax_gradient)(in_ptr<T>(in[0]), in_ptr<T>(in[1]),
                                                          out_ptr<T>(out), rows(out), last(out));
    });
  }
};

struct Softmax {
  static constexpr bool kTotal = true;
  bool log;

  std::string_view name() const { return log ? "log_softmax" : "softmax"; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_floating(name(), in[0]);
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto& k = active().floating<T>();
      (log ? k.log_softmax : k.softmax)(in_ptr<T>(in[0]), out_ptr<T>(out), rows(out), last(out));
    });
  }
  unsigned saves() const { return kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor y = call.output(), g = call.grad();
    if (grad_enabled()) {
      if (log) return {g - exp(y) * sum(g, y.ndim() ? Axes(-1) : Axes(), true)};
      return {y * (g - sum(g * y, y.ndim() ? Axes(-1) : Axes(), true))};
    }
    Tensor gx = empty(y.shape(), y.dtype());
    compute_into(gx, SoftmaxGradient{log}, y, g);
    return {gx};
  }
};

Tensor softmax_along(const Softmax& op, const Tensor& x, std::int64_t axis) {
  internal::check_defined(op.name(), x);
  axis = shapes::axis(op.name(), axis, x.shape());
  if (axis + 1 >= x.ndim()) return apply(op, x);
  return transpose(apply(op, transpose(x, axis, -1)), axis, -1);
}

// What the loss of a sample is made of: logits (n, classes), targets (n), weight (classes).
struct ClassTerms {
  double smoothing;
  std::int64_t ignore;

  std::string_view name() const { return "cross_entropy"; }
  // Coefficients of -log p of the target and of every class.
  template <class T>
  struct Terms {
    T target, each;
  };
  template <class T>
  Terms<T> terms(const T* weight, std::int64_t target, std::int64_t classes) const {
    return {static_cast<T>(1 - smoothing) * weight[target],
            static_cast<T>(smoothing / static_cast<double>(classes))};
  }
};

// The gradient for the logits, from logits, targets, weight and the cotangents of the losses.
struct CrossEntropyGradient : ClassTerms {
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = rows(out), classes = last(out);
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      T* p = out_ptr<T>(out);
      active().floating<T>().softmax(in_ptr<T>(in[0]), p, n, classes);
      const auto* target = in_ptr<std::int64_t>(in[1]);
      const auto *weight = in_ptr<T>(in[2]), *scale = in_ptr<T>(in[3]);
      T total = 0;
      if (smoothing != 0)
        for (std::int64_t c = 0; c < classes; ++c) total += weight[c];
      for (std::int64_t i = 0; i < n; ++i, p += classes) {
        if (target[i] == ignore) {
          std::fill_n(p, classes, T(0));
          continue;
        }
        const auto t = terms(weight, target[i], classes);
        const T factor = scale[i] * (t.target + t.each * total);
        for (std::int64_t c = 0; c < classes; ++c) p[c] *= factor;
        if (t.each != 0)
          for (std::int64_t c = 0; c < classes; ++c) p[c] -= scale[i] * t.each * weight[c];
        p[target[i]] -= scale[i] * t.target;
      }
    });
  }
};

// Losses of the samples.
struct CrossEntropy : ClassTerms {
  TensorSpec infer(const Inputs& in) const { return {{in[0].shape()[0]}, in[0].dtype()}; }

  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = rows(in[0]), classes = last(in[0]);
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      Tensor buffer = empty(in[0].shape(), out.dtype());
      T* logp = out_ptr<T>(buffer);
      active().floating<T>().log_softmax(in_ptr<T>(in[0]), logp, n, classes);
      const auto* target = in_ptr<std::int64_t>(in[1]);
      const auto* weight = in_ptr<T>(in[2]);
      T* loss = out_ptr<T>(out);
      for (std::int64_t i = 0; i < n; ++i, logp += classes) {
        loss[i] = 0;
        if (target[i] == ignore) continue;
        if (target[i] < 0 || target[i] >= classes)
          fail(name(), "targets must be in [0, {}] (or ignore_index {}), got {} at sample {}",
               classes - 1, ignore, target[i], i);
        const auto t = terms(weight, target[i], classes);
        loss[i] = -t.target * logp[target[i]];
        if (t.each != 0)
          for (std::int64_t c = 0; c < classes; ++c) loss[i] -= t.each * weight[c] * logp[c];
      }
    });
  }

  unsigned saves() const { return save_input(0) | save_input(1) | save_input(2); }

  TensorList backward(const Call& call) const {
    if (grad_enabled() || call.needs(2))
      return reference_gradient(call, [this](const TensorList& in) { return reference(in); });
    const Tensor z = call.input(0);
    Tensor gz = empty(z.shape(), z.dtype());
    compute_into(gz, CrossEntropyGradient{{smoothing, ignore}}, z, call.input(1), call.input(2),
                 call.grad());
    return {gz, Tensor(), Tensor()};
  }

  Tensor reference(const TensorList& in) const {
    const Tensor logp = log_softmax(in[0], 1);
    const Tensor counts = in[1] != static_cast<double>(ignore);
    const Tensor target = where(counts, in[1], 0.0);
    const Tensor hit = squeeze(gather(logp, 1, unsqueeze(target, 1)), 1);
    const Tensor own = hit * index_select(in[2], 0, target);
    const Tensor spread = sum(logp * in[2], 1) / static_cast<double>(last(in[0]));
    return where(counts, -(1 - smoothing) * own - smoothing * spread, 0.0);
  }
};

// The sum of the weights (classes) of the targets (n).
struct TargetWeight {
  std::int64_t ignore;

  std::string_view name() const { return "cross_entropy"; }
  TensorSpec infer(const Inputs& in) const { return {{}, in[1].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto *t = in_ptr<std::int64_t>(in[0]), *end = t + in[0].numel();
      const T* weight = in_ptr<T>(in[1]);
      double total = 0;
      for (; t != end; ++t)
        if (*t != ignore) total += static_cast<double>(weight[*t]);
      *out_ptr<T>(out) = static_cast<T>(total);
    });
  }
};

// From x (rows, n), mean and 1/σ, the cotangent and the weight, if any: the gradients that are
// wanted of x, weight and bias.
struct LayerNormGradient {
  static constexpr bool kTotal = true;
  bool of_x, of_weight, of_bias;

  std::string_view name() const { return "layer_norm"; }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const std::int64_t n = in[0].shape()[0], width = in[0].shape()[1];
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::size_t next = 0;
      auto target = [&](bool wanted) { return wanted ? out_ptr<T>(out[next++]) : nullptr; };
      T *x = target(of_x), *weight = target(of_weight), *bias = target(of_bias);
      for (T* p : {weight, bias})
        if (p) std::fill_n(p, width, T(0));
      active().floating<T>().layer_norm_gradient(
          in_ptr<T>(in[0]), in.size() > 4 ? in_ptr<T>(in[4]) : nullptr, in_ptr<T>(in[1]),
          in_ptr<T>(in[2]), in_ptr<T>(in[3]), x, weight, bias, n, width);
    });
  }
};

// The result, and mean and 1/σ of each row for the gradient.
struct LayerNorm {
  static constexpr bool kTotal = true;
  static constexpr std::size_t kOutputs = 3;
  bool weighted, biased;
  double eps;

  std::string_view name() const { return "layer_norm"; }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    const TensorSpec row{{in[0].shape()[0]}, in[0].dtype()};
    return {TensorSpec{in[0].shape(), in[0].dtype()}, row, row};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const std::int64_t n = in[0].shape()[0], width = in[0].shape()[1];
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      active().floating<T>().layer_norm(in_ptr<T>(in[0]), weighted ? in_ptr<T>(in[1]) : nullptr,
                                        biased ? in_ptr<T>(in[in.size() - 1]) : nullptr,
                                        out_ptr<T>(out[0]), out_ptr<T>(out[1]), out_ptr<T>(out[2]),
                                        n, width, eps);
    });
  }
  unsigned saves() const {
    return save_input(0) | save_input(1) | save_input(2) | save_output(1) | save_output(2);
  }
  TensorList backward(const Call& call) const {
    const Tensor &mean = call.output_value(1), &rstd = call.output_value(2);
    if (grad_enabled())
      return reference_gradient(call,
                                [&](const TensorList& in) { return reference(in, mean, rstd); });
    const std::size_t count = call.inputs();
    const Tensor x = call.input(0);
    const LayerNormGradient gradient{call.needs(0), weighted && call.needs(1),
                                     biased && call.needs(count - 1)};
    TensorList out, result(count, Tensor());
    for (std::size_t i = 0; i < count; ++i)
      if (call.needs(i)) out.push_back(empty(call.input_shape(i), x.dtype()));
    const Tensor &g = call.grad(), weight = weighted ? call.input(1) : g;
    const Tensor* in[] = {&x, &mean, &rstd, &g, &weight};
    compute(gradient, Inputs({in, weighted ? 5u : 4u}), {out.data(), out.size()});
    for (std::size_t i = 0, k = 0; i < count; ++i)
      if (call.needs(i)) result[i] = out[k++];
    return result;
  }
  Tensor reference(const TensorList& in, const Tensor& mean, const Tensor& rstd) const {
    // In units in which squares neither overflow nor vanish; the value does not depend on them.
    const double far = in[0].dtype() == float32 ? 1e15 : 1e140;
    const Tensor size = unsqueeze(maximum(abs(mean), 1 / rstd), 1);
    const Tensor unit = where((size > far) | (size < 1 / far), size, 1.0), x = in[0] / unit;
    const Tensor centred = x - autograd::mean(x, 1, true);
    Tensor y = centred / sqrt(autograd::mean(square(centred), 1, true) + eps / unit / unit);
    if (weighted) y = y * in[1];
    return biased ? y + in.back() : y;
  }
};

// Moves the class axis (1) last and joins the others: (n, classes, …) → (N, classes).
Tensor class_rows(const Tensor& t) {
  if (t.ndim() == 1) return unsqueeze(t, 0);
  Axes order{0};
  for (std::int64_t i = 2; i < t.ndim(); ++i) order.push_back(i);
  order.push_back(1);
  std::int64_t n = 1;
  for (std::int64_t i = 0; i < t.ndim(); ++i) n *= i == 1 ? 1 : t.size(i);
  return reshape(t.ndim() > 2 ? permute(t, order) : t, {n, t.size(1)});
}

}  // namespace

Tensor softmax(const Tensor& x, std::int64_t axis) { return softmax_along({false}, x, axis); }
Tensor log_softmax(const Tensor& x, std::int64_t axis) { return softmax_along({true}, x, axis); }

Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options) {
  const detail::Named as("cross_entropy");
  const char* op = "cross_entropy";
  internal::check_floating(op, logits);
  if (logits.ndim() == 0) fail(op, "logits must have a class axis, got a 0-d tensor");
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    fail(op, "label_smoothing must be in [0, 1], got {}", options.label_smoothing);
  const std::int64_t class_axis = logits.ndim() == 1 ? 0 : 1, classes = logits.size(class_axis);
  const Tensor weight = options.weight.defined() ? options.weight : ones({classes}, logits.dtype());
  internal::check_same_dtype(op, logits, weight);
  if (weight.shape() != Shape(classes))
    fail(op, "weight must have one factor per class, got {} for {} classes", weight.shape(),
         classes);

  Shape samples = logits.shape();
  samples.erase(samples.begin() + class_axis);
  // What makes classes of targets that hold them in another form, such as a column of a table.
  const auto remedy = [&]() -> std::string {
    Shape column = samples;
    column.insert(column.begin() + class_axis, 1);
    const bool squeezed = targets.shape() == column, cast = targets.dtype() != int64;
    if (!squeezed && targets.shape() != samples) return "";
    return fmt::format("; if they are classes, use {}{}",
                       squeezed ? fmt::format("squeeze(targets, {})", class_axis) : "targets",
                       cast ? ".to(int64)" : "");
  };
  if (is_floating(targets.dtype())) {
    if (targets.shape() != logits.shape())
      fail(op, "probabilities as targets must have the shape of the logits, got {} and {}{}",
           targets.shape(), logits.shape(), remedy());
    const double share = options.label_smoothing / static_cast<double>(classes);
    const Tensor t = class_rows(targets) * (1 - options.label_smoothing) + share;
    const Tensor loss = -sum(t * log_softmax(class_rows(logits), 1) * weight, 1);
    if (options.reduction == Reduction::none) return reshape(loss, samples);
    if (options.reduction == Reduction::sum) return sum(loss);
    return sum(loss) / static_cast<double>(samples.numel());
  }
  if (targets.dtype() != int64)
    fail(op, "targets must be int64 classes or probabilities, got {}{}", name(targets.dtype()),
         remedy());
  if (targets.shape() != samples)
    fail(op,
         "targets must have the shape of the logits without the class axis, got {} for logits {}{}",
         targets.shape(), logits.shape(), remedy());
  const Tensor classes_of = reshape(targets, {targets.numel()});
  const Tensor loss = reshape(apply(CrossEntropy{{options.label_smoothing, options.ignore_index}},
                                    class_rows(logits), classes_of, weight),
                              samples);
  if (options.reduction == Reduction::none) return loss;
  if (options.reduction == Reduction::sum) return sum(loss);
  return sum(loss) / apply(TargetWeight{options.ignore_index}, classes_of, weight);
}

Tensor layer_norm(const Tensor& x, const Shape& normalized, const Tensor& weight,
                  const Tensor& bias, double eps) {
  const detail::Named as("layer_norm");
  const char* op = "layer_norm";
  internal::check_floating(op, x);
  const auto k = normalized.size();
  if (k == 0 || k > x.shape().size() ||
      !std::equal(normalized.begin(), normalized.end(), x.shape().end() - k))
    fail(op, "the last axes must be {}, got shape {}", normalized, x.shape());
  const std::int64_t width = normalized.numel();
  std::int64_t n = 1;
  for (std::size_t i = 0; i + k < x.shape().size(); ++i) n *= x.shape()[i];
  TensorList in{reshape(x, {n, width})};
  for (const Tensor* t : {&weight, &bias}) {
    if (!t->defined()) continue;
    internal::check_same_dtype(op, x, *t);
    if (t->shape() != normalized)
      fail(op, "weight and bias must have the normalized shape {}, got {}", normalized, t->shape());
    in.push_back(reshape(*t, {width}));
  }
  InlineVector<const Tensor*, 3> pointers;
  for (const auto& t : in) pointers.push_back(&t);
  const LayerNorm norm{weight.defined(), bias.defined(), eps};
  return reshape(apply(norm, Inputs({pointers.data(), pointers.size()}))[0], x.shape());
}

}  // namespace autograd
