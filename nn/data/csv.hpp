#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/data/table.hpp"

namespace nn::data {

/// Whether the first line names the columns. automatic: it does if no cell of it is a number.
enum class Header : std::uint8_t { automatic, yes, no };

/// What becomes of missing values: an error, the row left out, the mean of the column, or NaN.
enum class Missing : std::uint8_t { error, drop, mean, nan };

/// Options of `read_csv`.
struct CsvOptions {
  char delimiter = ',';               ///< ' ' stands for any run of spaces and tabs
  Header header = Header::automatic;  ///< without one the columns are "column1", "column2", …
  Missing missing = Missing::error;
  /// Cells that count as missing.
  std::vector<std::string> missing_values{"", "NA", "N/A", "NaN", "nan", "NULL", "null", "?"};
  std::vector<std::string>
      codes{};  ///< columns of text to read as 0, 1, … in the order of the sorted texts
  std::vector<std::string>
      one_hot{};  ///< columns of text that become "name=text" columns of 0 and 1
};

/// Reads a table of numbers, gzipped or not, in UTF-8: quoted cells as in RFC 4180, any line ends,
/// blank lines skipped, numbers with a decimal point whatever the locale. Throws, with line and
/// column, on rows of different lengths and on cells that are no number.
Table read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace nn::data
