// What a hook may do to the graph that is being walked, and what it must not leave behind.
#include "autograd/autograd.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

Tensor leaf(double v) { return ag::tensor({v, v}).requires_grad_(); }
std::vector<double> of(const Tensor& t) { return t.to_vector<double>(); }
std::int64_t in_use() { return ag::memory_stats().in_use; }

}  // namespace

TEST_CASE("a leaf that its hook takes off the tape gets no gradient") {
  Tensor x = leaf(3);
  int calls = 0;
  const auto leave = [&](const Tensor&) {
    ++calls;
    x.requires_grad_(false);
    return Tensor();
  };
  x.register_hook(leave);
  x.register_hook(leave);  // gone with the first
  ag::sum(x * x).backward();
  CHECK(calls == 1);
  CHECK_FALSE(x.requires_grad());
  x.requires_grad_();
  CHECK_FALSE(x.grad().defined());
  ag::sum(x * x).backward();
  CHECK(calls == 1);
  CHECK(of(x.grad()) == std::vector<double>{6, 6});
}

TEST_CASE("a leaf to which its hook gives other elements loses its gradient, hooks and all") {
  for (const Tensor& other : {ag::tensor({5.0, 7.0}), ag::tensor({5.0, 6.0, 7.0})}) {
    Tensor x = leaf(3);
    ag::sum(x * 2.0).backward();
    int calls = 0;
    x.register_hook([&](const Tensor& g) {
      x.set_data(other);
      x.register_hook([&](const Tensor&) {
        ++calls;
        return Tensor();
      });
      return g * 2;
    });
    ag::sum(x * x).backward();
    CHECK(calls == 0);
    CHECK_FALSE(x.grad().defined());
    ag::sum(x * x).backward();
    CHECK(calls == 1);
    CHECK(of(x.grad()) == of(2 * other));
  }
}

TEST_CASE("a hook that writes a step into its leaf trains it while the walk goes on") {
  Tensor a = leaf(1), b = leaf(1);
  for (Tensor* p : {&a, &b})
    p->register_hook([data = p->detach()](const Tensor& g) mutable {
      data.copy_(data - 0.1 * g);
      return Tensor();
    });
  for (int step = 0; step < 50; ++step) {
    ag::sum(ag::square(a * b - 4.0)).backward();
    a.zero_grad(), b.zero_grad();
  }
  CHECK(of(a * b)[0] == Catch::Approx(4));
}

TEST_CASE("grad gives the gradient of a leaf that its hook changes") {
  Tensor x = leaf(3);
  x.register_hook([&](const Tensor&) {
    x.set_data(ag::tensor(1.0));
    return Tensor();
  });
  CHECK(of(ag::grad({ag::sum(x * x)}, {x})[0]) == std::vector<double>{6, 6});
  CHECK(x.shape().empty());
}

TEST_CASE("hooks may remove themselves and each other, and an old id removes nothing new") {
  Tensor x = leaf(1);
  std::string calls;
  std::vector<std::uint64_t> ids;
  const auto hook = [&](char name, std::function<void()> act) {
    ids.push_back(x.register_hook([&calls, name, act](const Tensor&) {
      calls += name;
      act();
      return Tensor();
    }));
  };
  hook('a', [&] { x.remove_hook(ids[0]); });
  hook('b', [&] { x.remove_hook(ids[2]); });
  hook('c', [] {});
  ag::sum(x * 1.0).backward();
  CHECK(calls.substr(0, 2) == "ab");
  calls.clear();
  ag::sum(x * 1.0).backward();
  CHECK(calls == "b");
  hook('d', [] {});
  x.remove_hook(ids[2]);
  calls.clear();
  ag::sum(x * 1.0).backward();
  CHECK(calls == "bd");
}

TEST_CASE("a hook may drop the last handles to what is walked") {
  const auto before = in_use();
  {
    Tensor x = leaf(2), y = x * 3.0, z = ag::exp(y), loss = ag::sum(z * y);
    TensorList outputs{loss}, inputs{x, y};
    const auto drop = [&](const Tensor&) {
      x = y = z = loss = Tensor();
      outputs.clear(), inputs.clear();
      return Tensor();
    };
    y.register_hook(drop);
    z.register_hook(drop);
    const TensorList g = ag::grad(outputs, inputs);
    REQUIRE(g.size() == 2);
    CHECK(of(g[0])[0] == Catch::Approx(21 * std::exp(6)));
  }
  {
    Tensor x = leaf(2);
    x.register_hook([&](const Tensor&) {
      x = Tensor();
      return Tensor();
    });
    ag::sum(x * x).backward();
    CHECK_FALSE(x.defined());
  }
  CHECK(in_use() == before);
}

TEST_CASE("a hook may set and clear gradients, also its own tensor's") {
  Tensor x = leaf(1), y = x * 2.0;
  y.retain_grad();
  y.register_hook([&](const Tensor&) {
    y.set_grad(ag::tensor({10.0, 10.0}));
    x.set_grad(ag::tensor({100.0, 100.0}));
    return Tensor();
  });
  ag::sum(y).backward();
  CHECK(of(y.grad()) == std::vector<double>{11, 11});
  CHECK(of(x.grad()) == std::vector<double>{102, 102});
  x.register_hook([&](const Tensor&) {
    x.zero_grad();
    return Tensor();
  });
  ag::sum(x * 5.0).backward();
  CHECK(of(x.grad()) == std::vector<double>{5, 5});
}

TEST_CASE("a hook may walk other graphs that end at the same leaves") {
  Tensor x = leaf(2), w = leaf(5), y = x * w;
  Tensor inner, second;
  for (Tensor* t : {&y, &x})
    t->register_hook([&](const Tensor&) {
      static int depth = 0;
      if (depth) return Tensor();
      ++depth;
      const ag::EnableGrad recorded;
      inner = ag::grad({ag::sum(x * x * w)}, {x})[0];
      const Tensor g = ag::grad({ag::sum(x * x * x)}, {x}, {.create_graph = true})[0];
      second = ag::grad({ag::sum(g)}, {x})[0];
      ag::sum(w * 7.0).backward();
      --depth;
      return Tensor();
    });
  ag::sum(y).backward();
  CHECK(of(inner) == std::vector<double>{20, 20});
  CHECK(of(second) == std::vector<double>{12, 12});
  CHECK(of(x.grad()) == std::vector<double>{5, 5});
  CHECK(of(w.grad()) == std::vector<double>{16, 16});  // 7 and 7, and 2 of the outer walk
}

TEST_CASE(
    "a hook may ask for gradients of what it is called for, in a graph that goes on from it") {
  const Tensor x = leaf(2);
  Tensor y = x * 3.0, found;
  y.register_hook([&](const Tensor& g) {
    if (found.defined()) return Tensor();
    const ag::EnableGrad recorded;
    found = ag::zeros({2}, ag::float64);  // the walk within calls this hook as well
    found = ag::grad({ag::sum(y * y)}, {y})[0];
    return g + found;
  });
  ag::sum(y).backward();
  CHECK(of(found) == std::vector<double>{12, 12});
  CHECK(of(x.grad()) == std::vector<double>{39, 39});
}

TEST_CASE("a hook that throws leaves nothing behind but what was collected") {
  const auto before = in_use();
  for (const bool create_graph : {false, true}) {
    Tensor x = leaf(2), w = leaf(3);
    bool fails = true;
    x.register_hook([&](const Tensor&) -> Tensor {
      if (fails) throw std::runtime_error("from the hook");
      return {};
    });
    const auto loss = [&] { return ag::sum(ag::exp(x * w) * w); };
    CHECK_THROWS_WITH(loss().backward({.create_graph = create_graph}), "from the hook");
    CHECK_FALSE(x.grad().defined());
    w.zero_grad();
    fails = false;
    loss().backward();
    CHECK(of(x.grad())[0] == Catch::Approx(9 * std::exp(6)));
  }
  CHECK(in_use() == before);
}

TEST_CASE("a hook is freed with its tensor, unless it holds a handle to it") {
  const auto before = in_use();
  {
    Tensor x = leaf(2), y = x * 3.0;
    x.register_hook([data = x.detach()](const Tensor& g) { return g * data; });
    y.register_hook([data = y.detach(), x](const Tensor& g) { return g * data + x.detach(); });
    ag::sum(y).backward();
    CHECK(of(x.grad()) == std::vector<double>{48, 48});
  }
  CHECK(in_use() == before);
  std::uint64_t id = 0;
  Tensor* held = nullptr;
  {
    Tensor x = leaf(2);
    auto own = std::make_shared<Tensor>(x);
    held = own.get();
    id = x.register_hook([own](const Tensor&) { return Tensor(); });
  }
  CHECK(in_use() > before);
  Tensor(*held).remove_hook(id);
  CHECK(in_use() == before);
}
