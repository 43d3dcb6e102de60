#include "autograd/forward.hpp"

#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/functional.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/vmap.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

/// The walk forward. That it is right for each operation is a law of the table.
namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

Tensor numbers(const ag::Shape& shape, std::uint64_t seed = 1) {
  ag::Generator g(seed);
  return ag::randn(shape, ag::float64, g);
}

bool close(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && ag::allclose(a, b, 1e-10, 1e-10);
}

Tensor fifth(const Tensor& x) { return ag::square(ag::square(x)) * x; }
Tensor slope(const Tensor& x) {
  return ag::grad({ag::sum(fifth(x))}, {x}, {.create_graph = true})[0];
}

struct Twice : ag::Function<Twice> {
  static Tensor forward(ag::Context&, const Tensor& x) { return 2 * x; }
  static TensorList backward(ag::Context&, const TensorList& g) { return {2 * g[0]}; }
};

// Two outputs, and the gradient of each input needs that of one of them.
struct Squares : ag::Function<Squares> {
  static TensorList forward(ag::Context& ctx, const Tensor& a, const Tensor& b) {
    ctx.save_for_backward({a, b});
    return {a * a, b * b};
  }
  static TensorList backward(ag::Context& ctx, const TensorList& g) {
    return {2 * g[0] * ctx.saved()[0], 2 * g[1] * ctx.saved()[1]};
  }
};

// Linear in both inputs together.
struct Difference {
  std::string_view name() const { return "difference"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const ag::Inputs& in, Tensor& out) const {
    for (std::int64_t i = 0; i < out.numel(); ++i)
      out.mutable_data<double>()[i] = in[0].data<double>()[i] - in[1].data<double>()[i];
  }
  TensorList backward(const ag::Call& call) const { return {call.grad(), -call.grad()}; }
  static ag::Jacobian jacobian() { return ag::Jacobian::linear; }
};

// A sum whose gradient asks for the total that it may add to.
struct Total {
  std::string_view name() const { return "total"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {{}, in[0].dtype()}; }
  void forward(const ag::Inputs& in, Tensor& out) const {
    out.mutable_data<double>()[0] = ag::sum(in[0].detach()).item();
  }
  TensorList backward(const ag::Call& call) const {
    CHECK(call.running_total(0) == nullptr);
    return {ag::expand(call.grad(), call.input_shape(0))};
  }
  static ag::Jacobian jacobian() { return ag::Jacobian::reducing; }
};

// 2 x by a rule of its own, which counts.
struct Doubled {
  int* calls;
  bool wrong = false;
  std::string_view name() const { return "doubled"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const ag::Inputs& in, Tensor& out) const {
    for (std::int64_t i = 0; i < out.numel(); ++i)
      out.mutable_data<double>()[i] = 2 * in[0].data<double>()[i];
  }
  TensorList backward(const ag::Call& call) const { return {2 * call.grad()}; }
  TensorList jvp(const ag::Call& call) const {
    ++*calls;
    return {wrong ? ag::sum(call.tangent(0)) : 2 * call.tangent(0)};
  }
};

}  // namespace

TEST_CASE("jvp nests in itself, and with gradients inside and outside") {
  const Tensor x = numbers({4}), v = numbers({4}, 2), one = ag::ones({4}, ag::float64);
  ag::TensorFunction f = fifth;
  for (int order = 0; order < 3; ++order)
    f = [f, one](const Tensor& t) { return ag::jvp(f, t, one); };
  CHECK(close(f(x), 60 * x * x));
  const Tensor second = 20 * x * x * x;
  CHECK(close(ag::jvp(slope, x, v), second * v));
  const Tensor leaf = x.clone().requires_grad_(), along = v.clone().requires_grad_();
  const TensorList g = ag::grad({ag::sum(ag::jvp(fifth, leaf, along))}, {leaf, along});
  CHECK(close(g[0], second * v));
  CHECK(close(g[1], 5 * ag::square(ag::square(x))));
  CHECK(close(ag::jacfwd([](const Tensor& t) { return ag::jacfwd(fifth, t); }, x),
              ag::jacfwd([](const Tensor& t) { return ag::jacobian(fifth, t, true); }, x)));
  CHECK(close(ag::jacfwd(slope, x), ag::diag(second)));
}

TEST_CASE("what f captures gets gradients through jvp, outside of NoGrad") {
  const Tensor w = numbers({4}, 3).requires_grad_(), x = numbers({4}), v = numbers({4}, 2);
  const auto f = [&](const Tensor& t) { return ag::sin(w * t); };
  const Tensor y = ag::jvp(f, x, v);
  const Tensor wx = w.detach() * x;
  CHECK(close(ag::grad({ag::sum(y)}, {w})[0], (ag::cos(wx) - wx * ag::sin(wx)) * v));
  CHECK_FALSE(ag::jvp(fifth, x, v).requires_grad());
  const ag::NoGrad off;
  CHECK_FALSE(ag::jvp(f, x, v).requires_grad());
}

TEST_CASE("jvp within vmap, around it, and compiled") {
  const auto f = [](const Tensor& t) { return ag::sin(t) * ag::softmax(ag::cumsum(t, 0), 0); };
  const auto along = [&](const Tensor& x, const Tensor& v) { return ag::jvp(f, x, v); };
  const Tensor x = numbers({3, 4}), v = numbers({3, 4}, 2);
  const Tensor all = ag::vmap(along)(x, v);
  for (std::int64_t i = 0; i < 3; ++i)
    CHECK(close(ag::select(all, 0, i), along(ag::select(x, 0, i), ag::select(v, 0, i))));
  CHECK(close(ag::jvp(ag::vmap(f), x, v), all));
  auto compiled = ag::compile(along);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Tensor xi = ag::select(x, 0, i), vi = ag::select(v, 0, i);
    CHECK(same_bits(compiled(xi, vi), along(xi, vi)));
  }
}

TEST_CASE("jvp walks the graph that f has made, over outputs that are not used and inputs alike") {
  const Tensor x = numbers({6}), v = numbers({6}, 2);
  const auto f = [](const Tensor& t) {
    const TensorList parts = ag::split(t, 2);
    return ag::concat({parts[2] * parts[2], ag::zeros({2}, ag::float64), parts[0]});
  };
  const Tensor y = ag::jvp(f, x, v);
  const auto piece = [](const Tensor& t, std::int64_t i) { return ag::narrow(t, 0, 2 * i, 2); };
  CHECK(close(
      y, ag::concat({2 * piece(x, 2) * piece(v, 2), ag::zeros({2}, ag::float64), piece(v, 0)})));
  CHECK(close(ag::jvp([](const TensorList& in) { return in[0]; }, {x, v}, {v, x}), v));
  CHECK(close(ag::jvp([](const Tensor& t) { return ag::sum(t.detach() * t); }, x, v),
              ag::sum(x * v)));
}

TEST_CASE("what f captures beside its input has no tangent in a linear operation") {
  const Tensor x = numbers({3}), v = numbers({3}, 2), w = numbers({3}, 3).requires_grad_();
  const auto f = [&](const Tensor& t) { return ag::apply(Difference{}, w, t); };
  CHECK(close(f(x), w - x));
  CHECK(close(ag::jvp(f, x, v), -v));
}

TEST_CASE("a gradient that a walk forward calls has no total to add to") {
  const Tensor x = numbers({3}), v = numbers({3}, 2);
  const auto f = [](const Tensor& t) { return ag::apply(Total{}, t * t); };
  CHECK(close(ag::jvp(f, x, v), ag::sum(2 * x * v)));
}

TEST_CASE("an output that does not depend on the input has no tangent") {
  const Tensor x = numbers({3}), v = numbers({3}, 2), w = numbers({3}, 3).requires_grad_();
  const auto f = [&](const Tensor& t) { return ag::stack(Squares::apply(t, w)); };
  CHECK(close(ag::jvp(f, x, v), ag::stack({2 * x * v, ag::zeros_like(x)})));
}

TEST_CASE("an operation's own rule is used, and operations without one are named") {
  int calls = 0;
  const Tensor x = numbers({3}), v = numbers({3}, 2);
  const auto f = [&](const Tensor& t) { return ag::apply(Doubled{&calls}, ag::sin(t)); };
  CHECK(close(ag::jvp(f, x, v), 2 * ag::cos(x) * v));
  CHECK(calls == 1);
  const auto wrong = [&](const Tensor& t) { return ag::apply(Doubled{&calls, true}, t); };
  CHECK_THROWS_WITH(ag::jvp(wrong, x, v),
                    "doubled: jvp must return tangents like its outputs, got () float64 for (3,) "
                    "float64");
  const Tensor leaf = x.clone().requires_grad_();
  CHECK(ag::operations_without_jvp(f(leaf)).empty());
  CHECK(ag::operations_without_jvp(Twice::apply(ag::pinv(ag::unsqueeze(f(leaf), 0)))) ==
        std::vector<std::string>{"Twice", "pinv"});
  CHECK(ag::operations_without_jvp(x).empty());
  CHECK(close(ag::jvp([](const Tensor& t) { return Twice::apply(t); }, x, v), 2 * v));
}

TEST_CASE("elements that share an extreme share its tangent, as they do its gradient") {
  // Many ties, more columns than a tile has, and a row with a NaN.
  Tensor x = ag::reshape(ag::remainder(ag::arange(40 * 300).to(ag::float64), 7), {40, 300});
  x.mutable_data<double>()[3 * 300 + 5] = std::numeric_limits<double>::quiet_NaN();
  for (const ag::Axes& axes : {ag::Axes{0}, ag::Axes{1}, ag::Axes{}})
    for (const auto& extreme : {ag::max, ag::min}) {
      const auto f = [&](const Tensor& t) { return extreme(t, axes, false); };
      const Tensor v = numbers(x.shape(), 2), leaf = x.clone().requires_grad_();
      const Tensor y = f(leaf), u = numbers(y.shape(), 3);
      const Tensor g = ag::grad({y}, {leaf}, {.grad_outputs = {u}})[0];
      CHECK(close(ag::sum(ag::jvp(f, x, v) * u), ag::sum(g * v)));
    }
}

namespace {

// <u, J v> = <Jᵀ u, v> for tangents of some of the inputs, and a tangent that is one step.
void check_tangents(const std::function<Tensor(const TensorList&)>& f, const TensorList& inputs,
                    const std::string& step) {
  TensorList leaves;
  for (const Tensor& x : inputs) leaves.push_back(x.clone().requires_grad_());
  const Tensor y = f(leaves), u = numbers(y.shape(), 99);
  const TensorList g = ag::grad({y}, leaves, {.grad_outputs = {u}});
  for (unsigned chosen = 1; chosen < 1u << inputs.size(); ++chosen) {
    TensorList some, v;
    double backward = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!(chosen >> i & 1)) continue;
      some.push_back(inputs[i]);
      v.push_back(numbers(inputs[i].shape(), i + 7));
      backward += ag::sum(g[i] * v.back()).item();
    }
    const auto of_some = [&](const TensorList& x) {
      TensorList all = inputs;
      for (std::size_t i = 0, k = 0; i < inputs.size(); ++i)
        if (chosen >> i & 1) all[i] = x[k++];
      return f(all);
    };
    CAPTURE(step, chosen);
    const Tensor t = ag::jvp(of_some, some, v);
    CHECK(ag::sum(t * u).item() == Catch::Approx(backward).epsilon(1e-8).margin(1e-8));
    auto compiled = ag::compile([&](const TensorList& x) { return ag::jvp(of_some, x, v); });
    CHECK(same_bits(compiled(some), t));
    CHECK_THAT(compiled.describe(), Catch::Matchers::ContainsSubstring(step + "_tangent"));
  }
}

}  // namespace

TEST_CASE("the tangent of a norm is one step, also of its weight and bias alone") {
  for (const auto& [rows, n] : {std::pair{1, 1}, std::pair{3, 7}, std::pair{5, 300}}) {
    const ag::Shape row{n};
    const TensorList in{3 * numbers({rows, n}) + 5, numbers(row, 2), numbers(row, 3)};
    check_tangents([&](const TensorList& x) { return ag::layer_norm(x[0], row, x[1], x[2]); }, in,
                   "layer_norm");
    check_tangents([&](const TensorList& x) { return ag::layer_norm(x[0], row, {}, x[1]); },
                   {in[0], in[2]}, "layer_norm");
    check_tangents([&](const TensorList& x) { return ag::rms_norm(x[0], row, x[1]); },
                   {in[0], in[1]}, "layer_norm");
    if (n == 1) continue;
    for (const double scale : {1e-200, 1e-8, 1e8, 1e200})  // also where squares leave the range
      CHECK(close(ag::jvp([&](const Tensor& t) { return ag::layer_norm(t, row, {}, {}, 0); },
                          in[0] * scale, numbers({rows, n}, 4) * scale),
                  ag::jvp([&](const Tensor& t) { return ag::layer_norm(t, row, {}, {}, 0); }, in[0],
                          numbers({rows, n}, 4))));
  }
}

TEST_CASE("the tangent of a Cholesky factor is one step, for matrices of any size") {
  for (const std::int64_t n : {1, 2, 16, 17, 31, 50, 101}) {
    const Tensor a = numbers({2, n, n});
    const Tensor definite =
        ag::matmul(a, ag::transpose(a)) / static_cast<double>(n) + ag::eye(n, ag::float64);
    for (const bool upper : {false, true})
      check_tangents([&](const TensorList& x) { return ag::cholesky(x[0], upper); }, {definite},
                     "cholesky");
  }
}

TEST_CASE("the tangents of products, distances and matrix exponentials are one step") {
  Tensor x = numbers({3, 7, 2});
  x.mutable_data<double>()[5] = 0;
  for (const std::int64_t axis : {0, 1, 2}) {
    check_tangents([&](const TensorList& in) { return ag::prod(in[0], axis); }, {x}, "product");
    check_tangents([&](const TensorList& in) { return ag::cumprod(in[0], axis); }, {x}, "product");
  }
  for (const double p : {1.0, 2.0, 2.5, HUGE_VAL})
    check_tangents([&](const TensorList& in) { return ag::cdist(in[0], in[1], p); },
                   {numbers({2, 5, 19}), numbers({2, 4, 19}, 2)}, "cdist");
  for (const double size : {0.1, 3.0})
    check_tangents([](const TensorList& in) { return ag::matrix_exp(in[0]); },
                   {size * numbers({2, 4, 4})}, "matrix_exp");
  // Whose squares leave the range.
  const Tensor far = ag::full({1, 3}, 1e25), none = ag::zeros({1, 3});
  const Tensor t = ag::jvp([&](const Tensor& a) { return ag::cdist(a, none); }, far, far);
  CHECK(t.item() == Catch::Approx(std::sqrt(3.0) * 1e25));
}

TEST_CASE("the tangent of a batch norm is one step, by statistics of the batch and by given ones") {
  const Tensor mean = numbers({4}, 5), var = ag::square(numbers({4}, 6)) + 0.5;
  for (const ag::Shape& shape : {ag::Shape{5, 4}, ag::Shape{3, 4, 9}, ag::Shape{2, 4, 70, 50}}) {
    const TensorList in{3 * numbers(shape) + 2, numbers({4}, 2), numbers({4}, 3)};
    for (const bool training : {false, true})
      check_tangents(
          [&](const TensorList& x) {
            return ag::batch_norm(x[0], mean.clone(), var.clone(), x[1], x[2],
                                  {.training = training});
          },
          in, "batch_norm");
    if (shape.size() < 4) continue;
    check_tangents([](const TensorList& x) { return ag::group_norm(x[0], 2, x[1], x[2]); }, in,
                   "batch_norm");
    check_tangents([](const TensorList& x) { return ag::instance_norm(x[0]); }, {in[0]},
                   "batch_norm");
  }
}

TEST_CASE("the tangent of a recurrent layer is one step, in every form of it") {
  const std::int64_t steps = 5, batch = 3, inputs = 2, hidden = 4;
  const Tensor lengths = ag::tensor({std::int64_t{5}, std::int64_t{2}, std::int64_t{4}});
  const auto check = [&](std::int64_t gates, bool projected, const auto& f) {
    const std::int64_t state = projected ? 3 : hidden;
    const TensorList in{numbers({steps, batch, inputs}),      numbers({batch, state}, 2),
                        numbers({gates * hidden, inputs}, 3), numbers({gates * hidden, state}, 4),
                        numbers({gates * hidden}, 5),         numbers({gates * hidden}, 6)};
    for (const bool reverse : {false, true})
      for (const bool masked : {false, true})
        check_tangents(
            [&](const TensorList& x) {
              const ag::RecurrentWeights w{x[2], x[3], x[4], x[5], {}};
              const auto y = f(x[0], x[1], w, {masked ? lengths : Tensor(), reverse});
              return ag::concat({ag::flatten(y.output), ag::flatten(y.h)});
            },
            in, "recurrent");
  };
  check(1, false, ag::rnn_tanh);
  check(1, false, ag::rnn_relu);
  check(3, false, ag::gru);
  const Tensor x0 = numbers({steps, batch, inputs}), h0 = numbers({batch, 3}, 2),
               input = numbers({4 * hidden, inputs}, 3), recurrent = numbers({4 * hidden, 3}, 4),
               projection = numbers({3, hidden}, 7), c0 = numbers({batch, hidden}, 8);
  for (const bool projected : {false, true})
    check(4, projected,
          [&](const Tensor& x, const Tensor& h, ag::RecurrentWeights w,
              const ag::RecurrentOptions& o) {
            if (projected) w.projection = projection;
            return ag::lstm(x, h, c0, w, o);
          });
  check_tangents(
      [&](const TensorList& x) {
        const auto y = ag::lstm(x0, h0, x[1], {input, recurrent, {}, {}, x[0]}, {lengths});
        return ag::concat({ag::flatten(y.output), ag::flatten(y.h), ag::flatten(y.c)});
      },
      {projection, c0}, "recurrent");
}

TEST_CASE("the tangent of attention is one step, in every form of it") {
  const std::int64_t l = 150, s = 170;  // more than one tile
  const TensorList in{numbers({2, 4, l, 3}), numbers({2, 2, s, 3}, 2), numbers({2, 2, s, 5}, 3)};
  const Tensor added = numbers({2, 1, l, s}, 4), allowed = numbers({1, 1, l, s}, 5) > 0.0;
  const auto with = [](const ag::AttentionOptions& options) {
    return [options](const TensorList& x) {
      ag::AttentionOptions o = options;
      if (x.size() > 3) o.attn_mask = x[3];
      o.enable_gqa = true;
      return ag::scaled_dot_product_attention(x[0], x[1], x[2], o);
    };
  };
  check_tangents(with({}), in, "attention");
  check_tangents(with({.is_causal = true, .causal_offset = -3}), in, "attention");
  check_tangents(with({.attn_mask = allowed}), in, "attention");
  check_tangents(with({.is_causal = true}), {in[0], in[1], in[2], added}, "attention");
  const auto dropped = [&](const TensorList& x) {
    ag::manual_seed(5);
    return with({.dropout_p = 0.3})(x);
  };
  TensorList leaves, v;
  for (const Tensor& x : in) leaves.push_back(x.clone().requires_grad_()), v.push_back(x * x);
  const Tensor y = dropped(leaves), u = numbers(y.shape(), 9);
  const TensorList g = ag::grad({y}, leaves, {.grad_outputs = {u}});
  double backward = 0;
  for (std::size_t i = 0; i < g.size(); ++i) backward += ag::sum(g[i] * v[i]).item();
  CHECK(ag::sum(ag::jvp(dropped, in, v) * u).item() == Catch::Approx(backward).epsilon(1e-8));
}

TEST_CASE("anomaly mode names the operation whose tangent is not finite") {
  const ag::AnomalyMode on;
  const Tensor x = ag::tensor({0.0, 1.0});
  CHECK_THROWS_WITH(
      ag::jvp([](const Tensor& t) { return ag::sqrt(t); }, x, x + 1),
      Catch::Matchers::ContainsSubstring("jvp of sqrt: results must be finite in anomaly mode"));
}

TEST_CASE("a recurrent layer of no sequences has tangents without elements") {
  const Tensor x = ag::zeros({4, 0, 5}, ag::float64), w = numbers({12, 5}), u = numbers({12, 2}),
               projection = numbers({2, 3});
  const auto f = [&](const Tensor& p) { return ag::lstm(x, {}, {}, {w, u, {}, {}, p}).output; };
  CHECK(ag::jvp(f, projection, projection).shape() == ag::Shape{4, 0, 2});
}
