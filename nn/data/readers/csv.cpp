#include "nn/data/readers/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <deque>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "nn/data/readers/input_file.hpp"
#include "nn/data/readers/internal/date.hpp"
#include "nn/data/readers/number_format.hpp"
#include "nn/data/readers/quoted.hpp"
#include "nn/data/readers/records.hpp"

namespace nn::data {

using autograd::fail;
using detail::quoted;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Cells = std::vector<std::string_view>;

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// What "column12" says: 12; 0 if it is no such name.
std::size_t number_of(std::string_view name) {
  std::size_t number = 0;
  if (!name.starts_with("column")) return 0;
  const auto [end, error] = std::from_chars(name.data() + 6, name.data() + name.size(), number);
  return error == std::errc{} && end == name.data() + name.size() ? number : 0;
}

// The records without the footer: each waits until so many more have been read.
class Rows {
 public:
  Rows(Records& records, std::int64_t footer) : records_(records), footer_(footer) {}

  bool next(Cells& cells) {
    if (footer_ == 0) {
      const bool any = records_.next(cells);
      line_ = records_.line();
      return any;
    }
    if (at_end()) return false;
    current_ = std::move(ahead_.front());
    ahead_.pop_front();
    cells.assign(current_.cells.begin(), current_.cells.end());
    line_ = current_.line;
    return true;
  }
  bool at_end() {
    if (footer_ == 0) return records_.at_end();
    while (static_cast<std::int64_t>(ahead_.size()) <= footer_) {
      Cells cells;
      if (!records_.next(cells)) return true;
      ahead_.push_back({{cells.begin(), cells.end()}, records_.line()});
    }
    return false;
  }
  std::size_t line() const { return line_; }
  std::string place() const { return records_.place(line_); }

 private:
  struct Record {
    std::vector<std::string> cells;
    std::size_t line = 0;
  };
  Records& records_;
  std::int64_t footer_;
  std::deque<Record> ahead_;
  Record current_;
  std::size_t line_ = 1;
};

}  // namespace

class CsvReader {
 public:
  CsvReader(const std::string& path, const CsvOptions& options)
      : path_(path),
        options_(options),
        format_{options.decimal, options.thousands, options.percent} {}

  Table read() {
    check_options();
    Records records(InputFile(path_, options_.max_unpacked), options_.delimiter, options_.comment);
    records.skip_lines(options_.skip_rows);
    Rows rows(records, options_.skip_footer);
    Cells cells;
    if (!rows.next(cells)) fail(path_, "must hold a table, got an empty file");
    first_line_ = rows.line();
    const bool header = is_header(cells, rows);
    if (options_.row_names && !header && options_.names.empty())
      fail(rows.place(), "row names need a header that leaves them out, got none");
    name_columns(cells, header);
    if (!header) add_row(cells, rows);
    while (rows.next(cells)) add_row(cells, rows);
    if (rows_ == 0)
      fail(path_, "must hold at least one row, got {}",
           dropped_ ? fmt::format("{}, each with a missing value", dropped_) : "only a header");
    return table();
  }

 private:
  struct Column {
    std::size_t place = 0;  // in the file
    bool date = false;
    Missing missing = Missing::error;
    const std::vector<std::string>* missing_values = nullptr;  // its own
    std::unordered_map<std::string, double> places{};          // of a text in those of `data`
    Table::Column data{};
    double last = 0;  // the value of the row at hand
  };

  void check_options() const {
    const auto& o = options_;
    if (o.skip_rows < 0 || o.skip_footer < 0)
      fail("read_csv", "skip_rows and skip_footer must be at least 0, got {} and {}", o.skip_rows,
           o.skip_footer);
    for (const char c : {o.decimal, o.thousands})
      if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e' || c == 'E' || c == '"')
        fail("read_csv", "decimal and thousands must be no part of a number, got {}",
             quoted({&c, 1}));
    if (o.decimal == '\0' || o.decimal == o.thousands)
      fail("read_csv", "decimal must be a character other than thousands, got {}",
           quoted({&o.decimal, 1}));
  }

  bool is_missing(std::string_view cell) const { return contains(options_.missing_values, cell); }

  // The names of columns that the options give.
  std::vector<std::string> wanted() const {
    std::vector<std::string> names = options_.text;
    names.insert(names.end(), options_.dates.begin(), options_.dates.end());
    for (const auto& column : options_.columns)
      if (const auto* name = std::get_if<std::string>(&column)) names.push_back(*name);
    for (const auto& [name, missing] : options_.missing_in) names.push_back(name);
    for (const auto& [name, values] : options_.missing_values_in) names.push_back(name);
    return names;
  }

  // A first line is a header for certain, or none for certain, or an error asks.
  bool is_header(const Cells& cells, Rows& rows) const {
    if (options_.header != Header::automatic) return options_.header == Header::yes;
    if (!options_.names.empty()) return false;
    const auto names = wanted();
    const std::unordered_set<std::string_view> in_line(cells.begin(), cells.end());
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return in_line.contains(name); }))
      return true;
    if (!names.empty() && std::all_of(names.begin(), names.end(), [&](const std::string& name) {
          return number_of(name) >= 1 && number_of(name) <= cells.size();
        }))
      return false;
    std::size_t texts = 0, numbers = 0;
    for (const std::size_t i : used(cells.size())) {
      if (is_missing(cells[i])) continue;
      ++(may_be_value(cells[i]) ? numbers : texts);
    }
    if (texts > 0 && numbers == 0) return true;
    // Names are distinct, and stand above something.
    if (texts == 0 && (repeats(cells) || rows.at_end())) return false;
    fail(rows.place(),
         "it must be certain whether this line names the columns, got {}; set .header",
         texts > 0 ? "numbers and text" : "values, which may be names");
  }

  // A number or truth value, or nothing to name a column by: -, 1,5.
  bool may_be_value(std::string_view cell) const {
    const auto is_letter = [](char c) {
      return (c | 0x20) >= 'a' ? (c | 0x20) <= 'z' : (c & 0x80) != 0;
    };
    return number(cell) || contains(options_.true_values, cell) ||
           contains(options_.false_values, cell) ||
           std::none_of(cell.begin(), cell.end(), is_letter);
  }

  // Whether a value comes twice where a name could not.
  bool repeats(const Cells& cells) const {
    std::unordered_set<std::string_view> seen;
    return options_.duplicates == Duplicates::error &&
           std::any_of(cells.begin(), cells.end(), [&](std::string_view cell) {
             return !is_missing(cell) && !seen.insert(cell).second;
           });
  }

  // The places of the columns chosen by number, or all where some are chosen by name.
  std::vector<std::size_t> used(std::size_t count) const {
    std::vector<std::size_t> places;
    for (const auto& column : options_.columns)
      if (const auto* place = std::get_if<std::int64_t>(&column);
          place && *place >= 0 && *place < static_cast<std::int64_t>(count))
        places.push_back(static_cast<std::size_t>(*place));
    if (places.empty()) {
      places.resize(count);
      std::iota(places.begin(), places.end(), std::size_t{0});
    }
    return places;
  }

  void name_columns(const Cells& cells, bool header) {
    const bool given = !options_.names.empty();
    width_ = given ? options_.names.size() : cells.size();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < width_; ++i) {
      const std::string_view name = given ? options_.names[i] : header ? cells[i] : "";
      names.push_back(name.empty() ? fmt::format("column{}", i + 1) : std::string(name));
    }
    if (options_.duplicates == Duplicates::number) number_duplicates(names);
    for (std::size_t i = 0; i < width_; ++i)
      ++places_.try_emplace(names[i], Place{i}).first->second.count;
    choose_columns(names);
    mark_columns();
  }

  std::string header_place() const { return fmt::format("{}:{}", path_, first_line_); }

  static void number_duplicates(std::vector<std::string>& names) {
    std::unordered_set<std::string> taken(names.begin(), names.end());
    std::unordered_map<std::string, std::size_t> seen;
    for (auto& name : names) {
      const auto [count, is_first] = seen.try_emplace(name, 0);
      if (is_first) continue;
      do name = fmt::format("{}.{}", count->first, ++count->second);
      while (!taken.insert(name).second);
    }
  }

  struct Place {
    std::size_t place = 0, count = 0, column = 0;  // the last: in columns_, if read
    bool read = false;
  };
  Place& find(const std::string& name, const char* option) {
    const auto at = places_.find(name);
    if (at == places_.end())
      fail(path_, ".{} must name columns of the file, got {}", option, quoted(name));
    if (at->second.count > 1) refuse_twice(name);
    return at->second;
  }
  [[noreturn]] void refuse_twice(const std::string& name) const {
    fail(header_place(),
         "each column must have a name of its own, got {} twice; choose "
         ".duplicates",
         quoted(name));
  }

  void choose_columns(const std::vector<std::string>& names) {
    std::vector<std::size_t> chosen;
    for (const auto& column : options_.columns) {
      if (const auto* name = std::get_if<std::string>(&column)) {
        chosen.push_back(find(*name, "columns").place);
        continue;
      }
      const std::int64_t place = std::get<std::int64_t>(column);
      if (place < 0 || place >= static_cast<std::int64_t>(width_))
        fail(path_, ".columns must be in [0, {}), got {}", width_, place);
      chosen.push_back(static_cast<std::size_t>(place));
    }
    if (options_.columns.empty()) chosen = used(width_);
    columns_.resize(chosen.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const std::string& name = names[chosen[i]];
      Place& place = places_.at(name);
      if (std::exchange(place.read, true)) refuse_twice(name);
      place.column = i;
      columns_[i].place = chosen[i];
      columns_[i].missing = options_.missing;
      columns_[i].data.name = name;
    }
  }

  void mark_columns() {
    const auto column = [this](const std::string& name, const char* option) -> Column& {
      const Place& place = find(name, option);
      if (!place.read)
        fail(path_, ".{} must name columns that are read, got {}", option, quoted(name));
      return columns_[place.column];
    };
    for (const auto& name : options_.text) column(name, "text").data.text = true;
    for (const auto& name : options_.dates) {
      Column& dates = column(name, "dates");
      if (dates.data.text)
        fail(path_, "a column is in .text or in .dates, got {} in both", quoted(name));
      dates.date = true;
    }
    for (const auto& [name, missing] : options_.missing_in)
      column(name, "missing_in").missing = missing;
    for (const auto& [name, values] : options_.missing_values_in)
      column(name, "missing_values_in").missing_values = &values;
  }

  void add_row(Cells& cells, const Rows& rows) {
    fit_width(cells, rows);
    bool dropped = false;
    for (Column& column : columns_) {
      const std::string_view cell = cells[column.place];
      const bool gone =
          is_missing(cell) || (column.missing_values && contains(*column.missing_values, cell));
      column.last = gone               ? kNaN
                    : column.data.text ? 0
                    : column.date      ? read_date(column, cell, rows)
                                       : read_number(column, cell, rows);
      if (!std::isnan(column.last)) continue;
      if (column.missing == Missing::error)
        fail(rows.place(), "column {} must have a value, got {}; choose another .missing",
             quoted(column.data.name), quoted(cell));
      dropped |= column.missing == Missing::drop;
    }
    if (dropped) {
      ++dropped_;
      return;
    }
    ++rows_;
    for (Column& column : columns_) {
      const bool text = column.data.text && !std::isnan(column.last);
      column.data.values.push_back(text ? place_of_text(column, cells[column.place]) : column.last);
    }
  }

  // Takes the name of the row off, fills it up, and refuses it if it is too long or short then.
  void fit_width(Cells& cells, const Rows& rows) const {
    const std::size_t got = cells.size(), wanted = width_ + options_.row_names;
    if (options_.fill_short_rows && got < wanted) cells.resize(wanted);
    if (cells.size() != wanted)
      fail(rows.place(), "must have {} cells{}, got {}{}", wanted,
           options_.row_names       ? ", a name and those of the header"
           : options_.names.empty() ? fmt::format(" as line {} has", first_line_)
                                    : ", one for each name",
           got,
           got < wanted        ? "; .fill_short_rows takes what lacks for missing"
           : got == wanted + 1 ? "; .row_names leaves the first cell out if it names the row"
                               : "");
    if (options_.row_names) cells.erase(cells.begin());
  }

  static double place_of_text(Column& column, std::string_view cell) {
    auto& texts = column.data.texts;
    const auto [at, is_new] =
        column.places.try_emplace(std::string(cell), static_cast<double>(texts.size()));
    if (is_new) texts.emplace_back(cell);
    return at->second;
  }

  std::optional<double> number(std::string_view cell) const { return format_.parse(cell); }

  double read_number(const Column& column, std::string_view cell, const Rows& rows) const {
    const auto value = number(cell);
    if (value && std::isinf(*value) && cell.find_first_of("0123456789") != cell.npos)
      fail(rows.place(), "column {} must fit in float64, got {}", quoted(column.data.name),
           quoted(cell));
    if (value) return *value;
    if (contains(options_.true_values, cell)) return 1;
    if (contains(options_.false_values, cell)) return 0;
    fail(rows.place(), "column {} must be a number, got {}; {}", quoted(column.data.name),
         quoted(cell), remedy(cell, rows));
  }

  double read_date(const Column& column, std::string_view cell, const Rows& rows) const {
    if (const auto days = detail::days_of_date(cell)) return static_cast<double>(*days);
    fail(rows.place(), "column {} must be a date such as 2024-02-29, got {}",
         quoted(column.data.name), quoted(cell));
  }

  // What would make a number of the cell.
  std::string remedy(std::string_view cell, const Rows& rows) const {
    NumberFormat other = format_;
    other.percent = true;
    if (other.parse(cell)) return "set .percent";
    other = {',', '.', false};
    if (options_.decimal == '.' && other.parse(cell)) return "set .decimal = ','";
    other = {'.', ',', false};
    if (cell.find(',') != cell.npos && other.parse(cell)) return "set .thousands = ','";
    if (rows.line() == first_line_) return "is this line a header?";
    if (detail::days_of_date(cell)) return "name a column of dates in .dates";
    return "name a column of text in .text";
  }

  Table table() {
    Table result(rows_);
    for (Column& column : columns_)
      result.add(std::make_shared<const Table::Column>(std::move(column.data)));
    return result;
  }

  const std::string& path_;
  const CsvOptions& options_;
  NumberFormat format_;
  std::unordered_map<std::string, Place> places_;  // of all names of the file
  std::vector<Column> columns_;                    // those that are read
  std::size_t width_ = 0;                          // cells of a row, without its name
  std::size_t first_line_ = 1, dropped_ = 0;
  std::int64_t rows_ = 0;
};

Table read_csv(const std::string& path, const CsvOptions& options) {
  try {
    return CsvReader(path, options).read();
  } catch (const std::bad_alloc&) {
    fail(path, "the table must fit in memory, got one that does not; choose .columns");
  }
}

}  // namespace nn::data
