#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Unicode for the tokenisers, by utf8proc.
namespace nn::data::detail {

/// What a code point is in text. White space is what Unicode calls so (White_Space); a format
/// character shows nothing by itself, and may stand within a word.
enum class Kind { letter, mark, number, connector, space, control, format, symbol };

struct CodePoint {
  std::int32_t value = -1;  ///< negative: bytes that are not UTF-8
  std::size_t size = 1;     ///< in bytes
};

/// The code point at `at`, which is less than the size of the text.
CodePoint code_point(std::string_view text, std::size_t at);
/// The place of the first byte that is not UTF-8, or npos.
std::size_t find_invalid(std::string_view text);
/// Throws in the name of `where` unless the text is UTF-8.
void check_utf8(std::string_view where, std::string_view text);

/// `symbol` for what is unassigned or no code point.
Kind kind_of(std::int32_t code_point);
/// Each code point in lower case, by Unicode's simple mapping, which keeps their number.
std::string lower_case(std::string_view text);
/// The bytes of the cluster at `at`: what a reader takes for one character, such as a letter with
/// its accents or an emoji with a skin tone (UAX #29).
std::size_t cluster_size(std::string_view text, std::size_t at);
void append_utf8(std::string& text, std::int32_t code_point);

}  // namespace nn::data::detail
