#include "autograd/elementwise/internal/broadcast.hpp"

#include <algorithm>

namespace autograd::internal {

BroadcastLoop::BroadcastLoop(std::span<const Shape* const> operands, const Shape& out)
    : operands_(operands.size()), empty_(out.numel() == 0) {
  const std::size_t rank = out.size();
  // Strides of each operand over the axes of out: 0 where it is broadcast.
  InlineVector<std::int64_t, 24> full(rank * operands_, 0);
  for (std::size_t k = 0; k < operands_; ++k) {
    if (!operands[k]) continue;
    const Shape& s = *operands[k];
    std::int64_t stride = 1;
    for (std::size_t i = s.size(); i-- > 0;) {
      full[(rank - s.size() + i) * operands_ + k] = s[i] == 1 ? 0 : stride;
      stride *= s[i];
    }
  }
  for (std::size_t d = 0; d < rank; ++d) {
    if (out[d] == 1) continue;
    bool joins = !sizes_.empty();
    for (std::size_t k = 0; joins && k < operands_; ++k)
      joins = strides_[(sizes_.size() - 1) * operands_ + k] == full[d * operands_ + k] * out[d];
    if (joins) {
      sizes_.back() *= out[d];
      for (std::size_t k = 0; k < operands_; ++k)
        strides_[(sizes_.size() - 1) * operands_ + k] = full[d * operands_ + k];
    } else {
      sizes_.push_back(out[d]);
      strides_.append(full.begin() + d * operands_, full.begin() + (d + 1) * operands_);
    }
  }
  if (sizes_.empty()) {
    sizes_.push_back(1);
    strides_.resize(operands_, 0);
  }
}

bool BroadcastLoop::repeats(std::size_t k) const {
  for (std::size_t d = 0; d + 1 < sizes_.size(); ++d)
    if (strides_[d * operands_ + k] != 0) return false;
  return true;
}

void BroadcastLoop::spell_out(std::size_t k, const void* operand, std::size_t size,
                              std::int64_t begin, std::int64_t end, void* to) const {
  const auto copy = [&](auto word) {
    using T = decltype(word);
    const T* const from = static_cast<const T*>(operand);
    const std::int64_t n = inner();
    const bool one = inner_step(k) == 0;
    T* at = static_cast<T*>(to);
    const auto next = [&](const T* p) {
      at = one ? std::fill_n(at, n, *p) : std::copy_n(p, n, at);
    };
    if (sizes_.size() == 2)  // mostly, and then sooner
      for (std::int64_t i = begin; i < end; ++i) next(from + i * strides_[k]);
    else
      run(begin, end, [&](const std::int64_t* at, std::int64_t) { next(from + at[k]); });
  };
  size == 8 ? copy(std::uint64_t{}) : copy(std::uint32_t{});
}

Tensor expanded(const Tensor& t, const Shape& shape) {
  Tensor out = empty(shape, t.dtype());
  expand_into(t, out);
  return out;
}

void expand_into(const Tensor& t, Tensor& out) {
  auto& storage = *out.impl()->storage;
  constexpr std::size_t worthwhile = 4096;
  if (t.numel() == 1 && storage.bytes() >= worthwhile && !storage.is_foreign())
    return storage.repeat(t.raw(), size_of(t.dtype()));
  const Shape* shapes[] = {&t.shape()};
  const BroadcastLoop loop(shapes, out.shape());
  dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto* p = static_cast<const T*>(t.raw());
    auto* q = static_cast<T*>(out.raw_mutable());
    const std::int64_t n = loop.inner();
    if (loop.inner_step(0))
      loop.run_parallel(0.05 * sizeof(T), [&](const std::int64_t* at, std::int64_t o) {
        std::copy_n(p + at[0], n, q + o);
      });
    else
      loop.run_parallel(0.05 * sizeof(T), [&](const std::int64_t* at, std::int64_t o) {
        std::fill_n(q + o, n, p[at[0]]);
      });
  });
}

}  // namespace autograd::internal
