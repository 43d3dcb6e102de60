// A model of your own: members, one line that names them, a forward(). Then what follows from that
// line: training, printing, saving and loading, copies, freezing, another precision.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

#include <fmt/core.h>

#include <vector>

namespace ag = autograd;

// x + scale · W₂ gelu(W₁ norm(x)), where the scale is a parameter of its own and starts at 0.
struct Block : nn::Module {
  nn::LayerNorm norm;
  nn::Linear up, down;
  nn::Parameter scale = ag::zeros({});
  explicit Block(int width) : norm(width), up(width, 2 * width), down(2 * width, width) {}
  NN_MODULE(scale, norm, up, down)

  ag::Tensor forward(const ag::Tensor& x) const { return x + scale * down(ag::gelu(up(norm(x)))); }
};

struct Curve : nn::Module {
  nn::Buffer mean = ag::zeros({1}), spread = ag::ones({1});  // saved with the model, not trained
  nn::Linear first{1, 32};
  std::vector<Block> blocks;
  nn::Linear last{32, 1};
  NN_MODULE(mean, spread, first, blocks, last)

  explicit Curve(int depth) {
    for (int i = 0; i < depth; ++i) blocks.emplace_back(32);
  }
  ag::Tensor forward(const ag::Tensor& x) const {
    ag::Tensor h = ag::tanh(first((x - mean) / spread));
    for (const Block& block : blocks) h = block(h);
    return last(h);
  }
};

int main() {
  ag::manual_seed(7);
  const ag::Tensor x = 4 * ag::rand({256, 1}) + 10;
  const ag::Tensor y = ag::sin(3 * x) + 0.3 * ag::cos(9 * x);

  Curve model(2);
  model.mean = ag::mean(x, 0);
  model.spread = ag::sqrt(ag::var(x, 0));
  fmt::print("{}\n{} parameters\n", model, model.num_parameters());

  nn::optim::AdamW optimizer(model.parameters(), {.lr = 1e-2});
  nn::optim::CosineAnnealingLR schedule(optimizer, {.T_max = 600});
  for (int step = 0; step < 600; ++step) {
    optimizer.zero_grad();
    const ag::Tensor loss = nn::mse_loss(model(x), y);
    loss.backward();
    optimizer.step();
    schedule.step();
    if (step % 100 == 0) fmt::print("step {:3}  loss {:.5f}\n", step, loss.item());
  }
  const double trained = nn::mse_loss(model(x), y).item();
  fmt::print("trained: loss {:.5f}\n", trained);

  // Names in the file are the names of the members.
  nn::save(model, "custom_model.safetensors");
  Curve again(2);
  nn::load(again, "custom_model.safetensors");
  const bool same = nn::mse_loss(again(x), y).item() == trained;
  fmt::print("reloaded: the same loss: {}\n", same);
  for (const auto& [name, tensor] : again.blocks[1].named_parameters())
    fmt::print("  blocks.1.{} {}\n", name, tensor.shape());

  // A copy has weights of its own; a frozen one does not learn.
  Curve frozen = again;
  frozen.requires_grad_(false);
  fmt::print("frozen copy: {} of {} parameters learn\n", frozen.num_parameters(true),
             frozen.num_parameters());

  // In float64 the whole model can be checked against differences.
  again.to(ag::float64);
  const auto check = ag::gradcheck([&](const ag::Tensor& in) { return again(in); },
                                   {ag::tensor({{10.5}, {12.0}, {13.5}})});
  fmt::print("gradcheck: {}\n", check.report());
  return trained < 0.01 && same && check ? 0 : 1;
}
