#include <atomic>
#include <vector>

#include "autograd/core/kernel_call.hpp"
#include "tests/catch.hpp"

// A family of kernels of the test's own, cut in each of the ways.
namespace autograd::kernels {

constexpr int kSlow = 1'000'000;  // picoseconds: worth a thread for 40 elements

struct Calls : Kernel<Calls, Whole, void(std::atomic<int>* calls, std::int64_t n)> {};

template <class T>
struct Twice : Kernel<Twice<T>, ByElements<kSlow>,
                      void(Each<const T> x, Each<T> y, std::atomic<int>* calls, Count n)> {};

/// sums[r] = Σ x[r] · weight; adds x to columns and x² to squares.
template <class T>
struct Sums : Kernel<Sums<T>, ByRows<kSlow>,
                     void(Row<const T> x, const T* weight, Each<T> sums, Total<T> columns,
                          Total<T> squares, Count rows, Length n, std::atomic<int>* calls)> {};

namespace XGRAD_ISA {
namespace {

void count(std::atomic<int>* calls, std::int64_t) { ++*calls; }

template <class T>
void twice(const T* x, T* y, std::atomic<int>* calls, std::int64_t n) {
  ++*calls;
  for (std::int64_t i = 0; i < n; ++i) y[i] = 2 * x[i];
}

template <class T>
void sums(const T* x, const T* weight, T* sums, T* columns, T* squares, std::int64_t rows,
          std::int64_t n, std::atomic<int>* calls) {
  ++*calls;
  for (std::int64_t r = 0; r < rows; ++r, x += n) {
    if (sums) sums[r] = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      if (sums) sums[r] += weight[i] * x[i];
      if (columns) columns[i] += x[i];
      if (squares) squares[i] += x[i] * x[i];
    }
  }
}

}  // namespace
}
}  // namespace autograd::kernels

XGRAD_KERNEL(Calls, count)
XGRAD_FLOATING_KERNEL(Twice, twice)
XGRAD_FLOATING_KERNEL(Sums, sums)

namespace ag = autograd;
namespace kernels = autograd::kernels;

namespace {

struct Threads {
  explicit Threads(int n) { ag::set_num_threads(n); }
  ~Threads() { ag::set_num_threads(1); }
};

template <class T>
std::vector<T> numbers(std::int64_t n) {
  std::vector<T> x;
  for (std::int64_t i = 0; i < n; ++i) x.push_back(T(1) / static_cast<T>(1 + i % 97));
  return x;
}

template <class T>
struct Result {
  std::vector<T> sums, columns, squares;
  int calls;
  bool same(const Result& o) const {
    return sums == o.sums && columns == o.columns && squares == o.squares;
  }
};

enum { kSums = 1, kColumns = 2, kSquares = 4 };

template <class T>
Result<T> run(std::int64_t rows, int threads, int wanted) {
  constexpr std::int64_t n = 19;
  const Threads several(threads);
  const auto x = numbers<T>(rows * n), weight = numbers<T>(n);
  Result<T> r{std::vector<T>(static_cast<std::size_t>(rows)), std::vector<T>(n, 1),
              std::vector<T>(n, 1), 0};
  std::atomic<int> calls = 0;
  kernels::Sums<T>::run(x.data(), weight.data(), wanted & kSums ? r.sums.data() : nullptr,
                        wanted & kColumns ? r.columns.data() : nullptr,
                        wanted & kSquares ? r.squares.data() : nullptr, rows, n, &calls);
  r.calls = calls;
  return r;
}

}  // namespace

TEST_CASE("a kernel that is not cut is called once, by any number of threads", "[threads]") {
  const Threads threads(3);
  std::atomic<int> calls = 0;
  kernels::Calls::run(&calls, 1'000'000);
  CHECK(calls == 1);
}

TEST_CASE("a kernel is cut between elements, and each is met once", "[threads]") {
  const auto x = numbers<float>(1000);
  for (const int n : {1, 3}) {
    const Threads threads(n);
    std::vector<float> y(1000);
    std::atomic<int> calls = 0;
    kernels::Twice<float>::run(x.data(), y.data(), &calls, 1000);
    CHECK(calls == n);
    for (std::size_t i = 0; i < 1000; ++i) CHECK(y[i] == 2 * x[i]);
    calls = 0;
    kernels::Twice<float>::here(x.data(), y.data(), &calls, 1000);
    CHECK(calls == 1);
  }
}

TEMPLATE_TEST_CASE("a kernel is cut between rows, with the same bits for any number of threads",
                   "[threads]", float, double) {
  for (const std::int64_t rows : {1, 100, 128, 129, 1000})
    for (const int wanted :
         {int{kSums}, kSums | kColumns, int{kSquares}, kSums | kColumns | kSquares}) {
      const auto one = run<TestType>(rows, 1, wanted);
      INFO(rows << " rows, wanted " << wanted);
      for (const int threads : {2, 3, 7}) CHECK(one.same(run<TestType>(rows, threads, wanted)));
      // Every row was met once.
      const auto plain = run<TestType>(rows, 1, kSums);
      if (wanted & kSums) CHECK(one.sums == plain.sums);
      TestType total = 0, expected = 0;
      for (const TestType c : one.columns) total += c - 1;
      for (const TestType v : numbers<TestType>(rows * 19)) expected += v;
      if (wanted & kColumns) CHECK(total == Catch::Approx(expected).epsilon(1e-3));
    }
}

TEST_CASE("rows that add to a total are cut into blocks of a fixed size", "[threads]") {
  CHECK(run<float>(1000, 1, kSums).calls == 1);
  CHECK(run<float>(1000, 3, kSums).calls == 3);
  CHECK(run<float>(128, 3, kColumns).calls == 1);
  CHECK(run<float>(1000, 1, kColumns).calls == 8);
  CHECK(run<float>(1000, 3, kColumns).calls == 8);
}
