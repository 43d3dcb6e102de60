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

ag::Tensor detail::empty_rows(const ag::Tensor& source, std::int64_t n) {
  if (!source.defined()) return {};
  ag::Shape shape = source.shape();
  shape[0] = n;
  return ag::empty(shape, source.dtype());
}

void detail::copy_rows(const ag::Tensor& source, std::span<const std::int64_t> indices,
                       ag::Tensor& out) {
  if (!out.defined() || out.numel() == 0) return;
  const auto width = static_cast<std::size_t>(out.numel()) / indices.size() * size_of(out.dtype());
  const auto* from = static_cast<const char*>(source.raw());
  auto* to = static_cast<char*>(out.raw_mutable());
  for (const std::int64_t i : indices) {
    std::memcpy(to, from + static_cast<std::size_t>(i) * width, width);
    to += width;
  }
}

static TensorDataset rows(const TensorDataset& data, std::span<const std::int64_t> indices) {
  const auto n = static_cast<std::int64_t>(indices.size());
  TensorDataset out;
  out.x = detail::empty_rows(data.x, n);
  out.y = detail::empty_rows(data.y, n);
  detail::copy_rows(data.x, indices, out.x);
  detail::copy_rows(data.y, indices, out.y);
  return out;
}

TensorDataset subset(const TensorDataset& data, std::span<const std::int64_t> indices) {
  const ag::detail::Named as("subset");
  const std::int64_t n = data.size();
  for (const std::int64_t i : indices)
    if (i < 0 || i >= n) ag::fail("subset", "indices must be in [0, {}), got {}", n, i);
  return rows(data, indices);
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
  if (fractions.empty() || std::abs(total - 1) > 1e-9)
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
    parts.push_back(rows(data, part));
  return parts;
}

std::vector<TensorDataset> split(const TensorDataset& data, std::span<const double> fractions,
                                 std::uint64_t seed) {
  const ag::detail::Named as("split");
  return split(data, detail::lengths_of(data.size(), fractions), seed);
}

}  // namespace nn::data
