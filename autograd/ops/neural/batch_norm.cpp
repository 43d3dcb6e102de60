#include <algorithm>
#include <array>

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/batch_norm.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/norms.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/reference.hpp"
#include "autograd/tape/recomputation.hpp"

// Batch normalisation, and that of instances and groups, which is the same with channels of each
// sample.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;
using kernels::Channels;

// x is (outer, channels, inner) here.
Channels channels_of(const Tensor& x, std::int64_t together = 1) {
  return {x.shape()[0], x.shape()[1], x.shape()[2], together};
}

// f(begin, end) for ranges of groups.
template <class F>
void for_groups(const Channels& s, double nanoseconds, F&& f) {
  parallel_for(s.groups(), s.inner == 1 ? 64 : 1,
               nanoseconds * static_cast<double>(s.outer * s.together * s.inner), f);
}

// Samples of a vmap are more channels: x (outer, channels, inner), or numbers of channels or groups.
Tensor as_channels(const internal::Batch& in, std::size_t i) {
  const Tensor t = in.whole(i);
  if (t.ndim() == 2) return flatten(t);
  return reshape(movedim(t, 0, 1), {t.size(1), t.size(0) * t.size(2), t.size(3)});
}
TensorList as_channels(const internal::Batch& in) {
  TensorList list;
  for (std::size_t i = 0; i < in.size(); ++i) list.push_back(as_channels(in, i));
  return list;
}
Tensor as_samples(const internal::Batch& in, const Tensor& t) {
  const std::int64_t n = in.samples(), channels = t.size(t.ndim() > 1 ? 1 : 0) / n;
  if (t.ndim() == 1) return reshape(t, {n, channels});
  return movedim(reshape(t, {t.size(0), n, channels, t.size(2)}), 1, 0);
}
// What `op`, which is none of the tape, makes for all samples, of `out`.
template <class Op>
TensorList as_samples(const internal::Batch& in, const Op& op, TensorList out) {
  if (in.samples() == 0) return {};
  const TensorList all = as_channels(in);
  compute(op, InputList(all), {out.data(), out.size()});
  for (Tensor& t : out) t = as_samples(in, t);
  return out;
}

// From x, mean, 1/σ, the cotangent and the weight, if any: the gradients that are wanted of x,
// weight and bias.
struct BatchNormGradient {
  static constexpr bool kTotal = true;
  bool of_x, of_weight, of_bias, of_batch;
  std::int64_t together;
  XGRAD_ATTRIBUTES(of_x, of_weight, of_bias, of_batch, together)

  std::string_view name() const { return "batch_norm_gradient"; }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const Channels s = channels_of(in[0], together);
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::size_t next = 0;
      auto target = [&](bool wanted) { return wanted ? out_ptr<T>(out[next++]) : nullptr; };
      T *x = target(of_x), *weight = target(of_weight), *bias = target(of_bias);
      for_groups(s, 0.4, [&](std::int64_t begin, std::int64_t end) {
        kernels::BatchNormGradient<T>::here(s, begin, end, in_ptr<T>(in[0]), in_ptr<T>(in[1]),
                                            in_ptr<T>(in[2]),
                                            in.size() > 4 ? in_ptr<T>(in[4]) : nullptr,
                                            in_ptr<T>(in[3]), of_batch, x, weight, bias);
      });
    });
  }
  TensorList batch(const internal::Batch& in) const {
    TensorList out;
    if (of_x) out.push_back(empty(as_channels(in, 0).shape(), in[0].dtype()));
    for (const bool one : {of_weight, of_bias})
      if (one) out.push_back(empty({in.samples() * in.shape(0)[1]}, in[0].dtype()));
    return as_samples(in, *this, std::move(out));
  }
};

// The gradients of the inputs x, `between` that get none, weight and bias.
TensorList kernel_gradients(const Call& call, const Tensor& mean, const Tensor& rstd, bool weighted,
                            bool biased, std::size_t between, std::int64_t together) {
  const std::size_t count = call.inputs();
  const Tensor& x = call.input_value(0);
  const BatchNormGradient gradient{call.needs(0), weighted && call.needs(1 + between),
                                   biased && call.needs(count - 1), between == 0, together};
  TensorList out, result(count, Tensor());
  for (std::size_t i = 0; i < count; ++i)
    if (call.needs(i)) out.push_back(empty(call.input_shape(i), x.dtype()));
  const Tensor &g = call.grad(), weight = weighted ? call.input_value(1 + between) : g;
  const Tensor* in[] = {&x, &mean, &rstd, &g, &weight};
  compute(gradient, Inputs({in, weighted ? 5u : 4u}), {out.data(), out.size()});
  for (std::size_t i = 0, k = 0; i < count; ++i)
    if (call.needs(i)) result[i] = out[k++];
  return result;
}

// Numbers of the channels, for tensors (outer, channels, inner).
Tensor along(const Tensor& numbers) { return unsqueeze(numbers, 1); }

Tensor affine(const Tensor& y, const TensorList& in, bool weighted, bool biased,
              std::size_t first) {
  const Tensor scaled = weighted ? y * along(in[first]) : y;
  return biased ? scaled + along(in.back()) : scaled;
}

// From x, mean, 1/σ, the tangents of x and, where they have some, of weight and bias, and the weight:
// the tangent of the result.
struct BatchNormTangent {
  static constexpr bool kTotal = true;
  bool weighted, of_weight, of_bias, of_batch;
  std::int64_t together;
  XGRAD_ATTRIBUTES(weighted, of_weight, of_bias, of_batch, together)

  std::string_view name() const { return "batch_norm_tangent"; }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const Channels s = channels_of(in[0], together);
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::size_t next = 4;
      const auto source = [&](bool has) { return has ? in_ptr<T>(in[next++]) : nullptr; };
      const T *weight = source(weighted), *tweight = source(of_weight), *tbias = source(of_bias);
      for_groups(s, 0.4, [&](std::int64_t begin, std::int64_t end) {
        kernels::BatchNormTangent<T>::here(s, begin, end, in_ptr<T>(in[0]), in_ptr<T>(in[1]),
                                           in_ptr<T>(in[2]), weight, in_ptr<T>(in[3]), tweight,
                                           tbias, of_batch, out_ptr<T>(out[0]));
      });
    });
  }
  TensorList batch(const internal::Batch& in) const {
    return as_samples(in, *this, {empty(as_channels(in, 0).shape(), in[0].dtype())});
  }
};

Tensor kernel_tangent(const Call& call, const Tensor& mean, const Tensor& rstd, bool weighted,
                      bool biased, std::size_t between, std::int64_t together) {
  const Tensor& x = call.input_value(0);
  const bool of_weight = weighted && call.tangent(1 + between).defined(),
             of_bias = biased && call.tangent(call.inputs() - 1).defined();
  const Tensor t = call.tangent(0).defined() ? call.tangent(0) : zeros_like(x),
               weight = weighted ? call.input_value(1 + between) : Tensor();
  InputList in;
  for (const Tensor* one : {&x, &mean, &rstd, &t}) in.add(*one);
  if (weighted) in.add(weight);
  if (of_weight) in.add(call.tangent(1 + between));
  if (of_bias) in.add(call.tangent(call.inputs() - 1));
  Tensor out = empty(x.shape(), x.dtype());
  compute(BatchNormTangent{weighted, of_weight, of_bias, between == 0, together}, in, {&out, 1});
  return out;
}

// By the statistics of x: the result; mean, 1/σ and variance of each group of channels.
struct BatchNorm {
  static constexpr bool kTotal = true;
  static constexpr std::size_t kOutputs = 4;
  std::string_view op;
  bool weighted, biased;
  std::int64_t together;
  double eps;
  XGRAD_ATTRIBUTES(op, weighted, biased, together, eps)

  std::string_view name() const { return op; }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    const TensorSpec each{{in[0].shape()[1] / together}, in[0].dtype()};
    return {TensorSpec{in[0].shape(), in[0].dtype()}, each, each, each};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const Channels s = channels_of(in[0], together);
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for_groups(s, 0.3, [&](std::int64_t begin, std::int64_t end) {
        kernels::BatchNorm<T>::here(
            s, begin, end, in_ptr<T>(in[0]), weighted ? in_ptr<T>(in[1]) : nullptr,
            biased ? in_ptr<T>(in[in.size() - 1]) : nullptr, eps, out_ptr<T>(out[0]),
            out_ptr<T>(out[1]), out_ptr<T>(out[2]), out_ptr<T>(out[3]));
      });
    });
  }
  unsigned saves() const {
    return save_input(0) | save_input(1) | save_input(2) | save_output(1) | save_output(2);
  }
  TensorList backward(const Call& call) const {
    const Tensor &mean = call.output_value(1), &rstd = call.output_value(2);
    if (!grad_enabled()) return kernel_gradients(call, mean, rstd, weighted, biased, 0, together);
    return reference_gradient(call,
                              [&](const TensorList& in) { return reference(in, mean, rstd); });
  }
  TensorList jvp(const Call& call) const {
    const Tensor &mean = call.output_value(1), &rstd = call.output_value(2);
    TensorList out(kOutputs, Tensor());
    out[0] = grad_enabled()
                 ? internal::reference_tangent(
                       call, [&](const TensorList& in) { return reference(in, mean, rstd); })
                 : kernel_tangent(call, mean, rstd, weighted, biased, 0, together);
    return out;
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.samples() == 0) return {};
    TensorList out = in.call(*this, as_channels(in));
    for (Tensor& t : out) t = as_samples(in, t);
    return out;
  }
  Tensor reference(const TensorList& in, const Tensor& mean, const Tensor& rstd) const {
    const Shape shape = in[0].shape();
    const Tensor groups = reshape(in[0], {shape[0], shape[1] / together, shape[2] * together});
    // In units in which squares neither overflow nor vanish; the value does not depend on them.
    const double far = in[0].dtype() == float32 ? 1e15 : 1e140;
    const Tensor size = along(maximum(abs(mean), 1 / rstd));
    const Tensor unit = where((size > far) | (size < 1 / far), size, 1.0), x = groups / unit;
    const Tensor centred = x - autograd::mean(x, {0, 2}, true);
    const Tensor var = autograd::mean(square(centred), {0, 2}, true);
    const Tensor y = centred / sqrt(var + eps / unit / unit);
    return affine(reshape(y, shape), in, weighted, biased, 1);
  }
};

// By given mean and 1/σ, which get no gradient.
struct ChannelNorm {
  static constexpr bool kTotal = true;
  bool weighted, biased;
  XGRAD_ATTRIBUTES(weighted, biased)

  std::string_view name() const { return "batch_norm"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const Channels s = channels_of(in[0]);
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for_groups(s, 0.15, [&](std::int64_t begin, std::int64_t end) {
        kernels::ChannelNorm<T>::here(s, begin, end, in_ptr<T>(in[0]), in_ptr<T>(in[1]),
                                      in_ptr<T>(in[2]), weighted ? in_ptr<T>(in[3]) : nullptr,
                                      biased ? in_ptr<T>(in[in.size() - 1]) : nullptr,
                                      out_ptr<T>(out));
      });
    });
  }
  unsigned saves() const {
    return save_input(0) | save_input(1) | save_input(2) | save_input(3) | save_input(4);
  }
  TensorList backward(const Call& call) const {
    if (!grad_enabled())
      return kernel_gradients(call, call.input_value(1), call.input_value(2), weighted, biased, 2,
                              1);
    return reference_gradient(call, [this](const TensorList& in) { return reference(in); });
  }
  TensorList jvp(const Call& call) const {
    if (!grad_enabled())
      return {
          kernel_tangent(call, call.input_value(1), call.input_value(2), weighted, biased, 2, 1)};
    return {
        internal::reference_tangent(call, [this](const TensorList& in) { return reference(in); })};
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.samples() == 0) return {};
    return {as_samples(in, in.call(*this, as_channels(in))[0])};
  }
  Tensor reference(const TensorList& in) const {
    return affine((in[0] - along(in[1])) * along(in[2]), in, weighted, biased, 3);
  }
};

// What an update of running statistics adds up to: `count` values per channel were seen, of which
// `samples` have statistics of their own.
struct Update {
  std::optional<double> momentum;
  std::int64_t count, samples;
  XGRAD_ATTRIBUTES(momentum, count, samples)

  void operator()(const TensorList& from, const TensorList& to) const {
    const bool counted = to.size() == 1 || to.size() == 3;
    double share = momentum.value_or(1);
    if (counted) {
      Tensor batches = to[to.size() - 1];
      const std::int64_t n = ++*batches.mutable_data<std::int64_t>();
      if (!momentum) share = 1 / static_cast<double>(n);
    }
    if (to.size() < 2 || count == 0 || samples == 0) return;
    const double unbiased = static_cast<double>(count) / static_cast<double>(count - 1);
    dispatch_floating("batch_norm", to[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      Tensor mean = to[0], var = to[1];
      blend(from[0].data<T>(), share, 1, mean.mutable_data<T>(), mean.numel());
      blend(from[1].data<T>(), share, unbiased, var.mutable_data<T>(), var.numel());
    });
  }

 private:
  // Running numbers of the channels, towards the means over the samples.
  template <class T>
  void blend(const T* seen, double share, double factor, T* running, std::int64_t channels) const {
    for (std::int64_t c = 0; c < channels; ++c) {
      double total = 0;
      for (std::int64_t i = 0; i < samples; ++i)
        total += static_cast<double>(seen[i * channels + c]);
      const double now = total * factor / static_cast<double>(samples);
      running[c] = static_cast<T>((1 - share) * static_cast<double>(running[c]) + share * now);
    }
  }
};

void update(std::string_view op, const Tensor& mean, const Tensor& var, const Tensor& running_mean,
            const Tensor& running_var, const Tensor& batches, const Update& how) {
  if (recomputing()) return;
  TensorList to;
  for (const Tensor* t : {&running_mean, &running_var, &batches})
    if (t->defined()) to.push_back(*t);
  if (!to.empty()) perform(op, {mean, var}, to, how);
}

// Throws unless x is (n, channels, …) and the others fit it.
void check(std::string_view op, const Tensor& x, const Tensor& running_mean,
           const Tensor& running_var, const Tensor& weight, const Tensor& bias, double eps) {
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (x.ndim() < 2) fail(op, "x must be (n, channels, …), got shape {}", x.shape());
  const std::int64_t channels = x.size(1);
  if (running_mean.defined() != running_var.defined())
    fail(op, "running_mean and running_var must both be given or neither, got one");
  for (const Tensor* t : {&running_mean, &running_var, &weight, &bias}) {
    if (!t->defined()) continue;
    internal::check_same_dtype(op, x, *t);
    if (t->shape() != Shape{channels})
      fail(op, "all but x must have one number for each of its {} channels, got {} for x {}",
           channels, t->shape(), x.shape());
  }
  if (!(eps >= 0)) fail(op, "eps must be at least 0, got {}", eps);
}

// Planes of so few elements are no work for registers: they are laid out so that a channel has one.
// With one element the registers hold neighbouring channels.
constexpr std::int64_t kFew = 8;
bool has_few(const Tensor& x) {
  return x.shape()[2] < kFew && x.shape()[2] != 1 && x.shape()[0] > 1;
}
Tensor gathered(const Tensor& x) {
  if (!has_few(x)) return x;
  return reshape(transpose(x, 0, 1), {1, x.shape()[1], x.shape()[0] * x.shape()[2]});
}
Tensor scattered(const Tensor& y, const Tensor& like) {
  if (!has_few(like)) return y;
  return transpose(reshape(y, {like.shape()[1], like.shape()[0], like.shape()[2]}), 0, 1);
}

// x (outer, channels, inner) by its own statistics, of groups of so many channels.
std::array<Tensor, 4> by_batch(const char* op, const Tensor& x, const Tensor& weight,
                               const Tensor& bias, double eps, std::int64_t together = 1) {
  TensorList in{gathered(x)};
  if (weight.defined()) in.push_back(weight);
  if (bias.defined()) in.push_back(bias);
  auto out = apply(BatchNorm{op, weight.defined(), bias.defined(), together, eps}, InputList(in));
  out[0] = scattered(out[0], x);
  return out;
}

// The same by given statistics, which may change before the backward walk.
Tensor by_running(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, double eps) {
  TensorList in{gathered(x)};
  {
    const NoGrad off;
    in.push_back(running_mean.clone());
    in.push_back(1 / sqrt(running_var + eps));
  }
  if (weight.defined()) in.push_back(weight);
  if (bias.defined()) in.push_back(bias);
  return scattered(apply(ChannelNorm{weight.defined(), bias.defined()}, InputList(in)), x);
}

// x as (n, channels, the others in one).
Tensor flat(const Tensor& x) {
  std::int64_t inner = 1;
  for (std::size_t d = 2; d < x.shape().size(); ++d) inner *= x.shape()[d];
  return reshape(x, {x.shape()[0], x.shape()[1], inner});
}

// One number for each channel of each of n samples.
Tensor of_samples(const Tensor& t, std::int64_t n) {
  return t.defined() ? reshape(expand(t, {n, t.numel()}), {n * t.numel()}) : Tensor();
}

}  // namespace

void detail::update_running_statistics(const Tensor& running_mean, const Tensor& running_var,
                                       const Tensor& num_batches_tracked, const Tensor& mean,
                                       const Tensor& var, std::int64_t count,
                                       std::optional<double> momentum) {
  const char* op = "batch_norm";
  if (running_mean.defined()) internal::check_same_dtype(op, mean, running_mean);
  update(op, mean, var, running_mean, running_var, num_batches_tracked, {momentum, count, 1});
}

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, const BatchNormOptions& options) {
  const detail::Named as("batch_norm");
  const char* op = "batch_norm";
  check(op, x, running_mean, running_var, weight, bias, options.eps);
  const Tensor& batches = options.num_batches_tracked;
  if (batches.defined() && (batches.dtype() != int64 || batches.numel() != 1))
    fail(op, "num_batches_tracked must be one int64, got {} of shape {}", name(batches.dtype()),
         batches.shape());
  const Tensor planes = flat(x);
  if (!options.training) {
    if (!running_mean.defined())
      fail(op, "running_mean and running_var must be given unless training, got none");
    return reshape(by_running(planes, running_mean, running_var, weight, bias, options.eps),
                   x.shape());
  }
  const std::int64_t count = planes.shape()[0] * planes.shape()[2];
  if (count == 1)
    fail(op, "training needs more than one value per channel, got x of shape {}", x.shape());
  if (running_mean.defined() && !options.momentum && !batches.defined())
    fail(op, "num_batches_tracked must be given where momentum is not, got none");
  const auto out = by_batch(op, planes, weight, bias, options.eps);
  detail::update_running_statistics(running_mean, running_var, batches, out[1], out[3], count,
                                    options.momentum);
  return reshape(out[0], x.shape());
}

Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                     const Tensor& weight, const Tensor& bias, const InstanceNormOptions& options) {
  const detail::Named as("instance_norm");
  const char* op = "instance_norm";
  check(op, x, running_mean, running_var, weight, bias, options.eps);
  const Tensor planes = flat(x);
  const std::int64_t n = planes.shape()[0], channels = planes.shape()[1], count = planes.shape()[2];
  if (!options.use_input_stats) {
    if (!running_mean.defined())
      fail(op, "running_mean and running_var must be given unless use_input_stats, got none");
    return reshape(by_running(planes, running_mean, running_var, weight, bias, options.eps),
                   x.shape());
  }
  if (count == 1) fail(op, "needs more than one value per channel, got x of shape {}", x.shape());
  const auto out = by_batch(op, reshape(planes, {1, n * channels, count}), of_samples(weight, n),
                            of_samples(bias, n), options.eps);
  update(op, out[1], out[3], running_mean, running_var, {}, {options.momentum, count, n});
  return reshape(out[0], x.shape());
}

Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight,
                  const Tensor& bias, double eps) {
  const detail::Named as("group_norm");
  const char* op = "group_norm";
  check(op, x, {}, {}, weight, bias, eps);
  const std::int64_t n = x.size(0), channels = x.size(1);
  if (num_groups < 1 || channels % num_groups != 0)
    fail(op, "num_groups must divide the channels, got {} for x {}", num_groups, x.shape());
  const std::int64_t together = channels / num_groups;
  const Tensor planes = flat(x);
  const std::int64_t inner = planes.shape()[2];
  if (inner < kFew) {  // a weight for each of so few is no work for registers either
    const Tensor rows = reshape(planes, {1, n * num_groups, together * inner});
    const Tensor y = reshape(by_batch(op, rows, {}, {}, eps)[0], planes.shape());
    TensorList in;
    for (const Tensor* t : {&weight, &bias})
      if (t->defined()) in.push_back(*t);
    return reshape(affine(y, in, weight.defined(), bias.defined(), 0), x.shape());
  }
  const Tensor y = by_batch(op, reshape(planes, {1, n * channels, inner}), of_samples(weight, n),
                            of_samples(bias, n), eps, std::max<std::int64_t>(together, 1))[0];
  return reshape(y, x.shape());
}

}  // namespace autograd
