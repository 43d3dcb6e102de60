#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <set>

#include "autograd/functional.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/same_bits.hpp"

/// Laws that hold for every operation of the table, without a reference.
namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using table::for_each_sample;
using table::gradients;
using table::leaves;

namespace {

Tensor direction(const Tensor& like, std::uint64_t seed) {
  ag::Generator g(seed);
  return ag::randn(like.shape(), ag::float64, g);
}

double pairing(const Tensor& a, const Tensor& b) { return ag::sum(a * b).item(); }

bool has_output(const table::Sample& s) {
  const Tensor y = s.call(s.inputs);
  return ag::is_floating(y.dtype()) && y.numel() > 0;
}

// What a law says of one sample: what it compared, and the first breach (empty: none).
struct Finding {
  std::size_t checks = 0;
  std::string breach{};
};
using Law = Finding (*)(const table::Row&, const table::Sample&);

// A law of f(x) = the sample's call with one input replaced, for every floating input that is not
// empty.
template <class F>
Finding for_each_argument(const table::Row& row, const table::Sample& s, F&& law) {
  Finding finding;
  if (!row.differentiable || !row.exempt.empty() || !has_output(s)) return finding;
  for (std::size_t i = 0; i < s.inputs.size() && finding.breach.empty(); ++i) {
    if (!ag::is_floating(s.inputs[i].dtype()) || s.inputs[i].numel() == 0) continue;
    const ag::TensorFunction f = [&](const Tensor& x) {
      TensorList in = s.inputs;
      in[i] = x;
      return s.call(in);
    };
    ++finding.checks;
    const std::string breach = law(f, s.inputs[i]);
    if (!breach.empty()) finding.breach = fmt::format("input {}: {}", i, breach);
  }
  return finding;
}

// `x` with one element replaced.
Tensor poisoned(const Tensor& x, std::int64_t at, double value) {
  Tensor y = x.detach().clone();
  y.mutable_data<double>()[at] = value;
  return y;
}

// Some elements of a tensor: the first, one in the middle, the last.
std::set<std::int64_t> places(const Tensor& x) {
  if (x.numel() == 0) return {};
  return {0, x.numel() / 2, x.numel() - 1};
}

// <v, J t> = <Jᵀ v, t>.
Finding one_jacobian(const table::Row& row, const table::Sample& s) {
  return for_each_argument(row, s, [](const ag::TensorFunction& f, const Tensor& x) -> std::string {
    const Tensor t = direction(x, 5), v = direction(f(x), 6);
    const double forward = pairing(v, ag::jvp(f, x, t)), backward = pairing(ag::vjp(f, x, v), t);
    if (std::abs(forward - backward) <= 1e-10 * std::max(1.0, std::abs(backward))) return {};
    return fmt::format("<v, J t> = {}, <Jᵀ v, t> = {}", forward, backward);
  });
}

// The same of all floating inputs at once.
Finding one_jacobian_of_all(const table::Row& row, const table::Sample& s) {
  Finding finding;
  if (!row.differentiable || !row.exempt.empty() || !has_output(s)) return finding;
  TensorList x, t;
  for (const Tensor& in : s.inputs) {
    if (!ag::is_floating(in.dtype())) continue;
    x.push_back(in);
    t.push_back(direction(in, 5 + x.size()));
  }
  if (x.size() < 2) return finding;
  const ag::TensorsFunction f = [&](const TensorList& moved) {
    TensorList in = s.inputs;
    std::size_t next = 0;
    for (Tensor& one : in)
      if (ag::is_floating(one.dtype())) one = moved[next++];
    return s.call(in);
  };
  ++finding.checks;
  const Tensor v = direction(f(x), 6);
  const TensorList g = ag::vjp(f, x, v);
  const double forward = pairing(v, ag::jvp(f, x, t));
  double backward = 0;
  for (std::size_t i = 0; i < x.size(); ++i) backward += pairing(g[i], t[i]);
  if (!(std::abs(forward - backward) <= 1e-10 * std::max(1.0, std::abs(backward))))
    finding.breach = fmt::format("<v, J t> = {}, <Jᵀ v, t> = {}", forward, backward);
  return finding;
}

// <v, second derivative along a and b>: forward over reverse, reverse and forward over forward.
Finding one_second_derivative(const table::Row& row, const table::Sample& s) {
  return for_each_argument(row, s, [](const ag::TensorFunction& f, const Tensor& x) -> std::string {
    const Tensor v = direction(f(x), 6), a = direction(x, 7), b = direction(x, 8);
    const ag::TensorFunction along = [&](const Tensor& in) { return ag::jvp(f, in, a); };
    const Tensor ha = ag::hvp([&](const Tensor& in) { return ag::sum(f(in) * v); }, x, a);
    const double expected = pairing(b, ha), scale = 1 + std::sqrt(pairing(ha, ha) * pairing(b, b));
    double reverse, twice;
    try {
      reverse = pairing(b, ag::vjp(along, x, v));
      twice = pairing(v, ag::jvp(along, x, b));
    } catch (const ag::Error& e) {  // what completes a basis has no tangent, whoever asks for it
      if (std::string_view(e.what()).find("that complete") != std::string_view::npos) return {};
      throw;
    }
    if (std::abs(reverse - expected) <= 1e-10 * scale &&
        std::abs(twice - expected) <= 1e-10 * scale)
      return {};
    return fmt::format("forward over reverse {}, reverse over forward {}, forward twice {}",
                       expected, reverse, twice);
  });
}

// The Hessian of <v, f> is symmetric, and is the difference of gradients.
Finding right_hessian(const table::Row& row, const table::Sample& s) {
  return for_each_argument(row, s, [](const ag::TensorFunction& f, const Tensor& x) -> std::string {
    const Tensor v = direction(f(x), 6), a = direction(x, 7), b = direction(x, 8);
    const ag::TensorFunction scalar = [&](const Tensor& in) { return ag::sum(f(in) * v); };
    const Tensor ha = ag::hvp(scalar, x, a), hb = ag::hvp(scalar, x, b);
    const double scale = 1 + std::sqrt(pairing(ha, ha) * pairing(b, b)), bha = pairing(b, ha),
                 ahb = pairing(a, hb);
    if (!(std::abs(bha - ahb) <= 1e-10 * scale))
      return fmt::format("<b, H a> = {}, <a, H b> = {}", bha, ahb);
    // Ties and kinks keep a distance of 0.05; the directions are at most a few units long.
    const double eps = 1e-6;
    const double numeric =
        (pairing(ag::vjp(f, x + eps * a, v), b) - pairing(ag::vjp(f, x - eps * a, v), b)) /
        (2 * eps);
    if (!(std::abs(bha - numeric) <= 1e-6 * scale))
      return fmt::format("<b, H a> = {}, by differences {}", bha, numeric);
    return {};
  });
}

// A NaN in one element comes out of everything that depends on it, and alters nothing else.
Finding honest_nan(const table::Row& row, const table::Sample& s) {
  Finding finding;
  if (!row.nan.empty() || !has_output(s)) return finding;
  const auto before = s.call(s.inputs).to_vector<double>();
  for (std::size_t i = 0; i < s.inputs.size(); ++i) {
    if (!ag::is_floating(s.inputs[i].dtype())) continue;
    for (const std::int64_t k : places(s.inputs[i])) {
      TensorList in = s.inputs;
      in[i] = poisoned(s.inputs[i], k, NAN);
      Tensor y;
      try {
        y = s.call(in);
      } catch (const ag::Error&) {
        continue;  // refused: not silent either
      }
      const double old = s.inputs[i].data<double>()[k];
      in[i] = poisoned(s.inputs[i], k, old * (1 + 1e-6) + 1e-7);
      const auto after = y.to_vector<double>(), moved = s.call(in).to_vector<double>();
      for (std::size_t r = 0; r < before.size(); ++r) {
        ++finding.checks;
        if (std::isnan(after[r]) || (after[r] == before[r] && moved[r] == before[r])) continue;
        finding.breach = fmt::format(
            "NaN in element {} of input {}: output {} is {}, was {}, and {} where the "
            "element moves a little",
            k, i, r, after[r], before[r], moved[r]);
        return finding;
      }
    }
  }
  return finding;
}

// An input gets the same gradient when no other input wants one.
Finding same_alone(const table::Row& row, const table::Sample& s) {
  Finding finding;
  if (!row.differentiable || s.inputs.size() < 2) return finding;
  const TensorList all = leaves(s.inputs), together = gradients(s, all, false);
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].requires_grad()) continue;
    const Tensor expected = together[next++];
    TensorList in = s.inputs;
    in[i] = in[i].detach().clone().requires_grad_();
    if (!s.call(in).requires_grad()) continue;
    for (const bool create_graph : {false, true}) {
      const Tensor alone = gradients(s, in, create_graph)[0];
      ++finding.checks;
      if (alone.defined() == expected.defined() &&
          (!alone.defined() || table::distance(alone, expected) < 1e-13))
        continue;
      finding.breach = fmt::format("input {}: another gradient if it is the only one wanted", i);
      return finding;
    }
  }
  return finding;
}

// Holds for the whole table, with at least so many comparisons.
void holds(Law law, std::size_t least) {
  std::size_t checks = 0;
  for_each_sample([&](const table::Row& row, const table::Sample& s) {
    const Finding finding = law(row, s);
    CHECK(finding.breach == "");
    checks += finding.checks;
  });
  CHECK(checks >= least);
}

}  // namespace

TEST_CASE("the Jacobian forward and backward is one matrix") {
  holds(one_jacobian, 300);
  holds(one_jacobian_of_all, 100);
}
TEST_CASE("second derivatives are the same in any order of forward and reverse") {
  holds(one_second_derivative, 300);
}
TEST_CASE("Hessians are symmetric and agree with differences of gradients") {
  holds(right_hessian, 300);
}
TEST_CASE("a NaN comes out of everything that depends on it, and alters nothing else") {
  holds(honest_nan, 1000);
}
TEST_CASE("an input gets the same gradient when no other input wants one") {
  holds(same_alone, 200);
}

TEST_CASE("values that are not finite crash neither value nor gradient") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for_each_sample([&](const table::Row& row, const table::Sample& s) {
    for (std::size_t i = 0; i < s.inputs.size(); ++i) {
      if (!ag::is_floating(s.inputs[i].dtype())) continue;
      for (const std::int64_t k : places(s.inputs[i]))
        for (const double value : {double(NAN), kInf, -kInf})
          for (const auto dtype : {ag::float64, ag::float32}) {
            INFO(value << " in element " << k << " of input " << i);
            TensorList in = s.inputs;
            in[i] = poisoned(s.inputs[i], k, value);
            in = leaves(table::as(in, dtype));
            try {
              const Tensor y = s.call(in);
              if (!row.differentiable || !y.requires_grad()) continue;
              for (const bool create_graph : {false, true})
                for (const Tensor& g : gradients(s, in, create_graph))
                  if (g.defined()) CHECK(g.dtype() == dtype);
            } catch (const ag::Error&) {
              // A refusal with a reason; anything else fails the test.
            }
          }
    }
  });
}

TEST_CASE("every operation repeats bit for bit, and its gradients have the shapes of its inputs") {
  for_each_sample([](const table::Row& row, const table::Sample& s) {
    for (const auto dtype : {ag::float32, ag::float64}) {
      const TensorList in = leaves(table::as(s.inputs, dtype));
      CHECK(same_bits(s.call(in), s.call(in)));
      if (!row.differentiable) continue;
      const TensorList a = gradients(s, in, false), b = gradients(s, in, false),
                       wanted = table::differentiable(in);
      for (std::size_t i = 0; i < a.size(); ++i) {
        REQUIRE(a[i].defined() == b[i].defined());
        if (!a[i].defined()) continue;
        CHECK(same_bits(a[i], b[i]));
        CHECK(a[i].shape() == wanted[i].shape());
        CHECK(a[i].dtype() == dtype);
      }
    }
  });
}

TEST_CASE("what a check leaves out has a reason") {
  std::string list;
  for (const auto& row : table::rows()) {
    INFO(row.name);
    std::string reason = row.exempt;
    if (!row.differentiable && reason.empty()) {
      // A result that is not floating needs no other reason.
      for (const auto& s : row.samples) {
        const auto dtype = s.call(s.inputs).dtype();
        CHECK_FALSE(ag::is_floating(dtype));
        reason = fmt::format("the result is {}", ag::name(dtype));
      }
    }
    if (!row.differentiable)
      list += fmt::format("  {}: no gradient: {}\n", row.name, reason);
    else if (!reason.empty())
      list += fmt::format("  {}: first order only: {}\n", row.name, reason);
    if (!row.nan.empty()) list += fmt::format("  {}: NaN: {}\n", row.name, row.nan);
  }
  fmt::print("[exemptions]\n{}", list);
  CHECK_FALSE(list.empty());
}

namespace {

// x² with the gradient 2x, of which one factor is detached.
struct CutSquare : ag::Function<CutSquare> {
  static Tensor forward(ag::Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(ag::Context& ctx, const TensorList& grad) {
    return {2 * ctx.saved()[0].detach() * grad[0]};
  }
};
// 2x whose gradient is right as a number, and as a function of the cotangent too large by 10⁻⁸.
struct Twice : ag::Function<Twice> {
  static Tensor forward(ag::Context&, const Tensor& x) { return 2 * x; }
  static TensorList backward(ag::Context&, const TensorList& grad) {
    return {2 * grad[0].detach() + (2 + 1e-8) * (grad[0] - grad[0].detach())};
  }
};
// a · b that gives the second gradient only together with the first.
struct Together : ag::Function<Together> {
  static Tensor forward(ag::Context& ctx, const Tensor& a, const Tensor& b) {
    ctx.save_for_backward({a, b});
    return a * b;
  }
  static TensorList backward(ag::Context& ctx, const TensorList& grad) {
    const Tensor &a = ctx.saved()[0], &b = ctx.saved()[1];
    return {grad[0] * b, ctx.needs_input_grad(0) ? grad[0] * a : 0.0 * grad[0]};
  }
};

}  // namespace

TEST_CASE("the laws find who breaks them") {
  const auto breach = [](Law law, std::function<Tensor(const TensorList&)> f) {
    const table::Sample s{"", {table::draw({3}, 0.5, 1), table::draw({3}, 0.5, 1)}, std::move(f)};
    return law(table::Row{"planted", {s}}, s).breach;
  };
  const auto right = [](const TensorList& x) { return ag::square(x[0]) * x[1]; };
  for (const Law law : {one_jacobian, right_hessian, honest_nan, same_alone})
    CHECK(breach(law, right) == "");
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(breach(one_jacobian, [](auto& x) { return Twice::apply(x[0]) * x[1]; }),
             ContainsSubstring("input 0: <v, J t> = "));
  CHECK_THAT(breach(right_hessian, [](auto& x) { return x[0] * CutSquare::apply(x[1]); }),
             ContainsSubstring("input 1: <b, H a> = "));
  CHECK_THAT(breach(same_alone, [](auto& x) { return Together::apply(x[0], x[1]); }),
             ContainsSubstring("input 1: another gradient"));
  const Tensor zero = ag::zeros({3}, ag::float64);
  CHECK_THAT(
      breach(honest_nan, [&](auto& x) { return ag::where(x[0] == x[0], x[0], zero) + x[1]; }),
      ContainsSubstring("NaN in element 0 of input 0: output 0 is "));
  CHECK_THAT(
      breach(honest_nan, [](auto& x) { return ag::where(ag::sum(x[0]) > 0, x[1], 2 * x[1]); }),
      ContainsSubstring("NaN in element 0 of input 0: output 0 is "));
}
