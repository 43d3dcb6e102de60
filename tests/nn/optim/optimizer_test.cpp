#include "nn/optim/optimizer.hpp"

#include <memory>
#include <optional>
#include <string>

#include "autograd/ops/ops.hpp"
#include "nn/layers/linear.hpp"
#include "nn/optim/optim.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

Tensor leaf(double value = 1) { return ag::full({2}, value, ag::float64).requires_grad_(); }

// One step with the gradient `g` for each parameter.
void step(optim::Optimizer& optimizer, double g) {
  for (std::size_t i = 0; i < optimizer.group_count(); ++i)
    for (auto& p : optimizer.parameters(i)) p.set_grad(ag::full(p.shape(), g, p.dtype()));
  optimizer.step();
}

double first(const Tensor& t) { return t.data<double>()[0]; }

}  // namespace

TEST_CASE("step leaves parameters without a gradient alone") {
  Tensor a = leaf(), b = leaf();
  optim::Adam optimizer({a, b}, {.lr = 0.1, .weight_decay = 1});
  a.set_grad(ag::ones({2}, ag::float64));
  optimizer.step();
  CHECK(first(a) != 1);
  CHECK(first(b) == 1);
  CHECK(optimizer.state_dict().find("state.1.step") == nullptr);
}

TEST_CASE("a parameter counts its own steps") {
  Tensor a = leaf(), b = leaf();
  optim::Adam optimizer({a, b}, {.lr = 0.1});
  a.set_grad(ag::ones({2}, ag::float64));
  optimizer.step();
  b.set_grad(ag::ones({2}, ag::float64));
  optimizer.step();
  CHECK(optimizer.state_dict().at("state.0.step").item() == 2);
  CHECK(optimizer.state_dict().at("state.1.step").item() == 1);
  CHECK(first(b) == Catch::Approx(0.9));  // a first step of Adam has the length lr
}

TEST_CASE("zero_grad drops gradients or fills them with zeros") {
  Tensor a = leaf(), b = leaf();
  optim::SGD optimizer({a, b}, {.lr = 0.1, .momentum = 0.5});
  a.set_grad(ag::ones({2}, ag::float64));
  optimizer.step();
  optimizer.zero_grad(false);
  CHECK(a.grad().to_vector<double>() == std::vector<double>{0, 0});
  CHECK_FALSE(b.grad().defined());
  optimizer.step();  // a zero gradient still moves a parameter by its momentum
  CHECK(first(a) == Catch::Approx(0.9 - 0.1 * 0.5));
  optimizer.zero_grad();
  CHECK_FALSE(a.grad().defined());
}

TEST_CASE("groups have options of their own") {
  Tensor a = leaf(), b = leaf(), c = leaf();
  optim::SGD optimizer({{{a}, {.lr = 0.1}}, {{b}, {.lr = 0.2}}});
  optimizer.add_param_group({{c}, {.lr = 0.4, .maximize = true}});
  step(optimizer, 1);
  CHECK(first(a) == Catch::Approx(0.9));
  CHECK(first(b) == Catch::Approx(0.8));
  CHECK(first(c) == Catch::Approx(1.4));
  CHECK(optimizer.group_count() == 3);
  CHECK(optimizer.lr(1) == 0.2);
  optimizer.set_lr(0.3, 1);
  CHECK(optimizer.lr(1) == 0.3);
  CHECK(optimizer.lr(0) == 0.1);
  optimizer.set_lr(0.5);
  CHECK((optimizer.lr(0) == 0.5 && optimizer.lr(1) == 0.5 && optimizer.lr(2) == 0.5));
  CHECK(optimizer.options(2).maximize);
  CHECK(optimizer.parameters(2)[0].is(c));
}

TEST_CASE("a step between forward and backward is noticed") {
  Tensor p = leaf();
  optim::SGD optimizer({p}, {.lr = 0.1});
  const Tensor loss = ag::sum(ag::square(p));
  step(optimizer, 1);
  CHECK_THROWS_AS(loss.backward(), ag::Error);
}

TEST_CASE("an optimizer follows a model to another dtype") {
  nn::Linear model(3, 2);
  optim::Adam optimizer(model.parameters(), {.lr = 0.1});
  step(optimizer, 1);
  model.to(ag::float64);
  step(optimizer, 1);
  CHECK(optimizer.state_dict().at("state.0.exp_avg").dtype() == ag::float64);
  CHECK(optimizer.state_dict().at("state.0.exp_avg").data<double>()[0] == Catch::Approx(0.19));
}

TEST_CASE("a parameter must keep its shape between steps") {
  Tensor p = leaf();
  optim::Adam optimizer({p});
  step(optimizer, 1);
  p.set_data(ag::zeros({3}, ag::float64));
  p.set_grad(ag::zeros({3}, ag::float64));
  CHECK_THROWS_WITH(
      optimizer.step(),
      "Adam: parameter 0 must keep the shape (2,) of its exp_avg, got (3,); make a new "
      "optimizer");
}

TEST_CASE("optimizers refuse what they cannot update") {
  Tensor p = leaf();
  using optim::SGD;
  CHECK_THROWS_WITH(SGD(ag::TensorList{}),
                    ContainsSubstring("SGD: a group needs parameters, got none"));
  CHECK_THROWS_WITH(SGD(std::vector<SGD::Group>{}), ContainsSubstring("a group needs parameters"));
  CHECK_THROWS_WITH(SGD({Tensor()}), "SGD: parameters must be defined, got an undefined tensor");
  CHECK_THROWS_WITH(SGD({ag::zeros({2}, ag::int64)}),
                    "SGD: parameters must be float32 or float64, got int64");
  CHECK_THROWS_WITH(
      SGD({p * 2.0}),
      "SGD: parameters must be leaves, got the result of 'mul'; pass what it was made "
      "from");
  CHECK_THROWS_WITH(SGD({p, p}), "SGD: a parameter must appear once, got one of shape (2,) twice");
  SGD optimizer({p});
  CHECK_THROWS_WITH(optimizer.add_param_group({{p}}), ContainsSubstring("must appear once"));
  CHECK_THROWS_WITH(optimizer.add_param_group({{leaf()}, {.lr = -1}}),
                    "SGD: lr must be at least 0, got -1");
  CHECK(optimizer.group_count() == 1);
  CHECK_THROWS_WITH(optimizer.lr(1), "SGD: the group must be one of 1, got 1");
  CHECK_THROWS_WITH(optimizer.set_lr(NAN), "SGD: lr must be at least 0, got nan");
  CHECK_THROWS_WITH(optimizer.set_options({.momentum = -0.5}),
                    "SGD: momentum must be at least 0, got -0.5");
}

TEST_CASE("a state dict names buffers, steps and options") {
  Tensor a = leaf();
  optim::SGD optimizer({a}, {.lr = 0.1, .momentum = 0.9});
  step(optimizer, 1);
  std::string names;
  for (const auto& [name, tensor] : optimizer.state_dict()) names += name + ' ';
  CHECK(names ==
        "state.0.step state.0.momentum_buffer param_groups.0.params param_groups.0.lr "
        "param_groups.0.momentum param_groups.0.dampening param_groups.0.weight_decay "
        "param_groups.0.nesterov param_groups.0.maximize class.SGD ");
}

TEST_CASE("a loaded state is a copy") {
  Tensor a = leaf(), b = leaf();
  optim::SGD optimizer({a}, {.momentum = 0.9}), other({b}, {.momentum = 0.9});
  step(optimizer, 1);
  other.load_state_dict(optimizer.state_dict());
  step(optimizer, 5);
  CHECK(first(other.state_dict().at("state.0.momentum_buffer")) == 1);
}

TEST_CASE("a state that does not fit is refused and changes nothing") {
  Tensor a = leaf();
  optim::Adam optimizer({a}, {.lr = 0.1});
  step(optimizer, 1);
  const nn::StateDict good = optimizer.state_dict();
  auto refuses = [&](nn::StateDict state, const std::string& message) {
    const double mean = first(optimizer.state_dict().at("state.0.exp_avg"));
    CHECK_THROWS_WITH(optimizer.load_state_dict(state), message);
    CHECK(first(optimizer.state_dict().at("state.0.exp_avg")) == mean);
    CHECK(optimizer.lr() == 0.1);
  };
  auto with = [&](const std::string& name, const Tensor& value) {
    nn::StateDict state = good;
    for (auto& entry : state)
      if (entry.name == name) entry.tensor = value;
    if (!state.find(name)) state.push_back({name, value});
    return state;
  };
  refuses({}, "Adam: the state must be that of Adam, got one without 'class.Adam'");
  refuses(with("state.0.exp_avg", ag::zeros({3}, ag::float64)),
          "Adam: 'state.0.exp_avg' must be float64 (2,), got float64 (3,)");
  refuses(with("state.0.exp_avg", ag::zeros({2})),
          "Adam: 'state.0.exp_avg' must be float64 (2,), got float32 (2,)");
  refuses(with("param_groups.0.params", ag::tensor(7)),
          "Adam: group 0 must have the 7 parameters that were saved, got 1");
  refuses(with("state.0.step", ag::tensor(-1)), "Adam: 'state.0.step' must be at least 0, got -1");
  refuses(with("param_groups.0.lr", ag::tensor(-1.0)), "Adam: lr must be at least 0, got -1");
  refuses(with("param_groups.0.amsgrad", ag::tensor(1.0)),
          "Adam: 'param_groups.0.amsgrad' must be bool (), got float64 ()");
  refuses(with("momentum", ag::tensor(1.0)),
          "Adam: the state must hold only what belongs here, got an entry 'momentum'");
}

TEST_CASE("apply is a step with other gradients, at the options and step counts of the moment") {
  Tensor a = leaf(), b = leaf(), c = leaf(), d = leaf();
  optim::Adam one({{{a}, {.lr = 0.1}}, {{b}, {.lr = 0.2}}});
  optim::Adam other({{{c}, {.lr = 0.1}}, {{d}, {.lr = 0.2}}});
  step(one, 1);
  auto gradients = one.gradients();
  REQUIRE(gradients.size() == 2);
  CHECK((gradients[1].group == 1 && gradients[1].index == 0));
  step(other, 1);
  for (auto& g : gradients) g.gradient = ag::full({2}, 5, ag::float64);
  for (const double lr : {0.3, 0.4}) {
    one.set_lr(lr);
    other.set_lr(lr);
    one.apply(gradients);
    step(other, 5);
  }
  CHECK(a.to_vector<double>() == c.to_vector<double>());
  CHECK(b.to_vector<double>() == d.to_vector<double>());
  CHECK(one.state_dict().at("state.1.step").item() == 3);
}

TEST_CASE("apply refuses gradients that do not fit, and changes nothing") {
  Tensor a = leaf(), b = leaf();
  optim::SGD optimizer({a, b}, {.lr = 0.1});
  const Tensor good = ag::ones({2}, ag::float64);
  const auto refuses = [&](std::size_t group, std::size_t index, const Tensor& g,
                           const std::string& message) {
    const std::vector<optim::Optimizer::ParameterGradient> list{{0, 0, good}, {group, index, g}};
    CHECK_THROWS_WITH(optimizer.apply(list), message);
    CHECK(first(a) == 1);
  };
  refuses(0, 1, ag::ones({3}, ag::float64),
          "SGD: a gradient must be like its parameter, got float64 (3,) for float64 (2,)");
  refuses(0, 1, ag::ones({2}),
          "SGD: a gradient must be like its parameter, got float32 (2,) for float64 (2,)");
  refuses(0, 1, Tensor(), "SGD: a gradient must be defined, got an undefined one for parameter 1");
  refuses(0, 2, good, "SGD: the parameter must be one of 2, got 2");
  refuses(1, 0, good, "SGD: the group must be one of 1, got 1");
}

namespace {

struct SignOptions {
  double lr = 1e-4;
};
// A user's optimizer: p ← p - lr sign(g).
class SignDescent : public optim::GroupedOptimizer<SignOptions> {
 public:
  explicit SignDescent(const ag::TensorList& params, const SignOptions& options = {})
      : GroupedOptimizer("SignDescent", {}) {
    add_param_groups({{params, options}});
  }

 private:
  void update(const SignOptions& o, Slot& slot, const Tensor& gradient) const override {
    auto* p = slot.parameter.mutable_data<double>();
    for (std::int64_t i = 0; i < gradient.numel(); ++i)
      p[i] -= gradient.data<double>()[i] < 0 ? -o.lr : o.lr;
  }
  void visit_options(SignOptions& o, optim::OptionVisitor& visitor) const override {
    visitor("lr", o.lr);
  }
  void check_options(const SignOptions& o) const override { check_not_negative("lr", o.lr); }
};

}  // namespace

TEST_CASE("an optimizer of the user's own has groups, schedules and a state") {
  Tensor a = leaf();
  SignDescent optimizer({a}, {.lr = 0.5});
  optim::ExponentialLR scheduler(optimizer, {.gamma = 0.5});
  step(optimizer, -3);
  scheduler.step();
  step(optimizer, 3);
  CHECK(first(a) == 1.25);
  CHECK(optimizer.state_dict().at("param_groups.0.lr").item() == 0.25);
}

namespace {

enum class Direction { down, up };
struct ManyOptions {
  double lr = 0.5;
  bool flag = false;
  std::int64_t period = 2;
  std::pair<double, double> betas = {0.1, 0.2};
  std::optional<double> limit{};
  Direction direction = Direction::down;
};
// A user's optimizer with options of every type, and a number that each parameter keeps.
class ManyKinds : public optim::GroupedOptimizer<ManyOptions> {
 public:
  explicit ManyKinds(const ag::TensorList& params, const ManyOptions& options = {})
      : GroupedOptimizer("ManyKinds", {"total"}, {"largest"}) {
    add_param_groups({{params, options}});
  }

 private:
  void update(const ManyOptions& o, Slot& slot, const Tensor& gradient) const override {
    if (slot.numbers.empty()) slot.numbers.push_back(0);
    double* total = slot.buffer<double>(0);
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      total[i] += gradient.data<double>()[i];
      slot.numbers[0] = std::max(slot.numbers[0], total[i]);
    }
    (void)o;
  }
  void visit_options(ManyOptions& o, optim::OptionVisitor& visitor) const override {
    visitor("lr", o.lr, optim::not_negative);
    visitor("flag", o.flag);
    visitor("period", o.period, optim::positive);
    visitor("betas", o.betas, optim::decay);
    visitor("limit", o.limit, optim::fraction);
    visitor("direction", o.direction, {"down", "up"});
  }
};

}  // namespace

TEST_CASE("options of any type are checked, printed, saved and loaded") {
  Tensor a = leaf(), b = leaf();
  const ManyOptions options{.lr = 0.25,
                            .flag = true,
                            .period = 7,
                            .betas = {0.3, 0.4},
                            .limit = 0.5,
                            .direction = Direction::up};
  ManyKinds one({a}, options), other({b});
  CHECK(other.str() ==
        "ManyKinds(lr=0.5, flag=False, period=2, betas=(0.1, 0.2), limit=None, direction=down)");
  const std::string text =
      "ManyKinds(lr=0.25, flag=True, period=7, betas=(0.3, 0.4), limit=0.5, direction=up)";
  CHECK(one.str() == text);
  step(one, 3);
  const nn::StateDict state = one.state_dict();
  CHECK(state.at("state.0.largest").item() == 3);
  CHECK(state.at("param_groups.0.beta2").item() == 0.4);
  CHECK(state.at("param_groups.0.direction").item() == 1);
  other.load_state_dict(state);
  CHECK(other.str() == text);
  CHECK(other.state_dict().at("state.0.largest").item() == 3);
  ManyKinds none({leaf()});
  other.set_options({});
  CHECK(other.state_dict().find("param_groups.0.limit") == nullptr);

  const auto refuses = [&](ManyOptions bad, const std::string& error) {
    CHECK_THROWS_WITH(other.set_options(bad), "ManyKinds: " + error);
  };
  refuses({.period = 0}, "period must be above 0, got 0");
  refuses({.betas = {0.1, 1}}, "betas must be at least 0 and below 1, got (0.1, 1)");
  refuses({.limit = 2}, "limit must be at least 0 and at most 1, got 2");
  refuses({.direction = static_cast<Direction>(7)},
          "direction must be the place of one of down, up, got 7");
}

TEST_CASE("an optimizer of very many parameters and groups takes time by their number", "[many]") {
  // Minutes, where each is compared with each.
  constexpr std::size_t kParameters = 100'000;
  ag::TensorList list;
  for (std::size_t i = 0; i < kParameters; ++i)
    list.push_back(ag::tensor(1.0 * static_cast<double>(i)).requires_grad_());
  std::vector<optim::Adam::Group> groups;
  for (const Tensor& p : list) groups.push_back({.params = {p}, .options = {.lr = 0.1}});
  optim::Adam one(list, {.lr = 0.1}), many(groups);
  for (auto& p : list) p.set_grad(ag::tensor(1.0));
  one.step();
  many.step();
  CHECK(list[7].item() == Catch::Approx(6.8));
  for (optim::Adam* optimizer : {&one, &many}) {
    const nn::StateDict state = optimizer->state_dict();
    optimizer->load_state_dict(state);
    CHECK(optimizer->state_dict().size() == state.size());
  }
  CHECK_THROWS_WITH(optim::SGD(ag::TensorList{list[5], list[6], list[5]}, {.lr = 1}),
                    ContainsSubstring("a parameter must appear once"));
}
