#include "nn/data/pad_sequences.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/ops/ops.hpp"

namespace nn::data {

using autograd::fail;

namespace {

std::string described(const ag::Tensor& t) {
  return t.defined() ? fmt::format("{} {}", ag::name(t.dtype()), t.shape()) : "an undefined tensor";
}

// That of the sequences beyond their length.
ag::Shape entry_shape(const ag::Tensor& sequence) {
  const ag::Shape& shape = sequence.shape();
  return ag::Shape(shape.begin() + 1, shape.end());
}

void check_value(ag::DType dtype, double v) {
  const auto refuse_unless = [&](bool holds, const char* wanted) {
    if (!holds)
      fail("pad_sequences", "the value must be {} for {}, got {}", wanted, ag::name(dtype), v);
  };
  if (dtype == ag::boolean) return refuse_unless(v == 0 || v == 1, "0 or 1");
  if (dtype == ag::int64)
    return refuse_unless(std::trunc(v) == v && std::abs(v) <= 0x1p53, "a whole number");
  if (dtype == ag::float32)
    refuse_unless(!std::isfinite(v) || std::abs(v) <= std::numeric_limits<float>::max(),
                  "in its range");
}

void check(const std::vector<ag::Tensor>& sequences, const PadOptions& options) {
  const ag::Tensor& first = sequences.front();
  for (const ag::Tensor& t : sequences) {
    if (!t.defined() || t.ndim() == 0)
      fail("pad_sequences", "sequences must be (length, …), got {}", described(t));
    if (t.dtype() != first.dtype() || entry_shape(t) != entry_shape(first))
      fail("pad_sequences", "sequences must agree in all but their length, got {} and {}",
           described(first), described(t));
    if (t.requires_grad())
      fail("pad_sequences",
           "sequences must be data, got one that requires a gradient; pad it with pad(), or detach "
           "it");
  }
  check_value(first.dtype(), options.value);
}

}  // namespace

ag::Tensor pad_sequences(const std::vector<ag::Tensor>& sequences, const PadOptions& options) {
  ag::detail::refuse_in_trace("pad_sequences()", "pad the data before the call");
  if (options.length && *options.length < 0)
    fail("pad_sequences", "the length must be at least 0, got {}", *options.length);
  if (sequences.empty()) return ag::empty({0, options.length.value_or(0)}, ag::int64);
  check(sequences, options);
  std::int64_t length = 0;
  for (const ag::Tensor& t : sequences) length = std::max(length, t.size(0));
  length = options.length.value_or(length);
  const ag::Tensor& first = sequences.front();
  ag::Shape shape = first.shape();
  shape[0] = length;
  shape.insert(shape.begin(), static_cast<std::int64_t>(sequences.size()));
  ag::Tensor out = ag::full(shape, options.value, first.dtype());
  std::size_t entry = ag::size_of(first.dtype());
  for (const std::int64_t n : entry_shape(first)) entry *= static_cast<std::size_t>(n);
  auto* row = static_cast<char*>(out.raw_mutable());
  for (const ag::Tensor& t : sequences) {
    const std::int64_t n = std::min(t.size(0), length);
    const auto cut = options.truncation_side == Side::left ? t.size(0) - n : 0;
    const auto skip = options.padding_side == Side::left ? length - n : 0;
    if (n > 0 && entry > 0)
      std::memcpy(row + static_cast<std::size_t>(skip) * entry,
                  static_cast<const char*>(t.raw()) + static_cast<std::size_t>(cut) * entry,
                  static_cast<std::size_t>(n) * entry);
    row += static_cast<std::size_t>(length) * entry;
  }
  return out;
}

ag::Tensor lengths(const ag::Tensor& tokens, std::int64_t padding) {
  if (!tokens.defined() || tokens.dtype() != ag::int64 || tokens.ndim() < 1 || tokens.ndim() > 2)
    fail("lengths", "tokens must be int64 (n, length) or (length), got {}", described(tokens));
  const auto value = static_cast<double>(padding);
  if (std::abs(value) > 0x1p53)
    fail("lengths", "the padding must be in [-2^53, 2^53], got {}", padding);
  const std::int64_t length = tokens.size(-1);
  if (length == 0) return ag::sum(tokens, -1);  // zeros, also in a replay
  const ag::Tensor used = (tokens != ag::full({}, value, ag::int64)).to(ag::int64);
  return ag::amax(used * (ag::arange(length) + 1), -1);
}

}  // namespace nn::data
