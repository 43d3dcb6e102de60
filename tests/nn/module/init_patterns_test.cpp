#include "nn/module/init_patterns.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace init = nn::init;

TEST_CASE("eye_ is the identity, of a matrix of any shape") {
  const ag::Tensor wide = ag::ones({2, 3}), none = ag::ones({0, 3});
  init::eye_(wide);
  init::eye_(none);
  CHECK(wide.to_vector<float>() == std::vector<float>{1, 0, 0, 0, 1, 0});
}

TEST_CASE("a convolution with dirac_ hands its channels on") {
  const ag::Tensor x = ag::randn({1, 2, 5, 4}), weight = ag::ones({3, 2, 3, 3});
  init::dirac_(weight);
  const ag::Tensor y = ag::conv2d(x, weight, {}, {.padding = 1});
  CHECK(ag::all(ag::narrow(y, 1, 0, 2) == x).item() != 0);
  CHECK(ag::all(ag::narrow(y, 1, 2, 1) == 0).item() != 0);
  const ag::Tensor grouped = ag::ones({4, 1, 3}, ag::float64),
                   line = ag::randn({1, 2, 6}, ag::float64);
  init::dirac_(grouped, 2);
  const ag::Tensor z = ag::conv1d(line, grouped, {}, {.padding = 1, .groups = 2});
  CHECK(ag::all(ag::select(z, 1, 0) == ag::select(line, 1, 0)).item() != 0);
  CHECK(ag::all(ag::select(z, 1, 2) == ag::select(line, 1, 1)).item() != 0);
  CHECK(ag::all(ag::select(z, 1, 1) == 0).item() != 0);
}

TEST_CASE("sparse_ leaves its share of zeros in each column") {
  const ag::Tensor t = ag::ones({10, 200}, ag::float64);
  ag::Generator g(3);
  init::sparse_(t, 0.25, 2, g);
  const auto zeros = ag::sum((t == 0).to(ag::int64), 0).to_vector<std::int64_t>();
  CHECK(std::all_of(zeros.begin(), zeros.end(), [](auto n) { return n == 3; }));
  const auto per_row = ag::sum((t == 0).to(ag::int64), 1).to_vector<std::int64_t>();
  CHECK(std::all_of(per_row.begin(), per_row.end(), [](auto n) { return n > 30 && n < 90; }));
  CHECK(std::sqrt(ag::mean(ag::square(t)).item() / 0.7) == Catch::Approx(2).epsilon(0.1));
}

TEST_CASE("patterns refuse what they do not fit") {
  CHECK_THROWS_WITH(init::eye_(ag::ones({2})), "eye_: needs a tensor of 2 axes, got shape (2,)");
  CHECK_THROWS_WITH(init::dirac_(ag::ones({2, 2})),
                    "dirac_: needs a tensor of 3, 4 or 5 axes, got shape (2, 2)");
  CHECK_THROWS_WITH(init::dirac_(ag::ones({3, 2, 2}), 2),
                    "dirac_: groups must divide the 3 outputs, got 2");
  CHECK_THROWS_WITH(init::sparse_(ag::ones({2, 2}), 2),
                    "sparse_: sparsity must be in [0, 1], got 2");
  CHECK_THROWS_WITH(init::sparse_(ag::ones({2, 2}, ag::int64), 0.5),
                    "sparse_: needs float32 or float64, got int64");
}
