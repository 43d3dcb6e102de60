
#include <functional>
#include <thread>

#include "autograd/autograd.hpp"
#include "autograd/catch2.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

// One block of a network, with noise.
Tensor block(const Tensor& x, const Tensor& w) {
  const Tensor h = ag::tanh(ag::matmul(x, w));
  return h * ag::bernoulli(h.shape(), 0.5, h.dtype()) + x;
}

// The bytes that a graph keeps, each storage once.
std::size_t saved_bytes(const Tensor& y) {
  std::size_t bytes = 0;
  std::vector<const void*> seen;
  std::vector<const ag::Node*> todo{y.impl()->node.get()}, done;
  while (!todo.empty()) {
    const ag::Node* n = todo.back();
    todo.pop_back();
    if (std::find(done.begin(), done.end(), n) != done.end()) continue;
    done.push_back(n);
    for (const Tensor& t : n->saved())
      if (std::find(seen.begin(), seen.end(), t.raw()) == seen.end()) {
        seen.push_back(t.raw());
        bytes += static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype());
      }
    for (const auto& e : n->edges())
      if (e.node()) todo.push_back(e.node());
  }
  return bytes;
}

struct Run {
  Tensor value;
  TensorList gradients;
  std::size_t bytes;
  ag::Generator::State random;
};

Run run(bool checkpointed) {
  ag::manual_seed(5);
  const Tensor x = ag::randn({8, 16}).requires_grad_();
  TensorList weights;
  for (int i = 0; i < 6; ++i) weights.push_back((ag::randn({16, 16}) * 0.3).requires_grad_());
  Tensor h = x;
  for (const Tensor& w : weights) {
    auto f = [w](const Tensor& t) { return block(t, w); };
    h = checkpointed ? ag::checkpoint(f, h) : f(h);
  }
  const Tensor loss = ag::sum(ag::square(h));
  Run result{loss.detach(), {}, saved_bytes(loss), {}};
  loss.backward();
  result.random = ag::default_generator().state();
  result.gradients.push_back(x.grad());
  for (const Tensor& w : weights) result.gradients.push_back(w.grad());
  return result;
}

}  // namespace

TEST_CASE("checkpoint gives the same gradients bit for bit from less memory") {
  const Run plain = run(false), saving = run(true);
  CHECK(plain.value.item() == saving.value.item());
  REQUIRE(plain.gradients.size() == saving.gradients.size());
  for (std::size_t i = 0; i < plain.gradients.size(); ++i) {
    INFO("gradient " << i);
    CHECK(plain.gradients[i].to_vector<float>() == saving.gradients[i].to_vector<float>());
  }
  CHECK(plain.random == saving.random);
  // Inputs (8 × 16) and weights only, against product, tanh and mask besides.
  INFO(saving.bytes << " bytes against " << plain.bytes);
  CHECK(saving.bytes * 10 < plain.bytes * 9);
  const std::size_t weights = 6 * 16 * 16 * 4;
  CHECK((saving.bytes - weights) * 2 < plain.bytes - weights);
}

TEST_CASE("checkpoint has derivatives of any order, also of captured tensors") {
  const Tensor a = ag::tensor({0.5, -1.0}), b = ag::tensor({2.0, 0.3});
  const auto f = [](const Tensor& x, const Tensor& w) {
    const Tensor inner = ag::exp(w);  // captured, and the result of an operation
    return ag::checkpoint([&, inner, w](const Tensor& t) { return ag::sin(t * inner) * w * t; }, x);
  };
  CHECK_THAT(f, ag::PassesGradGradCheck({a, b}));
  const auto gradient = [&](const Tensor& x) {
    const Tensor in = x.requires_grad() ? x : x.detach().requires_grad_();
    return ag::grad({ag::sum(f(in, b))}, {in}, {.create_graph = true})[0];
  };
  CHECK_THAT(gradient, ag::PassesGradGradCheck({a}));
}

TEST_CASE("checkpoints nest, take several inputs and give several outputs") {
  const Tensor a = ag::tensor({0.5, -1.0}), b = ag::tensor({2.0, 0.3});
  const auto nested = [](const Tensor& x, const Tensor& w) {
    return ag::checkpoint(
        [w](const Tensor& t) {
          const Tensor u = ag::sin(t) * w;
          return ag::checkpoint([u, w](const Tensor& v) { return ag::exp(v * u) + w; }, t) * u;
        },
        x);
  };
  CHECK_THAT(nested, ag::PassesGradGradCheck({a, b}));
  const auto several = [](const Tensor& x, const Tensor& y) -> TensorList {
    const TensorList out = ag::checkpoint(
        [](const Tensor& p, const Tensor& q) {
          return TensorList{p * q, ag::sin(q), p * 2};
        },
        x, y);
    return {out[0], out[2] * out[1]};
  };
  CHECK_THAT(several, ag::PassesGradGradCheck({a, b}));
  const auto twice = [](const Tensor& x) {
    return ag::checkpoint([](const Tensor& p, const Tensor& q) { return p * ag::exp(q); }, x, x);
  };
  CHECK_THAT(twice, ag::PassesGradGradCheck({a}));
  const auto also_captured = [](const Tensor& x) {
    return ag::checkpoint([x](const Tensor& p) { return p * ag::exp(x); }, x);
  };
  CHECK_THAT(also_captured, ag::PassesGradGradCheck({a}));
  // A function that differentiates inside.
  const auto inner_gradient = [](const Tensor& x) {
    return ag::checkpoint(
        [](const Tensor& t) {
          const Tensor y = ag::tensor({3.0, 2.0}).requires_grad_();
          return t * ag::grad({ag::sum(y * y)}, {y})[0];
        },
        x);
  };
  CHECK_THAT(inner_gradient, ag::PassesGradCheck({a}));
}

TEST_CASE("checkpoint without gradients records nothing") {
  const Tensor x = ag::tensor(2.0);
  int calls = 0;
  const auto f = [&](const Tensor& t) {
    ++calls;
    return t * t;
  };
  CHECK_FALSE(ag::checkpoint(f, x).requires_grad());
  Tensor leaf = ag::tensor(3.0).requires_grad_();
  {
    const ag::NoGrad off;
    CHECK_FALSE(ag::checkpoint(f, leaf).requires_grad());
  }
  CHECK(calls == 2);
  const Tensor y = ag::checkpoint(f, leaf);
  CHECK(y.op_name() == "checkpoint");
  y.backward();
  CHECK(calls == 4);
  CHECK(leaf.grad().item() == 6);
}

TEST_CASE("checkpoint works in a walk by another thread", "[threads]") {
  Tensor w = ag::tensor({1.0, 2.0}).requires_grad_();
  Tensor x = ag::tensor({0.5, -1.0}).requires_grad_();
  for (int i = 0; i < 100; ++i) (void)(x * 2.0);
  const Tensor h = ag::sin(x);
  const Tensor y = ag::sum(ag::checkpoint([w](const Tensor& t) { return w * t * t; }, h));
  std::thread([&] { y.backward(); }).join();
  const Tensor expected = ag::grad({ag::sum(w * ag::square(ag::sin(x)))}, {x})[0];
  CHECK(x.grad().to_vector<double>() == expected.to_vector<double>());
}

TEST_CASE("checkpoint refuses what would give wrong gradients") {
  Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  Tensor c = ag::tensor({3.0, 4.0}).requires_grad_();
  int calls = 0;
  const Tensor changing = ag::checkpoint(
      [&](const Tensor& t) { return calls++ ? ag::sum(t) : ag::sum(t, 0, true); }, x);
  CHECK_THROWS_WITH(changing.backward(),
                    "checkpoint: the function must do the same in the backward pass as before, got "
                    "outputs of another number, shape or dtype");
  const Tensor y = ag::checkpoint([c](const Tensor& t) { return ag::sum(t * c); }, x);
  c.mutable_data<double>()[0] = 7;
  CHECK_THROWS_WITH(y.backward(), Catch::Matchers::ContainsSubstring(
                                      "values saved by 'checkpoint' must not change"));
  const Tensor z = ag::checkpoint([](const Tensor& t) { return ag::sum(t * t); }, x);
  z.backward();
  CHECK_THROWS_WITH(z.backward(),
                    Catch::Matchers::ContainsSubstring("an earlier walk released it"));
  CHECK_THROWS_WITH(ag::checkpoint([](const Tensor&) { return Tensor(); }, x),
                    "checkpoint: the function must return tensors, got an undefined one");
}

TEST_CASE("checkpoint refuses captured variables that name other tensors in the walk back") {
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  Tensor a = ag::tensor(3.0).requires_grad_(), b = ag::tensor(5.0).requires_grad_();
  const auto result = [&] {
    return ag::sum(ag::checkpoint([&](const Tensor& t) { return a * t + b; }, x));
  };
  const auto refused = [](const Tensor& y) {
    CHECK_THROWS_WITH(
        y.backward(),
        "checkpoint: the function must use the same tensors that require a gradient in "
        "the backward pass as before, got others or another order; leave what it "
        "captures as it is until then");
  };
  Tensor y = result();
  a = ag::tensor(7.0).requires_grad_();
  refused(y);
  y = result();
  a = ag::tensor(7.0);
  refused(y);
  a.requires_grad_();
  y = result();
  std::swap(a, b);
  refused(y);
  // One that requires a gradient only now gets none, as ever.
  a = ag::tensor(7.0);
  y = result();
  a.requires_grad_();
  y.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{7, 7});
  CHECK_FALSE(a.grad().defined());
}

TEST_CASE("checkpoint takes a function that makes leaves of its own for a gradient within") {
  Tensor w = ag::tensor({1.0, 2.0}).requires_grad_();
  const auto force = [&](const Tensor& t) {
    const Tensor at = t.detach().requires_grad_();
    return ag::grad({ag::sum(w * at * at * at)}, {at}, {.create_graph = true})[0] * t;
  };
  const Tensor x = ag::tensor({0.5, -1.0}).requires_grad_();
  const TensorList plain = ag::grad({ag::sum(force(x))}, {w, x});
  const TensorList saved = ag::grad({ag::sum(ag::checkpoint(force, x))}, {w, x});
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(saved[i].to_vector<double>() == plain[i].to_vector<double>());
}

TEST_CASE("a checkpoint in a checkpoint takes a function that makes leaves of its own") {
  const Tensor w = ag::tensor({1.0, 2.0}).requires_grad_();
  const auto scaled = [&](const Tensor& t) {
    return w * t * ag::tensor({3.0, 4.0}).requires_grad_();
  };
  const auto force = [&](const Tensor& t) {
    const Tensor at = t.detach().requires_grad_();
    return w * t * ag::grad({ag::sum(at * at * at)}, {at})[0];
  };
  const std::function<Tensor(const Tensor&)> functions[] = {scaled, force};
  for (const auto& f : functions) {
    const Tensor x = ag::tensor({0.5, -1.0}).requires_grad_();
    const TensorList plain = ag::grad({ag::sum(w * f(2 * x))}, {w, x});
    const auto outer = [&](const Tensor& t) { return ag::sum(w * ag::checkpoint(f, 2 * t)); };
    const TensorList saved = ag::grad({ag::checkpoint(outer, x)}, {w, x});
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(saved[i].to_vector<double>() == plain[i].to_vector<double>());
  }
}

TEST_CASE("a leaf that the function of a checkpoint makes once and keeps gets its gradient") {
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  Tensor lazy;
  const Tensor y = ag::checkpoint(
      [&](const Tensor& t) {
        if (!lazy.defined()) lazy = ag::tensor({3.0, 4.0}).requires_grad_();
        return ag::sum(lazy * t);
      },
      x);
  y.backward();
  CHECK(lazy.grad().to_vector<double>() == std::vector<double>{1, 2});
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 4});
}

TEST_CASE("a captured tensor may be frozen before the walk through a checkpoint") {
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  Tensor a = ag::tensor(3.0).requires_grad_(), b = ag::tensor(5.0).requires_grad_();
  const Tensor y = ag::sum(ag::checkpoint([&](const Tensor& t) { return a * t + b; }, x));
  a.requires_grad_(false);
  y.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 3});
  CHECK(b.grad().item() == 2);
}

TEST_CASE("a checkpoint where functions may not run again runs its function as it is") {
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  int calls = 0;
  Tensor y;
  {
    const ag::NoRecomputation off;
    CHECK(ag::recomputation_off());
    y = ag::checkpoint([&](const Tensor& t) { return ++calls, ag::sum(t * t); }, x);
  }
  CHECK_FALSE(ag::recomputation_off());
  y.backward();
  CHECK(calls == 1);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{2, 4});
}

TEST_CASE("what the function of a checkpoint returns as it was outside gets its gradient") {
  Tensor x = ag::tensor({1.0, 2.0}).requires_grad_(), w = ag::tensor({3.0, 4.0}).requires_grad_();
  const TensorList out = ag::checkpoint([&](const Tensor& t) { return TensorList{w, t}; }, x);
  ag::sum(out[0] * out[1]).backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 4});
  CHECK(w.grad().to_vector<double>() == std::vector<double>{1, 2});
}

TEST_CASE("a replay has second derivatives of a checkpoint that makes leaves of its own") {
  const Tensor w = ag::tensor({1.0, 2.0}).requires_grad_();
  const auto force = [&](const Tensor& t) {
    const Tensor at = t.detach().requires_grad_();
    return ag::grad({ag::sum(w * at * at * at)}, {at}, {.create_graph = true})[0] * t * t;
  };
  const auto second = [&](const Tensor& x, bool checkpointed) {
    const Tensor a = x.detach().requires_grad_();
    const Tensor y = ag::sum(checkpointed ? ag::checkpoint(force, a) : force(a));
    const Tensor slope = ag::grad({y}, {a}, {.create_graph = true})[0];
    return ag::concat(ag::grad({ag::sum(slope)}, {w, a})).detach();
  };
  const Tensor x = ag::tensor({0.5, -1.0});
  auto compiled = ag::compile([&](const Tensor& t) { return second(t, true); });
  for (int i = 0; i < 3; ++i) CHECK(ag::allclose(compiled(x), second(x, false)));
  CHECK(compiled.stats().replays > 0);
}
