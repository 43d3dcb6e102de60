#include "nn/data/word_vectors.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/data/readers/word_vectors.hpp"
#include "nn/layers/embedding.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using nn::data::load_word_vectors;
using nn::data::save_word_vectors;
using nn::data::WordVectorFormat;
using nn::data::WordVectorOptions;
using nn::data::WordVectors;
using Words = std::vector<std::string>;

namespace {

WordVectors few() {
  return WordVectors({"king", "queen", "man", "woman", "tree"}, ag::tensor({{1.0f, 1.0f, 0.0f},
                                                                            {1.0f, -1.0f, 0.0f},
                                                                            {0.1f, 1.0f, 0.2f},
                                                                            {0.1f, -1.0f, 0.2f},
                                                                            {0.0f, 0.0f, 0.0f}}));
}

WordVectors read(const std::string& bytes, const WordVectorOptions& options = {}) {
  const Scratch scratch;
  write_bytes(scratch / "f", bytes);
  return load_word_vectors(scratch / "f", options);
}
Words words_of(const std::string& bytes, const WordVectorOptions& options = {}) {
  return read(bytes, options).words();
}

// A record of word2vec's binary.
std::string record(const std::string& word, const std::vector<float>& numbers,
                   const char* end = "") {
  return word + ' ' +
         std::string(reinterpret_cast<const char*>(numbers.data()), 4 * numbers.size()) + end;
}

Words names(const std::vector<nn::data::SimilarWord>& list) {
  Words words;
  for (const auto& [word, similarity] : list) words.push_back(word);
  return words;
}

struct Vocabulary {
  Words list;
  const Words& words() const { return list; }
};

}  // namespace

TEST_CASE("words are found with their vectors") {
  const WordVectors v = few();
  CHECK(v.size() == 5);
  CHECK(v.dim() == 3);
  CHECK(v.find("man") == 2);
  CHECK_FALSE(v.contains("men"));
  CHECK(v["queen"].to_vector<float>() == std::vector<float>{1, -1, 0});
  CHECK_THROWS_WITH(v["men"],
                    "WordVectors: the word must be one of the 5 that have a vector, got "
                    "'men'");
  CHECK(v.similarity("king", "queen") == 0);
  CHECK(v.similarity("king", "tree") == 0);
  CHECK(WordVectors().size() == 0);
}

TEST_CASE("the nearest words come by falling cosine, without the word itself") {
  const WordVectors v = few();
  const auto near = v.nearest("king", 2);
  REQUIRE(names(near) == Words{"man", "queen"});
  CHECK(std::abs(near[0].similarity - 1.1 / std::sqrt(2 * 1.05)) < 1e-7);
  CHECK(names(v.nearest("tree", 9)) == Words{"king", "queen", "man", "woman"});  // all 0
  CHECK(names(v.nearest(ag::tensor({1.0, -1.0, 0.0}), 1)) == Words{"queen"});
  CHECK(v.nearest("king", 0).empty());
  CHECK_THROWS_WITH(v.nearest("men"), ContainsSubstring("nearest: the word must be one of"));
  CHECK_THROWS_WITH(v.nearest("king", -1), "nearest: n must be at least 0, got -1");
  CHECK_THROWS_WITH(v.nearest(ag::ones({2})), ContainsSubstring("(3,) of float32 or float64"));
}

TEST_CASE("a cosine is in [-1, 1], also of equal vectors") {
  double largest = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    ag::Generator generator(seed);
    const Tensor x = ag::randn({1, 5}, ag::float32, generator);
    const WordVectors v({"a", "b"}, ag::concat({x, x}, 0));
    largest = std::max({largest, v.similarity("a", "b"), v.nearest("a")[0].similarity});
  }
  CHECK(largest == 1);
}

TEST_CASE("words are nearest to a vector of any length that is finite") {
  const WordVectors v = few();
  const auto near = v.nearest(ag::tensor({1e200, -1e200, 0.0}), 1);
  CHECK(near[0].word == "queen");
  CHECK(std::abs(near[0].similarity - 1) < 1e-6);
  for (const double bad : {double{NAN}, double{INFINITY}})
    CHECK_THROWS_WITH(v.nearest(ag::tensor({1.0, bad, 0.0})),
                      ContainsSubstring("nearest: the vector must be finite, got"));
}

TEST_CASE("analogies go by sums of unit vectors") {
  const WordVectors v = few();
  CHECK(names(v.analogy({"king", "woman"}, {"man"}, 1)) == Words{"queen"});
  CHECK_THROWS_WITH(v.analogy({"king", "boy"}), ContainsSubstring("got 'boy'"));
  CHECK_THROWS_WITH(v.analogy({}), "analogy: there must be words, got none");
}

TEST_CASE("word vectors are copied into an embedding where it has the word") {
  for (const auto dtype : {ag::float32, ag::float64}) {
    nn::Embedding layer(4, 3, {.padding_idx = 0});
    layer.to(dtype);
    const Tensor before = layer.weight.detach().clone();
    const Vocabulary vocabulary{{"<pad>", "queen", "dog", "man"}};
    CHECK(few().copy_to(layer.weight, vocabulary) == 2);
    CHECK(layer.weight.detach()[{1}].to(ag::float64).to_vector<double>() ==
          std::vector<double>{1, -1, 0});
    for (const std::int64_t kept : {0, 2})
      CHECK(same_bits(layer.weight.detach()[{kept}], before[{kept}]));
    CHECK(layer.weight.requires_grad());
  }
  CHECK_THROWS_WITH(few().copy_to(ag::ones({2, 3}), Words{"man"}),
                    "copy_to: the weight must be (1, 3) of float32 or float64, got float32 (2, 3)");
}

TEST_CASE("word vectors refuse what does not fit") {
  CHECK_THROWS_WITH(WordVectors({"a"}, ag::ones({2, 3})),
                    "WordVectors: each word must have a vector, got 1 words and 2 vectors");
  CHECK_THROWS_WITH(WordVectors({"a", "a"}, ag::ones({2, 3})),
                    "WordVectors: words must be unique, got 'a' twice");
  CHECK_THROWS_WITH(WordVectors({"a"}, ag::ones({1, 3}, ag::float64)),
                    ContainsSubstring("must be float32 (n, dim), got float64 (1, 3)"));
  CHECK_THROWS_WITH(WordVectors({"a"}, ag::full({1, 1}, INFINITY)),
                    ContainsSubstring("numbers must be finite"));
}

TEST_CASE("word vectors are read from each format") {
  const std::vector<float> a{0.5f, -1, 2e-3f}, b{1, 2, 3};
  const std::string lines = "a 0.5 -1 2e-3\nb 1 2 3\n";
  for (const std::string& file :
       {lines, "2 3\n" + lines, std::string("2 3 \r\na 0.5 -1 2e-3 \r\nb 1 2 3 \r\n"),
        std::string("a\t0.5 -1 +2e-3\n\nb 1 2 3"), "2 3\n" + record("a", a) + record("b", b),
        "2 3\n" + record("a", a, "\n") + record("b", b, "\n")}) {
    INFO(file);
    const WordVectors v = read(file);
    CHECK(v.words() == Words{"a", "b"});
    CHECK(v["a"].to_vector<float>() == a);
    CHECK(v["b"].to_vector<float>() == b);
  }
}

TEST_CASE("counts in the header of word vectors that lie are refused or read past") {
  const std::string two = "a 1 2\nb 3 4\n";
  CHECK_THROWS_WITH(read("3 2\n" + two),
                    ContainsSubstring("must hold 3 vectors, as it says, got 2; pass check_count"));
  CHECK(words_of("3 2\n" + two, {.check_count = false}) == Words{"a", "b"});
  CHECK(words_of("1 2\n" + two) == Words{"a", "b"});
  CHECK_THROWS_WITH(read("2 3\n" + two),
                    ContainsSubstring(":2: a line must be a word and 3 numbers, got 2 numbers; "
                                      "pass format if the file is binary"));
  const std::string binary = record("a", {1, 0.1f}) + record("b", {3, 4});
  CHECK(words_of("1 2\n" + binary) == Words{"a", "b"});
  CHECK_THROWS_WITH(read("9 2\n" + binary), ContainsSubstring("must hold 9 vectors"));
  CHECK_THROWS_WITH(read("2 2\n" + binary.substr(0, binary.size() - 1)),
                    ContainsSubstring("vector 1 must have 8 bytes, got the end of the file after "
                                      "7"));
  CHECK_THROWS_WITH(read("2 99999999999\n" + two), ContainsSubstring("in [1, 1000000]"));
  CHECK_THROWS_WITH(read("2 900000\n" + two), ContainsSubstring("and 900000 numbers"));
  CHECK(read("0 5\n").dim() == 5);
}

TEST_CASE("words of a text may hold blanks, and of a repeated word the first vector stays") {
  CHECK(words_of("of 1 2\n. . . 3 4\nNew York 5 6\n7 8 9\n") ==
        Words{"of", ". . .", "New York", "7"});
  CHECK(words_of("7 1 2\nof 3 4\n") == Words{"7", "of"});  // a word is at least one field
  CHECK(words_of("at 7 1 2\nof 3 4\n", {.dim = 2}) == Words{"at 7", "of"});
  CHECK_THROWS_WITH(read("at 7 1 2\nof 3 4\n"), ContainsSubstring(":2: a line must be a word and 3 "
                                                                  "numbers, got 2 numbers; pass "
                                                                  "dim if it is another"));
  CHECK(words_of("\xc2\xa0 1 2\n\xff 3 4\n") == Words{"\xc2\xa0", "\xff"});
  const WordVectors twice = read("3 2\na 1 2\nb 3 4\na 5 6\n");
  CHECK(twice.words() == Words{"a", "b"});
  CHECK(twice["a"].to_vector<float>() == std::vector<float>{1, 2});
  CHECK(words_of("a 1\nb 2\nc 3\n", {.max_words = 2}) == Words{"a", "b"});
  CHECK(words_of("5 7\n6 8\n", {.dim = 1}) == Words{"5", "6"});  // no header, since dim is 1
}

TEST_CASE("files that are no word vectors are refused in one line") {
  CHECK_THROWS_WITH(load_word_vectors("/nowhere/f"), ContainsSubstring("must be a readable file"));
  CHECK_THROWS_WITH(read("hello world\n"), ContainsSubstring(":1: a line must be a word and "
                                                             "numbers, got no number"));
  CHECK_THROWS_WITH(read("a 1 2\nb 1 nan\n"), ContainsSubstring(":2: numbers must be finite"));
  CHECK_THROWS_WITH(read("a 1 2\nb 1 1e99\n"), ContainsSubstring(":2: numbers must be finite"));
  CHECK_THROWS_WITH(read("a 1 2\n1 2\n"), ContainsSubstring(":2: a line must be a word"));
  CHECK_THROWS_WITH(read("a 1 2\n", {.format = WordVectorFormat::binary}),
                    ContainsSubstring("must begin with a line \"n dim\""));
  CHECK_THROWS_WITH(read("1 2\n" + record("a", {NAN, 1})), ContainsSubstring("must be finite"));
  CHECK_THROWS_WITH(read("2 2\na 1 2\n", {.dim = 3}),
                    ContainsSubstring("vectors must have 3 numbers, got a file with 2"));
  CHECK_THROWS_WITH(read("", {.dim = -1}), ContainsSubstring("dim and max_words must be"));
  CHECK_THROWS_WITH(read(""), ContainsSubstring("must hold word vectors, got an empty file"));
}

TEST_CASE("word vectors come back as they were saved, in text and in binary") {
  const Scratch scratch;
  const WordVectors v(
      {"a", "naïve", "x,y"},
      ag::tensor({{1.0f / 3, -1e-30f, 3e38f}, {0.1f, -0.0f, 1e-45f}, {16777216.0f, 5e-20f, 7.0f}}));
  for (const bool binary : {false, true}) {
    save_word_vectors(v, scratch / "v", {.binary = binary});
    const WordVectors back = load_word_vectors(scratch / "v");
    CHECK(back.words() == v.words());
    CHECK(same_bits(back.vectors(), v.vectors()));
  }
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 1);
}

TEST_CASE("binary word vectors are told from text by all bytes of their first numbers") {
  CHECK(words_of(std::string("1 1\nw abc\xbd")) ==
        Words{"w"});  // only the last byte is none of text
  CHECK(words_of("1 1\nw abcd", {.format = WordVectorFormat::binary}) == Words{"w"});
  CHECK(words_of("\xef\xbb\xbf"
                 "a 1 2\nb 3 4\n") == Words{"a", "b"});
  CHECK(words_of("\xef\xbb\xbf"
                 "2 2\na 1 2\nb 3 4\n") == Words{"a", "b"});
}

TEST_CASE("word vectors without numbers are not saved") {
  const Scratch scratch;
  CHECK_THROWS_WITH(save_word_vectors(WordVectors(), scratch / "v"),
                    "save_word_vectors: vectors must have at least one number, got dim 0");
  save_word_vectors(WordVectors({}, ag::zeros({0, 3})), scratch / "v");
  CHECK(load_word_vectors(scratch / "v").dim() == 3);
}

TEST_CASE("words that a format cannot hold are not saved, and an older file stays") {
  const Scratch scratch;
  const std::string path = scratch / "v";
  save_word_vectors(few(), path);
  const std::string before = read_bytes(path);
  for (const char* word : {"", " a", "a ", "a\nb", "a\r"})
    CHECK_THROWS_WITH(save_word_vectors(WordVectors({word}, ag::ones({1, 2})), path),
                      ContainsSubstring("words must be such that they can be read again"));
  const WordVectors blank({"New York"}, ag::ones({1, 2}));
  CHECK_THROWS_WITH(save_word_vectors(blank, path, {.binary = true}),
                    ContainsSubstring("got 'New York'; a text may hold it"));
  CHECK(read_bytes(path) == before);
  save_word_vectors(blank, path);
  CHECK(load_word_vectors(path).words() == blank.words());
}
