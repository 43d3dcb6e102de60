#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/random.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

namespace ag = autograd;

namespace detail {
using Indices = std::span<const std::int64_t>;
template <class D, class I>
concept Gives = requires(const D& data, I at) {
  data.get(at);
}
|| requires(const D& data, I at, ag::Generator& generator) { data.get(at, generator); };
}  // namespace detail

/// What a `DataLoader` reads: any class with `std::int64_t size() const` and one of
///   `get(std::int64_t index) const` → sample index, of any type; the loader makes a batch of
///   several (see `BatchOf`), by the data set's `collate(std::vector<Sample>) const` if it has one;
///   `get(std::span<const std::int64_t> indices) const` → the batch of these samples, of any type.
/// Either may take a second argument, `ag::Generator& generator`, for random numbers that are a
/// function of seed, epoch and sample (or batch), whoever asks and when. A loader with threads
/// calls get() and collate() from several at once.
template <class D>
concept Dataset = requires(const D& data) {
  { data.size() } -> std::convertible_to<std::int64_t>;
}
&&(detail::Gives<D, detail::Indices> || detail::Gives<D, std::int64_t>);

namespace detail {
/// get() of a data set, with the generator if it takes one.
template <class D, class I>
requires Gives<D, I>
auto get(const D& data, I at, ag::Generator& generator) {
  if constexpr (requires { data.get(at, generator); })
    return data.get(at, generator);
  else
    return data.get(at);
}
}  // namespace detail

/// Some rows of a data set: `for (const auto& [x, y] : loader)`. y is undefined where the data set
/// has none.
struct Batch {
  ag::Tensor x, y;
};

/// A data set in memory: tensors that share their first axis, one row per sample. Copies share the
/// elements.
struct TensorDataset {
  ag::Tensor x, y;

  TensorDataset() = default;
  /// Any dtypes and shapes (n, …); without y a data set of inputs alone. Throws unless both have
  /// the same number of rows.
  explicit TensorDataset(ag::Tensor x, ag::Tensor y = {});
  /// The number of rows.
  std::int64_t size() const { return x.size(0); }
  /// Copies of these rows, in that order; an index may come twice. Off the tape. Throws if one is
  /// not in [0, size).
  Batch get(std::span<const std::int64_t> indices) const;
};

/// Images with their classes. Used wherever a `TensorDataset` is wanted.
struct LabelledImages {
  ag::Tensor images;  ///< float32 (n, channels, rows, columns) in [0, 1]
  ag::Tensor labels;  ///< int64 (n)
  operator TensorDataset() const { return TensorDataset(images, labels); }
};

/// The rows `indices`, as `TensorDataset::get` copies them.
TensorDataset subset(const TensorDataset& data, std::span<const std::int64_t> indices);
TensorDataset subset(const TensorDataset& data, const std::vector<std::int64_t>& indices);

/// Distributes the rows at random over parts of the given lengths, which must add up to
/// `data.size()`; a pure function of the seed.
std::vector<TensorDataset> split(const TensorDataset& data, std::span<const std::int64_t> lengths,
                                 std::uint64_t seed = 0);
/// The same with shares that add up to 1, within 1e-6. Each part gets its share rounded down; rows
/// left over go to the first parts, one each, as in PyTorch.
std::vector<TensorDataset> split(const TensorDataset& data, std::span<const double> fractions,
                                 std::uint64_t seed = 0);

namespace detail {
// A number as it is written down: 0.7f is 0.7.
template <class T>
auto as_written(T number) {
  if constexpr (std::is_same_v<T, float>)
    return std::round(double{number} * 1e7) / 1e7;
  else
    return number;
}

// `split` into as many parts as are written down: split(lengths or fractions) → a list of parts.
template <class T, std::size_t N, class F>
auto split_into(const T (&parts)[N], const F& split) {
  using Part = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
  std::array<Part, N> list;
  for (std::size_t i = 0; i < N; ++i) list[i] = static_cast<Part>(as_written(parts[i]));
  auto pieces = split(std::span<const Part>(list));
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::array{std::move(pieces[I])...};
  }
  (std::make_index_sequence<N>());
}
}  // namespace detail

/// `auto [train, validation] = split(data, {0.9, 0.1}, seed)` or `split(data, {50000, 10000},
/// seed)`.
template <class T, std::size_t N>
requires std::is_arithmetic_v<T> std::array<TensorDataset, N> split(const TensorDataset& data,
                                                                    const T (&parts)[N],
                                                                    std::uint64_t seed = 0) {
  return detail::split_into(parts, [&](auto list) { return split(data, list, seed); });
}

namespace detail {
/// The rows of each part of a `split` of `n` rows.
std::vector<std::vector<std::int64_t>> split_rows(std::int64_t n,
                                                  std::span<const std::int64_t> lengths,
                                                  std::uint64_t seed);
/// The lengths that shares of `n` rows mean.
std::vector<std::int64_t> lengths_of(std::int64_t n, std::span<const double> fractions);
/// Throws, for `what`, unless each index is in [0, n).
void check_indices(std::string_view what, std::span<const std::int64_t> indices, std::int64_t n);
}  // namespace detail

}  // namespace nn::data

#pragma GCC visibility pop
