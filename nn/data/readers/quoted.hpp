#pragma once

#include <string>
#include <string_view>

#include "autograd/core/errors.hpp"

#pragma GCC visibility push(default)

namespace nn::data::detail {

/// A text from a file as the errors of tables show it: in quotes, and short.
inline std::string quoted(std::string_view text) { return '"' + autograd::quoted(text, 40) + '"'; }

}  // namespace nn::data::detail

#pragma GCC visibility pop
