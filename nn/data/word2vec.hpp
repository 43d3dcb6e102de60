#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/data/word_vectors.hpp"

#pragma GCC visibility push(default)

/// Word vectors from sentences.
namespace nn::data {

/// Options of `train_word2vec`; names and defaults are gensim's where it has them.
struct Word2VecOptions {
  std::int64_t dim = 100;      ///< numbers of a vector, in [1, 1000000]
  std::int64_t window = 5;     ///< words to either side: from 1 up to this, drawn for each word
  std::int64_t min_count = 5;  ///< words that occur less often are left out
  std::int64_t negative = 5;   ///< words drawn for each pair, in [1, 63]
  std::int64_t epochs = 5;
  std::uint64_t seed = 1;
  /// Frequent words are left out with probability 1 - √(sample / f) - sample / f, where f is their
  /// share of all words; 0: never.
  double sample = 1e-3;
  double lr = 0.025, min_lr = 1e-4;  ///< of the first word and the last; linear in between
  bool cbow = false;                 ///< a word from its neighbours; false: each neighbour from it
  bool cbow_mean = true;             ///< from the mean of their vectors; false: from the sum
  /// How many pieces of the text are worked on side by side, in [1, 64]: the most threads that are
  /// of use. It changes the result, as threads do not.
  std::int64_t shards = 1;
  double exponent = 0.75;  ///< words are drawn by their count to this power
};

/// Vectors of words by skip-gram or CBOW with negative sampling (Mikolov 2013): descent along the
/// gradient of -log σ(u·h) - Σ log σ(-uₙ·h) for one pair after the other, where h is the vector of
/// a word (CBOW: the mean or sum of several, each of which gets its share of the gradient) and the
/// drawn uₙ of a pair are different words, none of them its u. Words come by falling count, of equal
/// counts the one first seen first.
///
/// The result is a function of sentences, options and instruction set, for any number of threads:
/// pairs are worked on one after the other, in the order of the sentences. With several shards as
/// many pieces of the text, each some sentences, begin with the same vectors, and their changes are
/// added in the order of the pieces; then the next pieces follow. Together these have at most 2000
/// words, or half as many as there are different words if that is less; a piece that is longer is
/// alone. Throws if fewer than two different words are left, or if lr was so large that vectors did
/// not stay finite.
WordVectors train_word2vec(const std::vector<std::vector<std::string>>& sentences,
                           const Word2VecOptions& options = {});

}  // namespace nn::data

#pragma GCC visibility pop
