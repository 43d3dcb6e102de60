#pragma once

#include <vector>

#include "tests/nn/fuzz/fuzz.hpp"

namespace fuzz {

/// Those of text: files of lines, vocabularies, tokenizers.
std::vector<Target> text_targets();

}  // namespace fuzz
