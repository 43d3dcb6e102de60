#pragma once

#include <functional>

#include "autograd/compile.hpp"
#include "nn/module/module.hpp"

/// What five calls of a step of training on (x, y) give, eager or compiled, then the parameters.
inline autograd::TensorList some_steps(
    const nn::Module& model,
    const std::function<autograd::Tensor(const autograd::Tensor&, const autograd::Tensor&)>& step,
    const autograd::Tensor& x, const autograd::Tensor& y, bool compiled) {
  auto run = autograd::compile(step);
  autograd::TensorList results;
  for (int i = 0; i < 5; ++i)
    results.push_back((compiled ? run(x, y) : step(x, y)).detach().clone());
  for (const autograd::Tensor& p : model.parameters()) results.push_back(p.detach());
  return results;
}
