#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/source_dir.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using table::as;
using table::differs;
using table::distance;
using table::for_each_sample;
using table::gradients;
using table::leaves;

TEST_CASE("every public operation has a row in the table") {
  std::set<std::string> rows;
  for (const auto& row : table::rows()) {
    rows.insert(row.name);
    CHECK_FALSE(row.samples.empty());
  }
  const auto operations = table::families();
  for (const auto& [name, family] : operations) {
    INFO(name << " of " << family << ": add a row, in a file of tests/autograd/op_table/");
    CHECK(rows.count(name) == 1);
  }
  CHECK(operations.size() > 50);
}

TEST_CASE("README counts the public operations as they are") {
  std::ifstream file(XGRAD_SOURCE_DIR "/README.md");
  REQUIRE(file);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::smatch count;
  REQUIRE(std::regex_search(text, count, std::regex(R"(of the (\d+) operations)")));
  INFO("bash tests/remake build/release writes it again");
  CHECK(count[1] == std::to_string(table::families().size()));
}

TEST_CASE("every operation passes gradcheck to second order") {
  // What was checked, by family.
  struct Summary {
    std::set<std::string> operations{};
    std::size_t compared = 0;
    double first = 0, second = 0;  // largest errors relative to max(1, |derivative|)
  };
  std::map<std::string, Summary> summaries;
  auto families = table::families();
  for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    Summary& summary = summaries[families.count(row.name) ? families[row.name] : "other"];
    summary.operations.insert(row.name);
    if (!row.differentiable) return;
    std::int64_t elements = 0;
    for (const Tensor& t : sample.inputs) elements += t.numel();
    if (elements == 0 || sample.call(sample.inputs).numel() == 0) return;  // nothing to compare
    const bool large = elements > 200;
    const ag::TensorListFunction f = [&](const TensorList& x) {
      return TensorList{sample.call(x)};
    };
    const ag::GradcheckOptions tight{.atol = 1e-7, .rtol = 1e-6};
    const auto first = ag::gradcheck(f, sample.inputs, tight);
    CHECK(first.report() == "passed");
    summary.compared += first.compared;
    summary.first = std::max(summary.first, first.worst);
    if (large || !row.exempt.empty()) return;
    const auto second = ag::gradgradcheck(f, sample.inputs, {.atol = 1e-6, .rtol = 1e-5});
    CHECK(second.report() == "passed");
    summary.compared += second.compared;
    summary.second = std::max(summary.second, second.worst);
  });
  std::size_t compared = 0;
  fmt::print("{:12} {:>10} {:>12} {:>13} {:>13}\n", "family", "operations", "derivatives",
             "worst first", "worst second");
  for (const auto& [family, s] : summaries) {
    fmt::print("{:12} {:10} {:12} {:13.2g} {:13.2g}\n", family, s.operations.size(), s.compared,
               s.first, s.second);
    compared += s.compared;
  }
  CHECK(compared > 10000);
}

// Of the gradients as functions: their first and second derivatives are the second and third.
TEST_CASE("every operation passes gradcheck to third order") {
  std::size_t compared = 0;
  for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    std::int64_t elements = 0;
    for (const Tensor& t : sample.inputs) elements += t.numel();
    if (!row.differentiable || !row.exempt.empty() || !row.third.empty() || elements == 0 ||
        elements > 24 || sample.call(sample.inputs).numel() == 0)
      return;
    const ag::TensorListFunction gradients = [&](const TensorList& x) {
      TensorList g = table::gradients(sample, x, true);
      const TensorList leaves = table::differentiable(x);
      for (std::size_t i = 0; i < g.size(); ++i)  // constant gradients depend on x, too
        g[i] = g[i].defined() ? g[i] + 0.0 * leaves[i] : 0.0 * leaves[i];
      return g;
    };
    const auto third = ag::gradgradcheck(gradients, sample.inputs, {.atol = 1e-5, .rtol = 1e-4});
    CHECK(third.report() == "passed");
    compared += third.compared;
  });
  CHECK(compared > 5000);
}

TEST_CASE("points have the value and the derivatives that are written down") {
  std::size_t compared = 0;
  for (const auto& row : table::rows())
    for (const auto& point : row.points) {
      CHECK(table::mismatch(point) == "");
      ++compared;
    }
  CHECK(compared > 80);
}

TEST_CASE("an elementwise operation that branches names a point") {
  std::map<std::string, std::size_t> points;
  for (const auto& row : table::rows()) points[row.name] = row.points.size();
  const auto check = [&](const std::string& name, const std::string& text) {
    for (const char* branch : {"where(", "abs(", "maximum(", "minimum(", "sign("}) {
      if (text.find(branch) == std::string::npos) continue;
      INFO(name << ": " << text << ": add its points to tests/autograd/op_table/points.cpp");
      CHECK(points[name] > 0);
      return;
    }
  };
#define PRIMITIVE(op, kind, gx, low, high) check(#op, #gx);
#define UNARY(op, kind, value, gx, low, high) check(#op, #value " " #gx);
#define BINARY(op, kind, value, ga, gb, ...) check(#op, #value " " #ga " " #gb);
#define TERNARY(op, kind, value, ga, gb, gc, ...) check(#op, #value " " #ga " " #gb " " #gc);
#define COMPARE(...)
#include "autograd/formulas/elementwise.def"
}

TEST_CASE("a gradient is the same on registers and on tensors") {
  for_each_sample([](const table::Row& row, const table::Sample& sample) {
    if (!row.differentiable) return;
    for (const auto dtype : {ag::float32, ag::float64}) {
      const TensorList in = leaves(as(sample.inputs, dtype));
      const TensorList fused = gradients(sample, in, false), recorded = gradients(sample, in, true);
      for (std::size_t i = 0; i < fused.size(); ++i) {
        REQUIRE(fused[i].defined() == recorded[i].defined());
        if (fused[i].defined())
          CHECK(distance(fused[i], recorded[i]) < (dtype == ag::float64 ? 1e-13 : 1e-5));
      }
    }
  });
}

TEST_CASE("float32 agrees with float64 in value and gradient") {
  for_each_sample([](const table::Row& row, const table::Sample& sample) {
    const TensorList narrow = leaves(as(sample.inputs, ag::float32)),
                     wide = leaves(as(narrow, ag::float64));
    CHECK(distance(sample.call(narrow), sample.call(wide)) < 1e-5);
    if (!row.differentiable) return;
    const TensorList a = gradients(sample, narrow, false), b = gradients(sample, wide, false);
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i].defined()) CHECK(distance(a[i], b[i]) < 2e-5);
  });
}

TEST_CASE("values agree with a naive loop") {
  std::size_t compared = 0;
  for_each_sample([&](const table::Row&, const table::Sample& sample) {
    if (!sample.naive) return;
    const auto y = sample.call(sample.inputs).to_vector<double>(), z = sample.naive(sample.inputs);
    REQUIRE(y.size() == z.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      CHECK_FALSE(differs(y[i], z[i], 1e-13));
      ++compared;
    }
  });
  CHECK(compared > 100);
}

TEST_CASE("every operation refuses what it cannot do, with a text that says why") {
  for (const auto& row : table::rows())
    for (const auto& mistake : row.mistakes) {
      INFO(row.name << ": " << mistake.text);
      CHECK_THROWS_WITH(mistake.call(), Catch::Matchers::ContainsSubstring(mistake.text));
    }
}

TEST_CASE("nothing is recorded under NoGrad") {
  for_each_sample([](const table::Row&, const table::Sample& sample) {
    const TensorList in = leaves(sample.inputs);
    const ag::NoGrad off;
    const Tensor y = sample.call(in);
    bool is_input = false;
    for (const Tensor& t : in) is_input |= y.is(t);
    if (!is_input) CHECK_FALSE(y.requires_grad());
  });
}

TEST_CASE("the result of an operation without gradient leaves the tape") {
  for_each_sample([](const table::Row& row, const table::Sample& sample) {
    if (!row.differentiable) CHECK_FALSE(sample.call(leaves(sample.inputs)).requires_grad());
  });
}

TEST_CASE("an input used twice gets the sum of both gradients") {
  for_each_sample([](const table::Row& row, const table::Sample& sample) {
    if (!row.differentiable || sample.inputs.size() != 2) return;
    if (sample.inputs[0].shape() != sample.inputs[1].shape()) return;
    if (!ag::is_floating(sample.inputs[0].dtype())) return;
    if (!ag::is_floating(sample.inputs[1].dtype())) return;
    const Tensor x = sample.inputs[1].detach().clone().requires_grad_();
    const Tensor a = x.detach().clone().requires_grad_(), b = x.detach().clone().requires_grad_();
    const Tensor twice = sample.call({x, x});
    const Tensor separate = sample.call({a, b});
    if (twice.numel() == 0) return;
    const Tensor cotangent = ag::ones_like(twice);
    const Tensor whole = ag::grad({twice}, {x}, {.grad_outputs = {cotangent}})[0];
    const TensorList parts = ag::grad({separate}, {a, b}, {.grad_outputs = {cotangent}});
    CHECK(distance(whole, parts[0] + parts[1]) < 1e-13);
  });
}

TEST_CASE("the backward pass leaves the inputs as they were") {
  for_each_sample([](const table::Row& row, const table::Sample& sample) {
    if (!row.differentiable) return;
    const TensorList in = leaves(sample.inputs);
    TensorList before;
    for (const Tensor& t : in) before.push_back(t.detach().clone());
    gradients(sample, in, false);
    for (std::size_t i = 0; i < in.size(); ++i)
      CHECK(in[i].to(ag::float64).to_vector<double>() ==
            before[i].to(ag::float64).to_vector<double>());
  });
}
