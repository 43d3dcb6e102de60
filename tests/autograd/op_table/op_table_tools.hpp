#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "autograd/core/random.hpp"
#include "autograd/functional.hpp"
#include "autograd/tape/operation.hpp"
#include "tests/autograd/op_table/op_table.hpp"
#include "tests/catch.hpp"
#include "tests/source_dir.hpp"

/// What the checks over the table share.
namespace table {

namespace ag = autograd;

inline bool differs(double a, double b, double tolerance) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) != std::isnan(b);
  return std::abs(a - b) > tolerance * std::max(1.0, std::abs(b));
}

/// The largest difference relative to max(1, |b|); infinite where the shapes differ, or only one is NaN.
inline double distance(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return INFINITY;
  const auto x = a.to(ag::float64).to_vector<double>(), y = b.to(ag::float64).to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (std::isnan(x[i]) != std::isnan(y[i]))
      worst = INFINITY;
    else if (differs(x[i], y[i], 0))
      worst = std::max(worst, std::abs(x[i] - y[i]) / std::max(1.0, std::abs(y[i])));
  return worst;
}

inline TensorList as(const TensorList& in, ag::DType dtype) {
  TensorList out;
  for (const Tensor& t : in) out.push_back(ag::is_floating(t.dtype()) ? t.to(dtype) : t);
  return out;
}

/// Fresh leaves with the same values.
inline TensorList leaves(const TensorList& in) {
  TensorList out;
  for (const Tensor& t : in)
    out.push_back(ag::is_floating(t.dtype()) ? t.detach().clone().requires_grad_() : t);
  return out;
}

inline TensorList differentiable(const TensorList& in) {
  TensorList out;
  for (const Tensor& t : in)
    if (t.requires_grad()) out.push_back(t);
  return out;
}

inline TensorList gradients(const Sample& s, const TensorList& in, bool create_graph) {
  const Tensor y = s.call(in);
  ag::Generator g(1);
  const Tensor cotangent = ag::randn(y.shape(), ag::float64, g).to(y.dtype());
  return ag::grad(
      {y}, differentiable(in),
      {.grad_outputs = {cotangent}, .create_graph = create_graph, .allow_unused = true});
}

inline bool has_tangent(const Row& row, const Sample& s) {
  return row.differentiable &&
         std::any_of(s.inputs.begin(), s.inputs.end(),
                     [](const Tensor& t) { return ag::is_floating(t.dtype()); }) &&
         ag::is_floating(s.call(s.inputs).dtype());
}

/// The tangent along a direction that follows from the inputs, for all that are floating.
inline Tensor tangent(const Sample& s, const TensorList& in) {
  TensorList x, along;
  for (const Tensor& t : in)
    if (ag::is_floating(t.dtype())) x.push_back(t), along.push_back(ag::cos(3 * t) + 0.5);
  return ag::jvp(
      [&](const TensorList& moved) {
        TensorList all = in;
        std::size_t next = 0;
        for (Tensor& t : all)
          if (ag::is_floating(t.dtype())) t = moved[next++];
        return s.call(all);
      },
      x, along);
}

template <class F>
void for_each_sample(F&& f) {
  for (const auto& row : rows())
    for (const auto& sample : row.samples) {
      INFO(row.name << " with " << sample.text);
      f(row, sample);
    }
}

/// The public operations by the headers that ops.hpp includes: name → family, which is its folder.
inline std::map<std::string, std::string> families() {
  std::map<std::string, std::string> result;
  const std::regex include(R"x(^#include "(autograd/(?:ops/)?(\w+)/\w+\.hpp)")x"),
      declaration(R"(^(?:[A-Z]\w*|std::\w+<.*>) (\w+)\()");
  std::smatch m;
  std::ifstream umbrella(XGRAD_SOURCE_DIR "/autograd/ops/ops.hpp");
  REQUIRE(umbrella);
  for (std::string line; std::getline(umbrella, line);) {
    if (!std::regex_search(line, m, include)) continue;
    const std::string family = m[2];
    std::ifstream header(XGRAD_SOURCE_DIR "/" + m[1].str());
    REQUIRE(header);
    for (std::string text; std::getline(header, text);)
      if (std::regex_search(text, m, declaration) && m[1] != "operator") result[m[1]] = family;
  }
  return result;
}

}  // namespace table
