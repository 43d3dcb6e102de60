// Gradients that come together from several operations: added in place where that changes nothing.
#include "autograd/autograd.hpp"

#include <functional>
#include <string>
#include <vector>

#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

Tensor leaf(const ag::Shape& shape, ag::DType dtype) {
  ag::manual_seed(7);
  return ag::rand(shape, dtype).requires_grad_();
}

// x meets every kind of gradient: computed, passed on, zero, broadcast, twice in one operation.
Tensor tangle(const Tensor& x, const Tensor& w) {
  const Tensor a = x * x + ag::exp(x) * w, b = ag::hypot(x, x) - x / (w + 2.0);
  const Tensor c = ag::lerp(x, x, w) + (x - x) + ag::floor(x) * x + w;
  return ag::sum(a * b + ag::maximum(x, w) * c + a) + ag::sum(x * ag::ones({1}, x.dtype()));
}

// A row added to each row of x.
template <bool broadcasts>
struct AddRow {
  static constexpr bool kBroadcasts = broadcasts;
  std::string_view name() const { return "add_row"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const ag::Inputs& in, Tensor& out) const {
    const auto* x = in[0].data<double>();
    const auto* row = in[1].data<double>();
    auto* to = static_cast<double*>(out.raw_mutable());
    const std::int64_t width = in[1].numel();
    for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = x[i] + row[i % width];
  }
  TensorList backward(const ag::Call& call) const { return {call.grad(), call.grad()}; }
};

}  // namespace

TEST_CASE("gradients added in place have the bits of those added afterwards", "[threads]") {
  for (const int threads : {1, 2})
    for (const ag::DType d : {ag::float32, ag::float64})
      for (const std::int64_t n : {1, 7, 64, 65, 512, 1025, 100'000}) {
        INFO(threads << " threads, " << ag::name(d) << ", " << n);
        ag::set_num_threads(threads);
        Tensor x = leaf({n}, d), w = leaf({n}, d);
        tangle(x, w).backward();
        const Tensor gx = x.grad(), gw = w.grad();
        auto step = ag::compile([](const Tensor& a, const Tensor& b) {
          tangle(a, b).backward();
          return TensorList{a.grad(), b.grad()};
        });
        x.zero_grad(), w.zero_grad();
        TensorList replayed = step(x, w);
        CHECK(same_bits(replayed[0], gx));
        CHECK(same_bits(replayed[1], gw));
      }
  ag::set_num_threads(1);
}

TEST_CASE("a gradient of 0 takes the sign from a total of -0, eager and replayed") {
  const auto one_way = [](const Tensor& x) { return ag::sum(x * -0.0) + ag::sum(ag::floor(x)); };
  const auto other_way = [](const Tensor& x) { return ag::sum(ag::floor(x)) + ag::sum(x * -0.0); };
  for (const auto& f : std::vector<std::function<Tensor(const Tensor&)>>{one_way, other_way}) {
    Tensor x = leaf({3}, ag::float64);
    f(x).backward();
    CHECK(same_bits(x.grad(), ag::zeros({3}, ag::float64)));
    x.zero_grad();
    auto step = ag::compile([&](const Tensor& a) {
      f(a).backward();
      return a.grad();
    });
    CHECK(same_bits(step(x), ag::zeros({3}, ag::float64)));
  }
}

TEST_CASE("gradients added in place are those of differences") {
  for (const std::int64_t n : {1, 5, 130}) {
    const Tensor x = ag::rand({n}, ag::float64), w = ag::rand({n}, ag::float64) * 0.3 + 1.1;
    const auto check = ag::gradcheck([](const TensorList& in) { return tangle(in[0], in[1]); },
                                     TensorList{x + 0.01, w});
    INFO(check.report());
    CHECK(static_cast<bool>(check));
  }
}

TEST_CASE("a gradient in another shape of as many elements joins the others") {
  const Tensor x = leaf({4}, ag::float64), row = ag::full({1, 4}, 3, ag::float64);
  // The first comes in the shape of x, the second in that of the row.
  (ag::sum(x * row) + ag::sum(x * x)).backward();
  CHECK(x.grad().shape() == ag::Shape{4});
  CHECK(same_bits(x.grad(), 2 * x.detach() + 3));
}

TEST_CASE("a cotangent that someone keeps is not added to") {
  const Tensor x = ag::tensor({1.0, 2.0, 3.0}).requires_grad_();
  Tensor y = x * 1.0, seen;
  y.register_hook([&](const Tensor& g) {
    seen = g;
    return Tensor();
  });
  (ag::sum(y * y) + ag::sum(x * x) + ag::sum(y)).backward();
  CHECK(same_bits(seen, 2 * y.detach() + 1));
  CHECK(same_bits(x.grad(), 4 * x.detach() + 1));
}

TEST_CASE("anomaly mode names the operation whose part of a gradient is NaN") {
  const Tensor x = ag::tensor({1.0, 0.0}).requires_grad_();
  const ag::AnomalyMode watched;
  const Tensor y = ag::sum(x * x) + ag::sum(ag::atan2(x, x * 1.0));
  CHECK_THROWS_WITH(y.backward(), Catch::Matchers::ContainsSubstring("atan2"));
}

TEST_CASE("a gradient in the broadcast shape is summed for an operation that broadcasts alone") {
  const Tensor x = leaf({3, 2}, ag::float64), row = leaf({2}, ag::float64);
  ag::sum(ag::apply(AddRow<true>{}, x, row)).backward();
  CHECK(same_bits(row.grad(), ag::full({2}, 3, ag::float64)));
  CHECK_THROWS_WITH(ag::sum(ag::apply(AddRow<false>{}, x, row)).backward(),
                    "add_row backward, input 1: the gradient must have the shape of its tensor, "
                    "got (3, 2) for (2,)");
}
