#include "autograd/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <thread>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Generator;

namespace {

double mean_of(const std::vector<double>& v, int power = 1) {
  double sum = 0;
  for (double x : v) sum += std::pow(x, power);
  return sum / static_cast<double>(v.size());
}

}  // namespace

TEST_CASE("the stream is Philox4x32-10 with the numbers of its reference") {
  Generator zero(0);
  for (std::uint32_t expected : {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u})
    CHECK(zero.next_u32() == expected);
  Generator far;
  far.set_state({0xfedcba9876543210, std::uint64_t{4} * 0x0123456789abcdef});
  for (std::uint32_t expected : {0x822ed603u, 0x19774975u, 0x4c78eba5u, 0xdc0ba28au})
    CHECK(far.next_u32() == expected);
}

TEST_CASE("a state saved anywhere continues the stream") {
  Generator g(42);
  for (int skip = 0; skip < 9; ++skip) {
    const auto state = g.state();
    CHECK(state.seed == 42);
    CHECK(state.position == static_cast<std::uint64_t>(skip));
    Generator again;
    again.set_state(state);
    Generator straight = g;
    for (int i = 0; i < 11; ++i) CHECK(again.next_u32() == straight.next_u32());
    (void)g.next_u32();
  }
}

TEST_CASE("filling a tensor draws what the generator would hand out one by one") {
  for (std::uint64_t offset : {0, 1, 3, 6, 63, 64}) {
    Generator bulk(7), single(7);
    bulk.set_state({7, offset});
    single.set_state({7, offset});
    for (double x : ag::rand({101}, ag::float64, bulk).to_vector<double>())
      CHECK(x == single.uniform());
    for (double x : ag::randn({33}, ag::float64, bulk).to_vector<double>())
      CHECK(x == single.normal());
    for (float x : ag::bernoulli({70}, 0.25, ag::float32, bulk).to_vector<float>())
      CHECK(x == (single.next_u32() < 0x40000000u ? 1.0f : 0.0f));
    CHECK(bulk.state() == single.state());
  }
}

TEST_CASE("numbers of a seed never change") {
  Generator g(2024);
  CHECK(g.uniform() == 0x1.3516d6e689812p-1);
  CHECK(g.normal() == 0x1.146e3fdd6310ap+1);
  CHECK(g.below(1000) == 346);
  CHECK(ag::randperm(8, g).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{2, 1, 5, 0, 3, 6, 4, 7});
}

TEST_CASE("the normal quantile has the digits of the reference") {
  // By position in the stream of seed 5, among them far ones; worked out with 40 digits.
  const std::pair<std::uint64_t, double> expected[] = {
      {0, 0.72567882726542203411}, {2, 2.1378802306448147614},     {4, -0.39283379480364468528},
      {6, 0.1876784169021512634},  {58348, 4.6224013739292525247}, {90130, -4.2461352948604533149}};
  for (auto [position, z] : expected) {
    Generator g;
    g.set_state({5, position});
    CHECK(g.normal() == Catch::Approx(z).epsilon(1e-15));
  }
}

TEST_CASE("uniform numbers have the moments of the distribution and stay below 1") {
  Generator g(1);
  const auto v = ag::rand({200000}, ag::float64, g).to_vector<double>();
  CHECK(mean_of(v) == Catch::Approx(1.0 / 2).margin(3e-3));
  CHECK(mean_of(v, 2) == Catch::Approx(1.0 / 3).margin(3e-3));
  CHECK(*std::min_element(v.begin(), v.end()) >= 0);
  CHECK(*std::max_element(v.begin(), v.end()) < 1);
  // In float32, rounding to nearest would give 1 for about one number in 33 million.
  Generator again(1);
  const auto f = ag::rand({200000}, ag::float32, again).to_vector<float>();
  for (std::size_t i = 0; i < f.size(); ++i)
    if (!(f[i] <= v[i] && v[i] - f[i] < 0x1p-24)) FAIL("element " << i);
}

TEST_CASE("normal numbers have the moments of the distribution") {
  Generator g(3);
  const auto v = ag::randn({400000}, ag::float64, g).to_vector<double>();
  CHECK(mean_of(v) == Catch::Approx(0).margin(5e-3));
  CHECK(mean_of(v, 2) == Catch::Approx(1).margin(8e-3));
  CHECK(mean_of(v, 3) == Catch::Approx(0).margin(2e-2));
  CHECK(mean_of(v, 4) == Catch::Approx(3).margin(8e-2));
  const auto far = std::count_if(v.begin(), v.end(), [](double x) { return std::abs(x) > 3; });
  CHECK(static_cast<double>(far) / 400000 == Catch::Approx(0.0026998).margin(4e-4));
  Generator again(3);
  CHECK(ag::randn({5}, ag::float32, again).to_vector<float>()[4] == static_cast<float>(v[4]));
}

TEST_CASE("whole numbers are even over their range") {
  Generator g(11);
  std::vector<int> counts(7);
  for (std::int64_t x : ag::randint(-3, 4, {70000}, g).to_vector<std::int64_t>())
    ++counts.at(static_cast<std::size_t>(x + 3));
  for (int n : counts) CHECK(std::abs(n - 10000) < 400);
  // With 3 · 2^62 choices, one draw in four must be rejected for evenness.
  const std::uint64_t many = std::uint64_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 6000; ++i) low += g.below(many) < (std::uint64_t{1} << 62);
  CHECK(std::abs(low - 2000) < 200);
  CHECK(g.below(1) == 0);
  const auto wide = ag::randint(std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max(), {64}, g);
  const auto v = wide.to_vector<std::int64_t>();
  CHECK(std::any_of(v.begin(), v.end(), [](auto x) { return x < 0; }));
  CHECK(std::any_of(v.begin(), v.end(), [](auto x) { return x > 0; }));
}

TEST_CASE("bernoulli draws 1 with its probability in every dtype") {
  Generator g(9);
  const auto v = ag::bernoulli({100000}, 0.3, ag::float64, g).to_vector<double>();
  CHECK(mean_of(v) == Catch::Approx(0.3).margin(6e-3));
  CHECK(ag::sum(ag::bernoulli({1000}, 0, ag::float32, g)).item() == 0);
  CHECK(ag::sum(ag::bernoulli({1000}, 1, ag::int64, g)).item() == 1000);
  CHECK(ag::bernoulli({3}, 1, ag::boolean, g).to_vector<bool>() == std::vector<bool>(3, true));
}

TEST_CASE("a random permutation holds every number once") {
  Generator g(5);
  auto v = ag::randperm(1000, g).to_vector<std::int64_t>();
  CHECK_FALSE(std::is_sorted(v.begin(), v.end()));
  std::sort(v.begin(), v.end());
  for (std::int64_t i = 0; i < 1000; ++i) CHECK(v[static_cast<std::size_t>(i)] == i);
  CHECK(ag::randperm(0, g).numel() == 0);
  std::set<std::vector<std::int64_t>> seen;
  for (int i = 0; i < 300; ++i) seen.insert(ag::randperm(4, g).to_vector<std::int64_t>());
  CHECK(seen.size() == 24);
}

TEST_CASE("manual_seed repeats the default stream of this thread only", "[threads]") {
  ag::manual_seed(17);
  const auto first = ag::rand({4}).to_vector<float>();
  std::vector<float> other, fresh;
  std::thread([&] {
    other = ag::rand({4}).to_vector<float>();
    ag::manual_seed(17);
    fresh = ag::rand({4}).to_vector<float>();
  }).join();
  CHECK(fresh == first);
  CHECK(other != first);
  ag::manual_seed(17);
  CHECK(ag::rand({4}).to_vector<float>() == first);
}

TEST_CASE("empty and 0-d random tensors work") {
  Generator g(1);
  const auto before = g.state();
  CHECK(ag::rand({0, 3}, ag::float32, g).numel() == 0);
  CHECK(g.state() == before);
  CHECK(ag::randn({}, ag::float64, g).shape() == ag::Shape{});
  CHECK(g.state().position == 2);
}

TEST_CASE("random functions refuse wrong arguments") {
  Generator g;
  CHECK_THROWS_WITH(g.below(0), "below: the number of choices must be at least 1, got 0");
  CHECK_THROWS_WITH(ag::randint(3, 3, {1}), "randint: low must be less than high, got 3 and 3");
  CHECK_THROWS_WITH(ag::bernoulli({1}, 1.5),
                    "bernoulli: the probability must be in [0, 1], got 1.5");
  CHECK_THROWS_WITH(ag::bernoulli({1}, std::nan("")),
                    "bernoulli: the probability must be in [0, 1], got nan");
  CHECK_THROWS_WITH(ag::randperm(-1), "randperm: the length must be at least 0, got -1");
  CHECK_THROWS_WITH(ag::rand({2}, ag::int64),
                    "rand: needs float32 or float64, got int64; convert with .to(float32)");
  CHECK_THROWS_WITH(ag::randn({2}, ag::boolean),
                    "randn: needs float32 or float64, got bool; convert with .to(float32)");
  CHECK_THROWS_WITH(ag::randn({-1}), Catch::Matchers::StartsWith("randn: "));
}
