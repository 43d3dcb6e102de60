#include <string>

#include "nn/data/tokenizers/bpe_tokenizer.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using data::BpeTokenizer;
using Ids = std::vector<std::int64_t>;

namespace {

// A tokenizer.json with the parts that are given: members beside the model, members of the model.
std::string tokenizer_json(const std::string& parts, const std::string& model) {
  return R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},)" + parts +
         R"("model": {"type": "BPE", )" + model + "}}";
}
const std::string kModel = R"("vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": ["a b"])";

std::string loaded(const std::string& text) {
  const Scratch dir;
  const std::string path = dir / "t.json";
  write_bytes(path, text);
  try {
    (void)BpeTokenizer::load(path);
  } catch (const ag::Error& e) {
    return std::string(e.what()).substr(path.size());
  }
  return "taken";
}

std::string loaded(const std::string& vocab, const std::string& merges) {
  const Scratch dir;
  write_bytes(dir / "v", vocab);
  write_bytes(dir / "m", merges);
  try {
    (void)BpeTokenizer::load(dir / "v", dir / "m");
  } catch (const ag::Error& e) {
    return std::string(e.what()).substr(dir.path().size());
  }
  return "taken";
}

}  // namespace

TEST_CASE("a tokenizer.json is read in the forms that are in use") {
  const Scratch dir;
  const std::string path = dir / "t.json";
  const std::string added =
      R"("added_tokens": [{"id": 4, "content": "ba", "special": true, "normalized": true},
                          {"id": 5, "content": "aba", "special": false, "normalized": false}],)";
  write_bytes(path, tokenizer_json(added, kModel));
  const auto t = BpeTokenizer::load(path);
  CHECK(t.size() == 6);
  const auto ids = [](const ag::Tensor& x) { return x.to_vector<std::int64_t>(); };
  CHECK(ids(t.encode("ab b a")) == Ids{2, 3, 1, 3, 0});
  // What is not normalized comes first, wherever it is.
  CHECK(ids(t.encode("babab")) == Ids{1, 5, 1});
  CHECK(ids(t.encode("bba")) == Ids{1, 4});
  CHECK(t.decode(t.encode("bba"), {.skip_special_tokens = true}) == "b");
  CHECK(t.decode(t.encode("abaab"), {.skip_special_tokens = true}) == "abaab");
  CHECK_THROWS_WITH(t.encode("ac"),
                    Catch::Matchers::Equals("BpeTokenizer: the vocabulary must have a token for "
                                            "each byte, got none for 0x63"));
  const std::string vocab = kModel.substr(0, kModel.find("\"merges\""));
  CHECK(loaded(tokenizer_json("", vocab + R"("merges": [["a", "b"]])")) == "taken");
  CHECK(loaded(tokenizer_json(R"("normalizer": null, "decoder": {"type": "ByteLevel"},
    "post_processor": {"type": "ByteLevel", "trim_offsets": false}, "truncation": null,)",
                              R"("dropout": null, "unk_token": "a", "end_of_word_suffix": "",
    "byte_fallback": false, )" + kModel)) == "taken");
  write_bytes(path, R"({"pre_tokenizer": {"type": "ByteLevel", "use_regex": false},
    "model": {"vocab": {"Ġ": 0, "a": 1, "aĠ": 2}, "merges": ["a Ġ"]}})");
  CHECK(ids(BpeTokenizer::load(path).encode("a a")) == Ids{0, 2, 1});  // no words, but a prefix
}

TEST_CASE("what a tokenizer.json says that would give other ids is refused by its name") {
  const auto with = [](const std::string& parts) { return loaded(tokenizer_json(parts, kModel)); };
  CHECK(with("") == "taken");
  CHECK(with(R"("normalizer": {"type": "NFC"},)") == ": \"normalizer\" must be null, got \"NFC\"");
  CHECK(with(R"("truncation": {"max_length": 3},)") ==
        ": \"truncation\" must be null, got {\"max_length\":3}");
  CHECK(with(R"("padding": {"pad_id": 3},)") == ": \"padding\" must be null, got {\"pad_id\":3}");
  CHECK(with(R"("post_processor": {"type": "TemplateProcessing"},)") ==
        ": \"post_processor\" must be \"ByteLevel\" or null, got \"TemplateProcessing\"");
  CHECK(with(R"("decoder": {"type": "BPEDecoder"},)") ==
        ": \"decoder\" must be \"ByteLevel\" or null, got \"BPEDecoder\"");
  CHECK(with(R"("pre_tokenizer": {"type": "Whitespace"},)") ==
        ": \"pre_tokenizer\" must be \"ByteLevel\", got \"Whitespace\"");
  CHECK(with(R"("added_tokens": [{"id": 4, "content": "x", "lstrip": true}],)") ==
        ": \"lstrip\" must be false, got true");
  CHECK(with(R"("added_tokens": [{"id": 4, "content": ""}],)") ==
        ": added tokens must have a \"content\", got \"\"");
  CHECK(with(R"("added_tokens": [{"id": 5, "content": "x"}],)") ==
        ": the ids of 5 tokens must be 0 to 4, each once, got 5 for \"x\"");
  CHECK(with(R"("added_tokens": [{"id": 1, "content": "a"}],)") ==
        ": a token must have one id, got 0 and 1 for \"a\"");
  CHECK(with(R"("added_tokens": 7,)") == ": \"added_tokens\" must be a list, got 7");
  const auto model = [](const std::string& text) { return loaded(tokenizer_json("", text)); };
  CHECK(model(R"("dropout": 0.1, )" + kModel) ==
        ": \"dropout\" must be null, empty or false, got 0.1");
  CHECK(model(R"("end_of_word_suffix": "</w>", )" + kModel) ==
        ": \"end_of_word_suffix\" must be null, empty or false, got \"</w>\"");
  CHECK(model(R"("ignore_merges": true, )" + kModel) ==
        ": \"ignore_merges\" must be null, empty or false, got true");
  CHECK(loaded(R"({"model": {"type": "WordPiece", "vocab": {}}})") ==
        ": \"type\" must be \"BPE\", got \"WordPiece\"");
}

TEST_CASE("a tokenizer.json that does not fit together is refused") {
  const auto model = [](const std::string& text) { return loaded(tokenizer_json("", text)); };
  CHECK(loaded("") == ": must be JSON, got something else at byte 1");
  CHECK(loaded("{\"a\": 1") == ": must be JSON, got something else at byte 8");
  CHECK(loaded("\xFF") == ": text must be UTF-8, got byte 0xFF at byte 0");
  CHECK(loaded(std::string("{}\0", 3)) == ": must be JSON, got something else at byte 3");
  CHECK(loaded(std::string(1'000'000, '[')) ==
        ": JSON must have at most 100 lists and objects within each other, got more");
  CHECK(loaded("[1e999]") == ": numbers in JSON must be finite, got one that is not");
  CHECK(loaded("[]") == ": must be an object that may have \"model\", got []");
  CHECK(loaded("{}") == ": must be an object that may have \"type\", got null");
  CHECK(model(R"("merges": [])") == ": the vocabulary must be an object, got null");
  CHECK(model(R"("vocab": {"a": 0})") == ": \"merges\" must be a list, got null");
  CHECK(model(R"("vocab": {"a": 0.0}, "merges": [])") ==
        ": ids must be whole numbers in [0, 2^31), got 0.0");
  CHECK(model(R"("vocab": {"a": 9223372036854775808}, "merges": [])") ==
        ": ids must be whole numbers in [0, 2^31), got 9223372036854775808");
  CHECK(model(R"("vocab": {"a": 1}, "merges": [])") ==
        ": the ids of 1 tokens must be 0 to 0, each once, got 1 for \"a\"");
  CHECK(model(R"("vocab": {"a": 0}, "merges": ["a"])") ==
        ": a merge must be two tokens with a space between them, got \"a\"");
  CHECK(model(R"("vocab": {"a": 0}, "merges": [["a", "a", "a"]])") ==
        ": a merge must be two tokens, got [\"a\",\"a\",\"a\"]");
  CHECK(model(R"("vocab": {"a": 0}, "merges": ["a c"])") ==
        ": merges must be of tokens, got \"c\"");
  CHECK(model(R"("vocab": {"a": 0}, "merges": ["a a"])") ==
        ": what merges make must be a token, got \"a\" and \"a\"");
  CHECK(model(R"("vocab": {"a": 0, "aa": 1}, "merges": ["a a", "a a"])") ==
        ": each merge must come once, got \"a\" and \"a\" twice");
}

TEST_CASE("vocab.json and merges.txt are refused with the file and the line") {
  const std::string vocab = R"({"a": 0, "b": 1, "ab": 2})";
  CHECK(loaded(vocab, "#version: 0.2\r\na b\r\n") == "taken");
  CHECK(loaded(vocab, "a b") == "taken");
  CHECK(loaded(vocab, "") == "taken");
  CHECK(loaded(vocab, "#version: 0.2\na b\na  b\n") ==
        "/m:3: a merge must be two tokens with a space between them, got \"a  b\"");
  CHECK(loaded(vocab, "a b\n\n") ==
        "/m:2: a merge must be two tokens with a space between them, got \"\"");
  CHECK(loaded(vocab, "a c\n") == "/m:1: merges must be of tokens, got \"c\"");
  CHECK(loaded(vocab, "b a\n") == "/m: what merges make must be a token, got \"b\" and \"a\"");
  CHECK(loaded("[]", "") == "/v: the vocabulary must be an object, got []");
  CHECK(loaded(R"({"a": 3})", "") ==
        "/v: the ids of 1 tokens must be 0 to 0, each once, got 3 for \"a\"");
}

TEST_CASE("merges that merges.txt cannot hold are refused, and a tokenizer.json holds them") {
  const Scratch dir;
  write_bytes(dir / "t.json", tokenizer_json("", R"("vocab": {"a": 0, " ": 1, "a ": 2},
    "merges": [["a", " "]])"));
  const auto t = BpeTokenizer::load(dir / "t.json");
  t.save(dir / "again.json");
  CHECK(BpeTokenizer::load(dir / "again.json").tokens() == t.tokens());
  CHECK_THROWS_WITH(t.save(dir / "v", dir / "m"),
                    Catch::Matchers::Equals(dir / "m: tokens of merges must be without spaces and "
                                                  "line ends, got \" \"; save a tokenizer.json"));
  CHECK(dir.entries() == 2);
}
