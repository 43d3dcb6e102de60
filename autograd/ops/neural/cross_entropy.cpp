#include <fmt/format.h>

#include <algorithm>

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/rows.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/reference.hpp"

// The loss of class scores.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr, internal::last, internal::rows;

// What the loss of a sample is made of: logits (n, classes), targets (n), weight (classes).
struct ClassTerms {
  double smoothing;
  std::int64_t ignore;
  XGRAD_ATTRIBUTES(smoothing, ignore)

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
  std::string_view name() const { return "cross_entropy_gradient"; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = rows(out), classes = last(out);
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      T* p = out_ptr<T>(out);
      kernels::Softmax<T>::run(in_ptr<T>(in[0]), p, n, classes);
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
  TensorList batch(const internal::Batch& in) const {
    if (in.differs(2)) return {};
    const Tensor z = in.joined(0);
    Tensor gz = empty(z.shape(), z.dtype());
    compute_into(gz, *this, z, in.joined(1), in[2], in.joined(3));
    return {in.parted(gz, in.shape(0)[0])};
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
      kernels::LogSoftmax<T>::run(in_ptr<T>(in[0]), logp, n, classes);
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

  TensorList jvp(const Call& call) const {
    if (grad_enabled() || call.tangent(2).defined())
      return {internal::reference_tangent(call,
                                          [this](const TensorList& in) { return reference(in); })};
    const Tensor z = call.input(0), one = ones(call.output_spec().shape, z.dtype());
    Tensor gz = empty(z.shape(), z.dtype());
    compute_into(gz, CrossEntropyGradient{{smoothing, ignore}}, z, call.input(1), call.input(2),
                 one);
    return {sum(gz * call.tangent(0), 1)};
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
  TensorList batch(const internal::Batch& in) const {
    if (in.differs(2)) return {};
    return {in.parted(apply(*this, in.joined(0), in.joined(1), in[2]), in.shape(0)[0])};
  }
};

// The sum of the weights (classes) of the targets (n).
struct TargetWeight {
  std::int64_t ignore;
  XGRAD_ATTRIBUTES(ignore)

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
  TensorList batch(const internal::Batch& in) const {
    if (in.differs(1)) return {};
    const Tensor counts = in[0] != static_cast<double>(ignore), t = where(counts, in[0], 0.0);
    const Tensor each = reshape(index_select(in[1], 0, flatten(t)), t.shape());
    return {sum(where(counts, each, 0.0), 1)};
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

// Logits and targets, checked: the axis of the classes, and the shape of the samples.
struct ClassProblem {
  std::string_view op = "cross_entropy";
  const Tensor &logits, &targets;
  std::int64_t axis, classes;
  Shape samples;

  ClassProblem(const Tensor& scores, const Tensor& wanted) : logits(scores), targets(wanted) {
    internal::check_floating(op, logits);
    if (logits.ndim() == 0) fail(op, "logits must have a class axis, got a 0-d tensor");
    axis = logits.ndim() == 1 ? 0 : 1;
    classes = logits.size(axis);
    samples = logits.shape();
    samples.erase(samples.begin() + axis);
    if (is_floating(targets.dtype()) ? targets.shape() == logits.shape()
                                     : targets.dtype() == int64 && targets.shape() == samples)
      return;
    if (is_floating(targets.dtype()))
      fail(op, "probabilities as targets must have the shape of the logits, got {} and {}{}",
           targets.shape(), logits.shape(), remedy());
    if (targets.dtype() != int64)
      fail(op, "targets must be int64 classes or probabilities, got {}{}", name(targets.dtype()),
           remedy());
    fail(op,
         "targets must have the shape of the logits without the class axis, got {} for logits {}{}",
         targets.shape(), logits.shape(), remedy());
  }
  // What makes classes of targets that hold them in another form, such as a column of a table.
  std::string remedy() const {
    Shape column = samples;
    column.insert(column.begin() + axis, 1);
    const bool squeezed = targets.shape() == column, cast = targets.dtype() != int64;
    if (!squeezed && targets.shape() != samples) return "";
    return fmt::format("; if they are classes, use {}{}",
                       squeezed ? fmt::format("squeeze(targets, {})", axis) : "targets",
                       cast ? ".to(int64)" : "");
  }
  Tensor weights(const Tensor& given) const {
    if (!given.defined()) return ones({classes}, logits.dtype());
    internal::check_same_dtype(op, logits, given);
    if (given.shape() != Shape(classes))
      fail(op, "weight must have one factor per class, got {} for {} classes", given.shape(),
           classes);
    return given;
  }
};

// Targets are probabilities; the mean is over the samples.
Tensor soft_cross_entropy(const ClassProblem& problem, const Tensor& weight,
                          const CrossEntropyOptions& options) {
  const double share = options.label_smoothing / static_cast<double>(problem.classes);
  const Tensor t = class_rows(problem.targets) * (1 - options.label_smoothing) + share;
  const Tensor loss = -sum(t * log_softmax(class_rows(problem.logits), 1) * weight, 1);
  if (options.reduction == Reduction::none) return reshape(loss, problem.samples);
  if (options.reduction == Reduction::sum) return sum(loss);
  return sum(loss) / static_cast<double>(problem.samples.numel());
}

// Targets are classes; the mean is over the weights of the targets.
Tensor hard_cross_entropy(const ClassProblem& problem, const Tensor& weight,
                          const CrossEntropyOptions& options) {
  const Tensor targets = reshape(problem.targets, {problem.targets.numel()});
  Tensor loss = reshape(apply(CrossEntropy{{options.label_smoothing, options.ignore_index}},
                              class_rows(problem.logits), targets, weight),
                        problem.samples);
  if (options.reduction == Reduction::none) return loss;
  if (options.reduction == Reduction::sum) return sum(loss);
  return sum(loss) / apply(TargetWeight{options.ignore_index}, targets, weight);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options) {
  const detail::Named as("cross_entropy");
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    fail("cross_entropy", "label_smoothing must be in [0, 1], got {}", options.label_smoothing);
  const ClassProblem problem(logits, targets);
  const Tensor weight = problem.weights(options.weight);
  return is_floating(targets.dtype()) ? soft_cross_entropy(problem, weight, options)
                                      : hard_cross_entropy(problem, weight, options);
}

}  // namespace autograd
