#include "autograd/kernels/gemm.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string_view>
#include <thread>
#include <vector>

#include "autograd/autograd.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/kernels/onednn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

// Run once as it is, and again with XGRAD_GEMM=openblas and with an OpenBLAS that uses OpenMP.

namespace {

struct Sizes {
  std::int64_t m, n, k;
};

// Products that oneDNN computes where it can: whole, and cut into blocks of rows, of columns and of
// both, of sizes that are multiples of nothing; long and narrow ones.
const std::vector<Sizes> kMedium = {
    {64, 256, 784}, {64, 128, 256},  {256, 784, 64},  {128, 256, 64},
    {257, 391, 83}, {101, 999, 31},  {999, 101, 31},  {131, 769, 67},
    {31, 331, 131}, {16, 201, 401},  {1001, 1, 1003}, {1003, 7, 257},
    {4001, 33, 17}, {1300, 1500, 1}, {61, 67, 999},   {1, 1500, 1100}};
// Those that it computes where OpenBLAS has no kernels for small products.
const std::vector<Sizes> kSmall = {{100, 99, 101}, {60, 64, 64}, {5, 300, 200}, {6000, 5, 7}};
// Those that OpenBLAS computes: the smallest, and rows of a page.
const std::vector<Sizes> kOthers = {{1, 1, 1},   {3, 5, 7},      {17, 1, 19},    {1, 23, 9},
                                    {5, 8, 1},   {8, 16, 16},    {9, 33, 40},    {1, 600, 700},
                                    {3, 700, 1}, {20, 1024, 70}, {30, 1024, 40}, {2, 1024, 1024}};

struct Product {
  Product(bool transpose_a, bool transpose_b, Sizes s)
      : ta(transpose_a),
        tb(transpose_b),
        size(s),
        a(random(s.m * s.k, 1)),
        b(random(s.k * s.n, 2)),
        c(random(s.m * s.n, 3)) {}

  static std::vector<float> random(std::int64_t n, std::uint64_t seed) {
    ag::Generator generator(seed);
    const ag::Tensor t = ag::randn({n}, ag::float32, generator);
    return {t.data<float>(), t.data<float>() + n};
  }
  std::vector<float> compute(float beta) const {
    std::vector<float> result = c;
    ag::kernels::gemm(ta, tb, size.m, size.n, size.k, a.data(), b.data(), beta, result.data());
    return result;
  }
  // The largest error, in units of what rounding each multiplication and addition may make of it.
  double error(float beta) const {
    const std::vector<float> result = compute(beta);
    const auto [m, n, k] = size;
    std::vector<double> sums(static_cast<std::size_t>(n)), bounds(sums.size());
    double worst = 0;
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        sums[j] = beta == 0 ? 0 : static_cast<double>(beta) * c[i * n + j];
        bounds[j] = std::abs(sums[j]);
      }
      for (std::int64_t l = 0; l < k; ++l) {
        const double x = a[ta ? l * m + i : i * k + l];
        for (std::int64_t j = 0; j < n; ++j) {
          const double term = x * b[tb ? j * k + l : l * n + j];
          sums[j] += term;
          bounds[j] += std::abs(term);
        }
      }
      for (std::int64_t j = 0; j < n; ++j)
        worst = std::max(worst, std::abs(result[i * n + j] - sums[j]) /
                                    (std::numeric_limits<float>::epsilon() *
                                     (static_cast<double>(k) + 1) * bounds[j]));
    }
    return worst;
  }

  bool ta, tb;
  Sizes size;
  std::vector<float> a, b, c;
};

template <class F>
F* symbol(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
}

auto threads_of_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

}  // namespace

TEST_CASE("float32 products are those of double arithmetic, rounded", "[gemm]") {
  for (const auto& sizes : {kMedium, kSmall, kOthers})
    for (const Sizes s : sizes)
      for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
          const Product product(ta, tb, s);
          INFO(ta << tb << " " << s.m << " " << s.n << " " << s.k);
          for (const float beta : {0.0f, 1.0f, 0.5f}) CHECK(product.error(beta) < 1);
        }
}

TEST_CASE("a product with beta 0 does not read C", "[gemm]") {
  for (const Sizes s : {kMedium[0], kMedium[4], kMedium[10], kMedium[13], kOthers[1], kOthers[7]})
    for (const bool t : {false, true}) {
      Product product(false, t, s);
      const std::vector<float> expected = product.compute(0);
      product.c.assign(product.c.size(), NAN);
      CHECK(product.compute(0) == expected);
    }
}

TEST_CASE("0 times NaN is NaN in every product", "[gemm]") {
  for (const Sizes s : {Sizes{2, 3, 4},
                        {1, 300, 784},
                        {300, 1, 784},
                        {90, 100, 1},
                        {30, 40, 50},
                        {60, 64, 64},
                        {64, 256, 784}})
    for (const bool t : {false, true}) {
      Product product(false, t, s);
      product.a.assign(product.a.size(), 0);
      product.b[0] = NAN;  // of the first column
      const std::vector<float> c = product.compute(0);
      INFO(s.m << " " << s.n << " " << s.k << " " << t);
      for (std::size_t i = 0; i < c.size(); ++i)
        if (std::isnan(c[i]) != (i % static_cast<std::size_t>(s.n) == 0)) FAIL("at " << i);
    }
}

TEST_CASE("oneDNN, where it is there and allowed, computes products of medium size and no others",
          "[gemm]") {
  const char* wanted = std::getenv("XGRAD_GEMM");
  const bool allowed = !wanted || std::string_view(wanted) != "openblas",
             there = ag::simd_level() >= ag::SimdLevel::avx2 && ag::kernels::open_onednn();
  if (!there) WARN("No AVX2 or no oneDNN: the tests see OpenBLAS alone.");
  const auto computed = [](Sizes s) {
    Product p(false, false, s);
    return ag::kernels::onednn_gemm(false, false, s.m, s.n, s.k, p.a.data(), p.b.data(), 0,
                                    p.c.data());
  };
  for (const Sizes s : kMedium) CHECK(computed(s) == (allowed && there));
  const bool avx512 = ag::simd_level() == ag::SimdLevel::avx512;
  for (const Sizes s : kSmall) CHECK(computed(s) == (allowed && there && !avx512));
  for (const Sizes s : kOthers)
    if (std::min({s.m, s.n, s.k}) > 1) CHECK_FALSE(computed(s));
  CHECK_FALSE(computed({600, 500, 500}));
}

// This one is also run where looking for oneDNN throws.
TEST_CASE("a small product does not look for oneDNN", "[gemm][small]") {
  for (const Sizes s : {Sizes{1, 256, 784}, {1, 784, 256}, {256, 784, 1}, {30, 31, 32}})
    CHECK(Product(false, false, s).error(0) < 1);
}

TEST_CASE(
    "products and factorisations start no threads and leave OpenMP's number of them as it was",
    "[gemm]") {
  const auto get = symbol<int()>("omp_get_max_threads");
  const auto set = symbol<void(int)>("omp_set_num_threads");
  REQUIRE(get);
  REQUIRE(set);
  const int usual = get();
  set(4);
  const auto before = threads_of_process();
  for (const Sizes s : kMedium) Product(false, true, s).compute(0);
  const ag::Tensor a = ag::rand({300, 300}) + 300 * ag::eye(300);
  CHECK(ag::max(ag::abs(ag::matmul(a, ag::inv(a)) - ag::eye(300))).item() < 1e-4);
  ag::qr(a), ag::svd(a), ag::eigh(a);
  CHECK(threads_of_process() == before);
  CHECK(get() == 4);
  set(usual);
}

namespace {

pthread_t tested;
std::uintptr_t stack_begin, stack_end;
volatile sig_atomic_t off_stack;

void note_stack(int) {
  const auto at = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  // While it blocks the signal, another thread may get it.
  if (pthread_equal(pthread_self(), tested) && (at < stack_begin || at >= stack_end)) off_stack = 1;
}

}  // namespace

TEST_CASE("a signal handler finds the stack where it should be, also during a product", "[gemm]") {
  pthread_attr_t attributes;
  tested = pthread_self();
  REQUIRE(pthread_getattr_np(tested, &attributes) == 0);
  void* begin = nullptr;
  std::size_t size = 0;
  pthread_attr_getstack(&attributes, &begin, &size);
  pthread_attr_destroy(&attributes);
  stack_begin = reinterpret_cast<std::uintptr_t>(begin), stack_end = stack_begin + size;

  struct sigaction action {
  }, before{};
  action.sa_handler = note_stack;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, &before);
  const itimerval often{{0, 200}, {0, 200}}, never{};
  off_stack = 0;
  setitimer(ITIMER_REAL, &often, nullptr);
  for (int round = 0; round < 5; ++round)
    for (const bool t : {false, true})
      for (const Sizes s : kMedium) Product(t, false, s).compute(0);
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  CHECK(off_stack == 0);
}

TEST_CASE("threads of the program may all begin with a large product", "[gemm][threads]") {
  const Product product(false, true, kMedium[0]);
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> users;
  for (auto& result : results) users.emplace_back([&] { result = product.compute(1); });
  for (auto& user : users) user.join();
  for (const auto& result : results) CHECK(result == product.compute(1));
}

TEST_CASE("a product of parts of matrices is scaled, added, and touches its part alone") {
  constexpr std::int64_t m = 5, n = 7, k = 6, wide = 11;
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const std::vector<float> a = Product::random(wide * wide, 1),
                               b = Product::random(wide * wide, 2),
                               before = Product::random(wide * wide, 3);
      std::vector<float> c = before;
      ag::kernels::gemm_part(ta, tb, m, n, k, 0.5f, a.data(), wide, b.data(), wide, 2.0f, c.data(),
                             wide);
      const auto at = [](std::int64_t i, std::int64_t j) {
        return static_cast<std::size_t>(i * wide + j);
      };
      for (std::int64_t i = 0; i < wide; ++i)
        for (std::int64_t j = 0; j < wide; ++j) {
          double sum = before[at(i, j)];
          if (i < m && j < n) {
            sum *= 2;
            for (std::int64_t l = 0; l < k; ++l)
              sum += 0.5 * a[ta ? at(l, i) : at(i, l)] * b[tb ? at(j, l) : at(l, j)];
          }
          CHECK(std::abs(c[at(i, j)] - sum) < 1e-5);
        }
    }
}
