// Walks that meet: on several threads or one inside the other, and walks to very many places.
#include "autograd/autograd.hpp"

#include <atomic>
#include <barrier>
#include <cmath>
#include <functional>
#include <thread>
#include <vector>

#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

// f(thread) on four threads, which begin together.
void on_threads(const std::function<void(int)>& f) {
  constexpr int kThreads = 4;
  std::barrier start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      f(t);
    });
  for (auto& t : threads) t.join();
}

TensorList parameters() {
  ag::Generator generator(5);
  TensorList list;
  for (int i = 0; i < 4; ++i)
    list.push_back(ag::randn({5, 5}, ag::float64, generator).requires_grad_());
  return list;
}

Tensor loss(const TensorList& p, double number) {
  Tensor x = ag::full({2, 5}, number, ag::float64);
  for (const Tensor& w : p) x = ag::tanh(ag::matmul(x, w) + x * ag::sum(w));
  return ag::sum(x * x);
}

}  // namespace

TEST_CASE("threads take gradients through leaves that they share", "[threads]") {
  const TensorList p = parameters();
  std::vector<TensorList> expected;
  for (int t = 0; t < 4; ++t) expected.push_back(ag::grad({loss(p, t + 1)}, p));
  std::atomic<int> right = 0;
  on_threads([&](int t) {
    for (int i = 0; i < 100; ++i) {
      const bool create_graph = i % 4 == 0;
      const TensorList g = ag::grad({loss(p, t + 1)}, p, {.create_graph = create_graph});
      bool same = true;
      for (std::size_t k = 0; k < p.size(); ++k)
        same = same && (create_graph ? g[k].requires_grad() : same_bits(g[k], expected[t][k]));
      right += same;
    }
  });
  CHECK(right == 400);
}

TEST_CASE("threads take second derivatives and checkpoints through leaves that they share",
          "[threads]") {
  const TensorList p = parameters();
  const auto second = [&](double number) {
    const auto part = [&](const Tensor& scale) { return loss(p, number) * scale; };
    const Tensor y = ag::checkpoint(part, ag::sum(p[0]));
    const TensorList g = ag::grad({y}, p, {.create_graph = true});
    return ag::grad({ag::sum(g[0] * g[0]) + ag::sum(g[1])}, p)[0];
  };
  const Tensor expected = second(0.5);
  std::atomic<int> right = 0;
  on_threads([&](int) {
    for (int i = 0; i < 10; ++i) right += same_bits(second(0.5), expected);
  });
  CHECK(right == 40);
}

TEST_CASE("threads take gradients for a result that they share", "[threads]") {
  const Tensor w = parameters()[0], h = ag::tanh(w);
  const Tensor expected = ag::grad({ag::sum(ag::exp(h))}, {h})[0];
  std::atomic<int> right = 0;
  on_threads([&](int) {
    for (int i = 0; i < 200; ++i)
      right += same_bits(ag::grad({ag::sum(ag::exp(h))}, {h})[0], expected);
  });
  CHECK(right == 800);
  ag::sum(h).backward();  // its graph is whole
  CHECK(same_bits(ag::grad({ag::sum(ag::exp(h))}, {h})[0], expected));
}

TEST_CASE("gradients that threads add to one leaf are all in its total", "[threads]") {
  Tensor w = ag::ones({3}, ag::float64).requires_grad_(), v = ag::tensor(1.0).requires_grad_();
  std::atomic<int> calls = 0, seen = 0;
  w.register_hook([&](const Tensor&) {
    ++calls;
    return Tensor();
  });
  on_threads([&](int t) {
    for (int i = 1; i <= 200; ++i) {
      (ag::sum(w * static_cast<double>(t * 1000 + i)) + v).backward();
      seen += w.grad().defined();
    }
  });
  CHECK(calls == 800);
  CHECK(seen == 800);
  const double total = 200.0 * (1000 + 2000 + 3000) + 4 * 200 * 201 / 2;
  CHECK(w.grad().to_vector<double>() == std::vector(3, total));
  CHECK(v.grad().item() == 800);
}

TEST_CASE("what hangs on a shared leaf may be asked for and changed by every thread", "[threads]") {
  Tensor w = ag::ones({3}, ag::float64).requires_grad_();
  std::atomic<int> calls = 0, odd = 0;
  on_threads([&](int) {
    for (int i = 0; i < 100; ++i) {
      const auto id = w.register_hook([&](const Tensor&) {
        ++calls;
        return Tensor();
      });
      ag::sum(w * 2.0).backward();
      w.remove_hook(id);
      if (const Tensor g = w.grad(); g.defined())
        odd += std::fmod(g.to_vector<double>()[1], 2) != 0;
      w.zero_grad();
    }
  });
  CHECK(calls >= 400);
  CHECK(odd == 0);
  ag::sum(w).backward();
  CHECK(w.grad().to_vector<double>() == std::vector{1.0, 1.0, 1.0});
}

TEST_CASE("what walks share behind leaves is refused by name") {
  const Tensor x = ag::tensor(2.0).requires_grad_();
  Tensor h = x * x, y = ag::exp(h);
  y.register_hook([&](const Tensor&) -> Tensor {
    const ag::EnableGrad recorded;
    CHECK(ag::grad({ag::sin(h)}, {h})[0].item() == Catch::Approx(std::cos(4)));
    CHECK_THROWS_WITH(
        ag::sin(h).backward(),
        ContainsSubstring("a graph is walked by one call at a time, got one (at 'mul')"));
    return {};
  });
  y.backward();
  CHECK(x.grad().item() == Catch::Approx(4 * std::exp(4)));
}

TEST_CASE("gradients for very many leaves and results take time by their number", "[many]") {
  // Minutes, where every node is compared with every input.
  constexpr int kInputs = 150'000;
  TensorList inputs;
  std::vector<Tensor> parts;
  for (int i = 0; i < kInputs; ++i) {
    inputs.push_back(ag::tensor(1.0 * i).requires_grad_());
    parts.push_back(inputs.back() * 2.0);
  }
  Tensor total = ag::tensor(0.0);
  for (int i = 0; i < kInputs; ++i) {
    total = total + parts[i] * parts[i];
    inputs.push_back(parts[i]);
  }
  const TensorList g = ag::grad({total}, inputs);
  for (int i = 0; i < kInputs; i += 997) {
    CHECK(g[i].item() == 8.0 * i);
    CHECK(g[kInputs + i].item() == 4.0 * i);
  }
  // The same places twice.
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_(), y = x * 3.0;
  const TensorList twice = ag::grad({ag::sum(y * y)}, {y, x, y, x});
  CHECK(same_bits(twice[0], twice[2]));
  CHECK(same_bits(twice[1], twice[3]));
}

TEST_CASE("operations of very many tensors take time by their number", "[many]") {
  constexpr std::int64_t kParts = 50'000;
  const Tensor x = ag::arange(kParts, ag::float64).requires_grad_();
  TensorList parts = ag::unbind(x);
  REQUIRE(parts.size() == kParts);
  for (Tensor& p : parts) p.retain_grad();
  ag::sum(ag::stack(parts)).backward({.retain_graph = true});
  CHECK(parts[kParts - 1].grad().item() == 1);
  const Tensor y = ag::concat({ag::stack(parts), ag::concat(ag::split(x, 1))});
  CHECK(same_bits(ag::grad({ag::sum(y * y)}, {x}, {.retain_graph = true})[0], 4 * x.detach()));
  const Tensor captured = ag::checkpoint(
      [&](const Tensor& scale) {
        Tensor total = ag::tensor(0.0);
        for (const Tensor& p : parts) total = total + p * scale;
        return total;
      },
      ag::tensor(2.0).requires_grad_());
  CHECK(same_bits(ag::grad({captured}, {x})[0], ag::full({kParts}, 2, ag::float64)));
}
