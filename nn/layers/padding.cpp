#include "nn/layers/padding.hpp"

#include <fmt/ranges.h>

namespace nn::detail {

Pad::Pad(const char* name, std::int64_t axes, const ag::Integers& padding, ag::PadMode mode,
         double value)
    : name_(name), axes_(axes), padding_(padding), mode_(mode), value_(value) {
  if (padding_.size() == 1)
    for (std::int64_t side = 1; side < 2 * axes; ++side) padding_.push_back(padding_[0]);
  if (static_cast<std::int64_t>(padding_.size()) != 2 * axes)
    ag::fail(name, "padding must have 1 or {} widths, got {}", 2 * axes, padding_.size());
  for (const std::int64_t width : padding_)
    if (width < 0 && mode != ag::PadMode::constant)
      ag::fail(name, "widths must be at least 0, got {}", width);
}

ag::Tensor Pad::forward(const ag::Tensor& x) const {
  const bool any = mode_ == ag::PadMode::constant && x.ndim() >= axes_;
  if (!any && x.ndim() != axes_ + 1 && x.ndim() != axes_ + 2)
    ag::fail(name_, "needs inputs of {} or {} axes, got shape {}", axes_ + 1, axes_ + 2, x.shape());
  return ag::pad(x, padding_, mode_, value_);
}

std::string Pad::extra_repr() const {
  return fmt::format("({})", fmt::join(padding_.begin(), padding_.end(), ", "));
}

std::string ConstantPad::extra_repr() const {
  return fmt::format("padding={}, value={}", Pad::extra_repr(), repr(value()));
}

}  // namespace nn::detail
