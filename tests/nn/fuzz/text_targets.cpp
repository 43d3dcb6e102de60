
#include <stdexcept>

#include "nn/data/readers/text.hpp"
#include "nn/data/tokenizers/bpe_tokenizer.hpp"
#include "nn/data/vocabulary.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

namespace data = nn::data;

namespace fuzz {
namespace {

void must(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

const std::vector<std::string> kTexts{"\xEF\xBB\xBFthe cat\r\nthe mat, ü\n\n日本 cat",
                                      gzipped("the\ncat\n")};

Target text() {
  return {"read_text", kTexts, [](const std::string& path, std::uint64_t) {
            const std::string read = data::read_text(path);
            must(
                data::Vocabulary::characters(read).size() <= static_cast<std::int64_t>(read.size()),
                "no more characters than bytes");
          }};
}

Target lines() {
  return {"read_lines", kTexts, [](const std::string& path, std::uint64_t) {
            for (const std::string& line : data::read_lines(path))
              must(line.find('\n') == line.npos, "a line is one");
          }};
}

Target vocabulary() {
  const Scratch scratch;
  data::Vocabulary({"<unk>", "a b", "line\nend\\", "日"}).save(scratch / "v");
  data::Vocabulary::characters("b\na").save(scratch / "c");
  return {"Vocabulary::load",
          {read_bytes(scratch / "v"), read_bytes(scratch / "c")},
          [](const std::string& path, std::uint64_t) {
            const auto read = data::Vocabulary::load(path);
            for (const std::string& word : read.words())
              must(read.words()[static_cast<std::size_t>(read.index(word))] == word, "its index");
          }};
}

// The mutated file is a tokenizer.json, or one of a pair beside the valid other.
Target tokenizer() {
  const auto scratch = std::make_shared<Scratch>();
  const auto trained = data::BpeTokenizer::train({"the cat the mat", "the cats"},
                                                 {.vocab_size = 265, .special_tokens = {"<end>"}});
  trained.save(*scratch / "t");
  trained.save(*scratch / "v", *scratch / "m");
  const auto load = [scratch](const std::string& path, std::uint64_t choice) {
    if (choice % 3 == 0) return data::BpeTokenizer::load(path);
    return choice % 3 == 1 ? data::BpeTokenizer::load(path, *scratch / "m", {"<end>"})
                           : data::BpeTokenizer::load(*scratch / "v", path, {"<end>"});
  };
  return {"BpeTokenizer::load",
          {read_bytes(*scratch / "t"), read_bytes(*scratch / "v"), read_bytes(*scratch / "m")},
          [load](const std::string& path, std::uint64_t choice) {
            const auto read = load(path, choice);
            must(!read.decode(read.encode("the cat <end>")).empty(), "it encodes");
          }};
}

}  // namespace

std::vector<Target> text_targets() { return {text(), lines(), vocabulary(), tokenizer()}; }

const Family text_readers(text_targets);

}  // namespace fuzz
