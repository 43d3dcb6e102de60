#include "nn/data/readers/word_vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "autograd/core/errors.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/io/internal/replacement.hpp"

namespace nn::data {
namespace {

using ag::fail;

constexpr std::int64_t kMostNumbers = 1'000'000;      // of a word
constexpr std::size_t kLongestWord = 16'384;          // bytes, in a binary file
constexpr std::size_t kAhead = std::size_t{1} << 20;  // bytes that are looked at before a decision

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// The number that is the whole of `text`.
std::optional<float> number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const char *begin = text.data(), *end = begin + text.size();
  float value = 0;
  const auto parsed = std::from_chars(begin, end, value);
  if (parsed.ptr != end || text.empty()) return {};
  if (parsed.ec == std::errc()) return value;
  double wide = 0;  // too small or too large for float
  const auto again = std::from_chars(begin, end, wide);
  return again.ec == std::errc() ? static_cast<float>(wide) : 0.0f;
}

// Takes the last field off a line; nothing if there is none.
std::string_view take_last(std::string_view& line) {
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  std::size_t begin = line.size();
  while (begin > 0 && !is_blank(line[begin - 1])) --begin;
  const std::string_view field = line.substr(begin);
  line.remove_suffix(field.size());
  return field;
}

// The fields at the end of a line that are numbers, where one field is not.
std::int64_t trailing_numbers(std::string_view line) {
  std::int64_t count = 0;
  for (;; ++count) {
    const std::string_view field = take_last(line);
    if (field.empty()) return std::max<std::int64_t>(count - 1, 0);
    if (!number(field)) return count;
  }
}

// Bytes and lines of a file, of which some can be seen ahead.
class Bytes {
 public:
  explicit Bytes(const std::string& path) : file_(path) {}

  /// Up to n bytes that come next.
  std::string_view ahead(std::size_t n) {
    if (buffer_.size() - at_ < n) fill(n);
    return std::string_view(buffer_).substr(at_, n);
  }
  void skip(std::size_t n) { at_ += n; }
  /// The next line without its end; false at the end of the file.
  bool line(std::string_view& line) {
    std::size_t end = buffer_.find('\n', at_);
    for (std::size_t n = kPiece; end == buffer_.npos; n *= 2) {
      const std::size_t there = buffer_.size() - at_;
      fill(there + n);
      if (buffer_.size() - at_ == there) break;
      end = buffer_.find('\n', at_ + there);
    }
    if (end == buffer_.npos && at_ == buffer_.size()) return false;
    line = std::string_view(buffer_).substr(at_, end == buffer_.npos ? end : end - at_);
    at_ = std::min(buffer_.size(), at_ + line.size() + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return true;
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{64} << 10;
  void fill(std::size_t n) {
    buffer_.erase(0, std::exchange(at_, 0));
    std::size_t size = buffer_.size();
    while (size < n) {
      buffer_.resize(size + kPiece);
      const std::size_t got = file_.read(buffer_.data() + size, kPiece);
      size += got;
      if (got < kPiece) break;
    }
    buffer_.resize(size);
  }

  InputFile file_;
  std::string buffer_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  Reader(const std::string& path, const WordVectorOptions& options)
      : path_(path), options_(options), bytes_(path), dim_(options.dim) {
    if (options.dim < 0 || options.max_words < 0)
      fail("load_word_vectors", "dim and max_words must be at least 0, got {} and {}", options.dim,
           options.max_words);
  }

  WordVectors read() {
    if (bytes_.ahead(3) == "\xEF\xBB\xBF") bytes_.skip(3);
    if (bytes_.ahead(1).empty()) fail(path_, "must hold word vectors, got an empty file");
    read_header();
    const bool binary = options_.format == WordVectorFormat::binary ||
                        (options_.format == WordVectorFormat::automatic && looks_binary());
    if (binary && !promised_) refuse_header();
    while (!full() && (binary ? read_binary() : read_line())) {
    }
    if (options_.check_count && promised_ && !full() && read_ < *promised_)
      fail(path_,
           "the file must hold {} vectors, as it says, got {}; pass check_count = false "
           "to take these",
           *promised_, read_);
    const auto rows = static_cast<std::int64_t>(words_.size());
    return WordVectors(std::move(words_), ag::from_data(numbers_.data(), {rows, dim_}));
  }

 private:
  bool full() const {
    return options_.max_words > 0 && static_cast<std::int64_t>(words_.size()) == options_.max_words;
  }
  [[noreturn]] void refuse_header() const {
    fail(path_, "a binary file must begin with a line \"n dim\", got another one");
  }
  std::string place() const { return fmt::format("{}:{}", path_, line_); }

  static std::string_view first_line(std::string_view text) {
    text = text.substr(0, text.find('\n'));
    return text.ends_with('\r') ? text.substr(0, text.size() - 1) : text;
  }

  // "n dim", where a file of vectors of one number without it would look the same: then the next
  // line tells.
  void read_header() {
    const std::string_view start = bytes_.ahead(64), line = first_line(start);
    const char* const end = line.data() + line.size();
    std::int64_t n = 0, dim = 0;
    const auto first = std::from_chars(line.data(), end, n);
    if (first.ec != std::errc() || first.ptr == end || !is_blank(*first.ptr)) return;
    const char* at = first.ptr;
    while (at != end && is_blank(*at)) ++at;
    const auto second = std::from_chars(at, end, dim);
    if (second.ec != std::errc()) return;
    for (at = second.ptr; at != end && is_blank(*at);) ++at;
    if (at != end || line.size() == start.size()) return;
    if (n < 0 || dim < 1 || dim > kMostNumbers)
      fail(path_, "the counts in the first line must be at least 0 and in [1, {}], got {} and {}",
           kMostNumbers, n, dim);
    if (dim_ == 1 && dim != 1) return;
    if (dim_ > 0 && dim != dim_)
      fail(path_, "vectors must have {} numbers, got a file with {}", dim_, dim);
    dim_ = dim;
    promised_ = n;
    std::string_view taken;
    bytes_.line(taken);
    ++line_;
  }

  // The numbers of the first vector are neither those of a text nor made of its characters.
  bool looks_binary() {
    const std::string_view text = bytes_.ahead(kAhead), line = first_line(text);
    if (text.empty() || !promised_ || trailing_numbers(line) >= dim_) return false;
    const std::size_t word = std::min(text.find(' '), text.size() - 1);
    const auto bytes = text.substr(word + 1, static_cast<std::size_t>(dim_) * sizeof(float));
    return std::any_of(bytes.begin(), bytes.end(), [](unsigned char c) {
      return c >= 0x7f || (c < ' ' && c != '\t' && c != '\n' && c != '\r');
    });
  }

  void add(std::string_view word, const float* numbers) {
    ++read_;
    if (!known_.insert(std::string(word)).second) return;
    words_.emplace_back(word);
    numbers_.insert(numbers_.end(), numbers, numbers + dim_);
  }

  bool read_line() {
    std::string_view line;
    do {
      if (!bytes_.line(line)) return false;
      ++line_;
    } while (line.find_first_not_of(" \t") == line.npos);
    if (dim_ == 0) dim_ = trailing_numbers(line);
    if (dim_ == 0) fail(place(), "a line must be a word and numbers, got no number at its end");
    row_.resize(static_cast<std::size_t>(std::min(dim_, static_cast<std::int64_t>(line.size()))));
    if (static_cast<std::int64_t>(row_.size()) < dim_) refuse_line(0);
    for (std::size_t k = row_.size(); k-- > 0;) {
      const std::string_view field = take_last(line);
      const auto value = number(field);
      if (!value) refuse_line(row_.size() - 1 - k);
      if (!std::isfinite(*value)) fail(place(), "numbers must be finite, got {}", field);
      row_[k] = *value;
    }
    while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
    if (line.empty()) refuse_line(row_.size() - 1);
    add(line, row_.data());
    return true;
  }
  [[noreturn]] void refuse_line(std::size_t found) const {
    fail(place(), "a line must be a word and {} numbers, got {} numbers; pass {}", dim_, found,
         promised_ ? "format if the file is binary" : "dim if it is another");
  }

  bool read_binary() {
    while (bytes_.ahead(1) == "\n") bytes_.skip(1);
    const std::string_view start = bytes_.ahead(kLongestWord);
    if (start.empty()) return false;
    const std::size_t length = start.find(' ');
    if (length == start.npos || length == 0)
      fail(path_, "vector {} must begin with a word and a blank, got {}", read_,
           length == 0 ? "a blank" : "none; is the file truncated?");
    std::string word(start.substr(0, length));
    bytes_.skip(length + 1);
    const std::size_t size = static_cast<std::size_t>(dim_) * sizeof(float);
    const std::string_view raw = bytes_.ahead(size);
    if (raw.size() < size)
      fail(path_, "vector {} must have {} bytes, got the end of the file after {}", read_, size,
           raw.size());
    row_.resize(static_cast<std::size_t>(dim_));
    std::memcpy(row_.data(), raw.data(), size);
    bytes_.skip(size);
    if (!std::all_of(row_.begin(), row_.end(), [](float v) { return std::isfinite(v); }))
      fail(path_, "numbers must be finite, got others in vector {}", read_);
    add(word, row_.data());
    return true;
  }

  const std::string& path_;
  const WordVectorOptions& options_;
  Bytes bytes_;
  std::int64_t dim_, read_ = 0;
  std::size_t line_ = 0;
  std::optional<std::int64_t> promised_;
  std::vector<std::string> words_;
  std::unordered_set<std::string> known_;
  std::vector<float> numbers_, row_;
};

void check_word(const std::string& path, const std::string& word, bool binary) {
  const bool ends = !word.empty() && (is_blank(word.front()) || is_blank(word.back()));
  const bool held = binary ? word.find(' ') != word.npos : ends;
  if (word.empty() || held || word.find_first_of("\n\r") != word.npos ||
      (binary && word.size() >= kLongestWord))
    fail(path, "words must be such that they can be read again, got '{}'{}", word,
         binary && held ? "; a text may hold it" : "");
}

}  // namespace

WordVectors load_word_vectors(const std::string& path, const WordVectorOptions& options) {
  return Reader(path, options).read();
}

void save_word_vectors(const WordVectors& vectors, const std::string& path,
                       const SaveWordVectorOptions& options) {
  if (vectors.dim() == 0)
    fail("save_word_vectors", "vectors must have at least one number, got dim 0");
  for (const std::string& word : vectors.words()) check_word(path, word, options.binary);
  nn::detail::Replacement file(path);
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), "{} {}\n", vectors.size(), vectors.dim());
  const ag::Tensor numbers = vectors.vectors();
  const auto* row = static_cast<const float*>(numbers.raw());
  const auto width = static_cast<std::size_t>(vectors.dim());
  for (const std::string& word : vectors.words()) {
    text.append(word);
    if (options.binary) {
      text.push_back(' ');
      const auto* bytes = reinterpret_cast<const char*>(row);
      text.append(bytes, bytes + width * sizeof(float));
    } else {
      for (std::size_t k = 0; k < width; ++k)
        fmt::format_to(std::back_inserter(text), " {}", row[k]);
    }
    text.push_back('\n');
    row += width;
    if (text.size() < (std::size_t{1} << 20)) continue;
    file.write(text.data(), text.size());
    text.clear();
  }
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace nn::data
