#include "autograd/core/multinomial.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "autograd/compile.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/autograd/drawn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Generator;
using ag::Tensor;
using Catch::Matchers::Equals;

TEST_CASE("multinomial draws each place with its probability") {
  const std::vector<double> p{0, 0.5, 3, 0, 1.5, 0, 0};
  for (const ag::DType dtype : {ag::float32, ag::float64}) {
    Generator g(5);
    const Tensor row = ag::tensor({0.0, 0.5, 3.0, 0.0, 1.5, 0.0, 0.0}).to(dtype);
    const auto found = shares(places(ag::multinomial(row, 40000, {.replacement = true}, g)), 7);
    for (std::size_t i = 0; i < 7; ++i) {
      CHECK(std::abs(found[i] - p[i] / 5) < 0.01);
      CHECK((found[i] > 0) == (p[i] > 0));
    }
  }
}

TEST_CASE("multinomial without replacement draws one after the other from what is left") {
  Generator g(6);
  const Tensor rows = ag::broadcast_to(ag::tensor({0.1, 0.0, 0.6, 0.3}), {20000, 4});
  const Places drawn = places(ag::multinomial(rows, 3, {}, g));
  std::vector<std::vector<double>> pairs(4, std::vector<double>(4));
  for (std::size_t i = 0; i < drawn.size(); i += 3) {
    CHECK(std::set<std::int64_t>{drawn[i], drawn[i + 1], drawn[i + 2]} ==
          std::set<std::int64_t>{0, 2, 3});
    pairs[static_cast<std::size_t>(drawn[i])][static_cast<std::size_t>(drawn[i + 1])] +=
        1 / 20000.0;
  }
  // P(first, then second) = p q / (1 - p).
  const double p[] = {0.1, 0, 0.6, 0.3};
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      CHECK(std::abs(pairs[i][j] - (i == j ? 0 : p[i] * p[j] / (1 - p[i]))) < 0.012);
}

TEST_CASE("multinomial takes one row or several, and gives int64") {
  const Tensor one = ag::multinomial(ag::tensor({0.0f, 1.0f}), 1);
  CHECK(one.dtype() == ag::int64);
  CHECK(one.shape() == ag::Shape{1});
  CHECK(one.item() == 1);
  const Tensor sharp = ag::tensor({{0.0, 0.0, 2.0}, {1e-300, 0.0, 0.0}});
  CHECK(places(ag::multinomial(sharp, 2, {.replacement = true})) == Places{2, 2, 0, 0});
  CHECK(ag::multinomial(ag::zeros({0, 3}), 2).shape() == ag::Shape{0, 2});
  const Tensor p = ag::ones({5}).requires_grad_();
  CHECK_FALSE(ag::multinomial(p, 5).requires_grad());
  auto all = places(ag::multinomial(ag::ones({1000}), 1000));
  CHECK_FALSE(std::is_sorted(all.begin(), all.end()));
  std::sort(all.begin(), all.end());
  for (std::int64_t i = 0; i < 1000; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("what multinomial draws for a seed never changes") {
  Generator g(2024);
  const Tensor p = ag::tensor({{0.1, 0.2, 0.3, 0.4}, {4.0, 3.0, 2.0, 1.0}});
  CHECK(places(ag::multinomial(p, 4, {.replacement = true}, g)) == Places{3, 3, 2, 3, 1, 2, 1, 0});
  CHECK(places(ag::multinomial(p, 4, {}, g)) == Places{0, 3, 2, 1, 3, 1, 0, 2});
  CHECK(g.state() == Generator::State{2024, 32});
}

TEST_CASE("multinomial is drawn anew in each replay, as by the function itself") {
  auto draw = [](const Tensor& p) { return ag::multinomial(ag::softmax(p, -1), 2); };
  auto compiled = ag::compile(draw);
  ag::manual_seed(4);
  std::vector<Places> drawn;
  for (int i = 0; i < 6; ++i)
    drawn.push_back(places(compiled(ag::arange(50).to(ag::float32) * 0.01 * i)));
  ag::manual_seed(4);
  for (int i = 0; i < 6; ++i)
    CHECK(places(draw(ag::arange(50).to(ag::float32) * 0.01 * i)) ==
          drawn[static_cast<std::size_t>(i)]);
  CHECK(std::set<Places>(drawn.begin(), drawn.end()).size() > 1);
}

TEST_CASE("multinomial refuses what are no probabilities, and draws nothing then") {
  Generator g(1);
  const auto refuses = [&](const Tensor& p, std::int64_t n, bool replacement, const char* text) {
    CHECK_THROWS_WITH(ag::multinomial(p, n, {.replacement = replacement}, g), Equals(text));
    CHECK(g.state() == Generator::State{1, 0});
  };
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  refuses(ag::tensor({{1.0, 1.0}, {1.0, -0.5}}), 1, true,
          "multinomial: probabilities must be finite and at least 0, got -0.5 at 1 of row 1");
  refuses(ag::tensor({nan, 1.0}), 1, true,
          "multinomial: probabilities must be finite and at least 0, got nan at 0 of row 0");
  refuses(ag::tensor({1.0, inf}), 1, true,
          "multinomial: probabilities must be finite and at least 0, got inf at 1 of row 0");
  refuses(ag::tensor({{1.0, 1.0}, {0.0, 0.0}}), 1, true,
          "multinomial: the sum of a row must be finite and above 0, got 0 in row 1");
  refuses(ag::tensor({1e308, 1e308}), 1, true,
          "multinomial: the sum of a row must be finite and above 0, got inf in row 0");
  refuses(ag::tensor({1.0, 0.0, 1.0}), 3, false,
          "multinomial: without replacement each row must have n probabilities above 0, got 2 for "
          "n = 3 in row 0");
  refuses(ag::ones({3}), 4, false, "multinomial: without replacement n must be at most 3, got 4");
  refuses(ag::ones({3}), 0, true, "multinomial: n must be at least 1, got 0");
  refuses(ag::ones({3}, ag::int64), 1, true,
          "multinomial: the probabilities must be floating, got int64");
  refuses(ag::ones({2, 2, 2}), 1, true,
          "multinomial: the probabilities must be (k) or (m, k) with k at least 1, got (2, 2, 2)");
  refuses(ag::ones({2, 0}), 1, true,
          "multinomial: the probabilities must be (k) or (m, k) with k at least 1, got (2, 0)");
  refuses(ag::tensor(1.0), 1, true,
          "multinomial: the probabilities must be (k) or (m, k) with k at least 1, got ()");
}

TEST_CASE("windows of a text are taken by random places, also in a replay") {
  const Tensor corpus = ag::arange(1000) * 2;
  auto f = ag::compile([&](const Tensor& x) {
    const Tensor at = ag::randint(0, 1000 - 65, {16, 1}) + ag::arange(64);
    return ag::take(corpus, at + 1) - ag::take(corpus, at) + x;
  });
  for (int i = 0; i < 3; ++i) {
    const Tensor windows = f(ag::zeros({16, 64}, ag::int64));
    CHECK(windows.shape() == ag::Shape{16, 64});
    CHECK(ag::amin(windows).item() == 2);
    CHECK(ag::amax(windows).item() == 2);
  }
}
