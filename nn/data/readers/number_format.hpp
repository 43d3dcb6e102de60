#pragma once

#include <optional>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)

namespace nn::data {

/// How numbers are written, apart from the locale.
struct NumberFormat {
  char decimal = '.';
  char thousands = '\0';  ///< may stand between groups of digits; 0 for none
  bool percent = false;   ///< 12.5% is 0.125

  /// The number that is the whole of `text`; nothing if it is none, infinite if it is too large for
  /// float64. Groups of digits must be of three, or of two before the last (1,234,567; 12,34,567).
  std::optional<double> parse(std::string_view text) const;
};

}  // namespace nn::data

#pragma GCC visibility pop
