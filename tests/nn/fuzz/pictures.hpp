#pragma once

#include <vector>

#include "tests/nn/fuzz/fuzz.hpp"

namespace fuzz {

/// Those of the targets that read pictures.
std::vector<Target> picture_targets();

}  // namespace fuzz
