#pragma once

#include <string>
#include <string_view>

namespace nn::data::detail {

/// A text from a file as error messages show it: in quotes, on one line, its first 40 bytes or so.
/// Control characters are escaped as in C.
std::string quoted(std::string_view text);

}  // namespace nn::data::detail
