#include "nn/layers/packed_sequence.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "autograd/ops/ops.hpp"

namespace nn {
namespace {

using Numbers = std::vector<std::int64_t>;

ag::Tensor tensor_of(const Numbers& numbers) {
  ag::Tensor t = ag::empty({static_cast<std::int64_t>(numbers.size())}, ag::int64);
  std::copy(numbers.begin(), numbers.end(), t.mutable_data<std::int64_t>());
  return t;
}
Numbers numbers_of(const char* op, const char* what, const ag::Tensor& t) {
  if (!t.defined() || t.dtype() != ag::int64 || t.ndim() != 1)
    ag::fail(op, "{} must be int64 with one axis, got {}", what,
             t.defined() ? fmt::format("{} of shape {}", ag::name(t.dtype()), t.shape())
                         : "an undefined tensor");
  const auto* p = t.data<std::int64_t>();
  return {p, p + t.numel()};
}
std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// x with its two first axes as one.
ag::Tensor in_rows(const ag::Tensor& x) {
  ag::Shape shape{x.size(0) * x.size(1)};
  for (std::int64_t i = 2; i < x.ndim(); ++i) shape.push_back(x.size(i));
  return ag::reshape(x, shape);
}

struct Packed {
  Numbers sizes, order, back;
};

// What a packed sequence says of its batch. Throws unless it is one.
Packed checked(const char* op, const PackedSequence& p) {
  Packed s{numbers_of(op, "batch_sizes", p.batch_sizes),
           numbers_of(op, "sorted_indices", p.sorted_indices),
           numbers_of(op, "unsorted_indices", p.unsorted_indices)};
  const auto n = static_cast<std::int64_t>(s.order.size());
  std::int64_t before = n, all = 0;
  for (const std::int64_t size : s.sizes) {
    if (size < 1 || size > before)
      ag::fail(op, "batch_sizes must be in [1, {}] here, and not rise, got {}", before, size);
    before = size;
    all += size;
  }
  if (!p.data.defined() || p.data.ndim() == 0 || p.data.size(0) != all)
    ag::fail(op, "data must have {} rows for these batch_sizes, got {}", all,
             p.data.defined() ? fmt::format("shape {}", p.data.shape()) : "an undefined tensor");
  if ((s.sizes.empty() ? 0 : s.sizes[0]) != n || s.back.size() != s.order.size())
    ag::fail(op, "there must be as many indices as sequences, got {}, {} and {}",
             s.sizes.empty() ? 0 : s.sizes[0], n, s.back.size());
  for (std::int64_t i = 0; i < n; ++i)
    if (s.back[at(i)] < 0 || s.back[at(i)] >= n || s.order[at(s.back[at(i)])] != i)
      ag::fail(op, "sorted_indices and unsorted_indices must undo one another, got {} at {}",
               s.back[at(i)], i);
  return s;
}

}  // namespace

PackedSequence pack_padded_sequence(const ag::Tensor& x, const ag::Tensor& lengths,
                                    const PackOptions& options) {
  constexpr const char* op = "pack_padded_sequence";
  const ag::detail::Named as(op);
  if (!x.defined() || x.ndim() < 2)
    ag::fail(op, "x must have axes of steps and batch, got {}",
             x.defined() ? fmt::format("shape {}", x.shape()) : "an undefined tensor");
  const ag::Tensor by_step = options.batch_first ? ag::swapaxes(x, 0, 1) : x;
  const std::int64_t steps = by_step.size(0), n = by_step.size(1);
  const Numbers length = numbers_of(op, "lengths", lengths);
  if (lengths.numel() != n)
    ag::fail(op, "lengths must be one for each of {} sequences, got {}", n, lengths.numel());
  for (std::int64_t i = 0; i < n; ++i) {
    if (length[at(i)] < 1 || length[at(i)] > steps)
      ag::fail(op, "lengths must be in [1, {}], the steps of x, got {} at {}", steps, length[at(i)],
               i);
    if (options.enforce_sorted && i > 0 && length[at(i)] > length[at(i - 1)])
      ag::fail(op, "lengths must not rise, got {} after {}; set enforce_sorted to false",
               length[at(i)], length[at(i - 1)]);
  }
  Numbers order(at(n)), back(at(n)), sizes, rows;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return length[at(a)] > length[at(b)]; });
  for (std::int64_t i = 0; i < n; ++i) back[at(order[at(i)])] = i;
  for (std::int64_t t = 0; n > 0 && t < length[at(order[0])]; ++t) {
    std::int64_t size = 0;
    for (; size < n && length[at(order[at(size)])] > t; ++size)
      rows.push_back(t * n + order[at(size)]);
    sizes.push_back(size);
  }
  return {ag::index_select(in_rows(by_step), 0, tensor_of(rows)), tensor_of(sizes),
          tensor_of(order), tensor_of(back)};
}

PaddedSequence pad_packed_sequence(const PackedSequence& sequence, const PadOptions& options) {
  constexpr const char* op = "pad_packed_sequence";
  const ag::detail::Named as(op);
  const Packed s = checked(op, sequence);
  const auto n = static_cast<std::int64_t>(s.order.size()),
             longest = static_cast<std::int64_t>(s.sizes.size());
  const std::int64_t steps = options.total_length == 0 ? longest : options.total_length;
  if (steps < longest)
    ag::fail(op, "total_length must be at least {}, the longest sequence, got {}", longest, steps);
  const ag::Tensor& data = sequence.data;
  ag::Shape row = data.shape();
  row[0] = 1;
  // Which row of the data each place takes; the one behind the last is the padding.
  Numbers rows(at(steps * n), data.size(0)), length(at(n), 0);
  for (std::int64_t t = 0, first = 0; t < longest; first += s.sizes[at(t++)])
    for (std::int64_t i = 0; i < n; ++i) {
      if (s.back[at(i)] >= s.sizes[at(t)]) continue;
      rows[at(t * n + i)] = first + s.back[at(i)];
      ++length[at(i)];
    }
  const ag::Tensor padded =
      ag::concat({data, ag::full(row, options.padding_value, data.dtype())}, 0);
  ag::Shape shape{steps, n};
  for (std::int64_t i = 1; i < data.ndim(); ++i) shape.push_back(data.size(i));
  const ag::Tensor output = ag::reshape(ag::index_select(padded, 0, tensor_of(rows)), shape);
  return {options.batch_first ? ag::swapaxes(output, 0, 1) : output, tensor_of(length)};
}

}  // namespace nn
