#include "nn/layers/batch_norm.hpp"

#include "autograd/autograd.hpp"
#include "nn/io/save.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/convolution.hpp"
#include "nn/layers/linear.hpp"
#include "nn/losses/losses.hpp"
#include "nn/optim/sgd.hpp"
#include "tests/nn/close.hpp"
#include "tests/nn/same_state.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

struct Net : nn::Module {
  nn::Conv1d conv{1, 4, 3};
  nn::BatchNorm1d norm{4};
  nn::InstanceNorm1d each{4, {.affine = true, .track_running_stats = true}};
  nn::Linear head{4, 2};
  NN_MODULE(conv, norm, each, head)
  Tensor forward(const Tensor& x) const {
    return head(ag::mean(each(ag::relu(norm(conv(x)))), -1));
  }
};

}  // namespace

TEST_CASE("BatchNorm normalises by the batch in training and by running statistics otherwise") {
  nn::BatchNorm1d norm(2, {.eps = 0});
  const Tensor x = ag::tensor({{1.0f, 2.0f}, {3.0f, 6.0f}});
  check_close(norm(x), {-1, -1, 1, 1}, 1e-6);
  check_close(norm.running_mean, {0.2, 0.4}, 1e-6);
  check_close(norm.running_var, {0.9 + 0.2, 0.9 + 0.8}, 1e-6);
  CHECK(norm.num_batches_tracked.item() == 1);
  norm.eval();
  norm.running_mean = ag::tensor({1.0f, 2.0f});
  norm.running_var = ag::tensor({4.0f, 16.0f});
  norm.weight = ag::tensor({2.0f, 1.0f});
  norm.bias = ag::tensor({0.5f, 0.0f});
  check_close(norm(x), {0.5, 0, 2.5, 1}, 1e-6);
  CHECK(norm.num_batches_tracked.item() == 1);
}

TEST_CASE("BatchNorm without running statistics uses the batch in evaluation too") {
  nn::BatchNorm2d norm(2, {.track_running_stats = false});
  CHECK(names(norm) == "weight bias ");
  const Tensor x = ag::randn({3, 2, 4, 4});
  const Tensor trained = norm(x);
  norm.eval();
  CHECK(same_bits(trained, norm(x)));
}

TEST_CASE("BatchNorm and InstanceNorm have PyTorch's state dict") {
  CHECK(names(nn::BatchNorm1d(3)) == "weight bias running_mean running_var num_batches_tracked ");
  CHECK(names(nn::BatchNorm3d(3, {.affine = false})) ==
        "running_mean running_var num_batches_tracked ");
  CHECK(names(nn::BatchNorm2d(3, {.bias = false})) ==
        "weight running_mean running_var num_batches_tracked ");
  CHECK(names(nn::InstanceNorm2d(3)).empty());
  CHECK(names(nn::InstanceNorm1d(3, {.affine = true, .track_running_stats = true})) ==
        "weight bias running_mean running_var num_batches_tracked ");
  CHECK(nn::BatchNorm2d(3).parameters().size() == 2);
}

TEST_CASE("BatchNorm and InstanceNorm print as PyTorch's") {
  CHECK(nn::BatchNorm2d(3).str() ==
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, "
        "track_running_stats=True)");
  CHECK(nn::BatchNorm1d(3, {.momentum = std::nullopt, .affine = false}).str() ==
        "BatchNorm1d(3, eps=1e-05, momentum=None, affine=False, bias=False, "
        "track_running_stats=True)");
  CHECK(nn::InstanceNorm3d(3).str() ==
        "InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, "
        "track_running_stats=False)");
}

TEST_CASE("BatchNorm takes what its axes say, and says what it refuses") {
  CHECK(nn::BatchNorm1d(3)(ag::ones({2, 3})).shape() == ag::Shape(2, 3));
  CHECK(nn::BatchNorm1d(3)(ag::ones({2, 3, 4})).shape() == ag::Shape(2, 3, 4));
  CHECK(nn::BatchNorm3d(3)(ag::ones({2, 3, 1, 2, 2})).shape() == ag::Shape(2, 3, 1, 2, 2));
  CHECK(nn::BatchNorm2d(3)(ag::ones({0, 3, 2, 2})).shape() == ag::Shape(0, 3, 2, 2));
  CHECK_THROWS_WITH(
      nn::BatchNorm1d(3)(ag::ones({3})),
      "batch_norm1d: x must be (n, channels, length) or (n, channels), got shape (3,)");
  CHECK_THROWS_WITH(nn::BatchNorm2d(3)(ag::ones({2, 3, 4})),
                    "batch_norm2d: x must be (n, channels, height, width), got shape (2, 3, 4)");
  CHECK_THROWS_WITH(nn::BatchNorm2d(3)(ag::ones({2, 4, 4, 4})),
                    "batch_norm2d: x must have 3 channels, got 4 in shape (2, 4, 4, 4)");
  CHECK_THROWS_WITH(
      nn::BatchNorm1d(3)(ag::ones({1, 3})),
      "batch_norm: training needs more than one value per channel, got x of shape (1, 3)");
  CHECK_THROWS_WITH(nn::BatchNorm2d(0), "batch_norm2d: num_features must be at least 1, got 0");
  CHECK_THROWS_WITH(nn::BatchNorm2d(3, {.eps = -1}),
                    "batch_norm2d: eps must be at least 0, got -1");
  CHECK_THROWS_WITH(nn::BatchNorm2d(3, {.momentum = 1.5}),
                    "batch_norm2d: momentum must be in [0, 1], got 1.5");
  nn::BatchNorm1d evaluated(3);
  evaluated.eval();
  CHECK(evaluated(ag::ones({1, 3})).shape() == ag::Shape(1, 3));
}

TEST_CASE("InstanceNorm takes samples with and without a batch") {
  const nn::InstanceNorm2d norm(3);
  const Tensor x = ag::randn({2, 3, 4, 5});
  const Tensor one = ag::select(x, 0, 1);
  CHECK(same_bits(ag::select(norm(x), 0, 1), norm(one)));
  CHECK(norm(ag::zeros({0, 3, 4, 4})).shape() == ag::Shape(0, 3, 4, 4));
  CHECK_THROWS_WITH(norm(ag::ones({2, 3})),
                    "instance_norm2d: x must be (n, channels, height, width), or without n, got "
                    "shape (2, 3)");
  CHECK_THROWS_WITH(norm(ag::ones({4, 2, 2})),
                    "instance_norm2d: x must have 3 channels, got 4 in shape (4, 2, 2)");
  CHECK_THROWS_WITH(
      nn::InstanceNorm1d(3)(ag::ones({2, 3, 1})),
      "instance_norm: needs more than one value per channel, got x of shape (2, 3, 1)");
}

TEST_CASE("a compiled step trains batch norm to the bits of the eager one, buffers too") {
  ag::manual_seed(3);
  Net eager, compiled = eager;
  const auto trainer = [](Net& net, nn::optim::SGD& optimizer) {
    return [&](const Tensor& x, const Tensor& y) {
      optimizer.zero_grad();
      const Tensor loss = nn::cross_entropy(net(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    };
  };
  nn::optim::SGD one(eager.parameters(), {.lr = 0.1}), other(compiled.parameters(), {.lr = 0.1});
  const auto step = trainer(eager, one);
  auto replay = ag::compile(trainer(compiled, other));
  for (int i = 0; i < 5; ++i) {
    const Tensor x = ag::randn({6, 1, 9}), y = ag::tensor({0, 1, 0, 1, 1, 0});
    CHECK(same_bits(step(x, y), replay(x, y)));
    check_same_state(eager, compiled);
  }
  CHECK(compiled.norm.num_batches_tracked.item() == 5);
  // In evaluation they stay, and a compiled function sees what they are now.
  eager.eval(), compiled.eval();
  const ag::NoGrad off;
  auto answer = ag::compile([&](const Tensor& x) { return compiled(x); });
  const Tensor x = ag::randn({2, 1, 9});
  CHECK(same_bits(eager(x), answer(x)));
  eager.norm.running_mean = ag::ones({4});
  compiled.norm.running_mean = ag::ones({4});
  CHECK(same_bits(eager(x), answer(x)));
  check_same_state(eager, compiled);
}

TEST_CASE("a checkpoint of a model with batch norm updates its buffers once") {
  ag::manual_seed(4);
  Net plain, saving = plain;
  const Tensor x = ag::randn({6, 1, 9});
  check_checkpoint(plain, saving, x);
  CHECK(saving.norm.num_batches_tracked.item() == 1);
}

TEST_CASE("batch norm is copied, saved and loaded with its running statistics") {
  const Scratch scratch;
  Net net;
  (void)net(ag::randn({6, 1, 9}));
  Net copy = net;
  check_same_state(net, copy);
  nn::save(net, scratch / "net.safetensors");
  (void)net(ag::randn({6, 1, 9}));
  CHECK_FALSE(same_bits(net.norm.running_mean, copy.norm.running_mean));
  Net loaded;
  nn::load(loaded, scratch / "net.safetensors");
  check_same_state(loaded, copy);
  loaded.norm.reset_running_stats();
  check_close(loaded.norm.running_var, {1, 1, 1, 1});
  CHECK(loaded.norm.num_batches_tracked.item() == 0);
}

TEST_CASE("batch norm follows its model to float64") {
  Net net;
  net.to(ag::float64);
  CHECK(net(ag::randn({6, 1, 9}, ag::float64)).dtype() == ag::float64);
  CHECK(net.norm.running_var.dtype() == ag::float64);
  CHECK(net.norm.num_batches_tracked.dtype() == ag::int64);
}
