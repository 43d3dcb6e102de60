// Every function that a formula of the user's may call, in a program that is compiled with
// -ffast-math: the results and gradients are the library's own. Compared by their bits, since here
// the compiler knows no NaN. One line for each difference.
#include <autograd/autograd.hpp>

#include <bit>
#include <cstdio>
#include <initializer_list>
#include <vector>

namespace ag = autograd;
using ag::Tensor;

namespace {

int differences = 0;
constexpr bool kValueOnly = true;  // where the derivative is another formula
constexpr const char* kByHand = "value by hand";

// The special values in T: of one operand all, of several each with each.
template <class T>
std::vector<Tensor> operands(int arity) {
  using Limits = std::numeric_limits<T>;
  std::vector<double> one{0,
                          1e-30,
                          0.1,
                          0.25,
                          0.5,
                          0.7,
                          1,
                          1.5,
                          2,
                          2.5,
                          3,
                          6,
                          10.7,
                          19.5,
                          88.9,
                          104,
                          1e4,
                          9.5e6,
                          1e30,
                          static_cast<double>(Limits::max()),
                          static_cast<double>(Limits::infinity())};
  if (arity > 1) one = {0, 0.3, 0.5, 1, 2, 3, 77, 1e30, static_cast<double>(Limits::infinity())};
  for (std::size_t i = one.size(); i-- > 0;) one.push_back(-one[i]);
  one.push_back(std::bit_cast<double>(std::uint64_t{0x7ff8} << 48));
  std::vector<std::vector<T>> all(static_cast<std::size_t>(arity));
  std::size_t count = 1;
  for (int k = 0; k < arity; ++k) count *= one.size();
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t k = 0, rest = i; k < all.size(); ++k, rest /= one.size())
      all[k].push_back(static_cast<T>(one[rest % one.size()]));
  std::vector<Tensor> result;
  for (const auto& values : all) result.push_back(ag::tensor(values));
  return result;
}

template <class T>
auto bits(T x) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<std::uint32_t>(x);
  else
    return std::bit_cast<std::uint64_t>(x);
}
template <class T>
bool is_nan(T x) {
  return (bits(x) << 1) > (bits(std::numeric_limits<T>::infinity()) << 1);
}

template <class T>
void compare(const char* name, const char* what, const std::vector<Tensor>& x, const Tensor& got,
             const Tensor& right) {
  const T *a = got.data<T>(), *b = right.data<T>();
  for (std::int64_t i = 0; i < right.numel(); ++i) {
    const bool zeros = (bits(a[i]) << 1) == 0 && (bits(b[i]) << 1) == 0;
    if (bits(a[i]) == bits(b[i]) || zeros || (is_nan(a[i]) && is_nan(b[i]))) continue;
    // Comparisons of NaN are what the flags make of them.
    if (what == kByHand && is_nan(b[i])) continue;
    // With a derivative of 0 along the other operands, 0 · inf.
    if (x.size() > 1 && what[0] == 'g' && is_nan(a[i])) continue;
    ++differences;
    std::printf("%s %s %s of", name, sizeof(T) == 4 ? "float32" : "float64", what);
    for (const Tensor& t : x) std::printf(" %g", static_cast<double>(t.data<T>()[i]));
    std::printf(": got %.9g, not %.9g\n", static_cast<double>(a[i]), static_cast<double>(b[i]));
    return;
  }
}

// A row of elementwise.def by the library alone.
template <class T>
Tensor by_library(ag::simd::Row row, int input, const std::vector<Tensor>& in) {
  std::vector<const void*> places;
  for (const Tensor& t : in) places.push_back(t.data<T>());
  Tensor out = ag::empty_like(in[0]);
  ag::simd::run_row(row, input, sizeof(T) == 8, places.data(), out.mutable_data<T>(), out.numel());
  return out;
}

template <class T, class F>
void check(const char* name, ag::simd::Row row, int arity, const F& formula, bool value_only) {
  std::vector<Tensor> x = operands<T>(arity);
  for (Tensor& t : x) t.requires_grad_();
  const auto call = [&] {
    if constexpr (F::arity == 1)
      return formula.f(x[0]);
    else if constexpr (F::arity == 2)
      return formula.f(x[0], x[1]);
    else
      return formula.f(x[0], x[1], x[2]);
  };
  const Tensor y = call();
  const Tensor right = by_library<T>(row, ag::simd::kValue, x);
  compare<T>(name, value_only ? kByHand : "value", x, y, right);
  if (value_only) return;
  ag::sum(y).backward();
  std::vector<Tensor> seen{ag::ones_like(right)};
  seen.insert(seen.end(), x.begin(), x.end());
  seen.push_back(right);
  for (int i = 0; i < arity; ++i)
    compare<T>(name, "gradient", x, x[static_cast<std::size_t>(i)].grad(),
               by_library<T>(row, i, seen));
}

template <int N, class F>
struct Formula {
  static constexpr int arity = N;
  F f;
};
template <int N, class F>
void check_both(const char* name, ag::simd::Row row, F f, bool value_only = false) {
  const Formula<N, decltype(ag::elementwise(name, f))> formula{ag::elementwise(name, f)};
  check<float>(name, row, N, formula, value_only);
  check<double>(name, row, N, formula, value_only);
}

}  // namespace

int main() {
  using ag::simd::Row;
#define PRIMITIVE(op, ...) check_both<1>(#op, Row::op, [](auto x) { return op(x); });
#define UNARY(op, ...) PRIMITIVE(op)
#define BINARY(op, ...) check_both<2>(#op, Row::op, [](auto x, auto y) { return op(x, y); });
#define TERNARY(op, ...) \
  check_both<3>(#op, Row::op, [](auto x, auto y, auto z) { return op(x, y, z); });
#define COMPARE(...)
#include <autograd/formulas/elementwise.def>

  // The operators, and a comparison of each kind.
  check_both<1>("-x", Row::neg, [](auto x) { return -x; });
  check_both<2>("x + y", Row::add, [](auto x, auto y) { return x + y; });
  check_both<2>("x - y", Row::sub, [](auto x, auto y) { return x - y; });
  check_both<2>("x * y", Row::mul, [](auto x, auto y) { return x * y; });
  check_both<2>("x / y", Row::div, [](auto x, auto y) { return x / y; });
  check_both<1>(
      "1 / x", Row::reciprocal, [](auto x) { return 1 / x; }, kValueOnly);
  check_both<1>(
      "sigmoid", Row::sigmoid, [](auto x) { return 1 / (1 + exp(-x)); }, kValueOnly);
  check_both<1>(
      "relu", Row::relu, [](auto x) { return where(x <= 0, 0, x); }, kValueOnly);
  if (differences == 0) std::puts("the library's own results");
  return differences == 0 ? 0 : 1;
}
