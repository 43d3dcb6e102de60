#include "nn/training/update_bn.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

nn::Sequential small_net() {
  return nn::Sequential(nn::BatchNorm1d(2, {.momentum = 0.25}), nn::Dropout(0.5), nn::Linear(2, 1));
}
nn::BatchNorm1d& norm_of(nn::Sequential& net) { return dynamic_cast<nn::BatchNorm1d&>(net[0]); }

}  // namespace

TEST_CASE("update_bn makes running statistics the averages over all batches") {
  nn::Sequential net = small_net();
  net(ag::full({3, 2}, 100.0) + ag::rand({3, 2}));
  net[1].eval();
  const Tensor x = ag::tensor({{1.0F, 10.0F}, {3.0F, 30.0F}, {5.0F, 10.0F}, {9.0F, 10.0F}});
  nn::update_bn(nn::data::DataLoader(nn::data::TensorDataset(x, ag::arange(4)), {.batch_size = 2}),
                net);
  const nn::BatchNorm1d& norm = norm_of(net);
  check_close(norm.running_mean, {4.5, 15});  // of (2, 20) and (7, 10)
  check_close(norm.running_var, {5, 100});    // of (2, 200) and (8, 0)
  CHECK(norm.num_batches_tracked.to_vector<std::int64_t>()[0] == 2);
  CHECK(norm.momentum() == 0.25);
  CHECK(net.is_training());
  CHECK_FALSE(net[1].is_training());
}

TEST_CASE("update_bn leaves alone what it has no batches or no layers for") {
  nn::Sequential net = small_net(), plain((nn::Linear(2, 1)));
  net.eval();
  CHECK_THROWS_WITH(nn::update_bn(std::vector<Tensor>(), net),
                    "update_bn: the loader must have a batch, got none");
  CHECK_THROWS_AS(nn::update_bn(std::vector{ag::rand({3, 4})}, net), ag::Error);
  CHECK_FALSE(net.is_training());
  CHECK(norm_of(net).momentum() == 0.25);
  nn::update_bn(std::vector<Tensor>(), plain);
  CHECK_THROWS_WITH(norm_of(net).set_momentum(2),
                    "batch_norm1d: momentum must be in [0, 1], got 2");
}
