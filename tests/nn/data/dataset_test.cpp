#include "nn/data/dataset.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;

namespace {

// Row i of x is (2i, 2i + 1); y is i.
data::TensorDataset numbered(std::int64_t n) {
  return data::TensorDataset(ag::reshape(ag::arange(2 * n, ag::float32), {n, 2}), ag::arange(n));
}

std::vector<std::int64_t> labels(const data::TensorDataset& d) {
  return d.y.to_vector<std::int64_t>();
}

void check_pairs(const data::TensorDataset& d) {
  REQUIRE(d.x.size(0) == d.y.size(0));
  for (std::int64_t i = 0; i < d.size(); ++i)
    CHECK(d.x.data<float>()[2 * i] == 2.0f * static_cast<float>(labels(d)[std::size_t(i)]));
}

}  // namespace

TEST_CASE("a data set takes tensors of any rank and dtype with equally many rows") {
  CHECK(data::TensorDataset(ag::zeros({3, 2, 2}), ag::zeros({3}, ag::boolean)).size() == 3);
  CHECK(data::TensorDataset(ag::zeros({0, 5}), ag::zeros({0})).size() == 0);
  CHECK_FALSE(data::TensorDataset(ag::zeros({4, 1})).y.defined());
  CHECK_THROWS_WITH(data::TensorDataset(ag::zeros({3, 2}), ag::zeros({4})),
                    Equals("TensorDataset: x and y must have the same number of rows, got (3, 2) "
                           "and (4,): 3 != 4"));
  CHECK_THROWS_WITH(data::TensorDataset(ag::zeros({})),
                    Equals("TensorDataset: tensors must have an axis of rows, got a 0-d x"));
  CHECK_THROWS_WITH(data::TensorDataset(ag::zeros({1}), ag::zeros({})),
                    Equals("TensorDataset: tensors must have an axis of rows, got a 0-d y"));
  CHECK_THROWS_WITH(data::TensorDataset(Tensor()),
                    Equals("TensorDataset: x must be defined, got an undefined tensor"));
}

TEST_CASE("a data set shares its elements, a subset copies them") {
  const auto all = numbered(5);
  auto some = data::subset(all, {4, 0, 4});
  CHECK(labels(some) == std::vector<std::int64_t>{4, 0, 4});
  check_pairs(some);
  some.x.mutable_data<float>()[0] = -1;
  CHECK(all.x.data<float>()[8] == 8);
  CHECK(data::subset(all, std::vector<std::int64_t>{}).x.shape() == ag::Shape(0, 2));
  CHECK_FALSE(data::subset(data::TensorDataset(all.x), {1}).y.defined());
}

TEST_CASE("subset keeps bits of every dtype and leaves the tape") {
  Tensor x = ag::tensor({{1.0, 2.0}, {3.0, std::nan("")}}).requires_grad_();
  const auto some = data::subset(data::TensorDataset(x, ag::tensor({true, false})), {1});
  CHECK_FALSE(some.x.requires_grad());
  CHECK(some.x.dtype() == ag::float64);
  CHECK(std::isnan(some.x.data<double>()[1]));
  CHECK(some.y.to_vector<bool>() == std::vector<bool>{false});
}

TEST_CASE("subset refuses an index that is no row") {
  CHECK_THROWS_WITH(data::subset(numbered(3), {0, 3}),
                    Equals("subset: indices must be in [0, 3), got 3"));
  CHECK_THROWS_WITH(data::subset(numbered(3), {-1}),
                    Equals("subset: indices must be in [0, 3), got -1"));
}

TEST_CASE("split distributes every row once, in random order, with its target") {
  const auto [a, b] = data::split(numbered(10), {7, 3}, 1);
  CHECK(a.size() == 7);
  CHECK(b.size() == 3);
  check_pairs(a);
  check_pairs(b);
  std::vector<std::int64_t> all = labels(a), rest = labels(b);
  all.insert(all.end(), rest.begin(), rest.end());
  CHECK_FALSE(std::is_sorted(all.begin(), all.end()));
  std::sort(all.begin(), all.end());
  CHECK(all == ag::arange(10).to_vector<std::int64_t>());
}

TEST_CASE("split is a function of its seed") {
  const auto first = data::split(numbered(50), {0.5, 0.5}, 3);
  const auto again = data::split(numbered(50), {0.5, 0.5}, 3);
  const auto other = data::split(numbered(50), {0.5, 0.5}, 4);
  CHECK(labels(first[0]) == labels(again[0]));
  CHECK(labels(first[0]) != labels(other[0]));
}

TEST_CASE("split rounds shares down and gives the rest to the first parts") {
  const auto sizes = [](std::int64_t n, const std::vector<double>& fractions) {
    std::vector<std::int64_t> list;
    for (const auto& part : data::split(numbered(n), fractions)) list.push_back(part.size());
    return list;
  };
  CHECK(sizes(11, {0.5, 0.25, 0.25}) == std::vector<std::int64_t>{6, 3, 2});
  CHECK(sizes(10, {1}) == std::vector<std::int64_t>{10});
  CHECK(sizes(3, {0.1, 0.1, 0.8}) == std::vector<std::int64_t>{1, 0, 2});
  CHECK(sizes(0, {0.5, 0.5}) == std::vector<std::int64_t>{0, 0});
}

TEST_CASE("shares may be float literals") {
  const auto [a, b] = data::split(numbered(10), {0.8f, 0.2f});
  CHECK(a.size() == 8);
  const auto [c, d] = data::split(numbered(10), {0.3f, 0.7f});
  CHECK(c.size() == 3);
  const auto [e, f, g] = data::split(numbered(9), {1 / 3.0f, 1 / 3.0f, 1 / 3.0f});
  CHECK(e.size() == 3);
  CHECK(b.size() + d.size() + f.size() + g.size() == 15);
}

TEST_CASE("split accepts labelled images") {
  const data::LabelledImages images{ag::zeros({4, 1, 2, 2}), ag::arange(4)};
  const auto [train, rest] = data::split(images, {0.75, 0.25});
  CHECK(train.x.shape() == ag::Shape(3, 1, 2, 2));
  CHECK(rest.size() == 1);
}

TEST_CASE("split refuses parts that do not make up the data set") {
  const auto ten = numbered(10);
  CHECK_THROWS_WITH(data::split(ten, {7, 2}),
                    Equals("split: lengths must add up to the 10 rows of the data set, got 9"));
  CHECK_THROWS_WITH(data::split(ten, {7, 4}),
                    Equals("split: lengths must add up to the 10 rows of the data set, got more"));
  CHECK_THROWS_WITH(data::split(ten, {11, -1}),
                    Equals("split: lengths must add up to the 10 rows of the data set, got more"));
  CHECK_THROWS_WITH(data::split(ten, {-1, 11}),
                    Equals("split: lengths must be at least 0, got -1"));
  CHECK_THROWS_WITH(
      data::split(ten, {0.5, 0.4}),
      Equals("split: fractions must add up to 1, got 0.9; pass whole numbers for lengths"));
  CHECK_THROWS_WITH(data::split(ten, {1.5, -0.5}),
                    Equals("split: fractions must be in [0, 1], got 1.5"));
  CHECK_THROWS_WITH(data::split(ten, {std::nan(""), 0.5}),
                    Equals("split: fractions must be in [0, 1], got nan"));
}
