// Gradients that are rows: the same bits as dense ones, and no more work than their rows.
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "autograd/autograd.hpp"
#include "autograd/tape/shared_rows.hpp"
#include "tests/catch.hpp"
#include "tests/lookup.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

const Tensor kPlaces = ag::tensor({3, 0, 3, 6, 3, 0}), kOthers = ag::tensor({{6, 1}, {3, 5}});

Tensor table(ag::DType dtype = ag::float32, std::int64_t height = 7, std::int64_t width = 5) {
  ag::manual_seed(3);
  return ag::randn({height, width}, dtype).requires_grad_();
}

Tensor loss_of(const Tensor& x) { return ag::sum(ag::sin(x) * x); }

// A function of a table by lookups in the given form.
using Use = std::function<Tensor(const Tensor& table, bool sparse)>;

Tensor gradient(const Use& use, bool sparse, const Tensor& t) {
  return ag::grad({use(t, sparse)}, {t})[0];
}

// Rows give what the dense form gives. The result is rows where `stays`.
void check_like_dense(const Use& use, bool stays, const Tensor& t = table()) {
  const Tensor rows = gradient(use, true, t), dense = gradient(use, false, t);
  CHECK(ag::is_rows(rows) == stays);
  CHECK_FALSE(ag::is_rows(dense));
  CHECK(same_bits(rows, dense));
  CHECK(ag::is_rows(rows) == stays);  // who reads the elements does not end it
}

std::vector<std::int64_t> places_of(const Tensor& rows) {
  return ag::row_indices(rows).to_vector<std::int64_t>();
}

}  // namespace

TEST_CASE("the gradient of a lookup is rows, sorted, each once, and its elements are dense") {
  for (const auto dtype : {ag::float32, ag::float64}) {
    const Tensor t = table(dtype);
    const Use use = [](const Tensor& x, bool sparse) {
      return loss_of(lookup(x, kPlaces, sparse));
    };
    check_like_dense(use, true, t);
    const Tensor rows = gradient(use, true, t), dense = gradient(use, false, t);
    CHECK(places_of(rows) == std::vector<std::int64_t>{0, 3, 6});
    CHECK(same_bits(ag::row_values(rows), ag::index_select(dense, 0, ag::row_indices(rows))));
    CHECK(rows.shape() == t.shape());
    CHECK(ag::to_string(rows) == ag::to_string(dense));
  }
}

TEST_CASE("tables of any shape have rows: one axis, several, none of the rows, no row at all") {
  for (const ag::Shape& shape : {ag::Shape{7}, ag::Shape{7, 2, 3}, ag::Shape{7, 0}}) {
    Tensor t = ag::randn(shape).requires_grad_();
    check_like_dense(
        [](const Tensor& x, bool sparse) { return loss_of(lookup(x, kPlaces, sparse)); }, true, t);
  }
  for (const std::int64_t height : {0, 4}) {
    Tensor t = table(ag::float32, height);
    const Tensor none = ag::zeros({0}, ag::int64);
    const Use use = [&](const Tensor& x, bool sparse) { return loss_of(lookup(x, none, sparse)); };
    check_like_dense(use, true, t);
    CHECK(places_of(gradient(use, true, t)).empty());
  }
}

TEST_CASE("rows add up as rows, to the bits of adding dense gradients") {
  // Several uses, also of one that has several rows for a place.
  check_like_dense(
      [](const Tensor& t, bool sparse) {
        return loss_of(lookup(t, kPlaces, sparse)) + loss_of(lookup(t, kOthers, sparse)) +
               loss_of(lookup(t, kPlaces, sparse) * 0.3);
      },
      true);
  // A recurrent net: many small ones.
  check_like_dense(
      [](const Tensor& t, bool sparse) {
        Tensor h = ag::zeros({2, 5});
        for (std::int64_t i = 0; i < 50; ++i)
          h = ag::tanh(h + lookup(t, ag::tensor({i * 5 % 7, i * i % 7}), sparse));
        return loss_of(h);
      },
      true);
  // Through an operation that the elements of the table see, and one that passes rows on.
  check_like_dense([](const Tensor& t,
                      bool sparse) { return loss_of(lookup(ag::tanh(t) * 2, kPlaces, sparse)); },
                   false);
  check_like_dense(
      [](const Tensor& t, bool sparse) {
        const Tensor wide = ag::reshape(t, {7, 5, 1});
        return loss_of(lookup(wide, kPlaces, sparse)) + loss_of(lookup(t, kOthers, sparse));
      },
      true);
  check_like_dense(
      [](const Tensor& t, bool sparse) {
        return loss_of(lookup(ag::reshape(t, {5, 7}), ag::tensor({4, 1}), sparse));
      },
      false);
}

TEST_CASE("rows and a dense gradient are a dense one, whichever comes first") {
  const Tensor x = ag::randn({4, 5});
  const auto dense = [&](const Tensor& t) { return loss_of(ag::matmul(x, ag::transpose(t))); };
  check_like_dense(
      [&](const Tensor& t, bool sparse) { return loss_of(lookup(t, kPlaces, sparse)) + dense(t); },
      false);
  check_like_dense(
      [&](const Tensor& t, bool sparse) {
        return dense(t) + loss_of(lookup(t, kPlaces, sparse)) + loss_of(lookup(t, kOthers, sparse));
      },
      false);
  // An elementwise operation that adds to the rows in place.
  check_like_dense(
      [&](const Tensor& t, bool sparse) {
        return ag::sum(ag::exp(t)) + loss_of(lookup(t, kPlaces, sparse)) + ag::sum(t * t * t);
      },
      false);
  for (const bool first : {false, true})
    check_like_dense(
        [&](const Tensor& t, bool sparse) {
          const Tensor a = loss_of(lookup(t, kPlaces, sparse)), b = ag::sum(ag::exp(t));
          return first ? a + b : b + a;
        },
        false);
  // One that does so in another shape of as many elements.
  check_like_dense(
      [&](const Tensor& t, bool sparse) {
        const Tensor row = ag::reshape(t, {35});
        return loss_of(lookup(row, kPlaces, sparse)) + ag::sum(row * ag::ones({1, 35}));
      },
      false);
}

TEST_CASE("backward() collects rows, over several calls and in tensors that others hold") {
  for (const bool held : {false, true}) {
    Tensor a = table(), b = table();
    Tensor seen;
    for (int call = 0; call < 5; ++call) {
      for (Tensor* t : {&a, &b}) {
        const Tensor x = lookup(*t, kPlaces, t == &a) * (0.3 + call);
        (loss_of(x) + loss_of(lookup(*t, kOthers, t == &a))).backward();
      }
      CHECK(ag::is_rows(a.grad()));
      CHECK(same_bits(a.grad(), b.grad()));
      if (held && call == 2) seen = a.grad();
    }
    if (!held) continue;
    CHECK(places_of(seen) == std::vector<std::int64_t>{0, 1, 3, 5, 6});
    CHECK_FALSE(same_bits(seen, a.grad()));
  }
}

TEST_CASE("rows that come again and again take no more memory than a few times as many") {
  Tensor t = table(ag::float32, 1000, 64);
  const auto once = [&] { loss_of(lookup(t, ag::tensor({1, 900, 3, 3}))).backward(); };
  for (int i = 0; i < 10; ++i) once();
  const auto before = ag::memory_stats().in_use;
  for (int i = 0; i < 1000; ++i) once();
  CHECK(ag::memory_stats().in_use <= before + 10 * 64 * 4);
  CHECK(places_of(t.grad()) == std::vector<std::int64_t>{1, 3, 900});
}

TEST_CASE("a backward pass through a lookup does not depend on the height of the table") {
  const auto peak = [](std::int64_t height) {
    Tensor t = ag::ones({height, 8}).requires_grad_();
    const auto before = ag::memory_stats().in_use;
    ag::reset_peak_memory();
    for (int i = 0; i < 3; ++i)
      (loss_of(lookup(t, kPlaces)) + loss_of(lookup(t, kOthers))).backward();
    CHECK(ag::is_rows(t.grad()));
    return ag::memory_stats().peak - before;
  };
  const auto small = peak(7);
  CHECK(peak(100'000) == small);
}

TEST_CASE("derivatives of derivatives through a lookup are exact") {
  const auto f = [](const TensorList& in) {
    const Tensor x = lookup(in[0], kPlaces);
    return ag::sum(x * x * ag::exp(lookup(in[0] * 0.5, ag::tensor({1, 3, 0, 0, 6, 2}))));
  };
  const TensorList in{table(ag::float64).detach()};
  const auto first = ag::gradcheck(f, in), second = ag::gradgradcheck(f, in);
  INFO(first.report() << second.report());
  CHECK(static_cast<bool>(first));
  CHECK(static_cast<bool>(second));
  // The recorded gradient is dense and has the same bits.
  const Tensor t = table();
  const Tensor plain = ag::grad({loss_of(lookup(t, kPlaces))}, {t})[0];
  const Tensor recorded = ag::grad({loss_of(lookup(t, kPlaces))}, {t}, {.create_graph = true})[0];
  CHECK(recorded.requires_grad());
  CHECK_FALSE(ag::is_rows(recorded));
  CHECK(same_bits(plain, recorded));
}

TEST_CASE("hooks see rows, and what they make of them replaces the gradient") {
  const Use plain = [](const Tensor& t, bool sparse) {
    return loss_of(lookup(t, kPlaces, sparse));
  };
  struct Case {
    std::function<Tensor(const Tensor&)> hook;
    bool stays;
  };
  const std::vector<Case> cases{{[](const Tensor&) { return Tensor(); }, true},
                                {[](const Tensor& g) { return g * 0.5; }, false},
                                {[](const Tensor& g) {
                                   if (!ag::is_rows(g)) return g * 0.5;
                                   return ag::from_rows(g.shape(), ag::row_indices(g),
                                                        ag::row_values(g) * 0.5);
                                 },
                                 true},
                                {[](const Tensor& g) { return g.clone(); }, true},
                                {[](const Tensor& g) { return g.detach(); }, true},
                                {[](const Tensor& g) {
                                   Tensor copy = g.clone();
                                   copy.mutable_data<float>()[4] = 9;
                                   return copy;
                                 },
                                 false}};
  for (const Case& c : cases) {
    const auto collected = [&](bool sparse) {
      Tensor t = table();
      t.register_hook(c.hook);
      plain(t, sparse).backward();
      plain(t, sparse).backward();
      return t.grad();
    };
    const Tensor rows = collected(true), dense = collected(false);
    CHECK(ag::is_rows(rows) == c.stays);
    CHECK(same_bits(rows, dense));
  }
}

TEST_CASE("a gradient that a hook keeps is not added to") {
  Tensor t = table(), seen, first;
  t.register_hook([&](const Tensor& g) {
    if (!seen.defined()) seen = g, first = g.clone();
    return Tensor();
  });
  for (int i = 0; i < 3; ++i) loss_of(lookup(t, kPlaces)).backward();
  CHECK(ag::is_rows(seen));
  CHECK(same_bits(seen, first));
  CHECK_FALSE(same_bits(t.grad(), first));
}

TEST_CASE("the kept gradient of an intermediate table is rows") {
  Tensor t = table();
  Tensor h = ag::tanh(t);
  h.retain_grad();
  loss_of(lookup(h, kPlaces)).backward();
  CHECK(ag::is_rows(h.grad()));
  CHECK_FALSE(ag::is_rows(t.grad()));
}

TEST_CASE("a write into the elements of rows makes them dense") {
  const Use use = [](const Tensor& t, bool sparse) { return loss_of(lookup(t, kPlaces, sparse)); };
  const std::vector<std::function<void(Tensor&)>> writes{
      [](Tensor& g) { g.mutable_data<float>()[6] = 2; },
      [](Tensor& g) { g.array<float>()(1, 1) = 2; },
      [](Tensor& g) { g[1] = 2.0; },
      [](Tensor& g) { g.copy_(ag::full(g.shape(), 3)); },
  };
  for (const auto& write : writes)
    for (const bool read : {false, true}) {
      Tensor rows = gradient(use, true, table()), dense = gradient(use, false, table());
      const Tensor handle = rows.detach();
      if (read) CHECK(same_bits(rows, dense));
      write(rows), write(dense);
      CHECK_FALSE(ag::is_rows(rows));
      CHECK_FALSE(ag::is_rows(handle));
      CHECK(same_bits(rows, dense));
      CHECK(same_bits(handle, dense));
      CHECK(same_bits(rows + 1, dense + 1));
    }
}

TEST_CASE("copies of rows are apart from one another") {
  Tensor t = table();
  loss_of(lookup(t, kPlaces)).backward();
  Tensor g = t.grad();
  const Tensor copy = g.clone(), other = g.to(ag::float64), values = ag::row_values(g);
  CHECK(ag::is_rows(copy));
  CHECK(ag::is_rows(other));
  CHECK(same_bits(other.to(ag::float32), g));
  Tensor(values).mutable_data<float>()[0] = 7;
  CHECK(same_bits(copy, g));
  loss_of(lookup(t, kOthers)).backward();
  CHECK(same_bits(copy, g));  // g is held, so the leaf has another one
  CHECK(places_of(copy) == std::vector<std::int64_t>{0, 3, 6});
  CHECK(places_of(t.grad()) == std::vector<std::int64_t>{0, 1, 3, 5, 6});
}

TEST_CASE("rows changed in place are seen by every handle, and by no copy") {
  for (const bool read : {false, true}) {
    Tensor t = table();
    loss_of(lookup(t, kPlaces)).backward();
    Tensor g = t.grad();
    const Tensor copy = g.clone();
    const Tensor before = ag::grad({loss_of(lookup(t, kPlaces, false))}, {t})[0];
    const Tensor expected = before * 2;
    if (read) CHECK(same_bits(g, before));
    const auto version = g.version();
    const ag::detail::RowSpan rows = ag::detail::rows_to_change(g);
    for (std::int64_t i = 0; i < rows.count * rows.width; ++i)
      static_cast<float*>(rows.values)[i] *= 2;
    ag::detail::rows_changed(g);
    CHECK(g.version() != version);
    CHECK(ag::is_rows(g));
    CHECK(same_bits(g, expected));
    CHECK(same_bits(t.grad(), expected));
    CHECK(same_bits(copy, before));
  }
}

TEST_CASE("places with the same rows share them, to the bits of dense gradients") {
  const Tensor bags = ag::tensor({{5, 0, 3, 6}, {1, 4, 2, 3}});
  const Use use = [&](const Tensor& x, bool sparse) {
    return loss_of(ag::mean(lookup(x, bags, sparse), 1));
  };
  for (const auto dtype : {ag::float32, ag::float64}) {
    const Tensor t = table(dtype), dense = gradient(use, false, t);
    check_like_dense(use, true, t);
    check_like_dense(
        [&](const Tensor& x, bool sparse) {
          return use(x, sparse) + loss_of(lookup(x, kOthers, sparse)) + use(x * 1, sparse);
        },
        false, t);
    Tensor g = gradient(use, true, t);
    REQUIRE(ag::detail::shared_rows_of(g).sources);
    const Tensor copy = g.clone(), other = g.to(dtype == ag::float32 ? ag::float64 : ag::float32);
    CHECK(same_bits(ag::row_values(g), ag::index_select(dense, 0, ag::row_indices(g))));
    const ag::detail::RowSpan rows = ag::detail::rows_to_change(g);
    CHECK_FALSE(ag::detail::shared_rows_of(g).sources);
    std::memset(rows.values, 0, static_cast<std::size_t>(rows.count * rows.width) * size_of(dtype));
    ag::detail::rows_changed(g);
    CHECK(same_bits(g, ag::zeros_like(dense)));
    CHECK(same_bits(copy, dense));
    CHECK(same_bits(other, dense.to(other.dtype())));
  }
}

TEST_CASE("a gradient that repeats rows has its elements for all who ask") {
  Tensor x = ag::randn({3, 4, 20}).requires_grad_();
  const Tensor weight = ag::randn({3, 20}), ones = ag::ones({3, 4, 20}),
               expected = ag::unsqueeze(weight / 4, 1) * ones;
  const auto loss = [&] { return ag::sum(ag::mean(x, 1) * weight); };
  const auto values = [](const Tensor& g) {
    return ag::row_values(ag::from_rows({12, 20}, ag::arange(12), ag::reshape(g, {12, 20})));
  };
  Tensor g = ag::grad({loss()}, {x})[0];
  CHECK_FALSE(ag::is_rows(g));
  CHECK(same_bits(values(g), ag::reshape(expected, {12, 20})));
  CHECK(same_bits(g, expected));
  g.mutable_data<float>()[20] = 7;
  CHECK(values(g).data<float>()[20] == 7);
  CHECK(same_bits(ag::grad({loss() + ag::sum(x) + loss()}, {x})[0], expected + ones + expected));
  const Tensor kept = ag::grad({loss()}, {x})[0];
  auto plus = ag::compile([&](const Tensor& y) { return y + kept; });
  for (int i = 0; i < 2; ++i) CHECK(same_bits(plus(ones), ones + expected));
}

TEST_CASE("gradients are set, cleared and weighted by rows") {
  Tensor t = table();
  const Tensor rows = ag::from_rows({7, 5}, ag::tensor({6, 2}), ag::ones({2, 5}));
  CHECK(ag::is_rows(rows));
  t.set_grad(rows);
  CHECK(ag::is_rows(t.grad()));
  loss_of(lookup(t, kPlaces)).backward();
  CHECK(places_of(t.grad()) == std::vector<std::int64_t>{0, 2, 3, 6});
  CHECK(places_of(rows) == std::vector<std::int64_t>{2, 6});
  t.zero_grad();
  CHECK_FALSE(t.grad().defined());
  (t * 2).backward(rows);
  CHECK(same_bits(t.grad(), rows * 2));
  const Tensor g = ag::grad({t * 1}, {t}, {.grad_outputs = {rows}})[0];
  CHECK(same_bits(g, rows));
}

TEST_CASE("from_rows and what looks at rows say what is wrong") {
  const Tensor two = ag::tensor({0, 2}), values = ag::ones({2, 3});
  CHECK_THROWS_WITH(ag::from_rows({}, two, values),
                    "from_rows: the shape must have an axis, got ()");
  CHECK_THROWS_WITH(ag::from_rows({4, 3}, ag::ones({2}), values),
                    "from_rows: the index must be int64, got float32");
  CHECK_THROWS_WITH(ag::from_rows({4, 3}, ag::tensor({{0, 2}}), values),
                    "from_rows: the index must have one axis, got shape (1, 2)");
  CHECK_THROWS_WITH(ag::from_rows({4, 2}, two, values),
                    "from_rows: values must have shape (2, 2), got (2, 3)");
  CHECK_THROWS_WITH(ag::from_rows({2, 3}, two, values),
                    "from_rows: indices must be in [0, 1] for axis 0 of (2, 3), got 2");
  CHECK_THROWS_WITH(ag::from_rows({4, 3}, ag::tensor({0, -1}), values),
                    "from_rows: indices must be in [0, 3] for axis 0 of (4, 3), got -1");
  CHECK_THROWS_WITH(ag::from_rows({4, 3}, two, values.to(ag::int64)),
                    ContainsSubstring("from_rows: needs float32 or float64, got int64"));
  CHECK_THROWS_WITH(ag::from_rows({4, 3}, Tensor(), values),
                    ContainsSubstring("from_rows: every input must be defined"));
  CHECK_THROWS_WITH(ag::row_values(values),
                    "row_values: the tensor must be rows, as the gradient of a lookup is, got a "
                    "dense one of shape (2, 3)");
  CHECK_THROWS_WITH(ag::row_indices(Tensor()),
                    ContainsSubstring("row_indices: every input must be defined"));
  CHECK_THROWS_WITH(ag::is_rows(Tensor()),
                    ContainsSubstring("is_rows: every input must be defined"));
}

TEST_CASE("elements of rows for which there is no memory are an error") {
  const std::int64_t height = std::int64_t{1} << 44;
  const Tensor rows =
      ag::from_rows({height}, ag::tensor<std::int64_t>({height - 1, 5}), ag::ones({2}));
  CHECK(places_of(rows) == std::vector<std::int64_t>{5, height - 1});
  CHECK_THROWS_WITH(rows.data<float>(),
                    ContainsSubstring("rows: memory for all elements must be there, got none for"));
}

TEST_CASE("anomaly mode looks at the rows of a gradient") {
  Tensor t = table(ag::float32, 1'000'000, 1);
  const ag::AnomalyMode watched;
  const Tensor x = lookup(t, ag::tensor({5, 7}));
  CHECK_THROWS_WITH(
      x.backward(ag::tensor({{NAN}, {1.0F}})),
      ContainsSubstring("lookup backward: gradients must be finite in anomaly mode, got (1000000, "
                        "1) float32 from 0 to 1 with 1 NaN for input 0"));
}

TEST_CASE("checkpoint() passes rows on") {
  check_like_dense(
      [](const Tensor& t, bool sparse) {
        const auto block = [=](const Tensor& x) { return ag::sin(lookup(x, kPlaces, sparse)); };
        return loss_of(ag::checkpoint(block, t)) + loss_of(lookup(t, kOthers, sparse));
      },
      true);
}

TEST_CASE("rows have the same bits for any number of threads", "[threads]") {
  const std::int64_t height = 5000, width = 32;
  ag::manual_seed(1);
  const Tensor places = ag::randint(0, height, {20'000}), weights = ag::randn({20'000, width});
  const auto gradients = [&] {
    Tensor t = table(ag::float32, height, width);
    for (int i = 0; i < 2; ++i) ag::sum(lookup(t, places) * weights).backward();
    return t.grad();
  };
  const Tensor one = gradients();
  ag::set_num_threads(2);
  const Tensor two = gradients();
  ag::set_num_threads(1);
  CHECK(same_bits(ag::row_values(one), ag::row_values(two)));
  CHECK(same_bits(one, two));
}

TEST_CASE("threads that ask for the elements of rows at once all see them", "[threads]") {
  for (int round = 0; round < 20; ++round) {
    Tensor t = table(ag::float32, 3000, 4);
    (loss_of(lookup(t, kPlaces)) + loss_of(lookup(t, kOthers))).backward();
    const Tensor g = t.grad();
    std::vector<std::vector<float>> seen(4);
    std::vector<std::thread> threads;
    for (auto& s : seen)
      threads.emplace_back([&] {
        const Tensor values = ag::row_values(g);
        s = ag::index_select(g, 0, ag::row_indices(g)).to_vector<float>();
        if (values.to_vector<float>() != s || g.data<float>()[2999 * 4] != 0) s.clear();
      });
    for (auto& thread : threads) thread.join();
    for (const auto& s : seen) CHECK(s.size() == 5 * 4);
  }
}

TEST_CASE("threads that walk to one table add rows to one gradient", "[threads]") {
  Tensor t = table(ag::float64, 500, 2);
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&, k] {
      for (int i = 0; i < 50; ++i) ag::sum(lookup(t, ag::tensor({k, i, 499}))).backward();
    });
  for (auto& thread : threads) thread.join();
  CHECK(ag::is_rows(t.grad()));
  CHECK(t.grad().data<double>()[998] == 200);
  CHECK(ag::sum(t.grad()).item() == 4 * 50 * 3 * 2);
}
