#pragma once

#include <string>

#include "nn/io/internal/elements.hpp"

namespace nn::detail {

struct NpyHeader {
  const ElementFormat* format;
  bool big_endian, fortran_order;
  ag::Shape shape;
};

/// Reads what stands before the elements, and takes its size from `left`, the bytes that there are
/// of the array; what remains must be the elements. `prefix` as in `read_elements`.
NpyHeader read_npy_header(const std::string& path, const std::string& prefix,
                          const ByteSource& source, std::uint64_t& left);

/// The same for an array to be written.
std::string npy_header(const std::string& path, const ag::Tensor& array);

}  // namespace nn::detail
