#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/kernels/lapack.hpp"
#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::at_batch;
using internal::batch_of;
using internal::matrices;
using internal::product;
using internal::vectors;

template <class T>
T* elements(Tensor& t) {
  return static_cast<T*>(t.raw_mutable());
}

// True on the diagonal of (n, n).
Tensor on_diagonal(const Tensor& v) { return eye(v.size(-1), v.dtype()) == 1.0; }

Tensor row(const Tensor& v) { return unsqueeze(v, -2); }
Tensor column(const Tensor& v) { return unsqueeze(v, -1); }

// differences[i][j] = v[j] - v[i], with 1 on the diagonal, to divide by.
Tensor differences(const Tensor& v) { return where(on_diagonal(v), 1.0, row(v) - column(v)); }

// Throws where a gradient reaches entries start… of an axis: those that complete an orthonormal
// basis are not functions of the matrix.
void check_unreached(std::string_view op, const Tensor& grad, std::int64_t axis, std::int64_t start,
                     const std::string& text) {
  if (grad.size(axis) == start) return;
  const Tensor rest = narrow(grad.detach(), axis, start, grad.size(axis) - start);
  perform(op, {sum(rest != 0)}, {}, [op, text](const TensorList& in, const TensorList&) {
    if (in[0].item<std::int64_t>() > 0) fail(op, "{}", text);
  });
}

// ---------------------------------------------------------------- cholesky

// The tangent of the factor, from the factor and the tangent of the matrix.
struct CholeskyTangent {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "cholesky_tangent"; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = out.size(-1), count = batch_of(out.shape()).numel();
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T *l = static_cast<const T*>(in[0].raw()), *t = static_cast<const T*>(in[1].raw());
      T* o = elements<T>(out);
      for (std::int64_t b = 0; b < count; ++b, l += n * n, t += n * n, o += n * n) {
        for (std::int64_t i = 0; i < n; ++i) {
          for (std::int64_t j = 0; j <= i; ++j) o[i * n + j] = (t[i * n + j] + t[j * n + i]) / 2;
          std::fill(o + i * n + i + 1, o + (i + 1) * n, T(0));
        }
        kernels::cholesky_tangent(n, l, o);
      }
    });
  }
  TensorList batch(const internal::Batch& in) const {
    return in.call(*this, {in.whole(0), in.whole(1)});
  }
};

// Murray, Differentiation of the Cholesky decomposition (2016), section 3.3.
struct Cholesky {
  std::string_view name() const { return "cholesky"; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_square("cholesky", in[0]);
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Shape batch = batch_of(out.shape());
    const std::int64_t n = out.size(-1);
    internal::convert(in[0], out);
    dispatch_floating("cholesky", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < batch.numel(); ++i)
        if (const auto minor = kernels::cholesky(n, elements<T>(out) + i * n * n))
          fail("cholesky",
               "the matrix must be positive definite, got one whose leading minor of order {} is "
               "not positive{}",
               minor, at_batch(batch, i));
    });
  }
  unsigned saves() const { return kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor l = call.output();
    const Tensor p = product(l, true, call.grad(), false);
    const Tensor s = tril(p) + transpose(tril(p, -1));
    const Tensor half = internal::solve_triangular("cholesky", l, s, true, false, true);
    return {0.5 * internal::solve_triangular("cholesky", l, half, false, false, false)};
  }
  TensorList jvp(const Call& call) const {  // L Φ(L⁻¹ tA L⁻ᵀ), where Φ halves the diagonal
    if (!grad_enabled()) {
      Tensor out = empty_like(call.tangent(0));
      compute_into(out, CholeskyTangent{}, call.output_value(), call.tangent(0));
      return {out};
    }
    const Tensor l = call.output(), t = internal::symmetric(call.tangent(0));
    const Tensor left = internal::solve_triangular("cholesky", l, t, true, false, false);
    const Tensor m = internal::solve_triangular("cholesky", l, left, false, false, true);
    return {matmul(l, 0.5 * (tril(m) + tril(m, -1)))};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// ---------------------------------------------------------------- qr

// The gradient of A = Q R with R (n, n): Walter and Lehmann, Algorithmic differentiation of linear
// algebra functions (2018); Seeger et al., Auto-differentiating linear algebra (2017).
Tensor qr_gradient(const Tensor& q, const Tensor& r, const Tensor& gq, const Tensor& gr) {
  const Tensor m = product(r, false, gr, true) - product(gq, true, q, false);
  const Tensor s = tril(m) + transpose(tril(m, -1));
  return internal::solve_triangular("qr", r, gq + matmul(q, s), false, true, true);
}

struct QrFactors {
  bool complete;
  XGRAD_ATTRIBUTES(complete)

  std::string_view name() const { return "qr"; }
  void forward(const Inputs& in, std::span<Tensor> qr) const {
    const std::int64_t m = in[0].size(-2), n = in[0].size(-1), k = complete ? m : std::min(m, n);
    Tensor work = in[0].detach().clone();
    dispatch_floating("qr", in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < batch_of(in[0].shape()).numel(); ++i)
        kernels::qr(complete, m, n, elements<T>(work) + i * m * n, elements<T>(qr[0]) + i * m * k,
                    elements<T>(qr[1]) + i * k * n);
    });
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

struct QrContext : Context {
  bool complete = false;
  XGRAD_ATTRIBUTES(complete)
};

struct Qr : Function<Qr, QrContext> {
  static constexpr std::string_view kName = "qr";
  static TensorList forward(QrContext& ctx, const Tensor& a, bool complete) {
    ctx.complete = complete;
    const Shape batch = batch_of(a.shape());
    const std::int64_t m = a.size(-2), n = a.size(-1), k = complete ? m : std::min(m, n);
    Tensor qr[] = {empty(matrices(batch, m, k), a.dtype()),
                   empty(matrices(batch, k, n), a.dtype())};
    const auto& [q, r] = qr;
    compute(QrFactors{complete}, Inputs(std::array{&a}), std::span<Tensor>(qr));
    ctx.save_for_backward({a, q, r});
    return {q, r};
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor &a = ctx.saved()[0], &q = ctx.saved()[1], &r = ctx.saved()[2];
    const std::int64_t m = a.size(-2), n = a.size(-1);
    if (m < n) {
      // A = Q [R₁, R₂] with R₂ = Qᵀ A₂, where A₂ are the columns behind the square part.
      const Tensor g2 = narrow(grad[1], -1, m, n - m), a2 = narrow(a, -1, m, n - m);
      const Tensor gq = grad[0] + product(a2, false, g2, true);
      return {concat(
          {qr_gradient(q, narrow(r, -1, 0, m), gq, narrow(grad[1], -1, 0, m)), matmul(q, g2)}, -1)};
    }
    check_unreached("qr", grad[0], -1, n,
                    fmt::format("the columns that complete Q have no gradient, got one for shape "
                                "{}; use mode \"reduced\"",
                                a.shape()));
    return {qr_gradient(narrow(q, -1, 0, n), narrow(r, -2, 0, n), narrow(grad[0], -1, 0, n),
                        narrow(grad[1], -2, 0, n))};
  }
};

// ---------------------------------------------------------------- svd

// S, or S, U and Vh.
struct SvdFactors {
  std::string_view op;
  bool full;
  XGRAD_ATTRIBUTES(op, full)

  std::string_view name() const { return op; }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    internal::check_finite(op, in[0]);
    const Shape batch = batch_of(in[0].shape());
    const std::int64_t m = in[0].size(-2), n = in[0].size(-1), k = std::min(m, n);
    const std::int64_t uk = full ? m : k, vk = full ? n : k;
    Tensor work = in[0].detach().clone();
    dispatch_floating(op, in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < batch.numel(); ++i)
        if (!kernels::svd(full, m, n, elements<T>(work) + i * m * n,
                          out.size() > 1 ? elements<T>(out[1]) + i * m * uk : nullptr,
                          elements<T>(out[0]) + i * k,
                          out.size() > 1 ? elements<T>(out[2]) + i * vk * n : nullptr))
          fail(op, "the iteration must converge, got no convergence{}", at_batch(batch, i));
    });
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// U, S and Vh; only S without vectors.
TensorList svd_of(std::string_view op, const Tensor& a, bool full, bool with_vectors) {
  const Shape batch = batch_of(a.shape());
  const std::int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
  TensorList out{empty(vectors(batch, k), a.dtype())};
  if (with_vectors) {
    out.push_back(empty(matrices(batch, m, full ? m : k), a.dtype()));
    out.push_back(empty(matrices(batch, full ? n : k, n), a.dtype()));
  }
  compute(SvdFactors{op, full}, Inputs(std::array{&a}), std::span<Tensor>(out.data(), out.size()));
  if (!with_vectors) return {Tensor(), out[0], Tensor()};
  return {out[1], out[0], out[2]};
}

// The part of a gradient of m > k columns that leaves their span: (I - U Uᵀ) G.
Tensor outside(const Tensor& u, const Tensor& g) {
  return g - matmul(u, product(u, true, g, false));
}

Tensor skew(const Tensor& x) { return x - transpose(x); }

struct SvdContext : Context {
  bool full = false;
  XGRAD_ATTRIBUTES(full)
};

// Seeger et al. (2017); Townsend, Differentiating the singular value decomposition (2016).
struct Svd : Function<Svd, SvdContext> {
  static constexpr std::string_view kName = "svd";
  static TensorList forward(SvdContext& ctx, std::string_view op, const Tensor& a, bool full) {
    ctx.full = full;
    TensorList usv = svd_of(op, a, full, true);
    ctx.save_for_backward(usv);
    return usv;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& s = ctx.saved()[1];
    const std::int64_t k = s.size(-1);
    const std::int64_t m = ctx.saved()[0].size(-2), n = ctx.saved()[2].size(-1);
    const bool with_u = ctx.has_output_grad(0), with_v = ctx.has_output_grad(2);
    const std::string text = fmt::format(
        "the columns that complete U or V have no gradient, got one for ({}, {}); use "
        "full_matrices = false",
        m, n);
    check_unreached("svd", grad[0], -1, k, text);
    check_unreached("svd", grad[2], -2, k, text);
    const Tensor u = narrow(ctx.saved()[0], -1, 0, k), vh = narrow(ctx.saved()[2], -2, 0, k);
    if (!with_u && !with_v) return {matmul(u * row(grad[1]), vh)};
    const Tensor e = differences(square(s));
    // In the bases U and V: A's gradient is U inner Vh, and what leaves the spans of U and V.
    Tensor inner = where(on_diagonal(s), row(grad[1]), zeros_like(e));
    Tensor whole;
    if (with_u) {
      const Tensor gu = narrow(grad[0], -1, 0, k);
      inner = inner + skew(product(u, true, gu, false)) / e * row(s);
      if (m > k) whole = matmul(outside(u, gu) / row(s), vh);
    }
    if (with_v) {
      const Tensor gv = transpose(narrow(grad[2], -2, 0, k)), v = transpose(vh);
      inner = inner + column(s) * (skew(matmul(vh, gv)) / e);
      if (n > k) {
        const Tensor part = product(u, false, outside(v, gv) / row(s), true);
        whole = whole.defined() ? whole + part : part;
      }
    }
    const Tensor inside = matmul(u, matmul(inner, vh));
    return {whole.defined() ? inside + whole : inside};
  }
};

// ---------------------------------------------------------------- eigh

// Eigenvalues and, if asked for, vectors; without, the second output is scratch memory.
struct EighFactors {
  std::string_view op;
  bool with_vectors;
  XGRAD_ATTRIBUTES(op, with_vectors)

  std::string_view name() const { return op; }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    internal::check_finite(op, in[0]);
    internal::convert(in[0], out[1]);
    const Shape batch = batch_of(in[0].shape());
    const std::int64_t n = in[0].size(-1);
    dispatch_floating(op, in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < batch.numel(); ++i)
        if (!kernels::eigh(with_vectors, n, elements<T>(out[1]) + i * n * n,
                           elements<T>(out[0]) + i * n))
          fail(op, "the iteration must converge, got no convergence{}", at_batch(batch, i));
    });
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

TensorList eigh_of(std::string_view op, const Tensor& a, bool with_vectors) {
  TensorList wv{empty(vectors(batch_of(a.shape()), a.size(-1)), a.dtype()),
                empty(a.shape(), a.dtype())};
  compute(EighFactors{op, with_vectors}, Inputs(std::array{&a}),
          std::span<Tensor>(wv.data(), wv.size()));
  return wv;
}

// Giles, An extended collection of matrix derivative results (2008), section 3.1.
struct Eigh : Function<Eigh> {
  static constexpr std::string_view kName = "eigh";
  static TensorList forward(Context& ctx, std::string_view op, const Tensor& a) {
    TensorList wv = eigh_of(op, a, true);
    ctx.save_for_backward(wv);
    return wv;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor &w = ctx.saved()[0], &v = ctx.saved()[1];
    if (!ctx.has_output_grad(1)) return {product(v * row(grad[0]), false, v, true)};
    const Tensor inner =
        where(on_diagonal(w), row(grad[0]), product(v, true, grad[1], false) / differences(w));
    return {internal::symmetric(product(matmul(v, inner), false, v, true))};
  }
};

// ---------------------------------------------------------------- pinv

double epsilon(DType d) {
  return d == float32 ? std::numeric_limits<float>::epsilon()
                      : std::numeric_limits<double>::epsilon();
}

// Singular values up to this count as 0; (…, 1).
Tensor threshold(const Tensor& a, const Tensor& s, double rtol) {
  if (rtol < 0) rtol = static_cast<double>(std::max(a.size(-1), a.size(-2))) * epsilon(a.dtype());
  return s.size(-1) == 0 ? zeros(vectors(batch_of(a.shape()), 1), s.dtype())
                         : max(s, -1, true) * rtol;
}

// Golub and Pereyra, The differentiation of pseudo-inverses (1973): the gradient at constant rank.
struct Pinv {
  std::string_view op;
  double rtol;
  XGRAD_ATTRIBUTES(op, rtol)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_matrix(op, in[0]);
    return {matrices(batch_of(in[0].shape()), in[0].size(-1), in[0].size(-2)), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const NoGrad off;
    const TensorList usv = svd_of(op, in[0], false, true);
    const Tensor& s = usv[1];
    const Tensor keep = s > threshold(in[0], s, rtol);
    const Tensor inverse = where(keep, 1.0 / s, 0.0);
    internal::convert(product(usv[2], true, usv[0] * row(inverse), true), out);
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor a = call.input(0), p = call.output();
    const Tensor& g = call.grad();
    const Tensor gp = product(g, true, p, false), pg = product(p, false, g, true);
    // gp = gᵀ P (m, m), pg = P gᵀ (n, n).
    const Tensor first = product(gp, true, p, true);
    const Tensor x = product(gp, false, p, true), y = product(p, true, pg, false);
    return {-first + (x - matmul(a, matmul(p, x))) + (y - matmul(matmul(y, p), a))};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

}  // namespace

Tensor cholesky(const Tensor& a, bool upper) {
  const detail::Named as("cholesky");
  const Tensor l = apply(Cholesky{}, a);
  return upper ? transpose(l) : l;
}

QrResult qr(const Tensor& a, std::string_view mode) {
  const detail::Named as("qr");
  internal::check_matrix("qr", a);
  if (mode != "reduced" && mode != "complete")
    fail("qr", "the mode must be \"reduced\" or \"complete\", got \"{}\"", quoted(mode));
  const TensorList f = Qr::apply(a, mode == "complete");
  return {f[0], f[1]};
}

SvdResult svd(const Tensor& a, bool full_matrices) {
  const detail::Named as("svd");
  internal::check_matrix("svd", a);
  const TensorList f = Svd::apply(std::string_view("svd"), a, full_matrices);
  return {f[0], f[1], f[2]};
}

Tensor internal::singular_values(std::string_view op, const Tensor& a) {
  internal::check_matrix(op, a);
  return should_record(Inputs(std::array{&a})) ? Svd::apply(op, a, false)[1]
                                               : svd_of(op, a, false, false)[1];
}

Tensor svdvals(const Tensor& a) {
  const detail::Named as("svdvals");
  return internal::singular_values("svdvals", a);
}

EighResult eigh(const Tensor& a) {
  const detail::Named as("eigh");
  internal::check_square("eigh", a);
  const TensorList f = Eigh::apply(std::string_view("eigh"), a);
  return {f[0], f[1]};
}

Tensor eigvalsh(const Tensor& a) {
  const detail::Named as("eigvalsh");
  internal::check_square("eigvalsh", a);
  const std::string_view op = "eigvalsh";
  return should_record(Inputs(std::array{&a})) ? Eigh::apply(op, a)[0] : eigh_of(op, a, false)[0];
}

Tensor internal::pseudo_inverse(std::string_view op, const Tensor& a, double rtol) {
  return apply(Pinv{op, rtol}, a);
}

Tensor pinv(const Tensor& a, double rtol) {
  const detail::Named as("pinv");
  return internal::pseudo_inverse("pinv", a, rtol);
}

Tensor matrix_rank(const Tensor& a, double rtol) {
  const detail::Named as("matrix_rank");
  internal::check_matrix("matrix_rank", a);
  const Tensor s = svd_of("matrix_rank", a, false, false)[1];
  return sum(s > threshold(a, s, rtol), -1);
}

}  // namespace autograd
