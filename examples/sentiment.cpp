// Is a sentence praise or blame? Three readers of words (convolutions, a GRU, a transformer), each with
// random word vectors and with vectors trained on the sentences beforehand.
// usage: sentiment [POSITIVE.txt NEGATIVE.txt]   one sentence a line; by default product reviews
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

constexpr std::int64_t kLength = 32, kWidth = 64;

// Convolutions over 3, 4 and 5 words, the strongest answer of each (Kim 2014).
struct TextCNN : nn::Module {
  std::vector<nn::Conv1d> convs;
  TextCNN() {
    for (std::int64_t words : {3, 4, 5}) convs.emplace_back(kWidth, 32, words);
  }
  NN_MODULE(convs)
  Tensor forward(const Tensor& x, const Tensor&) const {
    ag::TensorList parts;
    for (const auto& conv : convs) parts.push_back(ag::max(ag::relu(conv(ag::transpose(x))), 2));
    return ag::concat(parts, 1);
  }
};

struct Recurrent : nn::Module {
  nn::GRU gru{kWidth, 48, {.batch_first = true, .bidirectional = true}};
  NN_MODULE(gru)
  Tensor forward(const Tensor& x, const Tensor& tokens) const {
    const auto [output, h] = gru(x, {.lengths = data::lengths(tokens, 0)});
    return ag::concat({h[0], h[1]}, 1);
  }
};

struct Attention : nn::Module {
  nn::Embedding position{kLength, kWidth};
  nn::TransformerEncoder encoder{
      nn::TransformerEncoderLayer(kWidth, 4,
                                  {.dim_feedforward = 96, .dropout = 0.2, .batch_first = true}),
      1};
  nn::Linear output{kWidth, 96};
  NN_MODULE(position, encoder, output)
  Tensor forward(const Tensor& x, const Tensor& tokens) const {
    const Tensor padding = tokens == 0;
    const Tensor h = encoder(x + position(ag::arange(kLength)), {.src_key_padding_mask = padding});
    return output(ag::max(ag::masked_fill(h, ag::unsqueeze(padding, 2), -1e4), 1));
  }
};

template <class Body>
struct Sentiment : nn::Module {
  nn::Embedding embedding;
  nn::Dropout dropout{0.4};
  Body body;
  nn::Linear head{96, 1};
  explicit Sentiment(std::int64_t words) : embedding(words, kWidth, {.padding_idx = 0}) {}
  NN_MODULE(embedding, dropout, body, head)
  Tensor forward(const Tensor& tokens) const {  // int64 (n, length), 0 is padding -> (n)
    return ag::squeeze(head(dropout(body(dropout(embedding(tokens)), tokens))), -1);
  }
};

template <class Body>
double train(const auto& sets, const data::Vocabulary& vocabulary,
             const data::WordVectors* vectors) {
  ag::manual_seed(1);
  const auto& [training, test] = sets;
  Sentiment<Body> model(vocabulary.size());
  if (vectors) vectors->copy_to(model.embedding.weight, vocabulary);
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 2e-3, .weight_decay = 1e-2});
  data::DataLoader loader(training, {.batch_size = 50, .shuffle = true, .seed = 1});
  for (int epoch = 0; epoch < 4; ++epoch)
    for (const auto& [x, y] : loader) {
      optimizer.zero_grad();
      nn::binary_cross_entropy_with_logits(model(x), y).backward();
      nn::clip_grad_norm_(model.parameters(), 1.0);
      optimizer.step();
    }
  const Tensor right = (nn::predict(model, test.x) > 0.0) == (test.y > 0.5);
  return ag::mean(right.to(ag::float32)).item();
}

int main(int argc, char** argv) try {
  std::vector<std::string> lines =
      data::read_lines(argc > 2 ? argv[1] : XGRAD_EXAMPLES "/reviews/positive.txt");
  const auto positive = std::int64_t(lines.size());
  for (auto& s : data::read_lines(argc > 2 ? argv[2] : XGRAD_EXAMPLES "/reviews/negative.txt"))
    lines.push_back(s);
  const auto n = std::int64_t(lines.size());
  const Tensor labels = (ag::arange(n) < positive).to(ag::float32);
  const auto words = data::WordTokenizer()(lines);
  const auto vocabulary = data::Vocabulary::build(words, {.min_count = 2});
  const Tensor tokens = data::pad_sequences(vocabulary.encode(words), {.length = kLength});
  const auto sets = data::split(data::TensorDataset(tokens, labels), {0.85, 0.15}, 1);
  const auto vectors = data::train_word2vec(words, {.dim = kWidth, .min_count = 2, .epochs = 10});
  const double most = std::max(ag::mean(sets[1].y).item(), 1 - ag::mean(sets[1].y).item());
  fmt::print("{} sentences, {} words; always the same answer: {:.3f}\n", n, vocabulary.size(),
             most);
  double worst = 1;
  const auto show = [&](const char* name, double random, double trained) {
    fmt::print("{:12} accuracy {:.3f}, with vectors trained before {:.3f}\n", name, random,
               trained);
    worst = std::min({worst, random, trained});
  };
  show("TextCNN", train<TextCNN>(sets, vocabulary, nullptr),
       train<TextCNN>(sets, vocabulary, &vectors));
  show("GRU", train<Recurrent>(sets, vocabulary, nullptr),
       train<Recurrent>(sets, vocabulary, &vectors));
  show("transformer", train<Attention>(sets, vocabulary, nullptr),
       train<Attention>(sets, vocabulary, &vectors));
  return worst > most ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
