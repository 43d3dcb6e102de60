#include "nn/data/tokenizers/word_tokenizer.hpp"

#include "tests/catch.hpp"

namespace data = nn::data;
using Catch::Matchers::Equals;
using Tokens = std::vector<std::string>;

TEST_CASE("text is cut into words and punctuation, in lower case unless asked") {
  const data::WordTokenizer tokenizer;
  CHECK(tokenizer("The film's \"good\", isn't it?") ==
        Tokens{"the", "film's", "\"", "good", "\"", ",", "isn't", "it", "?"});
  CHECK(tokenizer("") == Tokens{});
  CHECK(tokenizer(" \t\n\x01 ") == Tokens{});
  CHECK(tokenizer("well-made... (1990s) snake_case") ==
        Tokens{"well", "-", "made", ".", ".", ".", "(", "1990s", ")", "snake_case"});
  CHECK(tokenizer("1,000.5, 3. a.b 'tis dogs' 5'6") ==
        Tokens{"1,000.5", ",", "3", ".", "a", ".", "b", "'", "tis", "dogs", "'", "5", "'", "6"});
  const data::WordTokenizer cased({.lower_case = false});
  CHECK(cased("The ÄRA") == Tokens{"The", "ÄRA"});
  CHECK(tokenizer(std::vector<std::string>{"A b", "", "c!"}) ==
        std::vector<Tokens>{{"a", "b"}, {}, {"c", "!"}});
}

TEST_CASE("words of all scripts are found") {
  const data::WordTokenizer tokenizer;
  CHECK(tokenizer("ÜBER Ёлка ΟΔΟΣ l’été") == Tokens{"über", "ёлка", "οδοσ", "l’été"});
  CHECK(tokenizer("e\u0301te\u0301 हिन्दी में") == Tokens{"e\u0301te\u0301", "हिन्दी", "में"});
  CHECK(tokenizer("日本語です、カタカナ。") ==
        Tokens{"日", "本", "語", "で", "す", "、", "カタカナ", "。"});
  CHECK(tokenizer("abc漢字1") == Tokens{"abc", "漢", "字", "1"});
  CHECK(tokenizer("か\u3099き") == Tokens{"か\u3099", "き"});
  CHECK(tokenizer("\u0645\u06CC\u200C\u062E a\u200B\u200Bb c\u200C d") ==
        Tokens{"\u0645\u06CC\u200C\u062E", "a", "b", "c", "d"});
  CHECK(tokenizer("no\u00A0break\u3000wide\u0085next") == Tokens{"no", "break", "wide", "next"});
}

TEST_CASE("an emoji is one token with what belongs to it") {
  const data::WordTokenizer tokenizer;
  CHECK(tokenizer("ok👍🏽👩‍👩‍👧🇩🇪!") ==
        Tokens{"ok", "👍🏽", "👩‍👩‍👧", "🇩🇪", "!"});
  CHECK(tokenizer("\u0301 €5") == Tokens{"\u0301", "€", "5"});
}

TEST_CASE("characters are code points") {
  const data::CharacterTokenizer tokenizer;
  CHECK(tokenizer("Hé \n😀") == Tokens{"H", "é", " ", "\n", "😀"});
  CHECK(tokenizer("") == Tokens{});
  CHECK(data::CharacterTokenizer({.lower_case = true})("HÉ") == Tokens{"h", "é"});
  CHECK(tokenizer(std::vector<std::string>{"ab", ""}) == std::vector<Tokens>{{"a", "b"}, {}});
}

TEST_CASE("tokenizers refuse bytes that are not UTF-8 with their place") {
  CHECK_THROWS_WITH(data::WordTokenizer()("ab \xE9t"),
                    Equals("WordTokenizer: text must be UTF-8, got byte 0xE9 at byte 3"));
  CHECK_THROWS_WITH(data::CharacterTokenizer()("\x80"),
                    Equals("CharacterTokenizer: text must be UTF-8, got byte 0x80 at byte 0"));
}
