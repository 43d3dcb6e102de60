#pragma once

#include <cstdint>
#include <optional>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Moving statistics of time series: float32 or float64 (n) or (n, columns), column by column, of
/// the same shape. Off the tape, summed in float64. A NaN is a value that is missing: it counts for
/// nothing, and where too few are left the result is NaN. Infinite values are refused. Rules and
/// names are those of pandas.
namespace nn::data {

namespace ag = autograd;

/// Options of `rolling_mean` and its kin.
struct RollingOptions {
  std::int64_t window = 0;  ///< rows, at least 1: this one and those before it
  /// Values that a window must hold, in [0, window]; none: all of them.
  std::optional<std::int64_t> min_periods{};
  bool center = false;  ///< the row is the middle of its window (of an even one the upper middle)
};

/// The mean of each window: `rolling_mean(series, {.window = 12})`.
ag::Tensor rolling_mean(const ag::Tensor& series, const RollingOptions& options);
/// The sum; 0 of no values where min_periods is 0.
ag::Tensor rolling_sum(const ag::Tensor& series, const RollingOptions& options);
/// The standard deviation, of the values less `correction`; NaN where no more values are there.
ag::Tensor rolling_std(const ag::Tensor& series, const RollingOptions& options,
                       std::int64_t correction = 1);

/// Options of `exponential_mean`: one of `alpha`, `span` and `halflife`.
struct ExponentialMeanOptions {
  std::optional<double> alpha{};     ///< the weight of the newest value, in (0, 1]
  std::optional<double> span{};      ///< alpha = 2 / (span + 1); at least 1
  std::optional<double> halflife{};  ///< rows after which a weight is halved; above 0
  /// Divide by the sum of the weights there are; false: y = (1 - alpha) y + alpha x from the first
  /// value on.
  bool adjust = true;
  bool ignore_nan = false;  ///< rows that are missing do not let weights fade (ignore_na)
};

/// The mean of all values up to a row with weights (1 - alpha)^age, pandas' `ewm(…).mean()`. NaN
/// before the first value; where one is missing, the mean before it.
ag::Tensor exponential_mean(const ag::Tensor& series, const ExponentialMeanOptions& options);

}  // namespace nn::data

#pragma GCC visibility pop
