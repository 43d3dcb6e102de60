#pragma once

#include "nn/io/internal/cpp/writer.hpp"

namespace nn::cpp_out {

inline const Kernel kExtremes{R"(
// NaN where either is.
template <class T>
inline T maximum(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
inline T minimum(T a, T b) {
  return a < b || a != a ? a : b;
}
)"};

}  // namespace nn::cpp_out
