#include "nn/module/init.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "autograd/ops/ops.hpp"

namespace nn::init {
namespace {

void check(std::string_view op, const ag::Tensor& t) {
  if (!ag::is_floating(t.dtype()))
    ag::fail(op, "needs float32 or float64, got {}", ag::name(t.dtype()));
}

void check_finite(std::string_view op, std::string_view option, double value) {
  if (!std::isfinite(value)) ag::fail(op, "{} must be finite, got {}", option, value);
}

struct Fans {
  double in, out;
};
Fans fans(std::string_view op, const ag::Tensor& t) {
  check(op, t);
  if (t.ndim() < 2)
    ag::fail(op, "the fans need a tensor of at least 2 axes (out, in, …), got shape {}", t.shape());
  double field = 1;
  for (std::int64_t i = 2; i < t.ndim(); ++i) field *= static_cast<double>(t.size(i));
  return {field * static_cast<double>(t.size(1)), field * static_cast<double>(t.size(0))};
}

double kaiming_deviation(std::string_view op, const ag::Tensor& t, const KaimingOptions& options) {
  const Fans f = fans(op, t);
  check_finite(op, "a", options.a);
  const double fan = options.mode == FanMode::fan_in ? f.in : f.out;
  return calculate_gain(options.nonlinearity, options.a) / std::sqrt(fan);
}

// How far a standard normal number above `low` ≥ 0, and below low + width, lies above low: uniform
// proposals (Robert 1995). The tail is cut where e⁻⁴⁰ of it is left. From `low` on, because there
// is no room between numbers far from 0.
double tail_excess(double low, double width, ag::Generator& g) {
  width = std::min(width, std::min(9.0, 40 / std::max(low, 1.0)));
  if (width == 0) return 0;  // so far out that there is none
  for (;;) {
    const double excess = width * g.uniform();
    if (g.uniform() < std::exp(-(low * excess + excess * excess / 2))) return excess;
  }
}

// A number of N(mean, std²) within [low, high].
double truncated(double mean, double std, double low, double high, ag::Generator& g) {
  const double from = (low - mean) / std, to = (high - mean) / std, width = (high - low) / std;
  if (from > 0) return low + std * tail_excess(from, width, g);
  if (to < 0) return high - std * tail_excess(-to, width, g);
  for (;;) {
    const double x = to - from >= 1 ? g.normal() : from + (to - from) * g.uniform();
    if (to - from >= 1 ? x >= from && x <= to : g.uniform() < std::exp(-0.5 * x * x))
      return mean + std * x;
  }
}

double dot(const double* a, const double* b, std::int64_t n) {
  double sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return std::accumulate(sums, sums + 8, 0.0);
}

// Makes the rows of a (rows, columns) matrix orthonormal, rows ≤ columns, by Gram-Schmidt. The
// second pass removes what rounding left in the first (Giraud 2005). Equal to QR with a positive
// diagonal of R.
void orthonormalize(std::vector<double>& a, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    double* row = a.data() + i * columns;
    for (int pass = 0; pass < 2; ++pass)
      for (std::int64_t j = 0; j < i; ++j) {
        const double* earlier = a.data() + j * columns;
        const double along = dot(row, earlier, columns);
        for (std::int64_t k = 0; k < columns; ++k) row[k] -= along * earlier[k];
      }
    const double norm = std::sqrt(dot(row, row, columns));
    for (std::int64_t k = 0; k < columns; ++k) row[k] /= norm;
  }
}

}  // namespace

void zeros_(ag::Tensor t) {
  const ag::detail::Named as("zeros_");
  constant_(t, 0);
}
void ones_(ag::Tensor t) {
  const ag::detail::Named as("ones_");
  constant_(t, 1);
}

void constant_(ag::Tensor t, double value) {
  const ag::detail::Named as("constant_");
  check("constant_", t);
  t.copy_(ag::full(t.shape(), value, t.dtype()));
}

void uniform_(ag::Tensor t, double low, double high, ag::Generator& g) {
  const ag::detail::Named as("uniform_");
  check("uniform_", t);
  if (!(low <= high)) ag::fail("uniform_", "low must be at most high, got {} and {}", low, high);
  check_finite("uniform_", "high - low", high - low);
  t.copy_(ag::rand(t.shape(), t.dtype(), g) * (high - low) + low);
}

void normal_(ag::Tensor t, double mean, double std, ag::Generator& g) {
  const ag::detail::Named as("normal_");
  check("normal_", t);
  if (!(std >= 0)) ag::fail("normal_", "std must be at least 0, got {}", std);
  check_finite("normal_", "std", std);
  check_finite("normal_", "mean", mean);
  t.copy_(ag::randn(t.shape(), t.dtype(), g) * std + mean);
}

void trunc_normal_(ag::Tensor t, double mean, double std, double low, double high,
                   ag::Generator& g) {
  const ag::detail::Named as("trunc_normal_");
  check("trunc_normal_", t);
  if (!(std > 0)) ag::fail("trunc_normal_", "std must be above 0, got {}", std);
  check_finite("trunc_normal_", "std", std);
  check_finite("trunc_normal_", "mean", mean);
  if (!(low < high)) ag::fail("trunc_normal_", "low must be below high, got {} and {}", low, high);
  std::vector<double> values(static_cast<std::size_t>(t.numel()));
  for (double& v : values) v = std::clamp(truncated(mean, std, low, high, g), low, high);
  t.copy_(ag::from_data(values.data(), t.shape()));
}

void xavier_uniform_(ag::Tensor t, double gain, ag::Generator& g) {
  const ag::detail::Named as("xavier_uniform_");
  const Fans f = fans("xavier_uniform_", t);
  check_finite("xavier_uniform_", "gain", gain);
  const double bound = std::abs(gain) * std::sqrt(6 / (f.in + f.out));
  if (t.numel()) uniform_(t, -bound, bound, g);
}

void xavier_normal_(ag::Tensor t, double gain, ag::Generator& g) {
  const ag::detail::Named as("xavier_normal_");
  const Fans f = fans("xavier_normal_", t);
  check_finite("xavier_normal_", "gain", gain);
  if (t.numel()) normal_(t, 0, std::abs(gain) * std::sqrt(2 / (f.in + f.out)), g);
}

double calculate_gain(Nonlinearity nonlinearity, double slope) {
  check_finite("calculate_gain", "slope", slope);
  switch (nonlinearity) {
    case Nonlinearity::tanh:
      return 5.0 / 3;
    case Nonlinearity::relu:
      return std::sqrt(2.0);
    case Nonlinearity::leaky_relu:
      return std::sqrt(2 / (1 + slope * slope));
    case Nonlinearity::selu:
      return 0.75;
    default:
      return 1;
  }
}

void kaiming_uniform_(ag::Tensor t, const KaimingOptions& options, ag::Generator& g) {
  const ag::detail::Named as("kaiming_uniform_");
  const double bound = std::sqrt(3.0) * kaiming_deviation("kaiming_uniform_", t, options);
  if (t.numel()) uniform_(t, -bound, bound, g);
}

void kaiming_normal_(ag::Tensor t, const KaimingOptions& options, ag::Generator& g) {
  const ag::detail::Named as("kaiming_normal_");
  const double deviation = kaiming_deviation("kaiming_normal_", t, options);
  if (t.numel()) normal_(t, 0, deviation, g);
}

void orthogonal_(ag::Tensor t, double gain, ag::Generator& g) {
  const ag::detail::Named as("orthogonal_");
  check("orthogonal_", t);
  check_finite("orthogonal_", "gain", gain);
  if (t.ndim() < 2)
    ag::fail("orthogonal_", "needs a tensor of at least 2 axes, got shape {}", t.shape());
  if (t.numel() == 0) return;
  const std::int64_t rows = t.size(0), columns = t.numel() / rows;
  const std::int64_t fewer = std::min(rows, columns), more = std::max(rows, columns);
  std::vector<double> a = ag::randn({fewer, more}, ag::float64, g).to_vector<double>();
  orthonormalize(a, fewer, more);
  const ag::Tensor q = ag::from_data(a.data(), {fewer, more}) * gain;
  t.copy_(ag::reshape(rows <= columns ? q : ag::transpose(q), t.shape()));
}

}  // namespace nn::init

void nn::detail::reset_affine(const autograd::Tensor& weight, const autograd::Tensor& bias) {
  init::kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  const std::int64_t fan = weight.numel() / weight.size(0);
  const double bound = 1 / std::sqrt(static_cast<double>(fan));
  if (bias.defined()) init::uniform_(bias, -bound, bound);
}
