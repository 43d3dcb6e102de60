#include "nn/io/internal/elements.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/core/errors.hpp"
#include "autograd/core/shape.hpp"

namespace nn::detail {
namespace {

using ag::fail;

static_assert(std::endian::native == std::endian::little, "the formats are little endian");

float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = std::uint32_t{h} >> 15 << 31, exponent = h >> 10 & 31,
                      fraction = h & 1023;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}
float bfloat_to_float(std::uint16_t b) { return std::bit_cast<float>(std::uint32_t{b} << 16); }
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
    {"F16", 16, ag::float32, convert<half_to_float, std::uint16_t>},
    {"BF16", 16, ag::float32, convert<bfloat_to_float, std::uint16_t>},
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

template <int Fraction, int Bias>
std::optional<std::uint16_t> narrowed(double x) {
  constexpr std::uint32_t kInfinity = (2 * Bias + 1) << Fraction;
  const std::uint32_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return static_cast<std::uint16_t>(sign | kInfinity | 1 << (Fraction - 1));
  std::uint32_t bits = kInfinity;
  if (std::isfinite(x) && x != 0) {
    const int exponent = std::clamp(std::ilogb(x), 1 - Bias, Bias + 1);
    const double fraction = std::nearbyint(std::ldexp(std::abs(x), Fraction - exponent));
    if (fraction > 2 << Fraction) return std::nullopt;  // far beyond
    // The leading 1 of a number that is not subnormal adds itself to the exponent.
    bits = (static_cast<std::uint32_t>(exponent + Bias - 1) << Fraction) +
           static_cast<std::uint32_t>(fraction);
    if (bits >= kInfinity) return std::nullopt;
  } else if (x == 0) {
    bits = 0;
  }
  return static_cast<std::uint16_t>(sign | bits);
}

}  // namespace

std::optional<std::uint16_t> float16_of(double x) { return narrowed<10, 15>(x); }
std::optional<std::uint16_t> bfloat16_of(double x) { return narrowed<7, 127>(x); }

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
