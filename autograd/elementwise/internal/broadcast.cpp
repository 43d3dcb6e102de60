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
