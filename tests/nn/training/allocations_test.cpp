#include "tests/nn/training/allocations.hpp"

#include <cstdlib>
#include <new>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

// After some steps, which fill the pool, `step` calls malloc no more.
template <class F>
void check_steady(F step) {
  for (int i = 0; i < 5; ++i) step();
  const auto count = allocations_of([&] {
    for (int i = 0; i < 5; ++i) step();
  });
  if (!count) {
    WARN("not counted under a sanitizer, where the pool is off");
    return;
  }
  CHECK(*count == 0);
}

template <class Optimizer>
void check_training(nn::Sequential& model, Optimizer& optimizer, const Tensor& x, const Tensor& y) {
  check_steady([&] {
    optimizer.zero_grad();
    nn::cross_entropy(model(x), y).backward();
    optimizer.step();
  });
}

}  // namespace

TEST_CASE("allocations are counted") {
  const auto count = allocations_of([] {
    void* volatile a = ::operator new(4);
    ::operator delete(a);
    void* volatile b = std::malloc(100);
    std::free(b);
    void* volatile c = std::aligned_alloc(64, 640);
    std::free(c);
  });
  CHECK(count.value_or(3) == 3);
}

TEST_CASE("a chain of scalars is recorded and walked without malloc") {
  Tensor a = ag::ones({1}).requires_grad_();
  check_steady([&] {
    Tensor z = a;
    for (int i = 0; i < 1000; ++i) z = z * a;
    z.backward();
    a.zero_grad();
  });
}

TEST_CASE("grad is taken without malloc") {
  const Tensor a = ag::ones({3}).requires_grad_(), b = ag::ones({3}).requires_grad_();
  check_steady([&] { ag::grad({ag::sum(a * ag::exp(b)), ag::sum(b)}, {a, b}); });
}

TEST_CASE("a step of XOR with SGD does without malloc") {
  nn::Sequential model{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()};
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1, .momentum = 0.9});
  const Tensor x = ag::rand({4, 2}), y = ag::rand({4, 1});
  check_steady([&] {
    optimizer.zero_grad();
    nn::mse_loss(model(x), y).backward();
    optimizer.step();
  });
}

TEST_CASE("a step of a classifier with Adam, clipping and a schedule does without malloc") {
  nn::Sequential model{nn::Linear(50, 32), nn::ReLU(), nn::Linear(32, 16), nn::ReLU(),
                       nn::Linear(16, 10)};
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-3});
  nn::optim::StepLR scheduler(optimizer, {.step_size = 2});
  const Tensor x = ag::rand({20, 50}), y = ag::randint(0, 10, {20});
  check_steady([&] {
    optimizer.zero_grad();
    nn::cross_entropy(model(x), y).backward();
    nn::clip_grad_norm_(model.parameters(), 0.01);
    nn::clip_grad_value_(model.parameters(), 0.001);
    optimizer.step();
    scheduler.step();
  });
}

TEST_CASE("a replayed step does without malloc, also where the caller keeps results") {
  nn::Sequential model{nn::Linear(50, 32), nn::LayerNorm(ag::Shape{32}), nn::Tanh(),
                       nn::Dropout(0.2), nn::Linear(32, 10)};
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-3});
  const Tensor x = ag::rand({100, 50}), y = ag::randint(0, 10, {100});
  auto step = ag::compile([&](const Tensor& in, const Tensor& target) {
    optimizer.zero_grad();
    const Tensor loss = nn::cross_entropy(model(in), target);
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 0.01);
    optimizer.step();
    return loss;
  });
  Tensor loss, gradient;
  check_steady([&] {
    loss = step(x, y);
    gradient = model.layer<nn::Linear>(0).weight.grad();
  });
  CHECK(step.recordings() == 1);
}

TEST_CASE("layer norm and dropout do without malloc") {
  nn::Sequential model{nn::Linear(8, 16), nn::LayerNorm(ag::Shape{16}), nn::GELU(),
                       nn::Dropout(0.3), nn::Linear(16, 3)};
  nn::optim::AdamW optimizer(model.parameters());
  check_training(model, optimizer, ag::rand({6, 8}), ag::randint(0, 3, {6}));
}

TEST_CASE("many parameters are updated without malloc") {
  nn::Sequential model;
  for (int i = 0; i < 50; ++i) model.push_back(nn::Linear(4, 4));
  nn::optim::RMSprop rmsprop(model.parameters());
  const Tensor x = ag::rand({2, 4}), y = ag::randint(0, 4, {2});
  check_training(model, rmsprop, x, y);
  nn::optim::Adagrad adagrad(model.parameters());
  check_training(model, adagrad, x, y);
}

TEST_CASE("indices, slices and reductions do without malloc") {
  Tensor table = ag::randn({20, 6}).requires_grad_();
  const Tensor rows = ag::randint(0, 20, {7}), columns = ag::randint(0, 6, {7, 2});
  const Tensor mask = rows > 5;
  using ag::indexing::all, ag::indexing::slice;
  check_steady([&] {
    const Tensor x = ag::index_select(table, 0, rows);
    const Tensor y = ag::gather(x, 1, columns) + ag::take_along_axis(x, columns, 1);
    const Tensor z = ag::concat({y, x[{all, slice(0, 4)}], table[rows][{all, slice(1, 3)}]}, 1);
    const Tensor w = ag::where(ag::unsqueeze(mask, 1), z, ag::transpose(ag::transpose(z)));
    const Tensor loss = ag::mean(ag::square(w), {0, 1}) + ag::sum(ag::max(z, 1)) +
                        ag::logsumexp(z, 1)[0] + ag::var(z) + ag::sum(ag::softmax(z, 1)) +
                        ag::min(z) + ag::prod(ag::sum(z, 0)) + ag::sum(ag::cumsum(z, 0));
    loss.backward();
    table.zero_grad();
  });
}

TEST_CASE("formulas of users, sorting, padding and matrix products do without malloc") {
  const auto mish = ag::elementwise("mish", [](auto x) {
    using std::exp, std::log, std::tanh;
    return x * tanh(log(1 + exp(x)));
  });
  Tensor a = ag::randn({4, 6}).requires_grad_(), b = ag::randn({2, 6, 3}).requires_grad_();
  check_steady([&] {
    const Tensor sorted = ag::sort(mish(a), 1).values;
    const Tensor top = ag::topk(ag::pad(sorted, {1, 1, 0, 2}), 2, 1).values;
    (ag::sum(ag::matmul(sorted, b)) + ag::sum(ag::flip(ag::roll(top, {1}, {0}), {0}))).backward();
    a.zero_grad();
    b.zero_grad();
  });
}

TEST_CASE("hooks, retained graphs and operations with three inputs do without malloc") {
  Tensor a = ag::randn({3, 4}).requires_grad_(), b = ag::randn({4}).requires_grad_();
  a.register_hook([](const Tensor& g) { return 2.0 * g; });
  const Tensor mask = ag::randn({3, 4}) > 0.0;
  check_steady([&] {
    Tensor middle = ag::layer_norm(a, {4}, b, b);
    middle.retain_grad();
    const Tensor loss = ag::sum(ag::where(mask, middle, a) * ag::stack(
                                                                 {
                                                                     b,
                                                                     b,
                                                                     b,
                                                                 },
                                                                 0));
    loss.backward({.retain_graph = true});
    loss.backward();
    a.zero_grad();
    b.zero_grad();
  });
}

TEST_CASE("second derivatives are taken without malloc") {
  const Tensor a = ag::randn({5}).requires_grad_();
  check_steady([&] {
    const Tensor g = ag::grad({ag::sum(ag::tanh(a) * a)}, {a}, {.create_graph = true})[0];
    ag::sum(ag::square(g)).backward();
    Tensor(a).zero_grad();
  });
}
