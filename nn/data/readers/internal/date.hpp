#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nn::data::detail {

/// Days from 1970-01-01 to a date written 2024-02-29, in the Gregorian calendar; nothing unless
/// that is the whole of `text` and there is such a day.
std::optional<std::int64_t> days_of_date(std::string_view text);

}  // namespace nn::data::detail
