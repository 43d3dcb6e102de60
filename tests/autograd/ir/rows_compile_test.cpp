// Gradients that are rows in functions that compile() records.
#include <functional>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"
#include "tests/lookup.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

Tensor table(std::int64_t height = 9) {
  ag::manual_seed(4);
  return ag::randn({height, 3}).requires_grad_();
}

Tensor loss_of(const Tensor& x) { return ag::sum(ag::sin(x) * x); }

// Places with other repetitions at each call.
Tensor places(int call) {
  return ag::tensor<std::int64_t>({call % 9, 3, call * call % 9, 8, call / 2, 3});
}

// A function of places that uses a table and leaves a gradient there. Called eagerly and replayed
// with tables of their own, it leaves the same bits, and rows where it leaves rows.
using Step = std::function<Tensor(Tensor& table, const Tensor& places)>;

struct Outcome {
  bool rows;  // in the end
  std::size_t recordings;
};

Outcome check_as_eager(const Step& step, int calls = 6,
                       const std::function<void(Tensor&, int)>& between = {}) {
  Tensor a = table(), b = table();
  auto compiled = ag::compile([&](const Tensor& p) { return step(b, p); });
  for (int call = 0; call < calls; ++call) {
    INFO("call " << call);
    if (between) between(a, call), between(b, call);
    const Tensor expected = step(a, places(call)).detach(), got = compiled(places(call));
    CHECK(same_bits(expected, got));
    CHECK(ag::is_rows(expected) == ag::is_rows(got));
    REQUIRE(a.grad().defined() == b.grad().defined());
    if (!a.grad().defined()) continue;
    CHECK(ag::is_rows(a.grad()) == ag::is_rows(b.grad()));
    if (ag::is_rows(a.grad()) && ag::is_rows(b.grad()))
      CHECK(same_bits(ag::row_indices(a.grad()), ag::row_indices(b.grad())));
    CHECK(same_bits(a.grad(), b.grad()));
  }
  return {a.grad().defined() && ag::is_rows(a.grad()), compiled.recordings()};
}

Tensor collected(Tensor& t, const Tensor& loss, bool clear = true) {
  if (clear) t.zero_grad();
  loss.backward();
  return loss.detach();
}

}  // namespace

TEST_CASE("replays leave the rows that eager calls leave") {
  const auto one = check_as_eager(
      [](Tensor& t, const Tensor& p) { return collected(t, loss_of(lookup(t, p))); });
  CHECK(one.rows);
  CHECK(one.recordings == 1);
  const auto several = check_as_eager([](Tensor& t, const Tensor& p) {
    return collected(t, loss_of(lookup(t, p)) + loss_of(lookup(t, ag::flip(p, {0}))) +
                            loss_of(lookup(t, p) * 0.3));
  });
  CHECK(several.rows);
  CHECK(several.recordings == 1);
  const auto mixed = check_as_eager([](Tensor& t, const Tensor& p) {
    return collected(t, ag::sum(ag::exp(t)) * -0.0 + loss_of(lookup(t, p)) + ag::sum(t * t));
  });
  CHECK_FALSE(mixed.rows);
  CHECK(mixed.recordings == 1);
  const auto inner = check_as_eager(
      [](Tensor& t, const Tensor& p) { return collected(t, loss_of(lookup(ag::tanh(t), p))); });
  CHECK_FALSE(inner.rows);
}

TEST_CASE("replays add rows to what is there") {
  const Step adds = [](Tensor& t, const Tensor& p) {
    return collected(t, loss_of(lookup(t, p)), false);
  };
  const auto out = check_as_eager(adds);
  CHECK(out.rows);
  CHECK(out.recordings == 2);  // without a gradient, and with one
  // What is there becomes dense, and rows again.
  const auto changing = check_as_eager(adds, 8, [](Tensor& t, int call) {
    if (call == 3) t.set_grad(ag::ones({9, 3}));
    if (call == 5) t.set_grad(ag::from_rows({9, 3}, ag::tensor({7}), ag::ones({1, 3})));
    if (call == 6) {
      Tensor g = t.grad();
      g.mutable_data<float>()[0] = 4;
    }
  });
  CHECK_FALSE(changing.rows);
  const auto dense_first = check_as_eager(adds, 6, [](Tensor& t, int call) {
    if (call == 1) t.set_grad(ag::ones({9, 3}));
    if (call == 3) t.set_grad(ag::from_rows({9, 3}, ag::tensor({7}), ag::ones({1, 3})));
  });
  CHECK(dense_first.rows);
}

TEST_CASE("rows are results of a replay, and what a caller holds stays") {
  const auto out = check_as_eager([](Tensor& t, const Tensor& p) {
    return ag::grad({loss_of(lookup(t, p)) + loss_of(lookup(t, p) * 2)}, {t})[0];
  });
  CHECK(out.recordings == 1);
  Tensor t = table();
  auto f = ag::compile([&](const Tensor& p) {
    t.zero_grad();
    loss_of(lookup(t, p)).backward();
    return t.grad();
  });
  std::vector<Tensor> results, copies;
  for (int call = 0; call < 5; ++call) {
    results.push_back(f(places(call)));
    copies.push_back(results.back() + 0);
    CHECK(ag::is_rows(results.back()));
  }
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(same_bits(results[i], copies[i]));
  CHECK(f.recordings() == 1);
}

TEST_CASE("operations, copies and hooks on rows are replayed") {
  check_as_eager([](Tensor& t, const Tensor& p) {
    return ag::grad({loss_of(lookup(t, p))}, {t})[0] * 2 + t.detach();
  });
  check_as_eager(
      [](Tensor& t, const Tensor& p) { return ag::grad({loss_of(lookup(t, p))}, {t})[0].clone(); });
  check_as_eager([](Tensor& t, const Tensor& p) {
    const Tensor g = ag::grad({loss_of(lookup(t, p))}, {t})[0];
    return ag::reshape(g.detach(), {27}) - 1;
  });
  check_as_eager([](Tensor& t, const Tensor& p) {
    return ag::grad({loss_of(lookup(t, p))}, {t})[0].to(ag::float64);
  });
  check_as_eager([](Tensor& t, const Tensor& p) {
    Tensor h = t * 1.5;
    h.register_hook([](const Tensor& g) { return ag::is_rows(g) ? g * 0.5 : g; });
    return collected(t, loss_of(lookup(h, p)));
  });
  check_as_eager([](Tensor& t, const Tensor& p) {
    const auto block = [&](const Tensor& x) { return ag::sin(lookup(x, p)); };
    return collected(t, loss_of(ag::checkpoint(block, t)) + loss_of(lookup(t, p)));
  });
  check_as_eager([](Tensor& t, const Tensor& p) {
    collected(t, loss_of(lookup(t, p)));
    ag::perform("double", {}, {t.grad()}, [](const TensorList&, const TensorList& now) {
      Tensor g = now[0];
      const ag::detail::RowSpan rows = ag::detail::rows_to_change(g);
      for (std::int64_t i = 0; i < rows.count * rows.width; ++i)
        static_cast<float*>(rows.values)[i] *= 2;
      ag::detail::rows_changed(g);
    });
    return loss_of(t.grad());
  });
  check_as_eager([](Tensor& t, const Tensor& p) {
    collected(t, loss_of(lookup(t, p)));
    ag::perform("write", {}, {t.grad()}, [](const TensorList&, const TensorList& now) {
      Tensor g = now[0];
      g.mutable_data<float>()[1] = 2;
    });
    return collected(t, loss_of(lookup(t, p)), false);
  });
}

TEST_CASE("rows as an argument are recorded apart from dense ones") {
  Tensor rows = ag::from_rows({9, 3}, ag::tensor({7}), ag::ones({1, 3}));
  int runs = 0;
  auto f = ag::compile([&](const Tensor& g) {
    ++runs;
    return ag::is_rows(g) ? g * 2 : g * 3;
  });
  for (int i = 0; i < 3; ++i) {
    CHECK(same_bits(f(rows), rows * 2));
    CHECK(same_bits(f(rows + 0), rows * 3));
  }
  CHECK(runs == 2);
}

TEST_CASE("a captured tensor that is rows no more is recorded anew") {
  Tensor rows = ag::from_rows({9, 3}, ag::tensor({7}), ag::ones({1, 3}));
  auto f = ag::compile([&](const Tensor& x) { return ag::is_rows(rows) ? rows * x : rows - x; });
  const Tensor x = ag::full({}, 2);
  CHECK(same_bits(f(x), rows * x));
  CHECK(same_bits(f(x), rows * x));
  CHECK(f.recordings() == 1);
  rows.mutable_data<float>()[0] = 4;
  CHECK(same_bits(f(x), rows - x));
  CHECK(f.stats().reason == "a captured tensor is no longer rows");
}

TEST_CASE("the memory of a replay does not depend on the height of the table") {
  const auto bytes = [](std::int64_t height) {
    Tensor t = table(height);
    auto f = ag::compile([&](const Tensor& p) { return collected(t, loss_of(lookup(t, p))); });
    f(places(0));
    const auto before = ag::memory_stats().in_use;
    ag::reset_peak_memory();
    for (int call = 0; call < 4; ++call) f(places(call));
    CHECK(ag::is_rows(t.grad()));
    return std::pair(f.stats().bytes, ag::memory_stats().peak - before);
  };
  const auto small = bytes(9), large = bytes(200'000);
  CHECK(small == large);
}

TEST_CASE("rows that replays add again and again take no more memory") {
  Tensor t = table();
  auto f = ag::compile([&](const Tensor& p) { return collected(t, loss_of(lookup(t, p)), false); });
  for (int call = 0; call < 20; ++call) f(places(call % 5));
  const auto before = ag::memory_stats().in_use;
  for (int call = 0; call < 500; ++call) f(places(call % 5));
  CHECK(ag::memory_stats().in_use <= before + 1000);
  CHECK(f.recordings() == 2);
}

TEST_CASE("a recording refuses what depends on the number of rows") {
  Tensor t = table();
  for (const auto& look : {ag::row_indices, ag::row_values}) {
    auto f = ag::compile(
        [&](const Tensor& p) { return look(ag::grad({loss_of(lookup(t, p))}, {t})[0]); });
    CHECK_THROWS_WITH(f(places(0)), ContainsSubstring("got the rows of a tensor, whose number "
                                                      "depends on elements; look at them outside"));
    CHECK_FALSE(ag::compiling());
  }
}

TEST_CASE("the positions of rows are checked in a replay") {
  Tensor t = table();
  auto f = ag::compile([&](const Tensor& p) {
    return ag::from_rows({9, 3}, p, ag::ones({6, 3}) * 2.0) + t.detach();
  });
  f(places(1));
  CHECK_THROWS_WITH(f(ag::full({6}, 9, ag::int64)),
                    ContainsSubstring("from_rows: indices must be in [0, 8]"));
  CHECK(f.recordings() == 1);
}
