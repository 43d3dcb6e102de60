#include "nn/data/quoted.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace nn::data {

std::string detail::quoted(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::size_t size = text.size();
  if (size > kLongest)  // not in the middle of a character of UTF-8
    for (size = kLongest; size > kLongest - 4 && (text[size] & 0xC0) == 0x80;) --size;
  std::string out = "\"";
  for (const char c : text.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\x{:02X}", byte);
    else
      out += c;
  }
  return out + (size < text.size() ? "…\"" : "\"");
}

}  // namespace nn::data
