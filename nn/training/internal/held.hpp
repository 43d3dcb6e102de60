#pragma once

#include <memory>
#include <string_view>

#include "autograd/core/errors.hpp"

namespace nn::detail {

/// What an object of type `type` holds behind a pointer, unless it was moved from.
template <class Impl>
Impl* held(const std::unique_ptr<Impl>& impl, std::string_view type) {
  if (!impl)
    autograd::fail(type, "must hold a run, got one that was moved from; use what it was moved to");
  return impl.get();
}

}  // namespace nn::detail
