#include "nn/module/parameter.hpp"

#include <type_traits>

#include "autograd/compile.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/layers/linear.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using nn::Buffer;
using nn::Parameter;

TEST_CASE("A parameter is a leaf that owns a copy of its values") {
  ag::Tensor values = ag::tensor({1.0, 2.0});
  Parameter p(values);
  values.mutable_data<double>()[0] = 9;
  check_close(p, {1, 2});
  CHECK(p.requires_grad());
  CHECK(p.is_leaf());
  // Also of values that a recorded operation made.
  CHECK(Parameter(2 * p).is_leaf());
}

TEST_CASE("Copying a parameter copies its elements, not its gradient") {
  Parameter p(ag::tensor({1.0, 2.0}));
  ag::sum(ag::square(p)).backward();
  Parameter q = p;
  CHECK_FALSE(q.grad().defined());
  CHECK(q.requires_grad());
  q.mutable_data<double>()[0] = 9;
  check_close(p, {1, 2});
  check_close(p.grad(), {2, 4});
}

TEST_CASE("As a tensor a parameter is a handle that shares") {
  Parameter p(ag::tensor({1.0, 2.0}));
  ag::Tensor handle = p;
  CHECK(handle.is(p));
  handle.mutable_data<double>()[0] = 9;
  check_close(p, {9, 2});
}

TEST_CASE("Moving a parameter moves the very tensor") {
  Parameter p(ag::tensor({1.0}));
  const ag::Tensor handle = p;
  const Parameter q = std::move(p);
  CHECK(q.is(handle));
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Parameter>);
}

TEST_CASE("Assigning to a parameter writes into the tensor that is there") {
  Parameter p(ag::tensor({1.0, 2.0})), q(ag::tensor({3.0, 4.0}));
  const ag::Tensor handle = p;
  SECTION("a parameter of its shape") {
    p = q;
    check_close(handle, {3, 4});
    q.mutable_data<double>()[0] = 9;
    check_close(handle, {3, 4});
  }
  SECTION("a parameter of another shape and dtype") {
    p = Parameter(ag::ones({2, 3}));
    CHECK(handle.shape() == ag::Shape(2, 3));
    CHECK(handle.dtype() == ag::float32);
  }
  SECTION("a moved one, which becomes undefined") {
    p = std::move(q);
    check_close(handle, {3, 4});
    CHECK_FALSE(q.defined());  // NOLINT: what is left of a moved parameter is promised
  }
  SECTION("a tensor") {
    p = 10 * handle;
    check_close(handle, {10, 20});
    CHECK(p.is_leaf());
  }
  SECTION("itself") {
    Parameter& same = p;
    p = same;
    check_close(handle, {1, 2});
    p = std::move(same);
    check_close(handle, {1, 2});
  }
  CHECK(handle.is(p));
  CHECK(handle.requires_grad());
}

TEST_CASE("Parameters swap") {
  Parameter p(ag::tensor({1.0})), q(ag::tensor({2.0, 3.0}));
  std::swap(p, q);
  check_close(p, {2, 3});
  check_close(q, {1});
}

TEST_CASE("A frozen parameter stays frozen when copied or given new values") {
  Parameter p(ag::tensor({1.0}));
  p.requires_grad_(false);
  const Parameter copy = p;
  CHECK_FALSE(copy.requires_grad());
  p = ag::tensor({2.0});
  CHECK_FALSE(p.requires_grad());
  p = ag::tensor({2.0, 3.0});
  CHECK_FALSE(p.requires_grad());
  Parameter other(ag::tensor({5.0}));
  other = copy;
  CHECK_FALSE(other.requires_grad());
}

TEST_CASE("An undefined parameter can be copied, assigned and filled") {
  Parameter none, copy = none;
  CHECK_FALSE(copy.defined());
  Parameter p(ag::tensor({1.0}));
  copy = p;
  check_close(copy, {1});
  CHECK(copy.requires_grad());
  CHECK_FALSE(copy.is(p));
  copy = none;
  CHECK_FALSE(copy.defined());
  copy = ag::tensor({4.0});
  CHECK(copy.requires_grad());
}

TEST_CASE("Only floating tensors can be parameters") {
  CHECK_THROWS_WITH(Parameter(ag::arange(3)),
                    "requires_grad_: only float32 and float64 tensors have gradients, got int64");
}

TEST_CASE("A buffer owns values of any dtype and has no gradient") {
  Buffer count(ag::arange(3));
  Buffer copy = count;
  copy.mutable_data<std::int64_t>()[0] = 7;
  CHECK(count.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2});
  Buffer mean(ag::zeros({2}));
  const ag::Tensor handle = mean;
  mean = ag::ones({2}) * Parameter(ag::ones({2}));
  CHECK_FALSE(mean.requires_grad());
  check_close(handle, {1, 1});
}

TEST_CASE("A parameter prints as a tensor") {
  CHECK(fmt::format("{:.1f}", Parameter(ag::tensor({1.0, 2.0}))) == "[1.0, 2.0]");
  CHECK(fmt::format("{}", Buffer(ag::arange(2))) == "[0, 1]");
}

TEST_CASE("a parameter that is updated by an operator stays the tensor that it was") {
  nn::Linear layer(2, 1);
  layer.weight = ag::tensor({{8.0f, -4.0f}});
  const ag::Tensor handle = layer.weight;  // as an optimizer has
  {
    const ag::NoGrad off;
    layer.weight -= ag::tensor({{1.0f, 2.0f}});
    layer.weight += 1.0;
  }
  layer.weight *= 2;
  layer.weight /= 4.0;
  CHECK(layer.weight.is(handle));
  CHECK(layer.weight.is_leaf());
  CHECK(layer.weight.requires_grad());
  CHECK(handle.to_vector<float>() == std::vector<float>{4, -2.5});
}

TEST_CASE("a buffer is counted up by an operator in a compiled function") {
  nn::Buffer count(ag::tensor(0));
  auto step = ag::compile([&](const ag::Tensor& x) { return count += 1, x * 2.0; });
  for (int i = 0; i < 3; ++i) step(ag::ones({2}));
  CHECK(count.item() == 3);
  CHECK(step.recordings() == 1);
}

TEST_CASE("an update that would change the shape of a parameter is refused") {
  nn::Parameter p(ag::ones({2}));
  CHECK_THROWS_WITH(p += ag::ones({3, 2}), "copy_: shapes must be equal, got (3, 2) into (2,)");
}
