// Tensors whose elements are one number, which are written when somebody asks for them.
#include "autograd/autograd.hpp"

#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Shape;
using ag::Tensor;

namespace {

// As many elements as it takes, and some more.
constexpr std::int64_t kRows = 70, kColumns = 60;
const Shape kShape{kRows, kColumns};

// The same elements, each written at once.
Tensor written(const Tensor& t) {
  Tensor copy = ag::empty(t.shape(), t.dtype());
  std::memcpy(copy.raw_mutable(), t.raw(),
              static_cast<std::size_t>(t.numel()) * size_of(t.dtype()));
  return copy;
}

Tensor three(ag::DType dtype, const Shape& shape = kShape) {
  return ag::expand(ag::full({}, dtype == ag::boolean ? 1 : 3, dtype), shape);
}

}  // namespace

TEST_CASE("an expanded number has all its elements, in every dtype") {
  for (const ag::DType d : {ag::float32, ag::float64, ag::int64, ag::boolean})
    for (const std::int64_t n : {1, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, 20000})
      CHECK(same_bits(three(d, {n}), ag::full({n}, d == ag::boolean ? 1 : 3, d)));
}

TEST_CASE("operations read an expanded number as they read written elements") {
  const Tensor x = ag::randn(kShape), row = ag::randn({1, kColumns}),
               column = ag::randn({kRows, 1});
  const std::vector<std::function<Tensor(const Tensor&)>> uses{
      [&](const Tensor& t) { return t + x; },
      [&](const Tensor& t) { return t * row; },
      [&](const Tensor& t) { return column / t; },
      [&](const Tensor& t) { return ag::tanh(t) - t; },
      [&](const Tensor& t) { return ag::where(t > x, t, x); },
      [&](const Tensor& t) { return ag::matmul(t, ag::transpose(x)); },
      [&](const Tensor& t) { return ag::sum(t, 0); },
      [&](const Tensor& t) {
        return ag::concat({t, x});
      },
      [&](const Tensor& t) {
        return ag::reshape(t, {kColumns, kRows}) * 2;
      },
      [&](const Tensor& t) {
        return t[{ag::indexing::slice(3, 9), 4}];
      },
      [&](const Tensor& t) { return t.clone(); },
      [&](const Tensor& t) { return t.to(ag::float64); },
  };
  for (const auto& use : uses)
    CHECK(same_bits(use(three(ag::float32)), use(written(three(ag::float32)))));
}

TEST_CASE("the gradient of a sum goes through every kind of operation") {
  const Tensor w = ag::randn({kColumns, 5}), row = ag::randn({1, kColumns}).requires_grad_();
  const std::vector<std::function<Tensor(const Tensor&)>> functions{
      [](const Tensor& x) { return ag::exp(x); },
      [](const Tensor& x) { return -x + 2.0; },
      [](const Tensor& x) { return x * x; },
      [](const Tensor& x) { return x / (1.0 + ag::square(x)); },
      [](const Tensor& x) { return ag::tanh(x) + x; },
      [&](const Tensor& x) { return x * row + row; },
      [&](const Tensor& x) { return ag::matmul(x, w); },
      [](const Tensor& x) { return ag::softmax(x, 1); },
      [](const Tensor& x) {
        return ag::concat({x, ag::sin(x)}, 1);
      },
      [](const Tensor& x) { return ag::transpose(x) * 3; },
      [](const Tensor& x) { return ag::layer_norm(x, {kColumns}); },
      [&](const Tensor& x) {
        return ag::layer_norm(ag::concat({x, x, x}), {kColumns}, ag::squeeze(row), x[3]);
      },
      [](const Tensor& x) { return x; },
  };
  for (const auto& f : functions) {
    Tensor x = ag::randn(kShape).requires_grad_();
    const auto gradients = [&](bool whole) {
      x.zero_grad(), Tensor(row).zero_grad();
      const Tensor y = f(x);
      if (whole)
        y.backward(ag::ones(y.shape()));
      else
        ag::sum(y).backward();
      return std::vector{x.grad(), row.grad()};
    };
    const auto lazy = gradients(false), eager = gradients(true);
    CHECK(same_bits(lazy[0], eager[0]));
    REQUIRE(lazy[1].defined() == eager[1].defined());
    if (lazy[1].defined()) CHECK(same_bits(lazy[1], eager[1]));
  }
}

TEST_CASE("a layer norm leaves a gradient that is one number unwritten") {
  const Tensor x = ag::randn(kShape).requires_grad_(), g = three(ag::float32);
  const Tensor y = ag::layer_norm(x, {kColumns});
  const Tensor gradient = ag::grad({y}, {x}, {.grad_outputs = {g}, .retain_graph = true})[0];
  CHECK(g.impl()->storage->repeated() != nullptr);
  CHECK(same_bits(gradient, ag::grad({y}, {x}, {.grad_outputs = {written(g)}})[0]));
}

TEST_CASE("gradients that are one number are collected, seen and changed like others") {
  Tensor x = ag::randn(kShape).requires_grad_();
  Tensor seen;
  Tensor y = x + 1.0;
  y.retain_grad();
  y.register_hook([&](const Tensor& g) {
    seen = g;
    return Tensor();
  });
  const Tensor total = ag::sum(y);
  total.backward({.retain_graph = true});
  const Tensor first = x.grad();
  CHECK(same_bits(first, ag::ones(kShape)));
  CHECK(same_bits(seen, ag::ones(kShape)));
  total.backward();
  CHECK(same_bits(x.grad(), ag::full(kShape, 2)));
  CHECK(same_bits(y.grad(), ag::full(kShape, 2)));
  CHECK(same_bits(seen, ag::ones(kShape)));
  Tensor g = x.grad();
  g.mutable_data<float>()[7] = 5;
  CHECK(g.data<float>()[7] == 5);
  CHECK(g.data<float>()[8] == 2);
}

TEST_CASE("a write into an expanded number changes one element") {
  Tensor t = three(ag::float32);
  const Tensor same_elements = t.detach();
  t.mutable_data<float>()[1] = 0;
  CHECK(t.data<float>()[0] == 3);
  CHECK(same_elements.data<float>()[1] == 0);
  CHECK(same_elements.data<float>()[kRows * kColumns - 1] == 3);
  Tensor target = three(ag::float32);
  target.copy_(ag::zeros(kShape));
  CHECK(same_bits(target, ag::zeros(kShape)));
}

TEST_CASE("threads that ask for an expanded number at once all see its elements", "[threads]") {
  for (int round = 0; round < 20; ++round) {
    const Tensor t = three(ag::float64, {100000});
    std::vector<int> wrong(4);
    std::vector<std::thread> threads;
    for (int& count : wrong)
      threads.emplace_back([&t, &count] {
        const double* p = t.data<double>();
        for (std::int64_t i = 0; i < t.numel(); ++i) count += p[i] != 3;
        count += (t + 1.0).data<double>()[t.numel() - 1] != 4;
      });
    for (auto& thread : threads) thread.join();
    for (const int count : wrong) CHECK(count == 0);
  }
}
