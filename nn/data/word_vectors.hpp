#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Words as vectors: nearest ones, analogies, the start of an embedding.
namespace nn::data {

namespace ag = autograd;

/// A word and the cosine of the angle between its vector and another, in [-1, 1].
struct SimilarWord {
  std::string word;
  double similarity = 0;
};

/// Words and a vector for each. Threads may read it at once.
class WordVectors {
 public:
  WordVectors() = default;
  /// `vectors`: float32 (n, dim), finite, of which a copy is kept; word i has row i. Throws if a
  /// word comes twice or the numbers of both differ.
  WordVectors(std::vector<std::string> words, const ag::Tensor& vectors);

  std::int64_t size() const { return static_cast<std::int64_t>(words_.size()); }
  std::int64_t dim() const { return vectors_.defined() ? vectors_.size(1) : 0; }
  const std::vector<std::string>& words() const& { return words_; }
  std::vector<std::string> words() && { return std::move(words_); }
  /// float32 (size, dim), a copy.
  ag::Tensor vectors() const;
  bool contains(std::string_view word) const { return find(word).has_value(); }
  /// The row of a word, if it is there.
  std::optional<std::int64_t> find(std::string_view word) const;
  /// The vector of a word: float32 (dim), a copy. Throws if it is not there.
  ag::Tensor operator[](std::string_view word) const;

  /// The cosine between two words; 0 where a vector is 0. Throws if one is not there.
  double similarity(std::string_view a, std::string_view b) const;
  /// The n words, or as many as there are, with the largest cosine, the largest first; of equal
  /// ones the earlier word first. Without the word itself. Throws if it is not there.
  std::vector<SimilarWord> nearest(std::string_view word, std::int64_t n = 10) const;
  /// The same for any vector (dim), float32 or float64. Throws if it is not finite.
  std::vector<SimilarWord> nearest(const ag::Tensor& vector, std::int64_t n = 10) const;
  /// The words nearest to the sum of the unit vectors of `plus` minus those of `minus`, without
  /// these words: {"king", "woman"}, {"man"} (Mikolov 2013). Throws if a word is not there.
  std::vector<SimilarWord> analogy(const std::vector<std::string>& plus,
                                   const std::vector<std::string>& minus = {},
                                   std::int64_t n = 10) const;

  /// Writes the vectors of those of `words` that are here into the rows of `weight` (number of
  /// words, dim), a leaf of float32 or float64, in place and off the tape; the other rows stay.
  /// Returns how many were found.
  std::int64_t copy_to(const ag::Tensor& weight, std::span<const std::string> words) const;
  /// The same for the words of a vocabulary, in its order.
  template <class V>
  requires requires(const V& v) {
    { v.words() } -> std::convertible_to<std::span<const std::string>>;
  }
  std::int64_t copy_to(const ag::Tensor& weight, const V& vocabulary) const {
    return copy_to(weight, std::span<const std::string>(vocabulary.words()));
  }

 private:
  std::int64_t row_of(std::string_view op, std::string_view word) const;
  std::span<const float> row(std::int64_t i) const;
  std::vector<SimilarWord> nearest_to(std::span<const double> direction, std::int64_t n,
                                      std::span<const std::int64_t> without) const;
  void add_unit(std::span<double> sum, std::int64_t row, double sign) const;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> rows_;
  ag::Tensor vectors_;
  std::vector<double> norms_;
};

}  // namespace nn::data

#pragma GCC visibility pop
