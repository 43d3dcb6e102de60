#include "nn/io/internal/cpp/text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace nn::cpp_out {

std::string_view type_of(ag::DType dtype) {
  switch (dtype) {
    case ag::float32:
      return "float";
    case ag::float64:
      return "double";
    case ag::int64:
      return "std::int64_t";
    case ag::boolean:
      break;
  }
  return "bool";
}

std::string literal(std::int64_t value) {
  // The least number is no literal: a minus is an operation on what is too large.
  if (value == INT64_MIN) return "INT64_MIN";
  return fmt::format("{}", value);
}

std::string literal(double value, ag::DType dtype) {
  if (dtype == ag::boolean) return value != 0 ? "true" : "false";
  if (dtype == ag::int64) return literal(static_cast<std::int64_t>(value));
  const bool single = dtype == ag::float32;
  if (!std::isfinite(value))
    return fmt::format("{}std::numeric_limits<{}>::{}()", value < 0 ? "-" : "", type_of(dtype),
                       value != value ? "quiet_NaN" : "infinity");
  // The shortest that reads back to the same number.
  std::string digits =
      single ? fmt::format("{}", static_cast<float>(value)) : fmt::format("{}", value);
  if (digits.find_first_of(".e") == digits.npos) digits += ".0";
  return single ? digits + "f" : digits;
}

std::string Text::in(const Text& like, Level least) const {
  if (is_number_) {
    const std::string t = literal(number_, like.dtype);
    return t[0] == '-' && least > sign ? "(" + t + ")" : t;
  }
  return level < least ? "(" + text + ")" : text;
}

Text binary(const char* op, const Text& a, const Text& b, Text::Level level) {
  const Text& like = a.is_number() ? b : a;
  if (like.dtype == ag::int64 && (level == Text::sum || level == Text::product))  // wraps around
    return {fmt::format("std::int64_t(std::uint64_t({}){}std::uint64_t({}))",
                        a.in(like, Text::choice), op, b.in(like, Text::choice)),
            like.dtype};
  // To the right of a minus or a division stands what binds more.
  const auto right = static_cast<Text::Level>(level + 1);
  return {a.in(like, level == Text::order ? right : level) + op + b.in(like, right), like.dtype,
          level};
}

Text call(const char* f, const Text& a) {
  return {fmt::format("{}({})", f, a.in(a, Text::choice)), a.dtype};
}
Text call(const char* f, const Text& a, const Text& b) {
  const Text& like = a.is_number() ? b : a;
  return {fmt::format("{}({}, {})", f, a.in(like, Text::choice), b.in(like, Text::choice)),
          like.dtype};
}

Text operator-(const Text& x) {
  return x.dtype == ag::int64 ? 0 - x : Text("-" + x.in(x, Text::whole), x.dtype, Text::sign);
}

Text where(const Text& condition, const Text& a, const Text& b) {
  const Text& like = a.is_number() ? b : a;
  return {fmt::format("{} ? {} : {}", condition.in(condition, Text::either),
                      a.in(like, Text::either), b.in(like, Text::choice)),
          like.dtype, Text::choice};
}

}  // namespace nn::cpp_out
