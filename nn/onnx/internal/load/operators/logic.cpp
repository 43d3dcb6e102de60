#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"
#include "nn/onnx/internal/load/whole_numbers.hpp"

namespace nn::interpreter {
namespace {

Tensor equal(const Tensor& a, const Tensor& b) { return a == b; }
Tensor less(const Tensor& a, const Tensor& b) { return a < b; }
Tensor less_or_equal(const Tensor& a, const Tensor& b) { return a <= b; }
Tensor greater(const Tensor& a, const Tensor& b) { return a > b; }
Tensor greater_or_equal(const Tensor& a, const Tensor& b) { return a >= b; }

template <Tensor (*f)(const Tensor&, const Tensor&)>
Run pair(Node& node) {
  if (node.opset < 7 && node.flag("broadcast"))
    node.refuse("broadcast of opset {} must be that of 7 or later", node.opset);
  return [](const Call& call) { return one(f(call[0], call[1])); };
}
template <Tensor (*f)(const Tensor&)>
Run plain(Node&) {
  return unary(f);
}

Run where(Node&) {
  return [](const Call& call) { return one(ag::where(call[0], call[1], call[2])); };
}

Run is_inf(Node& node) {
  const bool negative = node.flag("detect_negative", true),
             positive = node.flag("detect_positive", true);
  return unary([=](const Tensor& x) {
    const Tensor inf = ag::isinf(x);
    if (negative && positive) return inf;
    if (!negative && !positive) return inf & ~inf;
    return inf & (positive ? x > 0 : x < 0);
  });
}

template <std::int64_t (*f)(std::int64_t, std::int64_t)>
Run bits(Node& node) {
  return [op = node.op](const Call& call) { return one(whole_numbers(op, call[0], call[1], f)); };
}
std::int64_t both(std::int64_t a, std::int64_t b) { return a & b; }
std::int64_t either(std::int64_t a, std::int64_t b) { return a | b; }
std::int64_t one_of_both(std::int64_t a, std::int64_t b) { return a ^ b; }

// Also of signed integers: a shift by more than there are bits leaves the sign, as one below 0 does.
std::int64_t shifted_right(std::int64_t a, std::int64_t b) {
  return a >> (b < 0 || b > 63 ? 63 : b);
}
Run bit_shift(Node& node) {
  if (node.text("direction") != "RIGHT")
    node.refuse("direction must be RIGHT: to the left bits would leave types that are int64 here");
  return bits<shifted_right>(node);
}

constexpr Operator kOperators[] = {
    {"And", pair<ag::logical_and>, 2, 2},
    {"BitShift", bit_shift, 2, 2},
    {"BitwiseAnd", bits<both>, 2, 2},
    {"BitwiseOr", bits<either>, 2, 2},
    {"BitwiseXor", bits<one_of_both>, 2, 2},
    {"Equal", pair<equal>, 2, 2},
    {"Greater", pair<greater>, 2, 2},
    {"GreaterOrEqual", pair<greater_or_equal>, 2, 2},
    {"IsInf", is_inf, 1, 1},
    {"IsNaN", plain<ag::isnan>, 1, 1},
    {"Less", pair<less>, 2, 2},
    {"LessOrEqual", pair<less_or_equal>, 2, 2},
    {"Not", plain<ag::logical_not>, 1, 1},
    {"Or", pair<ag::logical_or>, 2, 2},
    {"Where", where, 3, 3},
    {"Xor", pair<ag::logical_xor>, 2, 2},
};

}  // namespace

std::span<const Operator> logic_operators() { return kOperators; }

}  // namespace nn::interpreter
