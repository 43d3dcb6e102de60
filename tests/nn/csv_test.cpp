#include "nn/data/csv.hpp"

#include <clocale>
#include <cmath>
#include <limits>

#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using data::CsvOptions, data::Header, data::Missing;
using Names = std::vector<std::string>;
using Values = std::vector<double>;

namespace {

struct Fixture {
  Scratch scratch;
  std::string path = scratch / "t.csv";

  data::Table read(const std::string& text, const CsvOptions& options = {}) {
    write_bytes(path, text);
    return data::read_csv(path, options);
  }
  Values values(const std::string& text, const CsvOptions& options = {}) {
    return read(text, options).values().to_vector<double>();
  }
  // `message` begins after the path.
  void refuses(const std::string& text, const std::string& message,
               const CsvOptions& options = {}) {
    CHECK_THROWS_WITH(read(text, options), Equals(path + message));
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a table is read with the names of its columns") {
  const auto t = read("a,b,c\n1,2,3\n4,5,6\n");
  CHECK(t.columns() == Names{"a", "b", "c"});
  CHECK(t.rows() == 2);
  CHECK(t.values().dtype() == ag::float64);
  CHECK(t.values().shape() == ag::Shape(2, 3));
  CHECK(t.values().to_vector<double>() == Values{1, 2, 3, 4, 5, 6});
}

TEST_CASE_METHOD(Fixture, "numbers are read exactly, in every usual form") {
  CHECK(values("-1.5,+2.5e3,.5,5., 1E-3 ,inf,-0\n") ==
        Values{-1.5, 2500, 0.5, 5, 1e-3, std::numeric_limits<double>::infinity(), 0});
  CHECK(values("0.1,1.7976931348623157e308,5e-324\n") ==
        Values{0.1, std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()});
  CHECK(values("1,1e-400\n") == Values{1, 0});
}

TEST_CASE_METHOD(Fixture, "numbers are read the same in every locale") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* locale : {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"}) std::setlocale(LC_ALL, locale);
  CHECK(values("1.5,2.25\n") == Values{1.5, 2.25});
  std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE_METHOD(Fixture, "line ends, byte order mark and blank lines make no difference") {
  const Values expected{1, 2, 3, 4};
  CHECK(values("1,2\n3,4") == expected);
  CHECK(values("1,2\r\n3,4\r\n") == expected);
  CHECK(values("1,2\r3,4\r") == expected);
  CHECK(values("\n\n1,2\n  \n3,4\n\n") == expected);
  const auto t = read(
      "\xEF\xBB\xBF"
      "a,b\n1,2\n3,4\n");
  CHECK(t.columns() == Names{"a", "b"});
}

TEST_CASE_METHOD(Fixture, "quoted cells may hold delimiters, quotes and line ends") {
  const auto t = read("\"a,1\",\"say \"\"b\"\"\",\"c\nd\" , \"\"\n\"1\",2,3,4\n");
  CHECK(t.columns() == Names{"a,1", "say \"b\"", "c\nd", "column4"});
  CHECK(t.values().to_vector<double>() == Values{1, 2, 3, 4});
  CHECK(read("height (5'10\"),b\n1,2\n").columns() == Names{"height (5'10\")", "b"});
}

TEST_CASE_METHOD(Fixture, "other delimiters") {
  CHECK(values("a;b\n1;2\n", {.delimiter = ';'}) == Values{1, 2});
  const CsvOptions tabs{.delimiter = '\t', .missing = Missing::nan};
  CHECK(std::isnan(values("a\tb\tc\n1\t\t3\n", tabs)[1]));
  CHECK(values("  1  2\t 3 \n\"4\" 5 6\n", {.delimiter = ' '}) == Values{1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(
      read("1", {.delimiter = '"'}),
      Equals("read_csv: the delimiter must be no quote, line end or NUL, got character 34"));
}

TEST_CASE_METHOD(Fixture, "the first line is a header if no cell of it is a number") {
  CHECK(read("1,2\n3,4\n").columns() == Names{"column1", "column2"});
  CHECK(read("1,2\n3,4\n").rows() == 2);
  CHECK(read("a,,c\n3,4,5\n").columns() == Names{"a", "column2", "c"});
  CHECK(read("2019,2020\n3,4\n", {.header = Header::yes}).columns() == Names{"2019", "2020"});
  refuses("a,b\n1,2\n",
          ":1: column \"column1\" must be a number, got \"a\"; is this line a header?",
          {.header = Header::no});
  refuses("year,2020\n1,2\n",
          ":1: column \"column1\" must be a number, got \"year\"; is this line a header?");
}

TEST_CASE_METHOD(Fixture, "a missing value is an error unless a policy is chosen") {
  const std::string text = "a,b\n1,2\n,4\n5,NA\n9,6\n";
  refuses(text, ":3: column \"a\" must have a value, got \"\"; choose another .missing");
  CHECK(values(text, {.missing = Missing::drop}) == Values{1, 2, 9, 6});
  CHECK(values(text, {.missing = Missing::mean}) == Values{1, 2, 5, 4, 5, 4, 9, 6});
  const Values nan = values(text, {.missing = Missing::nan});
  CHECK(nan.size() == 8);
  CHECK(std::isnan(nan[2]));
  CHECK(std::isnan(nan[5]));
  CHECK(nan[4] == 5);
  CHECK(values("1,2\n-999,3\n", {.missing = Missing::drop, .missing_values = {"-999"}}) ==
        Values{1, 2});
}

TEST_CASE_METHOD(Fixture, "a policy that leaves nothing is refused") {
  refuses("a,b\n,2\n3,\n", ": must hold at least one row, got 2, each with a missing value",
          {.missing = Missing::drop});
  refuses("a,b\n?,2\n,4\n",
          ": column \"a\" must hold numbers to fill missing values with their mean, got none",
          {.missing = Missing::mean});
  refuses("a,b\nx,2\n,4\n",
          ": column \"a\" must hold numbers to fill missing values with their mean, got text",
          {.missing = Missing::mean, .codes = {"a"}});
}

TEST_CASE_METHOD(Fixture, "columns of text become codes or one column for each text") {
  const std::string text = "size,kind\n1,pear\n2,apple\n3,\"pear\"\n";
  const auto codes = read(text, {.codes = {"kind"}});
  CHECK(codes["kind"].to_vector<double>() == Values{1, 0, 1});
  CHECK(codes.categories("kind") == Names{"apple", "pear"});
  CHECK(codes.categories("size").empty());
  CHECK(codes.select({"kind"}).categories("kind") == Names{"apple", "pear"});
  const auto one_hot = read(text, {.one_hot = {"kind"}});
  CHECK(one_hot.columns() == Names{"size", "kind=apple", "kind=pear"});
  CHECK(one_hot.values().to_vector<double>() == Values{1, 0, 1, 2, 1, 0, 3, 0, 1});
}

TEST_CASE_METHOD(Fixture, "missing texts follow the policy") {
  const std::string text = "a,b\nx,1\n,2\ny,3\n";
  CHECK(read(text, {.missing = Missing::drop, .codes = {"a"}}).values().to_vector<double>() ==
        Values{0, 1, 1, 3});
  const auto codes = read(text, {.missing = Missing::nan, .codes = {"a"}});
  CHECK(std::isnan(codes["a"].data<double>()[1]));
  CHECK(codes["a"].data<double>()[2] == 1);
  const auto one_hot = read(text, {.missing = Missing::nan, .one_hot = {"a"}});
  CHECK(std::isnan(one_hot["a=x"].data<double>()[1]));
  CHECK(std::isnan(one_hot["a=y"].data<double>()[1]));
}

TEST_CASE_METHOD(Fixture, "wrong names for columns of text are refused") {
  refuses("a,b\n1,2\n", ": columns of text must be columns of the file, got \"c\"",
          {.codes = {"c"}});
  refuses("a,b\n1,2\n", ": a column of text must be given once, got \"a\" twice",
          {.codes = {"a"}, .one_hot = {"a"}});
}

TEST_CASE_METHOD(Fixture, "a cell that is no number is refused with its line and column") {
  const std::string remedy = "; name a column of text in .codes or .one_hot";
  refuses("a,b\n1,2\n3,x y\n", ":3: column \"b\" must be a number, got \"x y\"" + remedy);
  refuses("a\n\"multi\nline\"\n", ":2: column \"a\" must be a number, got \"multi?line\"" + remedy);
  for (const std::string cell : {"1.5.2", "0x10", "12abc", "1e", "--1", "+-1", "1 2", "+"})
    refuses("a\n" + cell + "\n",
            ":2: column \"a\" must be a number, got \"" + cell + "\"" + remedy);
  refuses("a;b\n1,5;2\n", ":2: column \"a\" must be a number, got \"1,5\"" + remedy,
          {.delimiter = ';'});
  refuses("a\n" + std::string(50, 'x') + "\n",
          ":2: column \"a\" must be a number, got \"" + std::string(40, 'x') + "…\"" + remedy);
  refuses("a\n1e999\n", ":2: column \"a\" must fit in float64, got \"1e999\"");
}

TEST_CASE_METHOD(Fixture, "rows of different lengths are refused with their line") {
  refuses("a,b\n1,2\n3\n", ":3: must have 2 cells as line 1 has, got 1");
  refuses("a,b\n1,2,\n", ":2: must have 2 cells as line 1 has, got 3");
  refuses("\n\"a\n\",b\n1,2\n\n3,4,5\n", ":6: must have 2 cells as line 2 has, got 3");
}

TEST_CASE_METHOD(Fixture, "quotes that do not close are refused where they open") {
  refuses("a,b\n1,2\n3,\"4\n5,6\n", ":3: a quoted cell must be closed, got \"4?5,6?\" to the end");
  refuses(
      "a,b\n\"1\"2,3\n",
      ":2: a quoted cell must be followed by the delimiter or the end of the line, got \"2,3?\"");
}

TEST_CASE_METHOD(Fixture, "names that come twice are refused") {
  refuses("a,b,a\n1,2,3\n", ":1: each column must have a name of its own, got \"a\" twice");
}

TEST_CASE_METHOD(Fixture, "files that hold no table are refused") {
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

TEST_CASE_METHOD(Fixture, "columns are chosen by name") {
  const auto t = read("a,b,c\n1,2,3\n4,5,6\n");
  CHECK(t["b"].to_vector<double>() == Values{2, 5});
  CHECK(t.select({"c", "a"}).values().to_vector<double>() == Values{3, 1, 6, 4});
  CHECK(t.drop({"a"}).columns() == Names{"b", "c"});
  CHECK(t.select({}).values().shape() == ag::Shape(2, 0));
  CHECK_THROWS_WITH(t["d"],
                    Equals("Table: the column must be one of \"a\", \"b\", \"c\", got \"d\""));
  CHECK_THROWS_WITH(t.select({"a", "a"}),
                    Equals("Table: each column must have a name of its own, got \"a\" twice"));
}

TEST_CASE_METHOD(Fixture, "a table splits into features and targets") {
  const auto t = read("a,b,c\n1,2,3\n4,5,6\n");
  const auto d = t.features_and_targets({"b"});
  CHECK(d.x.to_vector<float>() == std::vector<float>{1, 3, 4, 6});
  CHECK(d.y.shape() == ag::Shape(2, 1));
  CHECK(d.y.to_vector<float>() == std::vector<float>{2, 5});
  CHECK(t.features_and_targets({"c", "a"}, ag::float64).y.to_vector<double>() ==
        Values{3, 1, 6, 4});
  CHECK_THROWS_WITH(
      t.features_and_targets({}),
      Equals("features_and_targets: must leave columns on both sides, got 0 of 3 as targets"));
  CHECK_THROWS_WITH(
      t.features_and_targets({"a", "b", "c"}),
      Equals("features_and_targets: must leave columns on both sides, got 3 of 3 as targets"));
}

TEST_CASE("a table needs a float64 matrix and a name for each column") {
  CHECK_THROWS_WITH(
      data::Table({"a"}, ag::zeros({2, 1})),
      Equals(
          "Table: values must be float64 (rows, 1), one column for each name, got float32 (2, 1)"));
  CHECK_THROWS_WITH(
      data::Table({"a"}, ag::zeros({2, 2}, ag::float64)),
      Equals(
          "Table: values must be float64 (rows, 1), one column for each name, got float64 (2, 2)"));
  CHECK_THROWS_WITH(data::Table({}, {}),
                    Equals("Table: values must be float64 (rows, 0), one column for each name, got "
                           "an undefined tensor"));
}
