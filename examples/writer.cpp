// A small GPT: learns to write from a text, character by character, and writes.
// usage: writer [FILE.txt [STEPS]]   by default the licences that every Debian carries
#include <autograd/autograd.hpp>
#include <cmath>
#include <cstdlib>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

constexpr std::int64_t kContext = 64, kWidth = 96, kBatch = 24;

struct Writer : nn::Module {
  nn::Embedding token, position{kContext, kWidth};
  nn::TransformerEncoder encoder;
  nn::LayerNorm norm{{kWidth}};

  explicit Writer(std::int64_t characters)
      : token(characters, kWidth),
        encoder(nn::TransformerEncoderLayer(kWidth, 4,
                                            {.dim_feedforward = 4 * kWidth,
                                             .dropout = 0.0,
                                             .activation = nn::GELU(),
                                             .batch_first = true,
                                             .norm_first = true}),
                2) {
    nn::init::normal_(token.weight, 0, 0.02);
    nn::init::normal_(position.weight, 0, 0.02);
  }
  NN_MODULE(token, position, encoder, norm)

  // int64 (n, length) -> logits (n, length, characters). With a cache: the tokens after those it has seen.
  Tensor forward(const Tensor& tokens, std::vector<nn::KeyValueCache>* cache = nullptr) const {
    const std::int64_t from = cache && !cache->empty() ? cache->front().length() : 0;
    const Tensor h = token(tokens) + position(ag::arange(from, from + tokens.size(1)));
    const Tensor y = norm(encoder(h, {.is_causal = true, .cache = cache}));
    return ag::linear(y, token.weight);  // the embedding once more
  }
};

std::string licences() {
  std::string text;
  for (const std::string name : {"GFDL-1.3", "GPL-1", "GPL-2", "GPL-3", "LGPL-2.1", "MPL-2.0"})
    text += data::read_text("/usr/share/common-licenses/" + name);
  return text;
}

std::string write(Writer& model, const data::Vocabulary& characters, const std::string& start) {
  model.eval();
  const ag::NoGrad no_grad;
  std::vector<nn::KeyValueCache> cache;  // what is behind is not computed again
  Tensor next = ag::unsqueeze(characters.encode(start), 0);
  std::string text = start;
  while (std::int64_t(text.size()) < kContext) {
    const Tensor logits = model(next, &cache)[{0, -1}];
    next = ag::unsqueeze(ag::multinomial(ag::softmax(logits / 0.7), 1), 0);
    text += characters.decode(next);
  }
  return text;
}

int main(int argc, char** argv) try {
  ag::manual_seed(1);
  const std::string text = argc > 1 ? data::read_text(argv[1]) : licences();
  const auto characters = data::Vocabulary::characters(text);
  const Tensor corpus = characters.encode(text);
  const std::int64_t n = corpus.numel(), cut = n * 9 / 10,
                     steps = argc > 2 ? std::atoi(argv[2]) : 800;
  Writer model(characters.size());
  fmt::print("{} characters of {} kinds, {} weights\n", n, characters.size(),
             model.num_parameters());
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 3e-3});
  nn::optim::OneCycleLR schedule(optimizer, {.max_lr = 4e-3, .total_steps = steps});
  const auto loss_of = [&](const Tensor& x, const Tensor& y) {
    return nn::cross_entropy(ag::flatten(model(x), 0, 1), ag::flatten(y));
  };
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = loss_of(x, y);
    loss.backward();
    optimizer.step();
    schedule.step();
    return loss;
  });
  for (std::int64_t i = 1; i <= steps; ++i) {
    const Tensor at = ag::randint(0, cut - kContext, {kBatch, 1}) + ag::arange(kContext);
    const double loss = step(ag::take(corpus, at), ag::take(corpus, at + 1)).item();
    if (i % 100 == 0) fmt::print("step {}  {:.2f} bits a character\n", i, loss / std::log(2.0));
  }
  const ag::NoGrad no_grad;
  const Tensor at = ag::randint(cut, n - kContext, {200, 1}) + ag::arange(kContext);
  const double bits =
      loss_of(ag::take(corpus, at), ag::take(corpus, at + 1)).item() / std::log(2.0);
  fmt::print("on text never seen {:.2f} bits a character\n{}\n", bits,
             write(model, characters, "The "));
  return bits < std::log2(double(characters.size())) / 2 ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
