#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/data/collate.hpp"
#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Some samples of a data set of any kind, which is held once for all subsets of it. Gives what the
/// data set gives, and batches as it does. Threads may read it as they may read the data set.
template <Dataset D>
class Subset {
 public:
  /// Sample i is sample indices[i] of `data`. Throws if one is not in [0, size).
  Subset(std::shared_ptr<const D> data, std::vector<std::int64_t> indices)
      : data_(std::move(data)), indices_(std::move(indices)) {
    detail::check_indices("subset", indices_, data_->size());
  }

  std::int64_t size() const { return static_cast<std::int64_t>(indices_.size()); }
  const D& dataset() const { return *data_; }
  const std::vector<std::int64_t>& indices() const { return indices_; }

  auto get(std::int64_t index, ag::Generator& generator) const
      requires(!detail::Gives<D, detail::Indices>) {
    return detail::get(*data_, place(index), generator);
  }
  auto get(std::span<const std::int64_t> indices,
           ag::Generator& generator) const requires detail::Gives<D, detail::Indices> {
    std::vector<std::int64_t> places;
    places.reserve(indices.size());
    for (const std::int64_t i : indices) places.push_back(place(i));
    return detail::get(*data_, detail::Indices(places), generator);
  }
  template <class S>
  auto collate(std::vector<S> samples) const requires detail::Collates<D> {
    return data_->collate(std::move(samples));
  }

 private:
  std::int64_t place(std::int64_t index) const {
    detail::check_indices("Subset", {&index, 1}, size());
    return indices_[static_cast<std::size_t>(index)];
  }

  std::shared_ptr<const D> data_;
  std::vector<std::int64_t> indices_;
};

namespace detail {
// A data set whose subsets are views; those of a `TensorDataset` are copies of its rows.
template <class D>
concept ViewedDataset = Dataset<D> && !std::same_as<D, TensorDataset>;

template <class D>
std::vector<Subset<D>> subsets(D data, std::vector<std::vector<std::int64_t>> parts) {
  const auto shared = std::make_shared<const D>(std::move(data));
  std::vector<Subset<D>> list;
  for (auto& part : parts) list.emplace_back(shared, std::move(part));
  return list;
}
}  // namespace detail

/// The samples `indices` of a data set of any kind, in that order; one may come twice.
template <detail::ViewedDataset D>
Subset<D> subset(D data, std::vector<std::int64_t> indices) {
  return {std::make_shared<const D>(std::move(data)), std::move(indices)};
}

/// `split` of a `TensorDataset` for data sets of any kind, to the same parts.
template <detail::ViewedDataset D>
std::vector<Subset<D>> split(D data, std::span<const std::int64_t> lengths,
                             std::uint64_t seed = 0) {
  auto parts = detail::split_rows(data.size(), lengths, seed);
  return detail::subsets(std::move(data), std::move(parts));
}
template <detail::ViewedDataset D>
std::vector<Subset<D>> split(D data, std::span<const double> fractions, std::uint64_t seed = 0) {
  const auto lengths = detail::lengths_of(data.size(), fractions);
  return split(std::move(data), std::span<const std::int64_t>(lengths), seed);
}
template <detail::ViewedDataset D, class T, std::size_t N>
requires std::is_arithmetic_v<T> std::array<Subset<D>, N> split(D data, const T (&parts)[N],
                                                                std::uint64_t seed = 0) {
  return detail::split_into(parts,
                            [&](auto list) { return split<D>(std::move(data), list, seed); });
}

}  // namespace nn::data

#pragma GCC visibility pop
