#include "nn/training/clip.hpp"

#include <cmath>
#include <limits>

#include "autograd/core/trace.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/rows.hpp"
#include "nn/optim/isa/chunks.hpp"
#include "nn/optim/isa/clipping.hpp"

namespace nn {
namespace {

namespace ag = autograd;
template <class T>
using Pieces = ag::detail::PooledVector<optim::GradientChunk<T>>;

// Gradients cut into pieces, by dtype; of rows those that there are.
struct Gradients {
  const ag::TensorList& all;
  Pieces<float> singles;
  Pieces<double> doubles;

  explicit Gradients(const ag::TensorList& gradients) : all(gradients) {
    singles.reserve(all.size());
    for (const ag::Tensor& g : all) {
      if (g.dtype() == ag::float32)
        cut(g, singles);
      else
        cut(g, doubles);
    }
  }
  // Calls kernel(T, first, count) for the pieces of each dtype.
  template <class Kernel>
  void run(Kernel kernel) {
    kernel(float{}, singles.data(), static_cast<std::int64_t>(singles.size()));
    kernel(double{}, doubles.data(), static_cast<std::int64_t>(doubles.size()));
  }
  // The same for one that writes.
  template <class Kernel>
  void change(Kernel kernel) {
    for (ag::Tensor g : all)
      if (!ag::is_rows(g))
        ag::dispatch_floating("clip_grad", g.dtype(), [&]<class T>(T) { g.mutable_data<T>(); });
    run(kernel);
    for (ag::Tensor g : all)
      if (ag::is_rows(g)) ag::detail::rows_changed(g);
  }

 private:
  template <class T>
  static void cut(ag::Tensor gradient, Pieces<T>& pieces) {
    if (ag::is_rows(gradient)) {
      const ag::detail::RowSpan rows = ag::detail::rows_to_change(gradient);
      return cut(static_cast<T*>(rows.values), rows.count * rows.width, pieces);
    }
    // Written to after its version has been counted.
    cut(const_cast<T*>(std::as_const(gradient).data<T>()), gradient.numel(), pieces);
  }
  template <class T>
  static void cut(T* g, std::int64_t size, Pieces<T>& pieces) {
    optim::cut(size, [&](std::int64_t at, std::int64_t n) { pieces.push_back({g + at, n, 0}); });
  }
};

// Σ |x|^p, piece by piece; for p = inf the largest |x|.
double power_sum(Gradients& gradients, double p) {
  gradients.run([p]<class T>(T, auto* first, std::int64_t n) {
    if (std::isinf(p)) return optim::MaxAbs<T>::run(first, n);
    if (p == 2) return optim::SumSquares<T>::run(first, n);
    if (p == 1) return optim::SumAbs<T>::run(first, n);
    optim::SumPowers<T>::run(first, n, p);
  });
  double total = 0;
  const auto join = [&](const auto& pieces) {
    for (const auto& piece : pieces)
      if (!std::isinf(p))
        total += piece.result;
      else if (piece.result > total || std::isnan(piece.result))
        total = piece.result;
  };
  join(gradients.singles);
  join(gradients.doubles);
  return total;
}

// The norm where the powers of its elements leave the range of double.
double scaled_norm(Gradients& gradients, double p) {
  const double most = power_sum(gradients, std::numeric_limits<double>::infinity());
  if (!(most > 0 && std::isfinite(most))) return most;
  double total = 0;
  const auto add = [&](const auto& pieces) {
    for (const auto& piece : pieces)
      for (std::int64_t i = 0; i < piece.n; ++i)
        total += std::pow(std::abs(static_cast<double>(piece.g[i])) / most, p);
  };
  add(gradients.singles);
  add(gradients.doubles);
  return most * std::pow(total, 1 / p);
}

double norm_of(Gradients& gradients, double p) {
  const double total = power_sum(gradients, p);
  if (std::isinf(p)) return total;
  if (!(total > 1e-280 && std::isfinite(total))) return scaled_norm(gradients, p);
  return p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
}

double clip_norm(const ag::TensorList& of, double max_norm, double norm_type,
                 bool error_if_nonfinite) {
  Gradients gradients(of);
  const double total = norm_of(gradients, norm_type);
  if (error_if_nonfinite && !std::isfinite(total))
    ag::fail("clip_grad_norm_", "the norm of the gradients must be finite, got {}", total);

  // The small term keeps a norm of 0 from dividing, as in PyTorch.
  const double factor = max_norm / (total + 1e-6);
  if (!(factor >= 1))
    gradients.change([factor]<class T>(T, auto* first, std::int64_t n) {
      optim::Scale<T>::run(first, n, static_cast<T>(factor));
    });
  return total;
}

ag::TensorList gradients_of(const ag::TensorList& parameters) {
  ag::TensorList gradients;
  for (const ag::Tensor& parameter : parameters)
    if (ag::Tensor g = parameter.grad(); g.defined()) gradients.push_back(std::move(g));
  return gradients;
}

}  // namespace

GradientNorm clip_grad_norm_(const ag::TensorList& parameters, double max_norm, double norm_type,
                             bool error_if_nonfinite) {
  const ag::detail::Named as("clip_grad_norm_");
  if (!(max_norm >= 0))
    ag::fail("clip_grad_norm_", "max_norm must be at least 0, got {}", max_norm);
  if (!(norm_type > 0)) ag::fail("clip_grad_norm_", "norm_type must be above 0, got {}", norm_type);
  const ag::TensorList gradients = gradients_of(parameters);
  if (!ag::compiling()) return clip_norm(gradients, max_norm, norm_type, error_if_nonfinite);
  ag::perform("clip_grad_norm_", {}, gradients,
              [=](const ag::TensorList&, const ag::TensorList& now) {
                clip_norm(now, max_norm, norm_type, error_if_nonfinite);
              });
  return std::numeric_limits<double>::quiet_NaN();
}

void clip_grad_value_(const ag::TensorList& parameters, double clip_value) {
  const ag::detail::Named as("clip_grad_value_");
  if (!(clip_value >= 0))
    ag::fail("clip_grad_value_", "clip_value must be at least 0, got {}", clip_value);
  ag::perform("clip_grad_value_", {}, gradients_of(parameters),
              [clip_value](const ag::TensorList&, const ag::TensorList& gradients) {
                Gradients(gradients).change([=]<class T>(T, auto* first, std::int64_t n) {
                  optim::Limit<T>::run(first, n, static_cast<T>(clip_value));
                });
              });
}

}  // namespace nn
