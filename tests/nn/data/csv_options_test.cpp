// Tables as people have them: what Excel, R and pandas write, and what stands around it.
#include <cmath>

#include "tests/nn/data/csv_file.hpp"

namespace data = nn::data;
using Catch::Matchers::Equals;
using data::CsvOptions, data::Duplicates, data::Header, data::Missing;
using Names = std::vector<std::string>;
using Values = std::vector<double>;

TEST_CASE_METHOD(CsvFile, "only the columns asked for are read, in their order") {
  const std::string text = "id,age,name,pay\n1,30,Ann,5\n2,,\"O'Neil, Bo\",6\n";
  const auto t = read(text, {.columns = {"pay", 0}});
  CHECK(t.columns() == Names{"pay", "id"});
  CHECK(t.values().to_vector<double>() == Values{5, 1, 6, 2});
  CHECK(read(text, {.text = {"name"}, .columns = {"name"}}).texts("name") ==
        Names{"Ann", "O'Neil, Bo"});
  refuses(text, ":1: each column must have a name of its own, got \"id\" twice; choose .duplicates",
          {.columns = {"id", 0}});
}

TEST_CASE_METHOD(CsvFile, "each column may have a rule and signs of its own for missing values") {
  const std::string text = "a,b,c\n1,2,3\n,-999,4\n5,-1,NA\n7,-999,-999\n";
  const auto t = read(text, {.missing = Missing::drop,
                             .missing_in = {{"b", Missing::nan}, {"a", Missing::nan}},
                             .missing_values_in = {{"b", {"-999", "-1"}}}});
  CHECK(t["c"].to_vector<double>() == Values{3, 4, -999});
  CHECK(std::isnan(t["a"].to_vector<double>()[1]));
  CHECK(std::isnan(t["b"].to_vector<double>()[1]));
  CHECK(std::isnan(t["b"].to_vector<double>()[2]));
  refuses(text, ":3: column \"a\" must have a value, got \"\"; choose another .missing",
          {.missing = Missing::nan, .missing_in = {{"a", Missing::error}}});
}

TEST_CASE_METHOD(CsvFile, "names that come twice are numbered as in pandas, if one chooses so") {
  const CsvOptions number{.duplicates = Duplicates::number};
  CHECK(read("a,b,a,a\n1,2,3,4\n", number).columns() == Names{"a", "b", "a.1", "a.2"});
  CHECK(read("a,a.1,a\n1,2,3\n", number).columns() == Names{"a", "a.1", "a.2"});
  // Where nobody reads them they are no obstacle.
  CHECK(values("a,b,a\n1,2,3\n", {.columns = {"b"}}) == Values{2});
  CHECK(values("a,b,a\n1,2,3\n", {.columns = {2}}) == Values{3});
}

TEST_CASE_METHOD(CsvFile, "names given take the place of a header") {
  CHECK(read("1,2\n3,4\n", {.names = {"x", "y"}}).rows() == 2);
  const auto t = read("a,b\n3,4\n", {.header = Header::yes, .names = {"x", "y"}});
  CHECK(t.columns() == Names{"x", "y"});
  CHECK(t.rows() == 1);
  refuses("1,2\n",
          ":1: must have 3 cells, one for each name, got 2; .fill_short_rows takes what "
          "lacks for missing",
          {.names = {"x", "y", "z"}});
}

TEST_CASE_METHOD(CsvFile, "lines before the table, a footer and comments are left out") {
  const std::string text =
      "Weather of \"1997\nmeasured by hand, daily\n\nday,rain\n1,0.5 # a guess\n# 2,7\n2,1\n"
      "\"Total\",1.5\n(c) office, 1998, all rights reserved\n";
  CHECK(values(text, {.skip_rows = 2, .skip_footer = 2, .comment = '#'}) == Values{1, 0.5, 2, 1});
  CHECK(values("# one\n  # two\na,b\n1,\"2\"# three\n", {.comment = '#'}) == Values{1, 2});
  CHECK(values("a\n\"#1\"\n", {.missing = Missing::nan, .missing_values = {"#1"}, .comment = '#'})
            .size() == 1);
  CHECK(read("a b # c\n1 2 # 3\n", {.delimiter = ' ', .comment = '#'}).columns() ==
        Names{"a", "b"});
  refuses("a\n1\n", ": must hold a table, got an empty file", {.skip_rows = 9});
  refuses("a\n1\n", ": must hold a table, got an empty file", {.skip_footer = 2});
  refuses("a\n1\n", ": must hold at least one row, got only a header", {.skip_footer = 1});
  CHECK_THROWS_WITH(read("a\n1\n", {.skip_rows = -1}),
                    Equals("read_csv: skip_rows and skip_footer must be at least 0, got -1 and 0"));
  CHECK_THROWS_WITH(read("a\n1\n", {.comment = ','}),
                    Equals("read_csv: delimiter and comment sign must differ, got \",\" for both"));
}

TEST_CASE_METHOD(CsvFile, "the line of an error counts what was left out") {
  refuses("title\n\n# comment\na,b\n1,2\n3,x\n",
          ":6: column \"b\" must be a number, got \"x\"; name a column of text in .text",
          {.skip_rows = 1, .comment = '#'});
}

TEST_CASE_METHOD(CsvFile, "decimal commas and separators of thousands") {
  const CsvOptions german{.delimiter = ';', .decimal = ',', .thousands = '.'};
  CHECK(values("a;b;c\n1.234.567,5;-0,25;1,5e3\n", german) == Values{1234567.5, -0.25, 1500});
  CHECK(values("a,b\n\"1,234\",\"-12,345.5\"\n", {.thousands = ','}) == Values{1234, -12345.5});
  CHECK(values("a\n\"12,34,567\"\n", {.thousands = ','}) == Values{1234567});
  for (const std::string cell : {"1,2", "1,23", "1234,567", ",123", "1,,234", "1,234e,5", "1,2345"})
    CHECK_THROWS(read("a\n\"" + cell + "\"\n", {.thousands = ','}));
  refuses("a;b\n1.5;2\n",
          ":2: column \"a\" must be a number, got \"1.5\"; name a column of text in "
          ".text",
          {.delimiter = ';', .decimal = ','});
  refuses("a\n\"1,234,567\"\n",
          ":2: column \"a\" must be a number, got \"1,234,567\"; set .thousands = ','");
  CHECK_THROWS_WITH(
      read("a\n1\n", {.decimal = ',', .thousands = ','}),
      Equals("read_csv: decimal must be a character other than thousands, got \",\""));
  CHECK_THROWS_WITH(
      read("a\n1\n", {.decimal = '1'}),
      Equals("read_csv: decimal and thousands must be no part of a number, got \"1\""));
}

TEST_CASE_METHOD(CsvFile, "percent and truth values become numbers") {
  CHECK(values("a,b\n12.5%,7 %\n-3%,1\n", {.percent = true}) == Values{0.125, 0.07, -0.03, 1});
  refuses("a\n12.5%\n", ":2: column \"a\" must be a number, got \"12.5%\"; set .percent");
  CHECK(values("a,b,c\nTrue,TRUE,false\n") == Values{1, 1, 0});
  CHECK(values("a\nyes\nno\n", {.true_values = {"yes"}, .false_values = {"no"}}) == Values{1, 0});
}

TEST_CASE_METHOD(CsvFile, "a header one cell short of its rows, as R writes it") {
  const std::string text = "\"mpg\" \"cyl\"\n\"Mazda RX4\" 21 6\n\"Fiat 128\" 32.4 4\n";
  CHECK(values(text, {.delimiter = ' ', .row_names = true}) == Values{21, 6, 32.4, 4});
  refuses(text,
          ":2: must have 2 cells as line 1 has, got 3; .row_names leaves the first cell out if it "
          "names the row",
          {.delimiter = ' '});
  refuses("a,b\nx,1,2\n3,4\n",
          ":3: must have 3 cells, a name and those of the header, got 2; "
          ".fill_short_rows takes what lacks for missing",
          {.row_names = true});
  refuses("1,2\n3,4\n", ":1: row names need a header that leaves them out, got none",
          {.header = Header::no, .row_names = true});
}

TEST_CASE_METHOD(CsvFile, "short rows are filled up if one chooses so") {
  const auto t = read("a,b,c\n1,2\n3,4,5\n", {.missing = Missing::nan, .fill_short_rows = true});
  CHECK(std::isnan(t["c"].to_vector<double>()[0]));
  CHECK(t["c"].to_vector<double>()[1] == 5);
  refuses("a,b\n1\n", ":2: column \"b\" must have a value, got \"\"; choose another .missing",
          {.fill_short_rows = true});
}

TEST_CASE_METHOD(CsvFile, "the line in which Excel names the delimiter") {
  CHECK(values("sep=;\r\na;b\r\n1;2\r\n") == Values{1, 2});
  CHECK(values("\xEF\xBB\xBF\"sep=\t\"\na\tb\n1\t2\n") == Values{1, 2});
  refuses("sep=;\na;b\n1;x\n",
          ":3: column \"b\" must be a number, got \"x\"; name a column of text in .text");
}

TEST_CASE_METHOD(CsvFile, "text that is binary is refused, and shown on one line") {
  refuses(std::string("a,b\n1,\0002\n", 9), ":2: must be text, got a NUL byte");
  refuses("a\n\"x\x1B[31m\r\ny\"\n",
          ":2: column \"a\" must be a number, got \"x\\x1b[31m\\r\\ny\"; name a column of text in "
          ".text");
  refuses("a\n" + std::string(39, 'x') + "\xC3\xA9 and more\n",
          ":2: column \"a\" must be a number, got \"" + std::string(26, 'x') +
              "…xxx\xC3\xA9 and more\"; name a column of text in .text");
}

TEST_CASE_METHOD(CsvFile, "cells may be longer than any buffer, and lie across two") {
  for (const std::size_t length : {65530, 65535, 65536, 65537, 200000}) {
    const std::string word(length, 'w');
    const auto t = read("a,b\r\n\"" + word + "\r\n\"\"\",1\r\n" + word + ",2\r\n", {.text = {"a"}});
    CHECK(t.texts("a") == Names{word + "\r\n\"", word});
    CHECK(t["b"].to_vector<double>() == Values{1, 2});
  }
}

TEST_CASE_METHOD(CsvFile, "the time to read a table grows with its size") {
  // In time quadratic in the columns this would last longer than a test may.
  constexpr std::size_t kColumns = 400'000;
  std::string names, numbers;
  for (std::size_t i = 0; i < kColumns; ++i) {
    names += (i ? ",c" : "c") + std::to_string(i);
    numbers += i ? ",1" : "1";
  }
  const auto t = read(names + '\n' + numbers + '\n');
  CHECK(t.columns().size() == kColumns);
  CHECK(t.drop({"c0"}).select({"c7", "c399999"}).values().to_vector<double>() == Values{1, 1});
  std::string same = "a";
  for (std::size_t i = 1; i < kColumns; ++i) same += ",a";
  CHECK(read(same + '\n' + numbers + '\n', {.duplicates = Duplicates::number}).has("a.399999"));
}

TEST_CASE_METHOD(CsvFile, "columns of dates are days since 1970") {
  const auto t =
      read("day,x\n1970-01-01,1\n1969-12-31,2\n2024-02-29,3\n0001-01-01,4\n", {.dates = {"day"}});
  CHECK(t["day"].to_vector<double>() == Values{0, -1, 19782, -719162});
  CHECK(read("2000-01-01,5\n,6\n", {.missing = Missing::drop, .dates = {"column1"}}).rows() == 1);
  CHECK_FALSE(t.is_text("day"));
  for (const std::string wrong : {"2023-02-29", "2024-13-01", "2024-1-01", "24-01-01", "2024/01/01",
                                  "2024-01-01T00:00", "+024-01-01", "2024-00-10", "20240101"})
    refuses("day\n" + wrong + "\n",
            ":2: column \"day\" must be a date such as 2024-02-29, got \"" + wrong + "\"",
            {.dates = {"day"}});
  refuses("day,x\n2000-01-01,1\n",
          ":2: column \"day\" must be a number, got \"2000-01-01\"; name a column of dates in "
          ".dates");
  refuses("day\n2000-01-01\n", ": a column is in .text or in .dates, got \"day\" in both",
          {.text = {"day"}, .dates = {"day"}});
}
