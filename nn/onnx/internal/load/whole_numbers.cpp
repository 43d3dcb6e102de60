#include "nn/onnx/internal/load/whole_numbers.hpp"

#include "autograd/autograd.hpp"

namespace nn::interpreter {
namespace {

// The one quotient of int64 that is none.
bool overflows(std::int64_t a, std::int64_t b) {
  return b == -1 && a == std::numeric_limits<std::int64_t>::min();
}
void check(std::string_view op, std::int64_t b) {
  if (b == 0) ag::fail(op, "divisors of integers must not be 0, got one that is");
}

}  // namespace

Tensor whole_numbers(std::string_view op, const Tensor& a, const Tensor& b, OfWholeNumbers f) {
  if (a.dtype() != ag::int64 || b.dtype() != ag::int64)
    ag::fail(op, "operands must be integers, got {} and {}", ag::name(a.dtype()),
             ag::name(b.dtype()));
  const ag::Shape shape = ag::shapes::broadcast(op, a.shape(), b.shape());
  const auto x = integers_of(ag::broadcast_to(a, shape)),
             y = integers_of(ag::broadcast_to(b, shape));
  std::vector<std::int64_t> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = f(x[i], y[i]);
  return host(out, shape);
}

std::int64_t divided_towards_zero(std::int64_t a, std::int64_t b) {
  check("Div", b);
  return overflows(a, b) ? a : a / b;
}
std::int64_t remainder_of_c(std::int64_t a, std::int64_t b) {
  check("Mod", b);
  return overflows(a, b) ? 0 : a % b;
}
std::int64_t remainder_of_python(std::int64_t a, std::int64_t b) {
  const std::int64_t r = remainder_of_c(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
std::int64_t whole_power(std::int64_t a, std::int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  auto base = static_cast<std::uint64_t>(a);
  std::uint64_t result = 1;
  for (; b > 0; b /= 2, base *= base)
    if (b % 2 == 1) result *= base;
  return static_cast<std::int64_t>(result);
}

}  // namespace nn::interpreter
