#include "nn/data/standardizer.hpp"

#include <cmath>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/io/save.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::Equals;
using nn::data::Standardizer;

namespace {

struct Model : nn::Module {
  Standardizer input{2};
  NN_MODULE(input)
};

}  // namespace

TEST_CASE("a standardizer gives each column mean 0 and standard deviation 1") {
  ag::Generator g(1);
  const Tensor x = 5 * ag::randn({200, 3}, ag::float64, g) + ag::tensor({1e6, 0.0, -3.0});
  const Tensor z = Standardizer().fit(x).transform(x);
  const Tensor mean = ag::mean(z, 0), variance = ag::var(z, 0, false, 0);
  for (int c = 0; c < 3; ++c) {
    CHECK(std::abs(mean.data<double>()[c]) < 1e-9);
    CHECK(std::abs(variance.data<double>()[c] - 1) < 1e-10);
  }
}

TEST_CASE("a standardizer takes the shape of a row in braces or as a number") {
  CHECK(Standardizer({2}).mean.shape() == ag::Shape{2});
  CHECK(Standardizer(2).mean.shape() == ag::Shape{2});
  CHECK(Standardizer({2, 3}).mean.shape() == ag::Shape{2, 3});
}

TEST_CASE("a standardizer keeps the figures of what it was fitted to") {
  Standardizer s;
  s.fit(ag::tensor({{1.0, 10.0}, {3.0, 30.0}}));
  CHECK(s.mean.to_vector<double>() == std::vector<double>{2, 20});
  CHECK(s.scale.to_vector<double>() == std::vector<double>{1, 10});
  const Tensor z = s(ag::tensor({{4.0, 0.0}}));
  CHECK(z.to_vector<double>() == std::vector<double>{2, -2});
  CHECK(s.inverse_transform(z).to_vector<double>() == std::vector<double>{4, 0});
}

TEST_CASE("a constant column is only shifted") {
  Standardizer s;
  const Tensor x = ag::full({7, 1}, 0.1, ag::float64);
  CHECK(s.fit(x).transform(x).to_vector<double>() == std::vector<double>(7, 0.0));
  CHECK(s.scale.item<double>() == 1);
  CHECK(s.fit(ag::ones({1, 2})).scale.to_vector<double>() == std::vector<double>{1, 1});
}

TEST_CASE("numbers near the ends of the range are standardized like others") {
  for (const double unit : {1e-200, 1e200, 4e307}) {
    Standardizer s;
    const Tensor x = ag::tensor({unit, 3 * unit});
    const Tensor z = s.fit(x).transform(x);
    CHECK(z.data<double>()[0] == Catch::Approx(-1));
    CHECK(z.data<double>()[1] == Catch::Approx(1));
  }
}

TEST_CASE("a standardizer works in the dtype of its input, on rows of any shape, on the tape") {
  Standardizer s;
  s.fit(ag::reshape(ag::arange(8, ag::float32), {2, 2, 2}));
  CHECK(s.mean.shape() == ag::Shape(2, 2));
  const Tensor x = ag::ones({3, 2, 2}).requires_grad_();
  const Tensor z = s.transform(x);
  CHECK(z.dtype() == ag::float32);
  ag::sum(z).backward();
  CHECK(x.grad().data<float>()[0] == 0.5f);
  CHECK(s.fit(ag::tensor({1.0, 3.0})).transform(ag::tensor({5.0})).item<double>() == 3);
}

TEST_CASE("a standardizer is saved and loaded, alone or as a part of a model") {
  const Scratch dir;
  Model model, again;
  model.input.fit(ag::tensor({{1.0, 10.0}, {3.0, 30.0}}));
  nn::save(model, dir / "model");
  nn::load(again, dir / "model");
  CHECK(again.input.mean.to_vector<double>() == std::vector<double>{2, 20});
  CHECK(again.input.scale.to_vector<double>() == std::vector<double>{1, 10});
  CHECK(again.parameters().empty());
  CHECK(Standardizer(2).transform(ag::ones({1, 2})).to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("some columns of a standardizer bring back forecasts of those") {
  Standardizer all;
  const Tensor x = ag::tensor({{1.0, 10.0, 5.0}, {3.0, 30.0, 5.0}});
  all.fit(x);
  const Standardizer some = all.select({2, 1});
  const Tensor scaled = ag::index_select(all(x), 1, ag::tensor({2, 1}));
  CHECK(some.inverse_transform(scaled).to_vector<double>() == std::vector<double>{5, 10, 5, 30});
  CHECK(all.mean.shape() == ag::Shape{3});
  CHECK_THROWS_WITH(all.select({3}), Equals("select: columns must be in [0, 3), got 3"));
  CHECK_THROWS_WITH(Standardizer().select({0}),
                    Equals("select: the standardizer must be fitted to rows of columns, got none; "
                           "call fit first"));
  Standardizer single;
  single.fit(ag::tensor({1.0, 2.0}));
  CHECK_THROWS_WITH(single.select({0}),
                    Equals("select: the standardizer must be fitted to rows of columns, got one of "
                           "single numbers"));
}

TEST_CASE("a standardizer refuses what it cannot be fitted or applied to") {
  Standardizer s;
  CHECK_THROWS_WITH(s.transform(ag::ones({1, 2})),
                    Equals("transform: the standardizer must be fitted, got none; call fit first"));
  CHECK_THROWS_WITH(
      s.fit(ag::ones({0, 2})),
      Equals("fit: needs at least one row of float32 or float64, got float32 (0, 2)"));
  CHECK_THROWS_WITH(s.fit(ag::ones({3, 2}, ag::int64)),
                    Equals("fit: needs at least one row of float32 or float64, got int64 (3, 2)"));
  CHECK_THROWS_WITH(s.fit(ag::ones({})),
                    Equals("fit: needs at least one row of float32 or float64, got float32 ()"));
  CHECK_THROWS_WITH(s.fit(ag::tensor({{1.0, 2.0}, {3.0, std::nan("")}})),
                    Equals("fit: values must be finite, got nan in row 1, column 1"));
  s.fit(ag::ones({3, 2}));
  CHECK_THROWS_WITH(s.transform(ag::ones({3, 4})),
                    Equals("transform: rows must have the shape (2,) of those fitted, got (3, 4)"));
  CHECK_THROWS_WITH(
      s.inverse_transform(ag::ones({})),
      Equals("inverse_transform: rows must have the shape (2,) of those fitted, got ()"));
}
