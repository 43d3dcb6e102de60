#include "nn/data/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

#include "autograd/core/random.hpp"

namespace nn::data {

TensorDataset::TensorDataset(ag::Tensor inputs, ag::Tensor targets)
    : x(std::move(inputs)), y(std::move(targets)) {
  if (!x.defined()) ag::fail("TensorDataset", "x must be defined, got an undefined tensor");
  if (x.ndim() == 0 || (y.defined() && y.ndim() == 0))
    ag::fail("TensorDataset", "tensors must have an axis of rows, got a 0-d {}",
             x.ndim() == 0 ? "x" : "y");
  if (y.defined() && x.size(0) != y.size(0))
    ag::fail("TensorDataset", "x and y must have the same number of rows, got {} and {}: {} != {}",
             x.shape(), y.shape(), x.size(0), y.size(0));
}

void detail::check_indices(std::string_view what, std::span<const std::int64_t> indices,
                           std::int64_t n) {
  for (const std::int64_t i : indices)
    if (i < 0 || i >= n) ag::fail(what, "indices must be in [0, {}), got {}", n, i);
}

// Copies of rows, each in [0, rows).
static ag::Tensor rows(const ag::Tensor& source, std::span<const std::int64_t> indices) {
  if (!source.defined()) return {};
  ag::Shape shape = source.shape();
  shape[0] = static_cast<std::int64_t>(indices.size());
  ag::Tensor out = ag::empty(shape, source.dtype());
  if (out.numel() == 0) return out;
  const auto width = static_cast<std::size_t>(out.numel()) / indices.size() * size_of(out.dtype());
  const auto* from = static_cast<const char*>(source.raw());
  auto* to = static_cast<char*>(out.raw_mutable());
  for (const std::int64_t i : indices) {
    std::memcpy(to, from + static_cast<std::size_t>(i) * width, width);
    to += width;
  }
  return out;
}

Batch TensorDataset::get(std::span<const std::int64_t> indices) const {
  const ag::detail::Named as("TensorDataset");
  detail::check_indices("TensorDataset", indices, size());
  return {rows(x, indices), rows(y, indices)};
}

static TensorDataset part_of(const TensorDataset& data, std::span<const std::int64_t> indices) {
  TensorDataset out;
  out.x = rows(data.x, indices);
  out.y = rows(data.y, indices);
  return out;
}

TensorDataset subset(const TensorDataset& data, std::span<const std::int64_t> indices) {
  const ag::detail::Named as("subset");
  detail::check_indices("subset", indices, data.size());
  return part_of(data, indices);
}

TensorDataset subset(const TensorDataset& data, const std::vector<std::int64_t>& indices) {
  return subset(data, std::span(indices));
}

std::vector<std::vector<std::int64_t>> detail::split_rows(std::int64_t n,
                                                          std::span<const std::int64_t> lengths,
                                                          std::uint64_t seed) {
  std::int64_t left = n;
  for (const std::int64_t length : lengths) {
    if (length < 0) ag::fail("split", "lengths must be at least 0, got {}", length);
    if (length > left)
      ag::fail("split", "lengths must add up to the {} rows of the data set, got more", n);
    left -= length;
  }
  if (left > 0)
    ag::fail("split", "lengths must add up to the {} rows of the data set, got {}", n, n - left);
  ag::Generator generator(seed);
  const ag::Tensor order = ag::randperm(n, generator);
  const std::int64_t* next = order.data<std::int64_t>();
  std::vector<std::vector<std::int64_t>> parts;
  for (const std::int64_t length : lengths) {
    parts.emplace_back(next, next + length);
    next += length;
  }
  return parts;
}

std::vector<std::int64_t> detail::lengths_of(std::int64_t n, std::span<const double> fractions) {
  double total = 0;
  for (const double f : fractions) {
    if (!(f >= 0 && f <= 1)) ag::fail("split", "fractions must be in [0, 1], got {}", f);
    total += f;
  }
  if (fractions.empty() || std::abs(total - 1) > 1e-6)
    ag::fail("split", "fractions must add up to 1, got {}; pass whole numbers for lengths", total);
  std::vector<std::int64_t> lengths;
  std::int64_t left = n;
  for (const double f : fractions) {
    const auto share = static_cast<std::int64_t>(f * static_cast<double>(n));
    lengths.push_back(std::min(left, share));
    left -= lengths.back();
  }
  for (std::size_t i = 0; left > 0; i = (i + 1) % lengths.size(), --left) ++lengths[i];
  return lengths;
}

std::vector<TensorDataset> split(const TensorDataset& data, std::span<const std::int64_t> lengths,
                                 std::uint64_t seed) {
  const ag::detail::Named as("split");
  std::vector<TensorDataset> parts;
  for (const auto& part : detail::split_rows(data.size(), lengths, seed))
    parts.push_back(part_of(data, part));
  return parts;
}

std::vector<TensorDataset> split(const TensorDataset& data, std::span<const double> fractions,
                                 std::uint64_t seed) {
  const ag::detail::Named as("split");
  return split(data, detail::lengths_of(data.size(), fractions), seed);
}

}  // namespace nn::data
