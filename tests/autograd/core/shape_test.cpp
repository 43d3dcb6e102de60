#include "autograd/core/shape.hpp"

#include <string>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Shape;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("shapes print as Python tuples") {
  CHECK(Shape().str() == "()");
  CHECK(Shape(3).str() == "(3,)");
  CHECK(Shape(2, 3).str() == "(2, 3)");
  CHECK(fmt::format("{}", Shape(1, 2, 3, 4, 5, 6, 7)) == "(1, 2, 3, 4, 5, 6, 7)");
}

TEST_CASE("shapes of impossible sizes are refused") {
  CHECK_THROWS_WITH(ag::zeros({2, -1}), ContainsSubstring("sizes must be at least 0, got (2, -1)"));
  const std::int64_t huge = std::int64_t{1} << 40;
  CHECK_THROWS_WITH(ag::zeros({huge, huge}), ContainsSubstring("must fit in 63 bits"));
  CHECK_THROWS_WITH(ag::zeros({huge, 0, huge}), ContainsSubstring("must fit in 63 bits"));
  CHECK_THROWS_WITH(
      ag::zeros({huge, 1 << 10}),
      ContainsSubstring(
          "memory for the elements must be there, got none for shape (1099511627776, 1024)"));
}

TEST_CASE("tensors of many axes work like those of few") {
  const ag::Tensor x = ag::ones({2, 1, 2, 1, 2, 1, 2, 1, 2});
  CHECK(ag::sum(x, {0, 4, 8}).shape() == Shape(1, 2, 1, 1, 2, 1));
  CHECK(ag::permute(x, {8, 7, 6, 5, 4, 3, 2, 1, 0}).shape() == x.shape());
  CHECK((x + ag::ones({3, 1})).shape() == Shape(2, 1, 2, 1, 2, 1, 2, 3, 2));
}

TEST_CASE("an inline vector keeps its elements beyond its inline space") {
  ag::InlineVector<std::string, 2> v{"a", "b"};
  const std::string long_text(100, 'x');
  for (int i = 0; i < 10; ++i) v.push_back(long_text);
  v.push_back(v[0]);  // an element of its own, while it grows
  CHECK(v.size() == 13);
  CHECK(v[12] == "a");
  auto copy = v;
  auto moved = std::move(v);
  CHECK(v.empty());
  CHECK(copy == moved);
  moved.insert(moved.begin(), "front");
  CHECK(moved.front() == "front");
  CHECK(moved[1] == "a");
  moved.erase(moved.begin() + 1);
  CHECK(moved[1] == "b");
  copy = moved;
  copy.resize(2);
  CHECK(copy.size() == 2);
  moved = std::move(copy);
  CHECK(moved.size() == 2);
  const std::vector<std::string> from{"p", "q", "r"};
  CHECK(ag::InlineVector<std::string, 2>(from).back() == "r");
}
