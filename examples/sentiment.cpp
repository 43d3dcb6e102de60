// Praise or blame? Sentences read by convolutions, by a GRU and by a transformer, with word vectors
// that start at random and such as were trained beforehand, on these sentences.
// usage: sentiment [POSITIVE.txt NEGATIVE.txt]   one sentence a line; by default product reviews
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

constexpr std::int64_t kLength = 32, kWidth = 64;

// Convolutions over 3, 4 and 5 words, the strongest answer of each (Kim 2014).
struct TextCNN : nn::Module {
  std::vector<nn::Conv1d> convs{nn::Conv1d(kWidth, 32, 3), nn::Conv1d(kWidth, 32, 4),
                                nn::Conv1d(kWidth, 32, 5)};
  NN_MODULE(convs)
  Tensor forward(const Tensor& x, const Tensor&) const {
    ag::TensorList parts;
    for (const auto& conv : convs) parts.push_back(ag::max(conv(ag::transpose(x)), 2));
    return ag::relu(ag::concat(parts, 1));
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
      nn::TransformerEncoderLayer(kWidth, 4, {.dim_feedforward = 96, .batch_first = true}), 1};
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

using Sets = std::array<data::TensorDataset, 2>;
template <class Body>
double train(const Sets& sets, const data::Vocabulary& vocabulary,
             const data::WordVectors* vectors) {
  ag::manual_seed(1);
  Sentiment<Body> model(vocabulary.size());
  if (vectors) vectors->copy_to(model.embedding.weight, vocabulary);
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 2e-3, .weight_decay = 1e-2});
  data::DataLoader loader(sets[0], {.batch_size = 50, .shuffle = true, .seed = 1});
  for (int epoch = 0; epoch < 4; ++epoch)
    for (const auto& [x, y] : loader) {
      optimizer.zero_grad();
      nn::binary_cross_entropy_with_logits(model(x), y).backward();
      optimizer.step();
    }
  const Tensor right = (nn::predict(model, sets[1].x) > 0.0) == (sets[1].y > 0.5);
  return ag::mean(right.to(ag::float32)).item();
}

int main(int argc, char** argv) try {
  const std::string folder = XGRAD_EXAMPLES "/reviews/";
  std::vector<std::string> lines = data::read_lines(argc > 2 ? argv[1] : folder + "positive.txt");
  const auto positive = std::int64_t(lines.size());
  for (auto& s : data::read_lines(argc > 2 ? argv[2] : folder + "negative.txt")) lines.push_back(s);
  const Tensor labels = (ag::arange(std::int64_t(lines.size())) < positive).to(ag::float32);
  const auto words = data::WordTokenizer()(lines);
  const auto vocabulary = data::Vocabulary::build(words, {.min_count = 2});
  const Tensor tokens = data::pad_sequences(vocabulary.encode(words), {.length = kLength});
  const Sets sets = data::split(data::TensorDataset(tokens, labels), {0.85, 0.15}, 1);
  const auto vectors = data::train_word2vec(words, {.dim = kWidth, .min_count = 2, .epochs = 10});
  fmt::print("{} sentences, {} of praise, {} words\n", lines.size(), positive, vocabulary.size());
  const auto show = [&](const char* name, auto trained) {
    fmt::print("{:12} accuracy {:.3f}", name, trained(sets, vocabulary, nullptr));
    fmt::print(", with trained vectors {:.3f}\n", trained(sets, vocabulary, &vectors));
  };
  show("TextCNN", train<TextCNN>);
  show("GRU", train<Recurrent>);
  show("transformer", train<Attention>);
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
