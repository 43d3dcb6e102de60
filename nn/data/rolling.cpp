#include "nn/data/rolling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

namespace nn::data {
namespace {

using autograd::fail;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Of some values: how many, their mean and the sum of their squares about it.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  static Moments of(double x) { return std::isnan(x) ? Moments{} : Moments{1, x, 0}; }
  // Chan, Golub and LeVeque (1983).
  friend Moments operator+(const Moments& a, const Moments& b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    const double n = a.count + b.count, difference = b.mean - a.mean;
    return {n, a.mean + difference * (b.count / n),
            a.squares + b.squares + difference * difference * (a.count * b.count / n)};
  }
};

// Calls f(the values of a column, the results) for each column.
template <class F>
ag::Tensor by_columns(std::string_view op, const ag::Tensor& series, const F& f) {
  if (!series.defined() || series.ndim() < 1 || series.ndim() > 2)
    fail(op, "a series must have shape (n,) or (n, columns), got {}",
         series.defined() ? fmt::format("{}", series.shape()) : "an undefined tensor");
  if (!is_floating(series.dtype()))
    fail(op, "a series must be float32 or float64, got {}", name(series.dtype()));
  const std::int64_t n = series.size(0), columns = series.ndim() == 1 ? 1 : series.size(1);
  const std::vector<double> x = series.detach().to(ag::float64).to_vector<double>();
  std::vector<double> column(static_cast<std::size_t>(n)), result(column.size()), y(x.size());
  for (std::int64_t c = 0; c < columns; ++c) {
    const auto at = [&](std::size_t row) {
      return row * static_cast<std::size_t>(columns) + static_cast<std::size_t>(c);
    };
    for (std::size_t row = 0; row < column.size(); ++row) {
      column[row] = x[at(row)];
      if (std::isinf(column[row]))
        fail(op, "values must be finite or NaN, got {} in row {}, column {}", column[row], row, c);
    }
    f(column, result);
    for (std::size_t row = 0; row < column.size(); ++row) y[at(row)] = result[row];
  }
  return ag::from_data(y.data(), series.shape()).to(series.dtype());
}

// The moments of each window, by f. The rows fall into blocks as long as a window, so that a window
// is the end of one block and the start of the next: no sum is taken apart again, nothing drifts.
template <class F>
ag::Tensor rolling(std::string_view op, const ag::Tensor& series, const RollingOptions& o,
                   const F& f) {
  if (o.window < 1) fail(op, "the window must be at least 1, got {}", o.window);
  const std::int64_t least = o.min_periods.value_or(o.window);
  if (least < 0 || least > o.window)
    fail(op, "min_periods must be in [0, {}], got {}", o.window, least);
  return by_columns(op, series, [&](const std::vector<double>& x, std::vector<double>& y) {
    const auto n = static_cast<std::int64_t>(x.size());
    // A longer window sees no more than all rows on either side.
    const std::int64_t ahead = o.center ? std::min((o.window - 1) / 2, n) : 0;
    const std::int64_t behind = std::min(o.window - 1 - (o.center ? (o.window - 1) / 2 : 0), n);
    const std::int64_t w = behind + ahead + 1, padded = behind + n + ahead;
    const auto value = [&](std::int64_t i) {
      i -= behind;
      return Moments::of(i < 0 || i >= n ? kNaN : x[static_cast<std::size_t>(i)]);
    };
    std::vector<Moments> ends(static_cast<std::size_t>(padded)), starts(ends);
    for (std::int64_t i = 0; i < padded; ++i) {
      const auto at = static_cast<std::size_t>(i);
      starts[at] = i % w == 0 ? value(i) : starts[at - 1] + value(i);
    }
    for (std::int64_t i = padded; i-- > 0;) {
      const auto at = static_cast<std::size_t>(i);
      ends[at] = i + 1 == padded || (i + 1) % w == 0 ? value(i) : value(i) + ends[at + 1];
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const auto first = static_cast<std::size_t>(i), last = static_cast<std::size_t>(i + w - 1);
      const Moments all = i % w == 0 ? ends[first] : ends[first] + starts[last];
      y[first] = all.count < static_cast<double>(least) ? kNaN : f(all);
    }
  });
}

// The weight of the newest value.
double alpha_of(const ExponentialMeanOptions& o) {
  if (o.alpha.has_value() + o.span.has_value() + o.halflife.has_value() != 1)
    fail("exponential_mean", "needs one of alpha, span and halflife, got {}",
         o.alpha.has_value() + o.span.has_value() + o.halflife.has_value());
  if (o.alpha && !(*o.alpha > 0 && *o.alpha <= 1))
    fail("exponential_mean", "alpha must be in (0, 1], got {}", *o.alpha);
  if (o.span && !(*o.span >= 1 && std::isfinite(*o.span)))
    fail("exponential_mean", "span must be at least 1, got {}", *o.span);
  if (o.halflife && !(*o.halflife > 0 && std::isfinite(*o.halflife)))
    fail("exponential_mean", "halflife must be above 0, got {}", *o.halflife);
  if (o.alpha) return *o.alpha;
  return o.span ? 2 / (*o.span + 1) : -std::expm1(-std::log(2.0) / *o.halflife);
}

}  // namespace

ag::Tensor rolling_mean(const ag::Tensor& series, const RollingOptions& options) {
  return rolling("rolling_mean", series, options,
                 [](const Moments& m) { return m.count == 0 ? kNaN : m.mean; });
}

ag::Tensor rolling_sum(const ag::Tensor& series, const RollingOptions& options) {
  return rolling("rolling_sum", series, options, [](const Moments& m) { return m.count * m.mean; });
}

ag::Tensor rolling_std(const ag::Tensor& series, const RollingOptions& options,
                       std::int64_t correction) {
  if (correction < 0) fail("rolling_std", "correction must be at least 0, got {}", correction);
  return rolling("rolling_std", series, options, [&](const Moments& m) {
    const double n = m.count - static_cast<double>(correction);
    return n > 0 ? std::sqrt(m.squares / n) : kNaN;
  });
}

ag::Tensor exponential_mean(const ag::Tensor& series, const ExponentialMeanOptions& options) {
  const double alpha = alpha_of(options);
  return by_columns("exponential_mean", series,
                    [&](const std::vector<double>& x, std::vector<double>& y) {
                      double mean = kNaN, old = 0;  // and the weight of all that came before
                      for (std::size_t i = 0; i < x.size(); ++i) {
                        const bool gone = std::isnan(x[i]);
                        if (!gone || !options.ignore_nan) old *= 1 - alpha;
                        if (!gone) {
                          const double fresh = options.adjust ? 1 : alpha;
                          const double share = std::isnan(mean) ? 1 : fresh / (old + fresh);
                          mean = share == 1 ? x[i] : mean + share * (x[i] - mean);
                          old = options.adjust ? old + 1 : 1;
                        }
                        y[i] = mean;
                      }
                    });
}

}  // namespace nn::data
