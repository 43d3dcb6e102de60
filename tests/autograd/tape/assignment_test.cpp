#include <fmt/format.h>

#include <type_traits>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

// x[…] = v writes, auto row = x[…] is a handle, and what is neither does not compile.
namespace ag = autograd;
using namespace ag::indexing;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using V = std::vector<double>;

namespace {

V values(const Tensor& t) { return t.to(ag::float64).to_vector<double>(); }

Tensor grid() { return ag::tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}); }

template <class To, class From>
constexpr bool assigns = std::is_assignable_v<To, From>;
using Temporary = decltype(std::declval<Tensor&>()[0]);
using OfConst = decltype(std::declval<const Tensor&>()[0]);

}  // namespace

TEST_CASE("an assignment through an index writes the elements") {
  Tensor x = grid();
  const Tensor other = x;  // another handle to the same tensor
  x[0] = ag::tensor({7.0, 8.0, 9.0});
  CHECK(values(other) == V{7, 8, 9, 4, 5, 6});
  x[{all, 1}] = 0;
  CHECK(values(x) == V{7, 0, 9, 4, 0, 6});
  x[{-1, slice(none, none, -1)}] = ag::tensor({1.0, 2.0, 3.0});
  CHECK(values(x) == V{7, 0, 9, 3, 2, 1});
  x[{slice(0, 2), slice(0, 3, 2)}] = ag::tensor({{10.0}, {20.0}});  // broadcasts
  CHECK(values(x) == V{10, 0, 10, 20, 2, 20});
  x[x > 5.0] = -1;
  CHECK(values(x) == V{-1, 0, -1, -1, 2, -1});
  x[{all, ag::tensor({2, 0})}] = ag::tensor({{1.0, 2.0}, {3.0, 4.0}});
  CHECK(values(x) == V{2, 0, 1, 4, 2, 3});
  x[{ag::tensor({1, 0}), ag::tensor({1, 1})}] = ag::tensor({5.0, 6.0});
  CHECK(values(x) == V{2, 6, 1, 4, 5, 3});
  x[{1, 1}] = x[{0, 0}];
  CHECK(values(x) == V{2, 6, 1, 4, 2, 3});
  x[{ellipsis}] = ag::ones({1, 1, 2, 3}, ag::float64);  // NumPy's further axes of size 1
  CHECK(values(x) == V(6, 1));
  Tensor number = ag::tensor(3.0);
  number[{}] = 4;
  CHECK(number.item() == 4);
  x[{slice(5, 9)}] = ag::zeros({0, 3}, ag::float64);  // nothing
  CHECK(values(x) == V(6, 1));
}

TEST_CASE("compound assignments read, compute and write") {
  Tensor x = grid();
  x[0] += 1;
  x[{all, 0}] *= ag::tensor({10.0, 100.0});
  x[{1, 1}] -= x[{1, 2}];
  x[{1, 2}] /= 2;
  CHECK(values(x) == V{20, 3, 4, 400, -1, 3});
  // As in NumPy: each is read once, and the last one stays.
  Tensor counts = ag::zeros({3}, ag::int64);
  counts[ag::tensor({1, 1, 2})] += 1;
  CHECK(values(counts) == V{0, 1, 1});
}

TEST_CASE("integers and truth values are assigned exactly") {
  Tensor i = ag::arange(3);
  i[1] = std::int64_t{9007199254740993};
  CHECK(i.to_vector<std::int64_t>()[1] == 9007199254740993);
  CHECK_THROWS_WITH(i[0] = 0.5, ContainsSubstring("must be representable"));
  CHECK_THROWS_WITH(i[0] = ag::tensor(1.0), ContainsSubstring("index: dtypes must match"));
  Tensor mask = ag::zeros({2}, ag::boolean);
  mask[1] = true;
  CHECK(values(mask) == V{0, 1});
}

TEST_CASE("of several values for one place the last stays") {
  Tensor x = ag::zeros({3}, ag::float64);
  x[ag::tensor({1, 2, -2, 1})] = ag::tensor({1.0, 2.0, 3.0, 4.0});
  CHECK(values(x) == V{0, 4, 2});
}

TEST_CASE("an assignment from the same tensor reads before it writes") {
  Tensor x = ag::arange(4).to(ag::float64);
  x[{slice(none, none, -1)}] = x;
  CHECK(values(x) == V{3, 2, 1, 0});
  x[{slice(1, none)}] = x[{slice(none, -1)}];
  CHECK(values(x) == V{3, 3, 2, 1});
}

TEST_CASE("a part with a name is a handle, whose assignment writes nothing") {
  Tensor x = grid();
  auto row = x[0];
  Tensor copy = x[1];
  row = ag::tensor({9.0});
  CHECK(values(row) == V{9});
  row = x[1];
  row += 1;
  copy = copy * 2;
  copy += 1;
  CHECK(values(row) == V{5, 6, 7});
  CHECK(values(x) == values(grid()));
  CHECK(x.version() == 0);
  // A part is a copy: later writes do not show in it.
  const Tensor before = x[0];
  x[0] = 0;
  CHECK(values(before) == V{1, 2, 3});
}

TEST_CASE("parts are read as any tensor") {
  Tensor x = grid();
  CHECK(x[{0, 1}].item() == 2);
  CHECK(values(x[0] + x[1]) == V{5, 7, 9});
  CHECK(values(ag::stack({x[0], x[1]})) == values(x));
  CHECK(ag::sum(x[0]).item() == 6);
  CHECK(values(ag::where(x[0] > 1.0, x[0], x[1])) == V{4, 2, 3});
  CHECK(fmt::format("{:.1f}", x[{0, slice(0, 2)}]) == "[1.0, 2.0]");
  CHECK(values(x[0][1]) == V{2});
  const std::vector<Tensor> rows{x[0], x[1]};
  CHECK(values(rows[1]) == V{4, 5, 6});
  Tensor leaf = grid().requires_grad_();
  CHECK(values(ag::grad({ag::sum(leaf[1] * leaf[0])}, {leaf})[0]) == V{4, 5, 6, 1, 2, 3});
}

TEST_CASE("what could not write does not compile") {
  STATIC_REQUIRE(assigns<Temporary, Tensor>);
  STATIC_REQUIRE(assigns<Temporary, Temporary>);
  STATIC_REQUIRE(assigns<Temporary, double>);
  STATIC_REQUIRE(assigns<Temporary, int>);
  STATIC_REQUIRE(std::is_same_v<OfConst, Tensor>);
  STATIC_REQUIRE_FALSE(assigns<OfConst, Tensor>);
  STATIC_REQUIRE_FALSE(assigns<OfConst, double>);
  STATIC_REQUIRE_FALSE(assigns<decltype(std::declval<Temporary>()[0]), Tensor>);  // x[0][0] = v
  STATIC_REQUIRE_FALSE(assigns<Tensor, Tensor>);                                  // f(x) = v
  STATIC_REQUIRE(assigns<Tensor&, Tensor>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<Tensor>);
}

TEST_CASE("an assignment through an index is counted, and stale values are caught") {
  Tensor x = grid().requires_grad_();
  const Tensor y = ag::sum(x * x);
  const auto before = x.version();
  x[0] = 1;
  CHECK(x.version() == before + 1);
  CHECK_THROWS_WITH(y.backward(), ContainsSubstring("must not change before the walk"));
  // A leaf stays one, and is differentiated at what it holds now.
  ag::sum(x * x).backward();
  CHECK(values(x.grad()) == V{2, 2, 2, 8, 10, 12});
}

TEST_CASE("an assignment that a gradient would miss is refused") {
  Tensor x = grid();
  const Tensor leaf = ag::tensor(2.0).requires_grad_();
  CHECK_THROWS_WITH(x[0] = leaf,
                    ContainsSubstring("index: the value of an assignment must not require a "
                                      "gradient, which would be lost; use index_put()"));
  Tensor result = leaf * grid();
  CHECK_THROWS_WITH(result[0] = 1,
                    ContainsSubstring("must not be the result of a recorded operation (mul); use "
                                      "index_put(), or detach() it first"));
  CHECK_THROWS_WITH((x[{0, 0}] += leaf), ContainsSubstring("must not require a gradient"));
  {
    const ag::NoGrad off;
    x[0] = leaf;
  }
  CHECK(values(x) == V{2, 2, 2, 4, 5, 6});
  CHECK_THROWS_WITH(x[0] = ag::tensor({1.0, 2.0}),
                    ContainsSubstring("index: the shape must broadcast to (3,), got (2,)"));
  CHECK_THROWS_WITH(x[2] = 1, ContainsSubstring("the index must be in [-2, 1]"));
  CHECK_THROWS_WITH(x[0] = ag::tensor({{1.0}, {2.0}}), ContainsSubstring("must broadcast"));
  Tensor none;
  CHECK_THROWS_WITH(none[0] = 1, ContainsSubstring("must be defined"));
  CHECK(values(x) == V{2, 2, 2, 4, 5, 6});
}

TEST_CASE("a compiled function writes through an index each time, or refuses to") {
  Tensor state = ag::zeros({3}, ag::float64);
  auto step = ag::compile([&](const Tensor& x) {
    state[1] = ag::sum(x);
    state[{slice(1, none)}] += 1;
    return state * x;
  });
  for (const double v : {1.0, 2.0, 5.0}) {
    const Tensor y = step(ag::full({3}, v, ag::float64));
    CHECK(values(state)[1] == 3 * v + 1);
    CHECK(values(y)[1] == (3 * v + 1) * v);
  }
  CHECK(values(state)[2] == 3);
}

TEST_CASE("index_put accumulates, or gives the last value its gradient") {
  const Tensor x = ag::tensor({1.0, 2.0, 3.0}).requires_grad_();
  const Tensor v = ag::tensor({10.0, 20.0, 30.0}).requires_grad_();
  const Tensor at = ag::tensor({1, 0, 1});
  const Tensor put = ag::index_put(x, {at}, v), added = ag::index_put(x, {at}, v, true);
  CHECK(values(put) == V{20, 30, 3});
  CHECK(values(added) == V{21, 42, 3});
  CHECK(values(x) == V{1, 2, 3});
  const auto g = ag::grad({ag::sum(put)}, {x, v});
  CHECK(values(g[0]) == V{0, 0, 1});
  CHECK(values(g[1]) == V{0, 1, 1});
  const auto h = ag::grad({ag::sum(added)}, {x, v});
  CHECK(values(h[0]) == V{1, 1, 1});
  CHECK(values(h[1]) == V{1, 1, 1});
  CHECK(values(ag::index_put(x, {slice(0, 2)}, 7)) == V{7, 7, 3});
}

TEST_CASE("look-ups by ids may refuse negative ones") {
  const Tensor table = grid(), ids = ag::tensor({1, -1}), grid_ids = ag::tensor({{1, -1}});
  CHECK(values(ag::index_select(table, 0, ids)) == V{4, 5, 6, 4, 5, 6});
  const auto refused = ContainsSubstring("indices must be in [0, 1] for axis 0 of (2, 3), got -1");
  CHECK_THROWS_WITH(ag::index_select(table, 0, ids, {.negative = false}), refused);
  CHECK_THROWS_WITH(ag::gather(table, 0, grid_ids, {.negative = false}), refused);
  CHECK_THROWS_WITH(ag::take_along_axis(table, ag::tensor({{1}, {-1}}), 1, {.negative = false}),
                    ContainsSubstring("indices must be in [0, 2] for axis 1 of (2, 3), got -1"));
  CHECK_THROWS_WITH(
      ag::take(table, ids, {.negative = false}),
      ContainsSubstring("take: indices must be in [0, 5] for axis 0 of (6,), got -1"));
  const Tensor x = grid().requires_grad_();
  const Tensor y = ag::index_select(x, 0, ag::tensor({1, 1}), {.negative = false});
  CHECK(values(ag::grad({ag::sum(y)}, {x})[0]) == V{0, 0, 0, 2, 2, 2});
}

template <class P>
concept GivesPointer = requires(P p) {
  std::move(p).template mutable_data<float>();
};
template <class P>
concept TakesData = requires(P p, const Tensor& t) {
  std::move(p).set_data(t);
};

TEST_CASE("copy_() into a part writes, and what would change a copy of it does not compile") {
  Tensor x = ag::zeros({2, 2});
  x[1].copy_(ag::tensor({3, 4}));
  CHECK(x.to_vector<float>() == std::vector<float>{0, 0, 3, 4});
  STATIC_REQUIRE_FALSE(GivesPointer<decltype(x[0])>);
  STATIC_REQUIRE_FALSE(TakesData<decltype(x[0])>);
  STATIC_REQUIRE(GivesPointer<Tensor> && TakesData<Tensor>);
  auto row = x[0];
  row.copy_(ag::ones({2}));  // a handle of its own
  CHECK(x.to_vector<float>() == std::vector<float>{0, 0, 3, 4});
}
