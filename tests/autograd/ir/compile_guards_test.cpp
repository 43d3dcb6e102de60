#include <functional>
#include <optional>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

// What a function of compile() asks and does besides operations on tensors, and what changes
// between its calls: a replay gives what the function would, or there is an error.
namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

using F = std::function<Tensor(const Tensor&)>;

// make(): a function with a state of its own. Calls with 1, 2, 3, … must give what eager ones give.
std::size_t check_as_eager(const std::function<F()>& make, int calls = 4) {
  const F eager = make();
  auto compiled = ag::compile(make());
  for (int i = 1; i <= calls; ++i) {
    INFO("call " << i);
    const Tensor x = ag::full({3}, i);
    const Tensor expected = eager(x).detach(), got = compiled(x);
    CHECK(same_bits(expected, got));
  }
  return compiled.recordings();
}

void check_refused(F f, const std::string& text) {
  auto compiled = ag::compile(std::move(f));
  CHECK_THROWS_WITH(compiled(ag::full({3}, 1)), ContainsSubstring(text));
  CHECK_FALSE(ag::compiling());
}

std::vector<float> values(const Tensor& t) { return t.to_vector<float>(); }

}  // namespace

TEST_CASE("the kept gradient of a result inside a compiled function is that of the call") {
  for (const bool plus : {true, false})
    CHECK(check_as_eager([=]() -> F {
            return [=](const Tensor& x) {
              const Tensor a = x.detach().requires_grad_();
              Tensor h = a * 3;
              h.retain_grad();
              ag::sum(h * h).backward();
              return plus ? h.grad() + 0 : h.grad();
            };
          }) == 1);
  auto f = ag::compile([](const Tensor& x) {
    Tensor h = x.detach().requires_grad_() * 3;
    h.retain_grad();
    ag::sum(h * h).backward();
    return h.grad();
  });
  for (int i = 1; i <= 3; ++i)
    CHECK(values(f(ag::full({1}, i))) == std::vector<float>{6 * static_cast<float>(i)});
  CHECK(f.recordings() == 1);
}

TEST_CASE("an operation whose shape depends on computed elements is refused by its name") {
  check_refused(
      [](const Tensor& x) { return ag::masked_select(x, x > 0); },
      "got masked_select, which must read elements of shape (3,) that are computed in it");
  check_refused([](const Tensor& x) { return ag::one_hot((x * 2).to(ag::int64)); },
                "got one_hot, which must read elements of shape () that are computed in it");
  check_refused([](const Tensor& x) { return ag::unique(x * 2).counts; }, "got unique, which");
}

TEST_CASE("elements that a compiled function has written are not read in it") {
  const std::string text = "got the program reading elements of shape (1,) that are written in it";
  Tensor w = ag::ones({1});
  check_refused(
      [&](const Tensor& x) {
        w.copy_(w + 1);
        return x * w.item();
      },
      text);
  check_refused(
      [&](const Tensor& x) {
        ag::perform("bump", {}, {w}, [](const TensorList&, const TensorList& out) {
          Tensor t = out[0];
          t.mutable_data<float>()[0] += 1;
        });
        return w.item<float>() > 2 ? x : -x;
      },
      text);
  // Read first and written then, each call reads other elements.
  CHECK(check_as_eager([]() -> F {
          return [v = ag::ones({1})](const Tensor& x) mutable {
            const Tensor y = x * v.item();
            v.copy_(v + 1);
            return y;
          };
        }) == 4);
}

TEST_CASE("what a compiled function writes into a copy is what it reads from it") {
  CHECK(check_as_eager([]() -> F {
          return [](const Tensor& x) {
            Tensor y = ag::sum(x).clone();
            y.copy_(y * 2);
            return y + 1;
          };
        }) == 1);
  CHECK(check_as_eager([]() -> F {
          return [](const Tensor& x) {
            Tensor y = ag::expand(ag::sum(x), {3});
            y[0] = 100;
            return y + 1;
          };
        }) == 1);
  CHECK(check_as_eager([]() -> F {
          return [](const Tensor& x) {
            Tensor t = x.clone().requires_grad_();
            for (int i = 0; i < 3; ++i) {
              t.zero_grad();
              ag::sum(t * t * t).backward();
              t.copy_(t - 0.1 * t.grad());
            }
            return t.detach();
          };
        }) == 1);
}

TEST_CASE("a gradient that the program holds is not taken for the one of the call") {
  CHECK(check_as_eager([]() -> F {
          Tensor w = ag::ones({3}).requires_grad_();
          ag::sum(w * 3).backward();
          return [w, anchor = w.grad()](const Tensor& x) {
            ag::sum(w * x).backward();
            return anchor + w.grad();
          };
        }) >= 1);
  Tensor a = ag::ones({3}).requires_grad_(), b = ag::ones({3}).requires_grad_();
  const Tensor both = ag::full({3}, 5);
  a.set_grad(both), b.set_grad(both);
  auto sum = ag::compile([&](const Tensor& x) { return a.grad() + b.grad() + x; });
  const Tensor zero = ag::zeros({3});
  CHECK(values(sum(zero)) == std::vector<float>{10, 10, 10});
  b.set_grad(ag::full({3}, 100));
  CHECK(values(sum(zero)) == std::vector<float>{105, 105, 105});
  CHECK(values(sum(zero)) == std::vector<float>{105, 105, 105});
}

TEST_CASE("what checks its elements is not left out of a replay") {
  const Tensor table = ag::ones({3}), good = ag::tensor({0, 1}), bad = ag::tensor({0, 7});
  auto f = ag::compile([&](const Tensor& i, const Tensor& m, const Tensor& x) {
    (void)ag::index_select(table, 0, i);
    (void)ag::cholesky(m);
    (void)x.to(ag::int64);
    return x + 1;
  });
  const Tensor eye = ag::eye(2), one = ag::ones({1});
  f(good, eye, one), f(good, eye, one);
  CHECK_THROWS_WITH(f(bad, eye, one), ContainsSubstring("indices must be in"));
  CHECK_THROWS_WITH(f(good, -eye, one), ContainsSubstring("must be positive definite"));
  CHECK_THROWS_WITH(f(good, eye, ag::full({1}, NAN)), ContainsSubstring("int64"));
  CHECK(f.recordings() == 1);
}

TEST_CASE("numbers of the program that become tensors in a compiled function are refused") {
  int n = 0;
  check_refused([&](const Tensor& x) { return x * ag::tensor(++n).to(ag::float32); },
                "got tensor(); make the tensor outside and pass it as an argument");
  check_refused(
      [&](const Tensor& x) {
        return x * ag::tensor(std::vector<float>{1, 2, 3});
      },
      "got tensor()");
  check_refused(
      [&](const Tensor& x) {
        return x * ag::tensor({1.0f, 2.0f, 3.0f});
      },
      "got tensor()");
  const float one = 1;
  check_refused([&](const Tensor& x) { return x * ag::from_data(&one, {}); }, "got from_data");
  check_refused(
      [&](const Tensor& x) {
        Tensor z = ag::zeros({3});
        z.mutable_data<float>()[0] = static_cast<float>(++n);
        return x + z;
      },
      "got the program writing elements of shape (3,)");
  check_refused([](const Tensor& x) { return x + ag::empty({3}); },
                "got a new tensor whose elements no operation has made; make it with zeros()");
}

TEST_CASE("hooks that come and go between calls are followed") {
  Tensor w = ag::ones({3}).requires_grad_();
  auto f = ag::compile([&](const Tensor& x) {
    w.zero_grad();
    ag::sum(w * x).backward();
  });
  const Tensor x = ag::full({3}, 2);
  f(x), f(x);
  CHECK(values(w.grad()) == std::vector<float>{2, 2, 2});
  const auto id = w.register_hook([](const Tensor& g) { return 5 * g; });
  for (int i = 0; i < 2; ++i) {
    f(x);
    CHECK(values(w.grad()) == std::vector<float>{10, 10, 10});
  }
  w.remove_hook(id);
  f(x);
  CHECK(values(w.grad()) == std::vector<float>{2, 2, 2});
  CHECK(f.recordings() == 3);
  CHECK(f.stats().reason == "a module, an optimizer or a captured tensor was edited");
}

TEST_CASE("a compiled function changes no hooks or gradient flags of tensors from outside") {
  Tensor w = ag::ones({3}).requires_grad_();
  check_refused(
      [&](const Tensor& x) {
        w.register_hook([](const Tensor&) { return Tensor(); });
        return x;
      },
      "got register_hook() of a tensor of shape (3,) that is not made in the function; call it "
      "outside");
  check_refused(
      [&](const Tensor& x) {
        w.requires_grad_(false);
        return x;
      },
      "got requires_grad_() of a tensor");
  check_refused([](Tensor x) { return x.requires_grad_(); }, "got requires_grad_() of a tensor");
  CHECK(w.requires_grad());
  // Those of its own it may.
  CHECK(check_as_eager([]() -> F {
          return [](const Tensor& x) {
            Tensor a = x.detach().requires_grad_();
            a.register_hook([](const Tensor& g) { return 2 * g; });
            ag::sum(a * a).backward();
            return a.grad();
          };
        }) == 1);
  Tensor hooked = ag::ones({3}).requires_grad_();
  hooked.register_hook([](const Tensor& g) { return 2 * g; });
  auto f = ag::compile([](const Tensor& x) { ag::sum(x * x).backward(); });
  CHECK_THROWS_WITH(f(hooked), ContainsSubstring("compile: arguments that need a gradient must "
                                                 "have no hooks, got argument 0"));
}

TEST_CASE("generators are used by operations of a compiled function, and not asked") {
  const std::string text = "got a generator's numbers or state";
  ag::Generator g(3);
  check_refused([](const Tensor& x) { return x * ag::default_generator().uniform(); }, text);
  check_refused([&](const Tensor& x) { return x * g.normal(); }, text);
  check_refused([&](const Tensor& x) { return x * static_cast<double>(g.below(5)); }, text);
  check_refused(
      [&](const Tensor& x) {
        g.set_state({1, 0});
        return x;
      },
      text);
  check_refused(
      [&](const Tensor& x) {
        g = ag::Generator(1);
        return x;
      },
      text);
  check_refused([&](const Tensor& x) { return x * static_cast<double>(g.state().position); }, text);
  check_refused(
      [](const Tensor& x) {
        ag::Generator own(1);
        return x + ag::rand({3}, ag::float32, own);
      },
      "got a generator that ends with the function; make it outside");

  // One that is replaced by another is not used any more.
  std::optional<ag::Generator> replaced(ag::Generator(1));
  auto f = ag::compile([&](const Tensor& x) { return x + ag::rand({3}, ag::float32, *replaced); });
  f(ag::zeros({3})), f(ag::zeros({3}));
  CHECK(f.recordings() == 1);
  replaced.reset();
  replaced.emplace(7);
  ag::Generator twin(7);
  CHECK(values(f(ag::zeros({3}))) == values(ag::rand({3}, ag::float32, twin)));
  CHECK(f.stats().reason == "a generator or an optimizer was destroyed");
  // Set between calls, it goes on from there.
  replaced->set_state({7, 0});
  twin = ag::Generator(7);
  CHECK(values(f(ag::zeros({3}))) == values(ag::rand({3}, ag::float32, twin)));
  CHECK(f.recordings() == 2);
}

TEST_CASE("what a compiled function only asks of a tensor is watched") {
  Tensor w = ag::ones({2}).requires_grad_();
  auto flag = ag::compile([&](const Tensor& x) { return w.requires_grad() ? x + 1 : x - 1; });
  auto size = ag::compile([&](const Tensor& x) { return x * static_cast<double>(w.size(0)); });
  const Tensor x = ag::zeros({1}), one = ag::ones({1});
  CHECK(flag(x).item() == 1);
  CHECK(size(one).item() == 2);
  w.requires_grad_(false);
  CHECK(flag(x).item() == -1);
  w.set_data(ag::ones({5}));
  CHECK(size(one).item() == 5);
  w = ag::ones({7}).requires_grad_();
  CHECK(flag(x).item() == 1);
  CHECK(size(one).item() == 7);
  CHECK(size(one).item() == 7);
  CHECK(size.recordings() == 3);
  check_refused([&](const Tensor& t) { return t * static_cast<double>(w.version()); },
                "got the version() of a tensor; ask for it outside");
  check_refused([&](const Tensor& t) { return t.is(w) ? t : -t; },
                "got a comparison by is() of an argument with another tensor");
  const Tensor v = ag::ones({1});
  Tensor u = ag::zeros({1});
  auto same = ag::compile([&](const Tensor& t) { return u.is(v) ? t : -t; });
  CHECK(same(one).item() == -1);
  u = v;
  CHECK(same(one).item() == 1);
  auto two = ag::compile([](const Tensor& t, const Tensor& s) { return t.is(s) ? t : s; });
  CHECK_THROWS_WITH(two(one, v), ContainsSubstring("comparison by is()"));
}

TEST_CASE("a tensor made in a compiled function is not kept by the program") {
  const std::string text =
      "got a tensor made in the function that the program, a hook or an action "
      "keeps; return it";
  Tensor kept;
  std::vector<Tensor> list;
  const Tensor w = ag::ones({3}).requires_grad_();
  check_refused(
      [&](const Tensor& x) {
        kept = x * 2;
        return x + 1;
      },
      text);
  check_refused(
      [&](const Tensor& x) {
        kept = x * 2;
        return kept;
      },
      text);
  check_refused(
      [&](const Tensor& x) {
        list.push_back(x);
        return x + 1;
      },
      text);
  check_refused(
      [&](const Tensor& x) {
        kept = ag::zeros({3});
        return x + kept;
      },
      text);
  kept = {};
  check_refused(
      [&](const Tensor& x) {
        ag::sum(w * x).backward();
        kept = w.grad();
        return x;
      },
      text);
  kept = {};
  Tensor total = ag::zeros({3});
  check_refused(
      [&, hidden = Tensor()](const Tensor& x) mutable {
        hidden = x * 2;
        ag::perform("add", {}, {total}, [hidden](const TensorList&, const TensorList& out) {
          Tensor t = out[0];
          t.copy_(hidden);
        });
        hidden = {};
        return x;
      },
      text);
}

TEST_CASE("an error in a replay leaves gradients as the function would") {
  const Tensor table = ag::ones({4});
  // Each: gradients before, cleared or not, one walk or two before the step that fails, or a
  // gradient that is found before it and set after it.
  constexpr int kSetLate = -1;
  for (const bool clear : {false, true})
    for (const int walks : {kSetLate, 0, 1, 2}) {
      auto make = [&](Tensor& w, Tensor& state) {
        return [&, clear, walks](const Tensor& i, const Tensor& x) {
          if (clear) w.zero_grad();
          const auto loss = [&] { return ag::sum(ag::tanh(w * x) * x); };
          const Tensor late = walks == kSetLate ? ag::grad({loss()}, {w})[0] : Tensor();
          for (int k = 0; k < walks; ++k) loss().backward();
          state.copy_(state + 1);
          const Tensor picked = ag::index_select(table, 0, i);
          if (late.defined())
            w.set_grad(late);
          else
            ag::sum(w * picked).backward();
          return ag::sum(picked);
        };
      };
      Tensor a = ag::ones({1}).requires_grad_(), b = ag::ones({1}).requires_grad_();
      Tensor s = ag::zeros({1}), t = ag::zeros({1});
      auto eager = make(a, s);
      auto compiled = ag::compile(make(b, t));
      const Tensor good = ag::tensor({2}), bad = ag::tensor({9});
      for (int i = 0; i < 6; ++i) {
        INFO(clear << " " << walks << " " << i);
        const Tensor x = ag::full({1}, 0.3 * (i + 1));
        if (i % 3 == 2) {
          CHECK_THROWS_WITH(eager(bad, x), ContainsSubstring("indices must be in"));
          CHECK_THROWS_WITH(compiled(bad, x), ContainsSubstring("indices must be in"));
        } else {
          eager(good, x), compiled(good, x);
        }
        CHECK(a.grad().defined() == b.grad().defined());
        if (a.grad().defined() && b.grad().defined()) CHECK(same_bits(a.grad(), b.grad()));
        CHECK(same_bits(s, t));
      }
      CHECK(compiled.stats().replays > 2);
    }
}

TEST_CASE("checkpoint() adds gradients in a replay in the order in which it does eagerly") {
  ag::manual_seed(11);
  const Tensor w = ag::randn({8}).requires_grad_();
  for (const bool second : {false, true})
    CHECK(check_as_eager([&]() -> F {
            return [&, second](const Tensor& x) {
              const Tensor a = (x * ag::ones({3})).detach().requires_grad_();
              const Tensor v = ag::narrow(w, 0, 0, 3);
              auto block = [&](const Tensor& t) {
                return ag::tanh(t * v) + ag::exp(-t * t) * v + t / 3;
              };
              Tensor h = ag::checkpoint(block, a);
              h = ag::checkpoint(block, h + a) + a * 0.1 + v * h;
              const Tensor loss = ag::sum(h * h);
              const TensorList g =
                  ag::grad({loss}, {a, w}, {.create_graph = second, .allow_unused = false});
              if (!second) return ag::concat({g[0], g[1]});
              return ag::concat(ag::grad({ag::sum(g[0] * g[0]) + ag::sum(g[1] * g[1])}, {a, w}));
            };
          }) == 1);
}

TEST_CASE("random numbers in checkpoint() are drawn once in a replay") {
  ag::manual_seed(2);
  auto dropped = [](const Tensor& x, bool create_graph) {
    const Tensor a = x.detach().requires_grad_();
    const Tensor h = ag::checkpoint([](const Tensor& t) { return t * t * ag::rand_like(t); }, a);
    return ag::grad({ag::sum(h)}, {a}, {.create_graph = create_graph})[0].detach();
  };
  auto f = ag::compile([&](const Tensor& x) { return dropped(x, false); });
  for (int i = 0; i < 3; ++i) {
    const auto before = ag::default_generator().state();
    const Tensor eager = dropped(ag::ones({4}), false);
    ag::default_generator().set_state(before);
    CHECK(same_bits(eager, f(ag::ones({4}))));
  }
  check_refused([&](const Tensor& x) { return dropped(x, true); },
                "compile: derivatives of derivatives through checkpoint() need a function that "
                "draws no random numbers, got one that does; call it without checkpoint()");
}

TEST_CASE("a captured tensor that is an argument as well is not written") {
  Tensor w = ag::ones({3});
  auto f = ag::compile([&](const Tensor& x) {
    w.copy_(w + 1);
    return x * 1;
  });
  CHECK_THROWS_WITH(f(w), ContainsSubstring("got a write by copy_ into a captured tensor that is "
                                            "argument 0 as well; pass a clone()"));
  f(ag::ones({3})), f(ag::ones({3}));
  CHECK_THROWS_WITH(f(w), ContainsSubstring("argument 0 as well"));
}

TEST_CASE("recordings are kept up to a number, and are not made over and over in vain") {
  int runs = 0;
  auto f = ag::compile([&](const Tensor& x) {
    ++runs;
    return x + 1;
  });
  for (int round = 0; round < 4; ++round)
    for (int n = 1; n <= 12; ++n) CHECK(f(ag::ones({n})).numel() == n);
  CHECK(runs == 12);
  CHECK(f.stats().recordings == 12);
  CHECK(f.stats().replays == 36);
  CHECK(f.stats().kept == 12);
  CHECK(f.stats().reason == "other shapes of arguments");

  auto small = ag::compile([](const Tensor& x) { return x + 1; }, {.max_recordings = 2});
  for (int n = 1; n <= 300; ++n) CHECK(small(ag::ones({n})).numel() == n);
  const ag::CompileStats stats = small.stats();
  CHECK(stats.kept == 2);
  CHECK(stats.recordings == 20);  // 16, and each 64th call after them
  CHECK(stats.recordings + stats.replays + stats.eager == 300);
  CHECK_THROWS_WITH(ag::compile([](const Tensor& x) { return x; }, {.max_recordings = 0}),
                    ContainsSubstring("max_recordings must be at least 1, got 0"));
}
