#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/functional.hpp"
#include "autograd/kernels/codegen/machine.hpp"
#include "autograd/kernels/codegen/rows.hpp"
#include "autograd/loops.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
namespace kernels = autograd::kernels;
using ag::Tensor;
using ag::TensorList;

namespace {

// Special values, each beside the others, and numbers of all sizes.
template <class T>
std::vector<std::vector<T>> operands(int count, std::size_t n) {
  using Limits = std::numeric_limits<T>;
  const T special[] = {0,
                       T(-0.0),
                       1,
                       -1,
                       T(0.5),
                       3,
                       -3,
                       Limits::infinity(),
                       -Limits::infinity(),
                       Limits::quiet_NaN(),
                       Limits::denorm_min(),
                       -Limits::denorm_min(),
                       Limits::min() / 3,
                       Limits::max(),
                       Limits::lowest(),
                       Limits::epsilon()};
  std::mt19937 engine(7);
  std::normal_distribution<double> normal(0, 4);
  std::vector<std::vector<T>> all;
  for (int k = 0; k < count; ++k) {
    all.emplace_back();
    for (std::size_t i = 0; i < n; ++i) {
      const auto any = engine();
      const double size = any % 4 == 0 ? std::exp2(static_cast<int>(any >> 8) % 200 - 100) : 1;
      all.back().push_back(any % 8 < 3 ? special[(any >> 8) % std::size(special)]
                                       : static_cast<T>(size * normal(engine)));
    }
  }
  return all;
}

template <class T>
bool same(T a, T b) {
  return (a != a && b != b) || std::memcmp(&a, &b, sizeof a) == 0;
}

// The kernel and its machine code, with operand `single` (if any) one element for all.
template <class T>
void check(const kernels::RowListing& row, int single, std::size_t n) {
  kernels::Listing listing(row.wide);
  std::uint32_t values[5];
  for (int k = 0; k < row.operands; ++k) values[k] = listing.input(k == single);
  listing.output(listing.record([&] { return row.add(values); }));
  const auto code = kernels::MachineCode::of(listing);
  REQUIRE(code);

  auto in = operands<T>(row.operands, n);
  std::vector<T> want(n), got(n);
  char* pointers[6];
  const void* kernel_pointers[5];
  std::int64_t step[5];
  for (int k = 0; k < row.operands; ++k) {
    const auto i = static_cast<std::size_t>(k);
    kernel_pointers[k] = in[i].data();
    pointers[k] = reinterpret_cast<char*>(in[i].data());
    step[k] = k != single;
  }
  pointers[row.operands] = reinterpret_cast<char*>(got.data());
  row.run(nullptr, kernel_pointers, step, want.data(), static_cast<std::int64_t>(n));
  code->run(pointers, static_cast<std::int64_t>(n));
  for (std::size_t i = 0; i < n; ++i) {
    if (same(want[i], got[i])) continue;
    INFO(row.name << (row.wide ? " of doubles" : " of floats") << ", element " << i << " of " << n
                  << ", first operand " << in[0][single == 0 ? 0 : i]);
    CHECK(want[i] == got[i]);
    return;
  }
}

struct Threads {
  explicit Threads(int n) { ag::set_num_threads(n); }
  ~Threads() { ag::set_num_threads(1); }
};

// Many values that are needed again much later, functions that no list has, and numbers.
Tensor long_chain(const Tensor& x) {
  TensorList kept;
  Tensor y = x;
  for (int i = 0; i < 40; ++i) {
    y = i % 4 == 0 ? ag::tanh(y * 1.5) : i % 4 == 1 ? ag::where(y > 0.1, y, y - x) : y + 0.25 * x;
    if (i % 9 == 5) y = ag::sin(y);
    kept.push_back(ag::maximum(y, x * static_cast<double>(i)) / (1 + ag::square(y)));
  }
  for (std::size_t i = kept.size(); i-- > 0;) y = y * 0.5 + ag::gelu(kept[i]);
  return y;
}

// Eager and replayed, by one thread and several.
void check_replays(const std::function<TensorList(const TensorList&)>& step, const TensorList& in) {
  const TensorList eager = step(in);
  auto compiled = ag::compile(step);
  for (const int n : {1, 3}) {
    const Threads threads(n);
    for (int call = 0; call < 2; ++call) {
      const TensorList now = compiled(in);
      for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], now[i]));
    }
  }
  CHECK(compiled.recordings() == 1);
}

}  // namespace

TEST_CASE("machine code gives the bits of the kernels, on special values too", "[jit]") {
  if (!kernels::MachineCode::available()) return;
  for (const kernels::RowListing& row : kernels::row_listings())
    for (int single = -1; single < row.operands; ++single)
      for (const std::size_t n : {std::size_t{3}, std::size_t{1500}})
        row.wide ? check<double>(row, single, n) : check<float>(row, single, n);
  CHECK(kernels::row_listings().size() > 200);
}

TEST_CASE("powers, cube roots and what is made of expm1 have lists of operations", "[jit]") {
  if (!kernels::MachineCode::available()) return;
  std::multiset<std::string> names;
  for (const kernels::RowListing& row : kernels::row_listings())
    names.insert(std::string(row.name));
  for (const auto* const name : {"pow", "cbrt", "expm1", "elu", "celu", "selu", "cosh", "atanh"}) {
    INFO(name);
    CHECK(names.count(name) == 2);  // float32 and float64
  }
}

TEST_CASE("long chains and sums of them give the bits of eager code, by any number of threads",
          "[jit]") {
  for (const auto dtype : {ag::float32, ag::float64}) {
    Tensor x = ag::randn({9001}, dtype).requires_grad_();
    const auto step = [](const TensorList& in) -> TensorList {
      const Tensor y = long_chain(in[0]), squares = ag::sum(y * y);
      return {y.detach(), squares.detach(), ag::mean(y).detach(), (y / squares).detach(),
              ag::grad({ag::sum(y)}, {in[0]})[0]};
    };
    check_replays(step, {x});
  }
}

TEST_CASE("chains of rows and of broadcast operands give the bits of eager code", "[jit]") {
  struct Sizes {
    std::int64_t rows, columns;
  };
  for (const auto dtype : {ag::float32, ag::float64})
    for (const auto [n, m] : {Sizes{70, 99}, {400, 128}, {5, 3000}, {1, 2500}, {2600, 1}, {3, 2}}) {
      INFO(n << " by " << m);
      const auto leaf = [&](const ag::Shape& s) { return ag::randn(s, dtype).requires_grad_(); };
      const auto step = [m = m](const TensorList& in) -> TensorList {
        const Tensor &x = in[0], &row = in[1], &column = in[2];
        const Tensor a = ag::softmax(x * row + column, 1);
        const Tensor b = ag::layer_norm(a - row, {m}, row, in[3]) * column;
        const Tensor c = ag::log_softmax(b, 1) + ag::rms_norm(b, {m}) / (2 + ag::square(row));
        const Tensor loss = ag::sum(c * a) + ag::sum(ag::layer_norm(x, {m}));
        TensorList all = ag::grad({loss}, in);
        for (const Tensor& t : {ag::layer_norm(x, {m}), c, loss}) all.push_back(t.detach());
        return all;
      };
      check_replays(step, {leaf({n, m}), leaf({m}), leaf({n, 1}), leaf({m})});
    }
}

TEST_CASE("one tensor is broadcast along other axes in one chain", "[jit]") {
  const Tensor x = ag::randn({60}, ag::float64);
  check_replays(
      [](const TensorList& in) -> TensorList {
        const Tensor a = ag::unsqueeze(in[0], 1), b = ag::unsqueeze(in[0], 0);
        const Tensor c = ag::tanh(a * b) - b / (2 + a * a), d = ag::reshape(in[0], {4, 15, 1});
        return {c, ag::exp(d * ag::ones({4, 15, 40}, ag::float64)) - d,
                ag::hessian([](const Tensor& v) { return ag::sum(ag::square(v * v - 1)); }, in[0])};
      },
      {x});
}

TEST_CASE("chains read the elements of results that repeat one number", "[jit]") {
  const std::int64_t n = 2048;
  const auto step = [](const TensorList& in) -> TensorList {
    const Tensor row = ag::expand(ag::exp(in[1]), {n}), copy = ag::expand(in[1], {n}).clone();
    Tensor written = ag::expand(in[1], {n}).clone();
    const Tensor twice = written * 2.0;
    written.copy_(twice + 1.0);
    return {ag::layer_norm(in[0], {n}, {}, row), row, ag::tanh(in[0] * copy), copy, twice, written};
  };
  for (const auto dtype : {ag::float32, ag::float64})
    check_replays(step, {ag::randn({n}, dtype), ag::randn({}, dtype)});
}

TEST_CASE("elements share registers with those of eager code where kernels look at all", "[jit]") {
  const ag::Shape shape{40, 2047};
  const Tensor x = ag::randn(shape) * 2.0, row = ag::randn({2047});
  check_replays(
      [](const TensorList& in) -> TensorList {
        const Tensor y = in[0] + in[1];
        return {ag::sin(y), ag::cos(ag::log_softmax(in[0], 1) + y), ag::tan(in[0] * in[1]) + in[1]};
      },
      {ag::where(ag::rand(shape) < 0.02, x * 1e4, x), row});
}

TEST_CASE("loops over a few elements give the bits of eager code", "[jit]") {
  for (const auto dtype : {ag::float32, ag::float64}) {
    const auto next = [](const Tensor& y, const Tensor& p) {
      const Tensor matrix = ag::reshape(ag::concat({y, ag::flip(y, {0})}), {2, 3});
      const Tensor turned = ag::transpose(ag::tanh(matrix * p), 0, 1);
      const Tensor padded = ag::pad(ag::narrow(ag::ravel(turned), 0, 1, 4), {1, 1}) - p[2];
      const Tensor signs = ag::where(ag::narrow(padded, 0, 0, 3) < 0, y, ag::sin(y));
      return ag::stack({y[1] * p[0], -0.1 * padded[3], y[0] / (2 + ag::square(p[1]))}) +
             0.1 * signs;
    };
    const auto step = [&](const TensorList& in) -> TensorList {
      const Tensor y =
          ag::scan([&](const Tensor& state) { return next(state, in[1]); }, in[0], {.length = 20});
      TensorList all = ag::grad({ag::sum(ag::square(y))}, in);
      all.push_back(y.detach());
      return all;
    };
    check_replays(step,
                  {ag::randn({3}, dtype).requires_grad_(), ag::randn({3}, dtype).requires_grad_()});
  }
}
