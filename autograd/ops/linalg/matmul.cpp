#include "autograd/core/cpu.hpp"
#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

// op(A) op(B) of matrices (…, r, c), batched over equal or broadcast leading axes; op transposes
// the last two axes. The transposes are flags of the product, never copies, also in the gradient.
struct Matmul {
  static constexpr bool kTotal = true;
  static constexpr bool kBroadcasts = true;
  bool ta = false, tb = false;
  XGRAD_ATTRIBUTES(ta, tb)

  std::string_view name() const { return "matmul"; }

  static Shape batch(const Shape& s) { return Shape(s.begin(), s.end() - 2); }
  static std::int64_t rows(const Shape& s, bool t) { return s[s.size() - (t ? 1 : 2)]; }
  static std::int64_t columns(const Shape& s, bool t) { return s[s.size() - (t ? 2 : 1)]; }

  TensorSpec infer(const Inputs& in) const {
    const Shape &a = in[0].shape(), &b = in[1].shape();
    internal::check_same_dtype("matmul", in[0], in[1]);
    internal::check_floating("matmul", in[0]);
    const auto k = columns(a, ta), l = rows(b, tb);
    if (k != l) fail("matmul", "inner sizes must match, got {} and {}: {} != {}", a, b, k, l);
    Shape out;
    if (a.size() > 2 || b.size() > 2) out = shapes::broadcast("matmul", batch(a), batch(b));
    out.push_back(rows(a, ta));
    out.push_back(columns(b, tb));
    return {out, in[0].dtype()};
  }

  void forward(const Inputs& in, Tensor& out) const {
    const Shape &a = in[0].shape(), &b = in[1].shape();
    const auto m = rows(a, ta), k = columns(a, ta), n = columns(b, tb);
    dispatch_floating("matmul", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* p = static_cast<const T*>(in[0].raw());
      const auto* q = static_cast<const T*>(in[1].raw());
      auto* o = static_cast<T*>(out.raw_mutable());
      if (a.size() == 2 && b.size() == 2) return kernels::gemm(ta, tb, m, n, k, p, q, T(0), o);
      const Shape sa = batch(a), sb = batch(b), so = batch(out.shape());
      const Shape* operands[] = {&sa, &sb};
      const internal::BroadcastLoop loop(operands, so);
      loop.run([&](const std::int64_t* at, std::int64_t out_at) {
        const double cost = kernels::gemm_cost<T>(m, n, k);
        parallel_for(loop.inner(), 1, cost, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i)
            kernels::gemm(ta, tb, m, n, k, p + (at[0] + i * loop.inner_step(0)) * m * k,
                          q + (at[1] + i * loop.inner_step(1)) * k * n, T(0),
                          o + (out_at + i) * m * n);
        });
      });
    });
  }

  unsigned saves() const { return save_input(0) | save_input(1); }

  TensorList backward(const Call& call) const {
    const Tensor& g = call.grad();
    TensorList result(2, Tensor());
    if (call.needs(0)) {
      const Tensor b = call.input(1);
      result[0] = ta ? apply(Matmul{tb, true}, b, g) : apply(Matmul{false, !tb}, g, b);
    }
    if (call.needs(1)) {
      const Tensor a = call.input(0);
      result[1] = tb ? apply(Matmul{true, ta}, g, a) : apply(Matmul{!ta, false}, a, g);
    }
    return result;
  }
  static Jacobian jacobian() { return Jacobian::multilinear; }
  TensorList batch(const internal::Batch& in) const {
    const bool matrices = in.shape(0).size() == 2 && in.shape(1).size() == 2;
    // One product where the other matrix is the same for all.
    if (matrices && !in.differs(1) && !ta)
      return {in.parted(apply(*this, in.joined(0), in[1]), in.shape(0)[0])};
    if (matrices && !in.differs(0) && columns(in.shape(1), tb) == 1) {
      const Tensor vectors = reshape(in[1], {in.samples(), rows(in.shape(1), tb)});
      return {unsqueeze(apply(Matmul{false, !ta}, vectors, in[0]), -1)};
    }
    return in.call(*this, in.aligned());
  }
};

// x Wᵀ + b with x (n, in), in one operation: the product, and the bias in a pass over it.
struct Linear {
  static constexpr bool kTotal = true;
  bool biased;
  XGRAD_ATTRIBUTES(biased)

  std::string_view name() const { return "linear"; }
  TensorSpec infer(const Inputs& in) const {
    const Tensor &x = in[0], &w = in[1];
    internal::check_same_dtype("linear", x, w);
    internal::check_floating("linear", x);
    return {{x.shape()[0], w.shape()[0]}, x.dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = in[0].shape()[0], features = in[1].shape()[0];
    dispatch_floating("linear", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      auto* o = static_cast<T*>(out.raw_mutable());
      // The bias goes first, so that the product is added to it and the result is written once.
      if (biased)
        for (std::int64_t i = 0; i < n; ++i)
          std::copy_n(static_cast<const T*>(in[2].raw()), features, o + i * features);
      kernels::gemm(false, true, n, features, in[0].shape()[1], static_cast<const T*>(in[0].raw()),
                    static_cast<const T*>(in[1].raw()), biased ? T(1) : T(0), o);
    });
  }
  unsigned saves() const { return save_input(0) | save_input(1); }
  TensorList backward(const Call& call) const {
    const Tensor& g = call.grad();
    TensorList result(call.inputs(), Tensor());
    if (call.needs(0)) result[0] = apply(Matmul{}, g, call.input(1));
    if (call.needs(1)) result[1] = apply(Matmul{true, false}, g, call.input(0));
    if (biased && call.needs(2)) result[2] = sum(g, 0);
    return result;
  }
  TensorList jvp(const Call& call) const {
    const Tensor &x = call.tangent(0), &w = call.tangent(1);
    Tensor rest = biased ? call.tangent(2) : Tensor();
    if (x.defined())  // and that of the bias with it
      rest = rest.defined() ? apply(Linear{true}, x, call.input(1), rest)
                            : apply(Linear{false}, x, call.input(1));
    if (!w.defined())
      return {rest.shape() == call.output_spec().shape ? rest
                                                       : expand(rest, call.output_spec().shape)};
    const Tensor y = apply(Linear{false}, call.input(0), w);
    return {rest.defined() ? y + rest : y};
  }
  TensorList batch(const internal::Batch& in) const {
    const bool same_bias = !biased || !in.differs(2);
    if (!in.differs(1) && same_bias) {
      TensorList one{in.joined(0), in[1]};
      if (biased) one.push_back(in[2]);
      return {in.parted(in.call(*this, one)[0], in.shape(0)[0])};
    }
    const Tensor y = apply(Matmul{false, true}, in.whole(0), in[1]);
    if (!biased) return {y};
    return {y + (same_bias ? in[2] : unsqueeze(in[2], 1))};
  }
};

}  // namespace

Tensor internal::product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  return apply(Matmul{transpose_a, transpose_b}, a, b);
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  internal::check_defined("matmul", a);
  internal::check_defined("matmul", b, 1);
  if (a.ndim() == 0 || b.ndim() == 0)
    fail("matmul", "needs tensors of at least one axis, got {} and {}", a.shape(), b.shape());
  const bool row = a.ndim() == 1, column = b.ndim() == 1;
  if (row || column) {
    if (a.size(-1) != b.size(column ? 0 : -2))
      fail("matmul", "inner sizes must match, got {} and {}: {} != {}", a.shape(), b.shape(),
           a.size(-1), b.size(column ? 0 : -2));
    Tensor y = matmul(row ? unsqueeze(a, 0) : a, column ? unsqueeze(b, 1) : b);
    if (column) y = squeeze(y, -1);
    return row ? squeeze(y, column ? -1 : -2) : y;
  }
  if (a.ndim() > 2 && b.ndim() == 2 && a.size(-1) == b.size(0)) {
    // A stack of left matrices times one right matrix is one product.
    Shape out = a.shape();
    out.back() = b.size(1);
    std::int64_t rows = 1;
    for (std::int64_t i = 0; i + 1 < a.ndim(); ++i) rows *= a.size(i);
    return reshape(matmul(reshape(a, {rows, a.size(-1)}), b), out);
  }
  return apply(Matmul{}, a, b);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  internal::check_defined("linear", x);
  internal::check_defined("linear", weight, 1);
  if (weight.ndim() != 2) fail("linear", "weight must be (out, in), got shape {}", weight.shape());
  if (x.ndim() == 0 || x.size(-1) != weight.size(1))
    fail("linear", "the last size of x must be the in size of weight (out, in), got {} and {}",
         x.shape(), weight.shape());
  if (bias.defined()) {
    internal::check_same_dtype("linear", weight, bias);
    if (bias.shape() != Shape(weight.size(0)))
      fail("linear", "bias must be (out), got {} for weight {}", bias.shape(), weight.shape());
  }
  Shape out = x.shape();
  out.back() = weight.size(0);
  std::int64_t n = 1;
  for (std::size_t i = 0; i + 1 < out.size(); ++i) n *= out[i];
  const Tensor rows = x.ndim() == 2 ? x : reshape(x, {n, x.size(-1)});
  const Tensor y =
      bias.defined() ? apply(Linear{true}, rows, weight, bias) : apply(Linear{false}, rows, weight);
  return x.ndim() == 2 ? y : reshape(y, out);
}

}  // namespace autograd
