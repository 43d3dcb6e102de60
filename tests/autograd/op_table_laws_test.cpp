#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "autograd/functional.hpp"
#include "autograd/ops.hpp"
#include "tests/autograd/op_table_tools.hpp"

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

double dot(const Tensor& a, const Tensor& b) { return ag::sum(a * b).item(); }

bool near(double a, double b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(),
                     static_cast<std::size_t>(a.numel()) * ag::size_of(a.dtype())) == 0;
}

bool has_output(const table::Sample& s) {
  const Tensor y = s.call(s.inputs);
  return ag::is_floating(y.dtype()) && y.numel() > 0;
}

// f(x) = the sample's call with input i replaced, for every floating input that is not empty.
template <class F>
void for_each_argument(F&& f) {
  for_each_sample([&](const table::Row& row, const table::Sample& s) {
    if (!row.differentiable || !row.exempt.empty() || !has_output(s)) return;
    for (std::size_t i = 0; i < s.inputs.size(); ++i) {
      if (!ag::is_floating(s.inputs[i].dtype()) || s.inputs[i].numel() == 0) continue;
      INFO("input " << i);
      const ag::TensorFunction g = [&](const Tensor& x) {
        TensorList in = s.inputs;
        in[i] = x;
        return s.call(in);
      };
      f(g, s.inputs[i]);
    }
  });
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

}  // namespace

TEST_CASE("the Jacobian forward and backward is one matrix: <v, J t> = <Jᵀ v, t>") {
  std::size_t checks = 0;
  for_each_argument([&](const ag::TensorFunction& f, const Tensor& x) {
    const Tensor t = direction(x, 5), v = direction(f(x), 6);
    const double forward = dot(v, ag::jvp(f, x, t)), backward = dot(ag::vjp(f, x, v), t);
    INFO(forward << " forward, " << backward << " backward");
    CHECK(near(forward, backward, 1e-10));
    ++checks;
  });
  CHECK(checks > 300);
}

TEST_CASE("the Hessian is symmetric and agrees with differences of the gradient") {
  std::size_t checks = 0;
  for_each_argument([&](const ag::TensorFunction& f, const Tensor& x) {
    const Tensor v = direction(f(x), 6), a = direction(x, 7), b = direction(x, 8);
    const ag::TensorFunction scalar = [&](const Tensor& in) { return ag::sum(f(in) * v); };
    const Tensor ha = ag::hvp(scalar, x, a), hb = ag::hvp(scalar, x, b);
    const double scale = 1 + std::sqrt(dot(ha, ha) * dot(b, b));
    INFO(dot(b, ha) << " and " << dot(a, hb));
    CHECK(std::abs(dot(b, ha) - dot(a, hb)) <= 1e-10 * scale);
    // Ties and kinks keep a distance of 0.05; the directions are at most a few units long.
    const double eps = 1e-6;
    const double numeric =
        (dot(ag::vjp(f, x + eps * a, v), b) - dot(ag::vjp(f, x - eps * a, v), b)) / (2 * eps);
    INFO(numeric << " by differences");
    CHECK(std::abs(dot(b, ha) - numeric) <= 1e-6 * scale);
    ++checks;
  });
  CHECK(checks > 300);
}

TEST_CASE(
    "a NaN in one element comes out of everything that depends on it, and alters nothing else") {
  std::size_t checks = 0, spread = 0;
  for_each_sample([&](const table::Row& row, const table::Sample& s) {
    if (!row.nan.empty() || !has_output(s)) return;
    const auto before = s.call(s.inputs).to_vector<double>();
    for (std::size_t i = 0; i < s.inputs.size(); ++i) {
      if (!ag::is_floating(s.inputs[i].dtype())) continue;
      for (const std::int64_t k : places(s.inputs[i])) {
        INFO("NaN in element " << k << " of input " << i);
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
        REQUIRE(after.size() == before.size());
        for (std::size_t r = 0; r < after.size(); ++r) {
          const bool depends = moved[r] != before[r];
          const bool unchanged = std::isnan(after[r]) || after[r] == before[r];
          if ((depends && !std::isnan(after[r])) || !unchanged)
            FAIL_CHECK("output " << r << " is " << after[r] << ", was " << before[r]);
          spread += depends;
          ++checks;
        }
      }
    }
  });
  CHECK(checks > 1000);
  CHECK(spread > 500);
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

TEST_CASE("an input gets the same gradient when no other input wants one") {
  std::size_t checks = 0;
  for_each_sample([&](const table::Row& row, const table::Sample& s) {
    if (!row.differentiable || s.inputs.size() < 2) return;
    const TensorList all = leaves(s.inputs), together = gradients(s, all, false);
    std::size_t k = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].requires_grad()) continue;
      const Tensor expected = together[k++];
      TensorList in = s.inputs;
      in[i] = in[i].detach().clone().requires_grad_();
      if (!s.call(in).requires_grad()) continue;
      for (const bool create_graph : {false, true}) {
        const Tensor alone = gradients(s, in, create_graph)[0];
        INFO("input " << i << ", create_graph " << create_graph);
        REQUIRE(alone.defined() == expected.defined());
        if (alone.defined()) CHECK(table::distance(alone, expected) < 1e-13);
        ++checks;
      }
    }
  });
  CHECK(checks > 200);
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
