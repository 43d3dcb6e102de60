#include <functional>
#include <optional>

#include "autograd/ops/ops.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

namespace {

struct Net : nn::Module {
  nn::Linear first{2, 2};
  nn::MLP rest{2, {3}, 1};
  nn::AnyModule activation = nn::Tanh();
  NN_MODULE(first, rest, activation)
  ag::Tensor forward(const ag::Tensor& x) const { return rest(activation(first(x))); }
};

// Whatever can be asked of a model that was moved from is refused in one line.
template <class M>
void check_refused(M& model) {
  const std::string got =
      "got a " + model.type_name() + " that was moved from; use what it was moved to";
  const Scratch scratch;
  const std::string path = scratch / "model";
  write_bytes(path, "good");
  const std::vector<std::function<void()>> uses{[&] {
                                                  model(ag::ones({1, 2}));
                                                },
                                                [&] { model.parameters(); },
                                                [&] { model.named_parameters(); },
                                                [&] { model.buffers(); },
                                                [&] { model.named_buffers(); },
                                                [&] { model.children(); },
                                                [&] { model.named_modules(); },
                                                [&] { model.state_dict(); },
                                                [&] { model.load_state_dict({}); },
                                                [&] { model.train(); },
                                                [&] { model.to(ag::float64); },
                                                [&] { model.zero_grad(); },
                                                [&] { model.requires_grad_(); },
                                                [&] { model.num_parameters(); },
                                                [&] { model.apply([](nn::Module&) {}); },
                                                [&] { nn::gradient_report(model); },
                                                [&] { nn::save(model, path); },
                                                [&] { nn::load(model, nn::StateDict{}); },
                                                [&] {
                                                  nn::Checkpoint({{"model", model}}).save(path);
                                                }};
  for (const auto& use : uses) CHECK_THROWS_WITH(use(), EndsWith(got));
  CHECK_THROWS_AS(nn::clone(model).parameters(), ag::Error);
  CHECK(read_bytes(path) == "good");
  CHECK(model.str() == model.type_name() + "(moved from)");
  CHECK(model.is_moved_from());
}

template <class M>
void check_moved(M model) {
  const M before = model;
  const ag::Tensor x = ag::ones({1, 2});
  M moved = std::move(model);
  check_refused(model);
  CHECK_FALSE(moved.is_moved_from());
  moved(x);
  model = before;
  CHECK(model(x).template to_vector<float>() == moved(x).template to_vector<float>());
  M assigned = before;
  assigned = std::move(model);
  check_refused(model);
  std::swap(model, moved);
  check_refused(moved);
  CHECK(model(x).template to_vector<float>() == before(x).template to_vector<float>());
}

}  // namespace

TEST_CASE("a module that was moved from is refused wherever it is used, until it is assigned to") {
  check_moved(nn::MLP(2, {4}, 3));
  check_moved(nn::Sequential{nn::Linear(2, 2), nn::ReLU()});
  check_moved(nn::Sequential{});
  check_moved(nn::Linear(2, 2));
  check_moved(nn::LayerNorm(2));
  check_moved(nn::Identity());
  check_moved(nn::ReLU());
  check_moved(nn::PReLU());
  check_moved(nn::Lambda([](const ag::Tensor& x) { return x * 2; }));
  check_moved(nn::Flatten());
  nn::Dropout dropout(0.5);
  dropout.eval();
  check_moved(dropout);
  check_moved(Net());
}

TEST_CASE("a layer that was moved out of a model is refused by its path") {
  Net model;
  const nn::MLP taken = std::move(model.rest);
  CHECK_THROWS_WITH(model(ag::ones({1, 2})),
                    "rest (MLP): forward: a module must hold its members, got a MLP that was moved "
                    "from; use what it was moved to");
  CHECK_THROWS_WITH(model.parameters(), ContainsSubstring("got a MLP that was moved from"));
  Net other;
  const nn::AnyModule activation = std::move(other.activation);
  CHECK_THROWS_WITH(other(ag::ones({1, 2})),
                    ContainsSubstring("AnyModule: must hold a layer, got one that was moved from"));
  CHECK_THROWS_AS(other.parameters(), ag::Error);
  CHECK_THROWS_AS(Net(other), ag::Error);
}

TEST_CASE("modules move within vectors and optionals as before") {
  std::vector<nn::Linear> layers;
  for (int i = 1; i < 6; ++i) layers.emplace_back(i, 1);
  layers.erase(layers.begin() + 1);
  layers.insert(layers.begin(), nn::Linear(9, 1));
  std::vector<std::int64_t> sizes;
  for (const auto& l : layers) {
    sizes.push_back(l.in_features());
    CHECK_FALSE(l.is_moved_from());
  }
  CHECK(sizes == std::vector<std::int64_t>{9, 1, 3, 4, 5});
  std::optional<nn::Linear> a{std::in_place, 1, 1}, b{std::in_place, 2, 1};
  std::swap(a, b);
  CHECK(a->in_features() == 2);
  CHECK(b->in_features() == 1);
}

TEST_CASE("a model or state without a tensor is not saved over a good file") {
  const Scratch scratch;
  const std::string path = scratch / "model";
  nn::save(nn::Linear(2, 1), path);
  const std::string good = read_bytes(path);
  CHECK_THROWS_WITH(nn::save(nn::Sequential{}, path),
                    path +
                        ": Sequential must have a parameter or buffer to save, got none; an "
                        "older file is unchanged");
  CHECK_THROWS_WITH(nn::save(nn::StateDict{}, path),
                    ContainsSubstring("a state dict must have a parameter or buffer to save"));
  nn::Sequential empty;
  CHECK_THROWS_WITH(nn::Checkpoint({{"model", empty}}).save(path),
                    "Checkpoint: 'model' must have a parameter or buffer to save, got a Sequential "
                    "without one");
  CHECK(read_bytes(path) == good);
}
