#include <cmath>
#include <random>
#include <vector>

#include "autograd/formulas/library.hpp"
#include "tests/catch.hpp"

// What stands beside an element, in the same register, changes nothing.

namespace {

using autograd::simd::Row;

struct Operation {
  const char* name;
  Row row;
  std::vector<double> bounds;  // of each operand's samples
};
const std::vector<Operation>& operations() {
  static const std::vector<Operation> all{
#define PRIMITIVE(op, kind, gradient, ...) {#op, Row::op, {__VA_ARGS__}},
#define UNARY(op, kind, value, gradient, ...) {#op, Row::op, {__VA_ARGS__}},
#define BINARY(op, kind, value, ga, gb, ...) {#op, Row::op, {__VA_ARGS__}},
#define TERNARY(op, kind, value, ga, gb, gc, ...) {#op, Row::op, {__VA_ARGS__}},
#define COMPARE(op, ...)
#include "autograd/formulas/elementwise.def"
  };
  return all;
}

constexpr std::size_t kCount = 3000, kEvery = 7;  // the elements that are looked at

// The cotangent, the operands, and room for the result.
template <class T>
using Operands = std::vector<std::vector<T>>;

template <class T>
std::vector<T> computed(const Operation& op, int input, const Operands<T>& in) {
  std::vector<const void*> operands;
  for (std::size_t k = input < 0 ? 1 : 0; k < in.size(); ++k) operands.push_back(in[k].data());
  std::vector<T> y(kCount);
  run_row(op.row, input, sizeof(T) == 8, operands.data(), y.data(), kCount);
  return y;
}

// Within the bounds and, one in three, far outside, where functions may go other ways.
template <class T>
Operands<T> samples(const Operation& op) {
  std::mt19937_64 engine(7);
  std::uniform_real_distribution<double> unit(0, 1), exponent(0, 30);
  Operands<T> in(op.bounds.size() / 2 + 2, std::vector<T>(kCount, T(0.75)));
  for (std::size_t k = 1; k + 1 < in.size(); ++k)
    for (T& x : in[k]) {
      const double low = op.bounds[2 * k - 2], high = op.bounds[2 * k - 1];
      const double far = unit(engine) < 0.3 ? std::exp2(exponent(engine)) : 1;
      x = static_cast<T>(far * (low + (high - low) * unit(engine)));
    }
  in.back() = computed(op, autograd::simd::kValue, in);
  return in;
}

template <class T>
void check_beside(const Operation& op) {
  const Operands<T> in = samples<T>(op);
  const int arity = static_cast<int>(in.size()) - 2;
  for (int input = autograd::simd::kValue; input < arity; ++input) {
    const std::vector<T> y = computed(op, input, in);
    for (const double other : {0.0, 0.5, 1.0, 30.0, -1e3, 1e6, 1e30, HUGE_VAL, std::nan("")}) {
      Operands<T> beside = in;
      for (auto& operand : beside)
        for (std::size_t i = 0; i < kCount; ++i)
          if (i % kEvery) operand[i] = static_cast<T>(other);
      const std::vector<T> z = computed(op, input, beside);
      std::size_t changed = 0;
      for (std::size_t i = 0; i < kCount; i += kEvery)
        changed += !(y[i] == z[i] || (std::isnan(y[i]) && std::isnan(z[i])));
      INFO(op.name << (sizeof(T) == 8 ? " of float64" : " of float32") << ", input " << input
                   << ", beside " << other);
      CHECK(changed == 0);
    }
  }
}

}  // namespace

TEST_CASE("an element of an elementwise result does not depend on those beside it") {
  for (const Operation& op : operations()) {
    check_beside<float>(op);
    check_beside<double>(op);
  }
}
