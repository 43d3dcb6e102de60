#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

namespace ag = autograd;

struct BpeOptions {
  std::int64_t vocab_size = 30000;  ///< at most; special tokens and the 256 bytes included
  std::int64_t min_frequency = 2;   ///< pairs that come less often are not merged
  /// Get the ids from 0 on, and are found whole wherever they stand in a text. None may be written
  /// like a byte or a merged token. Begin with "<pad>" if texts are padded with 0, the default of
  /// `pad_sequences`: otherwise 0 is a token of texts ("!", or the first special one).
  std::vector<std::string> special_tokens{};
  bool add_prefix_space = false;  ///< whether a text gets a space before its first word
};

struct DecodeOptions {
  bool skip_special_tokens = false;
};

/// Byte-pair encoding over bytes, GPT-2's kind: text is cut into words by GPT-2's pattern, the bytes
/// of a word are the first tokens, and pairs of neighbours become one token in the order in which
/// training has learnt them. Any bytes can be encoded, and come back exactly (but for a prefix
/// space). Does not change once made: copies share the tokens, and threads may use one at the same
/// time.
class BpeTokenizer {
 public:
  /// Learns merges from texts: again and again the pair that comes most often, of pairs that come
  /// equally often that with the smaller first id, then the smaller second one. Ids: special tokens,
  /// the bytes in the order of GPT-2's characters for them, what was merged in its order. The
  /// tokens depend on the texts alone, and not on their order or on the number of threads.
  static BpeTokenizer train(const std::vector<std::string>& lines, const BpeOptions& options = {});

  /// Reads a tokenizer.json of Hugging Face's: a BPE model with a byte-level pre-tokenizer, and
  /// added tokens. Throws, naming the part, if it says anything that would give other ids here: a
  /// normalizer, other pre-tokenizers, templates, dropout, truncation, padding.
  static BpeTokenizer load(const std::string& path);
  /// Reads GPT-2's pair of files, vocab.json and merges.txt. `special_tokens`, which are in the
  /// vocabulary or get the ids after it, are found whole in a text. None may be written like a byte
  /// or a merged token.
  static BpeTokenizer load(const std::string& vocab_path, const std::string& merges_path,
                           const std::vector<std::string>& special_tokens = {});
  /// Writes what `load` of the same number of paths reads. An older file stays whole until the new
  /// one is complete. Of a pair, two different files, options and which tokens are special are not
  /// written.
  void save(const std::string& path) const;
  void save(const std::string& vocab_path, const std::string& merges_path) const;

  /// The number of ids, which are 0 … size() - 1.
  std::int64_t size() const;
  bool contains(std::string_view token) const;
  /// The id of a token, written as in the files: one character for each byte, "Ġ" for a space.
  /// Throws if there is none.
  std::int64_t index(std::string_view token) const;
  /// All tokens by id, written so.
  const std::vector<std::string>& tokens() const&;
  std::vector<std::string> tokens() &&;

  /// The ids of a text, as int64 (n). Throws if the vocabulary lacks one of its bytes.
  ag::Tensor encode(std::string_view text) const;
  /// The same for each text; what `pad_sequences` takes. It pads with 0, which is a token: see
  /// `BpeOptions::special_tokens`, or pass `.value`.
  std::vector<ag::Tensor> encode(const std::vector<std::string>& texts) const;
  /// The bytes of int64 ids of any shape, in row-major order: UTF-8 where whole characters are
  /// there. Throws if one is not in [0, size()).
  std::string decode(const ag::Tensor& ids, const DecodeOptions& options = {}) const;

 private:
  struct State;
  explicit BpeTokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace nn::data

#pragma GCC visibility pop
