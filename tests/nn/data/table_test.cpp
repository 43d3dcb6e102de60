#include "nn/data/table.hpp"

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using data::Table;
using Names = std::vector<std::string>;
using Values = std::vector<double>;

namespace {

Table numbers() { return Table({"a", "b", "c"}, ag::tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}})); }

Table people() {
  return Table()
      .add("age", ag::tensor({30.0, 41.0, 57.0}))
      .add("city", Names{"Oslo", "", "Bergen"});
}

}  // namespace

TEST_CASE("columns are chosen by name") {
  const auto t = numbers();
  CHECK(t.columns() == Names{"a", "b", "c"});
  CHECK(t["b"].to_vector<double>() == Values{2, 5});
  CHECK(t.select({"c", "a"}).values().to_vector<double>() == Values{3, 1, 6, 4});
  CHECK(t.drop({"a"}).columns() == Names{"b", "c"});
  CHECK(t.select({}).values().shape() == ag::Shape(2, 0));
  CHECK(t.has("a"));
  CHECK_FALSE(t.has("d"));
  CHECK_THROWS_WITH(t["d"],
                    Equals("Table: the column must be one of \"a\", \"b\", \"c\", got \"d\""));
  CHECK_THROWS_WITH(t.select({"a", "a"}),
                    Equals("Table: each column must have a name of its own, got \"a\" twice"));
}

TEST_CASE("a table splits into features and targets") {
  const auto t = numbers();
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

TEST_CASE("text is never a number by itself") {
  const auto t = people();
  CHECK(t.texts("city") == Names{"Oslo", "", "Bergen"});
  CHECK(t.is_text("city"));
  CHECK(t["age"].to_vector<double>() == Values{30, 41, 57});
  const std::string refusal =
      "Table: column \"city\" must hold numbers, got text; encode it with a TableEncoder, fitted "
      "to "
      "the training table";
  CHECK_THROWS_WITH(t["city"], Equals(refusal));
  CHECK_THROWS_WITH(t.values(), Equals(refusal));
  CHECK_THROWS_WITH(t.features_and_targets({"age"}), Equals(refusal));
  CHECK_THROWS_WITH(t.features_and_targets({"city"}), Equals(refusal));
  CHECK_THROWS_WITH(t.texts("age"), Equals("Table: column \"age\" must hold text, got numbers"));
}

TEST_CASE("rows are taken in any order, and distributed as those of a data set") {
  const auto some = people().take(std::vector<std::int64_t>{2, 0, 2});
  CHECK(some["age"].to_vector<double>() == Values{57, 30, 57});
  CHECK(some.texts("city") == Names{"Bergen", "Oslo", "Bergen"});
  CHECK_THROWS_WITH(people().take(std::vector<std::int64_t>{3}),
                    Equals("take: rows must be in [0, 3), got 3"));

  const ag::Tensor x = ag::reshape(ag::arange(40, ag::float64), {20, 2});
  const auto [a, b] = data::split(Table({"p", "q"}, x), {0.75, 0.25}, 3);
  const auto [c, d] = data::split(data::TensorDataset(x), {0.75, 0.25}, 3);
  CHECK(a.values().to_vector<double>() == c.x.to_vector<double>());
  CHECK(b.values().to_vector<double>() == d.x.to_vector<double>());
  CHECK(data::split(people(), {1, 2}, 1)[1].rows() == 2);
}

TEST_CASE("a table needs a float64 matrix and a name for each column") {
  CHECK_THROWS_WITH(
      Table({"a"}, ag::zeros({2, 1})),
      Equals(
          "Table: values must be float64 (rows, 1), one column for each name, got float32 (2, 1)"));
  CHECK_THROWS_WITH(
      Table({"a"}, ag::zeros({2, 2}, ag::float64)),
      Equals(
          "Table: values must be float64 (rows, 1), one column for each name, got float64 (2, 2)"));
  CHECK_THROWS_WITH(Table({}, {}),
                    Equals("Table: values must be float64 (rows, 0), one column for each name, got "
                           "an undefined tensor"));
  CHECK_THROWS_WITH(people().add("b", ag::zeros({2}, ag::float64)),
                    Equals("Table: column \"b\" must have 3 rows as the table has, got 2"));
  CHECK_THROWS_WITH(people().add("b", ag::zeros({3})),
                    Equals("Table: column \"b\" must be float64 (rows), got float32 (3,)"));
  CHECK_THROWS_WITH(people().add("age", Names{"", "", ""}),
                    Equals("Table: each column must have a name of its own, got \"age\" twice"));
  CHECK_THROWS_WITH(Table(-1), Equals("Table: the number of rows must be at least 0, got -1"));
}

TEST_CASE("an error names some of many columns") {
  Table t;
  for (int i = 0; i < 100; ++i) t.add("c" + std::to_string(i), ag::zeros({1}, ag::float64));
  CHECK_THROWS_WITH(t["x\n"],
                    Catch::Matchers::EndsWith("\"c18\", \"c19\", … (100 in all), got \"x\\n\""));
}
