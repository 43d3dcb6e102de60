#include <dlfcn.h>

#include <atomic>
#include <thread>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

template <class F>
F* symbol(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
}

// OpenBLAS with threads of its own; restores their number.
struct Blas {
  int (*const get)() = symbol<int()>("openblas_get_num_threads");
  void (*const set)(int) = symbol<void(int)>("openblas_set_num_threads");
  int (*const kind)() = symbol<int()>("openblas_get_parallel");
  const bool there = get && set && kind && kind() == 1;
  const int usual = there ? get() : 1;
  ~Blas() {
    if (there) set(usual);
  }
};

// What goes to OpenBLAS: in double, since oneDNN computes some of the others.
std::vector<Tensor> results() {
  ag::Generator generator(1);
  const Tensor a = ag::randn({300, 310}, ag::float64, generator),
               b = ag::randn({310, 290}, ag::float64, generator), square = ag::slice(a, 1, 0, 300);
  const auto qr = ag::qr(a);
  const auto [values, vectors] = ag::eigh(square + ag::transpose(square));
  return {ag::matmul(a, b), ag::matmul(a, ag::slice(b, 1, 0, 1)), ag::inv(square), qr.Q, values,
          vectors};
}

}  // namespace

TEST_CASE("OpenBLAS has the program's number of threads after products and factorisations",
          "[gemm]") {
  Blas blas;
  if (!blas.there) return;
  for (const int n : {1, 3}) {
    blas.set(n);
    results();
    CHECK(blas.get() == n);
    CHECK_THROWS_AS(ag::cholesky(-ag::eye(300)), ag::Error);
    CHECK(blas.get() == n);
  }
}

TEST_CASE("the number of OpenBLAS's threads that the program sets changes no bit", "[gemm]") {
  Blas blas;
  if (!blas.there) return;
  blas.set(1);
  const std::vector<Tensor> right = results();
  blas.set(4);
  const std::vector<Tensor> got = results();
  for (std::size_t i = 0; i < right.size(); ++i) {
    INFO("result " << i);
    CHECK(same_bits(got[i], right[i]));
  }
}

TEST_CASE(
    "OpenBLAS has one thread while several threads use it, and the program's number after all",
    "[gemm][threads]") {
  Blas blas;
  if (!blas.there) return;
  blas.set(3);
  std::atomic<bool> seen_one{false}, done{false};
  std::thread watcher([&] {
    while (!done)
      if (blas.get() == 1) seen_one = true;
  });
  std::vector<std::thread> workers;
  std::atomic<int> different{0};
  const Tensor a = ag::rand({200, 200}, ag::float64), right = ag::matmul(a, a);
  for (int t = 0; t < 4; ++t)
    workers.emplace_back([&] {
      for (int i = 0; i < 50 || (!seen_one && i < 5000); ++i)
        if (!same_bits(ag::matmul(a, a), right)) ++different;
    });
  for (std::thread& worker : workers) worker.join();
  done = true;
  watcher.join();
  CHECK(seen_one);
  CHECK(different == 0);
  CHECK(blas.get() == 3);
}
