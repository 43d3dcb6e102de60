#include <cmath>
#include <memory>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using I = std::vector<std::int64_t>;
using V = std::vector<double>;

TEST_CASE("arange counts from start to stop") {
  CHECK(ag::arange(4).to_vector<std::int64_t>() == I{0, 1, 2, 3});
  CHECK(ag::arange(2, 9, 3).to_vector<std::int64_t>() == I{2, 5, 8});
  CHECK(ag::arange(2, 8, 3).to_vector<std::int64_t>() == I{2, 5});
  CHECK(ag::arange(3, -2, -2).to_vector<std::int64_t>() == I{3, 1, -1});
  CHECK(ag::arange(1, 3).dtype() == ag::int64);
  CHECK(ag::arange(5, 5).shape() == ag::Shape(0));
  CHECK(ag::arange(INT64_MIN, INT64_MAX, INT64_MAX).to_vector<std::int64_t>() ==
        I{INT64_MIN, -1, INT64_MAX - 1});
  const Tensor x = ag::arange(0, 1, 0.25);
  CHECK(x.dtype() == ag::float32);
  CHECK(x.to_vector<float>() == std::vector<float>{0, 0.25f, 0.5f, 0.75f});
  CHECK(ag::arange(1.0, 0.0, -0.5, ag::float64).to_vector<double>() == V{1, 0.5});
  CHECK(ag::arange(0, 3, 1, ag::float64).to_vector<double>() == V{0, 1, 2});
  CHECK(ag::arange(0.0, 3.0, 1.0, ag::int64).to_vector<std::int64_t>() == I{0, 1, 2});
  CHECK_THROWS_WITH(ag::arange(0, 3, 0),
                    "arange: the step must lead from start to stop, got 0 from 0 to 3");
  CHECK_THROWS_WITH(ag::arange(3, 0), ContainsSubstring("got 1 from 3 to 0"));
  CHECK_THROWS_WITH(ag::arange(0.0, NAN, 1.0), ContainsSubstring("the step must lead"));
  CHECK_THROWS_WITH(ag::arange(0.0, 1e30, 1.0), ContainsSubstring("must fit in memory"));
  CHECK_THROWS_WITH(ag::arange(0.0, 2.0, 0.5, ag::int64), ContainsSubstring("must be whole"));
  CHECK_THROWS_WITH(ag::arange(0, 2, 1, ag::boolean), ContainsSubstring("needs a number dtype"));
  CHECK_THROWS_WITH(ag::arange(-1), ContainsSubstring("the length must be at least 0"));
}

TEST_CASE("linspace and logspace hold both ends") {
  CHECK(ag::linspace(0, 1, 5, ag::float64).to_vector<double>() == V{0, 0.25, 0.5, 0.75, 1});
  CHECK(ag::linspace(3, -1, 3, ag::float64).to_vector<double>() == V{3, 1, -1});
  CHECK(ag::linspace(2, 9, 1, ag::float64).to_vector<double>() == V{2});
  CHECK(ag::linspace(2, 9, 0).shape() == ag::Shape(0));
  CHECK(ag::linspace(2, 9, 4).dtype() == ag::float32);
  const auto x = ag::linspace(0.1, 0.7, 1000, ag::float64).to_vector<double>();
  CHECK(x.front() == 0.1);
  CHECK(x.back() == 0.7);
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(std::abs(x[i] - (0.1 + 0.6 * static_cast<double>(i) / 999)) < 1e-15);
  CHECK(ag::logspace(0, 2, 3, 10, ag::float64).to_vector<double>() == V{1, 10, 100});
  CHECK(ag::logspace(-1, 1, 3, 2, ag::float64).to_vector<double>() == V{0.5, 1, 2});
  CHECK_THROWS_WITH(ag::linspace(0, 1, -1), ContainsSubstring("the length must be at least 0"));
  CHECK_THROWS_WITH(ag::logspace(0, 1, -1), ContainsSubstring("the length must be at least 0"));
  CHECK_THROWS_WITH(ag::linspace(0, 1, 2, ag::int64),
                    ContainsSubstring("needs float32 or float64"));
}

TEST_CASE("eye has ones on the diagonal") {
  CHECK(ag::eye(2, ag::int64).to_vector<std::int64_t>() == I{1, 0, 0, 1});
  CHECK(ag::eye(2, 3, ag::float64).to_vector<double>() == V{1, 0, 0, 0, 1, 0});
  CHECK(ag::eye(3, 1, ag::float64).to_vector<double>() == V{1, 0, 0});
  CHECK(ag::eye(1, ag::boolean).item<bool>());
  CHECK(ag::eye(0, 2).shape() == ag::Shape(0, 2));
  CHECK(ag::eye(2).dtype() == ag::float32);
  CHECK_THROWS_WITH(ag::eye(-1), ContainsSubstring("eye: sizes must be at least 0"));
}

TEST_CASE("tensors like another take its shape and dtype") {
  for (const ag::DType dtype : {ag::float32, ag::float64, ag::int64, ag::boolean}) {
    const Tensor x = ag::zeros({2, 0, 3}, dtype), y = ag::ones({3}, dtype);
    for (const Tensor& t :
         {ag::empty_like(x), ag::zeros_like(x), ag::ones_like(x), ag::full_like(x, 1)}) {
      CHECK(t.shape() == x.shape());
      CHECK(t.dtype() == dtype);
    }
    CHECK(ag::full_like(y, 1).to(ag::float64).to_vector<double>() == V{1, 1, 1});
    CHECK(ag::zeros_like(y).to(ag::float64).to_vector<double>() == V{0, 0, 0});
  }
  const Tensor x = ag::zeros({50}, ag::float64);
  ag::Generator a(3), b(3);
  CHECK(ag::rand_like(x, a).to_vector<double>() ==
        ag::rand({50}, ag::float64, b).to_vector<double>());
  CHECK(ag::randn_like(x, a).to_vector<double>() ==
        ag::randn({50}, ag::float64, b).to_vector<double>());
  CHECK_THROWS_WITH(ag::rand_like(ag::arange(3)), ContainsSubstring("needs float32 or float64"));
  CHECK(ag::full({1}, 2.9, ag::int64).item<std::int64_t>() == 2);
  CHECK_THROWS_WITH(ag::full({1}, NAN, ag::int64), "full: the value must fit in int64, got nan");
  CHECK_THROWS_WITH(ag::full({1}, 1e19, ag::int64), ContainsSubstring("must fit in int64"));
}

TEST_CASE("from_data copies") {
  std::vector<float> v{1, 2, 3, 4};
  const Tensor t = ag::from_data(v.data(), {2, 2});
  v[0] = 9;
  CHECK(t.to_vector<float>() == std::vector<float>{1, 2, 3, 4});
  const float* none = nullptr;
  CHECK(ag::from_data(none, {0, 3}).numel() == 0);
  CHECK_THROWS_WITH(ag::from_data(none, {2}),
                    "from_data: the memory must be there, got a null pointer for shape (2,)");
  alignas(8) char raw[32] = {};
  CHECK_THROWS_WITH(ag::from_data(reinterpret_cast<double*>(raw + 1), {2}),
                    ContainsSubstring("the memory must be aligned to 8 bytes"));
  CHECK_THROWS_WITH(ag::from_data(v.data(), {-1}), ContainsSubstring("sizes must be at least 0"));
}

TEST_CASE("from_blob shares memory and gives it back once") {
  int released = 0;
  auto owner = std::make_shared<std::vector<double>>(V{1, 2, 3, 4, 5, 6});
  double* data = owner->data();
  {
    Tensor kept;
    {
      Tensor x = ag::from_blob(data, {2, 3}, [&, owner](double* p) {
        CHECK(p == owner->data());
        ++released;
      });
      CHECK(x.data<double>() == data);
      data[5] = 7;
      CHECK(x[{1, 2}].item() == 7);
      x.mutable_data<double>()[0] = -1;
      CHECK(data[0] == -1);
      kept = ag::reshape(x, {6});
    }
    CHECK(released == 0);
    CHECK(ag::sum(kept).item() == 20);
  }
  CHECK(released == 1);
  CHECK(owner.use_count() == 1);
}

TEST_CASE("the tape keeps a blob alive, and leaves its elements alone") {
  bool released = false;
  std::vector<double> v{1, 2}, weights{3, 4};
  {
    const Tensor x = ag::from_blob(v.data(), {2}, [&](double*) { released = true; });
    Tensor y;
    {
      const Tensor leaf = ag::ones({2}, ag::float64).requires_grad_();
      y = leaf * ag::from_blob(weights.data(), {2}, [&](double*) { released = true; });
      CHECK_FALSE(released);
      y.backward(x, {.retain_graph = true});
      y.backward(ag::from_blob(v.data(), {2}));
    }
  }
  CHECK(released);
  CHECK(v == V{1, 2});
  CHECK(weights == V{3, 4});
}

TEST_CASE("from_blob refuses what is no memory") {
  double* none = nullptr;
  CHECK(ag::from_blob(none, {0}).numel() == 0);
  CHECK_THROWS_WITH(ag::from_blob(none, {1}),
                    "from_blob: the memory must be there, got a null pointer for shape (1,)");
  alignas(8) char raw[32] = {};
  CHECK_THROWS_WITH(ag::from_blob(reinterpret_cast<std::int64_t*>(raw + 4), {1}),
                    ContainsSubstring("the memory must be aligned to 8 bytes"));
  // Memory that is not the pool's, at an odd place.
  alignas(8) float odd[70];
  for (int i = 0; i < 70; ++i) odd[i] = static_cast<float>(i);
  CHECK(ag::sum(ag::exp(ag::from_blob(odd + 1, {67}) * 0.0)).item() == 67);
}
