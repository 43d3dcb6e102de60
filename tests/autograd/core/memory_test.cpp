#include "autograd/core/memory.hpp"
#include "autograd/tape/gradient.hpp"

#include <barrier>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/core/random.hpp"
#include "autograd/elementwise/elementwise.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "autograd/tape/function.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

namespace {

// Bytes of this process in memory; 0 where that cannot be known.
std::int64_t resident() {
  long pages = 0, all = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &all, &pages) != 2) pages = 0;
    std::fclose(f);
  }
  return std::int64_t{pages} * 4096;
}

// False under AddressSanitizer, which itself keeps what is freed.
bool pool_is_on() {
  { const ag::Tensor t = ag::zeros({1000}); }
  return ag::memory_stats().kept > 0;
}

std::int64_t in_use() { return ag::memory_stats().in_use; }

// Saves its input and its output, and throws in the backward pass; Late only after it has saved an
// output once more there.
template <bool late>
struct Fails : ag::Function<Fails<late>> {
  static ag::Tensor forward(ag::Context& ctx, const ag::Tensor& x) {
    ag::Tensor y = ag::exp(x);
    ctx.save_for_backward({x, y});
    return y;
  }
  static ag::TensorList backward(ag::Context& ctx, const ag::TensorList& g) {
    const ag::Tensor y = ctx.saved()[1] * g[0];
    if (late) ctx.save_for_backward({y, ctx.saved()[1]});
    throw std::runtime_error("backward fails");
  }
};
struct FailsForward : ag::Function<FailsForward> {
  static ag::Tensor forward(ag::Context& ctx, const ag::Tensor& x) {
    ctx.save_for_backward({x, ag::exp(x)});
    throw std::runtime_error("forward fails");
  }
  static ag::TensorList backward(ag::Context&, const ag::TensorList& g) { return g; }
};
struct Undefined : ag::Function<Undefined> {
  static ag::TensorList forward(ag::Context& ctx, const ag::Tensor& x) {
    const ag::Tensor y = ag::exp(x);
    ctx.save_for_backward({x, y});
    return {y, ag::Tensor()};
  }
  static ag::TensorList backward(ag::Context&, const ag::TensorList& g) { return g; }
};
// Keeps its output over the backward pass.
struct Doubled : ag::Function<Doubled> {
  static ag::Tensor forward(ag::Context& ctx, const ag::Tensor& x) {
    ag::Tensor y = 2 * x;
    ctx.save_for_backward({y});
    return y;
  }
  static ag::TensorList backward(ag::Context& ctx, const ag::TensorList& g) {
    ctx.save_for_backward(ctx.saved());
    return {2 * g[0]};
  }
};

}  // namespace

TEST_CASE("blocks are aligned, distinct and large enough at every size") {
  for (std::size_t bytes = 1; bytes < 100000; bytes += bytes < 2000 ? 7 : 997) {
    auto* a = static_cast<unsigned char*>(ag::detail::pool_allocate(bytes));
    auto* b = static_cast<unsigned char*>(ag::detail::pool_allocate(bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(a) % (bytes > 512 ? 64 : 32) == 0);
    a[0] = a[bytes - 1] = 1;
    b[0] = b[bytes - 1] = 2;
    CHECK((a[0] == 1 && a[bytes - 1] == 1));
    ag::detail::pool_deallocate(a, bytes);
    ag::detail::pool_deallocate(b, bytes);
  }
}

TEST_CASE("a block is at most a sixteenth larger than asked for") {
  for (std::size_t bytes = 513; bytes < (std::size_t{1} << 22); bytes += 1 + bytes / 37) {
    const auto before = in_use();
    void* block = ag::detail::pool_allocate(bytes);
    const auto size = static_cast<std::size_t>(in_use() - before);
    INFO(bytes << " in " << size);
    CHECK(size >= bytes);
    CHECK((size - bytes) * 16 <= std::max<std::size_t>(bytes, 1024));
    ag::detail::pool_deallocate(block, bytes);
  }
}

TEST_CASE("a tensor of 2^n elements takes its elements and a line") {
  for (std::int64_t n = 1 << 8; n <= 1 << 20; n *= 2) {
    const auto before = in_use();
    const auto storage = ag::detail::Storage::create(static_cast<std::size_t>(4 * n));
    CHECK(in_use() - before == 4 * n + 64);
  }
}

TEST_CASE("memory_stats counts what lives, its peak and what is kept") {
  ag::release_kept_memory();
  CHECK(ag::memory_stats().kept == 0);
  const auto before = in_use();
  ag::reset_peak_memory();
  CHECK(ag::memory_stats().peak == before);
  constexpr std::int64_t n = 1 << 20;
  ag::Tensor a = ag::zeros({n});
  CHECK(in_use() - before >= 4 * n);
  {
    const ag::Tensor b = ag::zeros({n});
    CHECK(in_use() - before >= 8 * n);
  }
  CHECK(in_use() - before < 5 * n);
  CHECK(ag::memory_stats().peak - before >= 8 * n);
  CHECK(ag::memory_stats().peak - before < 9 * n);
  a = ag::Tensor();
  CHECK(in_use() == before);
  if (!pool_is_on()) {
    WARN("nothing is kept under a sanitizer");
    return;
  }
  CHECK(ag::memory_stats().kept >= 8 * n);
  ag::release_kept_memory();
  CHECK(ag::memory_stats().kept == 0);
}

TEST_CASE("an allocation that fails is not counted") {
  const auto before = ag::memory_stats();
  CHECK_THROWS_AS(ag::detail::pool_allocate(std::size_t{1} << 60), std::bad_alloc);
  CHECK(in_use() == before.in_use);
  CHECK(ag::memory_stats().peak == before.peak);
}

TEST_CASE("memory does not grow while one thread makes what another drops", "[threads]") {
  if (!pool_is_on()) {
    WARN("not measured under a sanitizer, where the pool is off");
    return;
  }
  constexpr int kRounds = 1000, kTensors = 200;
  std::vector<ag::Tensor> made;
  std::barrier turn(2);
  std::int64_t start = 0;
  std::thread maker([&] {
    for (int round = 0; round < kRounds; ++round) {
      for (int i = 0; i < kTensors; ++i) made.push_back(ag::zeros({16}));
      turn.arrive_and_wait();
      turn.arrive_and_wait();
    }
  });
  std::thread dropper([&] {  // with a pool that no other test has filled
    for (int round = 0; round < kRounds; ++round) {
      turn.arrive_and_wait();
      made.clear();
      if (round == kRounds / 10) start = resident();
      turn.arrive_and_wait();
    }
  });
  maker.join(), dropper.join();
  // 40 MB are made and dropped in between.
  CHECK(resident() - start < 10'000'000);
}

TEST_CASE("memory does not grow with the threads that begin together, one generation after another",
          "[threads]") {
  if (!pool_is_on()) {
    WARN("not measured under a sanitizer, where the pool is off");
    return;
  }
  constexpr int kThreads = 4;
  std::int64_t start = 0;
  for (int generation = 0; generation < 200; ++generation) {
    if (generation == 20) start = resident();
    std::barrier begin(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&] {
        begin.arrive_and_wait();
        std::vector<ag::Tensor> held;
        for (int i = 0; i < 10; ++i) held.push_back(ag::zeros({16}).requires_grad_() * 2);
      });
    for (auto& t : threads) t.join();
  }
  // A slab for each thread but the first of each generation would be 35 MB and more.
  CHECK(resident() - start < 5'000'000);
}

TEST_CASE("a tensor that is given its own elements, or gets them back, is freed") {
  const auto before = in_use();
  for (int i = 0; i < 10; ++i) {
    ag::Tensor x = ag::ones({3});
    const ag::Tensor own = x.detach();
    x.set_data(own);
    x.set_data(ag::zeros({3}));
    x.set_data(own);
    CHECK(x.to_vector<float>() == std::vector<float>{1, 1, 1});
  }
  CHECK(in_use() == before);
}

TEST_CASE("what fails in a forward or a backward pass leaves no memory behind") {
  const ag::Tensor x = ag::rand({4, 3}, ag::float64).requires_grad_();
  const ag::Tensor tall = x.detach().requires_grad_(), square = ag::eye(3, ag::float64);
  const auto sum_of = [](const ag::TensorList& list) {
    ag::Tensor total = ag::sum(list[0]);
    for (std::size_t i = 1; i < list.size(); ++i) total = total + ag::sum(list[i]);
    return total;
  };
  const std::vector<std::pair<std::string, std::function<ag::Tensor()>>> failing{
      {"a function of the user", [&] { return ag::sum(Fails<false>::apply(x)); }},
      {"one that saves again", [&] { return ag::sum(Fails<true>::apply(x)); }},
      {"behind a checkpoint",
       [&] {
         return ag::checkpoint([](const ag::Tensor& t) { return ag::sum(Fails<false>::apply(t)); },
                               x);
       }},
      {"a checkpoint that fails the second time",
       [&] {
         return ag::checkpoint(
             [n = 0](const ag::Tensor& t) mutable {
               if (n++) throw std::runtime_error("the second time");
               return ag::sum(ag::exp(t));
             },
             x);
       }},
      {"qr, complete",
       [&] {
         const auto [q, r] = ag::qr(tall, "complete");
         return ag::sum(q) + ag::sum(r);
       }},
      {"svd, full",
       [&] {
         const auto [u, s, v] = ag::svd(tall, true);
         return ag::sum(u) + ag::sum(s) + ag::sum(v);
       }},
      {"a matrix that is refused",
       [&] { return ag::sum(ag::cholesky(-1.0 * ag::matmul(x, square))); }},
      {"a forward", [&] { return ag::sum(FailsForward::apply(x * 1.0)); }},
      {"an undefined output", [&] { return sum_of(Undefined::apply(x * 1.0)); }},
      {"shapes", [&] { return ag::sum(ag::exp(x * 1.0) + ag::ones({5}, ag::float64)); }},
      {"NaN in anomaly mode",
       [&] {
         const ag::AnomalyMode on;
         return ag::sum(ag::log(ag::exp(x) * -1.0));
       }},
  };
  for (const auto& [what, f] : failing)
    for (const bool create_graph : {false, true}) {
      INFO(what << (create_graph ? ", create_graph" : ""));
      std::int64_t after_one = 0;
      for (int i = 0; i < 3; ++i) {
        CHECK_THROWS(f().backward({.create_graph = create_graph}));
        if (i == 0) after_one = in_use();
      }
      CHECK(in_use() == after_one);
    }
}

TEST_CASE("a function that saves its output again in the backward pass is freed") {
  const ag::Tensor x = ag::rand({4}).requires_grad_();
  const auto before = in_use();
  { const ag::Tensor g = ag::grad({ag::sum(Doubled::apply(x))}, {x}, {.create_graph = true})[0]; }
  CHECK(in_use() == before);
}
