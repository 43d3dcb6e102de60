#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "autograd/core/tensor.hpp"

namespace nn::data {

namespace ag = autograd;

/// Some rows of a data set: `for (const auto& [x, y] : loader)`. y is undefined where the data set
/// has none.
struct Batch {
  ag::Tensor x, y;
};

/// Tensors that share their first axis, one row per sample. Copies share the elements.
struct TensorDataset {
  ag::Tensor x, y;

  TensorDataset() = default;
  /// Any dtypes and shapes (n, …); without y a data set of inputs alone. Throws unless both have
  /// the same number of rows.
  explicit TensorDataset(ag::Tensor x, ag::Tensor y = {});
  /// The number of rows.
  std::int64_t size() const { return x.size(0); }
};

/// Images with their classes. Used wherever a `TensorDataset` is wanted.
struct LabelledImages {
  ag::Tensor images;  ///< float32 (n, 1, rows, columns) in [0, 1]
  ag::Tensor labels;  ///< int64 (n)
  operator TensorDataset() const { return TensorDataset(images, labels); }
};

/// Copies of the rows `indices`, in that order; an index may come twice. Off the tape. Throws if
/// one is not in [0, size).
TensorDataset subset(const TensorDataset& data, std::span<const std::int64_t> indices);
TensorDataset subset(const TensorDataset& data, const std::vector<std::int64_t>& indices);

/// Distributes the rows at random over parts of the given lengths, which must add up to
/// `data.size()`; a pure function of the seed.
std::vector<TensorDataset> split(const TensorDataset& data, std::span<const std::int64_t> lengths,
                                 std::uint64_t seed = 0);
/// The same with shares that add up to 1. Each part gets its share rounded down; rows left over go
/// to the first parts, one each, as in PyTorch.
std::vector<TensorDataset> split(const TensorDataset& data, std::span<const double> fractions,
                                 std::uint64_t seed = 0);

namespace detail {
// `split` into as many parts as are written down.
template <class D, class T, std::size_t N>
std::array<D, N> split_into(const D& data, const T (&parts)[N], std::uint64_t seed) {
  using Part = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
  std::array<Part, N> list;
  for (std::size_t i = 0; i < N; ++i) list[i] = static_cast<Part>(parts[i]);
  const auto pieces = split(data, std::span<const Part>(list), seed);
  std::array<D, N> result;
  for (std::size_t i = 0; i < N; ++i) result[i] = pieces[i];
  return result;
}
}  // namespace detail

/// `auto [train, validation] = split(data, {0.9, 0.1}, seed)` or `split(data, {50000, 10000},
/// seed)`.
template <class T, std::size_t N>
requires std::is_arithmetic_v<T> std::array<TensorDataset, N> split(const TensorDataset& data,
                                                                    const T (&parts)[N],
                                                                    std::uint64_t seed = 0) {
  return detail::split_into(data, parts, seed);
}

namespace detail {
/// The rows of each part of a `split` of `n` rows.
std::vector<std::vector<std::int64_t>> split_rows(std::int64_t n,
                                                  std::span<const std::int64_t> lengths,
                                                  std::uint64_t seed);
/// The lengths that shares of `n` rows mean.
std::vector<std::int64_t> lengths_of(std::int64_t n, std::span<const double> fractions);
/// Uninitialised, of the shape of `n` rows of `source`; undefined where `source` is.
ag::Tensor empty_rows(const ag::Tensor& source, std::int64_t n);
/// Copies the rows `indices` of `source`, each in [0, rows), into `out`, made by `empty_rows`.
void copy_rows(const ag::Tensor& source, std::span<const std::int64_t> indices, ag::Tensor& out);
}  // namespace detail

}  // namespace nn::data
