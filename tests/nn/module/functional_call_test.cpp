#include "nn/module/functional_call.hpp"

#include <functional>

#include "autograd/catch2.hpp"
#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/functional.hpp"
#include "autograd/loops.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "autograd/vmap.hpp"
#include "nn/layers/batch_norm.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "nn/losses/losses.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

namespace {

struct Autoencoder : nn::Module {
  nn::Linear encode{3, 2}, decode{3, 2, false};
  NN_MODULE(encode, decode)
  Autoencoder() { decode.weight.tie(encode.weight); }
  ag::Tensor forward(const ag::Tensor& x) const {
    return ag::matmul(ag::tanh(encode(x)), decode.weight);
  }
};

struct Repeated : nn::Module {
  nn::Linear layer{2, 2};
  NN_MODULE(layer)
  ag::Tensor forward(const ag::Tensor& x) const {
    const auto step = [this](const ag::Tensor& t) { return ag::tanh(layer(t)); };
    return ag::checkpoint(step, ag::scan(step, x, {.length = 3}));
  }
};

// Its forward pass is a compiled function, or another one.
struct Outsourced : nn::Module {
  nn::Linear layer{2, 2};
  NN_MODULE(layer)
  std::function<ag::Tensor(const ag::Tensor&)> run;
  ag::Tensor forward(const ag::Tensor& x) const { return run(x); }
};

nn::MLP small_model() {
  nn::MLP model(2, {4}, 1, {.activation = nn::Tanh()});
  model.to(ag::float64);
  return model;
}

ag::TensorList plus(const ag::TensorList& list, double number) {
  ag::TensorList result;
  for (const ag::Tensor& t : list) result.push_back(t.detach() + number);
  return result;
}

}  // namespace

TEST_CASE("a model is called with other parameters, and has its own again") {
  nn::MLP model = small_model();
  const ag::TensorList own = model.parameters(), other = plus(own, 0.5);
  const ag::Tensor x = ag::randn({5, 2}, ag::float64);
  nn::MLP expected = model;
  for (std::size_t i = 0; i < own.size(); ++i) expected.parameters()[i].copy_(other[i]);
  CHECK(ag::allclose(nn::functional_call(model, other, x), expected(x), 0, 0));
  for (std::size_t i = 0; i < own.size(); ++i) CHECK(model.parameters()[i].is(own[i]));
}

TEST_CASE("the parameters are back when a call with others throws") {
  nn::MLP model = small_model();
  const ag::TensorList own = model.parameters();
  CHECK_THROWS_AS(nn::functional_call(model, plus(own, 1), ag::ones({1, 3}, ag::float64)),
                  ag::Error);
  for (std::size_t i = 0; i < own.size(); ++i) CHECK(model.parameters()[i].is(own[i]));
}

TEST_CASE("a loss as a function of a model's weights passes the checks, to second order") {
  nn::MLP model = small_model();
  const ag::Tensor x = ag::randn({5, 2}, ag::float64), y = ag::randn({5, 1}, ag::float64);
  const auto loss = [&](const ag::TensorList& w) {
    return nn::mse_loss(nn::functional_call(model, w, x), y);
  };
  CHECK_THAT(loss, ag::PassesGradGradCheck(plus(model.parameters(), 0)));
}

TEST_CASE("a step of training is differentiated") {
  nn::MLP model = small_model();
  const ag::Tensor x = ag::randn({5, 2}, ag::float64), y = ag::randn({5, 1}, ag::float64);
  const auto after_a_step = [&](const ag::TensorList& w) {
    const ag::Tensor loss = nn::mse_loss(nn::functional_call(model, w, x), y);
    const ag::TensorList g = ag::grad({loss}, w, {.create_graph = true});
    ag::TensorList next;
    for (std::size_t i = 0; i < w.size(); ++i) next.push_back(w[i] - 0.1 * g[i]);
    return nn::mse_loss(nn::functional_call(model, next, -x), y);
  };
  CHECK_THAT(after_a_step, ag::PassesGradCheck(plus(model.parameters(), 0)));
  after_a_step(model.parameters()).backward();
  CHECK(model.parameters()[0].grad().defined());
}

TEST_CASE("a tied parameter is one tensor of the call, under all of its names") {
  Autoencoder model;
  model.to(ag::float64);
  const ag::Tensor x = ag::randn({4, 3}, ag::float64);
  const auto loss = [&](const ag::TensorList& w) {
    return nn::mse_loss(nn::functional_call(model, w, x), x);
  };
  REQUIRE(model.parameters().size() == 2);
  CHECK_THAT(loss, ag::PassesGradCheck(plus(model.parameters(), 0)));
  CHECK(model.decode.weight.is(model.encode.weight));
}

TEST_CASE("an ensemble of weights is a vmap of a call") {
  nn::MLP model = small_model();
  const ag::Tensor x = ag::randn({5, 2}, ag::float64);
  const ag::TensorList one = plus(model.parameters(), 0.1), two = plus(model.parameters(), -0.2);
  ag::TensorList both;
  for (std::size_t i = 0; i < one.size(); ++i) both.push_back(ag::stack({one[i], two[i]}));
  const ag::Tensor y =
      ag::vmap([&](const ag::TensorList& w) { return nn::functional_call(model, w, x); })(both);
  CHECK(ag::allclose(y[0], nn::functional_call(model, one, x), 1e-12, 1e-12));
  CHECK(ag::allclose(y[1], nn::functional_call(model, two, x), 1e-12, 1e-12));
}

TEST_CASE("a compiled function calls a model with its arguments as weights") {
  nn::MLP model = small_model();
  const ag::Tensor x = ag::randn({5, 2}, ag::float64);
  auto f = ag::compile([&](const ag::TensorList& w) { return nn::functional_call(model, w, x); });
  for (const double number : {0.0, 0.3, -0.7}) {
    const ag::TensorList w = plus(model.parameters(), number);
    CHECK(ag::allclose(f(w), nn::functional_call(model, w, x), 0, 0));
  }
  CHECK(f.recordings() == 1);
}

TEST_CASE("statistics of a batch norm are the model's own in a call with other parameters") {
  nn::Sequential model{nn::Linear(2, 3), nn::BatchNorm1d(3)};
  nn::functional_call(model, plus(model.parameters(), 1), ag::randn({8, 2}));
  CHECK(model.layer<nn::BatchNorm1d>(1).num_batches_tracked.item() == 1);
}

TEST_CASE("checkpoints and loops within a call use the parameters that it was given") {
  Repeated model;
  model.to(ag::float64);
  const ag::Tensor x = ag::randn({1, 2}, ag::float64);
  model.requires_grad_(GENERATE(true, false));
  const auto f = [&](const ag::TensorList& w) { return ag::sum(nn::functional_call(model, w, x)); };
  CHECK_THAT(f, ag::PassesGradGradCheck(plus(model.parameters(), 1)));
  const ag::TensorList w = plus(model.parameters(), 1);
  const auto of_input = [&](const ag::Tensor& t) {
    return ag::sum(nn::functional_call(model, w, t));
  };
  CHECK_THAT(of_input, ag::PassesGradGradCheck({x}));
}

TEST_CASE("a function that was compiled before runs with the parameters that a call was given") {
  Outsourced model;
  auto compiled = ag::compile([&](const ag::Tensor& t) { return model.layer(t); });
  model.run = [&](const ag::Tensor& t) { return compiled(t); };
  const ag::NoGrad off;
  const ag::Tensor x = ag::ones({1, 2}), own = model(x);
  const ag::TensorList w = plus(model.parameters(), 1);
  CHECK(ag::allclose(nn::functional_call(model, w, x), own + 3.0, 1e-5, 1e-5));
  CHECK(ag::allclose(model(x), own, 0, 0));
}

TEST_CASE("a compiled call with other parameters refuses a branch, which could not run again") {
  Outsourced model;
  model.run = [&](const ag::Tensor& t) {
    return ag::cond(
        ag::sum(t) > 0.0, [&](const ag::Tensor& a) { return model.layer(a); },
        [](const ag::Tensor& a) { return a * 2.0; }, t);
  };
  const ag::Tensor x = ag::ones({1, 2});
  const ag::TensorList w = plus(model.parameters(), 1);
  auto f = ag::compile([&](const ag::TensorList& v) { return nn::functional_call(model, v, x); });
  CHECK(ag::allclose(nn::functional_call(model, w, x), model.layer(x) + 3.0, 1e-5, 1e-5));
  CHECK_THROWS_AS(f(w), ag::Error);
}

TEST_CASE("parameters of another number or shape are refused, by the name of the model's") {
  nn::MLP model = small_model();
  const ag::Tensor x = ag::ones({1, 2}, ag::float64);
  ag::TensorList w = plus(model.parameters(), 0);
  CHECK_THROWS_WITH(
      nn::functional_call(model, {w[0]}, x),
      "functional_call: there must be a tensor for each of the 4 parameters of MLP, in "
      "the order of parameters(), got 1");
  w[2] = ag::ones({1, 5}, ag::float64);
  CHECK_THROWS_WITH(
      nn::functional_call(model, w, x),
      "functional_call: a tensor must have the shape of its parameter, got (1, 5) for "
      "2.weight (1, 4)");
  w[2] = {};
  CHECK_THROWS_WITH(nn::functional_call(model, w, x),
                    "functional_call: every tensor must be defined, got an undefined one for "
                    "2.weight");
}
