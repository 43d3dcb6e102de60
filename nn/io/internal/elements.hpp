#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.hpp"

namespace nn::detail {

namespace ag = autograd;

/// How files store an element, under the name that safetensors has for it.
struct ElementFormat {
  std::string_view name;
  std::uint64_t bits;
  ag::DType dtype;                                    ///< what it is read as
  void (*convert)(const char*, void*, std::int64_t);  ///< null: the bytes are the elements
  bool held = true;                                   ///< false: no dtype can hold it
};

/// The format of that name, or null.
const ElementFormat* find_format(std::string_view name);
/// All their names, for an error.
std::string format_names();

/// Fills `n` bytes with the next ones of a file, or throws.
using ByteSource = std::function<void(void* out, std::uint64_t n)>;

/// A tensor of elements that follow one another in the source, whose length has been checked.
/// `prefix` stands in errors before what is wrong: "" or "'name': ".
ag::Tensor read_elements(const std::string& path, std::string_view prefix,
                         const ElementFormat& format, const ag::Shape& shape, bool big_endian,
                         const ByteSource& source);

/// The bits of the nearest number of 16 bits, ties to even; none where it is finite and beyond them.
std::optional<std::uint16_t> float16_of(double x);
std::optional<std::uint16_t> bfloat16_of(double x);

}  // namespace nn::detail
