#include "nn/training/per_sample.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "nn/losses/losses.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {
const auto kLoss = [](const Tensor& out, const Tensor& y) { return nn::cross_entropy(out, y); };
}

TEST_CASE("per_sample_grads has a row per sample, and their mean is the gradient of the batch") {
  ag::manual_seed(2);
  nn::MLP model(3, {5}, 4, {.layer_norm = true});
  model.to(ag::float64);
  const Tensor x = ag::randn({6, 3}, ag::float64), y = ag::randint(0, 4, {6});
  const ag::TensorList each = nn::per_sample_grads(model, kLoss, x, y);
  const auto named = model.named_parameters();
  REQUIRE(each.size() == named.size());
  for (const auto& p : named) CHECK_FALSE(p.tensor.grad().defined());
  kLoss(model(x), y).backward();
  for (std::size_t k = 0; k < each.size(); ++k) {
    INFO(named[k].name);
    ag::Shape shape{6};
    shape.append(named[k].tensor.shape().begin(), named[k].tensor.shape().end());
    REQUIRE(each[k].shape() == shape);
    check_close(ag::mean(each[k], 0), named[k].tensor.grad().to_vector<double>());
  }
  model.zero_grad();
  kLoss(model(ag::narrow(x, 0, 4, 1)), ag::narrow(y, 0, 4, 1)).backward();
  for (std::size_t k = 0; k < each.size(); ++k)
    check_close(ag::select(each[k], 0, 4), named[k].tensor.grad().to_vector<double>());
}

TEST_CASE("per_sample_grads skips what is frozen and refuses what is no batch") {
  nn::Sequential model{nn::Linear(2, 2)};
  const Tensor x = ag::ones({3, 2}), y = ag::zeros({3}, ag::int64);
  model.layer<nn::Linear>(0).bias.requires_grad_(false);
  const auto each = nn::per_sample_grads(model, kLoss, x, y);
  CHECK(each[0].shape() == ag::Shape(3, 2, 2));
  CHECK_FALSE(each[1].defined());
  CHECK(
      nn::per_sample_grads(model, kLoss, ag::zeros({0, 2}), ag::zeros({0}, ag::int64))[0].shape() ==
      ag::Shape(0, 2, 2));
  CHECK_THROWS_WITH(
      nn::per_sample_grads(model, kLoss, x, ag::zeros({2}, ag::int64)),
      "per_sample_grads: x and y must have one batch axis in front, got (3, 2) and (2,)");
  const auto no_loss = [](const Tensor& out, const Tensor&) { return out; };
  CHECK_THROWS_WITH(nn::per_sample_grads(model, no_loss, x, y),
                    "per_sample_grads: the loss of a sample must be one element, got shape (1, 2)");
  model.requires_grad_(false);
  CHECK_THROWS_WITH(
      nn::per_sample_grads(model, kLoss, x, y),
      "per_sample_grads: some parameter must require a gradient, got Sequential without one");
}
