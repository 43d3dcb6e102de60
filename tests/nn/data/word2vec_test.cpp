#include "nn/data/word2vec.hpp"

#include <cmath>
#include <limits>

#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using nn::data::train_word2vec;
using nn::data::Word2VecOptions;

namespace {

// Sentences about animals and about machines, of words that share no sentence.
std::vector<std::vector<std::string>> two_topics() {
  ag::Generator g(3);
  const std::vector<std::vector<std::string>> topics{{"cat", "dog", "horse", "cow", "sheep"},
                                                     {"car", "train", "ship", "truck", "plane"}};
  std::vector<std::vector<std::string>> sentences;
  for (int s = 0; s < 600; ++s) {
    const auto& topic = topics[s % 2];
    std::vector<std::string> sentence;
    for (int i = 0; i < 8; ++i) sentence.push_back(topic[g.below(topic.size())]);
    sentences.push_back(sentence);
  }
  return sentences;
}

Word2VecOptions small(bool cbow) {
  return {.dim = 21, .window = 3, .epochs = 8, .seed = 4, .sample = 0, .lr = 0.05, .cbow = cbow};
}

}  // namespace

// Of two words each pair draws the other one, and a window of 1 leaves nothing to chance.
TEST_CASE("word2vec descends along the gradient of its loss") {
  const std::vector<std::vector<std::string>> sentences{{"a", "b", "a"}, {"b", "a"}};
  const std::int64_t n = 37;
  for (const auto& [cbow, mean] : {std::pair(false, true), {true, true}, {true, false}}) {
    Word2VecOptions options{.dim = n,
                            .window = 1,
                            .min_count = 1,
                            .negative = 16,
                            .epochs = 9,
                            .sample = 0,
                            .lr = 0,
                            .min_lr = 0,
                            .cbow = cbow,
                            .cbow_mean = mean};
    const auto start = train_word2vec(sentences, options);
    options.lr = options.min_lr = 0.4;
    const auto got = train_word2vec(sentences, options);

    Tensor in = start.vectors().to(ag::float64).requires_grad_();
    Tensor out = ag::zeros({2, n}, ag::float64).requires_grad_();
    const auto descend = [&](const Tensor& h, std::int64_t word) {
      const Tensor loss =
          -ag::logsigmoid(ag::sum(out[{word}] * h)) - ag::logsigmoid(-ag::sum(out[{1 - word}] * h));
      loss.backward();
      for (Tensor* t : {&in, &out}) {
        if (t->grad().defined()) *t = (t->detach() - 0.4 * t->grad()).requires_grad_();
      }
    };
    const std::vector<std::vector<std::int64_t>> ids{{0, 1, 0}, {1, 0}};
    for (int epoch = 0; epoch < 9; ++epoch)
      for (const auto& sentence : ids)
        for (std::size_t i = 0; i < sentence.size(); ++i) {
          std::vector<std::int64_t> near;
          if (i > 0) near.push_back(sentence[i - 1]);
          if (i + 1 < sentence.size()) near.push_back(sentence[i + 1]);
          if (cbow) {
            Tensor h = ag::sum(ag::index_select(in, 0, ag::tensor(near)), 0);
            descend(mean ? h / static_cast<double>(near.size()) : h, sentence[i]);
          } else {
            for (const std::int64_t j : near) descend(in[{j}], sentence[i]);
          }
        }
    CHECK(ag::max(ag::abs(in.detach() - start.vectors().to(ag::float64))).item() > 1e-3);
    CHECK(ag::max(ag::abs(in.detach() - got.vectors().to(ag::float64))).item() < 1e-6);
  }
}

TEST_CASE("word2vec brings words of one topic together") {
  for (const auto& [shards, cbow] : {std::pair(1, false), {1, true}, {3, false}, {3, true}}) {
    Word2VecOptions options = small(cbow);
    options.shards = shards;
    const auto vectors = train_word2vec(two_topics(), options);
    CHECK(vectors.size() == 10);
    CHECK(vectors.dim() == 21);
    for (const char* animal : {"cat", "cow"}) {
      double worst = 1;
      for (const auto& [word, similarity] : vectors.nearest(animal, 4)) {
        worst = std::min(worst, similarity);
        CHECK_THAT("cat dog horse cow sheep", ContainsSubstring(word));
      }
      CHECK(worst > vectors.nearest(animal, 5)[4].similarity + 0.3);
    }
  }
}

TEST_CASE("word2vec gives the same vectors for any number of threads, others for another seed") {
  ag::Generator g(6);
  std::vector<std::vector<std::string>> sentences(300);
  for (auto& sentence : sentences)  // of enough words for several pieces in a round
    for (int i = 0; i < 12; ++i) sentence.push_back("w" + std::to_string(g.below(400)));
  for (const auto& [shards, cbow] : {std::pair(1, false), {1, true}, {4, false}, {4, true}}) {
    Word2VecOptions options = small(cbow);
    options.epochs = 2;
    options.shards = shards;
    const auto one = train_word2vec(sentences, options);
    ag::set_num_threads(3);
    const auto three = train_word2vec(sentences, options);
    ag::set_num_threads(1);
    CHECK(same_bits(one.vectors(), three.vectors()));
    options.shards = 5 - shards;
    CHECK_FALSE(same_bits(one.vectors(), train_word2vec(sentences, options).vectors()));
    options.seed = 5;
    CHECK_FALSE(same_bits(one.vectors(), train_word2vec(sentences, options).vectors()));
  }
}

TEST_CASE("words of word2vec come by falling count, then as first seen; rare ones are left out") {
  const std::vector<std::vector<std::string>> sentences{
      {"b", "rare", "a", "c"}, {}, {"c", "a", "b", "c"}};
  CHECK(train_word2vec(sentences, {.dim = 2, .min_count = 2}).words() ==
        std::vector<std::string>{"c", "b", "a"});
  CHECK(train_word2vec(sentences, {.dim = 2, .min_count = 1, .sample = 1e-9}).size() == 4);
}

TEST_CASE("word2vec refuses options out of range and texts without words") {
  const std::vector<std::vector<std::string>> sentences{{"a", "b"}};
  CHECK_THROWS_WITH(train_word2vec(sentences),
                    "train_word2vec: at least 2 words must occur 5 times, got 0");
  CHECK_THROWS_WITH(train_word2vec({}), ContainsSubstring("got 0"));
  const auto refused = [&](Word2VecOptions o) {
    o.min_count = o.min_count == 0 ? 0 : 1;
    CHECK_THROWS_AS(train_word2vec(sentences, o), ag::Error);
  };
  refused({.dim = 0}), refused({.window = 0}), refused({.min_count = 0});
  refused({.dim = std::numeric_limits<std::int64_t>::max() / 4});
  refused({.negative = 0}), refused({.negative = 64}), refused({.epochs = 0});
  refused({.sample = -1}), refused({.shards = 0}), refused({.shards = 65}), refused({.lr = 1e-5}),
      refused({.exponent = INFINITY});
}

TEST_CASE("word2vec whose vectors do not stay finite names its learning rate") {
  const std::vector<std::vector<std::string>> sentences(50, {"a", "b", "c", "d"});
  CHECK_THROWS_WITH(train_word2vec(sentences, {.dim = 4, .sample = 0, .lr = 1e30, .min_lr = 1e30}),
                    ContainsSubstring("train_word2vec: vectors must stay finite, got") &&
                        ContainsSubstring("lower lr, which was 1e+30"));
}
