#include "tests/nn/optim/optimizers.hpp"

#include <algorithm>
#include <cmath>

#include "nn/optim/optim.hpp"

namespace optimizers {
namespace {

namespace optim = nn::optim;

// The rules are written from PyTorch's documentation, line by line; Lion's from the paper.

Rule adadelta(const optim::AdadeltaOptions& o) {
  return [o, v = 0.0, u = 0.0](double p, double g) mutable {
    if (o.maximize) g = -g;
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    v = v * o.rho + g * g * (1 - o.rho);
    const double step = std::sqrt(u + o.eps) / std::sqrt(v + o.eps) * g;
    u = u * o.rho + step * step * (1 - o.rho);
    return p - o.lr * step;
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

template <class Options, bool decoupled>
Rule adam(const Options& o) {
  return [o, m = 0.0, v = 0.0, largest = 0.0, t = 0](double p, double g) mutable {
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

Rule adamax(const optim::AdamaxOptions& o) {
  return [o, m = 0.0, u = 0.0, t = 0](double p, double g) mutable {
    ++t;
    if (o.maximize) g = -g;
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    m = o.betas.first * m + (1 - o.betas.first) * g;
    u = std::max(o.betas.second * u, std::abs(g) + o.eps);
    return p - o.lr * m / ((1 - std::pow(o.betas.first, t)) * u);
  };
}

Rule lion(const optim::LionOptions& o) {
  return [o, m = 0.0](double p, double g) mutable {
    if (o.maximize) g = -g;
    const double c = o.betas.first * m + (1 - o.betas.first) * g;
    p = p - o.lr * ((c > 0) - (c < 0) + o.weight_decay * p);
    m = o.betas.second * m + (1 - o.betas.second) * g;
    return p;
  };
}

Rule nadam(const optim::NAdamOptions& o) {
  return [o, m = 0.0, v = 0.0, product = 1.0, t = 0](double p, double g) mutable {
    ++t;
    if (o.maximize) g = -g;
    if (o.decoupled_weight_decay)
      p = p - o.lr * o.weight_decay * p;
    else
      g = g + o.weight_decay * p;
    const double now = o.betas.first * (1 - 0.5 * std::pow(0.96, t * o.momentum_decay));
    const double next = o.betas.first * (1 - 0.5 * std::pow(0.96, (t + 1) * o.momentum_decay));
    product *= now;
    m = o.betas.first * m + (1 - o.betas.first) * g;
    v = o.betas.second * v + (1 - o.betas.second) * g * g;
    const double m_hat = next * m / (1 - product * next) + (1 - now) * g / (1 - product);
    const double v_hat = v / (1 - std::pow(o.betas.second, t));
    return p - o.lr * m_hat / (std::sqrt(v_hat) + o.eps);
  };
}

Rule radam(const optim::RAdamOptions& o) {
  return [o, m = 0.0, v = 0.0, t = 0](double p, double g) mutable {
    ++t;
    if (o.maximize) g = -g;
    if (o.decoupled_weight_decay)
      p = p - o.lr * o.weight_decay * p;
    else
      g = g + o.weight_decay * p;
    m = o.betas.first * m + (1 - o.betas.first) * g;
    v = o.betas.second * v + (1 - o.betas.second) * g * g;
    const double m_hat = m / (1 - std::pow(o.betas.first, t));
    const double beta2_t = std::pow(o.betas.second, t);
    const double rho_inf = 2 / (1 - o.betas.second) - 1;
    const double rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t);
    if (rho <= 5) return p - o.lr * m_hat;
    const double l = std::sqrt(1 - beta2_t) / (std::sqrt(v) + o.eps);
    const double r =
        std::sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho));
    return p - o.lr * m_hat * r * l;
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

Rule sparse_adam(const optim::SparseAdamOptions& o) {
  return [o, m = 0.0, v = 0.0, t = 0](double p, double g) mutable {
    ++t;
    if (o.maximize) g = -g;
    m = m + (1 - o.betas.first) * (g - m);
    v = v + (1 - o.betas.second) * (g * g - v);
    const double correction1 = 1 - std::pow(o.betas.first, t);
    const double correction2 = 1 - std::pow(o.betas.second, t);
    return p - o.lr * std::sqrt(correction2) / correction1 * m / (std::sqrt(v) + o.eps);
  };
}

std::vector<Row> library() {
  return {
      row<optim::Adadelta>(
          "Adadelta", {"square_avg", "acc_delta"}, adadelta,
          {{}, {.lr = 0.5, .rho = 0.7, .eps = 1e-2}, {.weight_decay = 0.2, .maximize = true}},
          {{{.rho = 1.5}, "rho must be at least 0 and at most 1, got 1.5"}}),
      row<optim::Adagrad>("Adagrad", {"sum"}, adagrad,
                          {{},
                           {.lr = 0.1, .lr_decay = 0.3},
                           {.lr = 0.1, .weight_decay = 0.2, .initial_accumulator_value = 0.5},
                           {.lr = 0.1, .eps = 0.3, .maximize = true}},
                          {{{.lr_decay = -1}, "lr_decay must be at least 0, got -1"},
                           {{.initial_accumulator_value = -1},
                            "initial_accumulator_value must be at least 0, got -1"}}),
      row<optim::Adam>(
          "Adam", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, adam<optim::AdamOptions, false>,
          {{},
           {.lr = 0.1, .betas = {0.7, 0.8}},
           {.lr = 0.1, .betas = {0, 0}},
           {.lr = 0.1, .eps = 0.5},
           {.lr = 0.1, .weight_decay = 0.3},
           {.lr = 0.1, .betas = {0.5, 0.6}, .amsgrad = true},
           {.lr = 0.1,
            .betas = {0.5, 0.6},
            .weight_decay = 0.3,
            .amsgrad = true,
            .maximize = true}},
          {{{.betas = {1, 0.9}}, "betas must be at least 0 and below 1, got (1, 0.9)"}}),
      row<optim::Adamax>(
          "Adamax", {"exp_avg", "exp_inf"}, adamax,
          {{},
           {.lr = 0.1, .betas = {0.5, 0.6}, .eps = 0.2},
           {.weight_decay = 0.3, .maximize = true}},
          {{{.betas = {-0.1, 0.9}}, "betas must be at least 0 and below 1, got (-0.1, 0.9)"}}),
      row<optim::AdamW>(
          "AdamW", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, adam<optim::AdamWOptions, true>,
          {{},
           {.lr = 0.1, .weight_decay = 0.3},
           {.lr = 0.1, .weight_decay = 0},
           {.lr = 0.1, .betas = {0.5, 0.6}, .eps = 0.1, .amsgrad = true},
           {.lr = 0.1, .weight_decay = 0.3, .amsgrad = true, .maximize = true}},
          {{{.betas = {0.9, -0.1}}, "betas must be at least 0 and below 1, got (0.9, -0.1)"},
           {{.eps = -1}, "eps must be at least 0, got -1"}}),
      row<optim::Lion>("Lion", {"exp_avg"}, lion,
                       {{},
                        {.lr = 0.1, .betas = {0.5, 0.8}},
                        {.lr = 0.1, .weight_decay = 0.3},
                        {.lr = 0.1, .betas = {0, 0}, .maximize = true}},
                       {{{.betas = {0.9, 1}}, "betas must be at least 0 and below 1, got (0.9, 1)"},
                        {{.weight_decay = -1}, "weight_decay must be at least 0, got -1"}}),
      row<optim::NAdam>("NAdam", {"exp_avg", "exp_avg_sq", "mu_product"}, nadam,
                        {{},
                         {.lr = 0.1, .betas = {0.5, 0.6}, .eps = 0.1, .momentum_decay = 0.5},
                         {.lr = 0.1, .weight_decay = 0.3, .maximize = true},
                         {.lr = 0.1, .weight_decay = 0.3, .decoupled_weight_decay = true}},
                        {{{.momentum_decay = -1}, "momentum_decay must be at least 0, got -1"}}),
      row<optim::RAdam>("RAdam", {"exp_avg", "exp_avg_sq"}, radam,
                        {{},
                         {.lr = 0.1, .betas = {0.5, 0.6}, .eps = 0.1},
                         {.lr = 0.1, .weight_decay = 0.3, .maximize = true},
                         {.lr = 0.1, .weight_decay = 0.3, .decoupled_weight_decay = true}},
                        {{{.eps = -1}, "eps must be at least 0, got -1"}}),
      row<optim::RMSprop>(
          "RMSprop", {"square_avg", "grad_avg", "momentum_buffer"}, rmsprop,
          {{},
           {.alpha = 0.5},
           {.eps = 0.3, .weight_decay = 0.2},
           {.momentum = 0.9},
           {.alpha = 0.8, .eps = 1e-3, .centered = true},
           {.momentum = 0.5, .maximize = true},
           {.alpha = 0.8, .eps = 1e-3, .weight_decay = 0.2, .momentum = 0.9, .centered = true}},
          {{{.alpha = -1}, "alpha must be at least 0, got -1"}}),
      row<optim::SGD>(
          "SGD", {"momentum_buffer"}, sgd,
          {{},
           {.lr = 0.1},
           {.lr = 0.1, .weight_decay = 0.2},
           {.lr = 0.1, .momentum = 0.9},
           {.lr = 0.1, .momentum = 0.9, .dampening = 0.4, .weight_decay = 0.2},
           {.lr = 0.1, .weight_decay = 0.2, .maximize = true},
           {.lr = 0.1, .momentum = 0.8, .nesterov = true},
           {.lr = 0.1, .momentum = 0.8, .weight_decay = 0.2, .nesterov = true, .maximize = true}},
          {{{.weight_decay = -1}, "weight_decay must be at least 0, got -1"},
           {{.nesterov = true},
            "nesterov needs momentum > 0 and dampening 0, got momentum 0 and dampening 0"},
           {{.momentum = 0.9, .dampening = 0.1, .nesterov = true},
            "nesterov needs momentum > 0 and dampening 0, got momentum 0.9 and dampening 0.1"}}),
      row<optim::SparseAdam>(
          "SparseAdam", {"exp_avg", "exp_avg_sq"}, sparse_adam,
          {{}, {.lr = 0.1, .betas = {0.5, 0.6}, .eps = 0.1}, {.lr = 0.1, .maximize = true}},
          {{{.betas = {0.9, 1}}, "betas must be at least 0 and below 1, got (0.9, 1)"}}),
  };
}

const Family library_rows(library);

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> list;
    for (const auto& [file, families] : Family::all())
      for (const auto family : families)
        for (Row& row : family()) list.push_back(std::move(row));
    return list;
  }();
  return all;
}

}  // namespace optimizers
