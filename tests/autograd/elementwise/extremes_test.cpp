#include <cmath>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

// Statistics of elements whose squares, or sums, leave the range of their dtype.
namespace ag = autograd;
using ag::Tensor;
using V = std::vector<double>;

namespace {

V values(const Tensor& t) { return t.to(ag::float64).to_vector<double>(); }

// Each is within `tolerance` of the largest.
void check_near(const Tensor& t, const V& right, double tolerance) {
  const V got = values(t);
  REQUIRE(got.size() == right.size());
  double most = 0;
  for (const double v : right) most = std::max(most, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("element " << i << ": " << got[i] << ", right " << right[i]);
    CHECK(std::abs(got[i] - right[i]) <= tolerance * most);
  }
}

V times(V v, double factor) {
  for (double& x : v) x *= factor;
  return v;
}

struct Result {
  Tensor value, fused, recorded, second;
};
template <class F>
Result derivatives(F f, const Tensor& at) {
  const Tensor x = at.detach().clone().requires_grad_();
  const Tensor weights = ag::tensor({1.0, -2.0, 3.0, 0.5}).to(x.dtype());
  const Tensor y = f(x);
  const auto loss = [&](const Tensor& t) { return ag::sum(t * (t.ndim() ? weights : t * 0 + 1)); };
  const Tensor fused = ag::grad({loss(y)}, {x}, {.retain_graph = true})[0];
  const Tensor recorded = ag::grad({loss(y)}, {x}, {.create_graph = true})[0];
  return {y, fused, recorded, ag::grad({loss(recorded)}, {x})[0]};
}

struct Scale {
  ag::DType dtype;
  double factor;
};
const std::vector<Scale> kScales{{ag::float32, 1e30},  {ag::float32, 5e37},  {ag::float32, 1e-30},
                                 {ag::float64, 1e300}, {ag::float64, 2e307}, {ag::float64, 1e-300}};

// f of x times a factor is f times factor^degree: so are the derivatives, each a degree less.
template <class F>
void check_homogeneous(F f, int degree) {
  const Tensor base = ag::tensor({1.0, 2.0, 3.0, 4.5});
  const Result right = derivatives(f, base);
  for (const auto& [dtype, factor] : kScales) {
    INFO(name(dtype) << ", factor " << factor);
    const double tolerance = dtype == ag::float32 ? 2e-6 : 1e-13;
    const Result got = derivatives(f, (base * factor).to(dtype));
    check_near(got.value, times(values(right.value), degree == 1 ? factor : 1), tolerance);
    const double first = degree == 1 ? 1 : 1 / factor;
    // Derivatives that are no normal numbers have lost digits.
    if (first < 1e-37 && dtype == ag::float32) continue;
    if (first < 1e-307) continue;
    check_near(got.fused, times(values(right.fused), first), tolerance);
    check_near(got.recorded, times(values(right.recorded), first), tolerance);
    if (degree == 1 && factor < (dtype == ag::float32 ? 1e35 : 1e305))
      check_near(got.second, times(values(right.second), 1 / factor), 10 * tolerance);
  }
}

}  // namespace

TEST_CASE("layer normalisation is right near overflow and underflow") {
  check_homogeneous([](const Tensor& x) { return ag::layer_norm(x, {4}, {}, {}, 0); }, 0);
  const double outer = 3 / std::sqrt(5), inner = 1 / std::sqrt(5);
  const Tensor x = (ag::tensor({1.0, 2.0, 3.0, 4.0}) * 1e30).to(ag::float32);
  check_near(ag::layer_norm(x, {4}), {-outer, -inner, inner, outer}, 1e-6);
  // A sum that overflows, elements of both signs whose difference does, and rows as usual beside.
  const Tensor rows = ag::tensor({{3e38, 3e38, 3e38, 3.4e38},
                                  {3.4e38, -3.4e38, 3.4e38, -3.4e38},
                                  {1.0, 2.0, 3.0, 4.0},
                                  {0.0, 0.0, 0.0, 0.0},
                                  {1e20, 1e20, 1e20, 1e20}})
                          .to(ag::float32)
                          .detach()
                          .requires_grad_();
  const Tensor y = ag::layer_norm(rows, {4});
  const double third = 1 / std::sqrt(3);
  check_near(ag::select(y, 0, 0), {-third, -third, -third, std::sqrt(3)}, 1e-5);
  check_near(ag::select(y, 0, 1), {1, -1, 1, -1}, 1e-6);
  CHECK(values(ag::select(y, 0, 2)) == values(ag::layer_norm(ag::select(rows, 0, 2), {4})));
  check_near(ag::select(y, 0, 3), {0, 0, 0, 0}, 0);
  check_near(ag::select(y, 0, 4), {0, 0, 0, 0}, 0);
  const Tensor w = ag::tensor({1.0, 2.0, 3.0, 4.0}).to(ag::float32);
  for (const bool create_graph : {false, true})
    CHECK(ag::all(ag::isfinite(ag::grad({ag::sum(y * w)}, {rows},
                                        {.retain_graph = true, .create_graph = create_graph})[0]))
              .item<bool>());
  // eps counts in the units of x.
  const Tensor tiny = ag::tensor({1e-25, 3e-25}).to(ag::float32);
  check_near(ag::layer_norm(tiny, {2}, {}, {}, 1e-50), {-std::sqrt(0.5), std::sqrt(0.5)}, 1e-6);
  CHECK(ag::sum(ag::isnan(ag::layer_norm(ag::tensor({INFINITY, 1.0f}), {2}))).item() > 0);
  CHECK(ag::sum(ag::isnan(ag::layer_norm(ag::tensor({NAN, 1e30f}), {2}))).item() == 2);
}

TEST_CASE("deviations and norms are right near overflow and underflow") {
  check_homogeneous([](const Tensor& x) { return ag::std(x); }, 1);
  check_homogeneous([](const Tensor& x) { return ag::std(x, 0, false, 0); }, 1);
  check_homogeneous([](const Tensor& x) { return ag::norm(x); }, 1);
  check_homogeneous([](const Tensor& x) { return ag::norm(x, 3); }, 1);
  check_homogeneous([](const Tensor& x) { return ag::matrix_norm(ag::reshape(x, {2, 2})); }, 1);
  check_homogeneous(
      [](const Tensor& x) { return ag::hypot(ag::select(x, 0, 1), ag::select(x, 0, 3)); }, 1);
  check_homogeneous([](const Tensor& x) { return ag::normalize(x, 2, 0, 0); }, 0);
  const Tensor other = ag::tensor({2.0, -1.0, 0.5, 1.0});
  check_homogeneous(
      [&](const Tensor& x) { return ag::cosine_similarity(x, other.to(x.dtype()), 0, 0); }, 0);
  check_homogeneous(
      [&](const Tensor& x) {
        return ag::select(ag::corrcoef(ag::stack({x, other.to(x.dtype())})), 0, 0)[1];
      },
      0);
}

TEST_CASE("a variance is right wherever it is a finite number") {
  // The sum of the squares overflows, their mean does not.
  const Tensor signs = ag::where(ag::remainder(ag::arange(100).to(ag::float32), 2) == 0, 1.0,
                                 ag::full({}, -1, ag::float32));
  const Tensor x = (signs * 1.5e19).detach().requires_grad_();
  const Tensor v = ag::var(x, {}, false, 0);
  CHECK(v.item() == Catch::Approx(2.25e38));
  CHECK(values(ag::grad({v}, {x})[0])[0] == Catch::Approx(3e17));
  // So does the sum of the elements.
  const Tensor same = ag::full({3}, 3e38, ag::float32).requires_grad_();
  CHECK(ag::var(same).item() == 0);
  CHECK(ag::std(same).item() == 0);
  CHECK(values(ag::grad({ag::var(same)}, {same})[0]) == V{0, 0, 0});
  // Lines by themselves: an extreme one changes no bit of the others.
  const Tensor lines = ag::tensor({{1.1f, 2.3f, 4.7f}, {1e30f, 2e30f, 3e30f}});
  for (const bool first_axis : {false, true}) {
    const Tensor t = first_axis ? ag::transpose(lines) : lines;
    const Tensor s = ag::std(t, first_axis ? 0 : 1), n = ag::norm(t, 2, first_axis ? 0 : 1);
    CHECK(values(s)[0] == ag::std(ag::select(lines, 0, 0)).item());
    CHECK(values(n)[0] == ag::norm(ag::select(lines, 0, 0)).item());
    CHECK(values(s)[1] == Catch::Approx(1e30));
    CHECK(values(n)[1] == Catch::Approx(std::sqrt(14) * 1e30));
  }
  CHECK(ag::norm(ag::tensor({1e-45f})).item() > 0);
  CHECK(std::isnan(ag::std(ag::zeros({0})).item()));
  CHECK(ag::norm(ag::zeros({2, 0}), 2, 1).shape() == ag::Shape(2));
}
