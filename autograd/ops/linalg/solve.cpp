#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/kernels/lapack.hpp"
#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::at_batch;
using internal::batch_of;
using internal::product;

// ---------------------------------------------------------------- LU factors

// The factors of a stack of matrices, off the tape. The operations below share them with their own
// gradients, so that a matrix is factorised once however often it is differentiated.
struct Lu {
  Tensor factors;
  std::vector<int> pivots;     // n for each matrix
  std::int64_t singular = -1;  // the first matrix with a pivot that is 0
  bool doubtful = false;       // some matrix is nearly singular, to judge by its pivots
};
using LuFactors = std::shared_ptr<const Lu>;

// Below this ratio of the least to the largest pivot or singular value, derivatives of det lose too
// many digits by way of the inverse: one of order p loses p times the digits of the ratio.
double nearly_singular(DType d) {
  return std::cbrt(d == float32 ? std::numeric_limits<float>::epsilon()
                                : std::numeric_limits<double>::epsilon());
}

template <class T>
void factorise(Lu& lu, std::int64_t count, std::int64_t n) {
  auto* a = static_cast<T*>(lu.factors.raw_mutable());
  int* pivots = lu.pivots.data();
  for (std::int64_t i = 0; i < count; ++i, a += n * n, pivots += n) {
    if (!kernels::lu(n, a, pivots) && lu.singular < 0) lu.singular = i;
    T least = std::numeric_limits<T>::infinity(), most = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      least = std::min(least, std::abs(a[k * n + k]));
      most = std::max(most, std::abs(a[k * n + k]));
    }
    lu.doubtful |= least <= static_cast<T>(nearly_singular(lu.factors.dtype())) * most;
  }
}

// Fills the factors, which the operations that use them share.
struct Factorise {
  static constexpr bool kHasEffect = true;
  std::string_view op;
  std::shared_ptr<Lu> lu;
  XGRAD_ATTRIBUTES(op, lu)

  std::string_view name() const { return op; }
  void forward(const Inputs& in, std::span<Tensor>) const {
    const std::int64_t n = in[0].size(-1);
    if (!lu->factors.defined()) lu->factors = empty(in[0].shape(), in[0].dtype());
    lu->singular = -1;
    lu->doubtful = false;
    internal::convert(in[0], lu->factors);
    dispatch_floating(op, in[0].dtype(), [&](auto zero) {
      factorise<decltype(zero)>(*lu, batch_of(in[0].shape()).numel(), n);
    });
  }
  // The operations that share the factors then find those of all samples.
  TensorList batch(const internal::Batch& in) const {
    lu->pivots.resize(
        static_cast<std::size_t>(in[0].numel() / std::max<std::int64_t>(in[0].size(-1), 1)));
    compute(*this, Inputs(std::array{&in[0]}), std::span<Tensor>());
    return {in[0]};
  }
};

LuFactors factors_of(std::string_view op, const Tensor& a) {
  internal::check_square(op, a);
  auto lu = std::make_shared<Lu>();
  lu->pivots.resize(static_cast<std::size_t>(batch_of(a.shape()).numel() * a.size(-1)));
  compute(Factorise{op, lu}, Inputs(std::array{&a}), std::span<Tensor>());
  return lu;
}

// Throws where a matrix is singular; or nearly so, where `regular` is asked for.
struct CheckFactors {
  static constexpr bool kHasEffect = true;
  std::string_view op;
  LuFactors lu;
  bool regular = false;
  XGRAD_ATTRIBUTES(op, lu, regular)

  std::string_view name() const { return op; }
  void forward(const Inputs&, std::span<Tensor>) const {
    if (lu->singular >= 0 && !regular)
      fail(op, "the matrix must be invertible, got a singular one{}",
           at_batch(batch_of(lu->factors.shape()), lu->singular));
    if (regular && lu->doubtful)
      fail("compile",
           "the gradient of {} needs a matrix that is not nearly singular, got one that is; do not "
           "compile this part",
           op);
  }
};

void check_factors(const CheckFactors& check) {
  compute(check, Inputs(std::span<const Tensor* const>()), std::span<Tensor>());
}

// Calls f(matrix of a, matrix of out), as offsets in matrices, where a broadcasts to out.
template <class F>
void for_each_matrix(const Shape& a, const Shape& out, F&& f) {
  const Shape from = batch_of(a), to = batch_of(out);
  const Shape* operands[] = {&from};
  const internal::BroadcastLoop loop(operands, to);
  loop.run([&](const std::int64_t* at, std::int64_t out_at) {
    for (std::int64_t i = 0; i < loop.inner(); ++i) f(at[0] + i * loop.inner_step(0), out_at + i);
  });
}

// op(A)⁻¹ B.
struct Solve {
  static constexpr bool kBroadcasts = true;
  bool transpose;
  LuFactors lu;
  XGRAD_ATTRIBUTES(transpose, lu)

  std::string_view name() const { return "solve"; }
  TensorSpec infer(const Inputs& in) const {
    const Shape &a = in[0].shape(), &b = in[1].shape();
    return {internal::matrices(shapes::broadcast("solve", batch_of(a), batch_of(b)), a.back(),
                               b.back()),
            in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    internal::expand_into(in[1], out);
    const std::int64_t n = out.size(-2), k = out.size(-1);
    dispatch_floating("solve", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* factors = lu->factors.data<T>();
      T* x = static_cast<T*>(out.raw_mutable());
      for_each_matrix(in[0].shape(), out.shape(), [&](std::int64_t i, std::int64_t o) {
        kernels::lu_solve(transpose, n, k, factors + i * n * n, lu->pivots.data() + i * n,
                          x + o * n * k);
      });
    });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor a = call.input(0), gb = apply(Solve{!transpose, lu}, a, call.grad());
    TensorList result(2, Tensor());
    if (call.needs(0)) {
      const Tensor x = call.output();
      result[0] = -(transpose ? product(x, false, gb, true) : product(gb, false, x, true));
    }
    result[1] = gb;
    return result;
  }
  TensorList jvp(const Call& call) const {  // A tx = tb - tA x
    const Tensor &ta = call.tangent(0), &tb = call.tangent(1);
    Tensor right = tb;
    if (ta.defined()) {
      const Tensor y = product(ta, transpose, call.output(), false);
      right = tb.defined() ? tb - y : -y;
    }
    const Tensor t = apply(*this, call.input(0), right);
    const Shape& shape = call.output_spec().shape;
    return {t.shape() == shape ? t : expand(t, shape)};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, in.aligned()); }
};

struct Inverse {
  LuFactors lu;
  XGRAD_ATTRIBUTES(lu)

  std::string_view name() const { return "inv"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = out.size(-1);
    internal::expand_into(eye(n, in[0].dtype()), out);
    dispatch_floating("inv", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < batch_of(out.shape()).numel(); ++i)
        kernels::lu_solve(false, n, n, lu->factors.data<T>() + i * n * n, lu->pivots.data() + i * n,
                          static_cast<T*>(out.raw_mutable()) + i * n * n);
    });
  }
  unsigned saves() const { return kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor y = call.output();
    return {-product(product(y, true, call.grad(), false), false, y, true)};
  }
  TensorList jvp(const Call& call) const {
    const Tensor y = call.output();
    return {-product(product(y, false, call.tangent(0), false), false, y, false)};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// ---------------------------------------------------------------- determinants

Tensor as_matrices(const Tensor& numbers) { return unsqueeze(unsqueeze(numbers, -1), -1); }

// det as a polynomial of the elements (Faddeev and LeVerrier), exact for small elements.
Tensor polynomial_det(const Tensor& x) {
  const std::int64_t n = x.size(-1);
  const Tensor one = eye(n, x.dtype());
  Tensor power = x, c = -sum(diagonal(x, 0, -2, -1), -1);
  for (std::int64_t k = 2; k <= n; ++k) {
    power = matmul(x, power + as_matrices(c) * one);
    c = sum(diagonal(power, 0, -2, -1), -1) / static_cast<double>(-k);
  }
  return n % 2 ? -c : c;
}

Tensor bordered_det(const Tensor& a);

struct Det {
  LuFactors lu;
  bool regular = false;  // known not to be nearly singular
  XGRAD_ATTRIBUTES(lu, regular)

  std::string_view name() const { return "det"; }
  TensorSpec infer(const Inputs& in) const { return {batch_of(in[0].shape()), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = in[0].size(-1);
    dispatch_floating("det", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* f = lu->factors.data<T>();
      T* o = static_cast<T*>(out.raw_mutable());
      const int* pivots = lu->pivots.data();
      for (std::int64_t i = 0; i < out.numel(); ++i, f += n * n, pivots += n) {
        o[i] = T(1);
        for (std::int64_t k = 0; k < n; ++k)
          o[i] *= pivots[k] == k + 1 ? f[k * n + k] : -f[k * n + k];
      }
    });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    if (internal::replays())
      check_factors({"det", lu, true});
    else if (!regular && lu->doubtful)
      return reference_gradient(call, [](const TensorList& x) { return bordered_det(x[0]); });
    // Jacobi: d det(A) = det(A) tr(A⁻¹ dA).
    return {as_matrices(call.grad() * call.output()) *
            transpose(apply(Inverse{lu}, call.input(0)))};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// det(A) = det(M) det((M⁻¹)₂₂) for M = [A, B; C, 0]. With B and C along the k directions in which A
// is singular, M is not, so the right side has all derivatives that det has; (M⁻¹)₂₂ is (k, k).
Tensor bordered_det(const Tensor& a) {
  const std::int64_t n = a.size(-1);
  const SvdResult f = svd(a.detach());
  const Tensor largest = max(f.S, -1, true);
  const Tensor small = f.S <= largest * nearly_singular(a.dtype());
  const auto k = std::max<std::int64_t>(1, max(sum(small, -1)).item<std::int64_t>());
  const Tensor scale = unsqueeze(where(largest == 0, 1.0, largest), -1);
  const Tensor b = narrow(f.U, -1, n - k, k) * scale, c = narrow(f.Vh, -2, n - k, k) * scale;
  const Tensor corner = zeros(internal::matrices(batch_of(a.shape()), k, k), a.dtype());
  const Tensor m = concat({concat({a, b}, -1), concat({c, corner}, -1)}, -2);
  const LuFactors lu = factors_of("det", m);
  const Tensor part = narrow(narrow(apply(Inverse{lu}, m), -1, n, k), -2, n, k);
  return apply(Det{lu, true}, m) * polynomial_det(part);
}

struct LogAbsDet {
  LuFactors lu;
  XGRAD_ATTRIBUTES(lu)

  std::string_view name() const { return "slogdet"; }
  TensorSpec infer(const Inputs& in) const { return {batch_of(in[0].shape()), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = in[0].size(-1);
    dispatch_floating("slogdet", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* f = lu->factors.data<T>();
      T* o = static_cast<T*>(out.raw_mutable());
      for (std::int64_t i = 0; i < out.numel(); ++i, f += n * n) {
        o[i] = T(0);
        for (std::int64_t k = 0; k < n; ++k) o[i] += std::log(std::abs(f[k * n + k]));
      }
    });
  }
  unsigned saves() const { return save_input(0); }
  TensorList backward(const Call& call) const {
    check_factors({"slogdet", lu});
    return {as_matrices(call.grad()) * transpose(apply(Inverse{lu}, call.input(0)))};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// The signs of determinants, of matrices whose factors it has.
struct Signs {
  LuFactors lu;
  XGRAD_ATTRIBUTES(lu)

  std::string_view name() const { return "slogdet"; }
  void forward(const Inputs&, Tensor& out) const {
    const std::int64_t n = lu->factors.size(-1);
    dispatch_floating("slogdet", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* f = lu->factors.data<T>();
      const int* pivots = lu->pivots.data();
      T* o = static_cast<T*>(out.raw_mutable());
      for (std::int64_t i = 0; i < out.numel(); ++i, f += n * n, pivots += n) {
        o[i] = T(1);
        for (std::int64_t k = 0; k < n; ++k) {
          const T u = pivots[k] == k + 1 ? f[k * n + k] : -f[k * n + k];
          o[i] *= u > 0 ? T(1) : u < 0 ? T(-1) : u;  // 0 and NaN stay
        }
      }
    });
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// ---------------------------------------------------------------- triangular systems

// op(A)⁻¹ B, or B op(A)⁻¹, with A triangular.
struct Triangular {
  static constexpr bool kBroadcasts = true;
  std::string_view op;
  bool left, upper, transpose, unit;
  XGRAD_ATTRIBUTES(op, left, upper, transpose, unit)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const {
    const Shape &a = in[0].shape(), &b = in[1].shape();
    internal::check_square(op, in[0]);
    internal::check_matrix(op, in[1]);
    internal::check_same_dtype(op, in[0], in[1]);
    if (a.back() != b[b.size() - (left ? 2 : 1)])
      fail(op, "the sizes of A and B must agree, got {} and {}", a, b);
    return {internal::matrices(shapes::broadcast(op, batch_of(a), batch_of(b)), b[b.size() - 2],
                               b.back()),
            in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    internal::expand_into(in[1], out);
    const std::int64_t n = in[0].size(-1), m = out.size(-2), k = out.size(-1);
    dispatch_floating(op, out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* a = static_cast<const T*>(in[0].raw());
      T* x = static_cast<T*>(out.raw_mutable());
      for (std::int64_t i = 0; !unit && i < in[0].numel(); i += n * n)
        for (std::int64_t d = 0; d < n; ++d)
          if (a[i + d * n + d] == T(0))
            fail(op, "the matrix must be invertible, got 0 on its diagonal{}",
                 at_batch(batch_of(in[0].shape()), i / (n * n)));
      for_each_matrix(in[0].shape(), out.shape(), [&](std::int64_t i, std::int64_t o) {
        kernels::solve_triangular(left, upper, transpose, unit, m, k, a + i * n * n, x + o * m * k);
      });
    });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    Triangular flipped = *this;
    flipped.transpose = !transpose;
    const Tensor gb = apply(flipped, call.input(0), call.grad());
    TensorList result(2, Tensor());
    if (call.needs(0)) {
      const Tensor x = call.output();
      // -gb xᵀ on the left, -xᵀ gb on the right; transposed where A was.
      const bool x_first = left == transpose;
      const Tensor ga = product(x_first ? x : gb, !left, x_first ? gb : x, left);
      result[0] = upper ? -triu(ga, unit) : -tril(ga, -unit);
    }
    result[1] = gb;
    return result;
  }
  TensorList jvp(const Call& call) const {  // A tx = tb - tA x, or the same with A on the right
    const Tensor &ta = call.tangent(0), &tb = call.tangent(1);
    Tensor right = tb;
    if (ta.defined()) {
      const Tensor x = call.output(), part = upper ? triu(ta, unit) : tril(ta, -unit);
      const Tensor y =
          left ? product(part, transpose, x, false) : product(x, false, part, transpose);
      right = tb.defined() ? tb - y : -y;
    }
    const Tensor t = apply(*this, call.input(0), right);
    const Shape& shape = call.output_spec().shape;
    return {t.shape() == shape ? t : expand(t, shape)};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, in.aligned()); }
};

// B is one vector for each matrix A.
bool is_vector(const Tensor& a, const Tensor& b) {
  return b.ndim() == 1 ||
         (b.ndim() + 1 == a.ndim() && b.shape() == Shape(a.shape().begin(), a.shape().end() - 1));
}

}  // namespace

Tensor internal::solve_triangular(std::string_view op, const Tensor& a, const Tensor& b, bool left,
                                  bool upper, bool transpose) {
  return apply(Triangular{op, left, upper, transpose, false}, a, b);
}

Tensor solve(const Tensor& a, const Tensor& b) {
  const detail::Named as("solve");
  internal::check_square("solve", a);
  check_defined("solve", Inputs(std::array{&b}));
  internal::check_same_dtype("solve", a, b);
  const bool vector = is_vector(a, b);
  if (b.ndim() == 0 || b.size(vector ? -1 : -2) != a.size(-1))
    fail("solve", "B must be (…, n) or (…, n, k) for A (…, n, n), got A {} and B {}", a.shape(),
         b.shape());
  const Tensor columns = vector ? unsqueeze(b, -1) : b;
  shapes::broadcast("solve", batch_of(a.shape()), batch_of(columns.shape()));
  const LuFactors lu = factors_of("solve", a);
  check_factors({"solve", lu});
  const Tensor x = apply(Solve{false, lu}, a, columns);
  return vector ? squeeze(x, -1) : x;
}

Tensor internal::inverse(std::string_view op, const Tensor& a) {
  const LuFactors lu = factors_of(op, a);
  check_factors({op, lu});
  return apply(Inverse{lu}, a);
}

Tensor inv(const Tensor& a) {
  const detail::Named as("inv");
  return internal::inverse("inv", a);
}

Tensor det(const Tensor& a) {
  const detail::Named as("det");
  const LuFactors lu = factors_of("det", a);
  return apply(Det{lu}, a);
}

SlogdetResult slogdet(const Tensor& a) {
  const detail::Named as("slogdet");
  const LuFactors lu = factors_of("slogdet", a);
  Tensor sign = empty(batch_of(a.shape()), a.dtype());
  compute_into(sign, Signs{lu}, a);
  return {sign, apply(LogAbsDet{lu}, a)};
}

Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left,
                        bool unitriangular) {
  const detail::Named as("solve_triangular");
  check_defined("solve_triangular", Inputs(std::array{&a, &b}));
  return apply(Triangular{"solve_triangular", left, upper, false, unitriangular}, a, b);
}

Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper) {
  const detail::Named as("cholesky_solve");
  check_defined("cholesky_solve", Inputs(std::array{&b, &factor}));
  // A = L Lᵀ, or Uᵀ U: the transposed factor comes first where it is the upper one.
  const Tensor half = internal::solve_triangular("cholesky_solve", factor, b, true, upper, upper);
  return internal::solve_triangular("cholesky_solve", factor, half, true, upper, !upper);
}

Tensor lstsq(const Tensor& a, const Tensor& b, double rtol) {
  const detail::Named as("lstsq");
  internal::check_matrix("lstsq", a);
  check_defined("lstsq", Inputs(std::array{&b}));
  internal::check_same_dtype("lstsq", a, b);
  const bool vector = is_vector(a, b);
  if (b.ndim() == 0 || b.size(vector ? -1 : -2) != a.size(-2))
    fail("lstsq", "B must be (…, m) or (…, m, k) for A (…, m, n), got A {} and B {}", a.shape(),
         b.shape());
  const Tensor x =
      matmul(internal::pseudo_inverse("lstsq", a, rtol), vector ? unsqueeze(b, -1) : b);
  return vector ? squeeze(x, -1) : x;
}

}  // namespace autograd
