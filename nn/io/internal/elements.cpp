#include "nn/io/internal/elements.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/core/errors.hpp"
#include "autograd/core/shape.hpp"
#include "nn/io/internal/float16.hpp"

namespace nn::detail {
namespace {

using ag::fail;

static_assert(std::endian::native == std::endian::little, "the formats are little endian");

template <class E>
float wide(std::uint16_t bits) {
  return value(E{bits});
}
// Numbers of 8 bits (Micikevicius et al. 2022; OCP microscaling formats). With `fnuz` there is one
// NaN, in place of -0, and no infinity; E4M3 has none either, E5M2 is IEEE's.
enum class Special { ieee, no_infinity, fnuz };
template <int Fraction, int Bias, Special S>
float f8_to_float(std::uint8_t x) {
  const int exponent = (x & 127) >> Fraction, fraction = x & ((1 << Fraction) - 1);
  const bool top = exponent == 127 >> Fraction, full = fraction == (1 << Fraction) - 1;
  if (S == Special::fnuz ? x == 128 : top && (S == Special::ieee ? fraction != 0 : full))
    return std::numeric_limits<float>::quiet_NaN();
  const float one = 1 << Fraction;
  float magnitude = exponent == 0 ? std::ldexp(fraction / one, 1 - Bias)
                                  : std::ldexp(1 + fraction / one, exponent - Bias);
  if (S == Special::ieee && top) magnitude = std::numeric_limits<float>::infinity();
  return x & 128 ? -magnitude : magnitude;
}
// A power of 2.
float e8_to_float(std::uint8_t x) {
  return x == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, x - 127);
}
template <class T>
std::int64_t widen(T x) {
  return static_cast<std::int64_t>(x);
}
bool truth(std::uint8_t x) { return x != 0; }

template <auto F, class From>
void convert(const char* source, void* target, std::int64_t n) {
  using To = decltype(F(From{}));
  for (std::int64_t i = 0; i < n; ++i) {
    From x;
    std::memcpy(&x, source + static_cast<std::size_t>(i) * sizeof(From), sizeof(From));
    static_cast<To*>(target)[i] = F(x);
  }
}

constexpr ElementFormat kFormats[] = {
    {"F64", 64, ag::float64, nullptr},
    {"F32", 32, ag::float32, nullptr},
    {"I64", 64, ag::int64, nullptr},
    {"BOOL", 8, ag::boolean, convert<truth, std::uint8_t>},
    {"F16", 16, ag::float32, convert<wide<Float16>, std::uint16_t>},
    {"BF16", 16, ag::float32, convert<wide<BFloat16>, std::uint16_t>},
    {"I32", 32, ag::int64, convert<widen<std::int32_t>, std::int32_t>},
    {"I16", 16, ag::int64, convert<widen<std::int16_t>, std::int16_t>},
    {"I8", 8, ag::int64, convert<widen<std::int8_t>, std::int8_t>},
    {"U64", 64, ag::int64, convert<widen<std::uint64_t>, std::uint64_t>},
    {"U32", 32, ag::int64, convert<widen<std::uint32_t>, std::uint32_t>},
    {"U16", 16, ag::int64, convert<widen<std::uint16_t>, std::uint16_t>},
    {"U8", 8, ag::int64, convert<widen<std::uint8_t>, std::uint8_t>},
    {"F8_E4M3", 8, ag::float32, convert<f8_to_float<3, 7, Special::no_infinity>, std::uint8_t>},
    {"F8_E5M2", 8, ag::float32, convert<f8_to_float<2, 15, Special::ieee>, std::uint8_t>},
    {"F8_E4M3FNUZ", 8, ag::float32, convert<f8_to_float<3, 8, Special::fnuz>, std::uint8_t>},
    {"F8_E5M2FNUZ", 8, ag::float32, convert<f8_to_float<2, 16, Special::fnuz>, std::uint8_t>},
    {"F8_E8M0", 8, ag::float32, convert<e8_to_float, std::uint8_t>},
    {"C64", 64, ag::float32, nullptr, false},
    {"F6_E2M3", 6, ag::float32, nullptr, false},
    {"F6_E3M2", 6, ag::float32, nullptr, false},
    {"F4", 4, ag::float32, nullptr, false},
};

// The bytes of each element in the other order.
void swap_bytes(char* bytes, std::size_t count, std::size_t width) {
  for (std::size_t i = 0; i < count; ++i) std::reverse(bytes + i * width, bytes + (i + 1) * width);
}

// What is no bytes of elements as they are, in pieces, so that it is never in memory twice.
void read_converted(const ElementFormat& format, ag::Tensor& tensor, bool big_endian,
                    const ByteSource& source) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;  // elements
  const std::size_t width = format.bits / 8, own = ag::size_of(format.dtype);
  auto* to = static_cast<char*>(tensor.raw_mutable());
  const auto total = static_cast<std::size_t>(tensor.numel());
  std::vector<char> piece(std::min(total, kPiece) * width);
  for (std::size_t done = 0; done < total; done += kPiece) {
    const std::size_t n = std::min(kPiece, total - done);
    source(piece.data(), n * width);
    if (big_endian) swap_bytes(piece.data(), n, width);
    if (format.convert)
      format.convert(piece.data(), to + done * own, static_cast<std::int64_t>(n));
    else
      std::memcpy(to + done * own, piece.data(), n * width);
  }
}

// Not the nearest float, but, of the two next to a number between floats, the one whose last bit is
// 1: so that it is no tie that the number was not (Boldo and Melquiond 2008).
float rounded_to_odd(double x) {
  const auto nearest = static_cast<float>(x);
  if (nearest == x || std::isnan(x)) return nearest;
  const auto bits = std::bit_cast<std::uint32_t>(nearest);
  return std::bit_cast<float>((std::abs(nearest) > std::abs(x) ? bits - 1 : bits) | 1);
}

template <class E>
std::optional<std::uint16_t> narrowed(double x) {
  const E all = nearest<E>(rounded_to_odd(x));
  if ((all.bits & 0x7FFF) == E::kInfinity && std::isfinite(x)) return std::nullopt;
  return all.bits;
}

}  // namespace

std::optional<std::uint16_t> float16_of(double x) { return narrowed<Float16>(x); }
std::optional<std::uint16_t> bfloat16_of(double x) { return narrowed<BFloat16>(x); }

const ElementFormat* find_format(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFormats), std::end(kFormats),
                                   [&](const ElementFormat& f) { return f.name == name; });
  return found == std::end(kFormats) ? nullptr : found;
}

std::string format_names() {
  std::vector<std::string_view> names;
  for (const auto& f : kFormats) names.push_back(f.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

ag::Tensor read_elements(const std::string& path, std::string_view prefix,
                         const ElementFormat& format, const ag::Shape& shape, bool big_endian,
                         const ByteSource& source) {
  ag::shapes::check(path, shape);  // or the refusal would not name the file
  ag::Tensor tensor = ag::empty(shape, format.dtype);
  if (format.convert || (big_endian && format.bits > 8))
    read_converted(format, tensor, big_endian && format.bits > 8, source);
  else if (tensor.numel() > 0)
    source(tensor.raw_mutable(),
           static_cast<std::uint64_t>(tensor.numel()) * ag::size_of(format.dtype));
  if (format.name == "U64")
    for (std::int64_t i = 0; i < tensor.numel(); ++i)
      if (const std::int64_t x = tensor.data<std::int64_t>()[i]; x < 0)
        fail(path, "{}elements of U64 must fit in int64, got {}", prefix,
             static_cast<std::uint64_t>(x));
  return tensor;
}

}  // namespace nn::detail
