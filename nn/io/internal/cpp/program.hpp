#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/recording.hpp"

/// A recorded function while it is written as C++. Internal.
namespace nn::cpp_out {

namespace ag = autograd;
using Sizes = std::vector<std::int64_t>;
using Source = ag::Recording::Source;
using Value = ag::Recording::Value;
using Operand = ag::Recording::Operand;
using Step = ag::Recording::Step;

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
inline std::int64_t count(std::size_t n) { return static_cast<std::int64_t>(n); }
std::int64_t numel(const Sizes& sizes);
inline Sizes sizes_of(const ag::Shape& shape) { return {shape.begin(), shape.end()}; }
/// Strides of a contiguous array.
Sizes contiguous(const Sizes& shape);
/// "(1, 32, 26, 26)".
std::string text(const Sizes& shape);

/// The steps that results need. What is made of tensors of the program alone is computed by now: to
/// a file they are constants.
struct Program {
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Operand> results;
  std::vector<bool> wanted;  // values

  bool is_constant(const Operand& o) const {
    return o.value != ag::Recording::kNone && values[o.value].elements.defined();
  }
  /// Of a constant, in the shape of the operand.
  ag::Tensor elements(const Operand& o) const;
};

/// Records `f`. Throws where steps write tensors, draw numbers, read elements or are not the
/// library's.
Program program_of(const ag::Recording::Function& f, const ag::TensorList& examples);

}  // namespace nn::cpp_out
