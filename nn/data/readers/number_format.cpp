#include "nn/data/readers/number_format.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>

namespace nn::data {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether a number out of the range of float64 is too small rather than too large. The place of its
// first digit other than 0 and its exponent say so.
bool is_small(std::string_view text) {
  const std::size_t e = std::min(text.find_first_of("eE"), text.size());
  std::int64_t exponent = 0;
  if (e < text.size()) {
    const bool negative = text[e + 1] == '-';
    const char* const digits = text.data() + e + (negative || text[e + 1] == '+' ? 2 : 1);
    if (std::from_chars(digits, text.data() + text.size(), exponent).ec != std::errc{})
      return negative;
    if (negative) exponent = -exponent;
  }
  const std::size_t point = std::min(text.find('.'), e), first = text.find_first_of("123456789");
  return exponent + static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) < 0;
}

std::optional<double> parse_plain(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (end != last || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range)
    return is_small(text) ? 0 : std::numeric_limits<double>::infinity();
  return value;
}

// Takes the separators out of the digits before the decimal sign; false if the groups are wrong.
bool close_up(std::string& text, char thousands, char decimal) {
  const std::size_t whole = std::min(text.find(decimal), text.size());
  std::size_t group = 0;  // digits since the last separator
  bool grouped = false;
  std::string digits;
  for (const char c : std::string_view(text).substr(0, whole)) {
    if (c == thousands) {
      if (group == 0 || group > 3 || (grouped && group < 2)) return false;
      grouped = true;
      group = 0;
    } else {
      if (is_digit(c))
        ++group;
      else if (grouped)
        return false;  // an exponent
      digits += c;
    }
  }
  if (grouped && group != 3) return false;
  text.replace(0, whole, digits);
  return true;
}

}  // namespace

std::optional<double> NumberFormat::parse(std::string_view text) const {
  const bool hundredths = percent && text.ends_with('%');
  if (decimal == '.' && thousands == '\0' && !hundredths) return parse_plain(text);
  if (hundredths) text.remove_suffix(1);
  while (hundredths && text.ends_with(' ')) text.remove_suffix(1);
  std::string plain(text);
  if (thousands != '\0' && !close_up(plain, thousands, decimal)) return std::nullopt;
  if (decimal != '.') {
    if (plain.find('.') != plain.npos) return std::nullopt;
    std::replace(plain.begin(), plain.end(), decimal, '.');
  }
  // By the exponent, so that 12.5% is the float64 nearest to 0.125.
  if (hundredths && plain.find_first_of("eEnN") == plain.npos) return parse_plain(plain + "e-2");
  const auto value = parse_plain(plain);
  return value && hundredths ? *value / 100 : value;
}

}  // namespace nn::data
