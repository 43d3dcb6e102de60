// Checking gradients: what passes, how a wrong gradient is reported, and two mistakes that are
// easily made.
#include <autograd/autograd.hpp>

#include <fmt/core.h>

#include <string>

namespace ag = autograd;

// x |x|, with a backward that is right, wrong by a factor, or right but cut off from the tape.
enum class Backward { right, wrong, cut };
template <Backward kind>
struct SignedSquare : ag::Function<SignedSquare<kind>> {
  static ag::Tensor forward(ag::Context& ctx, const ag::Tensor& x) {
    ctx.save_for_backward({x});
    return x * ag::abs(x);
  }
  static ag::TensorList backward(ag::Context& ctx, const ag::TensorList& grad) {
    const ag::Tensor slope = 2 * ag::abs(ctx.saved()[0]);
    if constexpr (kind == Backward::wrong) return {1.01 * slope * grad[0]};
    if constexpr (kind == Backward::cut) return {slope.detach() * grad[0]};
    return {slope * grad[0]};
  }
};

int main() {
  int surprises = 0;
  auto show = [&](const std::string& what, const ag::GradcheckResult& check, bool expected) {
    fmt::print("{}: {} (compared {}, worst {:.1e})\n  {}\n\n", what, check ? "PASSED" : "CAUGHT",
               check.compared, check.worst, check.report());
    surprises += static_cast<bool>(check) != expected;
  };
  const ag::Tensor x = ag::tensor({-1.5, -0.5, 0.5, 2.0});  // float64: differences need the digits

  show("right", ag::gradgradcheck(SignedSquare<Backward::right>::apply<ag::Tensor>, {x}), true);

  // Wrong by one percent: the report names input, element, analytic and numeric value.
  show("wrong by 1 %", ag::gradcheck(SignedSquare<Backward::wrong>::apply<ag::Tensor>, {x}), false);

  // A backward that leaves the tape has a right first derivative and no second one.
  show("cut, first order", ag::gradcheck(SignedSquare<Backward::cut>::apply<ag::Tensor>, {x}),
       true);
  show("cut, second order", ag::gradgradcheck(SignedSquare<Backward::cut>::apply<ag::Tensor>, {x}),
       false);

  // At a kink a difference quotient has no limit to find: keep clear of it.
  const ag::Tensor kink = ag::tensor({-1.0, 0.0, 1.0});
  show("relu at its kink", ag::gradcheck(ag::relu, {kink}), false);
  show("relu beside it", ag::gradcheck(ag::relu, {kink + 0.5}), true);

  // A function that gives another result each time cannot be checked: dropout in training, for one.
  show("noise",
       ag::gradcheck([](const ag::Tensor& t) { return t * ag::rand({4}, ag::float64); }, {x}),
       false);

  // Several inputs and outputs are checked pair by pair; integers are passed along.
  auto pick = [](const ag::Tensor& a, const ag::Tensor& index) {
    return ag::TensorList{ag::index_select(ag::exp(a), 0, index), ag::logsumexp(a)};
  };
  show("two outputs", ag::gradgradcheck(pick, {x, ag::tensor({0, 3, 3})}), true);

  fmt::print("{}\n", surprises ? "NOT AS EXPECTED" : "all as expected");
  return surprises;
}
