#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

// What the rows of the table cannot say of linear algebra: the defining equations, at sizes and in
// batches, and what happens at the borders that docs/numerics.md names.
namespace ag = autograd;
using ag::Shape;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

double largest(const Tensor& x) { return x.numel() ? ag::max(ag::abs(x.detach())).item() : 0; }

// The largest difference relative to the size of b.
double distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  return largest(a - b) / std::max(1.0, largest(b));
}

Tensor noise(const Shape& s, ag::DType dtype = ag::float64) {
  ag::Generator g(7);
  return ag::randn(s, dtype, g);
}

Tensor identity(std::int64_t n, ag::DType dtype = ag::float64) {
  return (ag::unsqueeze(ag::arange(n), 1) == ag::arange(n)).to(dtype);
}

Tensor t(const Tensor& x) { return ag::transpose(x); }

Tensor gram(const Tensor& x) { return ag::matmul(x, t(x)) + identity(x.size(-2), x.dtype()); }

// Qᵀ Q = I.
double off_orthogonal(const Tensor& q) {
  const Tensor product = ag::matmul(t(q), q);
  return distance(product, ag::expand(identity(q.size(-1), q.dtype()), product.shape()));
}

bool finite(const Tensor& x) {
  for (const double v : x.to(ag::float64).to_vector<double>())
    if (!std::isfinite(v)) return false;
  return true;
}

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{{1, 1}, {7, 7}, {30, 20}, {20, 30}, {3, 5, 4}, {2, 2, 4, 5}};
  return all;
}

const std::vector<std::pair<ag::DType, double>> kTolerances{{ag::float32, 2e-5},
                                                            {ag::float64, 1e-13}};

// The gradient of a weighted sum of f, recorded.
Tensor slope(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  const Tensor y = f(x);
  const Tensor w = ag::reshape((ag::arange(y.numel()) + 1.0).to(y.dtype()), y.shape());
  return ag::grad({ag::sum(w * y)}, {x}, {.create_graph = true})[0];
}

}  // namespace

TEST_CASE("factors multiply to the matrix, and bases are orthonormal") {
  for (const auto& [dtype, tolerance] : kTolerances)
    for (const Shape& s : shapes()) {
      INFO(s.str() << " " << ag::name(dtype));
      const Tensor a = noise(s, dtype);
      const Tensor l = ag::cholesky(gram(a));
      CHECK(distance(ag::matmul(l, t(l)), gram(a)) < tolerance);
      CHECK(distance(ag::cholesky(gram(a), true), t(l)) == 0);
      for (const std::string mode : {"reduced", "complete"}) {
        const auto [q, r] = ag::qr(a, mode);
        CHECK(distance(ag::matmul(q, r), a) < tolerance);
        CHECK(off_orthogonal(q) < tolerance);
        CHECK(q.size(-1) ==
              (mode == "complete" ? s[s.size() - 2] : std::min(s.back(), s[s.size() - 2])));
      }
      for (const bool full : {false, true}) {
        const auto [u, sigma, vh] = ag::svd(a, full);
        const std::int64_t k = sigma.size(-1);
        const Tensor back = ag::matmul(ag::narrow(u, -1, 0, k) * ag::unsqueeze(sigma, -2),
                                       ag::narrow(vh, -2, 0, k));
        CHECK(distance(back, a) < tolerance);
        CHECK(off_orthogonal(u) < tolerance);
        CHECK(off_orthogonal(t(vh)) < tolerance);
        CHECK(distance(ag::svdvals(a), sigma) < tolerance);
        if (full) CHECK(u.size(-1) == s[s.size() - 2]);
      }
      const Tensor b = gram(a);
      const auto [w, v] = ag::eigh(b);
      CHECK(distance(ag::matmul(b, v), v * ag::unsqueeze(w, -2)) < tolerance);
      CHECK(off_orthogonal(v) < tolerance);
      CHECK(distance(ag::eigvalsh(b), w) < tolerance);
      if (w.size(-1) > 1) CHECK(ag::min(ag::slice(w, -1, 1) - ag::slice(w, -1, 0, -1)).item() >= 0);
    }
}

TEST_CASE("solutions solve, at sizes and in batches") {
  for (const auto& [dtype, tolerance] : kTolerances)
    for (const Shape& s : shapes()) {
      INFO(s.str() << " " << ag::name(dtype));
      const Tensor x = noise(s, dtype), a = gram(x) * (1.0 / static_cast<double>(s.back())) +
                                            2 * identity(s[s.size() - 2], dtype);
      CHECK(distance(ag::matmul(a, ag::solve(a, x)), x) < tolerance);
      CHECK(distance(ag::cholesky_solve(x, ag::cholesky(a)), ag::solve(a, x)) < tolerance);
      CHECK(distance(ag::cholesky_solve(x, ag::cholesky(a, true), true), ag::solve(a, x)) <
            tolerance);
      CHECK(distance(ag::matmul(ag::inv(a), x), ag::solve(a, x)) < tolerance);
      CHECK(distance(ag::matrix_power(a, -2), ag::matmul(ag::inv(a), ag::inv(a))) < tolerance);
      const auto [sign, logabs] = ag::slogdet(a);
      CHECK(distance(logabs, ag::sum(ag::log(ag::eigvalsh(a)), -1)) < 10 * tolerance);
      CHECK(distance(sign, ag::ones_like(sign)) == 0);
      const Tensor p = ag::pinv(x), xp = ag::matmul(x, p), px = ag::matmul(p, x);
      CHECK(distance(ag::matmul(xp, x), x) < 10 * tolerance);
      CHECK(distance(ag::matmul(px, p), p) < 10 * tolerance);
      CHECK(distance(xp, t(xp)) < 10 * tolerance);
      CHECK(distance(px, t(px)) < 10 * tolerance);
    }
  // Rows have to be swapped.
  const Tensor swap = ag::tensor({{0.0, 2.0, 0.0}, {0.0, 0.0, 3.0}, {4.0, 0.0, 0.0}});
  const Tensor b = ag::tensor({2.0, 6.0, 12.0});
  CHECK(ag::solve(swap, b).to_vector<double>() == std::vector<double>{3, 1, 2});
  CHECK(ag::det(swap).item() == Catch::Approx(24));
}

TEST_CASE("only the lower triangle is read, and the gradient is symmetric") {
  const Tensor a = gram(noise({4, 4}));
  Tensor junk = a.clone();
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t j = i + 1; j < 4; ++j) junk.mutable_data<double>()[i * 4 + j] = 99;
  CHECK(distance(ag::cholesky(junk), ag::cholesky(a)) == 0);
  CHECK(distance(ag::eigvalsh(junk), ag::eigvalsh(a)) < 1e-13);
  CHECK(distance(ag::eigh(junk).eigenvalues, ag::eigh(a).eigenvalues) == 0);
  const Tensor x = a.clone().requires_grad_();
  for (const auto& f : std::vector<std::function<Tensor(const Tensor&)>>{
           [](auto& m) { return ag::cholesky(m); }, [](auto& m) { return ag::eigvalsh(m); },
           [](auto& m) { return ag::square(ag::eigh(m).eigenvectors); }}) {
    const Tensor g = slope(f, x);
    CHECK(distance(g, t(g)) < 1e-13);
  }
}

TEST_CASE("third derivatives agree with differences") {
  const Tensor rank1 = ag::tensor({{1.0, -2.0, 0.5}, {2.0, -4.0, 1.0}, {-1.0, 2.0, -0.5}});
  const Tensor x = noise({3, 3}) * 0.3 + identity(3) * ag::tensor({2.0, 3.0, 4.5});
  const auto check = [](const char* what, const std::function<Tensor(const Tensor&)>& f,
                        const Tensor& at) {
    INFO(what);
    const auto result = ag::gradgradcheck([&](const Tensor& y) { return slope(f, y); }, {at},
                                          {.atol = 1e-5, .rtol = 1e-5});
    CHECK(result.report() == "passed");
  };
  check("det, rank 1", ag::det, rank1);
  check("det, rank 0", ag::det, ag::zeros({3, 3}, ag::float64));
  check("inv", ag::inv, x);
  check(
      "cholesky", [](auto& a) { return ag::cholesky(0.5 * (a + ag::transpose(a))); }, x);
  check("svdvals", ag::svdvals, x);
  check(
      "qr", [](auto& a) { return ag::qr(a).R; }, x);
  check("matrix_exp", ag::matrix_exp, 0.3 * x);
}

TEST_CASE("det has the cofactors as its gradient at a singular matrix") {
  const Tensor a = ag::tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}, {7.0, 8.0, 9.0}}).requires_grad_();
  CHECK(std::abs(ag::det(a).item()) < 1e-14);
  const Tensor cofactors = ag::tensor({{-3.0, 6.0, -3.0}, {6.0, -12.0, 6.0}, {-3.0, 6.0, -3.0}});
  CHECK(distance(ag::grad({ag::det(a)}, {a})[0], cofactors) < 1e-13);
  const Tensor big = (noise({40, 40}) * 0.1 + identity(40)).requires_grad_();
  const Tensor g = ag::grad({ag::det(big)}, {big})[0];
  CHECK(distance(ag::matmul(g, t(big)), identity(40) * ag::det(big)) < 1e-10);
  // A singular float32 matrix in a batch.
  const Tensor pair = ag::stack({a.detach(), identity(3)}).to(ag::float32).requires_grad_();
  const Tensor h = ag::grad({ag::sum(ag::det(pair))}, {pair})[0];
  CHECK(distance(h.to(ag::float64), ag::stack({cofactors, identity(3)})) < 1e-5);
}

TEST_CASE("spectra that coincide") {
  const Tensor one = identity(3).requires_grad_();
  CHECK(distance(ag::grad({ag::sum(ag::svdvals(one))}, {one})[0], identity(3)) < 1e-15);
  CHECK(distance(ag::grad({ag::sum(ag::eigvalsh(one))}, {one})[0], identity(3)) < 1e-15);
  CHECK(distance(ag::grad({ag::sum(ag::eigh(one).eigenvalues)}, {one})[0], identity(3)) < 1e-15);
  CHECK(distance(ag::grad({ag::matrix_norm(one, "nuc")}, {one})[0], identity(3)) < 1e-15);
  CHECK(distance(ag::grad({ag::matrix_norm(one, 2)}, {one})[0], identity(3) / 3.0) < 1e-15);
  CHECK_FALSE(finite(ag::grad({ag::sum(ag::svd(one).U)}, {one})[0]));
  CHECK_FALSE(finite(ag::grad({ag::sum(ag::eigh(one).eigenvectors)}, {one})[0]));
}

TEST_CASE("large, empty and not finite matrices") {
  const auto [sign, logabs] = ag::slogdet(identity(400) * -10.0);
  CHECK(sign.item() == 1);
  CHECK(logabs.item() == Catch::Approx(400 * std::log(10.0)));
  const auto none = ag::slogdet(ag::ones({2, 2}));
  CHECK(none.sign.item() == 0);
  CHECK(none.logabsdet.item() == -INFINITY);
  CHECK(ag::det(ag::zeros({0, 0})).item() == 1);
  CHECK(ag::inv(ag::zeros({2, 0, 0})).shape() == Shape(2, 0, 0));
  CHECK(ag::matrix_rank(ag::zeros({3, 2})).item<std::int64_t>() == 0);
  CHECK(ag::svd(ag::zeros({2, 0}), true).U.to_vector<float>() == std::vector<float>{1, 0, 0, 1});
  const Tensor nan = ag::full({2, 2}, NAN, ag::float64);
  CHECK(std::isnan(ag::det(nan).item()));
  CHECK(std::isnan(ag::slogdet(nan).logabsdet.item()));
  CHECK_FALSE(finite(ag::matrix_exp(nan)));
  CHECK_FALSE(finite(ag::matrix_exp(ag::full({2, 2}, INFINITY))));
  CHECK(std::isinf(ag::cond(ag::tensor({{1.0, 0.0}, {0.0, 0.0}})).item()));
}

TEST_CASE("the Frobenius norm neither overflows nor underflows, and is flat at 0") {
  CHECK(ag::matrix_norm(ag::full({2, 2}, 1e30)).item() == Catch::Approx(2e30));
  CHECK(ag::matrix_norm(ag::full({2, 2}, 1e-30)).item() == Catch::Approx(2e-30));
  CHECK(ag::matrix_norm(ag::full({2, 2}, INFINITY)).item() == INFINITY);
  CHECK(std::isnan(ag::matrix_norm(ag::full({2, 2}, NAN)).item()));
  const Tensor x = ag::zeros({2, 2}, ag::float64).requires_grad_();
  const Tensor y = ag::matrix_norm(x);
  CHECK(y.item() == 0);
  CHECK(largest(ag::grad({y}, {x})[0]) == 0);
}

TEST_CASE("the exponential of a skew matrix is a rotation, also by many turns") {
  for (const double angle : {0.0, 1e-9, 1.0, 20.0, 1000.0}) {
    const Tensor r = ag::matrix_exp(ag::tensor({{0.0, -angle}, {angle, 0.0}}));
    CHECK(distance(r, ag::tensor({{std::cos(angle), -std::sin(angle)},
                                  {std::sin(angle), std::cos(angle)}})) <
          1e-15 * std::max(10.0, 10 * angle));
  }
}

TEST_CASE("least squares leaves a residual orthogonal to the columns, and is of least norm") {
  const Tensor a = noise({8, 3}), b = noise({8, 2});
  CHECK(largest(ag::matmul(t(a), ag::matmul(a, ag::lstsq(a, b)) - b)) < 1e-13);
  const Tensor wide = t(a), c = noise({3, 2}), x = ag::lstsq(wide, c);
  CHECK(distance(ag::matmul(wide, x), c) < 1e-13);
  CHECK(distance(ag::matmul(a, ag::lstsq(a, x)), x) < 1e-13);  // x is in the span of the rows
}

TEST_CASE("an error names the operation that was called") {
  const Tensor nan = ag::full({2, 2}, NAN).requires_grad_();
  const std::vector<std::pair<std::string, std::function<Tensor()>>> calls{
      {"svdvals", [&] { return ag::svdvals(nan); }},
      {"eigvalsh", [&] { return ag::eigvalsh(nan); }},
      {"matrix_norm", [&] { return ag::matrix_norm(nan, "nuc"); }},
      {"cond", [&] { return ag::cond(nan); }},
      {"lstsq", [&] { return ag::lstsq(nan, ag::ones({2})); }}};
  for (const auto& [name, call] : calls)
    CHECK_THROWS_WITH(call(), ContainsSubstring(name + ": the matrix must be finite, got nan"));
}

TEST_CASE("a factorisation keeps its name on the tape, and watches its inputs") {
  Tensor a = gram(noise({3, 3})).requires_grad_();
  CHECK(ag::svd(a).U.op_name() == "svd");
  CHECK(ag::qr(a).R.op_name() == "qr");
  CHECK(ag::eigh(a).eigenvectors.op_name() == "eigh");
  const Tensor y = ag::solve(a, ag::ones({3}, ag::float64));
  a.mutable_data<double>()[0] = 5;
  CHECK_THROWS_WITH(ag::grad({ag::sum(y)}, {a}),
                    ContainsSubstring("values saved by 'solve' must not change"));
}
