#include "autograd/catch2.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::PassesGradCheck;
using ag::PassesGradGradCheck;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

const Tensor kX = ag::tensor({0.5, -1.5, 2.0});

// x² with a gradient that is wrong by a factor, and one that leaves the tape.
template <bool cut>
struct BadSquare : ag::Function<BadSquare<cut>> {
  static Tensor forward(ag::Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static ag::TensorList backward(ag::Context& ctx, const ag::TensorList& g) {
    if constexpr (cut) return {2 * ctx.saved()[0].detach() * g[0]};
    return {3 * ctx.saved()[0] * g[0]};
  }
};
Tensor wrong(const Tensor& x) { return BadSquare<false>::apply(x); }
Tensor cut(const Tensor& x) { return BadSquare<true>::apply(x); }

}  // namespace

TEST_CASE("the Catch2 matchers take functions and lambdas of several tensors") {
  const auto product = [](const Tensor& a, const Tensor& b) { return ag::sin(a) * b; };
  CHECK_THAT(static_cast<Tensor (*)(const Tensor&)>(ag::tanh), PassesGradCheck({kX}));
  CHECK_THAT(product, PassesGradGradCheck({kX, ag::cos(kX)}));
  const auto list = [](const ag::TensorList& in) { return ag::TensorList{in[0] * in[1], in[0]}; };
  CHECK_THAT(list, PassesGradCheck({kX, kX}));
  CHECK_THAT(product, PassesGradCheck({kX, kX}, {.eps = 1e-5, .atol = 1e-4}));
}

TEST_CASE("the Catch2 matchers refuse wrong gradients with the report of the check") {
  const auto first = PassesGradCheck({kX});
  CHECK_FALSE(first.match(wrong));
  CHECK_THAT(first.toString(), ContainsSubstring("passes gradcheck; report: gradcheck: output 0 at "
                                                 "(0,), input 0 at (0,): analytic 1.5, numeric 1"));
  CHECK_THAT(cut, PassesGradCheck({kX}));
  const auto second = PassesGradGradCheck({kX});
  CHECK_FALSE(second.match(cut));
  CHECK_THAT(second.toString(), ContainsSubstring("report: gradgradcheck: gradient of input 0"));
}
