#include <functional>

#include "autograd/autograd.hpp"
#include "autograd/catch2.hpp"
#include "autograd/loops.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

using Body = std::function<std::pair<Tensor, Tensor>(const Tensor&, const Tensor&)>;
using Pair = std::pair<Tensor, Tensor>;

// The loop that `scan` stands for.
Pair unrolled(const Body& f, Tensor carry, const Tensor& xs, const ag::ScanOptions& options) {
  const std::int64_t n = xs.size(0);
  TensorList ys(static_cast<std::size_t>(n), Tensor());
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t i = options.reverse ? n - 1 - k : k;
    std::tie(carry, ys[static_cast<std::size_t>(i)]) = f(carry, ag::select(xs, 0, i));
  }
  return {carry, ag::stack(ys)};
}

struct Cell {
  Tensor w, u;
  Pair operator()(const Tensor& h, const Tensor& x) const {
    const Tensor next = ag::tanh(ag::matmul(x, w) + ag::matmul(h, u));
    return {next, ag::exp(next) * x};
  }
};

struct Setting {
  ag::DType dtype;
  ag::ScanOptions options;
};
const Setting settings[] = {{ag::float32, {}},
                            {ag::float64, {.reverse = true}},
                            {ag::float32, {.save_every = 3}},
                            {ag::float64, {.reverse = true, .save_every = 4}},
                            {ag::float64, {.save_every = 100}}};

// What a scan and its loop make of one cell: carry, ys and the gradients of all that is used.
TensorList derivatives(const Pair& result, const TensorList& of) {
  const Tensor loss = ag::sum(ag::square(result.first)) + ag::sum(ag::sin(result.second));
  TensorList all{result.first.detach(), result.second.detach()};
  for (const Tensor& t : ag::grad({loss}, of)) all.push_back(t);
  return all;
}

}  // namespace

TEST_CASE("a scan is the loop unrolled, with its gradients, and so is its replay") {
  for (const auto& [dtype, options] : settings) {
    ag::manual_seed(3);
    const Cell cell{(ag::randn({4, 4}, dtype) * 0.5).requires_grad_(),
                    (ag::randn({4, 4}, dtype) * 0.5).requires_grad_()};
    const Tensor h = ag::randn({2, 4}, dtype).requires_grad_();
    const Tensor xs = ag::randn({7, 2, 4}, dtype).requires_grad_();
    const auto scanned = [&, options = options](const Tensor& init, const Tensor& x) {
      return derivatives(ag::scan(cell, init, x, options), {init, x, cell.w, cell.u});
    };
    const TensorList loop = derivatives(unrolled(cell, h, xs, options), {h, xs, cell.w, cell.u});
    const TensorList eager = scanned(h, xs);
    auto compiled = ag::compile(scanned);
    for (int i = 0; i < 3; ++i) {
      const TensorList replayed = compiled(h, xs);
      for (std::size_t k = 0; k < loop.size(); ++k) {
        INFO(i << " " << k << " save_every " << options.save_every);
        CHECK(same_bits(replayed[k], eager[k]));
        // The gradients of w and u are sums over steps, whose order a walk through all of them
        // takes from the graph.
        if (k < 4)
          CHECK(same_bits(eager[k], loop[k]));
        else
          CHECK(ag::allclose(eager[k], loop[k], 1e-5));
      }
    }
    CHECK(compiled.recordings() == 1);
  }
}

TEST_CASE("derivatives of a scan are exact to the third order") {
  ag::manual_seed(1);
  const TensorList in{ag::randn({2}, ag::float64), ag::randn({5, 2}, ag::float64),
                      ag::randn({2, 2}, ag::float64)};
  for (const std::int64_t every : {1, 2}) {
    const auto f = [&](const Tensor& h, const Tensor& xs, const Tensor& w) {
      const auto [last, ys] = ag::scan(
          [w](const Tensor& c, const Tensor& x) {
            const Tensor next = ag::sin(ag::matmul(c, w) + x * c);
            return Pair(next, c * next);
          },
          h, xs, {.save_every = every});
      return TensorList{ag::exp(last), ys};
    };
    CHECK_THAT(f, ag::PassesGradGradCheck(in));
    const auto derivative = [&](const Tensor& h, const Tensor& xs, const Tensor& w) {
      const Tensor x = xs.requires_grad() ? xs : xs.detach().requires_grad_();
      const TensorList out = f(h, x, w);
      return ag::grad({ag::sum(out[0]) + ag::sum(out[1])}, {x}, {.create_graph = true})[0];
    };
    CHECK_THAT(derivative, ag::PassesGradGradCheck(in));
  }
}

TEST_CASE("carry, entries and results of a scan are structures") {
  struct State {
    Tensor a, b;
  };
  const Tensor n = ag::arange(5);
  const auto fibonacci = [](const State& s, const std::pair<Tensor, Tensor>& x) {
    return std::pair(State{s.b, s.a + s.b}, std::array<Tensor, 2>{s.a, x.first * x.second});
  };
  const auto [state, ys] = ag::scan(fibonacci, State{ag::tensor(0), ag::tensor(1)}, Pair(n, n));
  CHECK(ys[0].to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 1, 2, 3});
  CHECK(ys[1].to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 4, 9, 16});
  CHECK(state.a.item<std::int64_t>() == 5);
  CHECK(state.b.item<std::int64_t>() == 8);
  // Without entries, without results, and of a list.
  const TensorList list = ag::scan(
      [](const TensorList& c) {
        return TensorList{c[1], c[0] * 2};
      },
      TensorList{ag::tensor(1.0), ag::tensor(3.0)}, {.length = 3});
  CHECK(list[0].item() == 6);
  CHECK(list[1].item() == 2 * 2);
}

TEST_CASE("what a loop or branch returns from outside gets its gradient") {
  const Tensor w = ag::full({2}, 3.0).requires_grad_(), h0 = ag::ones({2}).requires_grad_();
  const auto of_w = [&](const Tensor& y) {
    return ag::sum(ag::grad({ag::sum(y)}, {w}, {.allow_unused = true})[0]).item();
  };
  CHECK(of_w(ag::scan([&](const Tensor&) { return w; }, h0, {.length = 3})) == 2);
  CHECK(
      of_w(ag::scan([&](const Tensor& h) { return Pair(h * 2.0, w); }, h0, {.length = 3}).second) ==
      6);
  CHECK(
      of_w(ag::scan([&](const Tensor& h) { return Pair(w, h * 2.0); }, h0, {.length = 3}).second) ==
      8);
  const auto few = [](const TensorList& l) { return l[1] < 3; };
  const auto body = [&](const TensorList& l) { return TensorList{w, l[1] + 1}; };
  CHECK(of_w(ag::while_loop(few, body, TensorList{h0, ag::zeros({}, ag::int64)},
                            {.max_steps = 5})[0]) == 2);
  auto branch = ag::compile([&](const Tensor& x) {
    const Tensor y = ag::cond(
        ag::sum(x) > 0, [&](const Tensor&) { return w; }, [](const Tensor& p) { return p * 2.0; },
        x);
    return ag::grad({ag::sum(y)}, {w})[0];
  });
  for (int i = 0; i < 3; ++i) CHECK(ag::sum(branch(ag::ones({2}))).item() == 2);
}

TEST_CASE("a scan without steps returns what it began with, and no results") {
  const Tensor h = ag::randn({3}).requires_grad_();
  const auto [last, ys] = ag::scan(
      [](const Tensor& c, const Tensor& x) { return Pair(c * x, c + x); }, h, ag::zeros({0, 3}));
  CHECK(same_bits(last, h));
  CHECK(ys.shape() == ag::Shape{0, 3});
  ag::sum(last * last).backward();
  CHECK(same_bits(h.grad(), 2 * h.detach()));
}

TEST_CASE("random tensors are new in each step of a scan, and the same in its gradient") {
  Tensor w = ag::tensor({1.0, 2.0}).requires_grad_();
  ag::Generator own(4);
  const auto noisy = [&](const Tensor& c) {
    const Tensor mask = ag::bernoulli({2}, 0.5, ag::float64);
    const Tensor next = c * w * mask + ag::randn({2}, ag::float64, own);
    return Pair(next, next);
  };
  for (const std::int64_t every : {1, 2}) {
    const auto begin = [&] {
      ag::manual_seed(9);
      own = ag::Generator(4);
      w.zero_grad();
    };
    begin();
    Tensor c = ag::ones({2}, ag::float64);
    TensorList ys;
    for (int i = 0; i < 5; ++i) {
      c = noisy(c).first;
      ys.push_back(c);
    }
    ag::sum(ag::square(ag::stack(ys))).backward();
    const Tensor expected = w.grad();
    const ag::Generator::State after = own.state();
    begin();
    const auto step = [&] {
      w.zero_grad();
      const auto [last, all] =
          ag::scan(noisy, ag::ones({2}, ag::float64), {.length = 5, .save_every = every});
      ag::sum(ag::square(all)).backward();
      return all;
    };
    const Tensor first = step();
    CHECK(same_bits(first.detach(), ag::stack(ys).detach()));
    CHECK(ag::allclose(w.grad(), expected, 1e-12));
    CHECK(own.state() == after);
    const Tensor second = step();
    begin();
    auto compiled = ag::compile([&] { return step().detach(); });
    CHECK(same_bits(compiled(), first.detach()));
    CHECK(same_bits(compiled(), second.detach()));
    CHECK(compiled.recordings() == 1);
    const auto f = [&](const Tensor& start) {
      begin();
      return ag::scan(noisy, start, {.length = 5, .save_every = every}).second;
    };
    CHECK_THAT(f, ag::PassesGradGradCheck({ag::tensor({0.3, 0.4})}));
  }
}

TEST_CASE("a scan in a scan, and a scan that takes a gradient, are differentiated") {
  const TensorList in{ag::tensor({0.3, -0.4}), ag::tensor({0.5, 0.2})};
  const auto nested = [](const Tensor& h, const Tensor& w) {
    const auto outer = [w](const Tensor& c) {
      const Tensor scale = ag::cos(c);
      return ag::scan([w, scale](const Tensor& d) { return ag::sin(d * w) + scale; }, c,
                      {.length = 3});
    };
    return ag::scan(outer, h, {.length = 2});
  };
  CHECK_THAT(nested, ag::PassesGradGradCheck(in));
  // Gradient descent, differentiated by where it began and by its target.
  const auto descent = [](const Tensor& start, const Tensor& target) {
    return ag::scan(
        [target](const Tensor& p) {
          const ag::EnableGrad on;
          const Tensor q = p.requires_grad() ? p : p.detach().requires_grad_();
          const Tensor loss = ag::sum(ag::exp(q - target) + ag::square(q));
          return q - 0.1 * ag::grad({loss}, {q}, {.create_graph = true})[0];
        },
        start, {.length = 4});
  };
  CHECK_THAT(descent, ag::PassesGradGradCheck(in));
}

TEST_CASE("what a scan captured may be changed for its next call, but not before its backward") {
  Tensor w = ag::tensor({2.0}).requires_grad_();
  const auto power = [&] {
    return ag::scan([&](const Tensor& c) { return c * w; }, ag::ones({1}, ag::float64),
                    {.length = 3});
  };
  auto compiled = ag::compile([&] {
    w.zero_grad();
    const Tensor y = power();
    y.backward();
    return y.detach();
  });
  CHECK(compiled().item() == 8);
  CHECK(compiled().item() == 8);
  CHECK(w.grad().item() == 12);
  Tensor(w).copy_(ag::tensor({3.0}));
  CHECK(compiled().item() == 27);
  CHECK(w.grad().item() == 27);
  CHECK(compiled.recordings() == 1);

  const Tensor y = power();
  Tensor(w).copy_(ag::tensor({1.0}));
  CHECK_THROWS_WITH(y.backward(), ContainsSubstring("must not change before the walk"));
}

TEST_CASE("the body of a scan may refer to what ends before its backward") {
  const Tensor w = ag::tensor({2.0, 3.0}).requires_grad_(), h = ag::tensor({1.0, 1.0});
  const auto scanned = [&] {
    const Tensor local = ag::exp(w);
    return ag::scan([&](const Tensor& c) { return c * local; }, h, {.length = 3});
  };
  const Tensor gradient = ag::grad({ag::sum(scanned())}, {w})[0];
  CHECK(ag::allclose(gradient, 3 * ag::exp(3 * w.detach()), 1e-12));
}

TEST_CASE("anomaly mode finds the operation in the body of a scan") {
  const ag::AnomalyMode on;
  const Tensor h = ag::tensor({1.0, 2.0}).requires_grad_();
  const auto f = [](const Tensor& c, const Tensor& x) { return Pair(c * x, c + x); };
  const auto [last, ys] = ag::scan(f, h, ag::ones({3, 2}, ag::float64), {.reverse = true});
  ag::sum(last * ag::sum(ys, 0)).backward();
  CHECK(h.grad().to_vector<double>() == std::vector<double>{9, 15});
  CHECK_THROWS_WITH(ag::scan([](const Tensor& c) { return ag::log(c - 2); }, h, {.length = 2}),
                    ContainsSubstring("log"));
}

TEST_CASE("a scan says what it refuses") {
  const Tensor h = ag::zeros({2}), xs = ag::zeros({3, 2});
  const Tensor outside = ag::zeros({2});
  const auto add = [](const Tensor& c, const Tensor& x) { return c + x; };
  const auto message = [](const auto& call) -> std::string {
    try {
      (void)call();
    } catch (const ag::Error& e) {
      return e.what();
    }
    return "";
  };
  const auto with = [&](const auto& f) { return message([&] { return ag::scan(f, h, xs); }); };
  const std::pair<std::string, std::string> cases[] = {
      {with([](const Tensor& c, const Tensor&) { return ag::sum(c); }),
       "scan: the carry must keep its shapes and dtypes, got () float32 for tensor 0 of it, which "
       "was (2,) float32"},
      {with([](const Tensor& c, const Tensor& x) { return x[0].item() > 0 ? c : c + x; }),
       "scan: a replay repeats operations"},
      {with([](const Tensor& c, const Tensor& x) { return x.data<float>()[0] > 0 ? c : c + x; }),
       "scan: the function must not read elements of what it is given"},
      {with([&](const Tensor& c, const Tensor& x) {
         Tensor(outside).copy_(x);
         return c;
       }),
       "scan: the function must not write into tensors from outside, got a write by copy_"},
      {with([](const Tensor&, const Tensor&) { return Tensor(); }), "scan: "},
      {message([&] { return ag::scan(add, h, ag::zeros({})); }), "scan: xs must have an axis"},
      {message([&] {
         return ag::scan([](const Tensor& c, const Pair& x) { return c + x.first; }, h,
                         Pair(xs, ag::zeros({4, 2})));
       }),
       "scan: xs must have one number of steps, got 3 and 4"},
      {message([&] { return ag::scan(add, h, xs, {.length = 4}); }),
       "scan: length must be that of xs, got 4 for 3 entries"},
      {message([&] { return ag::scan([](const Tensor& c) { return c; }, h, ag::ScanOptions{}); }),
       "scan: without xs the number of steps must be given, got none; pass {.length = n}"},
      {message([&] { return ag::scan(add, h, xs, {.save_every = 0}); }),
       "scan: save_every must be at least 1, got 0"},
      {message([&] { return ag::scan(add, Tensor(), xs); }), "scan: "},
  };
  for (const auto& [got, expected] : cases) {
    INFO(expected);
    CHECK(got.substr(0, expected.size()) == expected);
  }
}

TEST_CASE("what a body computes of captured tensors alone is computed once, unless it is written") {
  const Tensor w = ag::tensor({1.0, 2.0});
  const auto f = [&](const Tensor& c) {
    Tensor copy = ag::exp(w).clone();
    const Tensor before = copy * 3 + ag::cumsum(w, 0);
    copy.copy_(c);
    return before + copy * copy;
  };
  Tensor c = w;
  for (int i = 0; i < 3; ++i) c = f(c);
  CHECK(same_bits(ag::scan(f, w, {.length = 3}), c));
}
