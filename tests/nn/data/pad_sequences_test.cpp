#include "nn/data/pad_sequences.hpp"

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;
using data::pad_sequences;
using data::Side;
using Ints = std::vector<std::int64_t>;

namespace {

const std::vector<Tensor> kSequences{ag::tensor({1, 2, 3}), ag::zeros({0}, ag::int64),
                                     ag::tensor({4})};

Ints ints(const Tensor& t) { return t.to_vector<std::int64_t>(); }

}  // namespace

TEST_CASE("sequences become rows, padded and trimmed on either side") {
  const Tensor rows = pad_sequences(kSequences);
  CHECK(rows.dtype() == ag::int64);
  CHECK(rows.shape() == ag::Shape{3, 3});
  CHECK(ints(rows) == Ints{1, 2, 3, 0, 0, 0, 4, 0, 0});
  CHECK(ints(pad_sequences(kSequences, {.length = 2})) == Ints{1, 2, 0, 0, 4, 0});
  CHECK(ints(pad_sequences(kSequences, {.length = 4, .value = -7})) ==
        Ints{1, 2, 3, -7, -7, -7, -7, -7, 4, -7, -7, -7});
  CHECK(ints(pad_sequences(kSequences, {.padding_side = Side::left})) ==
        Ints{1, 2, 3, 0, 0, 0, 0, 0, 4});
  CHECK(ints(pad_sequences(kSequences, {.length = 2, .truncation_side = Side::left})) ==
        Ints{2, 3, 0, 0, 4, 0});
  CHECK(ints(pad_sequences(kSequences, {.length = 2,
                                        .padding_side = Side::left,
                                        .truncation_side = Side::left})) == Ints{2, 3, 0, 0, 0, 4});
  CHECK(pad_sequences(kSequences, {.length = 0}).shape() == ag::Shape{3, 0});
}

TEST_CASE("sequences of vectors are padded, in each dtype") {
  const std::vector<Tensor> floats{ag::tensor({{1.5f, 2.5f}}), ag::zeros({2, 2})};
  const Tensor rows = pad_sequences(floats, {.value = 0.25, .padding_side = Side::left});
  CHECK(rows.shape() == ag::Shape{2, 2, 2});
  CHECK(rows.to_vector<float>() == std::vector<float>{0.25f, 0.25f, 1.5f, 2.5f, 0, 0, 0, 0});
  CHECK(pad_sequences({ag::ones({1, 3}, ag::float64)}, {.length = 2}).dtype() == ag::float64);
  CHECK(pad_sequences({ag::tensor({true})}, {.length = 2}).to_vector<bool>() ==
        std::vector<bool>{true, false});
  CHECK(pad_sequences({ag::zeros({3, 0})}, {.length = 2}).shape() == ag::Shape{1, 2, 0});
  CHECK(pad_sequences({}, {.length = 5}).shape() == ag::Shape{0, 5});
  CHECK(pad_sequences({}).dtype() == ag::int64);
}

TEST_CASE("sequences that do not go together are refused") {
  CHECK_THROWS_WITH(
      pad_sequences({ag::tensor({1}), ag::tensor({1.0f})}),
      Equals("pad_sequences: sequences must agree in all but their length, got int64 (1,) and "
             "float32 (1,)"));
  CHECK_THROWS_WITH(
      pad_sequences({ag::ones({2, 3}), ag::ones({2, 4})}),
      Equals("pad_sequences: sequences must agree in all but their length, got float32 (2, 3) and "
             "float32 (2, 4)"));
  CHECK_THROWS_WITH(pad_sequences({ag::tensor(1)}),
                    Equals("pad_sequences: sequences must be (length, …), got int64 ()"));
  CHECK_THROWS_WITH(
      pad_sequences({Tensor()}),
      Equals("pad_sequences: sequences must be (length, …), got an undefined tensor"));
  CHECK_THROWS_WITH(pad_sequences({}, {.length = -1}),
                    Equals("pad_sequences: the length must be at least 0, got -1"));
  CHECK_THROWS_WITH(pad_sequences(kSequences, {.value = 0.5}),
                    Equals("pad_sequences: the value must be a whole number for int64, got 0.5"));
  CHECK_THROWS_WITH(pad_sequences({ag::ones({2}, ag::boolean)}, {.length = 3, .value = 2}),
                    Equals("pad_sequences: the value must be 0 or 1 for bool, got 2"));
  CHECK_THROWS_WITH(pad_sequences({ag::ones({2})}, {.length = 3, .value = 1e39}),
                    Equals("pad_sequences: the value must be in its range for float32, got 1e+39"));
  CHECK(pad_sequences({ag::ones({2})}, {.length = 3, .value = -INFINITY})[0][2].item() ==
        -INFINITY);
  CHECK_THROWS_WITH(
      pad_sequences({ag::ones({2}).requires_grad_()}),
      Equals("pad_sequences: sequences must be data, got one that requires a gradient; pad it "
             "with pad(), or detach it"));
}

TEST_CASE("a compiled function does not pad, which a replay would not repeat") {
  auto f = ag::compile([](const Tensor& x) { return pad_sequences({x}, {.length = 4}); });
  CHECK_THROWS_WITH(f(ag::tensor({1})), Catch::Matchers::ContainsSubstring(
                                            "got pad_sequences(); pad the data before the call"));
}

TEST_CASE("lengths count up to the padding at the end") {
  const Tensor tokens = ag::tensor({{5, 0, 3, 0}, {0, 0, 0, 0}, {1, 2, 3, 4}, {0, 0, 0, 9}});
  const Tensor found = data::lengths(tokens, 0);
  CHECK(found.dtype() == ag::int64);
  CHECK(ints(found) == Ints{3, 0, 4, 4});
  CHECK(ints(data::lengths(tokens, 4)) == Ints{4, 4, 3, 4});
  CHECK(data::lengths(tokens[0]).shape() == ag::Shape{});
  CHECK(data::lengths(tokens[0]).item() == 3);
  CHECK(ints(data::lengths(ag::zeros({2, 0}, ag::int64))) == Ints{0, 0});
  CHECK(data::lengths(ag::zeros({0, 3}, ag::int64)).shape() == ag::Shape{0});
  CHECK_THROWS_WITH(
      data::lengths(ag::ones({2, 2})),
      Equals("lengths: tokens must be int64 (n, length) or (length), got float32 (2, 2)"));
}

TEST_CASE("a padding that is no exact number of float64 is refused") {
  CHECK_THROWS_WITH(
      data::lengths(ag::tensor({1}), std::int64_t{1} << 60),
      Equals("lengths: the padding must be in [-2^53, 2^53], got 1152921504606846976"));
}

TEST_CASE("a compiled function finds the lengths of the tokens of each call") {
  auto f = ag::compile([](const Tensor& tokens) { return data::lengths(tokens, 0); });
  for (const Tensor& tokens :
       {ag::tensor({{1, 2, 0}, {3, 0, 0}}), ag::tensor({{1, 0, 0}, {3, 1, 1}}),
        ag::tensor({{0, 0, 0}, {0, 2, 0}})})
    CHECK(ints(f(tokens)) == ints(data::lengths(tokens, 0)));
}
