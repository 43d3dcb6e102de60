#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "nn/optim/optim.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using Catch::Matchers::ContainsSubstring;

namespace {

// A schedule of any class, with those that it is made of, as a run holds it.
struct Schedule {
  std::vector<std::shared_ptr<void>> keep{};
  std::function<void()> step{};
  std::function<nn::StateDict()> save{};
  std::function<void(const nn::StateDict&)> load{};
};

template <class S, class... A>
std::shared_ptr<S> add(Schedule& schedule, A&&... arguments) {
  auto made = std::make_shared<S>(std::forward<A>(arguments)...);
  schedule.keep.push_back(made);
  S* s = made.get();
  schedule.step = [s] {
    if constexpr (std::is_same_v<S, optim::ReduceLROnPlateau>)
      s->step(1);  // never better again
    else
      s->step();
  };
  schedule.save = [s] { return s->state_dict(); };
  schedule.load = [s](const nn::StateDict& state) { s->load_state_dict(state); };
  return made;
}

using Make = std::function<void(Schedule&, optim::Optimizer&)>;
const std::vector<std::pair<std::string, Make>> kSchedules{
    {"StepLR",
     [](Schedule& s, optim::Optimizer& o) {
       add<optim::StepLR>(s, o, optim::StepLROptions{.step_size = 2, .gamma = 0.5});
     }},
    {"MultiStepLR",
     [](Schedule& s, optim::Optimizer& o) {
       add<optim::MultiStepLR>(s, o, optim::MultiStepLROptions{.milestones = {2, 4}});
     }},
    {"ExponentialLR",
     [](Schedule& s, optim::Optimizer& o) {
       add<optim::ExponentialLR>(s, o, optim::ExponentialLROptions{.gamma = 0.9});
     }},
    {"CosineAnnealingLR",
     [](Schedule& s, optim::Optimizer& o) {
       add<optim::CosineAnnealingLR>(s, o, optim::CosineAnnealingLROptions{.T_max = 7});
     }},
    {"LinearLR", [](Schedule& s, optim::Optimizer& o) { add<optim::LinearLR>(s, o); }},
    {"LambdaLR",
     [](Schedule& s, optim::Optimizer& o) {
       add<optim::LambdaLR>(s, o, [](std::int64_t t) { return 1 / (1 + 0.3 * double(t)); });
     }},
    {"SequentialLR",
     [](Schedule& s, optim::Optimizer& o) {
       const auto first = add<optim::LinearLR>(s, o);
       const auto then = add<optim::ExponentialLR>(s, o, optim::ExponentialLROptions{.gamma = 0.8});
       add<optim::SequentialLR>(s, o, std::vector<const optim::Scheduler*>{first.get(), then.get()},
                                std::vector<std::int64_t>{2});
     }},
    {"LinearWarmup",
     [](Schedule& s, optim::Optimizer& o) {
       const auto then =
           add<optim::CosineAnnealingLR>(s, o, optim::CosineAnnealingLROptions{.T_max = 5});
       add<optim::LinearWarmup>(s, o, optim::LinearWarmupOptions{.steps = 2}, *then);
     }},
    {"ReduceLROnPlateau", [](Schedule& s, optim::Optimizer& o) {
       add<optim::ReduceLROnPlateau>(s, o,
                                     optim::ReduceLROnPlateauOptions{.factor = 0.5, .patience = 0});
     }}};

// Two groups with a momentum, so that a rate that was wrong once shows for ever.
struct Run {
  ag::Tensor a = ag::ones({2}).requires_grad_(), b = ag::ones({3}).requires_grad_();
  std::unique_ptr<optim::AdamW> optimizer;
  Schedule schedule;

  void make_optimizer() {
    optimizer = std::make_unique<optim::AdamW>(
        std::vector<optim::AdamW::Group>{{{a}, {.lr = 1}}, {{b}, {.lr = 0.3}}});
  }
  void train(int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer->zero_grad();
      (ag::sum(a * a * a) + ag::sum(ag::sin(b))).backward();
      optimizer->step();
      schedule.step();
    }
  }
  std::vector<float> weights() const {
    return ag::concat({a.detach(), b.detach()}, 0).to_vector<float>();
  }
};

}  // namespace

TEST_CASE("a run resumes to the same bits in whatever order its parts are made and loaded") {
  for (const auto& [name, make] : kSchedules) {
    Run whole;
    whole.make_optimizer();
    make(whole.schedule, *whole.optimizer);
    whole.train(3);
    const std::vector<float> a = whole.a.to_vector<float>(), b = whole.b.to_vector<float>();
    const nn::StateDict optimizer_state = whole.optimizer->state_dict();
    nn::StateDict optimizer_copy;
    for (const auto& e : optimizer_state)
      optimizer_copy.push_back({e.name, e.tensor.detach().clone()});
    const nn::StateDict schedule_state = whole.schedule.save();
    whole.train(4);

    // The steps after "make the optimizer": what can come in any order comes in every one.
    enum { load_optimizer, make_schedule, load_schedule };
    std::vector<int> order{load_optimizer, make_schedule, load_schedule};
    int orders = 0;
    do {
      if (std::find(order.begin(), order.end(), load_schedule) <
          std::find(order.begin(), order.end(), make_schedule))
        continue;
      ++orders;
      INFO(name << ": order " << order[0] << order[1] << order[2]);
      Run later;
      later.a.copy_(ag::from_data(a.data(), {2}));
      later.b.copy_(ag::from_data(b.data(), {3}));
      later.make_optimizer();
      for (const int what : order) {
        if (what == load_optimizer) later.optimizer->load_state_dict(optimizer_copy);
        if (what == make_schedule) make(later.schedule, *later.optimizer);
        if (what == load_schedule) later.schedule.load(schedule_state);
      }
      later.train(4);
      CHECK(later.weights() == whole.weights());
      CHECK(later.optimizer->lr(0) == whole.optimizer->lr(0));
      CHECK(later.optimizer->lr(1) == whole.optimizer->lr(1));
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(orders == 3);
  }
}

TEST_CASE("a schedule refuses the state of another class by name, and one that is not whole") {
  for (const auto& [name, make] : kSchedules) {
    Run run;
    run.make_optimizer();
    make(run.schedule, *run.optimizer);
    const nn::StateDict good = run.schedule.save();
    const double lr = run.optimizer->lr();
    for (const auto& [other, make_other] : kSchedules) {
      if (other == name) continue;
      Run foreign;
      foreign.make_optimizer();
      make_other(foreign.schedule, *foreign.optimizer);
      CHECK_THROWS_WITH(run.schedule.load(foreign.schedule.save()),
                        name + ": the state must be that of " + name + ", got one of " + other);
    }
    for (std::size_t i = 0; i < good.size(); ++i) {
      nn::StateDict less = good;
      less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
      CHECK_THROWS_WITH(run.schedule.load(less), ContainsSubstring(name + ": the state must"));
    }
    nn::StateDict more = good;
    more.push_back(nn::named_scalar("gamma", 0.5));
    CHECK_THROWS_WITH(run.schedule.load(more),
                      name + ": the state must hold only what belongs here, got an entry 'gamma'");
    CHECK(run.optimizer->lr() == lr);
    CHECK_NOTHROW(run.schedule.load(good));
  }
}

TEST_CASE("a schedule that fails to load changes neither its position nor the rates") {
  ag::Tensor p = ag::ones({2}).requires_grad_();
  optim::SGD optimizer({p}, {.lr = 1});
  optim::StepLR schedule(optimizer, {.step_size = 1, .gamma = 0.5});
  const nn::StateDict start = schedule.state_dict();
  schedule.step();
  for (const char* entry : {"base_lrs.0", "lrs.0"})
    for (const double bad : {-1.0, double(NAN)}) {
      nn::StateDict state = start;
      for (auto& e : state)
        if (e.name == entry) e.tensor = ag::tensor(bad);
      CHECK_THROWS_WITH(schedule.load_state_dict(state),
                        ContainsSubstring(std::string("'") + entry + "' must be at least 0"));
      CHECK(schedule.last_epoch() == 1);
      CHECK(optimizer.lr() == 0.5);
    }
  nn::StateDict last = start;
  last[0].tensor = ag::tensor(std::int64_t{INT64_MAX});
  schedule.load_state_dict(last);
  CHECK_THROWS_WITH(schedule.step(), "StepLR: the steps must fit in 63 bits, got one more");
}

TEST_CASE("an optimizer refuses the state of another class, of other groups, or not whole") {
  ag::Tensor a = ag::ones({2}).requires_grad_(), b = ag::ones({3}).requires_grad_();
  std::vector<std::unique_ptr<optim::Optimizer>> all;
  all.push_back(std::make_unique<optim::SGD>(ag::TensorList{a}, optim::SGDOptions{.momentum = 1}));
  all.push_back(std::make_unique<optim::Adam>(ag::TensorList{a}));
  all.push_back(std::make_unique<optim::AdamW>(ag::TensorList{a}));
  all.push_back(std::make_unique<optim::RMSprop>(ag::TensorList{a}));
  all.push_back(std::make_unique<optim::Adagrad>(ag::TensorList{a}));
  const std::vector<std::string> names{"SGD", "Adam", "AdamW", "RMSprop", "Adagrad"};
  a.set_grad(ag::ones({2}));
  for (auto& o : all) o->step();
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j)
      if (i != j)
        CHECK_THROWS_WITH(
            all[i]->load_state_dict(all[j]->state_dict()),
            names[i] + ": the state must be that of " + names[i] + ", got one of " + names[j]);
    const nn::StateDict good = all[i]->state_dict();
    for (std::size_t k = 0; k < good.size(); ++k) {
      INFO(names[i] << " without " << good[k].name);
      nn::StateDict less = good;
      less.erase(less.begin() + static_cast<std::ptrdiff_t>(k));
      CHECK_THROWS_AS(all[i]->load_state_dict(less), ag::Error);
    }
    CHECK_NOTHROW(all[i]->load_state_dict(good));
  }
  optim::SGD one({a}), two(std::vector<optim::SGD::Group>{{{a}}, {{b}}});
  CHECK_THROWS_WITH(one.load_state_dict(two.state_dict()),
                    "SGD: there must be 2 parameter groups as in the saved state, got 1");
  CHECK_THROWS_WITH(two.load_state_dict(one.state_dict()),
                    "SGD: there must be 1 parameter groups as in the saved state, got 2");
}
