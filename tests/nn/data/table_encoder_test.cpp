#include "nn/data/table_encoder.hpp"

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/data/readers/csv.hpp"
#include "nn/io/checkpoint.hpp"
#include "nn/io/save.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using data::Impute, data::Table, data::TableEncoder, data::Unknown;
using Names = std::vector<std::string>;
using Values = std::vector<double>;

namespace {

const double kNaN = std::nan("");

Table train() {
  return Table()
      .add("age", ag::tensor({30.0, kNaN, 50.0, 70.0}))
      .add("country", Names{"Peru", "Cuba", "Iran", "Cuba"})
      .add("work", Names{"b", "a", "", "b"});
}

// Another order of rows and texts, a text that is new, one that is gone, and a column too many.
Table test() {
  return Table()
      .add("id", ag::tensor({1.0, 2.0, 3.0}))
      .add("work", Names{"b", "b", ""})
      .add("country", Names{"Peru", "Mali", "Iran"})
      .add("age", ag::tensor({10.0, kNaN, 20.0}));
}

TableEncoder fitted(Unknown unknown, const Names& ordinal = {"country", "work"}) {
  return TableEncoder({.ordinal = ordinal,
                       .unknown = unknown,
                       .impute_numbers = Impute::mean,
                       .impute_texts = Impute::category})
      .fit(train());
}

Values encoded(const TableEncoder& encoder, const std::string& column) {
  return encoder.transform(test())[column].to_vector<double>();
}

struct Model : nn::Module {
  TableEncoder encoder;
  nn::Linear linear;
  NN_MODULE(encoder, linear)
  explicit Model(TableEncoder e)
      : encoder(std::move(e)), linear(static_cast<std::int64_t>(encoder.columns().size()), 1) {}
  ag::Tensor forward(const Table& table) {
    return linear(encoder.transform(table).values().to(ag::float32));
  }
};

}  // namespace

TEST_CASE("a text has the code that it has in the training table") {
  const TableEncoder encoder = fitted(Unknown::ignore);
  CHECK(encoder.categories("country") == Names{"Cuba", "Iran", "Peru"});
  CHECK(encoder.transform(train())["country"].to_vector<double>() == Values{2, 0, 1, 0});
  CHECK(encoded(encoder, "country") == Values{2, -1, 1});
  CHECK(encoder.transform(test()).columns() == Names{"age", "country", "work"});
}

TEST_CASE("two files that hold other texts agree") {
  const Scratch dir;
  write_bytes(dir / "train.csv", "country,pay\nCuba,1\nHolland,2\nIran,3\nPeru,4\n");
  write_bytes(dir / "test.csv", "pay,country\n1,Peru\n2,Iran\n3,Cuba\n");
  const data::CsvOptions options{.text = {"country"}};
  TableEncoder encoder({.ordinal = {"country"}});
  encoder.fit(data::read_csv(dir / "train.csv", options));
  const Table encoded = encoder.transform(data::read_csv(dir / "test.csv", options));
  CHECK(encoded["country"].to_vector<double>() == Values{3, 2, 0});
  CHECK(encoded.columns() == Names{"country", "pay"});
}

TEST_CASE("a text that is new is an error, ignored, or a category of its own") {
  CHECK_THROWS_WITH(
      fitted(Unknown::error).transform(test()),
      Equals("transform: column \"country\" must hold texts of the training table, got \"Mali\" in "
             "row 1; choose .unknown"));
  CHECK(encoded(fitted(Unknown::ignore), "country") == Values{2, -1, 1});
  CHECK(encoded(fitted(Unknown::category), "country") == Values{2, 3, 1});

  const TableEncoder ignoring = fitted(Unknown::ignore, {}), own = fitted(Unknown::category, {});
  CHECK(ignoring.columns() ==
        Names{"age", "country=Cuba", "country=Iran", "country=Peru", "work=", "work=a", "work=b"});
  const Names expected{"country=Cuba", "country=Iran", "country=Peru"};
  CHECK(ignoring.transform(test()).select(expected).values().to_vector<double>() ==
        Values{0, 0, 1, 0, 0, 0, 0, 1, 0});
  CHECK(encoded(own, "country=<unknown>") == Values{0, 1, 0});
  CHECK(encoded(own, "country=Peru") == Values{1, 0, 0});

  TableEncoder mixed({.unknown_in = {{"country", Unknown::ignore}}});
  mixed.fit(train().select({"country"}));
  CHECK(encoded(mixed, "country=Peru") == Values{1, 0, 0});
}

TEST_CASE("missing values are filled in with what the training table says") {
  const auto age = [](Impute rule) {
    TableEncoder encoder({.impute_numbers = rule});
    return encoder.fit(train().select({"age"})).transform(test())["age"].to_vector<double>();
  };
  CHECK(age(Impute::mean) == Values{10, 50, 20});
  CHECK(age(Impute::median) == Values{10, 50, 20});
  CHECK(age(Impute::most_frequent) == Values{10, 30, 20});
  CHECK(std::isnan(age(Impute::nan)[1]));

  const auto work = [](Impute rule) {
    TableEncoder encoder({.ordinal = {"work"}, .impute_texts = rule});
    return encoder.fit(train().select({"work"})).transform(test())["work"].to_vector<double>();
  };
  CHECK(work(Impute::most_frequent) == Values{1, 1, 1});
  CHECK(work(Impute::category) == Values{2, 2, 0});
  CHECK(std::isnan(work(Impute::nan)[2]));

  TableEncoder even({.impute_in = {{"n", Impute::median}}});
  const Table n = Table().add("n", ag::tensor({4.0, 1.0, kNaN, 2.0, 8.0}));
  CHECK(even.fit(n).transform(n)["n"].to_vector<double>() == Values{4, 1, 3, 2, 8});
}

TEST_CASE("a missing value is an error unless a rule is chosen") {
  CHECK_THROWS_WITH(TableEncoder().fit(train()),
                    Equals("fit: column \"age\" must have a value in each row, got none in row 1; "
                           "choose .impute_in"));
  TableEncoder encoder;
  encoder.fit(Table().add("a", Names{"x"}));
  CHECK_THROWS_WITH(encoder.transform(Table().add("a", Names{"x", ""})),
                    Equals("transform: column \"a\" must have a value in each row, got none in row "
                           "1; choose .impute_in"));
  // A missing text is one that the training table did not have.
  TableEncoder category({.impute_texts = Impute::category});
  category.fit(Table().add("a", Names{"x"}));
  CHECK_THROWS_WITH(
      category.transform(Table().add("a", Names{""})),
      Equals("transform: column \"a\" must hold texts of the training table, got \"\" "
             "in row 0; choose .unknown"));
}

TEST_CASE("numbers are standardized with the figures of the training table") {
  TableEncoder encoder({.impute_numbers = Impute::mean, .standardize = true});
  encoder.fit(train().select({"age"}));
  const double scale = std::sqrt(200.0);  // of 30, 50, 50, 70
  CHECK(encoded(encoder, "age") == Values{-40 / scale, 0, -30 / scale});
  TableEncoder constant({.standardize = true});
  constant.fit(Table().add("c", ag::tensor({0.1, 0.1, 0.1})));
  CHECK(constant.transform(Table().add("c", ag::tensor({0.1, 1.1})))["c"].to_vector<double>() ==
        Values{0, 1});
}

TEST_CASE("only texts that the rows still have become categories") {
  TableEncoder encoder;
  encoder.fit(train().select({"country"}).take(std::vector<std::int64_t>{1, 3}));
  CHECK(encoder.columns() == Names{"country=Cuba"});
}

TEST_CASE("an encoder is saved with its model, and a served model encodes alike") {
  const Scratch dir;
  Model model(fitted(Unknown::category, {"work"}));
  const auto expected = model(test()).to_vector<float>();
  nn::save(model, dir / "model");

  Model served(TableEncoder::from_state(nn::load_tensors(dir / "model"), "encoder"));
  nn::load(served, dir / "model");
  CHECK(served(test()).to_vector<float>() == expected);
  CHECK(served.encoder.str() == model.encoder.str());
  CHECK(nn::clone(served)(test()).to_vector<float>() == expected);

  nn::save(model.encoder, dir / "encoder");
  CHECK(TableEncoder::from_state(nn::load_tensors(dir / "encoder")).columns() ==
        model.encoder.columns());
}

TEST_CASE("what a checkpoint loads into an encoder is what it uses") {
  const Scratch dir;
  const auto encoder_of = [](const Names& texts) {
    return TableEncoder({.ordinal = {"a"}}).fit(Table().add("a", texts));
  };
  TableEncoder saved = encoder_of({"x", "y"}), loaded = encoder_of({"w", "x"});
  nn::Checkpoint({{"encoder", saved}}).save(dir / "run");
  nn::Checkpoint({{"encoder", loaded}}).load(dir / "run");
  CHECK(loaded.categories("a") == Names{"x", "y"});
  CHECK(loaded.transform(Table().add("a", Names{"y"}))["a"].item<double>() == 1);
  TableEncoder other = encoder_of({"a", "b", "c"});
  CHECK_THROWS(nn::Checkpoint({{"encoder", other}}).load(dir / "run"));
}

TEST_CASE("texts of any bytes survive saving") {
  const Scratch dir;
  const Names texts{"caf\xE9", "naïve", "12345678", std::string("a\0b", 3), std::string(1000, 'x')};
  TableEncoder encoder;
  encoder.fit(Table().add("t\n", texts));
  nn::save(encoder, dir / "e");
  const auto again = TableEncoder::from_state(nn::load_tensors(dir / "e"));
  CHECK(again.categories("t\n") == encoder.categories("t\n"));
  CHECK(again.categories("t\n").size() == 5);
}

TEST_CASE("a state that is none of an encoder is refused") {
  const nn::StateDict good = fitted(Unknown::ignore).state_dict();
  const auto refuses = [&](std::size_t entry, ag::Tensor t, const std::string& what) {
    nn::StateDict bad = good;
    bad[entry].tensor = std::move(t);
    CHECK_THROWS_WITH(
        TableEncoder::from_state(bad),
        Equals("from_state: the state must be that of a fitted encoder, got " + what));
  };
  CHECK_NOTHROW(TableEncoder::from_state(good));
  CHECK_THROWS_WITH(TableEncoder::from_state(good, "encoder"),
                    Equals("state_dict: the name must be one of the 3 here, got 'encoder.layout'"));
  refuses(0, ag::zeros({3, 4}), "other shapes or dtypes");
  refuses(0, ag::zeros({}, ag::int64), "other shapes or dtypes");
  refuses(0, ag::zeros({2, 4}, ag::int64), "other shapes or dtypes");
  refuses(0, ag::full({3, 4}, 7, ag::int64), "another layout");
  refuses(1, ag::full({3, 3}, 1e300, ag::float64), "a code that no text has");
  refuses(2, ag::tensor({3}), "another number of texts");
  const ag::Tensor words = good[2].tensor;
  for (const std::int64_t length : {INT64_MIN, INT64_MAX, std::int64_t{-1}, std::int64_t{1000}}) {
    ag::Tensor bad = words.clone();
    bad.mutable_data<std::int64_t>()[0] = length;
    refuses(2, bad, "another number of texts");
  }
  refuses(2, ag::concat({words, words}), "another number of texts");
}

TEST_CASE("an encoder prints a line for each column") {
  CHECK(TableEncoder().str() == "TableEncoder()");
  CHECK(fitted(Unknown::ignore, {"work"}).str() ==
        "TableEncoder(\n"
        "  age: number, impute mean 50\n"
        "  country: one_hot of 3, unknown ignore, impute category\n"
        "  work: ordinal of 3, unknown ignore, impute category\n"
        ")");
}

TEST_CASE("an encoder refuses what it cannot be fitted or applied to") {
  CHECK_THROWS_WITH(TableEncoder().transform(train()),
                    Equals("transform: the encoder must be fitted, got none; call fit first, or "
                           "make it from a saved state"));
  CHECK_THROWS_WITH(TableEncoder().fit(Table()),
                    Equals("fit: needs at least one row and one column, got 0 and 0"));
  CHECK_THROWS_WITH(TableEncoder({.ordinal = {"age"}}).fit(train()),
                    Equals("fit: .ordinal must name columns of text, got \"age\""));
  CHECK_THROWS_WITH(TableEncoder({.impute_in = {{"x", Impute::nan}}}).fit(train()),
                    Equals("fit: .impute_in must name columns of the table, got \"x\""));
  CHECK_THROWS_WITH(
      TableEncoder({.impute_texts = Impute::mean}).fit(train().select({"work"})),
      Equals("fit: column \"work\" holds text, which Impute::mean cannot fill in; choose "
             ".impute_in"));
  CHECK_THROWS_WITH(
      TableEncoder({.impute_numbers = Impute::category}).fit(train().select({"age"})),
      Equals("fit: column \"age\" holds numbers, which Impute::category cannot fill in; choose "
             ".impute_in"));
  CHECK_THROWS_WITH(
      TableEncoder({.impute_numbers = Impute::mean}).fit(Table().add("a", ag::tensor({kNaN}))),
      Equals("fit: column \"a\" must hold finite numbers, got none"));
  CHECK_THROWS_WITH(TableEncoder({.impute_texts = Impute::nan}).fit(Table().add("a", Names{""})),
                    Equals("fit: column \"a\" must hold a text, got none"));
  CHECK_THROWS_WITH(
      fitted(Unknown::ignore).transform(Table().add("age", Names{"old"})),
      Equals("transform: column \"age\" must hold numbers as the training table has, got text"));
  CHECK_THROWS_WITH(fitted(Unknown::ignore).transform(Table().add("a", Names{"old"})),
                    Equals("Table: the column must be one of \"a\", got \"age\""));
}
