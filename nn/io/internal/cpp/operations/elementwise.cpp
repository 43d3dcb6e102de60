#include <fmt/format.h>

#include "nn/io/internal/cpp/operations/extremes.hpp"
#include "nn/io/internal/cpp/writer.hpp"

// Element by element, by the formulas of elementwise.def.
namespace nn::cpp_out {
namespace {

// Functions of <cmath> by the same name, and those of the file.
#define XGRAD_STANDARD(name) \
  Text name(const Text& x) { return call("std::" #name, x); }
XGRAD_STANDARD(sqrt)
XGRAD_STANDARD(exp)
XGRAD_STANDARD(expm1)
XGRAD_STANDARD(log)
XGRAD_STANDARD(log1p)
XGRAD_STANDARD(sin)
XGRAD_STANDARD(cos)
XGRAD_STANDARD(tanh)
XGRAD_STANDARD(erf)
XGRAD_STANDARD(tan)
XGRAD_STANDARD(asin)
XGRAD_STANDARD(acos)
XGRAD_STANDARD(atan)
XGRAD_STANDARD(sinh)
XGRAD_STANDARD(cosh)
XGRAD_STANDARD(asinh)
XGRAD_STANDARD(acosh)
XGRAD_STANDARD(atanh)
XGRAD_STANDARD(exp2)
XGRAD_STANDARD(log2)
XGRAD_STANDARD(log10)
XGRAD_STANDARD(cbrt)
XGRAD_STANDARD(erfc)
XGRAD_STANDARD(lgamma)
#undef XGRAD_STANDARD
// Of whole numbers what they are.
#define XGRAD_ROUNDING(name, function) \
  Text name(const Text& x) { return x.dtype == ag::int64 ? x : call("std::" #function, x); }
XGRAD_ROUNDING(floor, floor)
XGRAD_ROUNDING(ceil, ceil)
XGRAD_ROUNDING(trunc, trunc)
XGRAD_ROUNDING(round, nearbyint)
#undef XGRAD_ROUNDING
Text abs(const Text& x) {
  return x.dtype == ag::int64 ? where(x < 0, -x, x) : call("std::fabs", x);
}
Text maximum(const Text& a, const Text& b) { return call("kernels::maximum", a, b); }
Text minimum(const Text& a, const Text& b) { return call("kernels::minimum", a, b); }
Text pow(const Text& a, const Text& b) { return call("std::pow", a, b); }
Text fmod(const Text& a, const Text& b) { return call("std::fmod", a, b); }
Text atan2(const Text& a, const Text& b) { return call("std::atan2", a, b); }
Text hypot(const Text& a, const Text& b) { return call("std::hypot", a, b); }
Text remainder(const Text& a, const Text& b) { return call("kernels::remainder_of", a, b); }
Text gelu_gate(const Text& x) { return call("kernels::gelu_gate", x); }
Text normal_cdf(const Text& x) { return 0.5 * erfc(-0.7071067811865476 * x); }
Text softplus(const Text& x) { return maximum(x, 0) + log1p(exp(-abs(x))); }

[[noreturn]] Text refuse(std::string_view op) {
  ag::fail("save_cpp", "operations must have a formula in C++, got {}", op);
}
Text erfinv(const Text&) { refuse("erfinv"); }
Text digamma(const Text&) { refuse("digamma"); }
Text polygamma(const Text&, const Text&) { refuse("polygamma"); }

using Formula = Text (*)(const std::vector<Text>&);
struct Row {
  std::string_view name;
  Formula formula;
};

#define PRIMITIVE(name, ...) {#name, [](const std::vector<Text>& in) { return name(in[0]); }},
#define UNARY(name, dtypes, value, ...)     \
  {#name, [](const std::vector<Text>& in) { \
     const Text& x = in[0];                 \
     return Text(value);                    \
   }},
#define BINARY(name, dtypes, value, ...)    \
  {#name, [](const std::vector<Text>& in) { \
     const Text &a = in[0], &b = in[1];     \
     return Text(value);                    \
   }},
#define TERNARY(name, dtypes, value, ...)           \
  {#name, [](const std::vector<Text>& in) {         \
     const Text &a = in[0], &b = in[1], &c = in[2]; \
     return Text(value);                            \
   }},
#define COMPARE(name, value)                \
  {#name, [](const std::vector<Text>& in) { \
     const Text &a = in[0], &b = in[1];     \
     return Text(value);                    \
   }},
constexpr Row kFormulas[] = {
#include "autograd/formulas/elementwise.def"
};

const Kernel kRemainder{R"(
// With the sign of the divisor.
template <class T>
inline T remainder_of(T a, T b) {
  const T r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
)"};
const Kernel kGeluGate{R"(
// (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
inline T gelu_gate(T x) {
  return 1 / (1 + std::exp(T(-1.5957691216057308) * (x + T(0.044715) * x * x * x)));
}
)"};

void apply(const Call& call, Formula formula) {
  const Sizes to = call.result_shape();
  std::vector<Sizes> strides{contiguous(to)};
  for (std::size_t i = 0; i < call.inputs(); ++i) strides.push_back(broadcast(call.shape(i), to));
  const Loops loops(to, strides);
  std::vector<Text> in;
  for (std::size_t i = 0; i < call.inputs(); ++i) in.push_back(call.element(i, loops.index(i + 1)));
  const std::string value = formula(in).text;
  for (const auto& [word, kernel] : {std::pair{"maximum(", &kExtremes},
                                     {"minimum(", &kExtremes},
                                     {"remainder_of(", &kRemainder},
                                     {"gelu_gate(", &kGeluGate}})
    if (value.find(word) != value.npos) call.use(*kernel);
  loops.around(call, fmt::format("{}[{}] = {};", call.out(), loops.index(0), value));
  for (std::size_t i = 0; i < call.inputs(); ++i)
    if (call.shape(i) == to && call.dtype(i) == call.result_dtype()) call.may_replace(0, i);
}

Layout layout(const Call& call) {
  for (std::size_t i = 0; i < call.inputs(); ++i)
    if (!call.number(i) &&
        (call.is_constant(i) || call.shape(i) != call.result_shape() || !call.is_whole(i)))
      return {};
  return {.writes = true, .alike = true};
}

Text joined(const char* op, const std::vector<Text>& in, Text::Level level) {
  return binary(op, in[0], in[1], level);
}

}  // namespace

void add_elementwise(Table& t) {
  for (const Row& row : kFormulas)
    t.by_name[std::string(row.name)] = [&row](const Call& call) { apply(call, row.formula); };
  const auto add = [&](const char* name, Formula formula) {
    t.by_name[name] = [formula](const Call& call) { apply(call, formula); };
  };
  add("where", [](const std::vector<Text>& in) { return where(in[0], in[1], in[2]); });
  add("and", [](const std::vector<Text>& in) { return joined(" && ", in, Text::both); });
  add("or", [](const std::vector<Text>& in) { return joined(" || ", in, Text::either); });
  add("xor", [](const std::vector<Text>& in) { return joined(" != ", in, Text::order); });
  for (const auto& [name, rule] : t.by_name) t.layouts[name] = layout;
}

}  // namespace nn::cpp_out
