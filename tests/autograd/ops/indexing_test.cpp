#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

// What docs/numerics.md promises of operations that move and pick elements.
namespace ag = autograd;
using namespace ag::indexing;
using ag::Shape;
using ag::Tensor;
using V = std::vector<double>;

namespace {

V values(const Tensor& t) { return t.to(ag::float64).to_vector<double>(); }

std::vector<Shape> shapes(const ag::TensorList& pieces) {
  std::vector<Shape> s;
  for (const Tensor& t : pieces) s.push_back(t.shape());
  return s;
}

}  // namespace

TEST_CASE("elements of every dtype are moved and picked") {
  const Tensor bits = ag::tensor({{1, 0, 1}, {0, 0, 1}});
  const Tensor index = ag::tensor({{2, 0}, {1, 1}}), mask = bits.to(ag::boolean);
  const std::vector<std::function<Tensor(const Tensor&)>> moves{
      [](auto& x) { return ag::flip(x); },
      [](auto& x) { return ag::roll(x, 1); },
      [](auto& x) {
        return ag::pad(x, {1, 2, 1, 0}, ag::PadMode::constant, 1);
      },
      [](auto& x) {
        return ag::pad(x, {2, 1}, ag::PadMode::reflect);
      },
      [](auto& x) {
        return ag::tile(x, {2, 2});
      },
      [](auto& x) { return ag::tril(x); },
      [](auto& x) { return ag::triu(x, 1); },
      [](auto& x) { return ag::diagonal(x); },
      [](auto& x) { return ag::diag_embed(x); },
      [](auto& x) { return ag::unfold(x, 1, 2, 1); },
      [](auto& x) { return ag::transpose(x); },
      [](auto& x) { return ag::split(x, 2, 1)[0]; },
      [](auto& x) {
        return x[{slice(none, none, -1), slice(0, 2), newaxis}];
      },
      [=](auto& x) {
        return x[{all, index}];
      },
      [=](auto& x) { return x[mask]; },
      [=](auto& x) { return ag::gather(x, 1, index); },
      [=](auto& x) { return ag::take(x, index); },
      [=](auto& x) { return ag::scatter(x, 1, index, ag::zeros_like(x)); },
      [=](auto& x) { return ag::masked_fill(x, mask, 0); },
      [=](auto& x) { return ag::index_fill(x, 1, ag::tensor({1}), 1); },
      [](auto& x) { return ag::nonzero(x); }};
  for (const auto& move : moves) {
    const Tensor expected = move(bits);
    for (const ag::DType dtype : {ag::float32, ag::float64, ag::boolean}) {
      const Tensor got = move(bits.to(dtype));
      CHECK(got.shape() == expected.shape());
      CHECK(values(got) == values(expected));
    }
  }
  CHECK(values(ag::scatter_add(bits, 1, index, bits)) == V{1, 0, 2, 0, 0, 1});
}

TEST_CASE("of several elements for one place of a scatter the last stays") {
  const Tensor x = ag::zeros({3}, ag::float64).requires_grad_();
  const Tensor source = ag::tensor({1.0, 2.0, 3.0, 4.0}).requires_grad_();
  const Tensor y = ag::scatter(x, 0, ag::tensor({1, 2, -2, 1}), source);
  CHECK(values(y) == V{0, 4, 2});
  const auto g = ag::grad({ag::sum(y)}, {x, source});
  CHECK(values(g[0]) == V{1, 0, 0});
  CHECK(values(g[1]) == V{0, 1, 0, 1});
}

TEST_CASE("a slice with nothing to move shares storage") {
  const Tensor x = ag::ones({2, 3});
  for (const Tensor& t :
       {x[{all, slice(0, 9)}], x[{newaxis, ellipsis}], x[{ellipsis}], ag::ones({1, 2})[0]})
    CHECK(t.numel() > 0);
  CHECK(x[{newaxis, ellipsis, newaxis}].data<float>() == x.data<float>());
  CHECK(x[{all, slice(0, 9)}].data<float>() == x.data<float>());
  CHECK(x[{slice(none, none, -1)}].data<float>() != x.data<float>());
  CHECK_FALSE(x[{ellipsis}].is(x));
}

TEST_CASE("pieces have PyTorch's sizes") {
  const Tensor x = ag::ones({5, 2});
  CHECK(shapes(ag::split(x, 2)) == std::vector<Shape>{{2, 2}, {2, 2}, {1, 2}});
  CHECK(shapes(ag::split(x, {1, 4})) == std::vector<Shape>{{1, 2}, {4, 2}});
  CHECK(shapes(ag::split(ag::ones({0, 2}), 3)) == std::vector<Shape>{{0, 2}});
  CHECK(shapes(ag::chunk(x, 4)) == std::vector<Shape>{{2, 2}, {2, 2}, {1, 2}});
  CHECK(shapes(ag::chunk(x, 9)).size() == 5);
  CHECK(shapes(ag::chunk(ag::ones({0}), 3)) == std::vector<Shape>{{0}, {0}, {0}});
  CHECK(shapes(ag::unbind(x, 1)) == std::vector<Shape>{{5}, {5}});
  CHECK(ag::unbind(ag::ones({0, 2})).size() == 0);
  CHECK(ag::one_hot(ag::tensor({0, 2})).shape() == Shape(2, 3));
  CHECK(ag::one_hot(ag::tensor({0, 2})).dtype() == ag::int64);
  CHECK(ag::nonzero(ag::tensor(0.0)).shape() == Shape(0, 0));
  CHECK(ag::nonzero(ag::tensor(1.0)).shape() == Shape(1, 0));
  CHECK(ag::unfold(ag::ones({7, 2}), 0, 3, 2).shape() == Shape(3, 2, 3));
}

TEST_CASE("all pieces of a split are one node of the tape") {
  const Tensor x = ag::ones({4}).requires_grad_();
  const auto pieces = ag::split(x, 1);
  CHECK(pieces[0].op_name() == "split");
  const Tensor g = ag::grad({pieces[1] * 3}, {x}, {.grad_outputs = {ag::ones({1})}})[0];
  CHECK(values(g) == V{0, 3, 0, 0});
}

TEST_CASE("negative widths crop, and padding beyond that is all value") {
  const Tensor x = ag::tensor({1.0, 2.0, 3.0});
  CHECK(values(ag::pad(x, {-1, -1})) == V{2});
  CHECK(values(ag::pad(x, {-4, 3}, ag::PadMode::constant, 7)) == V{7, 7});
  CHECK(std::signbit(ag::pad(x, {1, 0}, ag::PadMode::constant, -0.0)[0].item()));
  CHECK(values(ag::pad(x, {2, 2}, ag::PadMode::reflect)) == V{3, 2, 1, 2, 3, 2, 1});
  CHECK(values(ag::pad(x, {2, 1}, ag::PadMode::replicate)) == V{1, 1, 1, 2, 3, 3});
  CHECK(values(ag::pad(x, {3, 1}, ag::PadMode::circular)) == V{1, 2, 3, 1, 2, 3, 1});
}

TEST_CASE("NaN counts as not zero, and stays out of what a mask leaves") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = ag::tensor({0.0, nan, -0.0}).requires_grad_();
  CHECK(values(ag::nonzero(x)) == V{1});
  CHECK(values(ag::masked_fill(x, x != x, 5)) == V{0, 5, 0});
  CHECK(values(ag::triu(ag::full({2, 2}, nan))[{1, 0}]) == V{0});
}
