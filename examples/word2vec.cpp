// Vectors of words: skip-gram with negative sampling on a text, then nearest words and analogies.
// usage: word2vec [FILE.txt [WORD…]]   one sentence a line; writes vectors.txt in word2vec's format
// Without a file it reads the definitions of WordNet (Debian's wordnet-base), which also tell how good the
// vectors are: words of one synset, such as "car" and "automobile", must be nearer than other words.
#include <autograd/autograd.hpp>
#include <filesystem>
#include <nn/nn.hpp>
#include <sstream>

namespace ag = autograd;
namespace data = nn::data;

using Pairs = std::vector<std::pair<std::string, std::string>>;

// A line of a data file of WordNet: 8 digits, file, type, a number w of words in two hexadecimal digits, w
// times a word and a digit, and more; then "| definition; examples".
void read_wordnet(const std::string& file, std::vector<std::string>& sentences, Pairs& synonyms) {
  for (const std::string& line : data::read_lines(file)) {
    const auto bar = line.find('|');
    if (line.starts_with("  ") || bar == line.npos) continue;
    sentences.push_back(line.substr(bar + 1));
    std::istringstream fields(line.substr(0, bar));
    std::string skip, number, word;
    fields >> skip >> skip >> skip >> number;
    std::vector<std::string> words;
    for (int n = std::stoi(number, nullptr, 16); n > 0 && fields >> word >> skip; --n)
      if (word.find('_') == word.npos) words.push_back(word);
    for (std::size_t i = 1; i < words.size(); ++i) synonyms.emplace_back(words[0], words[i]);
  }
}

// How often the first word of a pair is nearer to the second than to that of another pair: 0.5 by
// chance.
double share_nearer(const data::WordVectors& vectors, Pairs pairs) {
  std::erase_if(pairs, [&](const auto& p) {
    return p.first == p.second || !vectors.contains(p.first) || !vectors.contains(p.second);
  });
  ag::Generator generator(1);
  double right = 0;
  for (const auto& [a, b] : pairs)
    right += vectors.similarity(a, b) >
             vectors.similarity(a, pairs[generator.below(pairs.size())].second);
  return right / double(pairs.size());
}

int main(int argc, char** argv) try {
  std::vector<std::string> lines, words(argv + std::min(argc, 2), argv + argc);
  Pairs synonyms;
  if (argc > 1) {
    lines = data::read_lines(argv[1]);
  } else {
    for (const char* part : {"noun", "verb", "adj", "adv"}) {
      const std::string file = fmt::format("/usr/share/wordnet/data.{}", part);
      if (!std::filesystem::exists(file)) throw ag::Error("name a text, or install wordnet-base");
      read_wordnet(file, lines, synonyms);
    }
    words = {"river", "music", "red"};
  }
  const auto sentences = data::WordTokenizer()(lines);
  std::size_t count = 0;
  for (const auto& s : sentences) count += s.size();
  fmt::print("{} sentences, {} words\n", sentences.size(), count);
  const auto vectors =
      data::train_word2vec(sentences, {.dim = 64, .window = 4, .min_count = 5, .epochs = 4});
  data::save_word_vectors(vectors, "vectors.txt");
  fmt::print("{} vectors of {}\n", vectors.size(), vectors.dim());
  for (const std::string& word : words) {
    fmt::print("{}:", word);
    for (const auto& [near, similarity] : vectors.nearest(word, 6))
      fmt::print(" {} {:.2f}", near, similarity);
    fmt::print("\n");
  }
  if (synonyms.empty()) return 0;
  const double share = share_nearer(vectors, synonyms);
  fmt::print("synonyms are nearer than other words in {:.1f} %\n", 100 * share);
  return share > 0.6 ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
