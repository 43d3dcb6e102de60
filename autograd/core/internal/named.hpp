#pragma once

#include <string_view>

namespace autograd::internal {

/// The operation whose name errors of this thread bear, by `detail::Named`; empty if there is none.
std::string_view named_operation() noexcept;

}  // namespace autograd::internal
