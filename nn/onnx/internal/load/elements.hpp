#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/onnx/internal/load/interpreter.hpp"

/// What operators share.
namespace nn::interpreter {

/// The element types of ONNX by their numbers in TensorProto.
enum class ElementType : std::int64_t {
  float32 = 1,
  uint8,
  int8,
  uint16,
  int16,
  int32,
  int64,
  string,
  boolean,
  float16,
  float64,
  uint32,
  uint64,
  complex64,
  complex128,
  bfloat16
};
/// Its name in ONNX, also of newer ones: "float8e4m3fn".
std::string_view type_name(std::int64_t type);
/// What holds such elements: integers are int64, half precision is float32. Throws for `where` if
/// nothing does.
ag::DType dtype_of_type(std::string_view where, std::int64_t type);
/// The lowest and the highest value of an integer type.
std::pair<std::int64_t, std::int64_t> range_of(ElementType type);

/// Tensors of elements that were computed here and not by operations, also while `compile()`
/// records.
Tensor host(const std::vector<std::int64_t>& values, const ag::Shape& shape);
Tensor host(const std::vector<double>& values, const ag::Shape& shape, ag::DType dtype);
Tensor host(const std::vector<bool>& values, const ag::Shape& shape);
inline Tensor host(const std::vector<std::int64_t>& values) {
  return host(values, {static_cast<std::int64_t>(values.size())});
}

Integers integers_of(const Tensor& t);
std::vector<double> numbers_of(const Tensor& t);

inline Values one(Tensor t) {
  Values values;
  values.emplace_back(std::move(t));
  return values;
}
template <class... T>
Values several(T... tensors) {
  Values values;
  (values.emplace_back(std::move(tensors)), ...);
  return values;
}
/// A step of the first input alone.
template <class F>
Run unary(F f) {
  return [f = std::move(f)](const Call& call) { return one(f(call[0])); };
}

ag::Shape shape_of(const Integers& sizes);
ag::Axes axes_of(const Integers& axes);
/// The axis in [0, ndim). Throws for `op` unless it is one.
std::int64_t axis_in(std::string_view op, std::int64_t axis, std::int64_t ndim);
/// Indices with negative ones counted from the end of n.
Tensor wrapped(const Tensor& index, std::int64_t n);
/// Strings stand for nothing here; what names one of a few things is looked up.
template <class T, std::size_t n>
T choice(const Node& node, std::string_view attribute, std::string_view got,
         const std::pair<std::string_view, T> (&choices)[n]) {
  for (const auto& [name, value] : choices)
    if (got == name) return value;
  node.refuse("attribute {} must be one that is known, got \"{}\"", attribute, ag::quoted(got));
}

}  // namespace nn::interpreter
