#include <cmath>
#include <limits>

#include "autograd/core/random.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/normalization.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor sample() { return ag::tensor({{0.5, -1.25, 2.0}, {0.1, 3.0, -0.7}}); }

// First and second derivatives with respect to the input and to every parameter.
template <class M>
void check_gradients(M model, const Tensor& x) {
  model.to(ag::float64);
  ag::TensorList inputs{x};
  for (const auto& p : model.parameters()) inputs.push_back(p.detach());
  const auto check = ag::gradgradcheck(
      [&](const ag::TensorList& in) -> Tensor {
        // Parameters that are the given tensors, with their place on the tape.
        std::vector<nn::NamedTensor> named = model.named_parameters();
        M copy = model;
        std::size_t i = 1;
        copy.apply([&](nn::Module& m) {
          struct Replace : nn::Visitor {
            const ag::TensorList& in;
            std::size_t& i;
            Replace(const ag::TensorList& list, std::size_t& at) : in(list), i(at) {}
            void parameter(std::string_view, nn::Parameter& p) override {
              static_cast<Tensor&>(p) = in[i++];
            }
          } replace(in, i);
          m.visit_members(replace);
        });
        return copy(in[0]);
      },
      inputs);
  INFO(model.str() << ": " << check.report());
  CHECK(check);
}

}  // namespace

TEST_CASE("Linear multiplies by the transposed weight and adds the bias") {
  nn::Linear layer(3, 2);
  layer.weight = ag::tensor({{1.0f, 2.0f, 3.0f}, {-1.0f, 0.0f, 1.0f}});
  layer.bias = ag::tensor({0.5f, -0.5f});
  const Tensor x = ag::tensor({{1.0f, 1.0f, 1.0f}, {1.0f, 0.0f, 2.0f}});
  check_close(layer(x), {6.5, -0.5, 7.5, 0.5}, 1e-6);
  // Any leading axes: none, several, empty ones.
  check_close(layer(ag::select(x, 0, 1)), {7.5, 0.5}, 1e-6);
  CHECK(layer(ag::zeros({4, 5, 3})).shape() == ag::Shape(4, 5, 2));
  CHECK(layer(ag::zeros({0, 3})).shape() == ag::Shape(0, 2));

  const nn::Linear plain(3, 2, false);
  CHECK_FALSE(plain.bias.defined());
  CHECK(plain.parameters().size() == 1);
  check_close(plain(ag::zeros({1, 3})), {0, 0});
}

TEST_CASE("Linear starts uniform in one over the root of its inputs") {
  ag::manual_seed(3);
  const nn::Linear layer(100, 400);
  for (const Tensor& t : layer.parameters()) {
    CHECK(ag::max(ag::abs(t)).item() <= 0.1);
    CHECK(ag::max(t).item() > 0.098);
    CHECK(ag::min(t).item() < -0.098);
  }
  CHECK(ag::var(layer.weight).item() == Catch::Approx(0.01 / 3).epsilon(0.02));
  nn::Linear again(100, 400);
  ag::manual_seed(3);
  again.reset_parameters();
  CHECK(again.weight.to_vector<float>() == layer.weight.to_vector<float>());
  CHECK(again.bias.to_vector<float>() == layer.bias.to_vector<float>());
}

TEST_CASE("Linear refuses sizes below one and inputs of another size") {
  CHECK_THROWS_WITH(nn::Linear(0, 3),
                    "linear: in_features and out_features must be at least 1, got 0 and 3");
  CHECK_THROWS_WITH(nn::Linear(3, -1),
                    "linear: in_features and out_features must be at least 1, got 3 and -1");
  CHECK_THROWS_WITH(
      nn::Linear(10, 3)(ag::zeros({32, 784})),
      "linear: the last size of x must be the in size of weight (out, in), got (32, 784) "
      "and (3, 10)");
}

TEST_CASE("Activations have PyTorch's values") {
  const Tensor x = sample();
  check_close(nn::ReLU()(x), {0.5, 0, 2, 0.1, 3, 0});
  check_close(nn::GELU()(x), {0.3457312306, -0.1320622171, 1.954499736, 0.05398278373, 2.995950306,
                              -0.1693745566});
  check_close(nn::GELU(nn::GELU::Approximate::tanh)(x),
              {0.3457140098, -0.132285797, 1.954597694, 0.05398275105, 2.996362608, -0.1694298653});
  check_close(nn::ELU(1.5)(x), {0.5, -1.070242805, 2, 0.1, 3, -0.7551220443});
  check_close(nn::LeakyReLU(0.2)(x), {0.5, -0.25, 2, 0.1, 3, -0.14});
  check_close(nn::SiLU()(x),
              {0.3112296656, -0.2783751735, 1.761594156, 0.05249791875, 2.85772238, -0.2322685595});
  check_close(nn::Softplus(2, 3)(x),
              {0.6566308438, 0.03944486715, 2, 0.3990694347, 3, 0.110208705});
  check_close(nn::Tanh()(ag::tensor({0.5})), {std::tanh(0.5)});
  check_close(nn::Sigmoid()(ag::tensor({0.5})), {1 / (1 + std::exp(-0.5))});
  check_close(ag::sum(nn::Softmax(0)(x), 0), {1, 1, 1});
  check_close(ag::sum(ag::exp(nn::LogSoftmax(1)(x)), 1), {1, 1});
}

TEST_CASE("Activations keep float32, 0-d and empty tensors") {
  for (nn::AnyModule layer :
       {nn::AnyModule(nn::ReLU()), nn::AnyModule(nn::GELU(nn::GELU::Approximate::tanh)),
        nn::AnyModule(nn::Softplus(2)), nn::AnyModule(nn::LeakyReLU()), nn::AnyModule(nn::ELU()),
        nn::AnyModule(nn::SiLU())}) {
    INFO(layer.module().str());
    CHECK(layer(ag::ones({2})).dtype() == ag::float32);
    CHECK(layer(ag::ones({}, ag::float64)).shape() == ag::Shape());
    CHECK(layer(ag::ones({0, 3})).shape() == ag::Shape(0, 3));
  }
}

TEST_CASE("Activations have gradients to second order") {
  const Tensor x = sample();
  check_gradients(nn::GELU(nn::GELU::Approximate::tanh), x);
  check_gradients(nn::SiLU(), x);
  check_gradients(nn::Softplus(2, 3), x);
  check_gradients(nn::LeakyReLU(0.2), x);
  check_gradients(nn::ELU(1.5), x);
  check_gradients(nn::Softmax(0), x);
  check_gradients(nn::LogSoftmax(1), x);
}

TEST_CASE("Activations have PyTorch's gradients at the kink and for large values") {
  auto slope = [](const nn::AnyModule& layer, double at) {
    Tensor x = ag::tensor(at).requires_grad_();
    layer(x).backward();
    return x.grad().item();
  };
  CHECK(slope(nn::ReLU(), 0) == 0);
  CHECK(slope(nn::LeakyReLU(0.2), 0) == 0.2);
  CHECK(slope(nn::ELU(1.5), 0) == 1.5);
  CHECK(slope(nn::ELU(), 1000) == 1);
  CHECK(slope(nn::ELU(), kInf) == 1);
  CHECK(slope(nn::ELU(), -1000) == 0);
  CHECK(slope(nn::Softplus(), 1000) == 1);
  CHECK(std::isnan(nn::ELU()(ag::tensor(std::nan(""))).item()));
  CHECK(std::isnan(nn::LeakyReLU()(ag::tensor(std::nan(""))).item()));
  CHECK_THROWS_WITH(nn::Softplus(0), "softplus: beta must not be 0, got 0");
}

TEST_CASE("Dropout zeroes with probability p and keeps the mean") {
  ag::manual_seed(5);
  const nn::Dropout drop(0.25);
  Tensor x = ag::ones({20000}).requires_grad_();
  const Tensor y = drop(x);
  std::int64_t zeros = 0;
  for (float v : y.to_vector<float>()) {
    CHECK((v == 0 || v == Catch::Approx(1 / 0.75)));
    zeros += v == 0;
  }
  CHECK(std::abs(static_cast<double>(zeros) / 20000 - 0.25) < 0.015);
  ag::sum(y).backward();
  CHECK(x.grad().to_vector<float>() == y.to_vector<float>());
  CHECK(drop(x).to_vector<float>() != y.to_vector<float>());
  CHECK(drop(ag::ones({2}, ag::float64)).dtype() == ag::float64);
}

TEST_CASE("Dropout is the identity in evaluation and for p = 0, zeros for p = 1") {
  nn::Dropout drop(0.5);
  const Tensor x = ag::ones({4});
  drop.eval();
  CHECK(drop(x).is(x));
  CHECK(nn::Dropout(0)(x).is(x));
  check_close(nn::Dropout(1)(x), {0, 0, 0, 0});
  CHECK(nn::Dropout(0.5)(ag::ones({0})).shape() == ag::Shape(0));
}

TEST_CASE("Dropout refuses other probabilities and dtypes") {
  CHECK_THROWS_WITH(nn::Dropout(1.5), "dropout: p must be in [0, 1], got 1.5");
  CHECK_THROWS_WITH(nn::Dropout(-0.1), "dropout: p must be in [0, 1], got -0.1");
  CHECK_THROWS_WITH(nn::Dropout(std::nan("")), "dropout: p must be in [0, 1], got nan");
  CHECK_THROWS_WITH(nn::Dropout(0.5)(ag::arange(3)),
                    "dropout: needs float32 or float64, got int64; convert with .to(float32)");
}

TEST_CASE("LayerNorm normalises the last axes, then scales and shifts") {
  nn::LayerNorm norm(3, {.eps = 0});
  norm.to(ag::float64);
  const double r = std::sqrt(1.5);
  check_close(norm(ag::tensor({{1.0, 2.0, 3.0}, {6.0, 4.0, 2.0}})), {-r, 0, r, r, 0, -r});
  norm.weight = ag::tensor({1.0, 2.0, 3.0});
  norm.bias = ag::tensor({0.5, 0.0, 0.0});
  check_close(norm(ag::tensor({1.0, 2.0, 3.0})), {0.5 - r, 0, 3 * r});
  check_gradients(norm, sample());
  check_gradients(nn::LayerNorm({2, 3}), ag::reshape(sample(), {1, 2, 3}));
}

TEST_CASE("LayerNorm can do without bias or without both") {
  const nn::LayerNorm weight_only({2, 3}, {.bias = false});
  CHECK(weight_only.parameters().size() == 1);
  CHECK(weight_only.weight.shape() == ag::Shape(2, 3));
  const nn::LayerNorm plain{4, {.elementwise_affine = false}};
  CHECK(plain.parameters().empty());
  CHECK(plain(ag::zeros({0, 4})).shape() == ag::Shape(0, 4));
  CHECK(nn::LayerNorm{4}.parameters().size() == 2);
}

TEST_CASE("LayerNorm takes its shape in braces or as a number") {
  CHECK(nn::LayerNorm({8}).normalized_shape() == ag::Shape{8});
  CHECK(nn::LayerNorm({8}, {.bias = false}).normalized_shape() == ag::Shape{8});
  CHECK(nn::LayerNorm(8u).normalized_shape() == ag::Shape{8});
  CHECK(nn::LayerNorm({2, 4}).normalized_shape() == ag::Shape{2, 4});
  static_assert(!std::constructible_from<nn::LayerNorm, double>);
}

TEST_CASE("LayerNorm refuses bad shapes") {
  CHECK_THROWS_WITH(nn::LayerNorm(ag::Shape()),
                    "layer_norm: normalized_shape must have sizes of at least 1, got ()");
  CHECK_THROWS_WITH(nn::LayerNorm({3, 0}),
                    "layer_norm: normalized_shape must have sizes of at least 1, got (3, 0)");
  CHECK_THROWS_WITH(nn::LayerNorm(3, {.eps = -1}), "layer_norm: eps must be at least 0, got -1");
  CHECK_THROWS_WITH(nn::LayerNorm(3)(ag::zeros({2, 4})),
                    "layer_norm: the last axes must be (3,), got shape (2, 4)");
}

TEST_CASE("Flatten keeps the batch axis by default") {
  CHECK(nn::Flatten()(ag::zeros({2, 3, 4})).shape() == ag::Shape(2, 12));
  CHECK(nn::Flatten()(ag::zeros({0, 3, 4})).shape() == ag::Shape(0, 12));
  CHECK(nn::Flatten(0, 1)(ag::zeros({2, 3, 4})).shape() == ag::Shape(6, 4));
}

TEST_CASE("Linear and whole models have gradients to second order in inputs and parameters") {
  ag::manual_seed(2);
  check_gradients(nn::Linear(3, 2), sample());
  check_gradients(nn::Linear(3, 2, false), sample());
  check_gradients(nn::MLP(3, {4}, 2, {.activation = nn::Tanh(), .layer_norm = true}), sample());
}
