// What is asked of a tensor on the tape that cannot be.
#include "autograd/elementwise/builtins.hpp"
#include "autograd/ops/reductions/reductions.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;

TEST_CASE("a walk wants one cotangent for each output") {
  const Tensor x = ag::ones({2, 3}).requires_grad_(), one = ag::tensor(1.0f);
  CHECK_THROWS_WITH(ag::grad({ag::sum(x)}, {x}, {.grad_outputs = {one, one}}),
                    "grad: needs one cotangent per output, got 2 for 1 outputs");
}

TEST_CASE("only a leaf leaves the tape, and only one element is a number") {
  Tensor y = ag::ones({2, 3}).requires_grad_() * 2;
  CHECK_THROWS_WITH(y.requires_grad_(false),
                    "requires_grad_: only a leaf can leave the tape, got the result of 'mul'; use "
                    "detach()");
  CHECK_THROWS_WITH(y.item(),
                    "item: the tensor must have exactly one element, got shape (2, 3); reduce or "
                    "index it first");
}
