#include "nn/data/vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>
#include <utility>

#include "autograd/core/errors.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/data/readers/quoted.hpp"
#include "nn/io/internal/replacement.hpp"

namespace nn::data {

using autograd::fail;

struct Vocabulary::State {
  std::vector<std::string> words;
  bool characters = false;
  std::unordered_map<std::string_view, std::int64_t> places{};  // the keys are those of `words`
  std::optional<std::int64_t> unknown{};
};

namespace {

using Counts = std::unordered_map<std::string_view, std::int64_t>;

Counts counts_of(const std::vector<std::vector<std::string>>& sentences) {
  Counts counts;
  for (const auto& sentence : sentences)
    for (const std::string& word : sentence) ++counts[word];
  return counts;
}

ag::Tensor as_tensor(const std::vector<std::int64_t>& indices) {
  ag::Tensor out = ag::empty({static_cast<std::int64_t>(indices.size())}, ag::int64);
  std::copy(indices.begin(), indices.end(), out.mutable_data<std::int64_t>());
  return out;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> words, bool characters) {
  auto state = std::make_shared<State>(State{std::move(words), characters});
  for (const std::string& word : state->words)
    if (!state->places.emplace(word, static_cast<std::int64_t>(state->places.size())).second)
      fail("Vocabulary", "each word must come once, got {} twice", detail::quoted(word));
  if (const auto at = state->places.find("<unk>"); at != state->places.end())
    state->unknown = at->second;
  state_ = std::move(state);
}

Vocabulary::Vocabulary(std::vector<std::string> words) : Vocabulary(std::move(words), false) {}

Vocabulary Vocabulary::build(const std::vector<std::vector<std::string>>& sentences,
                             const VocabularyOptions& options) {
  const auto specials = static_cast<std::int64_t>(options.specials.size());
  if (options.max_size && *options.max_size < specials)
    fail("Vocabulary", "max_size must be at least {}, the number of specials, got {}", specials,
         *options.max_size);
  Counts counts = counts_of(sentences);
  for (const std::string& special : options.specials) counts.erase(special);
  std::vector<std::pair<std::string_view, std::int64_t>> frequent;
  for (const auto& entry : counts)
    if (entry.second >= options.min_count) frequent.push_back(entry);
  std::sort(frequent.begin(), frequent.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<std::string> words = options.specials;
  for (const auto& [word, count] : frequent) {
    if (options.max_size && static_cast<std::int64_t>(words.size()) == *options.max_size) break;
    words.emplace_back(word);
  }
  return Vocabulary(std::move(words));
}

Vocabulary Vocabulary::characters(std::string_view text) {
  detail::check_utf8("Vocabulary", text);
  std::set<std::string_view> each;  // UTF-8 sorts as the code points do
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = detail::code_point(text, at).size;
    each.insert(text.substr(at, size));
    at += size;
  }
  return Vocabulary(std::vector<std::string>(each.begin(), each.end()), true);
}

const std::vector<std::string>& Vocabulary::words() const& { return state_->words; }
std::vector<std::string> Vocabulary::words() && { return state_->words; }

bool Vocabulary::contains(std::string_view word) const { return state_->places.contains(word); }

std::int64_t Vocabulary::index(std::string_view word) const {
  if (const auto at = state_->places.find(word); at != state_->places.end()) return at->second;
  if (!state_->unknown)
    fail("Vocabulary", "words must be in a vocabulary without \"<unk>\", got {}",
         detail::quoted(word));
  return *state_->unknown;
}

ag::Tensor Vocabulary::encode(const std::vector<std::string>& words) const {
  std::vector<std::int64_t> indices;
  indices.reserve(words.size());
  for (const std::string& word : words) indices.push_back(index(word));
  return as_tensor(indices);
}

std::vector<ag::Tensor> Vocabulary::encode(
    const std::vector<std::vector<std::string>>& sentences) const {
  std::vector<ag::Tensor> all;
  all.reserve(sentences.size());
  for (const auto& sentence : sentences) all.push_back(encode(sentence));
  return all;
}

ag::Tensor Vocabulary::encode(std::string_view text) const {
  if (!state_->characters)
    fail("Vocabulary",
         "the vocabulary must be one of characters for a text, got words and {}; cut the text into "
         "words first",
         detail::quoted(text));
  detail::check_utf8("Vocabulary", text);
  std::vector<std::int64_t> indices;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = detail::code_point(text, at).size;
    indices.push_back(index(text.substr(at, size)));
    at += size;
  }
  return as_tensor(indices);
}

std::string Vocabulary::decode(const ag::Tensor& indices) const {
  if (!indices.defined() || indices.dtype() != ag::int64)
    fail("Vocabulary", "indices must be int64, got {}",
         indices.defined() ? ag::name(indices.dtype()) : "an undefined tensor");
  std::string text;
  const auto* p = indices.data<std::int64_t>();
  for (std::int64_t i = 0; i < indices.numel(); ++i) {
    if (p[i] < 0 || p[i] >= size())
      fail("Vocabulary", "indices must be in [0, {}), got {}", size(), p[i]);
    if (i > 0 && !state_->characters) text += ' ';
    text += words()[static_cast<std::size_t>(p[i])];
  }
  return text;
}

namespace {

constexpr std::string_view kHead = "xgrad vocabulary 1, ";

void append_line(std::string& text, std::string_view word) {
  for (const char c : word) {
    if (c == '\\' || c == '\n' || c == '\r') {
      text += '\\';
      text += c == '\n' ? 'n' : c == '\r' ? 'r' : c;
    } else {
      text += c;
    }
  }
  text += '\n';
}

// A line of a file whose ends have been turned into CRLF.
std::string_view without_return(std::string_view line) {
  return line.substr(0, line.size() - line.ends_with('\r'));
}

bool is_character(std::string_view word) {
  return !word.empty() && detail::code_point(word, 0).size == word.size();
}

// The word of a line, or nothing if its escapes are none.
std::optional<std::string> word_of(std::string_view line) {
  std::string word;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      word += line[i];
      continue;
    }
    const char next = i + 1 < line.size() ? line[++i] : '\0';
    if (next != 'n' && next != 'r' && next != '\\') return {};
    word += next == 'n' ? '\n' : next == 'r' ? '\r' : '\\';
  }
  return word;
}

}  // namespace

void Vocabulary::save(const std::string& path) const {
  std::string text =
      fmt::format("{}{} {}\n", kHead, size(), state_->characters ? "characters" : "words");
  for (const std::string& word : words()) append_line(text, word);
  nn::detail::Replacement file(path);
  file.write(text);
  file.commit();
}

Vocabulary Vocabulary::load(const std::string& path) {
  const std::string text = InputFile(path).read_all();
  const std::size_t first = std::min(text.find('\n'), text.size());
  const std::string_view head = without_return(std::string_view(text).substr(0, first));
  std::int64_t count = -1;
  std::string_view unit;
  if (head.starts_with(kHead)) {
    const char* const end = head.data() + head.size();
    const auto number = std::from_chars(head.data() + kHead.size(), end, count);
    unit = {number.ptr, static_cast<std::size_t>(end - number.ptr)};
  }
  if (count < 0 || (unit != " words" && unit != " characters"))
    fail(path, "must be a vocabulary that begins with \"{}N words\", got {}", kHead,
         detail::quoted(head));
  std::vector<std::string> words;
  for (std::size_t at = first + 1; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string_view line = without_return(std::string_view(text).substr(at, end - at));
    auto word = word_of(line);
    const bool whole = word && end != text.npos;
    if (!whole || (unit == " characters" && !is_character(*word)))
      fail(fmt::format("{}:{}", path, words.size() + 2), "a line must be a whole {}, got {}",
           whole ? "character" : "word", detail::quoted(line));
    words.push_back(std::move(*word));
    at = end + 1;
  }
  if (static_cast<std::int64_t>(words.size()) != count)
    fail(path, "must hold {} words as its first line says, got {}", count, words.size());
  auto sorted = words;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twin = std::adjacent_find(sorted.begin(), sorted.end()); twin != sorted.end())
    fail(path, "each word must come once, got {} twice", detail::quoted(*twin));
  return Vocabulary(std::move(words), unit == " characters");
}

}  // namespace nn::data
