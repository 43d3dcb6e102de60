#include "autograd/ops/indexing/choice.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/compile.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/autograd/drawn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Generator;
using ag::Tensor;
using Catch::Matchers::Equals;

TEST_CASE("choice draws places alike, or by their probabilities") {
  Generator g(3);
  for (const double share : shares(places(ag::choice(4, {200, 100}, {}, g)), 4))
    CHECK(std::abs(share - 0.25) < 0.015);
  const std::vector<double> expected{0.5, 0, 0.2, 0.3};
  const Tensor p = ag::tensor(expected);
  const auto found = shares(places(ag::choice(4, {20000}, {.p = p}, g)), 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(found[i] - expected[i]) < 0.015);
  CHECK(found[1] == 0);
  CHECK(ag::choice(7).shape() == ag::Shape());
  CHECK(ag::choice(0, {2, 0}).shape() == ag::Shape(2, 0));
}

TEST_CASE("choice without replacement draws each place once, in a random order") {
  Generator g(4);
  Places all = places(ag::choice(50, {50}, {.replacement = false}, g));
  CHECK_FALSE(std::is_sorted(all.begin(), all.end()));
  CHECK(std::set<std::int64_t>(all.begin(), all.end()).size() == 50);
  const Tensor p = ag::tensor({0.5, 0.0, 0.2, 0.3});
  const Places three = places(ag::choice(4, {3}, {.replacement = false, .p = p}, g));
  CHECK(std::set<std::int64_t>(three.begin(), three.end()) == std::set<std::int64_t>{0, 2, 3});
}

TEST_CASE("choice of a tensor takes entries of its first axis, with their gradients") {
  Generator g(5), same(5);
  const Tensor a = ag::randn({6, 2}, ag::float64).requires_grad_();
  const Tensor drawn = ag::choice(a, {3, 4}, {}, g);
  REQUIRE(drawn.shape() == ag::Shape(3, 4, 2));
  const Tensor at = ag::choice(6, {3, 4}, {}, same);
  CHECK(ag::allclose(drawn, ag::reshape(ag::index_select(a, 0, ag::flatten(at)), {3, 4, 2})));
  ag::sum(drawn).backward();
  CHECK(ag::sum(a.grad()).item() == 24);
}

TEST_CASE("choice is drawn anew in each replay, as by the function itself") {
  const auto draw = [](const Tensor& x) { return ag::choice(x, {3}); };
  auto compiled = ag::compile(draw);
  const Tensor x = ag::arange(1000).to(ag::float32);
  std::set<std::vector<float>> drawn;
  for (int i = 0; i < 4; ++i) {
    ag::manual_seed(static_cast<std::uint64_t>(i));
    const auto replayed = compiled(x).to_vector<float>();
    ag::manual_seed(static_cast<std::uint64_t>(i));
    CHECK(replayed == draw(x).to_vector<float>());
    drawn.insert(replayed);
  }
  CHECK(drawn.size() == 4);
}

TEST_CASE("choice refuses what cannot be drawn, and draws nothing then") {
  Generator g(1);
  const auto refuses = [&](std::int64_t n, const ag::Shape& size, const ag::ChoiceOptions& options,
                           const char* text) {
    CHECK_THROWS_WITH(ag::choice(n, size, options, g), Equals(text));
    CHECK(g.state() == Generator::State{1, 0});
  };
  refuses(0, {1}, {}, "choice: needs at least one place to draw from, got 0");
  refuses(-2, {}, {}, "choice: needs at least one place to draw from, got -2");
  refuses(3, {2, 2}, {.replacement = false},
          "choice: without replacement at most 3 can be drawn, got 4");
  refuses(2, {1}, {.p = ag::tensor({0.5, 0.4})}, "choice: probabilities must add up to 1, got 0.9");
  refuses(2, {1}, {.p = ag::tensor({1.5, -0.5})},
          "choice: probabilities must be finite and at least 0, got -0.5 at 1 of row 0");
  refuses(3, {1}, {.p = ag::tensor({0.5, 0.5})},
          "choice: p must hold a floating probability for each of 3, got float64 (2,)");
  refuses(2, {1}, {.p = ag::tensor({1, 0})},
          "choice: p must hold a floating probability for each of 2, got int64 (2,)");
  CHECK_THROWS_WITH(ag::choice(ag::tensor(1.0)),
                    Equals("choice: needs an axis to draw from, got a 0-d tensor"));
}

TEST_CASE("categorical draws by the softmax of logits, never where they are -inf") {
  Generator g(9);
  const Tensor row = ag::tensor({std::log(0.2), -HUGE_VAL, std::log(0.8)}) + 700;
  const Tensor drawn = ag::categorical(ag::broadcast_to(row, {100, 200, 3}), g);
  REQUIRE(drawn.shape() == ag::Shape(100, 200));
  const auto found = shares(places(drawn), 3);
  CHECK(std::abs(found[0] - 0.2) < 0.015);
  CHECK(found[1] == 0);
  CHECK(ag::categorical(row, g).shape() == ag::Shape());
  CHECK(ag::categorical(ag::zeros({0, 3}), g).shape() == ag::Shape{0});
  CHECK_THROWS_WITH(ag::categorical(ag::zeros({2, 0})),
                    Equals("categorical: the logits must be (…, k) with k at least 1, got (2, 0)"));
  CHECK_THROWS_AS(ag::categorical(ag::tensor({std::nan(""), 1.0})), ag::Error);
  CHECK_THROWS_AS(ag::categorical(ag::tensor({-HUGE_VAL})), ag::Error);
}
