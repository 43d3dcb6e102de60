#pragma once

#include <string>
#include <utility>

#include "tests/source_dir.hpp"

/// A file of tests/nn/io/fixtures, which NumPy and PyTorch have written: see make.py there.
inline std::string fixture(const std::string& name) {
  return XGRAD_SOURCE_DIR "/tests/nn/io/fixtures/" + name;
}

/// An archive without the marks that names are UTF-8, which newer versions of libzip also give to
/// names in ASCII.
inline std::string without_marks(std::string archive) {
  for (const auto& [header, flags] : {std::pair("PK\3\4", 7), std::pair("PK\1\2", 9)})
    for (auto at = archive.find(header); at != archive.npos; at = archive.find(header, at + 1))
      archive[at + static_cast<std::size_t>(flags)] &= ~8;
  return archive;
}
