#include <algorithm>
#include <array>
#include <limits>

#include "autograd/core/internal/buffer.hpp"
#include "autograd/core/internal/pass.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/rows.hpp"
#include "autograd/ops/neural/internal/affine.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/norms.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/reference.hpp"

// Layer normalisation, and that by the root mean square, which leaves the mean where it is.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;

// From x (rows, n), mean and 1/σ, the cotangent and the weight, if any: the gradients that are
// wanted of x, weight and bias.
struct LayerNormGradient {
  static constexpr bool kTotal = true;
  bool of_x, of_weight, of_bias, centred;
  XGRAD_ATTRIBUTES(of_x, of_weight, of_bias, centred)

  std::string_view name() const { return "layer_norm_gradient"; }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const std::int64_t n = in[0].shape()[0], width = in[0].shape()[1];
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::size_t next = 0;
      auto target = [&](bool wanted) { return wanted ? out_ptr<T>(out[next++]) : nullptr; };
      T *x = target(of_x), *weight = target(of_weight), *bias = target(of_bias);
      for (T* p : {weight, bias})
        if (p) std::fill_n(p, width, T(0));
      // One number repeated needs no more than a row of it.
      const auto* number = static_cast<const T*>(in[3].impl()->storage->repeated());
      const detail::Buffer<T> row(number ? width : 0);
      if (number) std::fill_n(row.data(), width, *number);
      kernels::LayerNormGradient<T>::run(
          in_ptr<T>(in[0]), in.size() > 4 ? in_ptr<T>(in[4]) : nullptr, in_ptr<T>(in[1]),
          in_ptr<T>(in[2]), number ? nullptr : in_ptr<T>(in[3]), row.data(), x, weight, bias, n,
          width, centred);
    });
  }
  // Gradients of weight and bias are sums over rows.
  detail::Pass pass(const Inputs& in, const Tensor& out) const {
    if (of_weight || of_bias) return {};
    InlineVector<int, 9> operands{0, 1, 2, 3};
    if (in.size() > 4) operands.push_back(detail::kWhole);
    return detail::by_rows(*this, out, operands);
  }
  template <class T>
  void run_rows(const void* const* in, void* const* out, std::int64_t count, std::int64_t n) const {
    const auto at = [&](int k) { return static_cast<const T*>(in[k]); };
    kernels::LayerNormGradient<T>::here(at(0), at(4), at(1), at(2), at(3), nullptr,
                                        static_cast<T*>(out[0]), nullptr, nullptr, count, n,
                                        centred);
  }
  // Gradients of weight and bias are sums over the rows of each sample.
  TensorList batch(const internal::Batch& in) const {
    const std::int64_t n = in.shape(0)[0];
    const bool weighted = in.size() > 4, scaled = weighted && in.differs(4);
    TensorList result;
    if (of_x) {
      Tensor gx = empty(in.joined(0).shape(), in[0].dtype());
      const Tensor g = scaled ? in.whole(3) * unsqueeze(in[4], 1) : in.whole(3);
      TensorList rows{in.joined(0), in.joined(1), in.joined(2), reshape(g, gx.shape())};
      if (weighted && !scaled) rows.push_back(in[4]);
      compute(LayerNormGradient{true, false, false, centred}, InputList(rows), {&gx, 1});
      result.push_back(in.parted(gx, n));
    }
    if (of_weight) {
      const Tensor x = centred ? in.whole(0) - unsqueeze(in.whole(1), -1) : in.whole(0);
      result.push_back(sum(in.whole(3) * x * unsqueeze(in.whole(2), -1), 1));
    }
    if (of_bias) result.push_back(sum(in.whole(3), 1));
    return result;
  }
};

// From x (rows, n), mean and 1/σ, then, each if there is one, the tangent of x, the weight, its
// tangent and that of the bias: the tangent of the result.
struct LayerNormTangent {
  static constexpr bool kTotal = true;
  bool of_x, weighted, of_weight, of_bias, centred;
  XGRAD_ATTRIBUTES(of_x, weighted, of_weight, of_bias, centred)

  std::string_view name() const { return "layer_norm_tangent"; }
  // The inputs from the fourth on, in this order: null where there is none.
  template <class T, class At>
  std::array<const T*, 4> more(At&& at) const {
    std::array<const T*, 4> p{};
    std::size_t next = 3, k = 0;
    for (const bool has : {of_x, weighted, of_weight, of_bias}) p[k++] = has ? at(next++) : nullptr;
    return p;
  }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = in[0].shape()[0], width = in[0].shape()[1];
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto [t, weight, tweight, tbias] =
          more<T>([&](std::size_t i) { return in_ptr<T>(in[i]); });
      kernels::LayerNormTangent<T>::run(in_ptr<T>(in[0]), weight, in_ptr<T>(in[1]),
                                        in_ptr<T>(in[2]), t, tweight, tbias, out_ptr<T>(out), n,
                                        width, centred);
    });
  }
  detail::Pass pass(const Inputs& in, const Tensor& out) const {
    InlineVector<int, 9> operands(in.size(), detail::kWhole);
    for (std::size_t i = 0; i < (of_x ? 4u : 3u); ++i) operands[i] = static_cast<int>(i);
    return detail::by_rows(*this, out, operands);
  }
  template <class T>
  void run_rows(const void* const* in, void* const* out, std::int64_t count, std::int64_t n) const {
    const auto at = [&](std::size_t k) { return static_cast<const T*>(in[k]); };
    const auto [t, weight, tweight, tbias] = more<T>(at);
    kernels::LayerNormTangent<T>::here(at(0), weight, at(1), at(2), t, tweight, tbias,
                                       static_cast<T*>(out[0]), count, n, centred);
  }
  // What is the same for all rows of a sample, and not for all samples, in plain operations.
  TensorList batch(const internal::Batch& in) const {
    std::size_t next = 3;
    const auto take = [&](bool has) { return has ? next++ : 0; };
    const std::size_t t = take(of_x), weight = take(weighted), tweight = take(of_weight),
                      tbias = take(of_bias);
    const auto row = [&](std::size_t i) { return in.differs(i) ? unsqueeze(in[i], 1) : in[i]; };
    const auto column = [&](std::size_t i) { return unsqueeze(in.whole(i), -1); };
    Tensor of_z;
    if (of_x) {
      of_z = empty(in.joined(0).shape(), in[0].dtype());
      compute_into(of_z, LayerNormTangent{true, false, false, false, centred}, in.joined(0),
                   in.joined(1), in.joined(2), in.joined(t));
      of_z = in.parted(of_z, in.shape(0)[0]);
      if (weighted) of_z = of_z * row(weight);
    }
    const auto z = [&] { return (centred ? in.whole(0) - column(1) : in.whole(0)) * column(2); };
    return {internal::affine_tangent(of_z, z, of_weight ? row(tweight) : Tensor(),
                                     of_bias ? row(tbias) : Tensor(), in.whole(0).shape())};
  }
};

// The result, and mean and 1/σ of each row for the gradient.
struct LayerNorm {
  static constexpr bool kTotal = true;
  static constexpr std::size_t kOutputs = 3;
  bool weighted, biased, centred;
  double eps;
  XGRAD_ATTRIBUTES(weighted, biased, centred, eps)

  std::string_view name() const { return centred ? "layer_norm" : "rms_norm"; }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    const TensorSpec row{{in[0].shape()[0]}, in[0].dtype()};
    return {TensorSpec{in[0].shape(), in[0].dtype()}, row, row};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const std::int64_t n = in[0].shape()[0], width = in[0].shape()[1];
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::LayerNorm<T>::run(in_ptr<T>(in[0]), weighted ? in_ptr<T>(in[1]) : nullptr,
                                 biased ? in_ptr<T>(in[in.size() - 1]) : nullptr,
                                 out_ptr<T>(out[0]), out_ptr<T>(out[1]), out_ptr<T>(out[2]), n,
                                 width, centred, eps);
    });
  }
  detail::Pass pass(const Inputs& in, const Tensor& out) const {
    InlineVector<int, 9> operands(in.size(), detail::kWhole);
    operands[0] = 0;
    return detail::by_rows(*this, out, operands);
  }
  template <class T>
  void run_rows(const void* const* in, void* const* out, std::int64_t count, std::int64_t n) const {
    const auto at = [&](int k) { return static_cast<const T*>(in[k]); };
    const auto to = [&](int k) { return static_cast<T*>(out[k]); };
    kernels::LayerNorm<T>::here(at(0), weighted ? at(1) : nullptr,
                                biased ? at(weighted ? 2 : 1) : nullptr, to(0), to(1), to(2), count,
                                n, centred, eps);
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
                                     biased && call.needs(count - 1), centred};
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
  TensorList jvp(const Call& call) const {
    const Tensor &mean = call.output_value(1), &rstd = call.output_value(2);
    if (grad_enabled())
      return {internal::reference_tangent(
                  call, [&](const TensorList& in) { return reference(in, mean, rstd); }),
              Tensor(), Tensor()};
    const Tensor &x = call.input_value(0), none;
    const Tensor &t = call.tangent(0), &of_weight = weighted ? call.tangent(1) : none,
                 &of_bias = biased ? call.tangent(call.inputs() - 1) : none;
    InputList in;
    for (const Tensor* v : {&x, &mean, &rstd}) in.add(*v);
    const bool scaled = weighted && t.defined();
    if (t.defined()) in.add(t);
    if (scaled) in.add(call.input_value(1));
    if (of_weight.defined()) in.add(of_weight);
    if (of_bias.defined()) in.add(of_bias);
    Tensor out = empty(x.shape(), x.dtype());
    compute(LayerNormTangent{t.defined(), scaled, of_weight.defined(), of_bias.defined(), centred},
            in, out);
    return {out, Tensor(), Tensor()};
  }
  Tensor reference(const TensorList& in, const Tensor& mean, const Tensor& rstd) const {
    // Less the known mean, and in units in which squares neither overflow nor vanish; the value does
    // not depend on them.
    const double far = in[0].dtype() == float32 ? 1e15 : 1e140;
    const Tensor deviation = unsqueeze(1 / rstd, 1);
    const Tensor large = where(deviation > far, deviation, 1.0),
                 small = where(deviation < 1 / far, deviation, 1.0), unit = large * small;
    Tensor z = in[0] / large;
    if (centred) z = z - unsqueeze(mean, 1) / large;
    z = z / small;
    if (centred) {  // what the known mean has left is rounding
      const Tensor rest = autograd::mean(z, 1, true);
      z = z - (rest - rest.detach());
    }
    Tensor y = z / sqrt(autograd::mean(square(z), 1, true) + eps / unit / unit);
    if (weighted) y = y * in[1];
    return biased ? y + in.back() : y;
  }
  TensorList batch(const internal::Batch& in) const {
    const std::int64_t n = in.shape(0)[0];
    bool scaled = false;
    for (std::size_t i = 1; i < in.size(); ++i) scaled |= in.differs(i);
    TensorList rows{in.joined(0)};
    for (std::size_t i = 1; i < in.size() && !scaled; ++i) rows.push_back(in[i]);
    TensorList out = in.call(LayerNorm{weighted && !scaled, biased && !scaled, centred, eps}, rows);
    for (Tensor& t : out) t = in.parted(t, n);
    const auto row = [&](std::size_t i) { return in.differs(i) ? unsqueeze(in[i], 1) : in[i]; };
    if (scaled && weighted) out[0] = out[0] * row(1);
    if (scaled && biased) out[0] = out[0] + row(in.size() - 1);
    return out;
  }
};

// x by rows of the last axes, which must be `normalized`; weight and bias may be undefined.
Tensor by_rows(const char* op, const Tensor& x, const Shape& normalized, const Tensor& weight,
               const Tensor& bias, bool centred, double eps) {
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
      fail(op, "{} must have the normalized shape {}, got {}",
           centred ? "weight and bias" : "weight", normalized, t->shape());
    in.push_back(reshape(*t, {width}));
  }
  const LayerNorm norm{weight.defined(), bias.defined(), centred, eps};
  return reshape(apply(norm, InputList(in))[0], x.shape());
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized, const Tensor& weight,
                  const Tensor& bias, double eps) {
  const detail::Named as("layer_norm");
  internal::check_floating("layer_norm", x);
  return by_rows("layer_norm", x, normalized, weight, bias, true, eps);
}

Tensor rms_norm(const Tensor& x, const Shape& normalized, const Tensor& weight,
                std::optional<double> eps) {
  const detail::Named as("rms_norm");
  internal::check_floating("rms_norm", x);
  const double least = x.dtype() == float32 ? std::numeric_limits<float>::epsilon()
                                            : std::numeric_limits<double>::epsilon();
  return by_rows("rms_norm", x, normalized, weight, {}, false, eps.value_or(least));
}

}  // namespace autograd
