#include "autograd/ops/neural/ctc_loss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/ctc.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/reference.hpp"

// Forward and backward sums over the alignments, in the logarithm.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;

constexpr double kNone = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  if (a == kNone) return b;
  if (b == kNone) return a;
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));  // NaN for a NaN
}

using Numbers = detail::PooledVector<double>;

// One sample: its log-probabilities, by step and class, and its target with blanks between. Sums
// stand at its places, with two more beside them that are -∞.
template <class T>
struct Alignments {
  static constexpr std::int64_t kBeside = 2;
  const T* log_probs;
  std::int64_t step, steps;  // from one step to the next; how many
  std::int64_t length, places;
  detail::PooledVector<std::int64_t> labels;
  Numbers skips;  // 0 where the blank before a place may be left out, else -∞; then two more of -∞

  Alignments(const T* probs, std::int64_t step_size, std::int64_t n, const std::int64_t* target,
             std::int64_t target_length, std::int64_t blank)
      : log_probs(probs),
        step(step_size),
        steps(n),
        length(target_length),
        places(2 * target_length + 1),
        labels(static_cast<std::size_t>(places), blank),
        skips(row(), kNone) {
    for (std::int64_t k = 0; k < length; ++k) {
      labels[static_cast<std::size_t>(2 * k + 1)] = target[k];
      if (k > 0 && target[k] != target[k - 1]) skips[static_cast<std::size_t>(2 * k + 1)] = 0;
    }
  }
  std::size_t row() const { return static_cast<std::size_t>(places + kBeside); }
  std::int64_t label(std::int64_t s) const { return labels[static_cast<std::size_t>(s)]; }

  void emit(std::int64_t t, double* sums) const {
    const T* from = log_probs + t * step;
    for (std::int64_t s = 0; s < places; ++s) sums[s] += static_cast<double>(from[label(s)]);
  }
  // The sums up to step t, from those up to t - 1, which have -∞ in front.
  void forward(std::int64_t t, const double* before, double* a) const {
    if (t == 0)
      for (std::int64_t s = 0; s < places; ++s) a[s] = s < 2 ? 0 : kNone;
    else
      kernels::LogSums::run(before, before - 1, before - 2, skips.data(), a, places);
    emit(t, a);
  }
  // The sums over the steps after t - 1, from those over the steps after t, which get step t and
  // have -∞ behind.
  void backward(std::int64_t t, double* after, double* b) const {
    emit(t, after);
    kernels::LogSums::run(after, after + 1, after + 2, skips.data() + 2, b, places);
  }
  double end(const double* a) const {
    if (steps == 0) return length == 0 ? 0 : kNone;
    return length == 0 ? a[0] : log_add(a[places - 1], a[places - 2]);
  }
};

// log_probs (steps, n, classes), targets (n, longest) or joined, lengths of inputs and targets (n).
struct CtcTerms {
  std::int64_t blank;
  bool zero_infinity;
  XGRAD_ATTRIBUTES(blank, zero_infinity)

  std::string_view name() const { return "ctc_loss"; }

  // Where each target begins. Throws where a length or class does not fit.
  std::vector<std::int64_t> begins(const Inputs& in) const {
    const auto *input = in_ptr<std::int64_t>(in[2]), *length = in_ptr<std::int64_t>(in[3]);
    const bool joined = in[1].ndim() == 1;
    const std::int64_t n = in[2].numel(), steps = in[0].size(0), all = in[1].numel();
    std::vector<std::int64_t> begin;
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      if (input[i] < 0 || input[i] > steps)
        fail(name(), "input lengths must be in [0, {}], got {} at sample {}", steps, input[i], i);
      const std::int64_t room = joined ? all - at : in[1].size(1);
      if (length[i] < 0 || length[i] > room)
        fail(name(), "target lengths must be in [0, {}], got {} at sample {}", room, length[i], i);
      begin.push_back(joined ? at : i * room);
      check_classes(in, begin.back(), length[i], i);
      at += length[i];
    }
    if (joined && at != all)
      fail(name(), "target lengths must add up to the {} targets, got {}", all, at);
    return begin;
  }

  template <class T>
  Alignments<T> sample(const Inputs& in, std::int64_t i, std::int64_t begin) const {
    const std::int64_t classes = in[0].size(2), step = in[0].size(1) * classes;
    return {in_ptr<T>(in[0]) + i * classes, step,
            in_ptr<std::int64_t>(in[2])[i], in_ptr<std::int64_t>(in[1]) + begin,
            in_ptr<std::int64_t>(in[3])[i], blank};
  }

  // On all threads: f(T, sample) for each.
  template <class F>
  void each(const Inputs& in, F f) const {
    const double cost = 8 * static_cast<double>(in[0].size(0) * (2 * in[1].size(-1) + 1));
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      parallel_for(in[2].numel(), 1, cost, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) f(zero, i);
      });
    });
  }

 private:
  void check_classes(const Inputs& in, std::int64_t begin, std::int64_t length,
                     std::int64_t i) const {
    const auto* target = in_ptr<std::int64_t>(in[1]);
    for (std::int64_t k = begin; k < begin + length; ++k)
      if (target[k] < 0 || target[k] >= in[0].size(2) || target[k] == blank)
        fail(name(), "targets must be in [0, {}] and not the blank {}, got {} in sample {}",
             in[0].size(2) - 1, blank, target[k], i);
  }
};

// The gradient for log_probs, from the inputs and the cotangents of the losses: minus the
// probability of each class at each step, given the target.
struct CtcGradient : CtcTerms {
  std::string_view name() const { return "ctc_loss_gradient"; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::vector<std::int64_t> begin = begins(in);
    each(in, [&]<class T>(T, std::int64_t i) {
      const std::int64_t classes = out.size(2);
      const auto s = sample<T>(in, i, begin[static_cast<std::size_t>(i)]);
      T* to = out_ptr<T>(out) + i * classes;
      for (std::int64_t t = 0; t < out.size(0); ++t) std::fill_n(to + t * s.step, classes, T(0));
      add<T>(s, static_cast<double>(in_ptr<T>(in[4])[i]), classes, to);
    });
  }

 private:
  template <class T>
  void add(const Alignments<T>& s, double scale, std::int64_t classes, T* to) const {
    const std::int64_t places = s.places, row = places + s.kBeside;
    Numbers sums(static_cast<std::size_t>((s.steps + 1) * row), kNone);
    double* const all = sums.data() + s.kBeside;
    for (std::int64_t t = 0; t < s.steps; ++t)
      s.forward(t, all + std::max<std::int64_t>(t - 1, 0) * row, all + t * row);
    const double total = s.end(all + std::max<std::int64_t>(s.steps - 1, 0) * row);
    if (total == kNone) {
      const T spoilt = zero_infinity ? T(0) : std::numeric_limits<T>::quiet_NaN();
      for (std::int64_t t = 0; t < s.steps; ++t) std::fill_n(to + t * s.step, classes, spoilt);
      return;
    }
    Numbers b(s.row(), kNone), next(s.row(), kNone), share(static_cast<std::size_t>(places));
    for (std::int64_t p = std::max<std::int64_t>(0, places - 2); p < places; ++p)
      b[static_cast<std::size_t>(p)] = 0;
    for (std::int64_t t = s.steps - 1; t >= 0; --t) {
      kernels::Shares::run(all + t * row, b.data(), total, scale, share.data(), places);
      for (std::int64_t p = 0; p < places; ++p)
        to[t * s.step + s.label(p)] -= static_cast<T>(share[static_cast<std::size_t>(p)]);
      s.backward(t, b.data(), next.data());
      b.swap(next);
    }
  }
};

// The losses of the samples (n).
struct Ctc : CtcTerms {
  TensorSpec infer(const Inputs& in) const { return {in[2].shape(), in[0].dtype()}; }

  void forward(const Inputs& in, Tensor& out) const {
    const std::vector<std::int64_t> begin = begins(in);
    each(in, [&]<class T>(T, std::int64_t i) {
      const auto s = sample<T>(in, i, begin[static_cast<std::size_t>(i)]);
      Numbers a(s.row(), kNone), next(s.row(), kNone);
      for (std::int64_t t = 0; t < s.steps; ++t) {
        s.forward(t, a.data() + s.kBeside, next.data() + s.kBeside);
        a.swap(next);
      }
      const double total = s.end(a.data() + s.kBeside);
      out_ptr<T>(out)[i] = static_cast<T>(total == kNone && zero_infinity ? 0 : -total);
    });
  }

  unsigned saves() const { return save_input(0) | save_input(1) | save_input(2) | save_input(3); }

  TensorList backward(const Call& call) const {
    if (grad_enabled())
      return reference_gradient(call, [this](const TensorList& in) { return reference(in); });
    const Tensor x = call.input(0);
    Tensor gradient = empty(x.shape(), x.dtype());
    compute_into(gradient, CtcGradient{{blank, zero_infinity}}, x, call.input(1), call.input(2),
                 call.input(3), call.grad());
    return {gradient, Tensor(), Tensor(), Tensor()};
  }
  // An element of log_probs reaches the loss of its sample.
  TensorList jvp(const Call& call) const {
    if (grad_enabled())
      return {internal::reference_tangent(call,
                                          [this](const TensorList& in) { return reference(in); })};
    const Tensor x = call.input(0), &t = call.tangent(0);
    Tensor gradient = empty(x.shape(), x.dtype());
    compute_into(gradient, CtcGradient{{blank, zero_infinity}}, x, call.input(1), call.input(2),
                 call.input(3), ones(call.output_spec().shape, x.dtype()));
    return {sum(gradient * t, {0, 2})};
  }

  // Targets (n, longest), blanks beyond their lengths.
  Tensor padded(const TensorList& in) const {
    const std::int64_t longest = in[1].size(-1);
    const Tensor place = arange(longest), length = unsqueeze(in[3], 1);
    Tensor target = in[1];
    if (target.ndim() == 1) {
      const Tensor begin = unsqueeze(cumsum(in[3], 0) - in[3], 1);
      target = take(target, where(place < length, begin + place, 0));
    }
    return where(place < length, target, static_cast<double>(blank));
  }

  // The same sums by tensors. What is impossible is far below 0 and not infinite, whose differences
  // would be NaN.
  Tensor reference(const TensorList& in) const;
};

Tensor Ctc::reference(const TensorList& in) const {
  constexpr double kFar = -1e30;
  const std::int64_t steps = in[0].size(0), n = in[0].size(1), longest = in[1].size(-1);
  const std::int64_t places = 2 * longest + 1;
  if (steps == 0 || n == 0) return zeros({n}, in[0].dtype());
  const auto blanks = [&](std::int64_t k) {
    return full({n, k}, static_cast<double>(blank), int64);
  };
  Tensor label = blanks(1);
  if (longest > 0)
    label = concat({reshape(stack({blanks(longest), padded(in)}, 2), {n, 2 * longest}), label}, 1);
  const auto moved = [&](const Tensor& a, std::int64_t by) {
    const Tensor far = full({n, std::min(by, places)}, kFar, in[0].dtype());
    return by < places ? concat({far, narrow(a, 1, 0, places - by)}, 1) : far;
  };
  Tensor skips = zeros({n, places}, boolean);
  if (longest > 0) {
    const Tensor later = narrow(label, 1, 2, places - 2);
    const Tensor differs =
        logical_and(later != static_cast<double>(blank), later != narrow(label, 1, 0, places - 2));
    skips = concat({zeros({n, 2}, boolean), differs}, 1);
  }
  Tensor a;
  for (std::int64_t t = 0; t < steps; ++t) {
    const Tensor emitted = gather(select(in[0], 0, t), 1, label);
    if (t == 0) {
      a = where(arange(places) < 2, emitted, kFar);
      continue;
    }
    const Tensor sum = logsumexp(stack({a, moved(a, 1), where(skips, moved(a, 2), kFar)}, 0), 0);
    const Tensor now = emitted + sum;
    const Tensor known = where(now > 0.1 * kFar, now, kFar);
    a = where(unsqueeze(in[2], 1) > static_cast<double>(t), known, a);
  }
  const Tensor length = unsqueeze(in[3], 1), last = gather(a, 1, 2 * length);
  const Tensor before = gather(a, 1, where(length > 0, 2 * length - 1, 0));
  const Tensor both = stack({last, where(length > 0, before, kFar)}, 0);
  Tensor loss = -squeeze(logsumexp(both, 0), 1);
  loss = where(in[2] == 0, -kFar * (in[3] != 0).to(loss.dtype()), loss);
  return where(loss < -0.1 * kFar, loss,
               zero_infinity ? 0 : std::numeric_limits<double>::infinity());
}

void check_lengths(const char* what, const Tensor& lengths, std::int64_t n, bool batched) {
  if (lengths.dtype() != int64)
    fail("ctc_loss", "{} must be int64, got {}", what, name(lengths.dtype()));
  if (lengths.shape() != Shape(n) && (batched || lengths.ndim() > 0))
    fail("ctc_loss", "{} must have one for each of {} samples, got shape {}", what, n,
         lengths.shape());
}

}  // namespace

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, const CTCLossOptions& options) {
  const char* op = "ctc_loss";
  const detail::Named as(op);
  if (!is_floating(log_probs.dtype()))
    fail(op, "log_probs must be float32 or float64, got {}", name(log_probs.dtype()));
  if (log_probs.ndim() != 2 && log_probs.ndim() != 3)
    fail(op, "log_probs must be (steps, n, classes) or (steps, classes), got shape {}",
         log_probs.shape());
  const bool batched = log_probs.ndim() == 3;
  const Tensor x = batched ? log_probs : unsqueeze(log_probs, 1);
  const std::int64_t n = x.size(1);
  if (targets.dtype() != int64) fail(op, "targets must be int64, got {}", name(targets.dtype()));
  if (targets.ndim() != 1 && (!batched || targets.ndim() != 2 || targets.size(0) != n))
    fail(op, "targets must be (n, longest) or joined for log_probs {}, got shape {}",
         log_probs.shape(), targets.shape());
  if (options.blank < 0 || options.blank >= x.size(2))
    fail(op, "blank must be in [0, {}], got {}", x.size(2) - 1, options.blank);
  check_lengths("input_lengths", input_lengths, n, batched);
  check_lengths("target_lengths", target_lengths, n, batched);
  const Tensor inputs = reshape(input_lengths, {n}), lengths = reshape(target_lengths, {n});
  const Tensor loss =
      apply(Ctc{{options.blank, options.zero_infinity}}, x, targets, inputs, lengths);
  switch (options.reduction) {
    case Reduction::mean:
      return mean(loss / where(lengths > 0, lengths, 1).to(loss.dtype()));
    case Reduction::sum:
      return sum(loss);
    default:
      return batched ? loss : squeeze(loss, 0);
  }
}

}  // namespace autograd
