#include "nn/layers/container.hpp"

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/elementwise/elementwise.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

struct Doubling : nn::Module {
  nn::Sequential body{nn::Linear(2, 2), nn::Tanh()};
  nn::AnyModule activation = nn::ReLU();
  NN_MODULE(body, activation)
  Tensor forward(const Tensor& x) { return activation(body(x)) * 2; }
};

// Several results, as of a recurrent layer.
struct Output {
  Tensor output, h;
};
struct Recurrent : nn::Module {
  nn::Linear inner{2, 2};
  NN_MODULE(inner)
  Output forward(const Tensor& x, double scale = 1) const {
    const Tensor h = inner(x) * scale;
    return {h + 1, ag::tanh(h)};
  }
};
struct Last : nn::Module {
  NN_MODULE()
  Tensor forward(const Output& x) const { return x.h * 2; }
};

struct Attend : nn::Module {
  NN_MODULE()
  std::pair<Tensor, double> forward(const Tensor& query, const Tensor& key, double scale) const {
    return {ag::sum(query * key) * scale, scale};
  }
};

struct Encoder : nn::Sequential {
  Encoder() : Sequential(nn::Linear(2, 3), nn::ReLU()) {}
};

struct MoveOnly : nn::Module {
  std::unique_ptr<int> handle;
  nn::Linear inner{1, 1};
  NN_MODULE(inner)
  Tensor forward(const Tensor& x) const { return inner(x); }
};

}  // namespace

TEST_CASE("Sequential runs its layers in order: modules, lambdas, functions, fused formulas") {
  const auto cube = ag::elementwise("cube", [](auto x) { return x * x * x; });
  nn::Sequential model{[](const Tensor& x) { return x + 1; }, ag::neg, cube, nn::ReLU()};
  check_close(model(ag::tensor({-3.0, 1.0})), {8, 0});
  model.push_back([](const Tensor& x) { return x / 2; });
  check_close(model(ag::tensor({-3.0, 1.0})), {4, 0});
  CHECK(model.size() == 5);
  const Tensor x = ag::ones({2});
  CHECK(nn::Sequential()(x).is(x));
  CHECK(nn::Sequential().empty());
}

TEST_CASE("Sequential names its layers by their place") {
  nn::Sequential model{nn::Flatten(), nn::Linear(4, 3), nn::ReLU(),
                       nn::Sequential{nn::Linear(3, 2)}, Doubling()};
  std::string names;
  for (const auto& [name, p] : model.named_parameters()) names += name + " ";
  CHECK(names == "1.weight 1.bias 3.0.weight 3.0.bias 4.body.0.weight 4.body.0.bias ");
  CHECK(model(ag::zeros({5, 2, 2})).shape() == ag::Shape(5, 2));
}

TEST_CASE("The layers of a Sequential are reached by index") {
  nn::Sequential model{nn::Linear(4, 3), nn::ReLU()};
  CHECK(model.layer<nn::Linear>(0).out_features() == 3);
  CHECK(model[1].type_name() == "ReLU");
  CHECK_THROWS_WITH(model[2], "sequential: the index must be below 2, got 2");
  CHECK_THROWS_WITH(model.layer<nn::Linear>(1), "sequential: layer 1 must be Linear, got ReLU");
}

TEST_CASE("Copies of a Sequential are deep, also inside a model and as a Module") {
  nn::Sequential model{nn::Linear(2, 2), nn::Dropout(0.5)};
  model.eval();
  nn::Sequential copy = model;
  CHECK_FALSE(copy[1].is_training());
  copy.layer<nn::Linear>(0).weight = ag::zeros({2, 2});
  CHECK(ag::sum(ag::abs(model.layer<nn::Linear>(0).weight)).item() > 0);

  const Doubling twice;
  Doubling other = nn::clone(twice);
  CHECK(other.parameters().size() == 2);
  CHECK_FALSE(other.parameters()[0].is(twice.parameters()[0]));

  const nn::MLP mlp(2, {3}, 1);
  const nn::Module& as_module = mlp;
  CHECK(nn::clone(as_module)->type_name() == "MLP");
  // One layer that is itself a Sequential is a copy when constructed, a layer when pushed.
  CHECK(nn::Sequential{model}.size() == 2);
  nn::Sequential nested;
  nested.push_back(model);
  CHECK(nested.size() == 1);
}

TEST_CASE("Assigning a Sequential keeps the tensors that an optimizer holds") {
  nn::Sequential model{nn::Linear(2, 2), nn::ReLU()},
      best{nn::Linear(2, 2), nn::Tanh(), nn::ReLU()};
  const Tensor handle = model.parameters()[0];
  model = best;
  CHECK(model.size() == 3);
  CHECK(model[1].type_name() == "Tanh");
  CHECK(model.parameters()[0].is(handle));
  CHECK(handle.to_vector<float>() == best.parameters()[0].to_vector<float>());
  model = nn::Sequential{nn::Linear(2, 2)};
  CHECK(model.size() == 1);
  CHECK(model.parameters()[0].is(handle));
  const nn::Sequential moved = std::move(model);
  CHECK(moved.parameters()[0].is(handle));
}

TEST_CASE("A class may derive from Sequential") {
  Encoder encoder;
  CHECK(encoder(ag::zeros({1, 2})).shape() == ag::Shape(1, 3));
  CHECK(encoder.parameters().size() == 2);
  CHECK(encoder.type_name() == "Encoder");
  nn::Sequential outer{encoder, nn::Linear(3, 1)};
  CHECK(nn::clone(outer)[0].type_name() == "Encoder");
}

TEST_CASE("A layer that cannot be copied can be held and moved, not copied") {
  nn::Sequential model{MoveOnly()};
  CHECK(model(ag::zeros({1, 1})).shape() == ag::Shape(1, 1));
  const Tensor handle = model.parameters()[0];
  nn::Sequential moved = std::move(model);
  CHECK(moved.parameters()[0].is(handle));
  CHECK_THROWS_WITH(nn::clone(moved),
                    "clone: every member must be copyable, got a MoveOnly that is not");
}

TEST_CASE("train and eval reach the layers of a Sequential inside a model") {
  nn::Sequential model{nn::Sequential{nn::Dropout(1)}};
  check_close(model(ag::ones({2})), {0, 0});
  model.eval();
  check_close(model(ag::ones({2})), {1, 1});
}

TEST_CASE("An activation held as AnyModule is a choice at run time") {
  Doubling model;
  CHECK(model.children().size() == 2);
  model.activation = [](const Tensor& x) { return x * 0 + 1; };
  check_close(model(ag::zeros({1, 2})), {2, 2});
}

TEST_CASE("MLP puts norm, activation and dropout after each hidden layer") {
  const nn::MLP model(4, {3, 2}, 1, {.activation = nn::GELU(), .dropout = 0.1, .layer_norm = true});
  std::string types;
  auto copy = nn::clone(model);
  for (const auto& [name, layer] : copy.children()) types += layer.type_name() + " ";
  CHECK(types == "Linear LayerNorm GELU Dropout Linear LayerNorm GELU Dropout Linear ");
  CHECK(model(ag::zeros({7, 4})).shape() == ag::Shape(7, 1));
  CHECK(nn::MLP(4, {3}, 1).size() == 3);
  CHECK(nn::MLP(4, {3}, 1, {.bias = false}).parameters().size() == 2);
  CHECK_THROWS_WITH(nn::MLP(4, {0}, 1),
                    "linear: in_features and out_features must be at least 1, got 4 and 0");
  CHECK_THROWS_WITH(nn::MLP(4, {3}, 1, {.dropout = 2}), "dropout: p must be in [0, 1], got 2");
}

TEST_CASE("layers may be nested 1000 deep; more are refused, and die in constant stack") {
  const auto nested = [](int depth) {
    auto model = std::make_unique<nn::Sequential>(nn::Linear(1, 1));
    for (int i = 1; i < depth; ++i) {
      auto outer = std::make_unique<nn::Sequential>();
      outer->push_back(std::move(*model));
      model = std::move(outer);
    }
    return model;
  };
  const Tensor x = ag::ones({1, 1});
  auto deep = nested(999);
  CHECK((*deep)(x).shape() == ag::Shape(1, 1));
  CHECK(deep->parameters().size() == 2);
  CHECK(deep->state_dict().size() == 2);
  CHECK(deep->named_modules().size() == 1000);
  CHECK(deep->str().size() > 1000);
  deep->eval();
  const auto same = nn::clone(*deep);
  CHECK(same(x).item() == (*deep)(x).item());
  *deep = same;

  deep = nested(100'000);
  const std::string text = "modules must be nested at most 1000 deep, got more";
  CHECK_THROWS_WITH((*deep)(x), Catch::Matchers::ContainsSubstring(text));
  CHECK_THROWS_WITH(nn::clone(*deep), "clone: " + text);
  CHECK_THROWS_WITH(deep->parameters(), "module: " + text);
  CHECK_THROWS_WITH(deep->state_dict(), "module: " + text);
  CHECK_THROWS_WITH(deep->named_modules(), "module: " + text);
  CHECK_THROWS_WITH(deep->train(), "module: " + text);
  CHECK_THROWS_WITH(deep->apply([](nn::Module&) {}), "module: " + text);
  CHECK_THROWS_WITH(deep->str(), "module: " + text);
  CHECK_THROWS_WITH(deep->zero_grad(), "module: " + text);
  CHECK(nested(999)->parameters().size() == 2);  // nothing is left of what failed
}

TEST_CASE("in a Sequential a layer gets all that the one before returned") {
  const Tensor x = ag::ones({1, 2});
  nn::Sequential model{nn::Linear(2, 2), Recurrent(), Last(), nn::ReLU()};
  const Tensor expected =
      ag::relu(ag::tanh(model.layer<Recurrent>(1).inner(model.layer<nn::Linear>(0)(x))) * 2);
  CHECK(model(x).to_vector<float>() == expected.to_vector<float>());
  CHECK(model.parameters().size() == 4);
  nn::Sequential copy = model;
  CHECK(copy(x).to_vector<float>() == expected.to_vector<float>());

  // A lambda that says what it takes, also across the border of another Sequential.
  nn::Sequential nested{nn::Sequential{model.layer<nn::Linear>(0), model.layer<Recurrent>(1)},
                        [](const Output& o) { return o.h * 2; }, nn::ReLU()};
  CHECK(nested(x).to_vector<float>() == expected.to_vector<float>());

  // What is no tensor at either end.
  nn::Sequential begin{nn::ReLU(), Recurrent()}, end{Last(), nn::ReLU()};
  const Output between = begin.forward_as<Output>(x);
  CHECK(between.h.shape() == ag::Shape(1, 2));
  CHECK(end.forward_as<Tensor>(between).shape() == ag::Shape(1, 2));
  nn::AnyModule any = Recurrent();
  CHECK(any.forward_as<Output>(x).output.shape() == ag::Shape(1, 2));
}

TEST_CASE(
    "an AnyModule holds modules of several inputs, and a Sequential hands a tuple on to them") {
  const Tensor x = ag::ones({1, 2});
  nn::AnyModule any = Recurrent(), attend = Attend();
  CHECK(any.forward_as<Output>(x, 0.0).h.to_vector<float>() == std::vector<float>{0, 0});
  CHECK(attend.forward_as<std::pair<Tensor, double>>(x, x, 3.0).first.item() == 6);
  nn::Sequential model{[](const Tensor& t) { return std::tuple(t, t + 1, 0.5); }, Attend(),
                       [](const std::pair<Tensor, double>& p) { return p.first * p.second; }};
  CHECK(model(x).item() == 1);
  CHECK_THROWS_WITH(attend.forward_as<Tensor>(x, x),
                    "AnyModule: Attend must get what it takes, got tuple<autograd::Tensor, "
                    "autograd::Tensor> for tuple<autograd::Tensor, autograd::Tensor, double>");
}

TEST_CASE("hooks run in a Sequential whose layers have several results") {
  const Tensor x = ag::ones({1, 2}).requires_grad_();
  nn::Sequential model{nn::Sequential{Recurrent()}, Last()};
  std::vector<std::size_t> outputs, gradients;
  const auto forward = [&](const nn::Module&, const ag::TensorList&, const ag::TensorList& out) {
    outputs.push_back(out.size());
  };
  const auto backward = [&](const nn::Module&, const ag::TensorList& in,
                            const ag::TensorList& out) {
    gradients.push_back(10 * in.size() + out.size());
  };
  std::vector<nn::HookHandle> handles;
  auto& inner = dynamic_cast<nn::Sequential&>(model[0]);
  for (nn::Module* m : {&inner[0], &model[0], &model[1], static_cast<nn::Module*>(&model)}) {
    handles.push_back(m->register_forward_hook(forward));
    handles.push_back(m->register_full_backward_hook(backward));
  }
  ag::sum(model(x)).backward();
  CHECK(outputs == std::vector<std::size_t>{2, 2, 1, 1});
  CHECK(gradients == std::vector<std::size_t>{21, 12, 12, 11});
  CHECK(x.grad().defined());
}

TEST_CASE("layers that do not fit together are refused by their names") {
  const Tensor x = ag::ones({1, 2});
  CHECK_THROWS_WITH((nn::Sequential{nn::ReLU(), Last()})(x),
                    "sequential: layer 1 (Last) must take what comes to it, got Tensor for Output");
  CHECK_THROWS_WITH((nn::Sequential{Recurrent(), nn::ReLU()})(x),
                    "sequential: layer 1 (ReLU) must take what comes to it, got Output for Tensor");
  CHECK_THROWS_WITH((nn::Sequential{nn::ReLU(), Recurrent()})(x),
                    "sequential: the last layer must return Tensor, got Output; add a layer that "
                    "takes it, or call forward_as");
  CHECK_THROWS_WITH(nn::Sequential{Recurrent()}.forward_as<Tensor>(x),
                    "sequential: the last layer must return Tensor, got Output; add a layer that "
                    "takes it, or call forward_as");
  nn::AnyModule any = Recurrent(), last = Last();
  CHECK_THROWS_WITH(any(x),
                    "AnyModule: the layer must return Tensor, got Output; forward_as gives that");
  CHECK_THROWS_WITH(last(x), "AnyModule: Last must get what it takes, got Tensor for Output");
  CHECK_THROWS_WITH(
      nn::Sequential(nn::Sequential(nn::Linear(3, 1)), Recurrent()).forward_as<Output>(x),
      Catch::Matchers::StartsWith("0.0 (Linear): linear: "));
}

TEST_CASE("a model whose layers have several results is compiled") {
  const ag::NoGrad no_grad;
  nn::Sequential model{Recurrent(), Last()};
  auto all = ag::compile([&](const Tensor& x) { return model.layer<Recurrent>(0)(x); });
  auto last = ag::compile([&](const Tensor& x) { return model(x); });
  for (const double value : {1, 2, 3}) {
    const Tensor x = ag::full({1, 2}, value);
    const Output expected = model.layer<Recurrent>(0)(x), got = all(x);
    CHECK(got.output.to_vector<float>() == expected.output.to_vector<float>());
    CHECK(got.h.to_vector<float>() == expected.h.to_vector<float>());
    CHECK(last(x).to_vector<float>() == model(x).to_vector<float>());
  }
  CHECK(all.stats().replays == 2);
  CHECK(last.stats().replays == 2);
}
