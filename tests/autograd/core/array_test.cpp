#include "autograd/array.hpp"

#include <complex>
#include <cstdint>
#include <utility>

#include "autograd/ops/ops.hpp"
#include "autograd/xtensor.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Shape;

TEST_CASE("the temporaries of xtensor expressions keep their shape") {
  const xt::xarray<double> a = xt::ones<double>({20, 30});
  const auto sums = xt::eval(xt::sum(a, {1}));
  STATIC_REQUIRE(std::is_same_v<std::decay_t<decltype(sums)>, xt::xarray<double>>);
  CHECK(ag::Tensor(sums).shape() == Shape{20});
  CHECK(ag::Tensor(xt::eval(a + a)).shape() == Shape{20, 30});
  CHECK(ag::Tensor(xt::eval(xt::sum(a, {0, 1}))).shape() == Shape{});
  CHECK(ag::Tensor(xt::sum(a, {0}, xt::evaluation_strategy::immediate)).shape() == Shape{30});
  const xt::xtensor<double, 2> fixed_rank = a;
  CHECK(ag::Tensor(xt::eval(fixed_rank + 1.0)).shape() == Shape{20, 30});
}

TEST_CASE("containers of every element type convert into tensors") {
  CHECK(ag::Tensor(xt::xarray<float>{1.5f}).dtype() == ag::float32);
  CHECK(ag::Tensor(xt::xarray<double>{1.5}).dtype() == ag::float64);
  CHECK(ag::Tensor(xt::xarray<bool>{true, false}).to_vector<bool>() == std::vector{true, false});
  CHECK(ag::Tensor(xt::xarray<int>{-1, 2}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{-1, 2});
  CHECK(ag::Tensor(xt::xarray<std::uint8_t>{200, 255}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{200, 255});
  CHECK(ag::Tensor(xt::xarray<long long>{1LL << 40}).item<std::int64_t>() == 1LL << 40);
  const xt::xarray<std::uint64_t> fits{INT64_MAX};
  CHECK(ag::Tensor(fits).item<std::int64_t>() == INT64_MAX);
  const xt::xarray<std::uint64_t> large{std::uint64_t{1} << 63};
  CHECK_THROWS_AS(ag::tensor({std::uint64_t{1} << 63}), ag::Error);
  CHECK_THROWS_AS(ag::tensor(std::uint64_t{1} << 63), ag::Error);
  CHECK_THROWS_WITH(ag::Tensor(large),
                    "Tensor: unsigned integers must fit in int64, got 9223372036854775808");
}

TEST_CASE("containers of every layout and rank convert in row-major order") {
  const xt::xarray<double> a{{1, 2, 3}, {4, 5, 6}};
  const std::vector<double> rows{1, 2, 3, 4, 5, 6};
  CHECK(ag::Tensor(a).to_vector<double>() == rows);
  const xt::xarray<double, xt::layout_type::column_major> columns = a;
  CHECK(ag::Tensor(columns).to_vector<double>() == rows);
  CHECK(ag::Tensor(columns).shape() == Shape{2, 3});
  CHECK(ag::Tensor(xt::xtensor<double, 2>(a)).to_vector<double>() == rows);
  CHECK(ag::Tensor(xt::xtensor_fixed<double, xt::xshape<2, 3>>(a)).to_vector<double>() == rows);
  CHECK(ag::Tensor(xt::transpose(a)).to_vector<double>() == std::vector<double>{1, 4, 2, 5, 3, 6});
  const ag::Tensor scalar = xt::xarray<double>(7.0);
  CHECK(scalar.shape() == Shape{});
  CHECK(scalar.item<double>() == 7);
  const ag::Tensor none = xt::xarray<double>::from_shape({0, 3});
  CHECK(none.shape() == Shape{0, 3});
}

TEST_CASE("expressions convert by being evaluated") {
  const xt::xarray<double> a{{1, 2, 3}, {4, 5, 6}};
  const ag::Tensor part = xt::view(a, xt::all(), xt::range(1, 3));
  CHECK(part.to_vector<double>() == std::vector<double>{2, 3, 5, 6});
  const ag::Tensor row = a + xt::xarray<double>{10, 20, 30};
  CHECK(row.to_vector<double>() == std::vector<double>{11, 22, 33, 14, 25, 36});
  const ag::Tensor column = a + xt::view(xt::xarray<double>{10, 20}, xt::all(), xt::newaxis());
  CHECK(column.to_vector<double>() == std::vector<double>{11, 12, 13, 24, 25, 26});
  CHECK(ag::Tensor(xt::sum(a)).item<double>() == 21);
  CHECK(ag::Tensor(a > 3.0).to_vector<bool>() ==
        std::vector{false, false, false, true, true, true});
  CHECK(ag::Tensor(xt::arange<int>(3)).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 1, 2});
  CHECK(ag::Tensor(a - xt::amax(a, {0})).to_vector<double>() ==
        std::vector<double>{-3, -3, -3, 0, 0, 0});
}

TEST_CASE("a lazy reduction that xtensor would broadcast wrongly is refused") {
  const xt::xarray<double> a{{1, 2, 3}, {4, 5, 6}};
  CHECK(ag::Tensor(xt::log(xt::sum(a, {1}, xt::keep_dims))).shape() == Shape{2, 1});
  CHECK_THROWS_WITH(
      ag::Tensor(a - xt::amax(a, {1}, xt::keep_dims)),
      "Tensor: xtensor cannot broadcast a lazy reduction with keep_dims, got (2, 1) in "
      "(2, 3); evaluate it first, as in xt::eval(xt::sum(x, {1}, xt::keep_dims))");
  CHECK_THROWS_AS(ag::Tensor(2.0 * (a / xt::mean(a, {0}, xt::keep_dims))), ag::Error);
  const ag::Tensor good = a - xt::eval(xt::amax(a, {1}, xt::keep_dims));
  CHECK(good.to_vector<double>() == std::vector<double>{-2, -1, 0, -2, -1, 0});
}

TEST_CASE("a view out shares the elements and stands in expressions") {
  const ag::Tensor t = ag::tensor({{1.0, 2.0}, {3.0, 4.0}});
  CHECK(t.array<double>().data() == t.data<double>());
  const xt::xarray<double> copy = t.array<double>();
  CHECK(copy(1, 0) == 3);
  CHECK(xt::sum(t.array<double>() * 2.0)() == 20);
  const ag::Tensor sums = xt::eval(xt::sum(xt::exp(t.array<double>()), {1}));
  CHECK(sums.shape() == Shape{2});
  CHECK(ag::tensor(2.5).array<double>()() == 2.5);
  CHECK(ag::zeros({0, 3}).array<float>().size() == 0);
  CHECK(ag::zeros({2, 1, 3}).array<float>().shape(2) == 3);
  CHECK(ag::tensor({true, false}).array<bool>()(0));
}

TEST_CASE("writing through a view changes the tensor and counts as a write") {
  ag::Tensor t = ag::zeros({2, 2});
  const auto version = t.version();
  t.array<float>()(0, 1) = 5.0f;
  CHECK(t.version() == version + 1);
  auto view = t.array<float>();
  view += 1.0f;
  xt::row(view, 1) = xt::xarray<float>{8, 9};
  CHECK(t.to_vector<float>() == std::vector<float>{1, 6, 8, 9});
  const auto now = t.version();
  (void)std::as_const(t).array<float>();
  CHECK(t.version() == now);
}

TEST_CASE("a view of another type than the tensor's is refused") {
  const ag::Tensor t = ag::zeros({2});
  CHECK_THROWS_WITH(
      t.array<double>(),
      "data: the C++ type must be that of the tensor, got float64 for a float32 tensor");
  CHECK_THROWS_AS(ag::Tensor().array<float>(), ag::Error);
}

TEST_CASE("xtensor values mix with tensors in operations") {
  const xt::xarray<double> a{1, 2};
  const ag::Tensor t = ag::tensor({10.0, 20.0});
  CHECK(ag::add(t, a).to_vector<double>() == std::vector<double>{11, 22});
}
