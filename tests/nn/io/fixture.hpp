#pragma once

#include <string>

/// A file of tests/nn/io/fixtures, which NumPy and PyTorch have written: see make.py there.
inline std::string fixture(const std::string& name) {
  return XGRAD_SOURCE_DIR "/tests/nn/io/fixtures/" + name;
}
