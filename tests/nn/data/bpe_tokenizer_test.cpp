#include "nn/data/tokenizers/bpe_tokenizer.hpp"

#include <algorithm>
#include <cstdint>

#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "nn/data/pad_sequences.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using data::BpeTokenizer;
using Ids = std::vector<std::int64_t>;

namespace {

#include "tests/nn/data/bpe_huggingface.inc"

Ids ids(const ag::Tensor& t) { return t.to_vector<std::int64_t>(); }

BpeTokenizer trained() {
  return BpeTokenizer::train(kLines, {.vocab_size = 300, .special_tokens = {"<end>"}});
}

void same_as_huggingface(const BpeTokenizer& t) {
  for (const auto& [text, expected] : kEncoded) {
    INFO(text);
    CHECK(ids(t.encode(text)) == expected);
    CHECK(t.decode(t.encode(text)) == text);
  }
}

}  // namespace

TEST_CASE("byte pairs are learnt and applied as by Hugging Face's tokenizers") {
  const auto t = trained();
  const auto& tokens = t.tokens();
  REQUIRE(t.size() == 257 + static_cast<std::int64_t>(kTokens.size()));
  CHECK(std::equal(kTokens.begin(), kTokens.end(), tokens.begin() + 257));
  CHECK(t.index("<end>") == 0);
  CHECK(t.index("!") == 1);
  CHECK(t.index("Ġthe") == 259);
  same_as_huggingface(t);
}

TEST_CASE("merges of pairs that come equally often are in the order of their ids") {
  // "ab" and "cd" twice each, "ba" and "dc" once.
  const auto t = BpeTokenizer::train({"cdcd abab"}, {.vocab_size = 258, .min_frequency = 1});
  CHECK(t.tokens()[256] == "ab");
  CHECK(t.tokens()[257] == "cd");
}

TEST_CASE("training depends on the texts alone: not on their order or on threads") {
  auto reversed = kLines;
  std::reverse(reversed.begin(), reversed.end());
  const data::BpeOptions options{.vocab_size = 400, .min_frequency = 1};
  const auto one = BpeTokenizer::train(kLines, options);
  ag::set_num_threads(4);
  const auto four = BpeTokenizer::train(reversed, options);
  ag::set_num_threads(1);
  CHECK(one.tokens() == four.tokens());
  CHECK(one.size() > 300);
}

TEST_CASE("training stops where no pair comes often enough, or there is nothing to learn from") {
  CHECK(BpeTokenizer::train({"ab ab"}, {.min_frequency = 3}).size() == 256);
  CHECK(BpeTokenizer::train({"ab ab"}, {.min_frequency = 2}).size() == 257);
  CHECK(BpeTokenizer::train({"ab ab"}, {.vocab_size = 256}).size() == 256);
  CHECK(BpeTokenizer::train({}).size() == 256);
  CHECK(BpeTokenizer::train({"", "x"}).size() == 256);
}

TEST_CASE("any bytes come back exactly") {
  const auto t = trained();
  ag::Generator g(3);
  for (int n = 0; n < 200; ++n) {
    std::string bytes;
    for (int i = 0; i < n; ++i) bytes += static_cast<char>(g.below(256));
    CHECK(t.decode(t.encode(bytes)) == bytes);
  }
  CHECK(t.encode("").shape() == ag::Shape{0});
  // One word of many bytes takes no longer than its length.
  const std::string word(300'000, 'a');
  CHECK(t.decode(t.encode(word)) == word);
}

TEST_CASE("special tokens are found whole, the longest first, and can be left out again") {
  const auto t =
      BpeTokenizer::train(kLines, {.vocab_size = 300, .special_tokens = {"<end>", "<end>>", "日"}});
  CHECK(ids(t.encode("<end><end>>日<end")).front() == 0);
  CHECK(ids(t.encode("<end>>日")) == Ids{1, 2});
  const ag::Tensor encoded = t.encode("a<end>b日");
  CHECK(t.decode(encoded) == "a<end>b日");
  CHECK(t.decode(encoded, {.skip_special_tokens = true}) == "ab");
}

TEST_CASE("special tokens that text may become are refused") {
  const Scratch dir;
  const auto t = trained();
  t.save(dir / "vocab.json", dir / "merges.txt");
  for (const std::string token : {"a", "é", "Ġ", "Ġthe"}) {
    const std::string message =
        "BpeTokenizer: special tokens must be written otherwise than bytes and merged tokens, got "
        "\"" +
        token + "\"; put it in brackets";
    CHECK_THROWS_WITH(
        BpeTokenizer::train({"the the the the"}, {.vocab_size = 300, .special_tokens = {token}}),
        Equals(message));
    CHECK_THROWS_WITH(BpeTokenizer::load(dir / "vocab.json", dir / "merges.txt", {token}),
                      Equals(message));
  }
}

TEST_CASE("padding with the first special token is told from text") {
  const auto t = BpeTokenizer::train({"wow !!"}, {.vocab_size = 257, .special_tokens = {"<pad>"}});
  const auto rows = data::pad_sequences(t.encode(std::vector<std::string>{"!!", "a !"}));
  CHECK(ids(data::lengths(rows)) == Ids{2, 3});
  CHECK(t.decode(rows, {.skip_special_tokens = true}) == "!!a !");
}

TEST_CASE("a prefix space makes the first word like the others") {
  const auto t = BpeTokenizer::train(kLines, {.vocab_size = 300, .add_prefix_space = true});
  CHECK(ids(t.encode("the cat")) == ids(t.encode(" the cat")));
  CHECK(t.decode(t.encode("the cat")) == " the cat");
  CHECK(t.encode("").numel() == 0);
}

TEST_CASE("several texts give a tensor each, and ids of any shape are decoded") {
  const auto t = trained();
  const auto all = t.encode(std::vector<std::string>{"the cat", "", "on"});
  REQUIRE(all.size() == 3);
  CHECK(ids(all[0]) == ids(t.encode("the cat")));
  CHECK(all[1].dtype() == ag::int64);
  CHECK(all[1].shape() == ag::Shape{0});
  const std::int64_t the = t.index("Ġthe");
  ag::Tensor square = ag::full({2, 2}, static_cast<double>(the), ag::int64);
  CHECK(t.decode(square) == " the the the the");
  CHECK(t.contains("Ġthe"));
  CHECK_FALSE(t.contains(" the"));
}

TEST_CASE("a tokenizer is written and read in both forms of files") {
  const Scratch dir;
  const auto t = trained();
  t.save(dir / "tokenizer.json");
  same_as_huggingface(BpeTokenizer::load(dir / "tokenizer.json"));
  t.save(dir / "vocab.json", dir / "merges.txt");
  const auto pair = BpeTokenizer::load(dir / "vocab.json", dir / "merges.txt", {"<end>"});
  same_as_huggingface(pair);
  CHECK(pair.tokens() == t.tokens());
  CHECK(dir.entries() == 3);
  CHECK_THROWS_WITH(t.save(dir / "q", dir / "./q"),
                    Equals("BpeTokenizer: the vocabulary and the merges must be two files, got " +
                           (dir / "q") + " for both"));
  const auto plain = BpeTokenizer::load(dir / "vocab.json", dir / "merges.txt");
  CHECK(plain.encode("<end>").numel() > 1);
  const auto more = BpeTokenizer::load(dir / "vocab.json", dir / "merges.txt", {"<new>"});
  CHECK(more.index("<new>") == t.size());
  CHECK(ids(more.encode("<new>")) == Ids{t.size()});
  const auto spaced = BpeTokenizer::train(kLines, {.vocab_size = 300, .add_prefix_space = true});
  spaced.save(dir / "spaced.json");
  CHECK(BpeTokenizer::load(dir / "spaced.json").decode(spaced.encode("x")) == " x");
  CHECK(ids(BpeTokenizer::load(dir / "spaced.json").encode("the")) == ids(spaced.encode("the")));
}

TEST_CASE("a tokenizer refuses ids, tokens and options that it has not") {
  const auto t = BpeTokenizer::train({});
  CHECK_THROWS_WITH(t.decode(ag::tensor({256})),
                    Equals("BpeTokenizer: ids must be in [0, 256), got 256"));
  CHECK_THROWS_WITH(t.decode(ag::tensor({-1})),
                    Equals("BpeTokenizer: ids must be in [0, 256), got -1"));
  CHECK_THROWS_WITH(t.decode(ag::tensor({1.0f})),
                    Equals("BpeTokenizer: ids must be int64, got float32"));
  CHECK_THROWS_WITH(t.index("no"),
                    Equals("BpeTokenizer: tokens must be in the vocabulary, got \"no\""));
  CHECK_THROWS_WITH(
      BpeTokenizer::train({}, {.vocab_size = 256, .special_tokens = {"<s>"}}),
      Equals("BpeTokenizer: vocab_size must be in [257, 2147483647], bytes and special "
             "tokens included, got 256"));
  CHECK_THROWS_WITH(BpeTokenizer::train({}, {.special_tokens = {""}}),
                    Equals("BpeTokenizer: special tokens must not be empty, got an empty one"));
  CHECK_THROWS_WITH(BpeTokenizer::train({}, {.special_tokens = {"x", "x"}}),
                    Equals("BpeTokenizer: each special token must come once, got \"x\" twice"));
  CHECK_THROWS_WITH(BpeTokenizer::train({}, {.special_tokens = {"\xFF"}}),
                    Equals("BpeTokenizer: text must be UTF-8, got byte 0xFF at byte 0"));
}
