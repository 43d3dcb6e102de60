#include "autograd/ops/reductions/unique.hpp"

#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using Places = std::vector<std::int64_t>;

namespace {

Places places(const Tensor& t) { return t.to_vector<std::int64_t>(); }

}  // namespace

TEST_CASE("unique rows come in ascending order, with their places and counts") {
  const Tensor x = ag::tensor({{3, 1}, {2, 9}, {3, 1}, {2, 4}, {3, 1}});
  const auto u = ag::unique(x, 0);
  CHECK(u.values.shape() == ag::Shape(3, 2));
  CHECK(places(u.values) == Places{2, 4, 2, 9, 3, 1});
  CHECK(places(u.inverse) == Places{2, 1, 2, 0, 2});
  CHECK(places(u.counts) == Places{1, 1, 3});
  CHECK(places(ag::index_select(u.values, 0, u.inverse)) == places(x));
}

TEST_CASE("unique slices are those along the axis, whatever the rank") {
  const Tensor x = ag::stack({ag::ones({2, 3}), ag::zeros({2, 3}), ag::ones({2, 3})}, 1);
  const auto u = ag::unique(x, -2);
  CHECK(u.values.shape() == ag::Shape(2, 2, 3));
  CHECK(places(u.counts) == Places{1, 2});
  CHECK(ag::unique(x, 0).values.shape() == ag::Shape(1, 3, 3));
  CHECK(places(ag::unique(ag::tensor({true, false, true}), 0).counts) == Places{1, 2});
}

TEST_CASE("unique slices: each with NaN is one of its own, the first of equal ones stays") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto u = ag::unique(ag::tensor({{1.0, nan}, {1.0, 2.0}, {1.0, nan}, {1.0, 2.0}}), 0);
  CHECK(places(u.inverse) == Places{1, 0, 2, 0});
  const auto zeros = ag::unique(ag::tensor({{-0.0}, {0.0}}), 0);
  CHECK(std::signbit(zeros.values.item()));
}

TEST_CASE("unique slices of nothing are none, and those without elements one") {
  const auto none = ag::unique(ag::zeros({0, 2}), 0);
  CHECK((none.values.shape() == ag::Shape(0, 2) && none.inverse.shape() == ag::Shape{0} &&
         none.counts.shape() == ag::Shape{0}));
  CHECK(places(ag::unique(ag::zeros({3, 0}), 0).counts) == Places{3});
  CHECK_THROWS_WITH(ag::unique(ag::ones({2, 3}), 2),
                    Catch::Matchers::StartsWith("unique: axis must be in [-2, 1]"));
}
