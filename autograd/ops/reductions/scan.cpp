#include <cmath>
#include <type_traits>

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/products.hpp"
#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::Lines;

// Integers add up unsigned, where overflow wraps; float32 in double.
template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::uint64_t>;
template <class T>
using Result = std::conditional_t<std::is_floating_point_v<T>, T, std::int64_t>;

DType result_dtype(DType d) { return is_floating(d) ? d : int64; }

// Calls step(carry, offset, is first) along each line, from its end where reverse.
template <class Carry, class Step>
void scan(const Lines& s, bool reverse, Carry start, Step&& step) {
  detail::PooledVector<Carry> carry(static_cast<std::size_t>(s.inner));
  for (std::int64_t o = 0; o < s.outer; ++o) {
    std::fill(carry.begin(), carry.end(), start);
    for (std::int64_t k = 0; k < s.n; ++k) {
      const std::int64_t at = (o * s.n + (reverse ? s.n - 1 - k : k)) * s.inner;
      for (std::int64_t i = 0; i < s.inner; ++i)
        step(carry[static_cast<std::size_t>(i)], at + i, k == 0);
    }
  }
}

// The entries of x moved by one along an axis; `fill` enters.
Tensor shifted(const Tensor& x, std::int64_t axis, bool back, double fill) {
  if (x.ndim() == 0) return full({}, fill, x.dtype());
  const std::int64_t n = x.size(axis);
  if (n == 0) return x;
  const Tensor edge = full(internal::with_size(x.shape(), axis, 1), fill, x.dtype());
  const Tensor rest = narrow(x, axis, back ? 1 : 0, n - 1);
  return back ? concat({rest, edge}, axis) : concat({edge, rest}, axis);
}

// y[k] combines x[0] … x[k], from the end where reverse.
template <class F>
void cumulate(const Tensor& in, Tensor& out, std::int64_t axis, bool reverse, int start,
              F combine) {
  dispatch(in.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto* x = static_cast<const T*>(in.raw());
    auto* y = static_cast<Result<T>*>(out.raw_mutable());
    scan(Lines(out.shape(), axis), reverse, Wide<T>(start), [=](auto& total, auto i, bool) {
      combine(total, static_cast<Wide<T>>(x[i]));
      y[i] = static_cast<Result<T>>(total);
    });
  });
}

struct CumSum {
  std::int64_t axis;
  bool reverse = false;
  XGRAD_ATTRIBUTES(axis, reverse)

  std::string_view name() const { return "cumsum"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), result_dtype(in[0].dtype())}; }
  void forward(const Inputs& in, Tensor& out) const {
    cumulate(in[0], out, axis, reverse, 0, [](auto& sum, auto x) { sum += x; });
  }
  TensorList backward(const Call& call) const {
    return {apply(CumSum{axis, !reverse}, call.grad())};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(CumSum{axis + 1, reverse}, {in[0]});
  }
};

// y[k] = b[k] + c y[k - 1], where c is a[k], or a[k - 1] with lag; from the end where reverse.
// Operations of this form have gradients of this form.
struct Recurrence {
  std::int64_t axis;
  bool reverse, lag;
  XGRAD_ATTRIBUTES(axis, reverse, lag)

  std::string_view name() const { return "recurrence"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* a = static_cast<const T*>(in[0].raw());
      const auto* b = static_cast<const T*>(in[1].raw());
      auto* y = static_cast<T*>(out.raw_mutable());
      const Lines lines(out.shape(), axis);
      if (lag)
        scan(lines, reverse, 0.0, [=](double& carry, auto i, bool) {
          const double value = b[i] + carry;
          carry = a[i] * value;
          y[i] = static_cast<T>(value);
        });
      else
        scan(lines, reverse, 0.0, [=](double& carry, auto i, bool first) {
          carry = first ? b[i] : b[i] + a[i] * carry;
          y[i] = static_cast<T>(carry);
        });
    });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor gb = apply(Recurrence{axis, !reverse, !lag}, call.input(0), call.grad());
    if (!call.needs(0)) return {Tensor(), gb};
    const Tensor y = call.output();
    return {lag ? shifted(gb, axis, !reverse, 0) * y : gb * shifted(y, axis, reverse, 0), gb};
  }
  TensorList jvp(const Call& call) const {
    const Tensor &ta = call.tangent(0), &tb = call.tangent(1);
    Tensor t = tb;
    if (ta.defined()) {
      const Tensor y = call.output();
      const Tensor of_a =
          lag ? shifted(ta * y, axis, reverse, 0) : ta * shifted(y, axis, reverse, 0);
      t = tb.defined() ? tb + of_a : of_a;
    }
    return {apply(*this, call.input(0), t)};
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(Recurrence{axis + 1, reverse, lag}, {in.whole(0), in.whole(1)});
  }
};

// The tangents of products along an axis, from x and those of x: of all that end somewhere, or of the
// whole alone.
struct ProductTangent {
  static constexpr bool kTotal = true;
  std::int64_t axis;
  bool reverse, whole;
  XGRAD_ATTRIBUTES(axis, reverse, whole)

  std::string_view name() const { return "product_tangent"; }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(in[0].shape(), axis);
    const std::int64_t step = reverse ? -s.inner : s.inner;
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto *x = static_cast<const T*>(in[0].raw()), *t = static_cast<const T*>(in[1].raw());
      auto* y = static_cast<T*>(out.raw_mutable());
      const auto multiply = kernels::chosen<kernels::MultiplyTangents<T>>();
      detail::PooledVector<double> product(static_cast<std::size_t>(s.inner)), tangent = product;
      for (std::int64_t o = 0; o < s.outer; ++o) {
        std::fill(product.begin(), product.end(), 1);
        std::fill(tangent.begin(), tangent.end(), 0);
        std::int64_t at = (o * s.n + (reverse ? s.n - 1 : 0)) * s.inner;
        for (std::int64_t k = 0; k < s.n; ++k, at += step) {
          if (k == 0) {  // 0 times an infinite factor would be NaN
            std::copy_n(x + at, s.inner, product.begin());
            std::copy_n(t + at, s.inner, tangent.begin());
          } else if (s.inner == 1) {
            tangent[0] = tangent[0] * x[at] + product[0] * t[at];
            product[0] *= x[at];
          } else {
            multiply(s.inner, x + at, t + at, product.data(), tangent.data());
          }
          if (!whole) std::copy(tangent.begin(), tangent.end(), y + at);
        }
        if (whole) std::copy(tangent.begin(), tangent.end(), y + o * s.inner);
      }
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(ProductTangent{axis + 1, reverse, whole}, {in.whole(0), in.whole(1)});
  }
  TensorList of(const Call& call) const {
    Tensor out = empty(call.output_spec().shape, call.tangent(0).dtype());
    compute_into(out, *this, call.input_value(0), call.tangent(0));
    return {out};
  }
};

struct CumProd {
  std::int64_t axis;
  bool reverse = false;
  XGRAD_ATTRIBUTES(axis, reverse)

  std::string_view name() const { return "cumprod"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), result_dtype(in[0].dtype())}; }
  void forward(const Inputs& in, Tensor& out) const {
    cumulate(in[0], out, axis, reverse, 1, [](auto& product, auto x) { product *= x; });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    // dy[k]/dx[i] is the product before i times that from i + 1 to k: no division, so that zeros do
    // no harm.
    const Tensor before = shifted(call.output(), axis, reverse, 1);
    return {before * apply(Recurrence{axis, !reverse, true}, call.input(0), call.grad())};
  }
  TensorList jvp(const Call& call) const {
    if (!grad_enabled()) return ProductTangent{axis, reverse, false}.of(call);
    const Tensor before = shifted(call.output(), axis, reverse, 1);
    return {apply(Recurrence{axis, reverse, false}, call.input(0), before * call.tangent(0))};
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(CumProd{axis + 1, reverse}, {in[0]});
  }
};

// One axis, which stays with size 1.
struct Prod {
  std::int64_t axis;
  XGRAD_ATTRIBUTES(axis)

  std::string_view name() const { return "prod"; }
  TensorSpec infer(const Inputs& in) const {
    return {internal::with_size(in[0].shape(), axis, 1), result_dtype(in[0].dtype())};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(in[0].shape(), axis);
    dispatch(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* x = static_cast<const T*>(in[0].raw());
      auto* y = static_cast<Result<T>*>(out.raw_mutable());
      detail::PooledVector<Wide<T>> product(static_cast<std::size_t>(s.inner));
      for (std::int64_t o = 0; o < s.outer; ++o) {
        std::fill(product.begin(), product.end(), Wide<T>(1));
        for (std::int64_t k = 0; k < s.n; ++k)
          for (auto& p : product) p *= static_cast<Wide<T>>(*x++);
        for (const auto p : product) *y++ = static_cast<Result<T>>(p);
      }
    });
  }
  unsigned saves() const { return save_input(0); }
  TensorList backward(const Call& call) const {
    const Tensor x = call.input(0);
    const Tensor before = shifted(apply(CumProd{axis, false}, x), axis, false, 1);
    const Tensor behind = shifted(apply(CumProd{axis, true}, x), axis, true, 1);
    return {before * behind * call.grad()};
  }
  static Jacobian jacobian() { return Jacobian::reducing; }
  TensorList jvp(const Call& call) const {
    if (grad_enabled()) return {};
    return ProductTangent{axis, false, true}.of(call);
  }
  TensorList batch(const internal::Batch& in) const { return in.call(Prod{axis + 1}, {in[0]}); }
};

struct LogCumSumExp {
  std::int64_t axis;
  XGRAD_ATTRIBUTES(axis)

  std::string_view name() const { return "logcumsumexp"; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_floating(name(), in[0]);
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    // The sum so far is exp(top) times scaled.
    struct Carry {
      double top, scaled;
    };
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* x = static_cast<const T*>(in[0].raw());
      auto* y = static_cast<T*>(out.raw_mutable());
      scan(Lines(out.shape(), axis), false, Carry{-HUGE_VAL, 0}, [=](Carry& c, auto i, bool) {
        const double v = x[i];
        if (v > c.top) {
          c.scaled = c.scaled * std::exp(c.top - v) + 1;
          c.top = v;
        } else if (v == c.top) {
          c.scaled += v == -HUGE_VAL ? 0 : 1;
        } else {
          c.scaled += std::exp(v - c.top);  // NaN stays
        }
        y[i] = static_cast<T>(c.top + std::log(c.scaled));
      });
    });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  // exp(x[k] - y[k]) and exp(y[k - 1] - y[k]), with y that never falls: no exponent is positive. A
  // sum of nothing but exp(-inf) has the derivative 0.
  static std::pair<Tensor, Tensor> shares(const Call& call, std::int64_t axis) {
    const Tensor y = call.output();
    const Tensor base = where(y == -HUGE_VAL, 0.0, y);
    const Tensor before = shifted(y, axis, false, -HUGE_VAL);
    // From one +inf to the next nothing changes.
    const Tensor ratio = exp(where((before == HUGE_VAL) & (y == HUGE_VAL), 0.0, before - base));
    return {exp(call.input(0) - base), ratio};
  }
  TensorList backward(const Call& call) const {  // Σ g[k] exp(x[j] - y[k]) over k >= j
    const auto [share, ratio] = shares(call, axis);
    return {share * apply(Recurrence{axis, true, true}, ratio, call.grad())};
  }
  TensorList jvp(const Call& call) const {
    const auto [share, ratio] = shares(call, axis);
    return {apply(Recurrence{axis, false, false}, ratio, share * call.tangent(0))};
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(LogCumSumExp{axis + 1}, {in[0]});
  }
};

// Positions of the extreme so far; the latest of equal ones.
struct ArgCumExtreme {
  bool largest;
  std::int64_t axis;
  XGRAD_ATTRIBUTES(largest, axis)

  std::string_view name() const { return largest ? "cummax" : "cummin"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(out.shape(), axis);
    dispatch(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* x = static_cast<const T*>(in[0].raw());
      auto* y = static_cast<std::int64_t*>(out.raw_mutable());
      struct Carry {
        T value;
        std::int64_t at, position;
      };
      scan(s, false, Carry{}, [=, this](Carry& c, auto i, bool first) {
        const T v = x[i];
        const bool better = c.value == c.value && (largest ? v >= c.value : v <= c.value);
        if (first || v != v || better) c.value = v, c.at = c.position;
        ++c.position;
        y[i] = c.at;
      });
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(ArgCumExtreme{largest, axis + 1}, {in[0]});
  }
};

ValuesAndIndices cumulative_extreme(bool largest, const Tensor& x, std::int64_t axis) {
  axis = shapes::axis(largest ? "cummax" : "cummin", axis, x.shape());
  const Tensor indices = apply(ArgCumExtreme{largest, axis}, x);
  return {gather(x, axis, indices), indices};
}

}  // namespace

Tensor prod(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("prod");
  const internal::Joined joined("prod", x, axes, keepdims);
  return reshape(apply(Prod{joined.axis}, joined.x), joined.result);
}

Tensor cumsum(const Tensor& x, std::int64_t axis) {
  const detail::Named as("cumsum");
  return apply(CumSum{shapes::axis("cumsum", axis, x.shape())}, x);
}
Tensor cumprod(const Tensor& x, std::int64_t axis) {
  const detail::Named as("cumprod");
  return apply(CumProd{shapes::axis("cumprod", axis, x.shape())}, x);
}
Tensor logcumsumexp(const Tensor& x, std::int64_t axis) {
  const detail::Named as("logcumsumexp");
  return apply(LogCumSumExp{shapes::axis("logcumsumexp", axis, x.shape())}, x);
}
ValuesAndIndices cummax(const Tensor& x, std::int64_t axis) {
  const detail::Named as("cummax");
  return cumulative_extreme(true, x, axis);
}
ValuesAndIndices cummin(const Tensor& x, std::int64_t axis) {
  const detail::Named as("cummin");
  return cumulative_extreme(false, x, axis);
}

}  // namespace autograd
