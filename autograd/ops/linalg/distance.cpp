#include "autograd/ops/linalg/distance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/distance.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/reference.hpp"

namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;

double sign_of(double d) { return std::isnan(d) ? d : std::copysign(1.0, d); }

struct Distance {
  double p;

  template <class T>
  double of(const T* a, const T* b, std::int64_t n) const {
    double sum = 0;
    const auto each = [&](auto f) {
      for (std::int64_t k = 0; k < n; ++k) f(std::abs(double(a[k]) - double(b[k])));
    };
    if (p == 2) {
      // In double where squares of floats would leave their range.
      const T squared = squares<T>(a, b, n);
      const bool safe = squared > std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon();
      return std::sqrt(safe && std::isfinite(squared) ? double(squared) : squares<double>(a, b, n));
    }
    if (p == 1) return each([&](double d) { sum += d; }), sum;
    if (p == 0) return each([&](double d) { sum += d != 0; }), sum;
    if (std::isinf(p)) return each([&](double d) { sum = d > sum || d != d ? d : sum; }), sum;
    each([&](double d) { sum += std::pow(d, p); });
    return std::pow(sum, 1 / p);
  }

  template <class Sum, class T>
  static Sum squares(const T* a, const T* b, std::int64_t n) {
    return products<Sum>(a, b, a, b, n);
  }

  // Σ (a - b) (ta - tb): several sums at once, so that none waits for the one before.
  template <class Sum, class T>
  static Sum products(const T* a, const T* b, const T* ta, const T* tb, std::int64_t n) {
    constexpr int kSums = 16;
    Sum sums[kSums] = {};
    std::int64_t k = 0;
    for (; k + kSums <= n; k += kSums)
      for (int i = 0; i < kSums; ++i)
        sums[i] += (Sum(a[k + i]) - Sum(b[k + i])) * (Sum(ta[k + i]) - Sum(tb[k + i]));
    for (; k < n; ++k) sums[0] += (Sum(a[k]) - Sum(b[k])) * (Sum(ta[k]) - Sum(tb[k]));
    return std::accumulate(sums, sums + kSums, Sum(0));
  }

  // f(k, derivative of the distance by element k of a) where it is not 0; not for p = 2.
  template <class T, class F>
  void each_slope(const T* a, const T* b, std::int64_t n, double distance, F&& f) const {
    if (distance == 0 || p == 0) return;
    const auto each = [&](auto slope) {
      for (std::int64_t k = 0; k < n; ++k)
        if (const double d = double(a[k]) - double(b[k]); d != 0) f(k, slope(d));
    };
    if (p == 1) return each(sign_of);
    if (!std::isinf(p))
      return each([&](double d) { return sign_of(d) * std::pow(std::abs(d) / distance, p - 1); });
    const auto largest = [=](double d) { return T(std::abs(d)) == T(distance); };
    double ties = 0;
    for (std::int64_t k = 0; k < n; ++k) ties += largest(double(a[k]) - double(b[k]));
    each([=](double d) { return (largest(d) ? sign_of(d) : 0) / ties; });
  }

  // to += scale · the gradient for a of the distance; not for p = 2.
  template <class T>
  void add(const T* a, const T* b, std::int64_t n, double distance, double scale,
           double* to) const {
    each_slope(a, b, n, distance, [=](std::int64_t k, double slope) { to[k] += scale * slope; });
  }

  // The tangent of the distance along ta and tb.
  template <class T>
  double along(const T* a, const T* b, const T* ta, const T* tb, std::int64_t n,
               double distance) const {
    if (distance == 0) return 0;
    if (p == 2) {
      const T sum = products<T>(a, b, ta, tb, n);
      const bool safe = distance * distance > std::numeric_limits<T>::min() && std::isfinite(sum);
      return (safe ? double(sum) : products<double>(a, b, ta, tb, n)) / distance;
    }
    double sum = 0;
    each_slope(a, b, n, distance, [&](std::int64_t k, double slope) {
      sum += slope * (double(ta[k]) - double(tb[k]));
    });
    return sum;
  }
};

// The tangents of the distances, from a (batch, n, d), b (batch, m, d), the distances and tangents
// of a and b.
struct CdistTangent {
  static constexpr bool kTotal = true;
  double p;
  XGRAD_ATTRIBUTES(p)

  std::string_view name() const { return "cdist_tangent"; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t d = in[0].size(2), n = in[0].size(1), m = in[1].size(1);
    const Distance distance{p};
    dispatch_floating(name(), out.dtype(), [&]<class T>(T) {
      const auto *a = in_ptr<T>(in[0]), *b = in_ptr<T>(in[1]), *length = in_ptr<T>(in[2]),
                 *ta = in_ptr<T>(in[3]), *tb = in_ptr<T>(in[4]);
      T* const to = out_ptr<T>(out);
      parallel_for(in[0].size(0) * n, 1, 2 * double(m * d), [&](std::int64_t i, std::int64_t end) {
        for (; i < end; ++i)
          for (std::int64_t j = 0; j < m; ++j) {
            const std::int64_t pair = i * m + j, other = (i / n * m + j) * d;
            to[pair] = static_cast<T>(distance.along(a + i * d, b + other, ta + i * d, tb + other,
                                                     d, double(length[pair])));
          }
      });
    });
  }
  TensorList batch(const internal::Batch& in) const {
    Tensor out = empty(in.joined(2).shape(), in[0].dtype());
    compute_into(out, *this, in.joined(0), in.joined(1), in.joined(2), in.joined(3), in.joined(4));
    return {in.parted(out, in.shape(0)[0])};
  }
};

// The gradient for a, or for b (`second`), from a (batch, n, d), b (batch, m, d), the distances and
// their cotangents.
struct CdistGradient {
  double p;
  bool second;
  XGRAD_ATTRIBUTES(p, second)

  std::string_view name() const { return "cdist_gradient"; }
  void forward(const Inputs& in, Tensor& out) const {
    const Tensor &own = in[second ? 1 : 0], &other = in[second ? 0 : 1];
    const std::int64_t d = own.size(2), n = own.size(1), m = other.size(1);
    const std::int64_t along = second ? n : 1, across = second ? 1 : m;
    const Distance distance{p};
    dispatch_floating(name(), out.dtype(), [&]<class T>(T) {
      const auto *x = in_ptr<T>(own), *y = in_ptr<T>(other), *length = in_ptr<T>(in[2]),
                 *g = in_ptr<T>(in[3]);
      T* const to = out_ptr<T>(out);
      parallel_for(own.size(0) * n, 1, 2 * double(m * d), [&](std::int64_t from, std::int64_t end) {
        detail::PooledVector<double> sum(static_cast<std::size_t>(d)),
            factors(static_cast<std::size_t>(m));
        for (std::int64_t i = from; i < end; ++i) {
          std::fill(sum.begin(), sum.end(), 0);
          const std::int64_t batch = i / n, pair = batch * n * m + i % n * across;
          const T* others = y + batch * m * d;
          if (p == 2) {
            for (std::int64_t j = 0; j < m; ++j) {
              const auto far = double(length[pair + j * along]);
              factors[std::size_t(j)] = far == 0 ? 0 : double(g[pair + j * along]) / far;
            }
            kernels::AddDifferences<T>::run(x + i * d, others, factors.data(), m, d, sum.data());
          } else {
            for (std::int64_t j = 0; j < m; ++j)
              distance.add(x + i * d, others + j * d, d, double(length[pair + j * along]),
                           double(g[pair + j * along]), sum.data());
          }
          std::copy(sum.begin(), sum.end(), to + i * d);
        }
      });
    });
  }
  TensorList batch(const internal::Batch& in) const {
    Tensor out = empty(second ? in.joined(1).shape() : in.joined(0).shape(), in[0].dtype());
    compute_into(out, *this, in.joined(0), in.joined(1), in.joined(2), in.joined(3));
    return {in.parted(out, in.shape(0)[0])};
  }
};

// a (batch, n, d), b (batch, m, d) → (batch, n, m).
struct Cdist {
  double p;
  XGRAD_ATTRIBUTES(p)

  std::string_view name() const { return "cdist"; }
  TensorSpec infer(const Inputs& in) const {
    return {{in[0].size(0), in[0].size(1), in[1].size(1)}, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t d = in[0].size(2), n = in[0].size(1), m = in[1].size(1);
    const Distance distance{p};
    dispatch_floating(name(), out.dtype(), [&]<class T>(T) {
      const auto *a = in_ptr<T>(in[0]), *b = in_ptr<T>(in[1]);
      T* const to = out_ptr<T>(out);
      parallel_for(in[0].size(0) * n, 1, double(m * d), [&](std::int64_t from, std::int64_t end) {
        for (std::int64_t i = from; i < end; ++i)
          for (std::int64_t j = 0; j < m; ++j)
            to[i * m + j] = static_cast<T>(distance.of(a + i * d, b + (i / n * m + j) * d, d));
      });
    });
  }
  unsigned saves() const { return save_input(0) | save_input(1) | save_output(0); }
  TensorList backward(const Call& call) const {
    if (grad_enabled())
      return reference_gradient(call, [this](const TensorList& in) { return reference(in); });
    TensorList gradients{Tensor(), Tensor()};
    for (const std::size_t i : {0, 1}) {
      if (!call.needs(i)) continue;
      gradients[i] = empty(call.input_shape(i), call.grad().dtype());
      compute_into(gradients[i], CdistGradient{p, i == 1}, call.input(0), call.input(1),
                   call.output(0), call.grad());
    }
    return gradients;
  }
  TensorList jvp(const Call& call) const {
    if (grad_enabled())
      return {internal::reference_tangent(call,
                                          [this](const TensorList& in) { return reference(in); })};
    const Tensor &a = call.input_value(0), &b = call.input_value(1);
    const auto along = [&](std::size_t i, const Tensor& x) {
      return call.tangent(i).defined() ? call.tangent(i) : zeros_like(x);
    };
    Tensor out = empty(call.output_spec().shape, a.dtype());
    compute_into(out, CdistTangent{p}, a, b, call.output_value(0), along(0, a), along(1, b));
    return {out};
  }
  Tensor reference(const TensorList& in) const {
    const Tensor differences = unsqueeze(in[0], 2) - unsqueeze(in[1], 1);
    // Vectors without elements are 0 apart, also for p = inf, which norm() refuses of nothing.
    return differences.size(-1) == 0 ? sum(differences, {-1}) : norm(differences, p, {-1});
  }
  TensorList batch(const internal::Batch& in) const {
    return {in.parted(apply(*this, in.joined(0), in.joined(1)), in.shape(0)[0])};
  }
};

void check_p(const char* op, double p) {
  if (!(p >= 0)) fail(op, "p must be at least 0, got {}", p);
}
void check_pair(const char* op, const Tensor& a, const Tensor& b) {
  if (!is_floating(a.dtype()) || a.dtype() != b.dtype())
    fail(op, "needs two tensors of float32 or of float64, got {} and {}", name(a.dtype()),
         name(b.dtype()));
}

}  // namespace

Tensor pairwise_distance(const Tensor& a, const Tensor& b, const PairwiseDistanceOptions& options) {
  const char* op = "pairwise_distance";
  const detail::Named as(op);
  check_pair(op, a, b);
  check_p(op, options.p);
  if (a.ndim() == 0 && b.ndim() == 0) fail(op, "needs vectors, got 0-d tensors");
  return norm(a - b + options.eps, options.p, {-1}, options.keepdim);
}

Tensor cdist(const Tensor& a, const Tensor& b, double p) {
  const char* op = "cdist";
  const detail::Named as(op);
  check_pair(op, a, b);
  check_p(op, p);
  if (a.ndim() < 2 || b.ndim() < 2 || a.size(-1) != b.size(-1))
    fail(op, "needs vectors (…, n, d) and (…, m, d), got {} and {}", a.shape(), b.shape());
  const std::int64_t n = a.size(-2), m = b.size(-2), d = a.size(-1);
  const auto batch = [](const Tensor& x) { return Shape(x.shape().begin(), x.shape().end() - 2); };
  const Shape both = shapes::broadcast(op, batch(a), batch(b));
  const auto flat = [&](const Tensor& x, std::int64_t rows) {
    Shape whole = both;
    whole.push_back(rows);
    whole.push_back(d);
    return reshape(expand(x, whole), {both.numel(), rows, d});
  };
  Shape shape = both;
  shape.push_back(n);
  shape.push_back(m);
  return reshape(apply(Cdist{p}, flat(a, n), flat(b, m)), shape);
}

}  // namespace autograd
