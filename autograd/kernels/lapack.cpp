#include "autograd/kernels/lapack.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "autograd/core/errors.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/kernels/one_thread.hpp"

// LAPACK's matrices are column-major: it sees the transpose of ours. Each factorisation below is
// the one of the transpose that gives ours without a copy. The trailing lengths belong to the
// character arguments, as Fortran passes them.
extern "C" {
#define XGRAD_LAPACK(p, T)                                                                         \
  void cblas_##p##trsm(int order, int side, int triangle, int transpose, int diagonal, int m,      \
                       int n, T alpha, const T* a, int lda, T* b, int ldb);                        \
  void cblas_##p##syr2k(int order, int triangle, int transpose, int n, int k, T alpha, const T* a, \
                        int lda, const T* b, int ldb, T beta, T* c, int ldc);                      \
  void p##getrf_(const int* m, const int* n, T* a, const int* lda, int* pivots, int* info);        \
  void p##potrf_(const char* triangle, const int* n, T* a, const int* lda, int* info,              \
                 std::size_t);                                                                     \
  void p##gelqf_(const int* m, const int* n, T* a, const int* lda, T* tau, T* work,                \
                 const int* size, int* info);                                                      \
  void p##orglq_(const int* m, const int* n, const int* k, T* a, const int* lda, const T* tau,     \
                 T* work, const int* size, int* info);                                             \
  void p##gesdd_(const char* job, const int* m, const int* n, T* a, const int* lda, T* s, T* u,    \
                 const int* ldu, T* vt, const int* ldvt, T* work, const int* size, int* integers,  \
                 int* info, std::size_t);                                                          \
  void p##syevd_(const char* job, const char* triangle, const int* n, T* a, const int* lda, T* w,  \
                 T* work, const int* size, int* integers, const int* integers_size, int* info,     \
                 std::size_t, std::size_t);
XGRAD_LAPACK(s, float)
XGRAD_LAPACK(d, double)
#undef XGRAD_LAPACK
}

namespace autograd::kernels {
namespace {

template <class T>
struct Lapack;
#define XGRAD_LAPACK(p, T)                                     \
  template <>                                                  \
  struct Lapack<T> {                                           \
    static constexpr SingleThreaded<cblas_##p##trsm> trsm{};   \
    static constexpr SingleThreaded<cblas_##p##syr2k> syr2k{}; \
    static constexpr SingleThreaded<p##getrf_> getrf{};        \
    static constexpr SingleThreaded<p##potrf_> potrf{};        \
    static constexpr SingleThreaded<p##gelqf_> gelqf{};        \
    static constexpr SingleThreaded<p##orglq_> orglq{};        \
    static constexpr SingleThreaded<p##gesdd_> gesdd{};        \
    static constexpr SingleThreaded<p##syevd_> syevd{};        \
  };
XGRAD_LAPACK(s, float)
XGRAD_LAPACK(d, double)
#undef XGRAD_LAPACK

int narrow(std::int64_t n) {
  if (n > std::numeric_limits<int>::max())
    fail("linalg", "sizes of matrices must fit in 31 bits, got {}", n);
  return static_cast<int>(n);
}

std::size_t count(std::int64_t n) { return static_cast<std::size_t>(n); }

// Asks for the size of the workspace, and calls again with it.
template <class T, class F>
void with_workspace(F&& f) {
  T wanted{};
  f(&wanted, -1);
  // The answer is a float: the next one is no smaller than what was meant.
  wanted = std::nextafter(wanted, std::numeric_limits<T>::infinity());
  const auto size = static_cast<std::int64_t>(std::ceil(std::max(T(1), wanted)));
  std::vector<T> work(count(size));
  f(work.data(), narrow(size));
}

template <class T>
void identity(std::int64_t n, T* a) {
  std::fill_n(a, n * n, T(0));
  for (std::int64_t i = 0; i < n; ++i) a[i * n + i] = T(1);
}

}  // namespace

template <class T>
bool lu(std::int64_t n, T* a, int* pivots) {
  if (n == 0) return true;
  const int size = narrow(n);
  int info = 0;
  Lapack<T>::getrf(&size, &size, a, &size, pivots, &info);
  return info == 0;
}

template <class T>
void solve_triangular(bool left, bool upper, bool transpose, bool unit, std::int64_t m,
                      std::int64_t n, const T* a, T* b) {
  if (m == 0 || n == 0) return;
  constexpr int row_major = 101, plain = 111, transposed = 112, above = 121, below = 122,
                non_unit = 131, is_unit = 132, on_left = 141, on_right = 142;
  Lapack<T>::trsm(row_major, left ? on_left : on_right, upper ? above : below,
                  transpose ? transposed : plain, unit ? is_unit : non_unit, narrow(m), narrow(n),
                  T(1), a, narrow(left ? m : n), b, narrow(n));
}

template <class T>
void lu_solve(bool transpose, std::int64_t n, std::int64_t k, const T* factors, const int* pivots,
              T* b) {
  // The factors are those of Aᵀ = P L U, with Uᵀ below and Lᵀ above the diagonal of our matrix.
  const auto swap = [&](std::int64_t i) {
    const std::int64_t j = pivots[i] - 1;
    if (i != j) std::swap_ranges(b + i * k, b + (i + 1) * k, b + j * k);
  };
  if (transpose) {
    for (std::int64_t i = 0; i < n; ++i) swap(i);
    solve_triangular(true, true, true, true, n, k, factors, b);
    solve_triangular(true, false, true, false, n, k, factors, b);
  } else {
    solve_triangular(true, false, false, false, n, k, factors, b);
    solve_triangular(true, true, false, true, n, k, factors, b);
    for (std::int64_t i = n; i-- > 0;) swap(i);
  }
}

namespace {

// Of a block of l and t, whose rows are `step` apart: element by element, or by halves,
// dL21 = (dA21 - L21 dL11ᵀ) L11⁻ᵀ and dA22 without dL21 L21ᵀ + L21 dL21ᵀ.
template <class T>
void small_cholesky_tangent(std::int64_t n, const T* l, T* t, std::int64_t step) {
  for (std::int64_t i = 0; i < n; ++i, l += step, t += step)
    for (std::int64_t j = 0; j <= i; ++j) {
      const T *lj = l - (i - j) * step, *tj = t - (i - j) * step;
      T rest = t[j];
      for (std::int64_t k = 0; k < j; ++k) rest -= t[k] * lj[k] + l[k] * tj[k];
      t[j] = j < i ? (rest - l[j] * tj[j]) / lj[j] : rest / (2 * l[j]);
    }
}
template <class T>
void cholesky_tangent(std::int64_t n, const T* l, T* t, std::int64_t step) {
  if (n <= 16) return small_cholesky_tangent(n, l, t, step);
  constexpr int row_major = 101, plain = 111, transposed = 112, below = 122, non_unit = 131,
                on_right = 142;
  const std::int64_t half = n / 2 / 8 * 8, rest = n - half;
  const T *left = l + half * step, *last = left + half;
  T* const t_left = t + half * step;
  cholesky_tangent(half, l, t, step);
  gemm_part(false, true, rest, half, half, T(-1), left, step, t, step, T(1), t_left, step);
  Lapack<T>::trsm(row_major, on_right, below, transposed, non_unit, narrow(rest), narrow(half),
                  T(1), l, narrow(step), t_left, narrow(step));
  Lapack<T>::syr2k(row_major, below, plain, narrow(rest), narrow(half), T(-1), t_left, narrow(step),
                   left, narrow(step), T(1), t_left + half, narrow(step));
  cholesky_tangent(rest, last, t_left + half, step);
}

}  // namespace

template <class T>
void cholesky_tangent(std::int64_t n, const T* l, T* t) {
  cholesky_tangent(n, l, t, n);
}

template <class T>
std::int64_t cholesky(std::int64_t n, T* a) {
  if (n == 0) return 0;
  const int size = narrow(n);
  int info = 0;
  Lapack<T>::potrf("U", &size, a, &size, &info, 1);
  if (info > 0) return info;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!(a[i * n + i] > T(0))) return i + 1;  // NaN
    std::fill_n(a + i * n + i + 1, n - i - 1, T(0));
  }
  return 0;
}

template <class T>
void qr(bool complete, std::int64_t m, std::int64_t n, T* a, T* q, T* r) {
  const std::int64_t least = std::min(m, n), k = complete ? m : least;
  if (least == 0) return k == 0 ? void() : identity(k, q);
  const int rows = narrow(m), columns = narrow(n), reflectors = narrow(least), width = narrow(k);
  int info = 0;
  // Aᵀ = Rᵀ Qᵀ.
  std::vector<T> tau(count(least));
  with_workspace<T>([&](T* work, int size) {
    Lapack<T>::gelqf(&columns, &rows, a, &columns, tau.data(), work, &size, &info);
  });
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t j = 0; j < n; ++j) r[i * n + j] = i <= j && i < least ? a[i * n + j] : T(0);
  for (std::int64_t i = 0; i < m; ++i) {
    std::copy_n(a + i * n, least, q + i * k);
    std::fill_n(q + i * k + least, k - least, T(0));
  }
  with_workspace<T>([&](T* work, int size) {
    Lapack<T>::orglq(&width, &rows, &reflectors, q, &width, tau.data(), work, &size, &info);
  });
}

template <class T>
bool svd(bool full, std::int64_t m, std::int64_t n, T* a, T* u, T* s, T* vh) {
  const std::int64_t least = std::min(m, n);
  if (least == 0) {
    if (full && u) identity(m, u), identity(n, vh);
    return true;
  }
  // Aᵀ = V S Uᵀ.
  const int rows = narrow(m), columns = narrow(n), width = full ? rows : narrow(least);
  std::vector<int> integers(count(8 * least));
  int info = 0;
  T none{};
  with_workspace<T>([&](T* work, int size) {
    Lapack<T>::gesdd(!u     ? "N"
                     : full ? "A"
                            : "S",
                     &columns, &rows, a, &columns, s, u ? vh : &none, &columns, u ? u : &none,
                     &width, work, &size, integers.data(), &info, 1);
  });
  return info == 0;
}

template <class T>
bool eigh(bool vectors, std::int64_t n, T* a, T* values) {
  if (n == 0) return true;
  const int size = narrow(n), query = -1;
  int info = 0, integers_wanted = 0;
  T work_wanted{};
  const char* job = vectors ? "V" : "N";
  Lapack<T>::syevd(job, "U", &size, a, &size, values, &work_wanted, &query, &integers_wanted,
                   &query, &info, 1, 1);
  work_wanted = std::nextafter(work_wanted, std::numeric_limits<T>::infinity());
  const int work_size = std::max(1, static_cast<int>(std::ceil(work_wanted)));
  std::vector<T> work(count(work_size));
  std::vector<int> integers(count(std::max(1, integers_wanted)));
  Lapack<T>::syevd(job, "U", &size, a, &size, values, work.data(), &work_size, integers.data(),
                   &integers_wanted, &info, 1, 1);
  if (vectors)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < i; ++j) std::swap(a[i * n + j], a[j * n + i]);
  return info == 0;
}

#define XGRAD_LAPACK(T)                                                                        \
  template bool lu(std::int64_t, T*, int*);                                                    \
  template void lu_solve(bool, std::int64_t, std::int64_t, const T*, const int*, T*);          \
  template void solve_triangular(bool, bool, bool, bool, std::int64_t, std::int64_t, const T*, \
                                 T*);                                                          \
  template std::int64_t cholesky(std::int64_t, T*);                                            \
  template void cholesky_tangent(std::int64_t, const T*, T*);                                  \
  template void qr(bool, std::int64_t, std::int64_t, T*, T*, T*);                              \
  template bool svd(bool, std::int64_t, std::int64_t, T*, T*, T*, T*);                         \
  template bool eigh(bool, std::int64_t, T*, T*);
XGRAD_LAPACK(float)
XGRAD_LAPACK(double)

}  // namespace autograd::kernels
