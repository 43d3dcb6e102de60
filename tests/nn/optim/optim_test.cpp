#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "nn/optim/optim.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using ag::Tensor;

namespace {

constexpr int kSize = 37, kSteps = 7;  // whole registers and a rest

// Any fixed gradient that depends on the step and on the parameter.
double gradient_at(double p, int i, int step) { return std::sin(0.7 * i + step) + 0.3 * p; }
double start_at(int i) { return std::cos(1.3 * i) + 0.1 * i; }

// The parameter after each step of `optimizer`, which owns `p` alone.
template <class T>
std::vector<double> trajectory(optim::Optimizer& optimizer, Tensor p) {
  std::vector<double> all;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<T> g;
    for (int i = 0; i < kSize; ++i)
      g.push_back(static_cast<T>(gradient_at(static_cast<double>(p.data<T>()[i]), i, step)));
    p.set_grad(ag::from_data(g.data(), {kSize}));
    optimizer.step();
    for (const T x : p.to_vector<T>()) all.push_back(static_cast<double>(x));
  }
  return all;
}

// What one element goes through: a rule is made for each element and keeps its state.
using Rule = std::function<double(double p, double g)>;

std::vector<double> expected(const std::function<Rule()>& make_rule) {
  std::vector<double> all(kSize * kSteps);
  for (int i = 0; i < kSize; ++i) {
    const Rule rule = make_rule();
    double p = start_at(i);
    for (int step = 0; step < kSteps; ++step)
      all[static_cast<std::size_t>(step * kSize + i)] = p = rule(p, gradient_at(p, i, step));
  }
  return all;
}

template <class T, class O, class Options>
void check(const Options& options, const std::function<Rule()>& make_rule) {
  std::vector<T> values;
  for (int i = 0; i < kSize; ++i) values.push_back(static_cast<T>(start_at(i)));
  const Tensor p = ag::from_data(values.data(), {kSize}).requires_grad_();
  O optimizer({p}, options);
  const auto actual = trajectory<T>(optimizer, p);
  const auto wanted = expected(make_rule);
  REQUIRE(actual.size() == wanted.size());
  const double tolerance = std::same_as<T, float> ? 2e-5 : 1e-12;
  double worst = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    worst = std::max(worst, std::abs(actual[i] - wanted[i]) / (1 + std::abs(wanted[i])));
  CHECK(worst <= tolerance);
}

template <class O, class Options>
void check_both(const Options& options, const std::function<Rule()>& make_rule) {
  check<double, O>(options, make_rule);
  check<float, O>(options, make_rule);
}

// The rules below are written from PyTorch's documentation, line by line.

Rule sgd(const optim::SGDOptions& o) {
  return [o, b = 0.0, first = true](double p, double g) mutable {
    if (o.maximize) g = -g;
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    if (o.momentum != 0) {
      b = first ? g : o.momentum * b + (1 - o.dampening) * g;
      first = false;
      g = o.nesterov ? g + o.momentum * b : b;
    }
    return p - o.lr * g;
  };
}

template <class Options>
Rule adam(const Options& o, bool decoupled) {
  return [o, decoupled, m = 0.0, v = 0.0, largest = 0.0, t = 0](double p, double g) mutable {
    ++t;
    if (o.maximize) g = -g;
    if (decoupled)
      p = p - o.lr * o.weight_decay * p;
    else
      g = g + o.weight_decay * p;
    m = o.betas.first * m + (1 - o.betas.first) * g;
    v = o.betas.second * v + (1 - o.betas.second) * g * g;
    largest = std::max(largest, v);
    const double m_hat = m / (1 - std::pow(o.betas.first, t));
    const double v_hat = (o.amsgrad ? largest : v) / (1 - std::pow(o.betas.second, t));
    return p - o.lr * m_hat / (std::sqrt(v_hat) + o.eps);
  };
}

Rule rmsprop(const optim::RMSpropOptions& o) {
  return [o, v = 0.0, mean = 0.0, b = 0.0](double p, double g) mutable {
    if (o.maximize) g = -g;
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    v = o.alpha * v + (1 - o.alpha) * g * g;
    double v_tilde = v;
    if (o.centered) {
      mean = mean * o.alpha + (1 - o.alpha) * g;
      v_tilde = v_tilde - mean * mean;
    }
    if (o.momentum > 0) {
      b = o.momentum * b + g / (std::sqrt(v_tilde) + o.eps);
      return p - o.lr * b;
    }
    return p - o.lr * g / (std::sqrt(v_tilde) + o.eps);
  };
}

Rule adagrad(const optim::AdagradOptions& o) {
  return [o, sum = o.initial_accumulator_value, t = 0](double p, double g) mutable {
    ++t;
    if (o.maximize) g = -g;
    const double lr = o.lr / (1 + (t - 1) * o.lr_decay);
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    sum = sum + g * g;
    return p - lr * g / (std::sqrt(sum) + o.eps);
  };
}

}  // namespace

TEST_CASE("SGD follows its formula with every option") {
  for (const optim::SGDOptions& o : std::vector<optim::SGDOptions>{
           {},
           {.lr = 0.1},
           {.lr = 0.1, .weight_decay = 0.2},
           {.lr = 0.1, .momentum = 0.9},
           {.lr = 0.1, .momentum = 0.9, .dampening = 0.4, .weight_decay = 0.2},
           {.lr = 0.1, .momentum = 0.8, .nesterov = true},
           {.lr = 0.1, .momentum = 0.8, .weight_decay = 0.2, .nesterov = true, .maximize = true},
           {.lr = 0.1, .weight_decay = 0.2, .maximize = true}})
    check_both<optim::SGD>(o, [&] { return sgd(o); });
}

TEST_CASE("Adam follows its formula with every option") {
  for (const optim::AdamOptions& o :
       std::vector<optim::AdamOptions>{{},
                                       {.lr = 0.1, .betas = {0.7, 0.8}},
                                       {.lr = 0.1, .betas = {0, 0}},
                                       {.lr = 0.1, .eps = 0.5},
                                       {.lr = 0.1, .weight_decay = 0.3},
                                       {.lr = 0.1, .betas = {0.5, 0.6}, .amsgrad = true},
                                       {.lr = 0.1,
                                       .betas = {0.5, 0.6},
                                       .weight_decay = 0.3,
                                       .amsgrad = true,
                                       .maximize = true}})
    check_both<optim::Adam>(o, [&] { return adam(o, false); });
}

TEST_CASE("AdamW follows its formula with every option") {
  for (const optim::AdamWOptions& o : std::vector<optim::AdamWOptions>{
           {},
           {.lr = 0.1, .weight_decay = 0.3},
           {.lr = 0.1, .weight_decay = 0},
           {.lr = 0.1, .betas = {0.5, 0.6}, .eps = 0.1, .amsgrad = true},
           {.lr = 0.1, .weight_decay = 0.3, .amsgrad = true, .maximize = true}})
    check_both<optim::AdamW>(o, [&] { return adam(o, true); });
}

TEST_CASE("RMSprop follows its formula with every option") {
  for (const optim::RMSpropOptions& o : std::vector<optim::RMSpropOptions>{
           {},
           {.alpha = 0.5},
           {.eps = 0.3, .weight_decay = 0.2},
           {.momentum = 0.9},
           {.alpha = 0.8, .eps = 1e-3, .centered = true},
           {.alpha = 0.8, .eps = 1e-3, .weight_decay = 0.2, .momentum = 0.9, .centered = true},
           {.momentum = 0.5, .maximize = true}})
    check_both<optim::RMSprop>(o, [&] { return rmsprop(o); });
}

TEST_CASE("Adagrad follows its formula with every option") {
  for (const optim::AdagradOptions& o : std::vector<optim::AdagradOptions>{
           {},
           {.lr = 0.1, .lr_decay = 0.3},
           {.lr = 0.1, .weight_decay = 0.2, .initial_accumulator_value = 0.5},
           {.lr = 0.1, .eps = 0.3, .maximize = true}})
    check_both<optim::Adagrad>(o, [&] { return adagrad(o); });
}

TEST_CASE("optimizers have PyTorch's defaults") {
  const optim::SGDOptions s;
  CHECK((s.lr == 1e-3 && s.momentum == 0 && s.dampening == 0 && s.weight_decay == 0));
  const optim::AdamOptions a;
  CHECK((a.lr == 1e-3 && a.betas.first == 0.9 && a.betas.second == 0.999 && a.eps == 1e-8));
  CHECK((a.weight_decay == 0 && !a.amsgrad && !a.maximize));
  const optim::AdamWOptions w;
  CHECK((w.lr == 1e-3 && w.betas == a.betas && w.eps == 1e-8 && w.weight_decay == 1e-2));
  const optim::RMSpropOptions r;
  CHECK((r.lr == 1e-2 && r.alpha == 0.99 && r.eps == 1e-8 && r.momentum == 0 && !r.centered));
  const optim::AdagradOptions g;
  CHECK((g.lr == 1e-2 && g.lr_decay == 0 && g.initial_accumulator_value == 0 && g.eps == 1e-10));
}

TEST_CASE("amsgrad lets a NaN through") {
  Tensor p = ag::ones({1}).requires_grad_();
  optim::Adam optimizer({p}, {.amsgrad = true});
  p.set_grad(ag::full({1}, NAN));
  optimizer.step();
  p.set_grad(ag::ones({1}));
  optimizer.step();
  CHECK(std::isnan(optimizer.state_dict().at("state.0.max_exp_avg_sq").item()));
  CHECK(std::isnan(p.item()));
}

TEST_CASE("an infinite parameter stays infinite without weight decay") {
  Tensor p = ag::full({3}, INFINITY).requires_grad_();
  optim::SGD optimizer({p}, {.lr = 0.1});
  p.set_grad(ag::ones({3}));
  optimizer.step();
  CHECK(p.to_vector<float>() == std::vector<float>(3, INFINITY));
}

TEST_CASE("optimizers take parameters of any size and of mixed dtypes") {
  Tensor scalar = ag::tensor(1.0).requires_grad_(), empty = ag::zeros({0, 3}).requires_grad_();
  Tensor single = ag::ones({1, 1}).requires_grad_();
  optim::SGD optimizer({scalar, empty, single}, {.lr = 0.5, .momentum = 0.9});
  scalar.set_grad(ag::tensor(1.0));
  empty.set_grad(ag::zeros({0, 3}));
  single.set_grad(ag::ones({1, 1}));
  optimizer.step();
  CHECK(scalar.item<double>() == 0.5);
  CHECK(single.item<float>() == 0.5f);
  CHECK(empty.numel() == 0);
}
