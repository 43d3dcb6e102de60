#include "nn/data/vocabulary.hpp"

#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using data::Vocabulary;
using Words = std::vector<std::string>;
using Indices = std::vector<std::int64_t>;

namespace {

const std::vector<Words> kSentences{{"b", "a", "c", "b"}, {}, {"ä", "b", "a", "Z", "<pad>"}, {"Z"}};

Indices indices(const ag::Tensor& t) { return t.to_vector<std::int64_t>(); }

std::string refusal(const std::string& path, const std::string& bytes) {
  write_bytes(path, bytes);
  try {
    Vocabulary::load(path);
  } catch (const ag::Error& e) {
    return std::string(e.what()).substr(path.size());
  }
  return "taken";
}

}  // namespace

TEST_CASE("a vocabulary has its special words first, then the most frequent, ties by their bytes") {
  CHECK(Vocabulary::build(kSentences).words() == Words{"<pad>", "<unk>", "b", "Z", "a", "c", "ä"});
  CHECK(Vocabulary::build(kSentences, {.min_count = 2}).words() ==
        Words{"<pad>", "<unk>", "b", "Z", "a"});
  CHECK(Vocabulary::build(kSentences, {.max_size = 4}).words() ==
        Words{"<pad>", "<unk>", "b", "Z"});
  CHECK(Vocabulary::build(kSentences, {.max_size = 2}).size() == 2);
  CHECK(Vocabulary::build(kSentences, {.specials = {}}).words() ==
        Words{"b", "Z", "a", "<pad>", "c", "ä"});
  CHECK(Vocabulary::build({}, {.specials = {}}).size() == 0);
  CHECK_THROWS_WITH(
      Vocabulary::build({}, {.max_size = 1}),
      Equals("Vocabulary: max_size must be at least 2, the number of specials, got 1"));
  CHECK_THROWS_WITH(Vocabulary::build({}, {.specials = {"x", "x"}}),
                    Equals("Vocabulary: each word must come once, got \"x\" twice"));
}

TEST_CASE("words become indices, unknown ones that of <unk>, and come back") {
  const auto v = Vocabulary::build(kSentences);
  CHECK(v.index("Z") == 3);
  CHECK(v.contains("Z"));
  CHECK_FALSE(v.contains("z"));
  CHECK(v.index("z") == 1);
  const ag::Tensor encoded = v.encode(Words{"a", "z", "b"});
  CHECK(encoded.dtype() == ag::int64);
  CHECK(indices(encoded) == Indices{4, 1, 2});
  CHECK(v.encode(Words{}).shape() == ag::Shape{0});
  const auto all = v.encode(kSentences);
  REQUIRE(all.size() == 4);
  CHECK(indices(all[2]) == Indices{6, 2, 4, 3, 0});
  CHECK(all[1].shape() == ag::Shape{0});
  CHECK(v.decode(encoded) == "a <unk> b");
  CHECK(v.decode(ag::tensor({{4, 2}, {3, 0}})) == "a b Z <pad>");
  CHECK(v.decode(v.encode(Words{})).empty());
  CHECK_THROWS_WITH(v.decode(ag::tensor({7})),
                    Equals("Vocabulary: indices must be in [0, 7), got 7"));
  CHECK_THROWS_WITH(v.decode(ag::tensor({-1})),
                    Equals("Vocabulary: indices must be in [0, 7), got -1"));
  CHECK_THROWS_WITH(v.decode(ag::tensor({1.0f})),
                    Equals("Vocabulary: indices must be int64, got float32"));
  const Vocabulary closed(Words{"a"});
  CHECK_THROWS_WITH(
      closed.encode(Words{"a", "new"}),
      Equals("Vocabulary: words must be in a vocabulary without \"<unk>\", got \"new\""));
}

TEST_CASE("a vocabulary of characters has code points in their order and gives text back") {
  const std::string text = "hé\n日a😀 h";
  const auto v = Vocabulary::characters(text);
  CHECK(v.words() == Words{"\n", " ", "a", "h", "é", "日", "😀"});
  CHECK(indices(v.encode(text)) == Indices{3, 4, 0, 5, 2, 6, 1, 3});
  CHECK(v.decode(v.encode(text)) == text);
  CHECK_THROWS_WITH(
      v.encode("x"),
      Equals("Vocabulary: words must be in a vocabulary without \"<unk>\", got \"x\""));
  CHECK_THROWS_WITH(v.encode("a\xFF"),
                    Equals("Vocabulary: text must be UTF-8, got byte 0xFF at byte 1"));
  CHECK_THROWS_WITH(Vocabulary::characters("\xE9"),
                    Equals("Vocabulary: text must be UTF-8, got byte 0xE9 at byte 0"));
}

TEST_CASE("a text is not cut into characters for a vocabulary of words") {
  CHECK_THROWS_WITH(
      Vocabulary::build(kSentences).encode("a b"),
      Equals("Vocabulary: the vocabulary must be one of characters for a text, got words and "
             "\"a b\"; cut the text into words first"));
}

TEST_CASE("the words of a vocabulary that is not kept are a list of their own") {
  Words words;
  for (const std::string& word : Vocabulary(Words{"one", "two"}).words()) words.push_back(word);
  CHECK(words == Words{"one", "two"});
  static_assert(!std::is_reference_v<decltype(Vocabulary().words())>);
}

TEST_CASE("a vocabulary whose line ends have become CRLF is read") {
  const Scratch dir;
  write_bytes(dir / "v", "xgrad vocabulary 1, 2 words\r\na\r\nb\\r\r\n");
  CHECK(Vocabulary::load(dir / "v").words() == Words{"a", "b\r"});
}

TEST_CASE("a copy of a vocabulary outlives it") {
  Vocabulary copy;
  CHECK(copy.size() == 0);
  {
    const auto v = Vocabulary::build(kSentences);
    copy = v;
  }
  CHECK(copy.index("b") == 2);
}

TEST_CASE("a vocabulary is written as lines and read back") {
  const Scratch dir;
  const std::string path = dir / "v";
  const Vocabulary words(Words{"<unk>", "", "a b", "\\n", "line\nend\r", "日"});
  words.save(path);
  CHECK(read_bytes(path) ==
        "xgrad vocabulary 1, 6 words\n<unk>\n\na b\n\\\\n\nline\\nend\\r\n日\n");
  CHECK(Vocabulary::load(path).words() == words.words());
  CHECK(Vocabulary::load(path).index("?") == 0);
  const auto characters = Vocabulary::characters("b\n\\a");
  characters.save(path);
  CHECK(Vocabulary::load(path).decode(ag::tensor({0, 2, 1})) == "\na\\");
  Vocabulary().save(path);
  CHECK(Vocabulary::load(path).size() == 0);
  CHECK(dir.entries() == 1);
}

TEST_CASE("a file that is no whole vocabulary is refused with the place") {
  const Scratch dir;
  const std::string path = dir / "v", head = "xgrad vocabulary 1, ";
  CHECK(refusal(path, head + "1 words\na\n") == "taken");
  CHECK(refusal(path, "a\nb\n") ==
        ": must be a vocabulary that begins with \"xgrad vocabulary 1, N words\", got \"a\"");
  for (const char* bad :
       {"", "x words\n", "-1 words\n", "1 word\n", "99999999999999999999 words\n"})
    CHECK_THAT(refusal(path, head + bad), Catch::Matchers::StartsWith(": must be a vocabulary"));
  CHECK(refusal(path, head + "1000000000000 words\na\n") ==
        ": must hold 1000000000000 words as its first line says, got 1");
  CHECK(refusal(path, head + "0 words\na\n") ==
        ": must hold 0 words as its first line says, got 1");
  CHECK(refusal(path, head + "2 words\na\nb") == ":3: a line must be a whole word, got \"b\"");
  CHECK(refusal(path, head + "1 words\na\\x\n") == ":2: a line must be a whole word, got \"a\\x\"");
  CHECK(refusal(path, head + "2 characters\né\nab\n") ==
        ":3: a line must be a whole character, got \"ab\"");
  CHECK(refusal(path, head + "1 characters\n\n") ==
        ":2: a line must be a whole character, got \"\"");
  CHECK(refusal(path, head + "2 words\na\na\n") == ": each word must come once, got \"a\" twice");
}
