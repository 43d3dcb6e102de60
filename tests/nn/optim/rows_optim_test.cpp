// Optimizers and gradients that are rows: which step by rows, to the bits of the dense step, and
// what SparseAdam does.
#include <cmath>
#include <functional>
#include <memory>

#include "nn/nn.hpp"
#include "tests/lookup.hpp"
#include "tests/nn/close.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/nn/training/allocations.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

using Made = std::unique_ptr<optim::Optimizer>;
using Make = std::function<Made(const ag::TensorList&)>;

template <class O, class Options>
Make with(const Options& options) {
  return [=](const ag::TensorList& p) { return std::make_unique<O>(p, options); };
}
const Make kSgd = with<optim::SGD>(optim::SGDOptions{.lr = 0.1, .maximize = true});
const Make kAdagrad = with<optim::Adagrad>(optim::AdagradOptions{.lr = 0.1, .lr_decay = 0.01});
const Make kSparseAdam = with<optim::SparseAdam>(optim::SparseAdamOptions{.lr = 0.1});

// Those that step by rows.
std::vector<Make> by_rows() {
  return {kSgd, with<optim::SGD>(optim::SGDOptions{.dampening = 0.3}), kAdagrad,
          with<optim::Adagrad>(optim::AdagradOptions{.initial_accumulator_value = 0.5})};
}
// Those that move every row.
std::vector<Make> dense() {
  return {with<optim::SGD>(optim::SGDOptions{.lr = 0.1, .momentum = 0.9}),
          with<optim::SGD>(optim::SGDOptions{.lr = 0.1, .weight_decay = 0.1}),
          with<optim::Adagrad>(optim::AdagradOptions{.lr = 0.1, .weight_decay = 0.1}),
          with<optim::Adam>(optim::AdamOptions{.lr = 0.1}),
          with<optim::AdamW>(optim::AdamWOptions{.lr = 0.1}),
          with<optim::RMSprop>(optim::RMSpropOptions{.lr = 0.1}),
          with<optim::Lion>(optim::LionOptions{.lr = 0.1})};
}

Tensor table(const ag::Shape& shape, ag::DType dtype = ag::float32) {
  ag::manual_seed(8);
  return ag::randn(shape, dtype).requires_grad_();
}

Tensor places(std::int64_t step) {
  return ag::tensor<std::int64_t>({step % 9, 3, step * step % 9, 8, step / 3 % 9, 3});
}

// Every other step of a mean, where places share a row.
void collect(Tensor& t, std::int64_t step, bool sparse = true) {
  const Tensor all = lookup(t, places(step), sparse), x = step % 2 ? ag::mean(all, 0) : all;
  ag::sum(ag::sin(x) * x).backward();
}

void check_same_state(const optim::Optimizer& a, const optim::Optimizer& b) {
  const nn::StateDict s = a.state_dict(), t = b.state_dict();
  REQUIRE(s.size() == t.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    CHECK(s[i].name == t[i].name);
    CHECK(same_bits(s[i].tensor, t[i].tensor));
  }
}

// What a training on rows leaves is what one on dense gradients leaves.
void check_like_dense(const Make& make, const ag::Shape& shape, ag::DType dtype) {
  Tensor a = table(shape, dtype), b = table(shape, dtype);
  const Made rows = make({a}), dense = make({b});
  for (int step = 0; step < 12; ++step) {
    rows->zero_grad(), dense->zero_grad();
    collect(a, step, true), collect(b, step, false);
    REQUIRE(ag::is_rows(a.grad()));
    rows->step(), dense->step();
    CHECK(ag::is_rows(a.grad()));
  }
  CHECK(same_bits(a, b));
  check_same_state(*rows, *dense);
}

// The most bytes that steps take at once, once state is there.
std::int64_t peak(const Make& make, std::int64_t height) {
  Tensor t = ag::ones({height, 4}).requires_grad_();
  const Made optimizer = make({t});
  std::int64_t before = 0;
  for (int step = 0; step < 6; ++step) {
    if (step == 2) {
      before = ag::memory_stats().in_use;
      ag::reset_peak_memory();
    }
    collect(t, step);
    optimizer->step();
    optimizer->zero_grad();
  }
  return ag::memory_stats().peak - before;
}

}  // namespace

TEST_CASE("a step by rows has the bits of the dense step") {
  for (const auto dtype : {ag::float32, ag::float64})
    for (const ag::Shape& shape : {ag::Shape{9, 5}, ag::Shape{9}, ag::Shape{9, 3, 7}})
      for (const auto& makes : {by_rows(), dense()})
        for (const Make& make : makes) check_like_dense(make, shape, dtype);
}

TEST_CASE("a step by rows takes no memory that depends on the height of the table") {
  for (const Make& make : {kSgd, kAdagrad, kSparseAdam})
    CHECK(peak(make, 9) == peak(make, 100'000));
  // Where every row moves, the list of pieces is longer; no gradient of all elements is made.
  for (const Make& make : dense()) CHECK(peak(make, 100'000) < 50'000);
}

TEST_CASE("SparseAdam moves what has a gradient, and nothing else") {
  Tensor t = table({9, 4}, ag::float64);
  const Tensor before = t.detach().clone();
  optim::SparseAdam optimizer({t}, {.lr = 0.1});
  t.set_grad(ag::from_rows({9, 4}, ag::tensor({2, 7}), ag::ones({2, 4}, ag::float64)));
  optimizer.step();
  // The first step of Adam is lr times the sign.
  const Tensor moved = before - t.detach();
  for (std::int64_t row = 0; row < 9; ++row)
    for (std::int64_t i = 0; i < 4; ++i)
      CHECK(moved.data<double>()[4 * row + i] ==
            Catch::Approx(row == 2 || row == 7 ? 0.1 : 0).margin(1e-8));
  // A row that has none keeps its means, also where it had one.
  const Tensor means = optimizer.state_dict().at("state.0.exp_avg").clone();
  t.set_grad(ag::from_rows({9, 4}, ag::tensor({7}), ag::ones({1, 4}, ag::float64)));
  optimizer.step();
  const Tensor now = optimizer.state_dict().at("state.0.exp_avg");
  CHECK(same_bits(ag::narrow(now, 0, 0, 7), ag::narrow(means, 0, 0, 7)));
  CHECK(now.data<double>()[7 * 4] == Catch::Approx(0.19));
  CHECK(optimizer.state_dict().at("state.0.step").item() == 2);
}

TEST_CASE("SparseAdam is Adam where every row has a gradient") {
  Tensor a = table({3, 5}, ag::float64), b = table({3, 5}, ag::float64);
  optim::SparseAdam sparse({a}, {.lr = 0.05, .betas = {0.8, 0.95}, .eps = 0});
  optim::Adam adam({b}, {.lr = 0.05, .betas = {0.8, 0.95}, .eps = 0});
  const Tensor all = ag::tensor({2, 0, 1, 2});
  for (int step = 0; step < 30; ++step) {
    for (Tensor* t : {&a, &b}) {
      t->zero_grad();
      const Tensor x = lookup(*t, all, t == &a);
      ag::sum(ag::sin(x) * x).backward();
    }
    sparse.step(), adam.step();
  }
  check_close(a, b.to_vector<double>(), 1e-12);
}

TEST_CASE("SparseAdam refuses dense gradients, and changes nothing") {
  Tensor a = table({9, 4}), b = table({9, 4});
  optim::SparseAdam optimizer({a, b});
  const Tensor before = a.detach().clone();
  collect(a, 1);
  b.set_grad(ag::ones({9, 4}));
  CHECK_THROWS_WITH(optimizer.step(),
                    "SparseAdam: gradients must be rows, as those of lookups are, got a dense one "
                    "for parameter 1; use Adam for it");
  CHECK(same_bits(a, before));
  CHECK_FALSE(optimizer.state_dict().find("state.0.step"));
  CHECK_THROWS_WITH(optim::SparseAdam({a}, {.betas = {0.9, 1.0}}),
                    ContainsSubstring("SparseAdam: betas must be at least 0 and below 1"));
}

TEST_CASE("a run of SparseAdam resumes from a checkpoint to the same bits") {
  const Scratch folder;
  struct Run {
    nn::Sequential model{nn::Linear(4, 9, false)};
    Tensor t = model.parameters()[0];
    optim::SparseAdam optimizer{model.parameters(), {.lr = 0.1}};
    nn::Checkpoint checkpoint{{"model", model}, {"optimizer", optimizer}};
    void train(int from, int to) {
      for (int step = from; step < to; ++step) {
        optimizer.zero_grad();
        collect(t, step);
        optimizer.step();
      }
    }
  };
  Run whole, first, second;
  first.t.copy_(whole.t.detach()), whole.train(0, 9), first.train(0, 5);
  first.checkpoint.save(folder / "run");
  second.checkpoint.load(folder / "run");
  second.train(5, 9);
  CHECK(same_bits(whole.t, second.t));
}

TEST_CASE("steps by rows are replayed to the same bits") {
  std::vector<Make> makes = by_rows();
  makes.push_back(kSparseAdam);
  for (const Make& make : dense()) makes.push_back(make);
  for (const Make& make : makes)
    for (const bool clear : {true, false}) {
      Tensor a = table({9, 4}), b = table({9, 4});
      const Made eager = make({a}), replayed = make({b});
      const auto step = [=](Tensor& t, optim::Optimizer& optimizer, const Tensor& p) {
        if (clear) optimizer.zero_grad();
        const Tensor x = lookup(t, p), loss = ag::sum(ag::sin(x) * x);
        loss.backward();
        optimizer.step();
        return loss.detach();
      };
      auto compiled = ag::compile([&](const Tensor& p) { return step(b, *replayed, p); });
      for (int i = 0; i < 6; ++i) CHECK(same_bits(step(a, *eager, places(i)), compiled(places(i))));
      CHECK(same_bits(a, b));
      CHECK(ag::is_rows(b.grad()));
      check_same_state(*eager, *replayed);
      CHECK(compiled.recordings() == (clear ? 1 : 2));
    }
}

TEST_CASE("a recording refuses a dense gradient for SparseAdam") {
  Tensor t = table({9, 4});
  optim::SparseAdam optimizer({t});
  auto f = ag::compile([&](const Tensor& p) {
    optimizer.zero_grad();
    ag::sum(lookup(t * 2, p)).backward();
    optimizer.step();
    return t.detach();
  });
  CHECK_THROWS_WITH(f(places(0)), ContainsSubstring("SparseAdam: gradients must be rows"));
  CHECK_FALSE(ag::compiling());
}

TEST_CASE("gradients that are rows are zeroed as rows") {
  Tensor t = table({9, 4});
  const Made optimizer = kSparseAdam({t});
  collect(t, 1);
  optimizer->zero_grad(false);
  REQUIRE(ag::is_rows(t.grad()));
  CHECK(ag::row_indices(t.grad()).numel() == 0);
  CHECK(same_bits(t.grad(), ag::zeros({9, 4})));
  const Tensor before = t.detach().clone();
  optimizer->step();
  CHECK(same_bits(t, before));
}

TEST_CASE("steps by rows have the same bits for any number of threads", "[threads]") {
  const auto trained = [](const Make& make) {
    Tensor t = table({4000, 33});
    const Made optimizer = make({t});
    for (std::int64_t step = 0; step < 3; ++step) {
      optimizer->zero_grad();
      ag::manual_seed(static_cast<std::uint64_t>(step));
      const Tensor x = lookup(t, ag::randint(0, 4000, {9000}));
      ag::sum(ag::sin(x) * x).backward();
      nn::clip_grad_norm_({t}, 10);
      optimizer->step();
    }
    return t;
  };
  for (const Make& make : {kSgd, kAdagrad, kSparseAdam}) {
    const Tensor one = trained(make);
    ag::set_num_threads(2);
    const Tensor two = trained(make);
    ag::set_num_threads(1);
    CHECK(same_bits(one, two));
  }
}

TEST_CASE("a step on rows does without malloc") {
  for (const Make& make : {kSgd, kAdagrad, kSparseAdam}) {
    Tensor t = table({9000, 4});
    const Made optimizer = make({t});
    const Tensor p = places(2);
    const auto step = [&] {
      optimizer->zero_grad();
      const Tensor x = lookup(t, p);
      (ag::sum(ag::sin(x) * x) + ag::sum(lookup(t, p) * 2)).backward();
      nn::clip_grad_norm_({t}, 0.1);
      optimizer->step();
    };
    for (int i = 0; i < 5; ++i) step();
    const auto count = allocations_of([&] {
      for (int i = 0; i < 5; ++i) step();
    });
    CHECK(count.value_or(0) == 0);
  }
}
