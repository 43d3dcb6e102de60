#include "nn/onnx/internal/load/elements.hpp"

#include <algorithm>
#include <limits>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/recording.hpp"

namespace nn::interpreter {
namespace {

constexpr std::string_view kTypes[] = {
    "undefined",      "float",    "uint8",        "int8",           "uint16",
    "int16",          "int32",    "int64",        "string",         "bool",
    "float16",        "double",   "uint32",       "uint64",         "complex64",
    "complex128",     "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
    "float8e5m2fnuz", "uint4",    "int4",         "float4e2m1",     "float8e8m0",
    "uint2",          "int2"};

// Elements of the program that an instruction of a recording may use.
template <class Make>
Tensor outside(const Make& make) {
  Tensor t;
  {
    const ag::detail::TraceOff off;
    t = make();
  }
  tell_recording(t);
  return t;
}

template <class T, class From>
Tensor filled(const std::vector<From>& values, const ag::Shape& shape) {
  Tensor t = ag::empty(shape, ag::dtype_of<T>);
  std::transform(values.begin(), values.end(), t.mutable_data<T>(),
                 [](From v) { return static_cast<T>(v); });
  return t;
}

template <class To>
std::vector<To> read(const Tensor& t) {
  std::vector<To> out(static_cast<std::size_t>(t.numel()));
  ag::dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* p = t.data<T>();
    std::transform(p, p + t.numel(), out.begin(), [](T v) { return static_cast<To>(v); });
  });
  return out;
}

}  // namespace

std::string_view type_name(std::int64_t type) {
  return type >= 0 && type < static_cast<std::int64_t>(std::size(kTypes)) ? kTypes[type]
                                                                          : "an unknown type";
}

ag::DType dtype_of_type(std::string_view where, std::int64_t type) {
  switch (static_cast<ElementType>(type)) {
    case ElementType::float32:
    case ElementType::float16:
    case ElementType::bfloat16:
      return ag::float32;
    case ElementType::float64:
      return ag::float64;
    case ElementType::boolean:
      return ag::boolean;
    case ElementType::uint8:
    case ElementType::int8:
    case ElementType::uint16:
    case ElementType::int16:
    case ElementType::int32:
    case ElementType::int64:
    case ElementType::uint32:
    case ElementType::uint64:
      return ag::int64;
    default:
      ag::fail(where, "elements must be float, double, float16, bfloat16, bool or integers, got {}",
               type_name(type));
  }
}

std::pair<std::int64_t, std::int64_t> range_of(ElementType type) {
  const auto bits = [](int n) { return std::int64_t{1} << n; };
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  switch (type) {
    case ElementType::uint8:
      return {0, bits(8) - 1};
    case ElementType::int8:
      return {-bits(7), bits(7) - 1};
    case ElementType::uint16:
      return {0, bits(16) - 1};
    case ElementType::int16:
      return {-bits(15), bits(15) - 1};
    case ElementType::int32:
      return {-bits(31), bits(31) - 1};
    case ElementType::uint32:
      return {0, bits(32) - 1};
    case ElementType::uint64:
      return {0, kMost};
    default:
      return {-kMost - 1, kMost};
  }
}

Tensor host(const std::vector<std::int64_t>& values, const ag::Shape& shape) {
  return outside([&] { return filled<std::int64_t>(values, shape); });
}
Tensor host(const std::vector<double>& values, const ag::Shape& shape, ag::DType dtype) {
  return outside([&] {
    return dtype == ag::float64 ? filled<double>(values, shape) : filled<float>(values, shape);
  });
}
Tensor host(const std::vector<bool>& values, const ag::Shape& shape) {
  return outside([&] { return filled<bool>(values, shape); });
}

Integers integers_of(const Tensor& t) {
  if (ag::is_floating(t.dtype())) return read<std::int64_t>(t.to(ag::int64));
  return read<std::int64_t>(t);
}
std::vector<double> numbers_of(const Tensor& t) { return read<double>(t); }

ag::Shape shape_of(const Integers& sizes) { return ag::Shape(sizes.begin(), sizes.end()); }
ag::Axes axes_of(const Integers& axes) {
  ag::Axes result;
  for (const auto axis : axes) result.push_back(axis);
  return result;
}

std::int64_t axis_in(std::string_view op, std::int64_t axis, std::int64_t ndim) {
  if (axis < -ndim || axis >= ndim)
    ag::fail(op, "axis must be in [{}, {}), got {}", -ndim, ndim, axis);
  return axis < 0 ? axis + ndim : axis;
}

Tensor wrapped(const Tensor& index, std::int64_t n) {
  return ag::where(index < 0, index + static_cast<double>(n), index);
}

}  // namespace nn::interpreter
