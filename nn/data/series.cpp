#include "nn/data/series.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "autograd/ops/ops.hpp"

namespace nn::data {

using autograd::fail;

namespace {

// The series off the tape, as (n, columns).
ag::Tensor in_columns(const char* op, const ag::Tensor& series) {
  if (!series.defined() || series.ndim() < 1 || series.ndim() > 2)
    fail(op, "a series must have shape (n,) or (n, columns), got {}",
         series.defined() ? fmt::format("{}", series.shape()) : "an undefined tensor");
  const ag::Tensor x = series.detach();
  return x.ndim() == 1 ? ag::unsqueeze(x, 1) : x;
}

// Copies `rows` rows of x, or these columns of them, to `out`, which moves on.
void copy_rows(const ag::Tensor& x, std::int64_t first, std::int64_t rows,
               const std::vector<std::int64_t>& columns, char*& out) {
  const auto width = ag::size_of(x.dtype());
  const auto row_width = static_cast<std::size_t>(x.size(1)) * width;
  const auto* from =
      static_cast<const char*>(x.raw()) + static_cast<std::size_t>(first) * row_width;
  const auto copy = [&](const char* source, std::size_t bytes) {
    std::memcpy(out, source, bytes);
    out += bytes;
  };
  if (columns.empty()) return copy(from, static_cast<std::size_t>(rows) * row_width);
  for (std::int64_t row = 0; row < rows; ++row, from += row_width)
    for (const std::int64_t c : columns) copy(from + static_cast<std::size_t>(c) * width, width);
}

void check_at_least_one(const char* what, std::int64_t value) {
  if (value < 1) fail("windows", "{} must be at least 1, got {}", what, value);
}

// One column, `stride` elements from row to row. Throws if it cannot be filled.
template <class T>
void fill_gaps(T* x, std::int64_t n, std::int64_t stride, std::int64_t column, Gaps method) {
  const auto at = [&](std::int64_t i) -> T& { return x[i * stride]; };
  std::int64_t last = -1;  // the last row with a value
  const auto fill = [&](std::int64_t next) {
    for (std::int64_t i = last + 1; i < next; ++i) {
      const bool first = last < 0, end = next == n;
      if (first || end) {
        at(i) = at(first ? next : last);
      } else if (method == Gaps::linear) {
        // Weights instead of a difference, which might overflow.
        const double w = static_cast<double>(i - last) / static_cast<double>(next - last);
        at(i) = static_cast<T>((1 - w) * double{at(last)} + w * double{at(next)});
      } else {
        at(i) = at(method == Gaps::nearest && next - i < i - last ? next : last);
      }
    }
    last = next;
  };
  for (std::int64_t i = 0; i < n; ++i) {
    if (std::isinf(at(i)))
      fail("interpolate", "values must be finite or NaN, got {} in row {}, column {}", at(i), i,
           column);
    if (!std::isnan(at(i))) fill(i);
  }
  if (last < 0 && n > 0)
    fail("interpolate", "a column must hold a value to fill its gaps from, got {} NaN in column {}",
         n, column);
  fill(n);
}

template <class T>
void fill_columns(ag::Tensor& x, Gaps method) {
  T* data = x.mutable_data<T>();
  for (std::int64_t c = 0; c < x.size(1); ++c) fill_gaps(data + c, x.size(0), x.size(1), c, method);
}

// Where the parts of these lengths begin, and the end.
std::vector<std::int64_t> cuts(std::int64_t n, std::span<const std::int64_t> lengths) {
  std::vector<std::int64_t> at{0};
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > n - at.back())
      fail("split_time", "lengths must be at least 0 and add up to the {} rows, got {}", n,
           ag::Shape(lengths.begin(), lengths.end()));
    at.push_back(at.back() + length);
  }
  if (at.back() != n)
    fail("split_time", "lengths must add up to the {} rows, got {}", n, at.back());
  return at;
}

}  // namespace

TensorDataset windows(const ag::Tensor& series, const WindowOptions& options) {
  const ag::Tensor x = in_columns("windows", series);
  check_at_least_one("steps", options.steps);
  check_at_least_one("horizon", options.horizon);
  check_at_least_one("stride", options.stride);
  if (x.size(1) == 0) fail("windows", "the series must have a column, got {}", x.shape());
  for (const std::int64_t c : options.targets)
    if (c < 0 || c >= x.size(1))
      fail("windows", "targets must be columns in [0, {}), got {}", x.size(1), c);
  const std::int64_t n = x.size(0);
  if (options.steps > n || options.horizon > n - options.steps)
    fail("windows", "the series must have at least {} + {} rows (steps + horizon), got {}",
         options.steps, options.horizon, n);
  const std::int64_t m = (n - options.steps - options.horizon) / options.stride + 1;
  const auto targets =
      options.targets.empty() ? x.size(1) : static_cast<std::int64_t>(options.targets.size());
  TensorDataset out(ag::empty({m, options.steps, x.size(1)}, x.dtype()),
                    ag::empty({m, options.horizon, targets}, x.dtype()));
  auto* seen = static_cast<char*>(out.x.raw_mutable());
  auto* wanted = static_cast<char*>(out.y.raw_mutable());
  for (std::int64_t i = 0; i < m; ++i) {
    copy_rows(x, i * options.stride, options.steps, {}, seen);
    copy_rows(x, i * options.stride + options.steps, options.horizon, options.targets, wanted);
  }
  return out;
}

ag::Tensor interpolate(const ag::Tensor& series, const InterpolateOptions& options) {
  ag::Tensor x = in_columns("interpolate", series).clone();
  if (!is_floating(x.dtype()))
    fail("interpolate", "a series with gaps must be float32 or float64, got {}", name(x.dtype()));
  if (x.dtype() == ag::float32)
    fill_columns<float>(x, options.method);
  else
    fill_columns<double>(x, options.method);
  return ag::reshape(x, series.shape());
}

ag::Tensor difference(const ag::Tensor& x, std::int64_t lag) {
  const ag::detail::Named as("difference");
  if (x.ndim() == 0) fail("difference", "needs an axis of time, got a 0-d tensor");
  const std::int64_t n = x.size(0);
  if (lag < 1 || lag >= n) fail("difference", "the lag must be in [1, {}), got {}", n, lag);
  return ag::narrow(x, 0, lag, n - lag) - ag::narrow(x, 0, 0, n - lag);
}

ag::Tensor undifference(const ag::Tensor& changes, const ag::Tensor& start) {
  const ag::detail::Named as("undifference");
  if (changes.ndim() == 0 || start.ndim() != changes.ndim() || start.size(0) == 0)
    fail("undifference", "start must hold the first rows of the series as (lag, …), got {} for {}",
         start.shape(), changes.shape());
  const std::int64_t lag = start.size(0), n = lag + changes.size(0);
  // Row t sums its like at t - lag, t - 2 lag, …: as a table with one season in a row.
  ag::TensorList parts{start, changes};
  ag::Shape rest(start.shape().begin() + 1, start.shape().end()), missing = start.shape();
  missing[0] = (lag - n % lag) % lag;
  if (missing[0] > 0) parts.push_back(ag::zeros(missing, start.dtype()));
  const ag::Tensor seasons = ag::unflatten(ag::concat(parts, 0), 0, {-1, lag});
  return ag::narrow(ag::flatten(ag::cumsum(seasons, 0), 0, 1), 0, 0, n);
}

TensorDataset lags(const ag::Tensor& series, const std::vector<std::int64_t>& lags) {
  const ag::Tensor x = in_columns("lags", series);
  const std::int64_t n = x.size(0);
  if (lags.empty()) fail("lags", "needs at least one lag, got none");
  for (const std::int64_t lag : lags)
    if (lag < 1 || lag >= n) fail("lags", "lags must be in [1, {}), got {}", n, lag);
  const std::int64_t largest = *std::max_element(lags.begin(), lags.end()), m = n - largest;
  ag::TensorList features;
  for (const std::int64_t lag : lags) features.push_back(ag::narrow(x, 0, largest - lag, m));
  return TensorDataset(ag::concat(features, 1), ag::narrow(x, 0, largest, m).clone());
}

std::vector<ag::Tensor> split_time(const ag::Tensor& series, std::span<const std::int64_t> lengths,
                                   std::int64_t context) {
  const ag::detail::Named as("split_time");
  if (series.ndim() == 0) fail("split_time", "needs an axis of time, got a 0-d tensor");
  if (context < 0) fail("split_time", "context must be at least 0, got {}", context);
  const auto at = cuts(series.size(0), lengths);
  std::vector<ag::Tensor> parts;
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const std::int64_t from = i == 0 ? 0 : at[i] - context;
    if (from < 0)
      fail("split_time", "there must be {} rows of context before row {}, got {}", context, at[i],
           at[i]);
    parts.push_back(ag::narrow(series, 0, from, at[i + 1] - from));
  }
  return parts;
}

std::vector<ag::Tensor> split_time(const ag::Tensor& series, std::span<const double> fractions,
                                   std::int64_t context) {
  const ag::detail::Named as("split_time");
  if (series.ndim() == 0) fail("split_time", "needs an axis of time, got a 0-d tensor");
  return split_time(series, detail::lengths_of(series.size(0), fractions), context);
}

std::vector<TensorDataset> split_time(const TensorDataset& data,
                                      std::span<const std::int64_t> lengths) {
  const ag::detail::Named as("split_time");
  const auto at = cuts(data.size(), lengths);
  std::vector<TensorDataset> parts;
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const auto part = [&](const ag::Tensor& t) {
      return t.defined() ? ag::narrow(t, 0, at[i], at[i + 1] - at[i]) : t;
    };
    parts.emplace_back(part(data.x), part(data.y));
  }
  return parts;
}

std::vector<TensorDataset> split_time(const TensorDataset& data,
                                      std::span<const double> fractions) {
  const ag::detail::Named as("split_time");
  return split_time(data, detail::lengths_of(data.size(), fractions));
}

}  // namespace nn::data
