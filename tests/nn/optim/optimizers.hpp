#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/optim/optimizer.hpp"

/// What the tests know of the library's optimizers: a row each in optimizers.cpp.
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

const std::vector<Row>& rows();

}  // namespace optimizers
