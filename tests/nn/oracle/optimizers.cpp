#include <cmath>
#include <limits>

#include "nn/nn.hpp"
#include "tests/lookup.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using namespace nn::optim;
using ag::Tensor;

template <class O>
using OptionsOf = std::remove_cvref_t<decltype(std::declval<const O&>().options())>;

/// 50 steps on the problem of tests/oracle/optimizers.py; the parameters at some of the steps.
template <class O>
Call descend(const OptionsOf<O>& options) {
  return [=](T w, T b, T x, T t) {
    const TensorList p{w.clone().requires_grad_(), b.clone().requires_grad_()};
    O optimizer(p, options);
    TensorList found;
    for (int step = 1; step <= 50; ++step) {
      optimizer.zero_grad();
      const Tensor y = ag::sum(ag::tanh(ag::matmul(x, p[0]) + p[1]), 1);
      const Tensor loss = ag::mean(ag::square(y - t)) + 0.1 * ag::sum(ag::sin(3 * p[0]));
      loss.backward();
      optimizer.step();
      for (const int shown : {1, 2, 3, 10, 25, 50})
        if (step == shown)
          for (const Tensor& parameter : p) found.push_back(parameter.detach().clone());
    }
    return found;
  };
}

/// The same on rows of a table.
template <class O>
Call descend_rows(const OptionsOf<O>& options) {
  return [=](T table, T t) {
    const Tensor p = table.clone().requires_grad_();
    O optimizer({p}, options);
    TensorList found;
    for (std::int64_t step = 1; step <= 50; ++step) {
      optimizer.zero_grad();
      const Tensor places =
          ag::tensor({step % 7, step * step % 7, std::int64_t{3}, 5 * step % 11 % 7});
      const Tensor y = ag::sum(ag::tanh(lookup(p, places)), 1);
      ag::mean(ag::square(y - t)).backward();
      optimizer.step();
      for (const int shown : {1, 2, 3, 10, 25, 50})
        if (step == shown) found.push_back(p.detach().clone());
    }
    return found;
  };
}

/// The learning rates of 30 steps from 0.1.
template <class Make>
Call schedule(Make make) {
  return [=](const Question& q) {
    SGD sgd({ag::zeros({1}).requires_grad_()}, {.lr = 0.1});
    auto scheduler = make(sgd);
    std::vector<double> rates;
    for (int t = 0; t < 30; ++t) {
      rates.push_back(sgd.lr());
      if constexpr (requires { scheduler.step(1.0); })
        scheduler.step(std::floor(100.0 / (1 + t)) / 100);
      else
        scheduler.step();
    }
    return ag::tensor(rates).to(q.dtype);
  };
}

/// Schedules one after the other, with what they refer to.
struct ThenExponential {
  LinearLR first;
  ExponentialLR second;
  SequentialLR both;
  explicit ThenExponential(Optimizer& o)
      : first(o, {.start_factor = 0.5}),
        second(o, {.gamma = 0.9}),
        both(o, {&first, &second}, {5}) {}
  void step() { both.step(); }
};
struct ThenCosine {
  CosineAnnealingLR then;
  LinearWarmup warmup;
  explicit ThenCosine(Optimizer& o)
      : then(o, {.T_max = 20}), warmup(o, {.steps = 6, .start_factor = 0.2}, then) {}
  void step() { warmup.step(); }
};

/// The gradients after `f`, and before them the norm that it returns.
template <class F>
Call clip(F f) {
  return [=](const TensorList& gradients) {
    TensorList parameters, found;
    for (const Tensor& g : gradients) {
      Tensor p = ag::zeros_like(g).requires_grad_();
      p.set_grad(g.clone());
      parameters.push_back(p);
    }
    if constexpr (std::is_void_v<decltype(f(parameters))>)
      f(parameters);
    else
      found.push_back(ag::full({}, f(parameters), gradients[0].dtype()));
    for (const Tensor& p : parameters) found.push_back(p.grad());
    return found;
  };
}

/// Moments of what `f` puts into 60,000 elements times the root of 300.
Call initial(void (*f)(Tensor)) {
  return [=](const Question& q) {
    ag::manual_seed(1);
    Tensor t = ag::zeros({200, 300}, q.dtype);
    f(t);
    t = t * std::sqrt(300.0);
    return ag::stack({ag::mean(t), ag::sqrt(ag::var(t)), ag::mean(ag::abs(t)),
                      ag::sqrt(ag::sqrt(ag::mean(ag::square(ag::square(t)))))});
  };
}

Tensor linear_range(const Question& q) {
  ag::manual_seed(1);
  const nn::Linear layer(300, 2000);
  TensorList largest;
  for (const Tensor& p : layer.parameters())
    largest.push_back(ag::max(ag::abs(p.detach())).to(q.dtype) * std::sqrt(300.0));
  return ag::stack(largest);
}

Tensor gains(const Question& q) {
  using nn::init::calculate_gain, nn::init::Nonlinearity;
  return ag::tensor({calculate_gain(Nonlinearity::linear), calculate_gain(Nonlinearity::sigmoid),
                     calculate_gain(Nonlinearity::tanh), calculate_gain(Nonlinearity::relu),
                     calculate_gain(Nonlinearity::leaky_relu, 0.2),
                     calculate_gain(Nonlinearity::selu)})
      .to(q.dtype);
}

std::vector<Row> optimizers() {
  return {
      {"SGD", descend<SGD>({.lr = 0.05})},
      {"SGD momentum", descend<SGD>({.lr = 0.05, .momentum = 0.9})},
      {"SGD nesterov", descend<SGD>({.lr = 0.05, .momentum = 0.8, .nesterov = true})},
      {"SGD dampening weight_decay",
       descend<SGD>({.lr = 0.05, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.1})},
      {"SGD maximize",
       descend<SGD>({.lr = 0.02, .momentum = 0.5, .weight_decay = 0.1, .maximize = true})},
      {"Adam", descend<Adam>({.lr = 0.05})},
      {"Adam defaults", descend<Adam>({})},
      {"Adam betas eps weight_decay",
       descend<Adam>({.lr = 0.05, .betas = {0.8, 0.95}, .eps = 1e-3, .weight_decay = 0.1})},
      {"Adam amsgrad", descend<Adam>({.lr = 0.1, .betas = {0.9, 0.9}, .amsgrad = true})},
      {"Adam maximize", descend<Adam>({.lr = 0.02, .weight_decay = 0.1, .maximize = true})},
      {"AdamW", descend<AdamW>({.lr = 0.05})},
      {"AdamW defaults", descend<AdamW>({})},
      {"AdamW betas eps weight_decay",
       descend<AdamW>({.lr = 0.05, .betas = {0.8, 0.95}, .eps = 1e-3, .weight_decay = 0.1})},
      {"AdamW amsgrad", descend<AdamW>({.lr = 0.1, .betas = {0.9, 0.9}, .amsgrad = true})},
      {"AdamW maximize", descend<AdamW>({.lr = 0.02, .weight_decay = 0.1, .maximize = true})},
      {"RMSprop", descend<RMSprop>({.lr = 0.02})},
      {"RMSprop momentum", descend<RMSprop>({.lr = 0.01, .alpha = 0.9, .momentum = 0.9})},
      {"RMSprop centered",
       descend<RMSprop>({.lr = 0.01, .alpha = 0.9, .eps = 1e-3, .centered = true})},
      {"RMSprop centered momentum weight_decay", descend<RMSprop>({.lr = 0.005,
                                                                   .alpha = 0.9,
                                                                   .eps = 1e-3,
                                                                   .weight_decay = 0.1,
                                                                   .momentum = 0.5,
                                                                   .centered = true})},
      {"RMSprop maximize", descend<RMSprop>({.lr = 0.01, .maximize = true})},
      {"Adagrad", descend<Adagrad>({.lr = 0.1})},
      {"Adagrad lr_decay weight_decay",
       descend<Adagrad>({.lr = 0.2, .lr_decay = 0.1, .weight_decay = 0.1})},
      {"Adagrad initial_accumulator_value",
       descend<Adagrad>({.lr = 0.2, .initial_accumulator_value = 0.5, .eps = 1e-3})},
      {"Adagrad maximize", descend<Adagrad>({.lr = 0.1, .maximize = true})},
      {"Adamax", descend<Adamax>({.lr = 0.05, .weight_decay = 0.1})},
      {"Adamax defaults", descend<Adamax>({})},
      {"Adamax betas eps maximize",
       descend<Adamax>({.lr = 0.02, .betas = {0.8, 0.9}, .eps = 0.1, .maximize = true})},
      {"NAdam", descend<NAdam>({.lr = 0.05, .weight_decay = 0.1})},
      {"NAdam defaults", descend<NAdam>({})},
      {"NAdam momentum_decay decoupled_weight_decay",
       descend<NAdam>({.lr = 0.05,
                       .betas = {0.8, 0.95},
                       .eps = 1e-3,
                       .weight_decay = 0.1,
                       .momentum_decay = 0.1,
                       .decoupled_weight_decay = true})},
      {"NAdam maximize", descend<NAdam>({.lr = 0.02, .maximize = true})},
      {"RAdam", descend<RAdam>({.lr = 0.05, .weight_decay = 0.1})},
      {"RAdam defaults", descend<RAdam>({})},
      {"RAdam betas decoupled_weight_decay", descend<RAdam>({.lr = 0.05,
                                                             .betas = {0.8, 0.95},
                                                             .eps = 1e-3,
                                                             .weight_decay = 0.1,
                                                             .decoupled_weight_decay = true})},
      {"RAdam maximize", descend<RAdam>({.lr = 0.02, .maximize = true})},
      {"Adadelta", descend<Adadelta>({.lr = 1, .weight_decay = 0.1})},
      {"Adadelta defaults", descend<Adadelta>({})},
      {"Adadelta rho eps maximize",
       descend<Adadelta>({.lr = 0.5, .rho = 0.7, .eps = 1e-3, .maximize = true})},
  };
}

std::vector<Row> optimizers_of_rows() {
  return {
      {"SGD rows", descend_rows<SGD>({.lr = 0.05})},
      {"Adagrad rows", descend_rows<Adagrad>({.lr = 0.1, .lr_decay = 0.1})},
      {"SparseAdam", descend_rows<SparseAdam>({.lr = 0.05})},
      {"SparseAdam betas eps",
       descend_rows<SparseAdam>({.lr = 0.1, .betas = {0.7, 0.8}, .eps = 1e-3})},
      {"SparseAdam maximize", descend_rows<SparseAdam>({.lr = 0.02, .maximize = true})},
  };
}

std::vector<Row> schedules() {
  using O = Optimizer&;
  const ReduceLROnPlateauOptions reduce{.factor = 0.5,
                                        .patience = 1,
                                        .threshold = 0.02,
                                        .threshold_mode = ThresholdMode::abs,
                                        .cooldown = 2,
                                        .min_lr = {0.01}};
  const ReduceLROnPlateauOptions reduce_max{.mode = PlateauMode::max, .patience = 3};
  return {
      {"StepLR", schedule([](O o) { return StepLR(o, {.step_size = 7, .gamma = 0.5}); })},
      {"MultiStepLR", schedule([](O o) {
         return MultiStepLR(o, {.milestones = {4, 11, 11, 20}, .gamma = 0.3});
       })},
      {"ExponentialLR", schedule([](O o) { return ExponentialLR(o, {.gamma = 0.9}); })},
      {"CosineAnnealingLR",
       schedule([](O o) { return CosineAnnealingLR(o, {.T_max = 20, .eta_min = 0.01}); })},
      {"LinearLR", schedule([](O o) { return LinearLR(o); })},
      {"LinearLR whole", schedule([](O o) {
         return LinearLR(o, {0.25, 0.5, 12});
       })},
      {"LambdaLR",
       schedule([](O o) { return LambdaLR(o, [](auto t) { return 1 / (1 + double(t)); }); })},
      {"SequentialLR", schedule([](O o) { return ThenExponential(o); })},
      {"LinearWarmup", schedule([](O o) { return ThenCosine(o); })},
      {"ReduceLROnPlateau", schedule([](O o) { return ReduceLROnPlateau(o, {.patience = 2}); })},
      {"ReduceLROnPlateau cooldown min_lr",
       schedule([=](O o) { return ReduceLROnPlateau(o, reduce); })},
      {"ReduceLROnPlateau max", schedule([=](O o) { return ReduceLROnPlateau(o, reduce_max); })},
  };
}

std::vector<Row> clips_and_initial_values() {
  using P = const TensorList&;
  constexpr double inf = std::numeric_limits<double>::infinity();
  namespace init = nn::init;
  return {
      {"clip_grad_norm_", clip([](P p) { return nn::clip_grad_norm_(p, 1); })},
      {"clip_grad_norm_ small", clip([](P p) { return nn::clip_grad_norm_(p, 100); })},
      {"clip_grad_norm_ norm_type=1", clip([](P p) { return nn::clip_grad_norm_(p, 2, 1); })},
      {"clip_grad_norm_ norm_type=inf", clip([](P p) { return nn::clip_grad_norm_(p, 0.5, inf); })},
      {"clip_grad_value_", clip([](P p) { nn::clip_grad_value_(p, 0.75); })},
      {"Linear range", linear_range},
      {"uniform_", initial([](Tensor t) { init::uniform_(t, -0.1, 0.05); })},
      {"normal_", initial([](Tensor t) { init::normal_(t, 0.02, 0.05); })},
      {"trunc_normal_", initial([](Tensor t) { init::trunc_normal_(t, 0, 0.05, -0.06, 0.1); })},
      {"xavier_uniform_", initial([](Tensor t) { init::xavier_uniform_(t, 0.5); })},
      {"xavier_normal_", initial([](Tensor t) { init::xavier_normal_(t, 0.5); })},
      {"kaiming_uniform_", initial([](Tensor t) { init::kaiming_uniform_(t, {.a = 0.2}); })},
      {"kaiming_normal_ fan_out relu", initial([](Tensor t) {
         init::kaiming_normal_(
             t, {.mode = init::FanMode::fan_out, .nonlinearity = init::Nonlinearity::relu});
       })},
      {"orthogonal_", initial([](Tensor t) { init::orthogonal_(t, 0.5); })},
      {"calculate_gain", gains},
  };
}

}  // namespace

namespace oracle {

void add_optimizers(std::vector<Row>& rows) {
  for (const auto& table :
       {optimizers(), optimizers_of_rows(), schedules(), clips_and_initial_values()})
    rows.insert(rows.end(), table.begin(), table.end());
}

const Cases optimizers_cases(add_optimizers);

}  // namespace oracle
