#include "nn/data/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "nn/data/input_file.hpp"

namespace nn::data {
namespace {

using autograd::fail;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A cell for an error message: one line, not too long.
std::string show(std::string_view cell) {
  std::string text = "\"";
  for (const char c : cell.substr(0, 40)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return text + (cell.size() > 40 ? "…\"" : "\"");
}

// The records of RFC 4180. Cells are views of `text`, in which doubled quotes are closed up.
class Records {
 public:
  Records(std::string& text, std::size_t begin, const std::string& path, char delimiter)
      : at_(text.data() + begin),
        end_(text.data() + text.size()),
        path_(path),
        delimiter_(delimiter) {}

  // False at the end of the text.
  bool next(std::vector<std::string_view>& cells) {
    cells.clear();
    for (skip_blanks(); at_ != end_ && is_newline(*at_); skip_blanks()) skip_newline();
    if (at_ == end_) return false;
    record_line_ = line_;
    do cells.push_back(cell());
    while (skip_delimiter());
    if (at_ != end_) skip_newline();
    return true;
  }
  // Where the record begins that `next` gave.
  std::size_t line() const { return record_line_; }

 private:
  static bool is_newline(char c) { return c == '\n' || c == '\r'; }
  // A space or tab that says nothing. Where blanks are the delimiter, they are skipped before a
  // cell.
  bool is_blank(char c) const { return c == ' ' || (c == '\t' && delimiter_ != '\t'); }
  bool ends_cell(char c) const {
    return c == delimiter_ || is_newline(c) || (delimiter_ == ' ' && c == '\t');
  }

  void skip_blanks() {
    while (at_ != end_ && is_blank(*at_)) ++at_;
  }
  void skip_newline() {
    const bool pair = at_[0] == '\r' && at_ + 1 != end_ && at_[1] == '\n';
    at_ += pair ? 2 : 1;
    ++line_;
  }
  // True if another cell follows.
  bool skip_delimiter() {
    if (delimiter_ == ' ') {
      skip_blanks();
      return at_ != end_ && !is_newline(*at_);
    }
    if (at_ == end_ || *at_ != delimiter_) return false;
    ++at_;
    return true;
  }

  std::string_view cell() {
    skip_blanks();
    if (at_ != end_ && *at_ == '"') return quoted_cell();
    const char* begin = at_;
    while (at_ != end_ && !ends_cell(*at_)) ++at_;
    const char* last = at_;
    while (last != begin && is_blank(last[-1])) --last;
    return {begin, static_cast<std::size_t>(last - begin)};
  }

  std::string_view quoted_cell() {
    const std::size_t opened = line_;
    char* const begin = ++at_;
    char* to = begin;
    for (;; ++at_) {
      if (at_ == end_)
        fail(fmt::format("{}:{}", path_, opened), "a quoted cell must be closed, got {} to the end",
             show({begin, static_cast<std::size_t>(to - begin)}));
      if (*at_ == '"' && (++at_ == end_ || *at_ != '"')) break;
      if (*at_ == '\n' || (*at_ == '\r' && (at_ + 1 == end_ || at_[1] != '\n'))) ++line_;
      *to++ = *at_;
    }
    const std::string_view text(begin, static_cast<std::size_t>(to - begin));
    const char* const closed = at_;
    if (delimiter_ != ' ') skip_blanks();
    if (at_ != end_ && !ends_cell(*at_))
      fail(fmt::format("{}:{}", path_, line_),
           "a quoted cell must be followed by the delimiter or the end of the line, got {}",
           show({closed, std::min<std::size_t>(static_cast<std::size_t>(end_ - closed), 10)}));
    return text;
  }

  char* at_;
  char* end_;
  const std::string& path_;
  char delimiter_;
  std::size_t line_ = 1, record_line_ = 1;
};

// Nothing if it is no number; infinite if it is too large for float64.
std::optional<double> parse(std::string_view cell) {
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  double value = 0;
  const char* const last = cell.data() + cell.size();
  const auto [end, error] = std::from_chars(cell.data(), last, value);
  if (end != last || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    const bool small = cell.find("e-") != cell.npos || cell.find("E-") != cell.npos;
    return small ? 0 : std::numeric_limits<double>::infinity();
  }
  return value;
}

enum class Kind { number, codes, one_hot };

struct Column {
  std::string name;
  Kind kind = Kind::number;
  std::vector<double> values{};           // NaN where missing; of text: codes, in the end
  std::vector<std::string_view> texts{};  // of a column of text
  std::vector<std::string> categories{};
};

class CsvReader {
 public:
  CsvReader(const std::string& path, const CsvOptions& options) : path_(path), options_(options) {}

  Table read() {
    const char d = options_.delimiter;
    if (d == '"' || d == '\n' || d == '\r' || d == '\0')
      fail("read_csv", "the delimiter must be no quote, line end or NUL, got character {}", int{d});
    std::string text = InputFile(path_).read_all();
    Records records(text, skip_byte_order_mark(text), path_, d);
    std::vector<std::string_view> cells;
    if (!records.next(cells)) fail(path_, "must hold a table, got an empty file");
    first_line_ = records.line();
    const bool header = is_header(cells);
    name_columns(cells, header);
    if (!header) add_row(cells, records.line());
    while (records.next(cells)) add_row(cells, records.line());
    if (columns_[0].values.empty())
      fail(path_, "must hold at least one row, got {}",
           dropped_ ? fmt::format("{}, each with a missing value", dropped_) : "only a header");
    for (Column& column : columns_) {
      if (column.kind != Kind::number) encode(column);
      if (options_.missing == Missing::mean) fill(column);
    }
    return table();
  }

 private:
  std::size_t skip_byte_order_mark(std::string_view text) const {
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
      fail(path_, "must be UTF-8, got UTF-16; convert it first");
    return text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  }

  bool is_missing(std::string_view cell) const {
    const auto& list = options_.missing_values;
    return std::find(list.begin(), list.end(), cell) != list.end();
  }

  bool is_header(const std::vector<std::string_view>& cells) const {
    if (options_.header != Header::automatic) return options_.header == Header::yes;
    bool text = false;
    for (const auto cell : cells) {
      if (is_missing(cell)) continue;
      if (parse(cell)) return false;
      text = true;
    }
    return text;
  }

  void name_columns(const std::vector<std::string_view>& cells, bool header) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const bool named = header && !cells[i].empty();
      std::string name = named ? std::string(cells[i]) : fmt::format("column{}", i + 1);
      if (std::find(names.begin(), names.end(), name) != names.end())
        fail(at(first_line_), "each column must have a name of its own, got {} twice", show(name));
      names.push_back(name);
      columns_.push_back({std::move(name)});
    }
    mark_text(options_.codes, Kind::codes);
    mark_text(options_.one_hot, Kind::one_hot);
  }

  void mark_text(const std::vector<std::string>& names, Kind kind) {
    for (const auto& name : names) {
      const auto column = std::find_if(columns_.begin(), columns_.end(),
                                       [&](const Column& c) { return c.name == name; });
      if (column == columns_.end())
        fail(path_, "columns of text must be columns of the file, got {}", show(name));
      if (column->kind != Kind::number)
        fail(path_, "a column of text must be given once, got {} twice", show(name));
      column->kind = kind;
    }
  }

  void add_row(const std::vector<std::string_view>& cells, std::size_t line) {
    if (cells.size() != columns_.size())
      fail(at(line), "must have {} cells as line {} has, got {}", columns_.size(), first_line_,
           cells.size());
    row_.clear();
    bool missing = false;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const bool gone = is_missing(cells[i]);
      if (gone && options_.missing == Missing::error)
        fail(at(line), "column {} must have a value, got {}; choose another .missing",
             show(columns_[i].name), show(cells[i]));
      missing |= gone;
      row_.push_back(gone || columns_[i].kind != Kind::number ? kNaN : number(i, cells[i], line));
    }
    if (missing && options_.missing == Missing::drop) {
      ++dropped_;
      return;
    }
    for (std::size_t i = 0; i < cells.size(); ++i) {
      columns_[i].values.push_back(row_[i]);
      if (columns_[i].kind != Kind::number) columns_[i].texts.push_back(cells[i]);
    }
  }

  double number(std::size_t column, std::string_view cell, std::size_t line) const {
    const auto value = parse(cell);
    const std::string name = show(columns_[column].name);
    if (!value && line == first_line_)
      fail(at(line), "column {} must be a number, got {}; is this line a header?", name,
           show(cell));
    if (!value)
      fail(at(line),
           "column {} must be a number, got {}; name a column of text in .codes or .one_hot", name,
           show(cell));
    if (std::isinf(*value) && cell.find_first_of("0123456789") != cell.npos)
      fail(at(line), "column {} must fit in float64, got {}", name, show(cell));
    return *value;
  }

  // Numbers the texts in their sorted order.
  void encode(Column& column) const {
    std::vector<std::string_view> sorted;
    for (const auto text : column.texts)
      if (!is_missing(text)) sorted.push_back(text);
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    for (std::size_t row = 0; row < column.texts.size(); ++row) {
      if (is_missing(column.texts[row])) continue;
      const auto place = std::lower_bound(sorted.begin(), sorted.end(), column.texts[row]);
      column.values[row] = static_cast<double>(place - sorted.begin());
    }
    column.categories.assign(sorted.begin(), sorted.end());
  }

  void fill(Column& column) const {
    double sum = 0, count = 0;
    for (const double v : column.values)
      if (!std::isnan(v)) sum += v, ++count;
    if (count == static_cast<double>(column.values.size())) return;
    if (column.kind != Kind::number || count == 0)
      fail(path_, "column {} must hold numbers to fill missing values with their mean, got {}",
           show(column.name), count == 0 ? "none" : "text");
    for (double& v : column.values)
      if (std::isnan(v)) v = sum / count;
  }

  Table table() const {
    std::vector<std::string> names;
    for (const Column& column : columns_) {
      if (column.kind != Kind::one_hot)
        names.push_back(column.name);
      else
        for (const auto& text : column.categories) names.push_back(column.name + '=' + text);
    }
    const std::size_t rows = columns_[0].values.size();
    ag::Tensor values = ag::empty({rows, names.size()}, ag::float64);
    double* out = values.mutable_data<double>();
    for (std::size_t row = 0; row < rows; ++row)
      for (const Column& column : columns_) {
        const double value = column.values[row];
        if (column.kind != Kind::one_hot)
          *out++ = value;
        else
          for (std::size_t i = 0; i < column.categories.size(); ++i)
            *out++ = std::isnan(value) ? kNaN : value == static_cast<double>(i);
      }
    Table result(std::move(names), std::move(values));
    for (const Column& column : columns_)
      if (column.kind == Kind::codes) result.set_categories(column.name, column.categories);
    return result;
  }

  std::string at(std::size_t line) const { return fmt::format("{}:{}", path_, line); }

  const std::string& path_;
  const CsvOptions& options_;
  std::vector<Column> columns_;
  std::vector<double> row_;
  std::size_t first_line_ = 1, dropped_ = 0;
};

}  // namespace

Table read_csv(const std::string& path, const CsvOptions& options) {
  return CsvReader(path, options).read();
}

}  // namespace nn::data
