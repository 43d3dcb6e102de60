// Four ways to add an operation of your own, each checked to second order against finite
// differences.
#include <autograd/autograd.hpp>
#include <autograd/xtensor.hpp>

#include <fmt/core.h>
#include <xtensor-blas/xlinalg.hpp>

#include <cmath>
#include <string_view>

namespace ag = autograd;

// 1. One formula for one element, as a generic lambda. It runs as a single pass; its derivatives
// follow from it.
const auto snake = ag::elementwise("snake", [](auto x, auto a) {
  using std::sin;
  return x + sin(a * x) * sin(a * x) / a;
});

// 2. A function with a gradient of its own, and with an argument that is a plain number. A context
// of
//    your own keeps such numbers for the way back.
struct ScaleContext : ag::Context {
  double factor = 1;
};
struct ReverseGradient : ag::Function<ReverseGradient, ScaleContext> {
  static ag::Tensor forward(ScaleContext& ctx, const ag::Tensor& x, double factor) {
    ctx.factor = factor;
    return x;
  }
  static ag::TensorList backward(ScaleContext& ctx, const ag::TensorList& grad) {
    return {-ctx.factor * grad[0]};
  }
};

// 3. A forward in xtensor, for code that is there already. The backward uses the function itself,
// so it
//    can be differentiated again.
struct CumulativeSum : ag::Function<CumulativeSum> {
  static ag::Tensor forward(ag::Context&, const ag::Tensor& x) {
    return xt::cumsum(x.array<double>(), 0);
  }
  static ag::TensorList backward(ag::Context&, const ag::TensorList& grad) {
    return {reversed(CumulativeSum::apply(reversed(grad[0])))};
  }
  static ag::Tensor reversed(const ag::Tensor& t) {
    return ag::index_select(t, 0, t.size(0) - 1 - ag::arange(t.size(0)));
  }
};

// 4. An operation as the library's own are written: it says what it saves, and applies itself in
// its
//    gradient. Solves a x = b.
struct Solve {
  std::string_view name() const { return "solve"; }
  ag::TensorSpec infer(const ag::Inputs& in) const {
    const ag::Shape &a = in[0].shape(), &b = in[1].shape();
    if (a.ndim() != 2 || a[0] != a[1] || b.ndim() != 2 || b[0] != a[0])
      ag::fail("solve", "needs a (n, n) and b (n, m), got {} and {}", a, b);
    if (in[0].dtype() != ag::float64 || in[1].dtype() != ag::float64)
      ag::fail("solve", "needs float64, got {} and {}", ag::name(in[0].dtype()),
               ag::name(in[1].dtype()));
    return {b, ag::float64};
  }
  void forward(const ag::Inputs& in, ag::Tensor& out) const {
    const xt::xarray<double> a = in[0].array<double>(), b = in[1].array<double>();
    xt::noalias(out.array<double>()) = xt::linalg::solve(a, b);
  }
  unsigned saves() const { return ag::save_input(0) | ag::kSaveOutput; }
  ag::TensorList backward(const ag::Call& call) const {
    const ag::Tensor gb = ag::apply(Solve{}, ag::transpose(call.input(0)), call.grad());
    return {-ag::matmul(gb, ag::transpose(call.output())), gb};
  }
};
ag::Tensor solve(const ag::Tensor& a, const ag::Tensor& b) { return ag::apply(Solve{}, a, b); }

int main() {
  ag::manual_seed(0);
  bool all = true;
  auto report = [&](const char* name, const ag::GradcheckResult& check) {
    fmt::print("{:<16} {}\n", name, check.report());
    all = all && check;
  };
  const ag::Tensor x = ag::randn({5}, ag::float64), a = 1 + ag::rand({5}, ag::float64);
  const ag::Tensor matrix = ag::randn({3, 3}, ag::float64) + 4 * ag::Tensor(xt::eye<double>(3));
  const ag::Tensor right = ag::randn({3, 2}, ag::float64);
  report("snake", ag::gradgradcheck(snake, {x, a}));
  report("cumulative sum", ag::gradgradcheck(CumulativeSum::apply<ag::Tensor>, {x}));
  report("solve", ag::gradgradcheck(solve, {matrix, right}));

  // A reversed gradient is a lie on purpose (Ganin and Lempitsky 2015), so it is shown, not
  // checked.
  const auto [value, gradient] = ag::value_and_grad(
      [](const ag::Tensor& t) { return ag::sum(ReverseGradient::apply(t, 2.0)); })(ag::ones({3}));
  fmt::print("reversed         {:.1f}\n", gradient);
  return all ? 0 : 1;
}
