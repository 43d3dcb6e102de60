#include "autograd/ops/linalg/distance.hpp"

#include <cmath>

#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/functional.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("distances of near, far and tiny points keep their digits") {
  const ag::Tensor near = ag::tensor({{100.f, 100.f}, {100.f, 100.00001f}});
  CHECK(ag::cdist(near, near).to_vector<float>()[1] == near.to_vector<float>()[3] - 100.f);
  const ag::Tensor none = ag::zeros({1, 2});
  for (const float size : {1e30f, 1e-30f})
    CHECK(ag::cdist(ag::tensor({{3 * size, 4 * size}}), none).item() ==
          Catch::Approx(5 * size).epsilon(1e-6));
}

TEST_CASE("equal points have distance 0 and gradient 0, for every p") {
  for (const double p : {0.0, 0.5, 1.0, 2.0, 3.0, double(INFINITY)}) {
    const ag::Tensor a = ag::tensor({{1.0, 2.0}, {3.0, 4.0}}).requires_grad_();
    const ag::Tensor d = ag::cdist(a, a.detach(), p);
    const ag::Tensor own = ag::diagonal(d);
    CHECK(own.to_vector<double>() == std::vector<double>{0, 0});
    ag::sum(own).backward();
    CHECK(a.grad().to_vector<double>() == std::vector<double>{0, 0, 0, 0});
  }
}

TEST_CASE("vectors without elements are 0 apart, and have recorded gradients") {
  for (const double p : {0.0, 1.0, 2.0, 3.0, double(INFINITY)}) {
    ag::Tensor a = ag::ones({2, 0});
    a.requires_grad_();
    const ag::Tensor distances = ag::cdist(a, ag::ones({3, 0}), p);
    CHECK(distances.to_vector<float>() == std::vector<float>(6));
    const ag::TensorList g = ag::grad({ag::sum(distances)}, {a}, {.create_graph = true});
    CHECK(g[0].shape() == ag::Shape{2, 0});
  }
}

TEST_CASE("cdist gives the same bits for any number of threads", "[threads]") {
  ag::manual_seed(7);
  const ag::Tensor a = ag::randn({150, 40}), b = ag::randn({130, 40});
  const int before = ag::num_threads();
  const auto run = [&](int threads) {
    ag::set_num_threads(threads);
    const ag::Tensor x = a.clone().requires_grad_(), y = b.clone().requires_grad_();
    const ag::Tensor d = ag::cdist(x, y);
    ag::sum(ag::sin(d)).backward();
    ag::set_num_threads(before);
    return std::vector{d.to_vector<float>(), x.grad().to_vector<float>(),
                       y.grad().to_vector<float>()};
  };
  CHECK(run(1) == run(4));
}

TEST_CASE("a distance that is NaN has derivatives that are") {
  const ag::Tensor a = ag::tensor({{1.0, std::nan("")}}).requires_grad_(),
                   b = ag::tensor({{0.0, 2.0}});
  for (const double p : {1.0, 2.0, 3.0, double(INFINITY)}) {
    const auto d = [&](const ag::Tensor& x) { return ag::cdist(x, b, p); };
    CHECK(std::isnan(ag::grad({d(a)}, {a})[0][{0, 1}].item()));
    CHECK(std::isnan(ag::jvp(d, a.detach(), ag::ones({1, 2}, ag::float64)).item()));
  }
}
