#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/optim/optimizer.hpp"
#include "tests/registered.hpp"

/// What the tests know of the library's optimizers: a row each, in optimizers.cpp or in a file of
/// its own.
namespace optimizers {

using Made = std::unique_ptr<nn::optim::Optimizer>;
using Make = std::function<Made(const autograd::TensorList&)>;

/// What one element goes through: a rule is made for each element and keeps its state.
using Rule = std::function<double(double p, double g)>;

struct Case {
  Make make;
  std::function<Rule()> rule;  ///< its formula with the same options
};

struct Row {
  std::string name;
  Make plain;                      ///< with default options
  std::vector<std::string> state;  ///< what one parameter remembers after a step of the last case
  std::vector<Case> cases;         ///< options that together use all there are
  std::vector<std::pair<Make, std::string>> refused;  ///< options out of range, and the error
};

/// The row of the optimizer O, in whose errors `name` comes first.
template <class O, class Options>
Row row(const std::string& name, std::vector<std::string> state, Rule (*rule)(const Options&),
        const std::vector<Options>& options,
        const std::vector<std::pair<Options, std::string>>& refused) {
  const auto with = [](const Options& o) -> Make {
    return [o](const autograd::TensorList& p) { return std::make_unique<O>(p, o); };
  };
  Row r{name, with({}), std::move(state), {}, {}};
  for (const Options& o : options) r.cases.push_back({with(o), [=] { return rule(o); }});
  for (const auto& [o, error] : refused) r.refused.emplace_back(with(o), name + ": " + error);
  return r;
}

/// The rows of a file: `const Family lion_rows(lion);`.
using Family = Registered<std::vector<Row> (*)()>;
const std::vector<Row>& rows();

}  // namespace optimizers
