#include "nn/module/module.hpp"

#include <array>
#include <optional>
#include <sstream>

#include "autograd/ops/ops.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;

namespace {

struct Block : nn::Module {
  nn::Linear inner{2, 2};
  nn::Dropout drop{0.5};
  NN_MODULE(inner, drop)
  ag::Tensor forward(const ag::Tensor& x) const { return drop(inner(x)); }
};

// Members of every kind, in an order that is not the order of the names.
struct Everything : nn::Module {
  nn::Linear first{2, 3};
  std::vector<nn::Linear> many;
  std::array<nn::Parameter, 2> pair{ag::zeros({1}), ag::ones({1})};
  std::optional<nn::Linear> maybe, none;
  nn::AnyModule activation = nn::ReLU();
  nn::Buffer steps{ag::zeros({}, ag::int64)};
  nn::Buffer mean{ag::zeros({2})};
  nn::Parameter scale{ag::ones({3})};
  nn::Parameter absent;
  Everything() {
    many.emplace_back(3, 3);
    many.emplace_back(3, 1, false);
    maybe.emplace(1, 1);
  }
  NN_MODULE(first, many, pair, maybe, none, activation, steps, mean, scale, absent)
};

// Nothing but a name: two modules without a forward of its own.
struct Pair : nn::Module {
  nn::Linear a{1, 1}, b{1, 1};
  NN_MODULE(a, b)
};

struct Unnamed : nn::Module {
  nn::Linear a{1, 1};
};

struct Forgetful : Block {
  ag::Tensor forward(const ag::Tensor& x) const { return x; }
};

struct Extended : Block {
  nn::Linear extra{2, 1};
  NN_MODULE(inner, drop, extra)
  ag::Tensor forward(const ag::Tensor& x) const { return extra(Block::forward(x)); }
};

struct Uncopyable : nn::Module {
  std::unique_ptr<int> handle;
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const { return x; }
};

struct Mixed : nn::Module {
  NN_MODULE()
  double forward(double x, int n) { return x * n; }
  const ag::Tensor& forward(const ag::Tensor& x) const { return x; }
};

struct Many : nn::Module {
  nn::Parameter p{ag::zeros({1})};
  NN_MODULE(p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p,
            p, p, p, p, p, p, p, p, p, p, p)
};

std::vector<std::string> names(const std::vector<nn::NamedTensor>& list) {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : list) out.push_back(name);
  return out;
}

}  // namespace

TEST_CASE("Parameters and buffers are named by their members, in PyTorch's order") {
  const Everything model;
  CHECK(names(model.named_parameters()) ==
        std::vector<std::string>{"scale", "first.weight", "first.bias", "many.0.weight",
                                 "many.0.bias", "many.1.weight", "pair.0", "pair.1", "maybe.weight",
                                 "maybe.bias"});
  CHECK(names(model.named_buffers()) == std::vector<std::string>{"steps", "mean"});
  CHECK(model.parameters().size() == 10);
  CHECK(model.parameters()[0].is(model.scale));
  CHECK(model.buffers().size() == 2);
  CHECK(names(model.state_dict()) ==
        std::vector<std::string>{"scale", "steps", "mean", "first.weight", "first.bias",
                                 "many.0.weight", "many.0.bias", "many.1.weight", "pair.0",
                                 "pair.1", "maybe.weight", "maybe.bias"});
  CHECK(model.num_parameters() == 3 + 9 + 12 + 3 + 2 + 2);
}

TEST_CASE("Parameters are iterated with structured bindings") {
  Block model;
  std::string text;
  for (const auto& [name, parameter] : model.named_parameters())
    text += fmt::format("{} {}\n", name, parameter.shape());
  CHECK(text == "inner.weight (2, 2)\ninner.bias (2,)\n");
}

TEST_CASE("A parameter with several names is listed once, but saved under each") {
  Pair model;
  static_cast<ag::Tensor&>(model.b.weight) = model.a.weight;
  CHECK(names(model.named_parameters()) ==
        std::vector<std::string>{"a.weight", "a.bias", "b.bias"});
  CHECK(model.num_parameters() == 3);
  CHECK(model.state_dict().size() == 4);
}

TEST_CASE("Many members can be named") {
  CHECK(Many().state_dict().size() == 40);
  CHECK(Many().parameters().size() == 1);
}

TEST_CASE("Modules are listed parents first, with dotted names") {
  nn::Sequential model{Block(), nn::ReLU()};
  std::vector<std::string> found;
  for (const auto& [name, module] : model.named_modules())
    found.push_back(name + ":" + module.type_name());
  CHECK(found == std::vector<std::string>{":Sequential", "0:Block", "0.inner:Linear",
                                          "0.drop:Dropout", "1:ReLU"});
  CHECK(model.children().size() == 2);
  CHECK(&model.children()[1].module == &model[1]);
}

TEST_CASE("A model is called as a function, with what its forward takes and returns") {
  Mixed model;
  CHECK(model(2.0, 3) == 6.0);
  const Mixed constant;
  const ag::Tensor x = ag::ones({1});
  CHECK(&constant(x) == &x);
  STATIC_REQUIRE(std::is_same_v<decltype(constant(x)), const ag::Tensor&>);
}

TEST_CASE("A class derived from a model without NN_MODULE is refused where it would run its base") {
  Forgetful model;
  const ag::Tensor x = ag::ones({1, 2});
  CHECK_THROWS_WITH(
      model(x),
      "forward: a class derived from a module must name its members with NN_MODULE, got "
      "Forgetful without it");
  CHECK_THROWS_WITH(
      nn::clone(static_cast<nn::Module&>(model)),
      "clone: a class derived from a module must name its members with NN_MODULE, got "
      "Forgetful without it");
  Unnamed unnamed;
  CHECK_THROWS_WITH(
      nn::clone(static_cast<nn::Module&>(unnamed)),
      "clone: a class derived from a module must name its members with NN_MODULE, got "
      "Unnamed without it");
  Extended good;
  CHECK(good(x).shape() == ag::Shape(1, 1));
  CHECK(good.parameters().size() == 4);
}

TEST_CASE("train, eval and requires_grad_ reach every module") {
  Everything model;
  model.many.clear();
  model.eval();
  CHECK_FALSE(model.first.is_training());
  CHECK_FALSE(model.activation.module().is_training());
  CHECK_FALSE(model.maybe->is_training());
  CHECK_FALSE(nn::clone(model).is_training());
  model.train();
  CHECK(model.maybe->is_training());
  model.first.requires_grad_(false);
  CHECK(model.num_parameters(true) == model.num_parameters() - 9);
  CHECK_FALSE(nn::clone(model).first.weight.requires_grad());
  CHECK(nn::clone(model).scale.requires_grad());
}

TEST_CASE("apply visits the children before their parent") {
  Block model;
  std::string order;
  model.apply([&](nn::Module& m) { order += m.type_name() + " "; });
  CHECK(order == "Linear Dropout Block ");
}

TEST_CASE("zero_grad drops the gradients") {
  nn::Linear model(2, 1);
  ag::sum(model(ag::ones({1, 2}))).backward();
  CHECK(model.weight.grad().defined());
  model.zero_grad();
  CHECK_FALSE(model.weight.grad().defined());
  CHECK_FALSE(model.bias.grad().defined());
}

TEST_CASE("to converts floating parameters, gradients and buffers in place") {
  Everything model;
  const ag::Tensor handle = model.scale;
  model.scale.set_grad(ag::full({3}, 2));
  model.to(ag::float64);
  CHECK(handle.is(model.scale));
  CHECK(handle.dtype() == ag::float64);
  CHECK(handle.requires_grad());
  CHECK(handle.grad().dtype() == ag::float64);
  check_close(handle.grad(), {2, 2, 2});
  CHECK(model.mean.dtype() == ag::float64);
  CHECK_FALSE(model.mean.requires_grad());
  CHECK(model.steps.dtype() == ag::int64);
  CHECK_THROWS_WITH(model.to(ag::int64), "to: a module needs float32 or float64, got int64");
}

TEST_CASE("A model cannot be changed under a recorded graph unnoticed") {
  nn::Linear model(1, 1), other(1, 1);
  const ag::Tensor x = ag::ones({1, 1}).requires_grad_();
  SECTION("by assignment") {
    const ag::Tensor y = model(x);
    model = other;
    CHECK_THROWS_AS(y.backward(), ag::Error);
  }
  SECTION("by load_state_dict") {
    const ag::Tensor y = model(x);
    model.load_state_dict(other.state_dict());
    CHECK_THROWS_AS(y.backward(), ag::Error);
  }
}

TEST_CASE("A copied model has weights of its own") {
  Everything model;
  Everything copy = nn::clone(model);
  copy.many[0].weight = ag::zeros({3, 3});
  copy.steps = ag::ones({}, ag::int64);
  CHECK(ag::sum(ag::abs(model.many[0].weight)).item() > 0);
  CHECK(model.steps.item() == 0);
  CHECK(copy.parameters().size() == model.parameters().size());

  const nn::Module& unknown = model;
  const std::unique_ptr<nn::Module> erased = nn::clone(unknown);
  CHECK(erased->type_name() == "Everything");
  CHECK_FALSE(erased->parameters()[0].is(model.scale));
  check_close(erased->parameters()[0], {1, 1, 1});

  const Uncopyable uncopyable;
  const nn::Module& as_module = uncopyable;
  CHECK_THROWS_WITH(nn::clone(as_module),
                    "clone: every member must be copyable, got a Uncopyable that is not");
}

TEST_CASE("Assigning a model keeps the tensors that an optimizer holds") {
  Block model, other;
  const ag::Tensor handle = model.inner.weight;
  model = other;
  CHECK(handle.is(model.inner.weight));
  CHECK(handle.to_vector<float>() == other.inner.weight.to_vector<float>());
  model = Block();
  CHECK(handle.is(model.inner.weight));
  Block moved = std::move(model);
  CHECK(handle.is(moved.inner.weight));
}

TEST_CASE("A state dict shares its elements with the model, off the tape") {
  nn::Linear model(2, 1);
  nn::StateDict state = model.state_dict();
  ag::Tensor weight = state.at("weight");
  CHECK_FALSE(weight.requires_grad());
  weight.mutable_data<float>()[0] = 5;
  CHECK(model.weight.to_vector<float>()[0] == 5);
  CHECK(state.find("bias")->shape() == ag::Shape(1));
  CHECK(state.find("no") == nullptr);
  CHECK_THROWS_WITH(state.at("no"), "state_dict: the name must be one of the 2 here, got 'no'");
}

TEST_CASE("A state dict is loaded by name and converted to the dtype of the model") {
  nn::Linear from(2, 1), to(2, 1);
  nn::StateDict state = from.state_dict();
  std::swap(state[0], state[1]);
  for (auto& entry : state) entry.tensor = entry.tensor.to(ag::float64);
  const auto result = to.load_state_dict(state);
  CHECK(result.missing.empty());
  CHECK(result.unexpected.empty());
  CHECK(to.weight.to_vector<float>() == from.weight.to_vector<float>());
  CHECK(to.bias.to_vector<float>() == from.bias.to_vector<float>());
  CHECK(to.weight.dtype() == ag::float32);
}

TEST_CASE("A state dict that does not fit is refused in one line and changes nothing") {
  nn::Linear model(2, 2);
  const auto before = model.bias.to_vector<float>();
  CHECK_THROWS_WITH(
      model.load_state_dict(nn::Linear(3, 2).state_dict()),
      "load_state_dict: names and shapes must be those of Linear, got shape of weight "
      "(2, 3) for (2, 2)");
  const nn::StateDict wrong{{"bias", ag::zeros({3})}, {"gamma", ag::zeros({1})}};
  CHECK_THROWS_WITH(
      model.load_state_dict(wrong),
      "load_state_dict: names and shapes must be those of Linear, got missing weight; "
      "unexpected gamma; shape of bias (3,) for (2,); strict = false loads the names that "
      "match");
  CHECK_THROWS_WITH(
      model.load_state_dict(wrong, false),
      "load_state_dict: names and shapes must be those of Linear, got shape of bias (3,) "
      "for (2,)");
  CHECK_THROWS_WITH(
      model.load_state_dict({{"bias", ag::zeros({2})}, {"bias", ag::zeros({2})}}, false),
      "load_state_dict: names and shapes must be those of Linear, got twice bias");
  CHECK_THROWS_WITH(model.load_state_dict({{"bias", ag::Tensor()}}, false),
                    "load_state_dict: names and shapes must be those of Linear, got shape of bias "
                    "undefined");
  CHECK(model.bias.to_vector<float>() == before);
}

TEST_CASE("Loading that is not strict loads what matches and says what did not") {
  nn::Linear model(2, 2);
  const auto result =
      model.load_state_dict({{"bias", ag::full({2}, 4)}, {"gamma", ag::zeros({1})}}, false);
  CHECK(result.missing == std::vector<std::string>{"weight"});
  CHECK(result.unexpected == std::vector<std::string>{"gamma"});
  check_close(model.bias, {4, 4});
}
