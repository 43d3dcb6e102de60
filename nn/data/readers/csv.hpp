#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/data/table.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Whether the first line names the columns. automatic: as far as that is certain, which it is of
/// text above columns of numbers, and of a line that holds a name given in the options; otherwise
/// an error asks for yes or no.
enum class Header : std::uint8_t { automatic, yes, no };

/// What becomes of missing values: an error, the row left out, or NaN. To fill them in is the work
/// of a `TableEncoder`.
enum class Missing : std::uint8_t { error, drop, nan };

/// What becomes of a name that comes twice: an error, or "a", "a.1", "a.2" as in pandas.
enum class Duplicates : std::uint8_t { error, number };

/// Options of `read_csv`. Those that pandas' read_csv has too are named there in brackets.
struct CsvOptions {
  char delimiter = ',';               ///< ' ' stands for any run of spaces and tabs
  Header header = Header::automatic;  ///< without one the columns are "column1", "column2", …
  Missing missing = Missing::error;
  /// Cells that count as missing (na_values).
  std::vector<std::string> missing_values{"",    "NA",   "N/A",  "n/a",  "#N/A", "NaN",
                                          "nan", "-nan", "NULL", "null", "<NA>", "?"};
  std::vector<std::string> text{};  ///< columns of text; all others must hold numbers
  /// Columns of dates, 2024-02-29 (ISO 8601), read as days since 1970-01-01, which is 0
  /// (parse_dates).
  std::vector<std::string> dates{};
  /// The columns to read, in this order, by name or by place counted from 0 (usecols); all if
  /// empty. Cells of others may hold anything.
  std::vector<std::variant<std::string, std::int64_t>> columns{};
  std::vector<std::string> names{};  ///< of all columns; then there is no header unless it is `yes`
  std::map<std::string, Missing> missing_in{};  ///< in place of `missing`, for these columns
  /// More cells that count as missing, in these columns.
  std::map<std::string, std::vector<std::string>> missing_values_in{};
  Duplicates duplicates = Duplicates::error;
  std::int64_t skip_rows = 0;    ///< lines to leave out before the table (skiprows)
  std::int64_t skip_footer = 0;  ///< records to leave out at its end (skipfooter)
  char comment = '\0';           ///< hides the rest of its line, unless 0
  char decimal = '.';
  char thousands = '\0';  ///< may stand between groups of digits, as in 1,234,567; 0 for none
  bool percent = false;   ///< 12.5% is 0.125
  std::vector<std::string> true_values{"True", "TRUE", "true"};      ///< read as 1
  std::vector<std::string> false_values{"False", "FALSE", "false"};  ///< read as 0
  /// Rows begin with a name that the header does not count, as R writes it.
  bool row_names = false;
  bool fill_short_rows = false;  ///< what a row lacks at its end is missing
  /// Bytes that a gzipped file may unpack to; by default as `InputFile`.
  std::optional<std::int64_t> max_unpacked{};
};

/// Reads a table, gzipped or not, in UTF-8: quoted cells as in RFC 4180, any line ends, blank lines
/// skipped, numbers with a decimal point whatever the locale. Memory grows with the table, not with
/// the text. A first line "sep=;", as Excel writes it, sets the delimiter. Throws, with line and
/// column, on rows of different lengths and on cells that are no number.
Table read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace nn::data

#pragma GCC visibility pop
