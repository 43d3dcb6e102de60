// Prints docs/op_table.md from the rows of elementwise.def.
#include <fmt/core.h>

#include <string>
#include <string_view>

#include "autograd/formulas/formulas.hpp"

namespace simd = autograd::simd;

template <class F>
void row() {
  std::string gradients, kept, domain;
  auto join = [](std::string& text, std::string_view more, std::string_view separator) {
    text += text.empty() ? "" : separator;
    text += more;
  };
  auto in_any_gradient = [](char name) {
    for (std::string_view text : F::gradient_text)
      if (simd::mentions(text, name)) return true;
    return false;
  };
  for (int i = 0; i < F::arity; ++i) {
    const char operand = F::operand_names[static_cast<std::size_t>(i)];
    join(gradients, fmt::format("{}: `{}`", operand, F::gradient_text[i]), "<br>");
    join(domain, fmt::format("{} in [{}, {}]", operand, F::range[i].low, F::range[i].high), ", ");
    if (in_any_gradient(operand)) join(kept, {&operand, 1}, ", ");
  }
  if (in_any_gradient('y')) join(kept, "y", ", ");
  fmt::print("| `{}` | {} | `{}` | {} | {} | {} |\n", F::name,
             F::dtypes == "number" ? "floating, int64" : "floating", F::value_text, gradients,
             kept.empty() ? "nothing" : kept, domain);
}

int main() {
  fmt::print(
      "# Elementwise operations\n\n"
      "<!-- Written by build/release/tests/op_table_doc from autograd/formulas/elementwise.def; do "
      "not "
      "edit. -->\n\n"
      "Operands are `x`, or `a`, `b`, `c`. `y` is the result and `g` its cotangent. A gradient of "
      "`0` means "
      "that none flows.\n"
      "\"Kept\" is what the tape keeps for the way back: exactly what the gradients mention. "
      "\"Checked on\" is "
      "where the tests\ncompare first and second derivatives with differences.\n\n"
      "| operation | dtypes | value | gradients | kept | checked on |\n"
      "|---|---|---|---|---|---|\n");
#define PRIMITIVE(name, ...) row<simd::name##_formula>();
#define UNARY(name, ...) row<simd::name##_formula>();
#define BINARY(name, ...) row<simd::name##_formula>();
#define TERNARY(name, ...) row<simd::name##_formula>();
#define COMPARE(name, value)
#include "autograd/formulas/elementwise.def"
  fmt::print(
      "\nComparisons give bool and no gradient:\n\n"
      "| operation | value |\n"
      "|---|---|\n");
#define PRIMITIVE(...)
#define UNARY(...)
#define BINARY(...)
#define TERNARY(...)
#define COMPARE(name, value) fmt::print("| `{}` | `{}` |\n", #name, #value);
#include "autograd/formulas/elementwise.def"
}
