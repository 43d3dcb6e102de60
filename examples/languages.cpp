// Which language is this word from? An LSTM that reads it character by character.
// usage: languages [WORD…]   learns from the word lists of Debian in /usr/share/dict; says it of each WORD
// In a batch words are of different lengths: padded at the end, with `lengths` that say where they end.
#include <algorithm>
#include <autograd/autograd.hpp>
#include <filesystem>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

constexpr std::int64_t kWords = 12000;  // of each language

struct Reader : nn::Module {
  nn::Embedding embedding;
  nn::LSTM lstm{24, 96, {.batch_first = true, .bidirectional = true}};
  nn::Dropout dropout{0.2};
  nn::Linear head;
  Reader(std::int64_t characters, std::int64_t languages)
      : embedding(characters, 24, {.padding_idx = 0}), head(2 * 96, languages) {}
  NN_MODULE(embedding, lstm, dropout, head)

  // int64 (n, length), 0 beyond the end of a word -> logits (n, languages)
  Tensor forward(const Tensor& words) const {
    const auto [output, state] = lstm(embedding(words), {.lengths = data::lengths(words, 0)});
    return head(dropout(ag::concat({state.h[0], state.h[1]}, 1)));
  }
};

int main(int argc, char** argv) try {
  ag::manual_seed(1);
  const data::CharacterTokenizer characters({.lower_case = true});
  std::vector<std::string> names, lines;
  std::vector<std::int64_t> labels;
  for (const std::string name : {"american-english", "french", "ngerman", "italian", "spanish"}) {
    const std::string file = "/usr/share/dict/" + name;
    if (!std::filesystem::exists(file)) continue;
    std::vector<std::string> words = data::read_lines(file);
    std::erase_if(words, [](const std::string& w) { return w.size() < 4 || w.ends_with("'s"); });
    const Tensor order = ag::randperm(std::int64_t(words.size()));
    for (std::int64_t i = 0; i < std::min(kWords, order.numel()); ++i) {
      lines.push_back(words[std::size_t(order[i].item<std::int64_t>())]);
      labels.push_back(std::int64_t(names.size()));
    }
    names.push_back(name);
  }
  if (names.size() < 2) throw ag::Error("install word lists, such as wamerican and wfrench");
  const auto words = characters(lines);
  const auto vocabulary = data::Vocabulary::build(words, {.min_count = 20});
  const auto encode = [&](const std::vector<std::vector<std::string>>& w) {
    return data::pad_sequences(vocabulary.encode(w), {.length = 16});
  };
  const auto [train, test] =
      data::split(data::TensorDataset(encode(words), ag::tensor(labels)), {0.9, 0.1}, 1);
  fmt::print("{} words of {} languages, {} characters\n", lines.size(), names.size(),
             vocabulary.size());

  Reader model(vocabulary.size(), std::int64_t(names.size()));
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 4e-3});
  data::DataLoader loader(train,
                          {.batch_size = 128, .shuffle = true, .seed = 1, .drop_last = true});
  nn::optim::OneCycleLR schedule(optimizer, {.max_lr = 8e-3, .total_steps = 3 * loader.size()});
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = nn::cross_entropy(model(x), y);
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    schedule.step();
    return loss;
  });
  double accuracy = 0;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    double loss = 0;
    for (const auto& [x, y] : loader) loss += step(x, y).item() / double(loader.size());
    accuracy = nn::accuracy(nn::predict(model, test.x), test.y);
    fmt::print("epoch {}  loss {:.3f}  accuracy on words never seen {:.4f}\n", epoch, loss,
               accuracy);
  }
  const Tensor confusion = nn::confusion_matrix(nn::predict(model, test.x), test.y);
  fmt::print("{}\n", nn::classification_report(confusion).str(names));
  for (int i = 1; i < argc; ++i) {
    const Tensor p = ag::softmax(nn::predict(model, encode({characters(argv[i])})))[0];
    const auto best = std::size_t(ag::argmax(p).item<std::int64_t>());
    fmt::print("{}: {} ({:.0f} %)\n", argv[i], names[best], 100 * ag::max(p).item());
  }
  return accuracy > 0.75 ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
