
#include <cmath>
#include <thread>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

Tensor leaf(double v) { return ag::tensor(v).requires_grad_(); }

// f(x) = x³ with a gradient that is right, and what it saves is visible.
struct Cube : ag::Function<Cube> {
  static Tensor forward(ag::Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x * x;
  }
  static TensorList backward(ag::Context& ctx, const TensorList& g) {
    const Tensor& x = ctx.saved()[0];
    return {3 * x * x * g[0]};
  }
};

// Two outputs from one input; saves an output.
struct ExpAndSquare : ag::Function<ExpAndSquare> {
  static TensorList forward(ag::Context& ctx, const Tensor& x) {
    const Tensor e = ag::exp(x);
    ctx.save_for_backward({x, e});
    return {e, x * x};
  }
  static TensorList backward(ag::Context& ctx, const TensorList& g) {
    return {g[0] * ctx.saved()[1] + g[1] * 2 * ctx.saved()[0]};
  }
};

struct BadShape : ag::Function<BadShape> {
  static Tensor forward(ag::Context&, const Tensor& x) { return x * 2; }
  static TensorList backward(ag::Context&, const TensorList& g) { return {ag::sum(g[0], 0, true)}; }
};

struct BadCount : ag::Function<BadCount> {
  static Tensor forward(ag::Context&, const Tensor& a, const Tensor& b) { return a * b; }
  static TensorList backward(ag::Context&, const TensorList& g) { return {g[0]}; }
};

}  // namespace

TEST_CASE("the one-neuron example has the gradients worked out by hand") {
  const Tensor x = ag::tensor(0.5), w = leaf(0.4), b = leaf(0.1);
  const Tensor z = w * x + b, a = ag::sigmoid(z), loss = 0.5 * ag::square(1.0 - a);
  loss.backward();
  CHECK(z.item() == Catch::Approx(0.3));
  CHECK(a.item() == Catch::Approx(0.574442516811659));
  CHECK(loss.item() == Catch::Approx(0.0905495857));
  CHECK(w.grad().item() == Catch::Approx(-0.0520155319));
  CHECK(b.grad().item() == Catch::Approx(-0.1040310639));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("gradients of several walks add up until they are cleared") {
  Tensor x = leaf(3);
  (x * x).backward();
  (x * x).backward();
  CHECK(x.grad().item() == 12);
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  (x * 5.0).backward();
  CHECK(x.grad().item() == 5);
}

TEST_CASE("a gradient that someone holds does not change under a later walk") {
  Tensor x = leaf(3);
  (x * x).backward();
  const Tensor held = x.grad();
  (x * x).backward();
  CHECK(held.item() == 6);
  CHECK(x.grad().item() == 12);
}

TEST_CASE("one cotangent that reaches two leaves is not shared between their gradients") {
  Tensor a = leaf(1), b = leaf(2);
  (a + b).backward();
  (a * 10.0).backward();
  CHECK(a.grad().item() == 11);
  CHECK(b.grad().item() == 1);
}

TEST_CASE("grad gives gradients of intermediate results and accumulates nothing") {
  Tensor x = leaf(2);
  const Tensor y = x * x, z = ag::exp(y);
  const TensorList g = ag::grad({z}, {y, x});
  CHECK(g[0].item() == Catch::Approx(std::exp(4)));
  CHECK(g[1].item() == Catch::Approx(4 * std::exp(4)));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a walk with create_graph can be differentiated again and again") {
  const Tensor x = leaf(1.5);
  Tensor y = ag::pow(x, 5);
  const double expected[] = {5 * std::pow(1.5, 4), 20 * std::pow(1.5, 3), 60 * std::pow(1.5, 2),
                             120 * 1.5};
  for (const double e : expected) {
    y = ag::grad({y}, {x}, {.create_graph = true})[0];
    CHECK(y.item() == Catch::Approx(e));
  }
}

TEST_CASE("a walk over a fixed graph can be repeated with retain_graph and not without") {
  Tensor x = leaf(2);
  const Tensor y = ag::exp(x);
  y.backward({.retain_graph = true});
  y.backward();
  CHECK(x.grad().item() == Catch::Approx(2 * std::exp(2)));
  CHECK_THROWS_WITH(y.backward(), ContainsSubstring("backward: the graph must be whole") &&
                                      ContainsSubstring("'exp'") &&
                                      ContainsSubstring(".retain_graph = true"));
}

TEST_CASE("a failed walk leaves the graph usable") {
  Tensor x = leaf(2), y = leaf(3);
  const Tensor shared = x * y, gone = ag::exp(shared), kept = ag::sin(y);
  gone.backward();
  CHECK_THROWS(ag::backward({kept, ag::cos(shared)}));
  kept.backward();
  CHECK(y.grad().item() == Catch::Approx(2 * std::exp(6) + std::cos(3)));
}

TEST_CASE("outputs of any shape take a cotangent of theirs") {
  Tensor x = ag::tensor({1.0, 2.0, 3.0}).requires_grad_();
  (x * x).backward(ag::tensor({1.0, 0.0, -1.0}));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{2, 0, -6});
  CHECK_THROWS_WITH(
      (x * x).backward(),
      ContainsSubstring(
          "backward: without a cotangent the output must have one element, got shape (3,)"));
  CHECK_THROWS_WITH(
      (x * x).backward(ag::tensor({1.0})),
      ContainsSubstring("the gradient must have the shape of its tensor, got (1,) for (3,)"));
  CHECK_THROWS_WITH(
      (x * x).backward(ag::ones({3})),
      ContainsSubstring("the gradient must have the dtype of its tensor, got float32 for float64"));
}

TEST_CASE("a tensor off the tape has no backward") {
  CHECK_THROWS_WITH(ag::ones({}).backward(),
                    ContainsSubstring("backward: the output must require a gradient"));
  CHECK_THROWS_WITH(ag::grad({leaf(1) * 2.0}, {ag::ones({})}),
                    ContainsSubstring("grad: every input must require a gradient"));
  CHECK_THROWS_WITH(
      ag::ones({2}, ag::int64).requires_grad_(),
      ContainsSubstring("only float32 and float64 tensors have gradients, got int64"));
  CHECK_THROWS_WITH(Tensor().backward(), ContainsSubstring("backward: the tensor must be defined"));
}

TEST_CASE("an input that the outputs do not depend on is an error or undefined") {
  const Tensor x = leaf(1), y = leaf(2), z = x * 2.0;
  CHECK_THROWS_WITH(ag::grad({z}, {x, y}), ContainsSubstring("got input 1 (()) unused"));
  const TensorList g = ag::grad({x * 2.0}, {x, y}, {.allow_unused = true});
  CHECK(g[0].item() == 2);
  CHECK_FALSE(g[1].defined());
}

TEST_CASE("nothing is recorded under NoGrad, and EnableGrad records inside it") {
  const Tensor x = leaf(1);
  const ag::NoGrad off;
  CHECK_FALSE((x * 2.0).requires_grad());
  {
    const ag::EnableGrad on;
    CHECK((x * 2.0).requires_grad());
  }
  CHECK_FALSE((x * 2.0).requires_grad());
}

TEST_CASE("changing a saved value after it was recorded makes backward throw") {
  SECTION("an input, through a raw pointer") {
    Tensor t = ag::ones({2}).requires_grad_();
    const Tensor u = ag::sum(ag::square(t));
    t.mutable_data<float>()[0] = 5;
    CHECK_THROWS_WITH(u.backward(), ContainsSubstring("values saved by 'square' must not change") &&
                                        ContainsSubstring("its input ((2,))"));
  }
  SECTION("an output, through a view of its storage") {
    Tensor t = ag::ones({2}).requires_grad_();
    const Tensor y = ag::exp(t);
    Tensor alias = y.detach();
    alias.mutable_data<float>()[0] = 5;
    CHECK_THROWS_WITH(ag::sum(y).backward(), ContainsSubstring("its output ((2,))"));
  }
  SECTION("in a function of the user's") {
    Tensor t = leaf(2);
    const Tensor y = Cube::apply(t);
    t.copy_(ag::tensor(3.0));
    CHECK_THROWS_WITH(y.backward(), ContainsSubstring("values saved by 'Cube' must not change"));
  }
  SECTION("a value that nobody needs may change") {
    Tensor t = leaf(2);
    const Tensor y = t + 1.0;
    t.copy_(ag::tensor(3.0));
    y.backward();
    CHECK(t.grad().item() == 1);
  }
}

TEST_CASE("a leaf that gets other elements after it was saved makes backward throw") {
  for (const auto& other : {ag::tensor({5.0, 6.0}), ag::tensor({5.0, 6.0, 7.0})}) {
    Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
    const Tensor y = ag::sum(x * x);
    x.set_data(other);
    CHECK_THROWS_WITH(y.backward(), ContainsSubstring("values saved by 'mul' must not change"));
    ag::sum(x * x).backward();
    CHECK(x.grad().to_vector<double>() == (2 * other).to_vector<double>());
  }
}

TEST_CASE("a leaf may leave the tape and come back while a graph that saved it lives") {
  Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  Tensor y = ag::sum(x * x);
  x.requires_grad_(false);
  CHECK_FALSE((x * x).requires_grad());
  y.backward();
  CHECK_FALSE(x.grad().defined());
  x.requires_grad_();
  CHECK_FALSE(x.grad().defined());
  ag::sum(x * 3.0).backward();
  CHECK(x.grad().to_vector<double>() == std::vector{3.0, 3.0});
  y = ag::sum(x * x);
  x = Tensor();
  y.backward();
}

TEST_CASE("a hook sees the whole gradient once and may replace it") {
  Tensor x = leaf(3);
  Tensor y = x * 2.0;
  int calls = 0;
  y.register_hook([&](const Tensor& g) {
    ++calls;
    CHECK(g.item() == 6);  // of both uses: d(y * y + 2 y)/dy would be 14; here y + 5 y
    return g * 10.0;
  });
  (y + 5.0 * y).backward();
  CHECK(calls == 1);
  CHECK(x.grad().item() == 120);

  Tensor w = leaf(1);
  double seen = 0;
  const auto id = w.register_hook([&](const Tensor& g) {
    seen = g.item();
    return Tensor();
  });
  (w * 4.0 + w * 3.0).backward();
  CHECK(seen == 7);
  CHECK(w.grad().item() == 7);
  w.remove_hook(id);
  (w * 1.0).backward();
  CHECK(seen == 7);
  CHECK_THROWS_WITH(ag::tensor(1.0).register_hook([](const Tensor& g) { return g; }),
                    ContainsSubstring("register_hook: the tensor must require a gradient"));
}

TEST_CASE("retain_grad keeps the gradient of an intermediate result") {
  Tensor x = leaf(3);
  Tensor y = x * x;
  y.retain_grad();
  (y * 2.0).backward();
  CHECK(y.grad().item() == 2);
  CHECK(x.grad().item() == 12);
}

TEST_CASE("detach and clone") {
  const Tensor x = leaf(3);
  const Tensor c = x.clone(), d = x.detach();
  CHECK(c.requires_grad());
  CHECK_FALSE(d.requires_grad());
  CHECK(d.raw() == x.raw());
  CHECK(c.raw() != x.raw());
  CHECK(ag::grad({c * d}, {x})[0].item() == 3);
}

TEST_CASE("gradients pass between float32 and float64 and stop at integers") {
  const Tensor x = ag::tensor({1.5f, 2.5f}).requires_grad_();
  const Tensor g = ag::grad({ag::sum(ag::square(x.to(ag::float64)))}, {x})[0];
  CHECK(g.dtype() == ag::float32);
  CHECK(g.to_vector<float>() == std::vector<float>{3, 5});
  CHECK_FALSE(x.to(ag::int64).requires_grad());
  CHECK(x.to(ag::int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("a chain of a million operations is built, walked and destroyed on the default stack") {
  Tensor x = leaf(1);
  {
    Tensor y = x;
    for (int i = 0; i < 1000000; ++i) y = y + 1.0;
    y.backward({.retain_graph = true});
    CHECK(x.grad().item() == 1);
    CHECK(y.item() == 1000001);
  }  // dies whole
  Tensor z = x;
  for (int i = 0; i < 1000000; ++i) z = z * 1.0;
  z.backward();  // dies while it is walked
  CHECK(x.grad().item() == 2);
}

TEST_CASE("saved values of a million operations die without recursion") {
  const Tensor x = leaf(0.5);
  Tensor y = x;
  for (int i = 0; i < 1000000; ++i)
    y = ag::sin(y);  // each node holds the one before through its input
  CHECK(y.requires_grad());
}

TEST_CASE("a wide graph adds up every branch") {
  const Tensor x = leaf(2);
  TensorList branches;
  for (int i = 0; i < 1000; ++i) branches.push_back(x * static_cast<double>(i));
  CHECK(ag::grad({ag::sum(ag::stack(branches))}, {x})[0].item() == 999 * 500);
}

TEST_CASE("a dropped forward pass frees its buffers") {
  const Tensor x = ag::ones({4}).requires_grad_();
  const Tensor base = x.detach();
  const auto before = base.impl()->storage->use_count();
  { const Tensor y = ag::exp(ag::square(x)); }
  CHECK(base.impl()->storage->use_count() == before);
}

TEST_CASE("an operation keeps only what its gradient needs") {
  const Tensor a = ag::ones({3}).requires_grad_(), b = ag::ones({3}).requires_grad_();
  const auto saved = [](const Tensor& t) { return t.impl()->node->saved().size(); };
  CHECK(saved(a + b) == 0);
  CHECK(saved(a * b) == 2);
  CHECK(saved(ag::exp(a)) == 1);
  CHECK(saved(ag::sum(a)) == 0);
  CHECK(saved(ag::tanh(a)) == 1);
  CHECK(ag::tanh(a).impl()->node->saved()[0].requires_grad() == false);
  CHECK(saved(ag::reshape(a, {3, 1})) == 0);
  CHECK(saved(ag::concat({a, b})) == 0);
  CHECK(saved(a / b) == 2);  // b and the quotient
}

TEST_CASE("the walk releases saved values as it passes them") {
  const Tensor x = ag::ones({4}).requires_grad_();
  Tensor y = ag::exp(x);
  const Tensor loss = ag::sum(y * y);
  const auto* storage = y.impl()->storage.get();
  CHECK(storage->use_count() > 1);
  loss.backward();
  CHECK(storage->use_count() == 1);
}

TEST_CASE("functions of the user differentiate, twice too") {
  const Tensor x = leaf(2);
  const Tensor g = ag::grad({Cube::apply(x)}, {x}, {.create_graph = true})[0];
  CHECK(g.item() == 12);
  CHECK(ag::grad({g}, {x})[0].item() == 12);
  CHECK(Cube::apply(x).op_name() == "Cube");
  {
    const ag::NoGrad off;
    CHECK_FALSE(Cube::apply(x).requires_grad());
  }
}

TEST_CASE("functions of the user may have several outputs, and unused ones count as zero") {
  const Tensor x = leaf(2);
  const TensorList y = ExpAndSquare::apply(x);
  CHECK(ag::grad({y[1]}, {x}, {.retain_graph = true})[0].item() == 4);
  const Tensor g = ag::grad({y[0] + y[1]}, {x}, {.create_graph = true})[0];
  CHECK(g.item() == Catch::Approx(std::exp(2) + 4));
  CHECK(ag::grad({g}, {x})[0].item() == Catch::Approx(std::exp(2) + 2));
}

TEST_CASE("a wrong backward of the user's is named") {
  const Tensor x = ag::ones({3}).requires_grad_();
  CHECK_THROWS_WITH(
      ag::sum(BadShape::apply(x)).backward(),
      ContainsSubstring("BadShape backward, input 0: the gradient must have the shape of its "
                        "tensor, got (1,) for (3,)"));
  CHECK_THROWS_WITH(
      ag::sum(BadCount::apply(x, x)).backward(),
      ContainsSubstring("BadCount: backward must return one gradient per input, got 1 for 2"));
  CHECK_THROWS_WITH(Cube::apply(Tensor()), ContainsSubstring("Cube: every input must be defined"));
}

TEST_CASE("a graph is walked by one call at a time") {
  Tensor x = leaf(2);
  Tensor y = x * x;
  const Tensor z = ag::exp(y);
  y.register_hook([&](const Tensor&) -> Tensor {
    z.backward();  // the same graph, from inside its own walk
    return {};
  });
  CHECK_THROWS_WITH(z.backward(), ContainsSubstring("a graph is walked by one call at a time"));
}

TEST_CASE("independent graphs are built and walked on several threads at once", "[threads]") {
  std::vector<std::thread> threads;
  std::vector<double> results(4, 0.0);
  const Tensor shared = ag::tensor({1.0, 2.0, 3.0});  // data that all read
  for (std::size_t k = 0; k < results.size(); ++k)
    threads.emplace_back([&, k] {
      const Tensor w = ag::tensor(static_cast<double>(k)).requires_grad_();
      for (int i = 0; i < 50; ++i) {
        Tensor y = w * shared;
        for (int j = 0; j < 20; ++j) y = ag::tanh(y) + shared * w;
        results[k] += ag::grad({ag::sum(y)}, {w})[0].item();
      }
    });
  for (auto& t : threads) t.join();
  const Tensor w = ag::tensor(2.0).requires_grad_();
  Tensor y = w * shared;
  for (int j = 0; j < 20; ++j) y = ag::tanh(y) + shared * w;
  CHECK(results[2] == Catch::Approx(50 * ag::grad({ag::sum(y)}, {w})[0].item()));
}

TEST_CASE("a tensor made on one thread dies on another", "[threads]") {
  for (int i = 0; i < 20; ++i) {
    Tensor t;
    std::thread([&] { t = ag::exp(ag::ones({100}).requires_grad_()); }).join();
    CHECK(t.numel() == 100);
  }
}
