#include "nn/layers/parametrized.hpp"

#include "autograd/autograd.hpp"
#include "nn/io/save.hpp"
#include "nn/layers/linear.hpp"
#include "nn/optim/sgd.hpp"
#include "tests/nn/close.hpp"
#include "tests/nn/same_state.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

struct Net : nn::Module {
  nn::WeightNorm<nn::Conv1d> conv{nn::Conv1d(1, 3, 2)};
  nn::SpectralNorm<nn::Linear> head{nn::Linear(12, 2)};
  NN_MODULE(conv, head)
  Tensor forward(const Tensor& x) const { return head(ag::flatten(ag::tanh(conv(x)), 1)); }
};

}  // namespace

TEST_CASE("WeightNorm starts as the layer that it is given, and trains length and direction") {
  const nn::Linear plain(3, 2);
  nn::WeightNorm<nn::Linear> normed(plain);
  const Tensor x = ag::randn({4, 3});
  check_close(normed(x), plain(x).detach().to(ag::float64).to_vector<double>(), 1e-6);
  CHECK(names(normed) ==
        "bias parametrizations.weight.original0 parametrizations.weight.original1 ");
  normed.parametrizations.weight.original0 = ag::tensor({{2.0f}, {3.0f}});
  check_close(ag::norm(normed.weight(), 2, {1}), {2, 3}, 1e-6);
  ag::sum(ag::square(normed(x))).backward();
  CHECK(normed.parameters().size() == 3);
  for (const Tensor& p : normed.parameters()) CHECK(p.grad().shape() == p.shape());
  // The direction has no gradient along itself.
  const Tensor& v = normed.parametrizations.weight.original1;
  check_close(ag::sum(v * v.grad(), 1), {0, 0}, 1e-3);
}

TEST_CASE("WeightNorm has one length for all without an axis, and takes layers without bias") {
  nn::WeightNorm<nn::Conv2d> normed(nn::Conv2d(2, 3, 2, {.padding = 1, .bias = false}),
                                    {.dim = std::nullopt});
  CHECK(normed.parametrizations.weight.original0.shape() == ag::Shape());
  CHECK(names(normed) == "parametrizations.weight.original0 parametrizations.weight.original1 ");
  CHECK(normed(ag::ones({1, 2, 4, 4})).shape() == ag::Shape(1, 3, 5, 5));
  CHECK(nn::WeightNorm<nn::Conv2d>(nn::Conv2d(2, 3, 2), {.dim = 1})
            .parametrizations.weight.original0.shape() == ag::Shape(1, 2, 1, 1));
}

TEST_CASE("SpectralNorm divides by the largest singular value") {
  ag::manual_seed(5);
  nn::SpectralNorm<nn::Linear> normed(nn::Linear(6, 4));
  CHECK(names(normed) ==
        "bias parametrizations.weight.original parametrizations.weight.0._u "
        "parametrizations.weight.0._v ");
  for (int i = 0; i < 50; ++i) (void)normed(ag::ones({1, 6}));
  CHECK(ag::max(ag::svdvals(normed.weight())).item() == Catch::Approx(1).epsilon(1e-4));
  normed.eval();
  const Tensor u = normed.parametrizations.weight.vectors._u.clone();
  (void)normed(ag::ones({1, 6}));
  CHECK(same_bits(u, normed.parametrizations.weight.vectors._u));
  // Of transposed convolutions the outputs are the second axis.
  const nn::SpectralNorm<nn::ConvTranspose1d> transposed(nn::ConvTranspose1d(2, 5, 3));
  CHECK(transposed.parametrizations.weight.vectors._u.numel() == 5);
  CHECK(transposed.parametrizations.weight.vectors._v.numel() == 6);
}

TEST_CASE("a compiled step trains parametrised layers to the bits of the eager one") {
  ag::manual_seed(6);
  Net eager, compiled = eager;
  check_same_state(eager, compiled);
  const auto trainer = [](Net& net, nn::optim::SGD& optimizer) {
    return [&](const Tensor& x) {
      optimizer.zero_grad();
      const Tensor loss = ag::mean(ag::square(net(x) - 1));
      loss.backward();
      optimizer.step();
      return loss;
    };
  };
  nn::optim::SGD one(eager.parameters(), {.lr = 0.1}), other(compiled.parameters(), {.lr = 0.1});
  const auto step = trainer(eager, one);
  auto replay = ag::compile(trainer(compiled, other));
  for (int i = 0; i < 5; ++i) {
    const Tensor x = ag::randn({3, 1, 5});
    CHECK(same_bits(step(x), replay(x)));
    check_same_state(eager, compiled);
  }
}

TEST_CASE("a checkpoint of a spectral norm iterates once") {
  ag::manual_seed(7);
  Net plain, saving = plain;
  const Tensor x = ag::randn({3, 1, 5});
  check_checkpoint(plain, saving, x);
}

TEST_CASE("parametrised layers are copied, converted, hooked, saved and loaded") {
  const Scratch scratch;
  Net net;
  nn::save(net, scratch / "net.safetensors");
  Net loaded;
  nn::load(loaded, scratch / "net.safetensors");
  check_same_state(net, loaded);
  net.eval(), loaded.eval();
  const Tensor x = ag::randn({3, 1, 5});
  CHECK(same_bits(net(x), loaded(x)));
  int calls = 0;
  const auto hook = net.conv.register_forward_hook(
      [&](const nn::Module&, const ag::TensorList&, const Tensor&) { ++calls; });
  Net copy = nn::clone(net);
  CHECK(same_bits(net(x), copy(x)));
  CHECK(calls == 1);
  copy.to(ag::float64);
  CHECK(copy(x.to(ag::float64)).dtype() == ag::float64);
  CHECK(net.num_parameters() == 3 + 3 + 6 + 2 + 24);
}

TEST_CASE("parametrised layers refuse in one line, and print their layer") {
  CHECK_THROWS_WITH(nn::WeightNorm<nn::Linear>(nn::Linear(3, 2), {.dim = 2}),
                    "weight_norm: dim must be an axis of the weight (2, 3), got 2");
  CHECK_THROWS_WITH(nn::SpectralNorm<nn::Linear>(nn::Linear(3, 2), {.n_power_iterations = 0}),
                    "spectral_norm: n_power_iterations must be at least 1, got 0");
  const std::string text = nn::SpectralNorm<nn::Linear>(nn::Linear(3, 2)).str();
  INFO(text);
  CHECK(text.find("in_features=3, out_features=2, bias=True") != text.npos);
}

TEST_CASE("parametrised layers print as PyTorch prints them") {
  CHECK(nn::WeightNorm<nn::Linear>(nn::Linear(3, 4)).str() ==
        "ParametrizedLinear(\n"
        "  in_features=3, out_features=4, bias=True\n"
        "  (parametrizations): ModuleDict(\n"
        "    (weight): ParametrizationList(\n"
        "      (0): _WeightNorm()\n"
        "    )\n"
        "  )\n"
        ")");
  CHECK(nn::SpectralNorm<nn::Conv2d>(nn::Conv2d(3, 4, 2)).str() ==
        "ParametrizedConv2d(\n"
        "  3, 4, kernel_size=(2, 2), stride=(1, 1)\n"
        "  (parametrizations): ModuleDict(\n"
        "    (weight): ParametrizationList(\n"
        "      (0): _SpectralNorm()\n"
        "    )\n"
        "  )\n"
        ")");
}
