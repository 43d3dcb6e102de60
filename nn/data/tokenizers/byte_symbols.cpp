#include <unordered_map>

#include "nn/data/internal/bpe.hpp"
#include "nn/data/internal/unicode.hpp"

namespace nn::data::detail {
namespace {

bool shows(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

struct Symbols {
  std::array<std::int32_t, 256> of_byte{};
  std::array<unsigned char, 256> bytes{};  // in the order of their symbols
  std::unordered_map<std::int32_t, char> byte_of{};
  Symbols() {
    std::size_t n = 0;
    std::int32_t next = 256;
    for (const bool shown : {true, false})
      for (int b = 0; b < 256; ++b) {
        if (shows(b) != shown) continue;
        const std::int32_t symbol = shown ? b : next++;
        of_byte[static_cast<std::size_t>(b)] = symbol;
        byte_of[symbol] = static_cast<char>(b);
        bytes[n++] = static_cast<unsigned char>(b);
      }
  }
};

const Symbols& symbols() {
  static const Symbols table;
  return table;
}

}  // namespace

std::string byte_symbol(unsigned char byte) {
  std::string symbol;
  append_utf8(symbol, symbols().of_byte[byte]);
  return symbol;
}

std::string from_symbols(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint c = code_point(token, at);
    const auto byte = symbols().byte_of.find(c.value);
    if (byte == symbols().byte_of.end()) return std::string(token);
    bytes += byte->second;
    at += c.size;
  }
  return bytes;
}

const std::array<unsigned char, 256>& bytes_by_symbol() { return symbols().bytes; }

namespace {

// What the pattern tells apart.
Kind pattern_kind(std::string_view text, std::size_t at) {
  const Kind kind = kind_of(code_point(text, at).value);
  return kind == Kind::letter || kind == Kind::number || kind == Kind::space ? kind : Kind::symbol;
}

// Where the run of one kind that begins at `at` ends, and its last character.
std::size_t run_end(std::string_view text, std::size_t at, std::size_t* last = nullptr) {
  const Kind kind = pattern_kind(text, at);
  while (at < text.size() && pattern_kind(text, at) == kind) {
    if (last) *last = at;
    at += code_point(text, at).size;
  }
  return at;
}

}  // namespace

std::size_t gpt2_word_size(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
    if (text.starts_with(ending)) return ending.size();
  const std::size_t word = text[0] == ' ' && text.size() > 1 ? 1 : 0;
  if (pattern_kind(text, word) != Kind::space) return run_end(text, word);
  std::size_t last = 0;
  const std::size_t end = run_end(text, 0, &last);
  // Of white space before a word the last character is left to it.
  return end == text.size() || last == 0 ? end : last;
}

}  // namespace nn::data::detail
