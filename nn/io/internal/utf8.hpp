#pragma once

#include <string>

namespace nn::detail {

bool is_utf8(const std::string& text);

}  // namespace nn::detail
