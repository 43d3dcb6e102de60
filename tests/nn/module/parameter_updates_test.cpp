#include "nn/module/parameter_updates.hpp"

#include "autograd/compile.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

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
