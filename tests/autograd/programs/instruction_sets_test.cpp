#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/autograd/programs/programs.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

// Numbers that are written to a file, or compared with those there.
class Numbers {
 public:
  explicit Numbers(const std::string& path)
      : there_(path, std::ios::binary), compares_(there_.good()) {
    if (!compares_) made_.open(path, std::ios::binary);
  }
  bool compares() const { return compares_; }
  double worst() const { return worst_; }

  /// Returns the largest difference, relative to the largest number of the tensor and at least 1.
  double add(const Tensor& t) {
    const auto got = t.defined() ? t.to(ag::float64).to_vector<double>() : std::vector<double>();
    const auto bytes = static_cast<std::streamsize>(got.size() * sizeof(double));
    if (!compares_) return made_.write(reinterpret_cast<const char*>(got.data()), bytes), 0;
    std::vector<double> right(got.size());
    there_.read(reinterpret_cast<char*>(right.data()), bytes);
    REQUIRE(there_.gcount() == bytes);
    double scale = 1, difference = 0;
    for (const double r : right) scale = std::isfinite(r) ? std::max(scale, std::abs(r)) : scale;
    for (std::size_t i = 0; i < got.size(); ++i)
      if (std::isnan(got[i]) != std::isnan(right[i]))
        difference = INFINITY;
      else if (table::differs(got[i], right[i], 0))
        difference = std::max(difference, std::abs(got[i] - right[i]) / scale);
    worst_ = std::max(worst_, difference);
    return difference;
  }

 private:
  std::ifstream there_;
  std::ofstream made_;
  bool compares_;
  double worst_ = 0;
};

// The value, its gradient, and the gradient of that.
template <class F>
TensorList derivatives(const TensorList& in, const F& f) {
  const Tensor y = f(in);
  TensorList all{y};
  if (!y.requires_grad()) return all;
  Tensor slope;
  for (const Tensor& g : ag::grad({ag::sum(y)}, table::differentiable(in),
                                  {.create_graph = true, .allow_unused = true})) {
    all.push_back(g);
    if (!g.defined() || !g.requires_grad()) continue;
    slope = slope.defined() ? slope + ag::sum(g * ag::cos(g.detach())) : ag::sum(g);
  }
  if (slope.defined())
    for (const Tensor& g : ag::grad({slope}, table::differentiable(in), {.allow_unused = true}))
      all.push_back(g);
  return all;
}

}  // namespace

// XGRAD_NUMBERS=FILE: values and two derivatives of the table and of random programs go to FILE; where it is
// there already they are compared with it. tests/fire/simd_run does so with each set of instructions.
TEST_CASE("instruction sets agree on the table and on random programs", "[.instructions]") {
  const char* const path = std::getenv("XGRAD_NUMBERS");
  REQUIRE(path);
  Numbers numbers(path);
  table::for_each_sample([&](const table::Row& row, const table::Sample& sample) {
    if (!row.differentiable) return;
    for (const Tensor& t : derivatives(table::leaves(sample.inputs), sample.call))
      CHECK(numbers.add(t) < 1e-12);
  });
  const double of_table = numbers.worst();
  const auto& ops = programs::registry();
  std::size_t count = 0;
  for (std::uint64_t seed = 300'000; seed < 302'000; ++seed) {
    const auto p = programs::generate(ops, seed, 5 + seed % 30);
    INFO("seed " << seed << "\n" << programs::print(ops, p));
    const auto sum_of = [&](const TensorList& in) {
      const auto all = programs::detail::run(ops, p, in);
      if (!all) return ag::zeros({});
      Tensor total = ag::zeros({}, ag::float64);
      for (const std::size_t i : programs::detail::heads(p)) total = total + ag::sum((*all)[i]);
      return total;
    };
    for (const Tensor& t : derivatives(table::leaves(TensorList(p.inputs)), sum_of))
      CHECK(numbers.add(t) < 1e-11);
    ++count;
  }
  fmt::print("{} programs; {}: {:.1e} in the table, {:.1e} in all\n", count,
             numbers.compares() ? "the largest differences" : "written", of_table, numbers.worst());
}
