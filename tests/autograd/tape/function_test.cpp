
#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

// Operations of users: what of their results has a gradient.
namespace ag = autograd;
using ag::Context;
using ag::Tensor;
using ag::TensorList;
using V = std::vector<double>;

namespace {

V values(const Tensor& t) { return t.to(ag::float64).to_vector<double>(); }

// Sorted values with their places, and which were negative.
struct Sorted : ag::Function<Sorted> {
  static TensorList forward(Context& ctx, const Tensor& x) {
    const auto [sorted, places] = ag::sort(x);
    ctx.save_for_backward({places});
    return {places, sorted, x < 0.0};
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    CHECK_FALSE(ctx.has_output_grad(0));
    CHECK_FALSE(ctx.has_output_grad(2));
    CHECK_FALSE(ctx.saved()[0].requires_grad());
    return {ag::scatter_add_zeros(grad[1].shape(), 0, ctx.saved()[0], grad[1])};
  }
};

struct Signs : ag::Function<Signs> {
  static Tensor forward(Context&, const Tensor& x) { return ag::sign(x).to(ag::int64); }
  static TensorList backward(Context&, const TensorList& grad) { return {grad[0]}; }
};

struct Doubled : ag::Function<Doubled> {
  static Tensor forward(Context&, const Tensor& x) { return 2 * x; }
  static TensorList backward(Context&, const TensorList& grad) { return {2 * grad[0]}; }
};

// As a parameter of a model is one.
struct Named : Tensor {
  explicit Named(const Tensor& t) : Tensor(t) {}
};

// An operation on the level of the tape that claims a gradient for its integers.
struct Rank {
  std::string_view name() const { return "rank"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), ag::int64}; }
  void forward(const ag::Inputs&, Tensor& out) const {
    std::fill_n(out.mutable_data<std::int64_t>(), out.numel(), 7);
  }
  TensorList backward(const ag::Call& call) const { return {call.grad()}; }
};

}  // namespace

TEST_CASE("only floating results of a Function have a gradient") {
  const Tensor x = ag::tensor({2.0, -1.0, 3.0}).requires_grad_();
  const TensorList out = Sorted::apply(x);
  CHECK_FALSE(out[0].requires_grad());
  CHECK(out[1].requires_grad());
  CHECK_FALSE(out[2].requires_grad());
  CHECK(out[0].is_leaf());
  CHECK(out[2].op_name() == "");
  for (const bool create_graph : {false, true})
    CHECK(values(ag::grad({ag::sum(out[1] * out[1])}, {x},
                          {.retain_graph = true, .create_graph = create_graph})[0]) == V{4, -2, 6});
  CHECK_FALSE(Signs::apply(x).requires_grad());
  CHECK_THROWS_WITH(ag::sum(Signs::apply(x)).backward(),
                    Catch::Matchers::ContainsSubstring("backward"));
}

TEST_CASE("integers of any recorded operation stay off the tape") {
  const Tensor x = ag::tensor({2.0, -1.0}).requires_grad_();
  CHECK_FALSE(ag::apply(Rank{}, x).requires_grad());
  const TensorList out = ag::checkpoint(
      [](const Tensor& t) {
        return TensorList{t * t, t > 0.0, (t * 3).to(ag::int64)};
      },
      x);
  CHECK(out[0].requires_grad());
  CHECK_FALSE(out[1].requires_grad());
  CHECK_FALSE(out[2].requires_grad());
  CHECK(values(ag::grad({ag::sum(out[0])}, {x})[0]) == V{4, -2});
  for (const Tensor& t : {ag::reshape(x, {2, 1}).to(ag::int64), ag::argsort(x), x != x})
    CHECK_FALSE(t.requires_grad());
}

TEST_CASE("what is derived from Tensor is a tensor for operations of users") {
  const Named weight(ag::tensor({1.0, 2.0}).requires_grad_());
  CHECK(values(ag::grad({ag::sum(Doubled::apply(weight))}, {weight})[0]) == V{2, 2});
  const auto cube = ag::elementwise("cube", [](auto x) { return x * x * x; });
  CHECK(values(ag::grad({ag::sum(cube(weight))}, {weight})[0]) == V{3, 12});
  Tensor x = ag::tensor({{1.0, 2.0}, {3.0, 4.0}}).requires_grad_();
  CHECK(values(ag::grad({ag::sum(Doubled::apply(x[1]))}, {x})[0]) == V{0, 0, 2, 2});
}

namespace {

template <int kept>
struct Forgetful : ag::Function<Forgetful<kept>> {
  static constexpr std::string_view kName = "forgetful";
  static Tensor forward(ag::Context& ctx, const Tensor& x) {
    if (kept > 0) ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(ag::Context& ctx, const TensorList& grad) {
    return {2 * grad[0] * ctx.saved()[kept]};
  }
};

}  // namespace

TEST_CASE("a Function that asks for what it has not saved is refused") {
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  CHECK_THROWS_WITH(ag::sum(Forgetful<0>::apply(x)).backward(),
                    "forgetful: backward may ask for what forward has saved, got saved()[0] of 0; "
                    "call save_for_backward() there");
  CHECK_THROWS_WITH(ag::sum(Forgetful<1>::apply(x)).backward(),
                    "forgetful: backward may ask for what forward has saved, got saved()[1] of 1; "
                    "call save_for_backward() there");
}
