#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/structure.hpp"
#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

namespace nn::data::detail {

/// The tensors one above the other along a new first axis; undefined if they are. Throws unless
/// they have one shape and dtype.
ag::Tensor stack_samples(const std::vector<ag::Tensor>& samples);

template <class S>
auto collate(std::vector<S> samples);

// Part number I of each sample, as a batch.
template <std::size_t I, class S>
auto collate_part(std::vector<S>& samples) {
  std::vector<std::tuple_element_t<I, S>> parts;
  parts.reserve(samples.size());
  for (S& sample : samples) parts.push_back(std::get<I>(std::move(sample)));
  return collate(std::move(parts));
}

template <class S, std::size_t... I>
auto collate_parts(std::vector<S>& samples, std::index_sequence<I...>) {
  if constexpr (requires(S & s) { s.first, s.second; })
    return std::pair{collate_part<I>(samples)...};
  else
    return std::tuple{collate_part<I>(samples)...};
}

// Tensor by tensor: the batch has the type of a sample.
template <class S>
S collate_structure(std::vector<S>& samples) {
  std::vector<std::vector<ag::Tensor>> parts;
  for (S& sample : samples) {
    std::size_t i = 0;
    ag::detail::for_each_tensor(sample, [&](ag::Tensor& t) {
      if (i == parts.size()) parts.emplace_back();
      parts[i++].push_back(std::move(t));
    });
  }
  S batch = std::move(samples.front());
  std::size_t i = 0;
  ag::detail::for_each_tensor(batch, [&](ag::Tensor& t) { t = stack_samples(parts[i++]); });
  return batch;
}

/// The batch that samples make when their data set has no collate() of its own: tensors are
/// stacked, numbers become a tensor, pairs and tuples go part by part, a struct of tensors member
/// by member; of anything else a std::vector.
template <class S>
auto collate(std::vector<S> samples) {
  if constexpr (ag::TensorStructure<S>) {
    return collate_structure(samples);
  } else if constexpr (std::is_arithmetic_v<S>) {
    using Stored = ag::detail::StoredAs<S>;
    ag::Tensor numbers =
        ag::empty({static_cast<std::int64_t>(samples.size())}, ag::dtype_of<Stored>);
    auto* out = numbers.mutable_data<Stored>();
    for (const S sample : samples) *out++ = static_cast<Stored>(sample);
    return numbers;
  } else if constexpr (requires { std::tuple_size<S>::value; }) {
    return collate_parts(samples, std::make_index_sequence<std::tuple_size_v<S>>());
  } else {
    return samples;
  }
}

template <Gives<std::int64_t> D>
using SampleOf = std::remove_cvref_t<decltype(get(std::declval<const D&>(), std::int64_t{},
                                                  std::declval<ag::Generator&>()))>;

// A data set that makes its batches of samples by itself.
template <class D>
concept Collates = requires(const D& data, std::vector<SampleOf<D>> samples) {
  data.collate(std::move(samples));
};

/// The batch of the samples `indices`. `generator_of(i)` is for sample i, and `generator_of(-1)`
/// for a batch that the data set makes in one go.
template <class D, class G>
auto batch_of(const D& data, Indices indices, const G& generator_of) {
  if constexpr (Gives<D, Indices>) {
    ag::Generator generator = generator_of(-1);
    return get(data, indices, generator);
  } else {
    std::vector<SampleOf<D>> samples;
    samples.reserve(indices.size());
    for (const std::int64_t i : indices) {
      ag::Generator generator = generator_of(i);
      samples.push_back(get(data, i, generator));
    }
    if constexpr (Collates<D>)
      return data.collate(std::move(samples));
    else
      return collate(std::move(samples));
  }
}

}  // namespace nn::data::detail

namespace nn::data {

/// The batches of a data set: what its get() of several indices, or its collate() returns. A data
/// set that has neither gets tensors stacked and numbers as a tensor, pairs and tuples part by
/// part, a struct of tensors as one of stacked tensors, and of anything else a std::vector.
template <Dataset D>
using BatchOf = std::remove_cvref_t<decltype(detail::batch_of(
    std::declval<const D&>(), detail::Indices(), std::declval<ag::Generator (*)(std::int64_t)>()))>;

namespace detail {

/// The rows of a batch are samples for sure: it is a `Batch`, or the loader has made it of samples.
template <class D>
constexpr bool has_rows =
    !(Gives<D, Indices> || Collates<D>) || std::same_as<BatchOf<D>, data::Batch>;

/// Throws, for `what`, unless a batch has n rows.
void check_rows(const char* what, const ag::Tensor& batch, std::int64_t n);
void check_rows(const char* what, std::size_t rows, std::int64_t n);
/// Also unless its x is defined.
void check_rows(const char* what, const data::Batch& batch, std::int64_t n);
template <class B>
void check_rows(const char* what, const B& batch, std::int64_t n) {
  if constexpr (ag::TensorStructure<B>)
    ag::detail::for_each_tensor(batch, [&](const ag::Tensor& t) { check_rows(what, t, n); });
  else if constexpr (requires { std::tuple_size<B>::value; })
    std::apply([&](const auto&... part) { (check_rows(what, part, n), ...); }, batch);
  else
    check_rows(what, batch.size(), n);
}

/// The size of a data set. Throws if a loader could not begin.
std::int64_t samples_to_load(const TensorDataset& data);
template <class D>
std::int64_t samples_to_load(const D& data) {
  return data.size();
}

}  // namespace detail

}  // namespace nn::data

#pragma GCC visibility pop
