#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/optim/isa/rules.hpp"
#include "nn/optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/lookup.hpp"
#include "tests/nn/optim/optimizers.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using ag::Tensor;
using optimizers::rows;

namespace {

constexpr int kSize = 37, kSteps = 7;  // whole registers and a rest

// Any fixed gradient that depends on the step and on the parameter.
double gradient_at(double p, int i, int step) { return std::sin(0.7 * i + step) + 0.3 * p; }
double start_at(int i) { return std::cos(1.3 * i) + 0.1 * i; }

// The gradient as rows, all of them, where the optimizer takes nothing else.
bool needs_rows(const optim::Optimizer& o) { return o.str().starts_with("SparseAdam"); }
Tensor gradient_for(const optim::Optimizer& o, const Tensor& g) {
  return needs_rows(o) ? ag::from_rows(g.shape(), ag::arange(g.numel()), g) : g;
}

// The parameter after each step of `optimizer`, which owns `p` alone.
template <class T>
std::vector<double> trajectory(optim::Optimizer& optimizer, Tensor p) {
  std::vector<double> all;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<T> g;
    for (int i = 0; i < kSize; ++i)
      g.push_back(static_cast<T>(gradient_at(static_cast<double>(p.data<T>()[i]), i, step)));
    p.set_grad(gradient_for(optimizer, ag::from_data(g.data(), {kSize})));
    optimizer.step();
    for (const T x : p.to_vector<T>()) all.push_back(static_cast<double>(x));
  }
  return all;
}

std::vector<double> expected(const std::function<optimizers::Rule()>& make_rule) {
  std::vector<double> all(kSize * kSteps);
  for (int i = 0; i < kSize; ++i) {
    const auto rule = make_rule();
    double p = start_at(i);
    for (int step = 0; step < kSteps; ++step)
      all[static_cast<std::size_t>(step * kSize + i)] = p = rule(p, gradient_at(p, i, step));
  }
  return all;
}

template <class T>
double worst_difference(const optimizers::Case& c) {
  std::vector<T> values;
  for (int i = 0; i < kSize; ++i) values.push_back(static_cast<T>(start_at(i)));
  const Tensor p = ag::from_data(values.data(), {kSize}).requires_grad_();
  const auto optimizer = c.make({p});
  const auto actual = trajectory<T>(*optimizer, p);
  const auto wanted = expected(c.rule);
  REQUIRE(actual.size() == wanted.size());
  double worst = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    worst = std::max(worst, std::abs(actual[i] - wanted[i]) / (1 + std::abs(wanted[i])));
  return worst;
}

// Calls f for each case of each optimizer.
template <class F>
void for_cases(F f) {
  for (const auto& row : rows())
    for (std::size_t i = 0; i < row.cases.size(); ++i) {
      INFO(row.name << ", case " << i);
      f(row, row.cases[i]);
    }
}

// Parameters of every size and dtype.
ag::TensorList many() {
  ag::TensorList list;
  for (const std::int64_t n : {1, 7, 0, 16384, 40000})
    for (const auto dtype : {ag::float32, ag::float64})
      list.push_back((ag::arange(n).to(dtype) / 1000.0).requires_grad_());
  return list;
}
// Every third parameter has no gradient in the first step.
void three_steps(optim::Optimizer& optimizer, const ag::TensorList& parameters,
                 std::size_t from = 0) {
  optimizer.zero_grad();
  for (int i = 0; i < 3; ++i) {
    for (std::size_t k = 0; k < parameters.size(); ++k)
      if (Tensor p = parameters[k]; i > 0 || (from + k) % 3 != 0)
        p.set_grad(gradient_for(optimizer, ag::cos(p.detach() * static_cast<double>(i + 1))));
    optimizer.step();
  }
}

}  // namespace

TEST_CASE("every optimizer has a row in the table of the tests, with options that are refused") {
  std::set<std::string> listed, tested;
#define XGRAD_NAME(name) listed.insert(#name);
  XGRAD_OPTIMIZERS(XGRAD_NAME)
  for (const auto& row : rows()) {
    INFO(row.name);
    CHECK(tested.insert(row.name).second);
    CHECK(row.cases.size() >= 2);
    CHECK(!row.refused.empty());
  }
  CHECK(tested == listed);
}

TEST_CASE("optimizers follow their formulas with every option") {
  for_cases([](const auto&, const optimizers::Case& c) {
    CHECK(worst_difference<double>(c) <= 1e-12);
    CHECK(worst_difference<float>(c) <= 2e-5);
  });
}

TEST_CASE("optimizers refuse options out of range") {
  const ag::TensorList p{ag::ones({2}).requires_grad_()};
  for (const auto& row : rows())
    for (const auto& [make, error] : row.refused) CHECK_THROWS_WITH(make(p), error);
}

TEST_CASE("every option has a range that keeps NaN out, or takes any number") {
  const std::set<std::string> any{"SGD dampening"};
  for (const auto& row : rows()) {
    const auto optimizer = row.plain({ag::ones({2}).requires_grad_()});
    const nn::StateDict good = optimizer->state_dict();
    for (std::size_t i = 0; i < good.size(); ++i) {
      nn::StateDict bad = good;
      if (bad[i].tensor.dtype() != ag::float64) continue;
      bad[i].tensor = ag::tensor(std::nan(""));
      const std::string option = bad[i].name.substr(bad[i].name.rfind('.') + 1);
      INFO(row.name << ' ' << option);
      if (any.count(row.name + ' ' + option))
        CHECK_NOTHROW(optimizer->load_state_dict(bad));
      else
        CHECK_THROWS_AS(optimizer->load_state_dict(bad), ag::Error);
    }
  }
}

TEST_CASE("an optimizer that loads a state continues with the same bits") {
  for (const auto& row : rows())
    for (const auto& c : row.cases) {
      INFO(row.name);
      const ag::TensorList p = many();
      const auto optimizer = c.make(p);
      three_steps(*optimizer, p);
      optimizer->set_lr(0.037);
      ag::TensorList q;
      for (const Tensor& t : p) q.push_back(Tensor(t.detach().clone()).requires_grad_());
      const auto other = row.plain(q);
      other->load_state_dict(optimizer->state_dict());
      CHECK(other->str() == optimizer->str());
      three_steps(*optimizer, p);
      three_steps(*other, q);
      for (std::size_t k = 0; k < p.size(); ++k) CHECK(same_bits(p[k].detach(), q[k].detach()));
    }
}

TEST_CASE("what optimizers remember has PyTorch's names") {
  for (const auto& row : rows()) {
    Tensor p = ag::ones({2}).requires_grad_();
    const auto optimizer = row.cases.back().make({p});
    p.set_grad(gradient_for(*optimizer, ag::ones({2})));
    optimizer->step();
    std::vector<std::string> names;
    for (const auto& [name, tensor] : optimizer->state_dict())
      if (name.starts_with("state.0.")) names.push_back(name.substr(8));
    std::vector<std::string> wanted{"step"};
    wanted.insert(wanted.end(), row.state.begin(), row.state.end());
    INFO(row.name);
    CHECK(names == wanted);
  }
}

TEST_CASE("a step updates parameters of every size and dtype together as it would one by one") {
  for_cases([](const auto&, const optimizers::Case& c) {
    const ag::TensorList together = many(), alone = many();
    const auto optimizer = c.make(together);
    three_steps(*optimizer, together);
    for (std::size_t k = 0; k < alone.size(); ++k) {
      const ag::TensorList list{alone[k]};
      const auto one = c.make(list);
      three_steps(*one, list, k);
      CHECK(same_bits(together[k].detach(), alone[k].detach()));
    }
  });
}

TEST_CASE("a step gives the same bits for any number of threads", "[threads]") {
  for_cases([](const auto&, const optimizers::Case& c) {
    const auto run = [&](int threads) {
      ag::set_num_threads(threads);
      const ag::TensorList p{(ag::arange(300'000).to(ag::float32) / 1000.0).requires_grad_()};
      const auto optimizer = c.make(p);
      three_steps(*optimizer, p, 1);
      ag::set_num_threads(1);
      return p[0].detach();
    };
    CHECK(same_bits(run(1), run(3)));
  });
}

TEST_CASE("a compiled step gives the bits of the eager one, for every optimizer") {
  for_cases([](const auto&, const optimizers::Case& c) {
    const auto run = [&](bool compiled) {
      Tensor p = ag::linspace(-2, 2, 37).detach().requires_grad_();
      const auto optimizer = c.make({p});
      const bool by_rows = needs_rows(*optimizer);
      const Tensor all = ag::arange(37);
      const auto step = [&](const Tensor& x) {
        optimizer->zero_grad();
        const Tensor loss = ag::sum(ag::sin((by_rows ? lookup(p, all) : p) * x));
        loss.backward();
        optimizer->step();
        return loss.detach();
      };
      auto replayed = ag::compile(step);
      for (int i = 0; i < 5; ++i) {
        const Tensor x = ag::full({37}, 1 + i);
        compiled ? replayed(x) : step(x);
      }
      return p.detach();
    };
    CHECK(same_bits(run(false), run(true)));
  });
}

TEST_CASE("an optimizer is printed with its options") {
  const Tensor a = ag::ones({2}).requires_grad_(), b = ag::ones({2}).requires_grad_();
  std::ostringstream text;
  text << optim::Adam({a}, {.lr = 0.1});
  CHECK(text.str() ==
        "Adam(lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False, "
        "maximize=False)");
  CHECK(optim::Lion({{{a}, {.lr = 1}}, {{b}, {.lr = 2, .maximize = true}}}).str() ==
        "Lion(\n"
        "  (0): lr=1.0, betas=(0.9, 0.99), weight_decay=0.0, maximize=False\n"
        "  (1): lr=2.0, betas=(0.9, 0.99), weight_decay=0.0, maximize=True\n"
        ")");
}

TEST_CASE("optimizers have PyTorch's defaults") {
  const optim::SGDOptions s;
  CHECK((s.lr == 1e-3 && s.momentum == 0 && s.dampening == 0 && s.weight_decay == 0));
  const optim::AdamOptions a;
  CHECK((a.lr == 1e-3 && a.betas.first == 0.9 && a.betas.second == 0.999 && a.eps == 1e-8));
  CHECK((a.weight_decay == 0 && !a.amsgrad && !a.maximize));
  const optim::AdamWOptions w;
  CHECK((w.lr == 1e-3 && w.betas == a.betas && w.eps == 1e-8 && w.weight_decay == 1e-2));
  const optim::SparseAdamOptions sparse;
  CHECK((sparse.lr == 1e-3 && sparse.betas == a.betas && sparse.eps == 1e-8 && !sparse.maximize));
  const optim::RMSpropOptions r;
  CHECK((r.lr == 1e-2 && r.alpha == 0.99 && r.eps == 1e-8 && r.momentum == 0 && !r.centered));
  const optim::AdagradOptions g;
  CHECK((g.lr == 1e-2 && g.lr_decay == 0 && g.initial_accumulator_value == 0 && g.eps == 1e-10));
  const optim::AdamaxOptions x;
  CHECK((x.lr == 2e-3 && x.betas == a.betas && x.eps == 1e-8 && x.weight_decay == 0));
  const optim::NAdamOptions n;
  CHECK((n.lr == 2e-3 && n.betas == a.betas && n.eps == 1e-8 && n.weight_decay == 0));
  CHECK((n.momentum_decay == 4e-3 && !n.decoupled_weight_decay));
  const optim::RAdamOptions d;
  CHECK((d.lr == 1e-3 && d.betas == a.betas && d.eps == 1e-8 && !d.decoupled_weight_decay));
  const optim::AdadeltaOptions t;
  CHECK((t.lr == 1 && t.rho == 0.9 && t.eps == 1e-6 && t.weight_decay == 0));
}

TEST_CASE("Lion has the defaults of its paper") {
  const optim::LionOptions l;
  CHECK((l.lr == 1e-4 && l.betas.first == 0.9 && l.betas.second == 0.99 && l.weight_decay == 0));
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
