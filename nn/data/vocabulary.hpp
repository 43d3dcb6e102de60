#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

namespace ag = autograd;

struct VocabularyOptions {
  std::int64_t min_count = 1;              ///< words that come less often are left out
  std::optional<std::int64_t> max_size{};  ///< of the vocabulary, `specials` included
  /// What comes first, in this order. Words that are not in a vocabulary with "<unk>" become that.
  std::vector<std::string> specials = {"<pad>", "<unk>"};
};

/// Words, each with an index from 0 on. Does not change once made: copies share the words, and
/// threads may use one at the same time.
class Vocabulary {
 public:
  /// `specials`, then the words of the sentences, the most frequent first; of words with the same
  /// count the first in the order of their bytes.
  static Vocabulary build(const std::vector<std::vector<std::string>>& sentences,
                          const VocabularyOptions& options = {});
  /// The characters (code points) of a text, each once, in the order of their numbers; no special
  /// entries. Throws unless the text is UTF-8.
  static Vocabulary characters(std::string_view text);
  /// These words, in this order. Throws if one comes twice.
  explicit Vocabulary(std::vector<std::string> words = {});

  std::int64_t size() const { return static_cast<std::int64_t>(words().size()); }
  const std::vector<std::string>& words() const&;
  std::vector<std::string> words() &&;
  bool contains(std::string_view word) const;
  /// The index of a word, or else that of "<unk>". Throws if there is neither.
  std::int64_t index(std::string_view word) const;

  /// The indices of words, as int64 (n); throws as `index`.
  ag::Tensor encode(const std::vector<std::string>& words) const;
  /// The same for each sentence; what `pad_sequences` takes.
  std::vector<ag::Tensor> encode(const std::vector<std::vector<std::string>>& sentences) const;
  /// The indices of the characters of a text, as int64 (n). Throws unless the vocabulary is one of
  /// `characters` and the text UTF-8, and as `index`.
  ag::Tensor encode(std::string_view text) const;
  /// The words of int64 indices of any shape, in row-major order: put together in a vocabulary of
  /// `characters`, otherwise with a space between them. Throws if one is not in [0, size()).
  std::string decode(const ag::Tensor& indices) const;

  /// Writes a file of text, UTF-8 if the words are: a line "xgrad vocabulary 1, N words" (or
  /// "… characters"), then one word a line, in which `\\`, `\n` and `\r` stand for backslash, line feed
  /// and carriage return. An older file stays whole until the new one is complete.
  void save(const std::string& path) const;
  /// Reads such a file, whose lines may end with CRLF. Throws, with the line, if it is another or
  /// incomplete.
  static Vocabulary load(const std::string& path);

 private:
  struct State;
  Vocabulary(std::vector<std::string> words, bool characters);
  std::shared_ptr<const State> state_;
};

}  // namespace nn::data

#pragma GCC visibility pop
