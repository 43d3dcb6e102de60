#include "nn/data/readers/records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autograd/core/errors.hpp"
#include "nn/data/readers/quoted.hpp"

namespace nn::data {

using autograd::fail;
using detail::quoted;

namespace {

constexpr int kEnd = -1;
constexpr std::size_t kBuffer = std::size_t{64} << 10;

std::size_t byte(char c) { return static_cast<unsigned char>(c); }

void check_format(char delimiter, char comment) {
  for (const char c : {'"', '\n', '\r', '\0'})
    if (delimiter == c || (comment == c && c != '\0'))
      fail("read_csv", "the {} must be no quote, line end or NUL, got character {}",
           delimiter == c ? "delimiter" : "comment sign", int{c});
  if (delimiter == comment)
    fail("read_csv", "delimiter and comment sign must differ, got {} for both",
         quoted({&comment, 1}));
}

}  // namespace

Records::Records(InputFile file, char delimiter, char comment)
    : file_(std::move(file)), delimiter_(delimiter), comment_(comment), buffer_(kBuffer) {
  check_format(delimiter, comment);
  skip_byte_order_mark();
  read_separator();
  for (const char c : {'\n', '\r', '\0'}) ends_line_[byte(c)] = true;
  in_quotes_ = ends_cell_ = ends_line_;
  in_quotes_[byte('"')] = true;
  ends_cell_[byte(delimiter_)] = true;
  if (delimiter_ == ' ') ends_cell_[byte('\t')] = true;
  if (comment_ != '\0') ends_cell_[byte(comment_)] = true;
}

// The next character, or kEnd.
int Records::peek() {
  if (at_ == end_) {
    at_ = buffer_.data();
    end_ = at_ + file_.read(buffer_.data(), buffer_.size());
    if (at_ == end_) return kEnd;
  }
  return static_cast<unsigned char>(*at_);
}

void Records::skip_byte_order_mark() {
  peek();
  const std::string_view text(at_, static_cast<std::size_t>(end_ - at_));
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    fail(file_.path(), "must be UTF-8, got UTF-16; convert it first");
  if (text.starts_with("\xEF\xBB\xBF")) at_ += 3;
}

// A file that holds such a line is read by Excel with that delimiter.
void Records::read_separator() {
  const std::string_view text(at_, static_cast<std::size_t>(end_ - at_));
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  const bool in_quotes = line.starts_with("\"sep=") && line.ends_with('"') && line.size() == 7;
  if (!in_quotes && !(line.starts_with("sep=") && line.size() == 5)) return;
  delimiter_ = line[in_quotes ? 5 : 4];
  check_format(delimiter_, comment_);
  at_ += line.size();
  if (is_newline()) skip_newline();
}

std::string Records::place(std::size_t line) const {
  return fmt::format("{}:{}", file_.path(), line);
}

void Records::skip_lines(std::int64_t n) {
  for (; n > 0 && peek() != kEnd; --n) {
    skip_to_newline();
    if (is_newline()) skip_newline();
  }
}

bool Records::at_end() {
  for (;; skip_newline()) {
    skip_blanks();
    if (comment_ != '\0' && peek() == static_cast<int>(byte(comment_))) skip_to_newline();
    if (!is_newline()) return peek() == kEnd;
  }
}

bool Records::next(std::vector<std::string_view>& cells) {
  cells.clear();
  text_.clear();
  cell_ends_.clear();
  if (at_end()) return false;
  record_line_ = line_;
  do {
    skip_blanks();
    if (peek() == '"')
      quoted_cell();
    else
      plain_cell();
    cell_ends_.push_back(text_.size());
  } while (skip_delimiter());
  if (!is_newline() && peek() != kEnd) skip_to_newline();  // a comment
  if (is_newline()) skip_newline();
  std::size_t begin = 0;
  for (const std::size_t end : cell_ends_) {
    cells.emplace_back(text_.data() + begin, end - begin);
    begin = end;
  }
  return true;
}

// A space or tab that says nothing. Where blanks are the delimiter, they are skipped before a cell.
bool Records::is_blank(int c) const { return c == ' ' || (c == '\t' && delimiter_ != '\t'); }

void Records::skip_blanks() {
  while (is_blank(peek())) ++at_;
}

void Records::skip_to_newline() {
  while (peek() != kEnd && !is_newline())
    at_ = std::find_if(at_, end_, [](char c) { return c == '\n' || c == '\r'; });
}

void Records::skip_newline() {
  const int first = peek();
  ++at_;
  if (first == '\r' && peek() == '\n') ++at_;
  ++line_;
}

// True if another cell follows.
bool Records::skip_delimiter() {
  if (delimiter_ == ' ') {
    skip_blanks();
    return peek() != kEnd && !ends_line_[static_cast<std::size_t>(peek())] &&
           (comment_ == '\0' || peek() != static_cast<int>(byte(comment_)));
  }
  if (peek() != static_cast<int>(byte(delimiter_))) return false;
  ++at_;
  return true;
}

// Adds to the text what stands before the next of `stops`.
void Records::take_until(const Stops& stops) {
  while (peek() != kEnd) {
    const char* const stop = std::find_if(at_, end_, [&](char c) { return stops[byte(c)]; });
    text_.append(at_, stop);
    at_ = stop;
    if (at_ == end_) continue;
    if (*at_ == '\0') fail(place(line_), "must be text, got a NUL byte");
    return;
  }
}

void Records::plain_cell() {
  const std::size_t begin = text_.size();
  take_until(ends_cell_);
  while (text_.size() > begin && is_blank(static_cast<int>(byte(text_.back())))) text_.pop_back();
}

void Records::quoted_cell() {
  const std::size_t opened = line_, begin = text_.size();
  for (++at_;;) {
    take_until(in_quotes_);
    if (peek() == kEnd)
      fail(place(opened), "a quoted cell must be closed, got {} to the end",
           quoted(std::string_view(text_).substr(begin)));
    if (*at_ == '"') {
      ++at_;
      if (peek() != '"') break;
      text_ += *at_++;
    } else {
      // A pair that ends a line counts at its second half.
      const char c = *at_++;
      text_ += c;
      if (c == '\n' || peek() != '\n') ++line_;
    }
  }
  if (delimiter_ != ' ') skip_blanks();
  if (peek() != kEnd && !ends_cell_[static_cast<std::size_t>(peek())])
    fail(place(line_),
         "a quoted cell must be followed by the delimiter or the end of the line, got {}",
         quoted({at_, std::min<std::size_t>(static_cast<std::size_t>(end_ - at_), 10)}));
}

}  // namespace nn::data
