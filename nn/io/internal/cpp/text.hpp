#pragma once

#include <string>

#include "autograd/core/dtype.hpp"

/// The number type on which the formulas of elementwise.def become C++. Internal.
namespace nn::cpp_out {

namespace ag = autograd;

/// What elements of a dtype are called in C++.
std::string_view type_of(ag::DType dtype);
/// A number as a literal that gives the same bits again.
std::string literal(double value, ag::DType dtype);
std::string literal(std::int64_t value);

/// An expression, or a number that takes the dtype of what it meets.
struct Text {
  /// How tightly it binds, from where nothing can come between on.
  enum Level { choice, either, both, order, sum, product, sign, whole };

  Text(double number) : number_(number), is_number_(true) {}  // NOLINT: formulas have literals
  Text(std::string text, ag::DType dtype, Level level = whole)
      : text(std::move(text)), dtype(dtype), level(level) {}

  std::string text{};
  ag::DType dtype = ag::float32;
  Level level = whole;

  bool is_number() const { return is_number_; }
  /// In the dtype of `like`, in parentheses if it binds less than `least`.
  std::string in(const Text& like, Level least) const;

 private:
  double number_ = 0;
  bool is_number_ = false;
};

Text binary(const char* op, const Text& a, const Text& b, Text::Level level);
/// f(a), f(a, b).
Text call(const char* f, const Text& a);
Text call(const char* f, const Text& a, const Text& b);

#define XGRAD_OPERATOR(op, level)                         \
  inline Text operator op(const Text& a, const Text& b) { \
    return binary(" " #op " ", a, b, Text::level);        \
  }
XGRAD_OPERATOR(+, sum)
XGRAD_OPERATOR(-, sum)
XGRAD_OPERATOR(*, product)
XGRAD_OPERATOR(/, product)
#undef XGRAD_OPERATOR
#define XGRAD_OPERATOR(op)                                \
  inline Text operator op(const Text& a, const Text& b) { \
    Text t = binary(" " #op " ", a, b, Text::order);      \
    t.dtype = ag::boolean;                                \
    return t;                                             \
  }
XGRAD_OPERATOR(==)
XGRAD_OPERATOR(!=)
XGRAD_OPERATOR(<)
XGRAD_OPERATOR(<=)
XGRAD_OPERATOR(>)
XGRAD_OPERATOR(>=)
#undef XGRAD_OPERATOR
Text operator-(const Text& x);
Text where(const Text& condition, const Text& a, const Text& b);

}  // namespace nn::cpp_out
