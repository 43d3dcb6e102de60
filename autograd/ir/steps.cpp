#include "autograd/ir/steps.hpp"

namespace autograd::replay {

Tensor tensor_on(const detail::Ref<detail::Storage>& storage, const TensorType& t) {
  return Tensor(detail::Ref<detail::TensorImpl>::adopt(
      new detail::TensorImpl(storage, t.shape, t.numel, t.dtype)));
}

std::int64_t row_of(const Steps& form, const Step& step) {
  const Shape& shape = form.type(form.out(step)[0]).shape;
  return shape.empty() ? 1 : shape.back();
}

std::uint32_t TypeNumbers::of(const detail::TensorImpl& t, Steps& steps) {
  std::size_t hash = static_cast<std::size_t>(t.dtype) + 1;
  for (const std::int64_t n : t.shape)
    hash = (hash ^ static_cast<std::size_t>(n)) * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 32;
  std::uint32_t& recent = recent_[hash % kRecent];
  if (recent != 0 && steps.types[recent].is_of(t)) return recent;
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto at = first; at != last; ++at)
    if (steps.types[at->second].is_of(t)) return recent = at->second;
  steps.types.push_back({t.shape, t.numel, t.dtype});
  recent = static_cast<std::uint32_t>(steps.types.size() - 1);
  by_hash_.emplace(hash, recent);
  return recent;
}

}  // namespace autograd::replay
