#include "nn/module/parameter_vector.hpp"
#include "nn/nn.hpp"
#include "nn/optim/averages.hpp"
#include "nn/optim/cyclic_schedulers.hpp"
#include "nn/optim/lbfgs.hpp"
#include "nn/optim/muon.hpp"
#include "nn/training/update_bn.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using namespace nn::optim;
using ag::Tensor;

/// Rates and momenta of two groups in 30 steps.
template <class Make>
Call schedule(Make make) {
  return [=](const Question& q) {
    const auto leaf = [] { return ag::zeros({1}).requires_grad_(); };
    SGD sgd({{{leaf()}, {.lr = 0.1, .momentum = 0.5}}, {{leaf()}, {.lr = 0.3, .momentum = 0.5}}});
    auto scheduler = make(sgd);
    std::vector<double> found;
    for (int t = 0; t < 30; ++t, scheduler.step())
      for (const std::size_t group : {0, 1}) {
        found.push_back(sgd.lr(group));
        found.push_back(*sgd.momentum(group));
      }
    return ag::tensor(found).to(q.dtype);
  };
}

struct Chain {
  LinearLR first;
  ExponentialLR second;
  StepLR third;
  ChainedScheduler all;
  explicit Chain(Optimizer& o)
      : first(o, {0.2, 1, 6}),
        second(o, {.gamma = 0.9}),
        third(o, {10, 0.5}),
        all(o, {&first, &second, &third}) {}
  void step() { all.step(); }
};

struct Averaging {
  ExponentialLR first;
  SWALR all;
  explicit Averaging(Optimizer& o)
      : first(o, {.gamma = 0.8}),
        all(o, {.swa_lr = 0.02, .anneal_epochs = 5, .anneal_strategy = AnnealStrategy::linear},
            first, 9) {}
  void step() { all.step(); }
};

TensorList statistics_anew(const Tensor& values) {
  nn::Sequential model(nn::BatchNorm1d(3, {.momentum = 0.3}), nn::Tanh(),
                       nn::BatchNorm1d(3, {.momentum = std::nullopt}));
  model.to(values.dtype());
  const TensorList batches = ag::unbind(values.detach(), 0);
  model(batches[0]);
  nn::update_bn(batches, model);
  model(batches[0]);
  TensorList found;
  for (const ag::Tensor& b : model.buffers())
    if (ag::is_floating(b.dtype())) found.push_back(b.detach());
  return found;
}

struct Statistics : nn::Module {
  nn::Parameter weight;
  nn::Buffer running_mean;
  explicit Statistics(ag::DType dtype)
      : weight(ag::ones({3}, dtype)), running_mean(ag::zeros({3}, dtype)) {}
  NN_MODULE(weight, running_mean)
};

template <class Average, class Options>
Call averaged(const Options& options) {
  return [=](T values) {
    Statistics model(values.dtype());
    Average average(model, options);
    for (std::int64_t i = 0; i < values.size(0); ++i) {
      const Tensor value = ag::select(values.detach(), 0, i);
      model.weight.copy_(value);
      model.running_mean.copy_(2 * value);
      average.update();
    }
    average.apply_to(model);
    return TensorList{model.weight.detach(), model.running_mean.detach()};
  };
}

template <class Loss>
TensorList descend(const TensorList& parameters, const LBFGSOptions& options, int steps,
                   const Loss& loss_of) {
  LBFGS optimizer(parameters, options);
  TensorList found;
  for (int i = 0; i < steps; ++i) {
    const Tensor loss = optimizer.step([&] {
      optimizer.zero_grad();
      const Tensor loss = loss_of();
      loss.backward();
      return loss;
    });
    found.push_back(loss.detach().clone());
    for (const Tensor& p : parameters) found.push_back(p.detach().clone());
  }
  return found;
}

Call valley(int steps, const LBFGSOptions& options) {
  return [=](T start) {
    const Tensor p = start.clone().requires_grad_();
    return descend({p}, options, steps, [&] {
      const Tensor x = p[{0}], y = p[{1}];
      return ag::square(1 - x) + 100 * ag::square(y - ag::square(x));
    });
  };
}

Call network(int steps, const LBFGSOptions& options) {
  return [=](T w, T b, T x, T t) {
    const TensorList p{w.clone().requires_grad_(), b.clone().requires_grad_()};
    return descend(p, options, steps, [&] {
      return ag::mean(ag::square(ag::sum(ag::tanh(ag::matmul(x, p[0]) + p[1]), 1) - t));
    });
  };
}

Call muon(const MuonOptions& options) {
  return [=](T start, T x, T t) {
    const Tensor p = start.clone().requires_grad_();
    Muon optimizer({p}, options);
    TensorList found;
    for (const int step : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
      optimizer.zero_grad();
      ag::mean(ag::square(ag::sum(ag::tanh(ag::matmul(x, p)), 1) - t)).backward();
      optimizer.step();
      if (step < 2 || step == 9) found.push_back(p.detach().clone());
    }
    return found;
  };
}

std::vector<Row> schedules() {
  using O = Optimizer&;
  const OneCycleLROptions three_phase{.max_lr = {0.5, 1.0},
                                      .total_steps = 30,
                                      .pct_start = 0.4,
                                      .anneal_strategy = AnnealStrategy::linear,
                                      .base_momentum = {0.7, 0.8},
                                      .max_momentum = 0.9,
                                      .div_factor = 10,
                                      .final_div_factor = 100,
                                      .three_phase = true};
  const OneCycleLROptions epochs{
      .max_lr = 0.5, .epochs = 6, .steps_per_epoch = 5, .pct_start = 0.21, .cycle_momentum = false};
  const CyclicLROptions halved{.base_lr = {0.1, 0.2},
                               .max_lr = 0.5,
                               .step_size_up = 3,
                               .step_size_down = 5,
                               .mode = CyclicMode::triangular2,
                               .base_momentum = 0.6,
                               .max_momentum = {0.8, 0.9}};
  const CyclicLROptions range{.base_lr = 0.1,
                              .max_lr = 0.5,
                              .step_size_up = 4,
                              .mode = CyclicMode::exp_range,
                              .gamma = 0.9,
                              .cycle_momentum = false};
  const CyclicLROptions scaled{.base_lr = 0.1,
                               .max_lr = 0.5,
                               .step_size_up = 4,
                               .step_size_down = 3,
                               .scale_fn = [](double x) { return 1 / (1 + x); },
                               .scale_mode = ScaleMode::iterations};
  return {
      {"OneCycleLR",
       schedule([](O o) { return OneCycleLR(o, {.max_lr = 0.5, .total_steps = 30}); })},
      {"OneCycleLR linear three_phase", schedule([=](O o) { return OneCycleLR(o, three_phase); })},
      {"OneCycleLR epochs", schedule([=](O o) { return OneCycleLR(o, epochs); })},
      {"CyclicLR", schedule([](O o) {
         return CyclicLR(o, {.base_lr = 0.1, .max_lr = 0.5, .step_size_up = 4});
       })},
      {"CyclicLR triangular2", schedule([=](O o) { return CyclicLR(o, halved); })},
      {"CyclicLR exp_range", schedule([=](O o) { return CyclicLR(o, range); })},
      {"CyclicLR scale_fn", schedule([=](O o) { return CyclicLR(o, scaled); })},
      {"CosineAnnealingWarmRestarts", schedule([](O o) {
         return CosineAnnealingWarmRestarts(o, {4, 2, 0.01});
       })},
      {"CosineAnnealingWarmRestarts even",
       schedule([](O o) { return CosineAnnealingWarmRestarts(o, {.T_0 = 7}); })},
      {"PolynomialLR", schedule([](O o) {
         return PolynomialLR(o, {20, 0.7});
       })},
      {"ChainedScheduler", schedule([](O o) { return Chain(o); })},
      {"SWALR", schedule([](O o) {
         return SWALR(o, {.swa_lr = {0.05, 0.1}, .anneal_epochs = 12});
       })},
      {"SWALR after another", schedule([](O o) { return Averaging(o); })},
  };
}

std::vector<Row> optimizers() {
  const LBFGSOptions fixed{.lr = 0.1, .max_iter = 3};
  const LBFGSOptions history{.lr = 0.2, .max_iter = 2, .max_eval = 3, .history_size = 2};
  const LBFGSOptions wolfe{.max_iter = 5, .line_search_fn = LineSearch::strong_wolfe};
  const LBFGSOptions wolfe_lr{.lr = 0.3,
                              .max_iter = 4,
                              .max_eval = 12,
                              .history_size = 3,
                              .line_search_fn = LineSearch::strong_wolfe};
  return {
      {"EMA", averaged<EMA>(EMAOptions{.decay = 0.8})},
      {"EMA use_buffers", averaged<EMA>(EMAOptions{.decay = 0.3, .use_buffers = true})},
      {"SWA", averaged<SWA>(SWAOptions{})},
      {"SWA use_buffers", averaged<SWA>(SWAOptions{.use_buffers = true})},
      {"update_bn", [](T values) { return statistics_anew(values); }},
      {"LBFGS valley", valley(6, fixed)},
      {"LBFGS network", network(6, fixed)},
      {"LBFGS history valley", valley(8, history)},
      {"LBFGS history network", network(8, history)},
      {"LBFGS strong_wolfe valley", valley(3, wolfe)},
      {"LBFGS strong_wolfe network", network(3, wolfe)},
      {"LBFGS strong_wolfe lr valley", valley(4, wolfe_lr)},
      {"LBFGS strong_wolfe lr network", network(4, wolfe_lr)},
      {"Muon", muon({})},
      {"Muon lr", muon({.lr = 0.05, .weight_decay = 0.2, .momentum = 0.8})},
      {"Muon options", muon({.lr = 0.05,
                             .nesterov = false,
                             .ns_coefficients = {3.0, -3.2, 1.2},
                             .ns_steps = 3,
                             .adjust_lr_fn = AdjustLr::match_rms_adamw})},
      {"Muon spectral_unclamped", muon({.lr = 0.05, .adjust_lr_fn = AdjustLr::spectral_unclamped})},
      {"parameters_to_vector",
       [](T a, T b) {
         return nn::parameters_to_vector({a, b});
       }},
  };
}

}  // namespace

namespace oracle {

void add_training(std::vector<Row>& rows) {
  for (const auto& table : {schedules(), optimizers()})
    rows.insert(rows.end(), table.begin(), table.end());
}

const Cases training_cases(add_training);

}  // namespace oracle
