#include "autograd/autograd.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <fstream>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#include "autograd/kernels/gemm.hpp"
#include "autograd/ops/neural/recurrent.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"
#include "tests/sanitizers.hpp"

namespace ag = autograd;

namespace {

// Back to one thread at the end of a test.
struct Threads {
  explicit Threads(int n) { ag::set_num_threads(n); }
  ~Threads() { ag::set_num_threads(1); }
};

// f gives the same bits with any number of threads.
void check_threads(const std::string& what, const std::function<ag::TensorList()>& f) {
  const ag::TensorList one = f();
  for (const int n : {2, 3, 7}) {
    const Threads threads(n);
    const ag::TensorList many = f();
    REQUIRE(many.size() == one.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      INFO(what << ", " << n << " threads, result " << i);
      CHECK(same_bits(one[i], many[i]));
    }
  }
}

// The result of f and its gradients, with random inputs of these shapes.
void check_operation(const std::string& what, const std::vector<ag::Shape>& shapes,
                     const std::function<ag::Tensor(const ag::TensorList&)>& f) {
  for (const auto dtype : {ag::float32, ag::float64}) {
    ag::Generator generator(3);
    ag::TensorList in;
    for (const auto& s : shapes) in.push_back(ag::randn(s, dtype, generator).requires_grad_());
    check_threads(what, [&] {
      const ag::Tensor y = f(in);
      ag::Generator same(4);
      ag::TensorList out = ag::grad({y}, in, {.grad_outputs = {ag::randn(y.shape(), dtype, same)}});
      out.push_back(y.detach());
      return out;
    });
  }
}

struct Range {
  std::int64_t begin, end;
};
std::vector<Range> ranges(std::int64_t n, std::int64_t grain, double cost) {
  std::mutex mutex;
  std::vector<Range> found;
  ag::parallel_for(n, grain, cost, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    found.push_back({begin, end});
  });
  std::sort(found.begin(), found.end(), [](Range a, Range b) { return a.begin < b.begin; });
  return found;
}

// Bytes of addresses that this process uses.
[[maybe_unused]] std::size_t addresses() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

}  // namespace

TEST_CASE("parallel_for covers the range once, cut at multiples of the grain", "[threads]") {
  const Threads threads(3);
  for (const std::int64_t grain : {1, 7, 64, 300})
    for (const std::int64_t n : {1000, 1001, 1023}) {
      const auto found = ranges(n, grain, 1e6);
      CHECK(found.size() == 3);
      std::int64_t at = 0;
      for (const auto& [begin, end] : found) {
        CHECK(begin == at);
        CHECK(begin % grain == 0);
        CHECK(end - begin >= grain);
        at = end;
      }
      CHECK(at == n);
    }
}

TEST_CASE("parallel_for runs small work, less than two grains and nested work in one piece",
          "[threads]") {
  const Threads threads(3);
  CHECK(ranges(1000, 1, 1).size() == 1);
  CHECK(ranges(100, 64, 1e6).size() == 1);
  CHECK(ranges(0, 1, 1e6).empty());
  std::atomic<int> inner = 0;
  ag::parallel_for(3, 1, 1e6, [&](std::int64_t, std::int64_t) {
    inner += static_cast<int>(ranges(1000, 1, 1e6).size());
  });
  CHECK(inner == 3);
  ag::set_num_threads(1);
  CHECK(ranges(1000, 1, 1e6).size() == 1);
}

TEST_CASE("an exception comes out of parallel_for after all pieces are done", "[threads]") {
  const Threads threads(3);
  std::atomic<int> pieces = 0;
  CHECK_THROWS_WITH(ag::parallel_for(3, 1, 1e6,
                                     [&](std::int64_t begin, std::int64_t) {
                                       ++pieces;
                                       if (begin == 1) throw std::runtime_error("the second");
                                     }),
                    "the second");
  CHECK(pieces == 3);
}

TEST_CASE("set_num_threads is kept, and refuses less than 1 and what no machine has") {
  CHECK(ag::num_threads() == 1);
  const Threads threads(5);
  CHECK(ag::num_threads() == 5);
  for (const int n : {0, -1, 1025, 100'000, INT_MIN, INT_MAX})
    CHECK_THROWS_WITH(ag::set_num_threads(n),
                      fmt::format("set_num_threads: needs 1 to 1024 threads, got {}", n));
  CHECK(ag::num_threads() == 5);
}

TEST_CASE("elementwise operations: the same bits with any number of threads", "[threads]") {
  using List = ag::TensorList;
  const ag::Shape s{601, 701};
  check_operation("add", {s, s}, [](const List& in) { return in[0] + in[1]; });
  check_operation("tanh", {s}, [](const List& in) { return ag::tanh(in[0]); });
  check_operation("number", {s}, [](const List& in) { return 2 / in[0]; });
  check_operation("rows", {s, {701}}, [](const List& in) { return in[0] * in[1]; });
  check_operation("columns", {s, {601, 1}}, [](const List& in) { return in[0] - in[1]; });
  check_operation("middle", {{70, 1, 90}, {1, 80, 90}},
                  [](const List& in) { return in[0] * in[1]; });
  check_operation("short", {{90001, 5}, {5}}, [](const List& in) { return in[0] * in[1]; });
  check_operation("where", {s, s},
                  [](const List& in) { return ag::where(in[0] > 0, in[0], in[1]); });
  check_operation("where, broadcast", {s, {601, 1}},
                  [](const List& in) { return ag::where(in[0] > in[1], in[0], in[1]); });
  check_operation("user formula", {s}, [](const List& in) {
    static const auto mish = ag::elementwise("mish", [](auto x) {
      using std::exp, std::log, std::tanh;
      return x * tanh(log(1 + exp(x)));
    });
    return mish(in[0]);
  });
}

TEST_CASE("reductions: the same bits with any number of threads", "[threads]") {
  using List = ag::TensorList;
  for (const ag::Shape& s : {ag::Shape{1021, 1031}, ag::Shape{3, 700, 601}, ag::Shape{300, 7, 611}})
    for (std::int64_t axis = -1; axis < s.numel() && axis < static_cast<std::int64_t>(s.size());
         ++axis) {
      const ag::Axes axes = axis < 0 ? ag::Axes() : ag::Axes(axis);
      const std::string what = fmt::format("{} axis {}", s, axis);
      check_operation("sum " + what, {s}, [&](const List& in) { return ag::sum(in[0], axes); });
      check_operation("mean " + what, {s}, [&](const List& in) { return ag::mean(in[0], axes); });
      check_operation("max " + what, {s}, [&](const List& in) { return ag::max(in[0], axes); });
      check_operation("min " + what, {s}, [&](const List& in) { return ag::min(in[0], axes); });
    }
  check_operation("sum of channels", {{33, 70, 31, 17}}, [](const List& in) {
    return ag::sum(in[0], {0, 2, 3});
  });
}

TEST_CASE("max of many: zeros of both signs and NaN do not depend on the threads", "[threads]") {
  ag::Tensor x = ag::zeros({1200011});
  float* p = x.mutable_data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) p[i] = i % 7 ? -0.0f : 0.0f;
  check_threads("zeros", [&] { return ag::TensorList{ag::max(x), ag::min(x)}; });
  CHECK(ag::max(x).item<float>() == 0);
  p[1000000] = 5;
  p[1200010] = -3;
  CHECK(ag::max(x).item<float>() == 5);
  CHECK(ag::min(x).item<float>() == -3);
  p[700000] = std::nanf("1");
  p[900000] = -std::nanf("2");
  check_threads("NaN", [&] { return ag::TensorList{ag::max(x), ag::min(x)}; });
  CHECK(std::isnan(ag::max(x).item<float>()));
}

TEST_CASE("operations on rows: the same bits with any number of threads", "[threads]") {
  using List = ag::TensorList;
  for (const ag::Shape& s : {ag::Shape{701, 501}, ag::Shape{9000, 37}, ag::Shape{90, 4001}}) {
    const ag::Shape w{s[1]};
    check_operation("softmax", {s}, [](const List& in) { return ag::softmax(in[0], 1); });
    check_operation("log_softmax", {s}, [](const List& in) { return ag::log_softmax(in[0], 1); });
    check_operation("softmax down", {s}, [](const List& in) { return ag::softmax(in[0], 0); });
    check_operation("layer_norm", {s, w, w},
                    [&](const List& in) { return ag::layer_norm(in[0], w, in[1], in[2]); });
    check_operation("layer_norm, plain", {s},
                    [&](const List& in) { return ag::layer_norm(in[0], w); });
  }
}

TEST_CASE("recurrent layers: the same bits with any number of threads", "[threads]") {
  using List = ag::TensorList;
  const auto weights = [](const List& in, std::size_t i) {
    return ag::RecurrentWeights{0.1 * in[i], 0.1 * in[i + 1], in[i + 2], in[i + 3]};
  };
  const ag::Tensor lengths = ag::remainder(ag::arange(37).to(ag::float64), 5).to(ag::int64) + 1;
  for (const bool reverse : {false, true}) {
    const ag::RecurrentOptions options{.lengths = reverse ? lengths : ag::Tensor(),
                                       .reverse = reverse};
    const ag::Shape x{9, 37, 30}, h{37, 50};
    check_operation("rnn_tanh", {x, h, {50, 30}, {50, 50}, {50}, {50}}, [&](const List& in) {
      return ag::rnn_tanh(in[0], in[1], weights(in, 2), options).output;
    });
    check_operation("gru", {x, h, {150, 30}, {150, 50}, {150}, {150}}, [&](const List& in) {
      return ag::gru(in[0], in[1], weights(in, 2), options).output;
    });
    check_operation("lstm", {x, {37, 20}, h, {200, 30}, {200, 20}, {200}, {200}, {20, 50}},
                    [&](const List& in) {
                      ag::RecurrentWeights w = weights(in, 3);
                      w.projection = in[7];
                      return ag::lstm(in[0], in[1], in[2], w, options).output;
                    });
  }
}

TEST_CASE("copies: the same elements with any number of threads", "[threads]") {
  using List = ag::TensorList;
  check_operation("transpose", {{701, 603}}, [](const List& in) { return ag::transpose(in[0]); });
  check_operation("permute", {{60, 70, 90}}, [](const List& in) {
    return ag::permute(in[0], {2, 0, 1});
  });
  check_operation("flip", {{701, 603}}, [](const List& in) { return ag::flip(in[0], {0}); });
  check_operation("expand", {{701, 1}}, [](const List& in) {
    return ag::expand(in[0], {701, 603});
  });
}

namespace {

template <class T>
void check_product(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T beta) {
  ag::Generator generator(static_cast<std::uint64_t>(m * n + k));
  const auto dtype = sizeof(T) == 4 ? ag::float32 : ag::float64;
  const ag::Tensor a = ag::randn({m, k}, dtype, generator), b = ag::randn({k, n}, dtype, generator),
                   c = ag::randn({m, n}, dtype, generator);
  check_threads(
      fmt::format("gemm {} {} ({}, {}, {}) beta {}, {}", ta, tb, m, n, k, beta, ag::name(dtype)),
      [&] {
        ag::Tensor out = c * 1.0;
        ag::kernels::gemm(ta, tb, m, n, k, a.template data<T>(), b.template data<T>(), beta,
                          out.template mutable_data<T>());
        return ag::TensorList{out};
      });
}

}  // namespace

TEST_CASE("matrix products: the same bits with any number of threads", "[threads][gemm]") {
  std::mt19937 random(11);
  const auto pick = [&](unsigned below) { return static_cast<std::int64_t>(1 + random() % below); };
  for (int done = 0; done < 80;) {
    const unsigned kind = random() % 3;
    const std::int64_t m = kind == 0 ? pick(60) : pick(700), n = kind == 1 ? pick(60) : pick(900),
                       k = kind == 2 ? pick(60) : pick(600), work = m * n * k;
    if (work < 4'000'000 || work > 40'000'000) continue;
    ++done;
    const bool ta = random() % 2, tb = random() % 2;
    check_product<float>(ta, tb, m, n, k, static_cast<float>(random() % 2));
    check_product<double>(ta, tb, m, n, k, static_cast<double>(random() % 2));
  }
  // Layers: x Wᵀ, and the gradients of x and W.
  for (const std::int64_t m : {64, 128, 256, 500}) {
    check_product<float>(false, true, m, 256, 784, 1);
    check_product<float>(false, true, m, 900, 210, 1);
    check_product<float>(false, false, m, 784, 256, 0);
    check_product<float>(true, false, 256, 784, m, 0);
  }
  // Few rows, very many rows, one column, a small second factor.
  for (const bool t : {false, true}) {
    check_product<float>(t, false, 40, 1500, 300, 0);
    check_product<double>(false, t, 1, 4000, 2000, 1);
    check_product<float>(t, false, 20000, 20, 30, 0);
    check_product<double>(false, t, 13000, 25, 40, 0);
    check_product<float>(t, t, 8000, 1, 2000, 0);
    check_product<float>(t, t, 90000, 5, 20, 0);
    check_product<double>(t, true, 13000, 60, 16, 1);
  }
}

TEST_CASE("matmul and linear: the same bits with any number of threads", "[threads]") {
  using List = ag::TensorList;
  check_operation("matmul", {{256, 300}, {300, 200}},
                  [](const List& in) { return ag::matmul(in[0], in[1]); });
  check_operation("linear", {{256, 300}, {200, 300}, {200}},
                  [](const List& in) { return ag::linear(in[0], in[1], in[2]); });
  check_operation("batch", {{33, 64, 65}, {33, 65, 50}},
                  [](const List& in) { return ag::matmul(in[0], in[1]); });
  check_operation("broadcast batch", {{5, 1, 64, 65}, {7, 65, 50}},
                  [](const List& in) { return ag::matmul(in[0], in[1]); });
}

TEST_CASE("threads of the program may all use several threads at once", "[threads]") {
  const Threads threads(2);
  const ag::Tensor x = ag::randn({400, 500});
  const auto step = [&] {
    const ag::Tensor w = (x * 1.0).requires_grad_();
    const ag::Tensor y = ag::matmul(ag::softmax(w, 1), ag::transpose(ag::tanh(w)));
    return ag::grad({ag::sum(y)}, {w})[0];
  };
  const ag::Tensor expected = step();
  std::vector<std::thread> users;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    users.emplace_back([&] {
      for (int i = 0; i < 5; ++i) right += same_bits(step(), expected);
    });
  for (auto& u : users) u.join();
  CHECK(right == 20);
}

TEST_CASE("a forked child works on as many threads") {
  const Threads threads(2);
  const ag::Tensor x = ag::randn({1000, 500});
  const ag::Tensor expected = ag::tanh(x);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(same_bits(ag::tanh(x), expected) ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(same_bits(ag::tanh(x), expected));
}

TEST_CASE("where threads cannot be started, operations run on those that can") {
#if XGRAD_UNDER_ASAN
  WARN("a sanitizer needs the addresses that this test takes away");
#elif defined(__clang__)
  WARN("clang's OpenMP ends the process where it cannot start a thread");
#else
  const ag::Tensor x = ag::randn({1000, 500});
  const ag::Tensor expected = ag::tanh(x);
  for (const std::size_t stacks : {0, 3}) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      rlimit stack{}, space{};
      getrlimit(RLIMIT_STACK, &stack);
      const std::size_t each = std::min<std::size_t>(stack.rlim_cur, std::size_t{1} << 23);
      space.rlim_cur = space.rlim_max = addresses() + stacks * each + (each / 2);
      if (setrlimit(RLIMIT_AS, &space)) _exit(2);
      ag::set_num_threads(200);
      bool same = ag::num_threads() == 200;
      for (int i = 0; i < 3; ++i) same = same && same_bits(ag::tanh(x), expected);
      ag::set_num_threads(2);
      _exit(same && same_bits(ag::tanh(x), expected) ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
#endif
}

TEST_CASE("the number of threads may change at any time", "[threads]") {
  const Threads threads(2);
  const ag::Tensor x = ag::randn({300, 500});
  const ag::Tensor expected = ag::tanh(x);
  std::vector<std::thread> users;
  std::atomic<int> right = 0;
  for (int t = 0; t < 3; ++t)
    users.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        ag::set_num_threads(1 + (t + i) % 4);
        right += same_bits(ag::tanh(x), expected);
      }
    });
  for (auto& u : users) u.join();
  CHECK(right == 30);
  ag::set_num_threads(3);
  std::atomic<std::int64_t> covered = 0;
  ag::parallel_for(1000, 1, 1e6, [&](std::int64_t begin, std::int64_t end) {
    ag::set_num_threads(7);
    covered += end - begin;
  });
  CHECK(covered == 1000);
}
