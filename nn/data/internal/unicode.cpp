#include "nn/data/internal/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "autograd/core/errors.hpp"

namespace nn::data::detail {

CodePoint code_point(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at, 4);
  utf8proc_int32_t value = -1;
  const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(rest.data()),
                                     static_cast<utf8proc_ssize_t>(rest.size()), &value);
  return size > 0 ? CodePoint{value, static_cast<std::size_t>(size)} : CodePoint{};
}

std::size_t find_invalid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point(text, at);
    if (c.value < 0) return at;
    at += c.size;
  }
  return text.npos;
}

void check_utf8(std::string_view where, std::string_view text) {
  const std::size_t at = find_invalid(text);
  if (at != text.npos)
    autograd::fail(where, "text must be UTF-8, got byte 0x{:02X} at byte {}",
                   static_cast<unsigned char>(text[at]), at);
}

Kind kind_of(std::int32_t c) {
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return Kind::space;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return Kind::letter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return Kind::mark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Kind::number;
    case UTF8PROC_CATEGORY_PC:
      return Kind::connector;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return Kind::space;
    case UTF8PROC_CATEGORY_CC:
      return Kind::control;
    case UTF8PROC_CATEGORY_CF:
      return Kind::format;
    default:
      return Kind::symbol;
  }
}

void append_utf8(std::string& text, std::int32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(c, bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

std::string lower_case(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point(text, at);
    if (c.value < 0)
      lower += text[at];
    else
      append_utf8(lower, utf8proc_tolower(c.value));
    at += c.size;
  }
  return lower;
}

std::size_t cluster_size(std::string_view text, std::size_t at) {
  utf8proc_int32_t state = 0;
  CodePoint last = code_point(text, at);
  std::size_t end = at + last.size;
  while (last.value >= 0 && end < text.size()) {
    const CodePoint next = code_point(text, end);
    if (next.value < 0 || utf8proc_grapheme_break_stateful(last.value, next.value, &state)) break;
    last = next;
    end += next.size;
  }
  return end - at;
}

}  // namespace nn::data::detail
