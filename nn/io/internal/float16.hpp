#pragma once

#include <bit>
#include <cstdint>

/// Numbers of 16 bits: IEEE's of half precision, and the upper half of a float.
namespace nn::detail {

struct Float16 {
  std::uint16_t bits;
  static constexpr std::uint16_t kInfinity = 0x7C00;
};
struct BFloat16 {
  std::uint16_t bits;
  static constexpr std::uint16_t kInfinity = 0x7F80;
};

/// What one counts as. Without branches, so that the loops around it are vectors.
constexpr float value(BFloat16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }
constexpr float value(Float16 x) {
  constexpr std::uint32_t shift = 112u << 23;  // between the exponents of both formats
  const std::uint32_t magnitude = x.bits & 0x7FFFu, sign = std::uint32_t{x.bits & 0x8000u} << 16;
  const std::uint32_t normal =
      (magnitude << 13) + shift + (magnitude >= 0x7C00 ? shift : 0);  // infinity and NaN go on
  const float small = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
  return std::bit_cast<float>(sign |
                              (magnitude < 0x400 ? std::bit_cast<std::uint32_t>(small) : normal));
}

/// The nearest one, ties to even; beyond the range infinity. Without branches too.
template <class E>
constexpr E nearest(float x);
template <>
constexpr BFloat16 nearest<BFloat16>(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
  const std::uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  return {static_cast<std::uint16_t>((nan ? (bits & 0x80000000) | 0x7FC00000 : rounded) >> 16)};
}
template <>
constexpr Float16 nearest<Float16>(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  // Next to ½ floats are as far apart as the small numbers of 16 bits.
  const float small = std::bit_cast<float>(magnitude) + 0.5f;
  const std::uint32_t below = std::bit_cast<std::uint32_t>(small) - 0x3F000000;
  const std::uint32_t normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - (112u << 23)) >> 13;
  std::uint32_t out = magnitude < 0x38800000 ? below : normal;  // 2^-14
  out = magnitude >= 0x477FF000 ? 0x7C00 : out;                 // 65520
  out = magnitude > 0x7F800000 ? 0x7E00 : out;
  return {static_cast<std::uint16_t>(out | ((bits >> 16) & 0x8000))};
}

}  // namespace nn::detail
