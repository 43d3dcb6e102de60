#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nn/data/readers/input_file.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// The records of a delimited text (RFC 4180) in UTF-8, one after the other; it holds one at a
/// time. Any line ends; blank lines are skipped, as is white space around cells and outside of
/// quotes. Errors begin with path and line.
class Records {
 public:
  /// ' ' as the delimiter stands for any run of spaces and tabs; unless 0, `comment` hides the rest
  /// of its line. A first line "sep=;", as Excel writes it, sets the delimiter.
  explicit Records(InputFile file, char delimiter = ',', char comment = '\0');

  /// Passes over lines, whatever they hold.
  void skip_lines(std::int64_t n);
  /// The cells of the next record, which live until the next call; false at the end.
  bool next(std::vector<std::string_view>& cells);
  /// Whether there is no further record.
  bool at_end();
  /// The line, counted from 1, at which the record of `next` begins.
  std::size_t line() const { return record_line_; }
  /// "path:line".
  std::string place(std::size_t line) const;

 private:
  using Stops = std::array<bool, 256>;

  int peek();
  void skip_byte_order_mark();
  void read_separator();
  bool is_newline() { return peek() == '\n' || peek() == '\r'; }
  bool is_blank(int c) const;
  void skip_blanks();
  void skip_to_newline();
  void skip_newline();
  bool skip_delimiter();
  void take_until(const Stops& stops);
  void plain_cell();
  void quoted_cell();

  InputFile file_;
  char delimiter_, comment_;
  Stops ends_cell_{}, ends_line_{}, in_quotes_{};
  std::vector<char> buffer_;
  const char *at_ = nullptr, *end_ = nullptr;  // what is left of the buffer
  std::string text_;                           // of all cells of the record
  std::vector<std::size_t> cell_ends_;
  std::size_t line_ = 1, record_line_ = 1;
};

}  // namespace nn::data

#pragma GCC visibility pop
