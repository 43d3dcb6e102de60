#pragma once

#include <cstdint>
#include <string>

#include "nn/data/word_vectors.hpp"

#pragma GCC visibility push(default)

/// Files of word vectors.
namespace nn::data {

/// How word vectors are written down.
enum class WordVectorFormat {
  automatic,  ///< as the file looks
  text,       ///< a line for each word: the word and its numbers; a first line "n dim" may be there
  binary      ///< word2vec's: a line "n dim", then for each word it, a blank and float32 numbers
};

/// Options of `load_word_vectors`.
struct WordVectorOptions {
  WordVectorFormat format = WordVectorFormat::automatic;
  /// Numbers of a word; 0: as the first lines say. For a text without "n dim" whose first word
  /// ends like a number.
  std::int64_t dim = 0;
  std::int64_t max_words = 0;  ///< only the first ones; 0: all
  /// Fewer vectors than the file says it has are refused, as a truncated file; false: taken.
  bool check_count = true;
};

/// Reads GloVe's text, word2vec's text and binary (with or without a newline after each vector) and
/// fastText's text, also packed with gzip.
/// - More vectors than the file says it has are read as well.
/// - In a text the last `dim` fields of a line are its numbers and all before them the word, so that
///   words may hold blanks. Without a line "n dim", the first line tells dim: its last fields that
///   are numbers, but at least one field is the word.
/// - Of a word that comes several times the first vector stays.
/// - Words are bytes, as they are in the file.
/// - A byte order mark is left out.
/// Throws on empty and truncated files, other numbers in a line, and numbers that are not finite.
WordVectors load_word_vectors(const std::string& path, const WordVectorOptions& options = {});

/// Options of `save_word_vectors`.
struct SaveWordVectorOptions {
  bool binary = false;  ///< word2vec's binary, with a newline after each vector
};

/// Writes word2vec's text, with so many digits that `load_word_vectors` gives the same numbers, or
/// its binary. The file is written beside `path` and then takes its place. Throws on vectors without
/// numbers, and on words that the format cannot hold: those that are empty, hold a line end, begin
/// or end with a blank, or, in binary, hold one.
void save_word_vectors(const WordVectors& vectors, const std::string& path,
                       const SaveWordVectorOptions& options = {});

}  // namespace nn::data

#pragma GCC visibility pop
