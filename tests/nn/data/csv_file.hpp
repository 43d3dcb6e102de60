#pragma once

#include <string>
#include <vector>

#include "nn/data/readers/csv.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

/// A CSV file that holds what a test says.
struct CsvFile {
  Scratch scratch;
  std::string path = scratch / "t.csv";

  nn::data::Table read(const std::string& text, const nn::data::CsvOptions& options = {}) {
    write_bytes(path, text);
    return nn::data::read_csv(path, options);
  }
  std::vector<double> values(const std::string& text, const nn::data::CsvOptions& options = {}) {
    return read(text, options).values().to_vector<double>();
  }
  std::vector<double> bare(const std::string& text) {
    return values(text, {.header = nn::data::Header::no});
  }
  /// `message` begins after the path.
  void refuses(const std::string& text, const std::string& message,
               const nn::data::CsvOptions& options = {}) {
    CHECK_THROWS_WITH(read(text, options), Catch::Matchers::Equals(path + message));
  }
};
