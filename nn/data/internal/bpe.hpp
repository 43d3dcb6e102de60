#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nn/data/tokenizers/bpe_tokenizer.hpp"

/// What the parts of the byte-pair tokenizer share: encoding, training, files.
namespace nn::data::detail {

using Pair = std::pair<std::int32_t, std::int32_t>;

/// A token that is found whole in a text, before that is cut into words.
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool special = true, normalized = false;  ///< normalized ones are looked for after the others
};

/// GPT-2's character for each byte: those that show stand for themselves, the others are 256, 257, ….
std::string byte_symbol(unsigned char byte);
/// The bytes of a token; one that holds other characters stands for itself.
std::string from_symbols(std::string_view token);
/// The bytes in the order of their characters.
const std::array<unsigned char, 256>& bytes_by_symbol();

/// The size of the word at the beginning of a text that is not empty, by GPT-2's pattern:
/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// Bytes that are not UTF-8 count as the third kind.
std::size_t gpt2_word_size(std::string_view text);

/// A byte-pair model as its files say it.
struct BpeModel {
  std::vector<std::string> tokens{};  ///< by id, as in the files
  std::vector<Pair> merges{};         ///< in their order
  std::vector<AddedToken> added{};
  bool add_prefix_space = false, split_words = true;
};

/// Throws if a special token is written like a byte or what a merge makes: text would become it.
void refuse_ordinary_specials(const BpeModel& model);

}  // namespace nn::data::detail

namespace nn::data {

/// The model, and how its parts are found.
struct BpeTokenizer::State {
  struct Merge {
    std::int32_t rank, id;
  };
  /// Throws in the name of `where`, a file, unless ids and merges fit together.
  State(detail::BpeModel from, std::string_view where);

  static std::uint64_t key(detail::Pair pair) {
    return std::uint64_t{static_cast<std::uint32_t>(pair.first)} << 32 |
           static_cast<std::uint32_t>(pair.second);
  }
  const Merge* merge(detail::Pair pair) const {
    const auto at = merges.find(key(pair));
    return at == merges.end() ? nullptr : &at->second;
  }

  detail::BpeModel model;
  std::unordered_map<std::string_view, std::int32_t> ids{};  // the keys are those of model.tokens
  std::unordered_map<std::uint64_t, Merge> merges{};
  std::vector<std::string> pieces{};         // what each id decodes to
  std::array<std::int32_t, 256> byte_ids{};  // -1 where there is none
  std::vector<bool> is_special{};            // by id
};

}  // namespace nn::data
