#pragma once

#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

namespace nn::data {

struct WordTokenizerOptions {
  bool lower_case = true;  ///< by Unicode's simple mapping, a character for each
};

/// Cuts text into words and punctuation. A word is a run of letters, accents, numbers and
/// underscores; an apostrophe between letters ("don't") and a point or comma between numbers
/// ("1,000.5") are part of it. An ideograph or a hiragana is a word of its own, as these scripts put
/// no spaces; so a run of Thai is one word. Anything else that shows is a token of its own, an emoji
/// with what belongs to it. White space and controls are left out. Threads may share one.
class WordTokenizer {
 public:
  explicit WordTokenizer(const WordTokenizerOptions& options = {}) : options_(options) {}
  /// The tokens of a text. Throws unless it is UTF-8.
  std::vector<std::string> operator()(std::string_view text) const;
  /// The same for each of several.
  std::vector<std::vector<std::string>> operator()(const std::vector<std::string>& texts) const;

 private:
  WordTokenizerOptions options_;
};

struct CharacterTokenizerOptions {
  bool lower_case = false;  ///< by Unicode's simple mapping, a character for each
};

/// Cuts text into characters (code points), white space included. Threads may share one.
class CharacterTokenizer {
 public:
  explicit CharacterTokenizer(const CharacterTokenizerOptions& options = {}) : options_(options) {}
  /// The characters of a text. Throws unless it is UTF-8.
  std::vector<std::string> operator()(std::string_view text) const;
  /// The same for each of several.
  std::vector<std::vector<std::string>> operator()(const std::vector<std::string>& texts) const;

 private:
  CharacterTokenizerOptions options_;
};

}  // namespace nn::data

#pragma GCC visibility pop
