#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

/// Time series: tensors whose first axis is time, in equal steps. A series is (n) or, of several
/// columns, (n, columns).
namespace nn::data {

/// Options of `windows`.
struct WindowOptions {
  std::int64_t steps = 0;    ///< rows that a model sees; at least 1
  std::int64_t horizon = 1;  ///< rows that it is to forecast, right after them
  std::int64_t stride = 1;   ///< rows from the beginning of one window to that of the next
  std::vector<std::int64_t>
      targets{};  ///< columns that it is to forecast, in this order; empty: all
};

/// Every window of a series, as samples of a data set: x (m, steps, columns) and y (m, horizon,
/// targets), of any dtype, in the order of time. Rows at the end that no whole window reaches are
/// left out. Copies: each row is there as often as windows see it. Off the tape. Throws if the
/// series has fewer than steps + horizon rows.
TensorDataset windows(const ag::Tensor& series, const WindowOptions& options);

/// What a gap takes on: what lies on the line between the values around it, the value before, or
/// the nearest one (of two as near, the one before). Before the first and behind the last value it
/// is the nearest one.
enum class Gaps : std::uint8_t { linear, previous, nearest };

/// Options of `interpolate`.
struct InterpolateOptions {
  Gaps method = Gaps::linear;
};

/// Fills what is missing (NaN), column by column: float32 or float64 (n) or (n, columns). Off the
/// tape. Throws if a column holds nothing but gaps, or an infinite value.
ag::Tensor interpolate(const ag::Tensor& series, const InterpolateOptions& options = {});

/// x[t] - x[t - lag]: the changes, (n - lag, …). Lag 12 takes the season out of months.
/// Differentiable. Throws unless 1 <= lag < n.
ag::Tensor difference(const ag::Tensor& x, std::int64_t lag = 1);
/// The series whose first rows are `start` (lag, …) and whose changes are `changes` (n, …), (lag +
/// n, …): undoes `difference(x, lag)` up to rounding. Differentiable.
ag::Tensor undifference(const ag::Tensor& changes, const ag::Tensor& start);

/// The series at earlier times as features of the present: x (n - L, lags · columns), first all
/// columns at t - lags[0], and so on, and y (n - L, columns), those at t, where L is the largest
/// lag. Off the tape. Throws unless each lag is in [1, n).
TensorDataset lags(const ag::Tensor& series, const std::vector<std::int64_t>& lags);

/// Cuts a series, or a data set whose rows are in the order of time, into parts that follow one
/// another: nothing is shuffled, and the future stays out of the training data. Lengths must add up
/// to the rows, shares to 1 (rounded as in `split`). Of a series each part but the first may begin
/// `context` rows early, so that its first window reaches back to what came before. Copies.
std::vector<ag::Tensor> split_time(const ag::Tensor& series, std::span<const std::int64_t> lengths,
                                   std::int64_t context = 0);
std::vector<ag::Tensor> split_time(const ag::Tensor& series, std::span<const double> fractions,
                                   std::int64_t context = 0);
std::vector<TensorDataset> split_time(const TensorDataset& data,
                                      std::span<const std::int64_t> lengths);
std::vector<TensorDataset> split_time(const TensorDataset& data, std::span<const double> fractions);

/// `auto [train, test] = split_time(series, {0.8, 0.2}, steps)` or `split_time(series, {1800,
/// 484})`.
template <class T, std::size_t N>
requires std::is_arithmetic_v<T> std::array<ag::Tensor, N> split_time(const ag::Tensor& series,
                                                                      const T (&parts)[N],
                                                                      std::int64_t context = 0) {
  return detail::split_into(parts, [&](auto list) { return split_time(series, list, context); });
}
template <class T, std::size_t N>
requires std::is_arithmetic_v<T> std::array<TensorDataset, N> split_time(const TensorDataset& data,
                                                                         const T (&parts)[N]) {
  return detail::split_into(parts, [&](auto list) { return split_time(data, list); });
}

}  // namespace nn::data

#pragma GCC visibility pop
