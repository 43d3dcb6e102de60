#include "autograd/autograd.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

TEST_CASE("a recording takes time by the number of its operations", "[many]") {
  Tensor w = ag::full({4, 4}, 0.1).requires_grad_();
  auto f = ag::compile([&](const Tensor& x) {
    w.zero_grad();
    Tensor h = x;
    for (int i = 0; i < 20'000; ++i) h = ag::tanh(ag::matmul(h, w) + x);
    ag::sum(h * h).backward();
    return h.detach();
  });
  const Tensor x = ag::full({2, 4}, 0.5), first = f(x);
  CHECK(same_bits(first, f(x)));
  CHECK(f.recordings() == 1);
}

TEST_CASE("a recording takes little memory for each of its operations") {
  // Ten operations each time: four forward, one and three products back, two sums of gradients.
  const auto bytes = [](int times) {
    Tensor s = ag::full({}, 0.9).requires_grad_();
    auto f = ag::compile([&](const Tensor& x) {
      s.zero_grad();
      Tensor y = x;
      for (int i = 0; i < times; ++i) y = ag::sin(y) * s + y * 0.5;
      y.backward();
      return y.detach();
    });
    const Tensor x = ag::full({}, 0.3);
    ag::reset_peak_memory();
    const std::int64_t before = ag::memory_stats().in_use;
    (void)f(x);
    const ag::MemoryStats after = ag::memory_stats();
    return std::pair(after.in_use - before, after.peak - before);
  };
  const auto few = bytes(1000), many = bytes(3000);
  CHECK((many.first - few.first) / 2000 < 10 * 300);    // of these, 14 are values
  CHECK((many.second - few.second) / 2000 < 10 * 450);  // while it is made, with 160 of the tape
}
