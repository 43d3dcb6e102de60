#include "nn/layers/norms.hpp"

#include "autograd/autograd.hpp"
#include "tests/nn/close.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

TEST_CASE("GroupNorm normalises groups of channels, with a weight for each channel") {
  nn::GroupNorm norm(2, 4, {.eps = 0});
  norm.weight = ag::tensor({1.0f, 2.0f, 3.0f, 4.0f});
  norm.bias = ag::tensor({0.0f, 0.0f, 0.0f, 1.0f});
  check_close(norm(ag::tensor({{1.0f, 3.0f, 5.0f, 9.0f}})), {-1, 2, -3, 5}, 1e-6);
  CHECK(norm(ag::zeros({0, 4, 3})).shape() == ag::Shape(0, 4, 3));
  CHECK_FALSE(nn::GroupNorm(2, 4, {.bias = false}).bias.defined());
  CHECK(nn::GroupNorm(2, 4, {.affine = false}).parameters().empty());
  CHECK_THROWS_WITH(nn::GroupNorm(3, 4),
                    "group_norm: num_groups must divide num_channels, got 3 and 4");
  CHECK_THROWS_WITH(norm(ag::zeros({2, 6})), "group_norm: x must be (n, 4, …), got shape (2, 6)");
}

TEST_CASE("RMSNorm divides by the root mean square of the last axes") {
  nn::RMSNorm norm(2, {.eps = 0.0});
  norm.weight = ag::tensor({1.0f, 10.0f});
  const double root = std::sqrt(12.5);
  check_close(norm(ag::tensor({3.0f, 4.0f})), {3 / root, 40 / root}, 1e-6);
  CHECK(nn::RMSNorm({3, 4})(ag::ones({2, 3, 4})).shape() == ag::Shape(2, 3, 4));
  // Without an eps, rows of zeros stay zeros.
  check_close(nn::RMSNorm(2)(ag::zeros({2})), {0, 0});
  CHECK_THROWS_WITH(nn::RMSNorm({3, 0}),
                    "rms_norm: normalized_shape must have sizes of at least 1, got (3, 0)");
  CHECK_THROWS_WITH(nn::RMSNorm(4)(ag::ones({2, 3})),
                    "rms_norm: the last axes must be (4,), got shape (2, 3)");
}

TEST_CASE("LocalResponseNorm divides by the responses of neighbouring channels") {
  const nn::LocalResponseNorm norm(2, {.alpha = 2, .beta = 1, .k = 1});
  // The mean over a channel and the one before.
  check_close(norm(ag::reshape(ag::tensor({1.0f, 2.0f, 3.0f}), {1, 3, 1})),
              {1.0 / 2, 2.0 / 6, 3.0 / 14}, 1e-6);
  CHECK_THROWS_WITH(nn::LocalResponseNorm(0),
                    "local_response_norm: size must be at least 1, got 0");
}

TEST_CASE("norms without running statistics print as PyTorch's") {
  CHECK(nn::GroupNorm(3, 6).str() == "GroupNorm(3, 6, eps=1e-05, affine=True, bias=True)");
  CHECK(nn::RMSNorm(6).str() == "RMSNorm((6,), eps=None, elementwise_affine=True)");
  CHECK(nn::RMSNorm({3, 4}, {.eps = 1e-6, .elementwise_affine = false}).str() ==
        "RMSNorm((3, 4), eps=1e-06, elementwise_affine=False)");
  CHECK(nn::LocalResponseNorm(3).str() == "LocalResponseNorm(3, alpha=0.0001, beta=0.75, k=1.0)");
}

TEST_CASE("norms keep float32, replay to the same bits and give gradients to their weights") {
  const nn::GroupNorm group(2, 4);
  const nn::RMSNorm rms(6);
  const nn::LocalResponseNorm response(3);
  const auto all = [&](const Tensor& x) { return response(rms(group(x))); };
  auto replay = ag::compile([&](const Tensor& x) { return all(x).detach(); });
  for (int i = 0; i < 3; ++i) {
    const Tensor x = ag::randn({2, 4, 6});
    CHECK(all(x).dtype() == ag::float32);
    CHECK(same_bits(all(x), replay(x)));
  }
  ag::sum(ag::square(all(ag::randn({2, 4, 6})))).backward();
  for (const Tensor& p : {Tensor(group.weight), Tensor(group.bias), Tensor(rms.weight)})
    CHECK(p.grad().shape() == p.shape());
}
