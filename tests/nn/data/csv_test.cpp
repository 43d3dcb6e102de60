#include "nn/data/readers/csv.hpp"

#include <clocale>
#include <cmath>
#include <limits>

#include "tests/nn/data/csv_file.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using data::CsvOptions, data::Header, data::Missing;
using Names = std::vector<std::string>;
using Values = std::vector<double>;

TEST_CASE_METHOD(CsvFile, "a table is read with the names of its columns") {
  const auto t = read("a,b,c\n1,2,3\n4,5,6\n");
  CHECK(t.columns() == Names{"a", "b", "c"});
  CHECK(t.rows() == 2);
  CHECK(t.values().dtype() == ag::float64);
  CHECK(t.values().shape() == ag::Shape(2, 3));
  CHECK(t.values().to_vector<double>() == Values{1, 2, 3, 4, 5, 6});
}

TEST_CASE_METHOD(CsvFile, "numbers are read exactly, in every usual form") {
  CHECK(bare("-1.5,+2.5e3,.5,5., 1E-3 ,inf,-0\n") ==
        Values{-1.5, 2500, 0.5, 5, 1e-3, std::numeric_limits<double>::infinity(), 0});
  CHECK(bare("0.1,1.7976931348623157e308,5e-324\n") ==
        Values{0.1, std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()});
  CHECK(bare("1,1e-400\n") == Values{1, 0});
  const std::string zeros(400, '0');
  CHECK(bare("0." + zeros + "1,1" + zeros + "e-400\n") == Values{0, 1});
}

TEST_CASE_METHOD(CsvFile, "numbers are read the same in every locale") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* locale : {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"}) std::setlocale(LC_ALL, locale);
  CHECK(bare("1.5,2.25\n") == Values{1.5, 2.25});
  std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE_METHOD(CsvFile, "line ends, byte order mark and blank lines make no difference") {
  const Values expected{1, 2, 3, 4};
  CHECK(bare("1,2\n3,4") == expected);
  CHECK(bare("1,2\r\n3,4\r\n") == expected);
  CHECK(bare("1,2\r3,4\r") == expected);
  CHECK(bare("\n\n1,2\n  \n3,4\n\n") == expected);
  const auto t = read(
      "\xEF\xBB\xBF"
      "a,b\n1,2\n3,4\n");
  CHECK(t.columns() == Names{"a", "b"});
}

TEST_CASE_METHOD(CsvFile, "quoted cells may hold delimiters, quotes and line ends") {
  const auto t = read("\"a,1\",\"say \"\"b\"\"\",\"c\nd\" , \"\"\n\"1\",2,3,4\n");
  CHECK(t.columns() == Names{"a,1", "say \"b\"", "c\nd", "column4"});
  CHECK(t.values().to_vector<double>() == Values{1, 2, 3, 4});
  CHECK(read("height (5'10\"),b\n1,2\n").columns() == Names{"height (5'10\")", "b"});
}

TEST_CASE_METHOD(CsvFile, "other delimiters") {
  CHECK(values("a;b\n1;2\n", {.delimiter = ';'}) == Values{1, 2});
  const CsvOptions tabs{.delimiter = '\t', .missing = Missing::nan};
  CHECK(std::isnan(values("a\tb\tc\n1\t\t3\n", tabs)[1]));
  CHECK(values("  1  2\t 3 \n\"4\" 5 6\n", {.delimiter = ' ', .header = Header::no}) ==
        Values{1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(
      read("1", {.delimiter = '"'}),
      Equals("read_csv: the delimiter must be no quote, line end or NUL, got character 34"));
}

TEST_CASE_METHOD(CsvFile, "the first line is a header only where that is certain") {
  CHECK(read("a,,c\n3,4,5\n").columns() == Names{"a", "column2", "c"});
  CHECK(read("2019,2020\n3,4\n", {.header = Header::yes}).columns() == Names{"2019", "2020"});
  CHECK(read("2019,2020\n3,4\n", {.header = Header::no}).rows() == 2);
  // Names are distinct, and stand above something.
  CHECK(read("1,1\n3,4\n").columns() == Names{"column1", "column2"});
  CHECK(read("1,1\n3,4\n").rows() == 2);
  CHECK(read("1,2\n").rows() == 1);
  for (const std::string first : {"1990,1991", "400.5,401", "1,2", ",0", "True,False", "-,*"})
    refuses(first + "\n3,4\n",
            ":1: it must be certain whether this line names the columns, got values, which may be "
            "names; set .header",
            {.missing = Missing::nan});
  refuses("year,2020\n1,2\n",
          ":1: it must be certain whether this line names the columns, got numbers and text; set "
          ".header");
  refuses("a,b\n1,2\n",
          ":1: column \"column1\" must be a number, got \"a\"; is this line a header?",
          {.header = Header::no});
}

TEST_CASE_METHOD(CsvFile, "no row of a table of text is taken for a header") {
  const std::string named = "name,kind\npear,fruit\nleek,vegetable\n", bare = "a,b\nc,d\n";
  refuses(bare, ":2: column \"a\" must be a number, got \"c\"; name a column of text in .text");
  CHECK(read(named, {.text = {"name", "kind"}}).texts("kind") == Names{"fruit", "vegetable"});
  const auto t = read(bare, {.text = {"column1", "column2"}});
  CHECK(t.rows() == 2);
  CHECK(t.texts("column2") == Names{"b", "d"});
  CHECK(read(bare, {.text = {"x", "y"}, .names = {"x", "y"}}).rows() == 2);
  CHECK(read("5.1,setosa\n4.9,setosa\n", {.text = {"column2"}}).rows() == 2);
}

TEST_CASE_METHOD(CsvFile, "a missing value is an error unless a policy is chosen") {
  const std::string text = "a,b\n1,2\n,4\n5,NA\n9,6\n";
  refuses(text, ":3: column \"a\" must have a value, got \"\"; choose another .missing");
  CHECK(values(text, {.missing = Missing::drop}) == Values{1, 2, 9, 6});
  const Values nan = values(text, {.missing = Missing::nan});
  CHECK(nan.size() == 8);
  CHECK(std::isnan(nan[2]));
  CHECK(std::isnan(nan[5]));
  CHECK(nan[4] == 5);
  CHECK(values("a,b\n1,2\n-999,3\n", {.missing = Missing::drop, .missing_values = {"-999"}}) ==
        Values{1, 2});
  // What reads as NaN is missing, however it is written.
  for (const std::string cell : {"-nan", "NAN", "nan(7)", "#N/A", "<NA>"})
    refuses("a\n" + cell + "\n",
            ":2: column \"a\" must have a value, got \"" + cell + "\"; choose another .missing");
}

TEST_CASE_METHOD(CsvFile, "a policy that leaves nothing is refused") {
  refuses("a,b\n,2\n3,\n", ": must hold at least one row, got 2, each with a missing value",
          {.missing = Missing::drop});
}

TEST_CASE_METHOD(CsvFile, "a column of text keeps its texts") {
  const auto t = read("size,kind\n1,pear\n2,apple\n3,\"pear\"\n", {.text = {"kind"}});
  CHECK(t.texts("kind") == Names{"pear", "apple", "pear"});
  CHECK(t.is_text("kind"));
  CHECK_FALSE(t.is_text("size"));
  CHECK(t["size"].to_vector<double>() == Values{1, 2, 3});
}

TEST_CASE_METHOD(CsvFile, "missing texts follow the rule") {
  const std::string text = "a,b\nx,1\n,2\ny,3\n";
  refuses(text, ":3: column \"a\" must have a value, got \"\"; choose another .missing",
          {.text = {"a"}});
  CHECK(read(text, {.missing = Missing::drop, .text = {"a"}}).texts("a") == Names{"x", "y"});
  CHECK(read(text, {.missing = Missing::nan, .text = {"a"}}).texts("a") == Names{"x", "", "y"});
}

TEST_CASE_METHOD(CsvFile, "options that name no column are refused") {
  refuses("a,b\n1,2\n", ": .text must name columns of the file, got \"c\"", {.text = {"c"}});
  refuses("a,b\n1,2\n", ": .columns must name columns of the file, got \"c\"", {.columns = {"c"}});
  refuses("a,b\n1,2\n", ": .columns must be in [0, 2), got 2", {.columns = {2}});
  refuses("a,b\n1,2\n", ": .missing_in must name columns that are read, got \"a\"",
          {.columns = {"b"}, .missing_in = {{"a", Missing::nan}}});
}

TEST_CASE_METHOD(CsvFile, "a cell that is no number is refused with its line and column") {
  const std::string remedy = "; name a column of text in .text";
  refuses("a,b\n1,2\n3,x y\n", ":3: column \"b\" must be a number, got \"x y\"" + remedy);
  refuses("a\n\"multi\nline\"\n",
          ":2: column \"a\" must be a number, got \"multi\\nline\"" + remedy);
  for (const std::string cell : {"1.5.2", "0x10", "12abc", "1e", "--1", "+-1", "1 2", "+"})
    refuses("a\n" + cell + "\n",
            ":2: column \"a\" must be a number, got \"" + cell + "\"" + remedy);
  refuses("a;b\n1,5;2\n", ":2: column \"a\" must be a number, got \"1,5\"; set .decimal = ','",
          {.delimiter = ';'});
  refuses("a\n" + std::string(50, 'x') + "\n", ":2: column \"a\" must be a number, got \"" +
                                                   std::string(26, 'x') + "…" +
                                                   std::string(13, 'x') + "\"" + remedy);
  refuses("a\n1e999\n", ":2: column \"a\" must fit in float64, got \"1e999\"");
}

TEST_CASE_METHOD(CsvFile, "rows of different lengths are refused with their line") {
  refuses("a,b\n1,2\n3\n",
          ":3: must have 2 cells as line 1 has, got 1; .fill_short_rows takes what lacks for "
          "missing");
  refuses("a,b\n1,2,\n",
          ":2: must have 2 cells as line 1 has, got 3; .row_names leaves the first cell out if it "
          "names the row");
  refuses("a,b\n1,2,3,4\n", ":2: must have 2 cells as line 1 has, got 4");
  refuses("\n\"a\n\",b\n1,2\n\n3,4,5\n",
          ":6: must have 2 cells as line 2 has, got 3; .row_names leaves the first cell out if it "
          "names the row");
}

TEST_CASE_METHOD(CsvFile, "quotes that do not close are refused where they open") {
  refuses("a,b\n1,2\n3,\"4\n5,6\n",
          ":3: a quoted cell must be closed, got \"4\\n5,6\\n\" to the end");
  refuses(
      "a,b\n\"1\"2,3\n",
      ":2: a quoted cell must be followed by the delimiter or the end of the line, got \"2,3\\n\"");
}

TEST_CASE_METHOD(CsvFile, "names that come twice are refused") {
  refuses("a,b,a\n1,2,3\n",
          ":1: each column must have a name of its own, got \"a\" twice; choose "
          ".duplicates");
}

TEST_CASE_METHOD(CsvFile, "files that hold no table are refused") {
  refuses("", ": must hold a table, got an empty file");
  refuses("\n\r\n  \n", ": must hold a table, got an empty file");
  refuses("a,b\n", ": must hold at least one row, got only a header");
  refuses(
      "\xFF\xFE"
      "a",
      ": must be UTF-8, got UTF-16; convert it first");
  CHECK_THROWS_WITH(
      data::read_csv(scratch / "none"),
      Equals(scratch / "none: must be a readable file, got: No such file or directory"));
  refuses("\x1f\x8b\x08", ": gzip data must be complete, got the end of the file after 3 bytes");
}
