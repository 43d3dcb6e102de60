#include "nn/data/tokenizers/word_tokenizer.hpp"

#include <algorithm>
#include <utility>

#include "nn/data/internal/unicode.hpp"

namespace nn::data {

using detail::code_point;
using detail::Kind;

namespace {

// Han, by the blocks that are set aside for it, and hiragana.
bool stands_alone(std::int32_t c) {
  constexpr std::pair<std::int32_t, std::int32_t> ranges[] = {
      {0x3041, 0x3096}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x3FFFD}};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

bool is_word(Kind kind) {
  return kind == Kind::letter || kind == Kind::number || kind == Kind::connector;
}

std::int32_t value_at(std::string_view text, std::size_t at) {
  return at < text.size() ? code_point(text, at).value : ' ';
}
Kind kind_at(std::string_view text, std::size_t at) { return detail::kind_of(value_at(text, at)); }

// Whether c, after a character of kind `before`, goes on with a word if `next` does. The zero-width
// space is there to say that a word ends.
bool joins(std::int32_t c, Kind before, std::int32_t next) {
  const Kind after = detail::kind_of(next);
  if (stands_alone(next) || !is_word(after)) return false;
  if (c == '\'' || c == 0x2019) return before == Kind::letter && after == Kind::letter;
  if (c == '.' || c == ',') return before == Kind::number && after == Kind::number;
  return detail::kind_of(c) == Kind::format && c != 0x200B;
}

// The size of the word that begins at `begin`.
std::size_t word_size(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  Kind before = Kind::space;  // the last that is no accent
  while (at < text.size()) {
    const auto c = code_point(text, at);
    const Kind kind = detail::kind_of(c.value);
    if (stands_alone(c.value) && at > begin) break;
    if (!is_word(kind) && kind != Kind::mark &&
        !joins(c.value, before, value_at(text, at + c.size)))
      break;
    if (is_word(kind)) before = kind;
    at += c.size;
    if (!stands_alone(c.value)) continue;
    while (kind_at(text, at) == Kind::mark) at += code_point(text, at).size;
    break;
  }
  return at - begin;
}

std::string token(std::string_view text, bool lower_case) {
  return lower_case ? detail::lower_case(text) : std::string(text);
}

// `tokenizer` on each text.
template <class Tokenizer>
std::vector<std::vector<std::string>> each(const Tokenizer& tokenizer,
                                           const std::vector<std::string>& texts) {
  std::vector<std::vector<std::string>> all;
  all.reserve(texts.size());
  for (const std::string& text : texts) all.push_back(tokenizer(text));
  return all;
}

}  // namespace

std::vector<std::string> WordTokenizer::operator()(std::string_view text) const {
  detail::check_utf8("WordTokenizer", text);
  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = code_point(text, at);
    const Kind kind = detail::kind_of(c.value);
    std::size_t size = c.size;
    if (is_word(kind))
      size = word_size(text, at);
    else if (kind == Kind::symbol || kind == Kind::mark)
      size = detail::cluster_size(text, at);
    if (kind != Kind::space && kind != Kind::control && kind != Kind::format)
      tokens.push_back(token(text.substr(at, size), options_.lower_case));
    at += size;
  }
  return tokens;
}

std::vector<std::vector<std::string>> WordTokenizer::operator()(
    const std::vector<std::string>& texts) const {
  return each(*this, texts);
}

std::vector<std::string> CharacterTokenizer::operator()(std::string_view text) const {
  detail::check_utf8("CharacterTokenizer", text);
  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = code_point(text, at).size;
    tokens.push_back(token(text.substr(at, size), options_.lower_case));
    at += size;
  }
  return tokens;
}

std::vector<std::vector<std::string>> CharacterTokenizer::operator()(
    const std::vector<std::string>& texts) const {
  return each(*this, texts);
}

}  // namespace nn::data
