#include "autograd/core/internal/pass.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/rows.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"

// softmax and log_softmax.
namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr, internal::last, internal::rows;

// The gradient from the result and its cotangent.
struct SoftmaxGradient {
  static constexpr bool kTotal = true;
  bool log;
  XGRAD_ATTRIBUTES(log)
  std::string_view name() const { return log ? "log_softmax_gradient" : "softmax_gradient"; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      (log ? kernels::LogSoftmaxGradient<T>::run : kernels::SoftmaxGradient<T>::run)(
          in_ptr<T>(in[0]), in_ptr<T>(in[1]), out_ptr<T>(out), rows(out), last(out));
    });
  }
  detail::Pass pass(const Inputs&, const Tensor& out) const {
    return detail::by_rows(*this, out, {0, 1});
  }
  template <class T>
  void run_rows(const void* const* in, void* const* out, std::int64_t count, std::int64_t n) const {
    (log ? kernels::LogSoftmaxGradient<T>::here : kernels::SoftmaxGradient<T>::here)(
        static_cast<const T*>(in[0]), static_cast<const T*>(in[1]), static_cast<T*>(out[0]), count,
        n);
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(*this, {in.whole(0), in.whole(1)});
  }
};

struct Softmax {
  static constexpr bool kTotal = true;
  bool log;
  XGRAD_ATTRIBUTES(log)

  std::string_view name() const { return log ? "log_softmax" : "softmax"; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_floating(name(), in[0]);
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      (log ? kernels::LogSoftmax<T>::run : kernels::Softmax<T>::run)(
          in_ptr<T>(in[0]), out_ptr<T>(out), rows(out), last(out));
    });
  }
  detail::Pass pass(const Inputs&, const Tensor& out) const {
    return detail::by_rows(*this, out, {0});
  }
  template <class T>
  void run_rows(const void* const* in, void* const* out, std::int64_t count, std::int64_t n) const {
    (log ? kernels::LogSoftmax<T>::here : kernels::Softmax<T>::here)(
        static_cast<const T*>(in[0]), static_cast<T*>(out[0]), count, n);
  }
  unsigned saves() const { return kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor y = call.output();
    const Tensor& g = call.grad();
    if (grad_enabled()) {
      if (log) return {g - exp(y) * sum(g, y.ndim() ? Axes(-1) : Axes(), true)};
      return {y * (g - sum(g * y, y.ndim() ? Axes(-1) : Axes(), true))};
    }
    Tensor gx = empty(y.shape(), y.dtype());
    compute_into(gx, SoftmaxGradient{log}, y, g);
    return {gx};
  }
  static Jacobian jacobian() { return Jacobian::symmetric; }
  TensorList jvp(const Call& call) const {
    if (!log) return {};
    const Tensor y = call.output(), &t = call.tangent(0);
    return {t - sum(exp(y) * t, y.ndim() ? Axes(-1) : Axes(), true)};
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(*this, {in[0]});
  }
};

Tensor softmax_along(const Softmax& op, const Tensor& x, std::int64_t axis) {
  internal::check_defined(op.name(), x);
  axis = shapes::axis(op.name(), axis, x.shape());
  if (axis + 1 >= x.ndim()) return apply(op, x);
  return transpose(apply(op, transpose(x, axis, -1)), axis, -1);
}

}  // namespace

Tensor softmax(const Tensor& x, std::int64_t axis) { return softmax_along({false}, x, axis); }
Tensor log_softmax(const Tensor& x, std::int64_t axis) { return softmax_along({true}, x, axis); }

}  // namespace autograd
