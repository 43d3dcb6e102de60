#include <cmath>

#include "autograd/autograd.hpp"
#include "autograd/ops/neural/norms.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

// Back to one thread at the end of a test.
struct Threads {
  explicit Threads(int n) { ag::set_num_threads(n); }
  ~Threads() { ag::set_num_threads(1); }
};

void check_near(const Tensor& got, const std::vector<double>& wanted, double tolerance) {
  const auto values = got.to(ag::float64).to_vector<double>();
  REQUIRE(values.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    CHECK(values[i] == Catch::Approx(wanted[i]).epsilon(tolerance));
}

struct Running {
  Tensor mean = ag::tensor({1.0, -1.0}), var = ag::tensor({2.0, 3.0}),
         batches = ag::zeros({}, ag::int64);
  Tensor operator()(const Tensor& x, std::optional<double> momentum = 0.1) const {
    return ag::batch_norm(x, mean, var, {}, {},
                          {.training = true, .momentum = momentum, .num_batches_tracked = batches});
  }
};

// Two channels: 1, 3 and 2, 6.
Tensor pairs() { return ag::tensor({{1.0, 2.0}, {3.0, 6.0}}); }

}  // namespace

TEST_CASE("batch_norm moves the running statistics towards mean and unbiased variance") {
  const Running running;
  (void)running(pairs());
  check_near(running.mean, {0.9 * 1 + 0.1 * 2, 0.9 * -1 + 0.1 * 4}, 1e-15);
  check_near(running.var, {0.9 * 2 + 0.1 * 2, 0.9 * 3 + 0.1 * 8}, 1e-15);
  CHECK(running.batches.item() == 1);
}

TEST_CASE("batch_norm without momentum averages over all batches") {
  const Running running;
  for (const double shift : {0.0, 3.0, 6.0}) (void)running(pairs() + shift, std::nullopt);
  check_near(running.mean, {5, 7}, 1e-15);
  check_near(running.var, {2, 8}, 1e-15);
  CHECK(running.batches.item() == 3);
}

TEST_CASE("batch_norm of an empty batch updates the count only") {
  const Running running;
  CHECK(running(ag::zeros({0, 2}, ag::float64)).shape() == ag::Shape(0, 2));
  CHECK(running(ag::zeros({3, 2, 0}, ag::float64)).shape() == ag::Shape(3, 2, 0));
  check_near(running.mean, {1, -1}, 0);
  check_near(running.var, {2, 3}, 0);
  CHECK(running.batches.item() == 2);
}

TEST_CASE("batch_norm of an empty batch gives its weight and bias gradients of zero") {
  const Tensor x = ag::zeros({0, 2, 3}).requires_grad_(), weight = ag::ones({2}).requires_grad_();
  const Tensor bias = ag::ones({2}).requires_grad_();
  ag::sum(ag::batch_norm(x, {}, {}, weight, bias, {.training = true})).backward();
  check_near(weight.grad(), {0, 0}, 0);
  check_near(bias.grad(), {0, 0}, 0);
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("running statistics may change between a call in evaluation and its backward walk") {
  const Running running;
  const Tensor x = pairs().requires_grad_();
  const Tensor y = ag::sum(ag::batch_norm(x, running.mean, running.var, {}, {}, {.eps = 0}));
  (void)running(pairs());
  y.backward();
  const double a = 1 / std::sqrt(2), b = 1 / std::sqrt(3);
  check_near(x.grad(), {a, b, a, b}, 1e-15);
}

TEST_CASE("instance_norm moves the running statistics towards the means over the samples") {
  const Tensor x = ag::reshape(ag::tensor({1.0, 3.0, 2.0, 6.0, 5.0, 7.0, 0.0, 0.0}), {2, 2, 2});
  Tensor mean = ag::zeros({2}, ag::float64), var = ag::ones({2}, ag::float64);
  (void)ag::instance_norm(x, mean, var, {}, {}, {.momentum = 0.5});
  check_near(mean, {2, 1}, 1e-15);
  check_near(var, {1.5, 2.5}, 1e-15);
  (void)ag::instance_norm(ag::zeros({0, 2, 4}, ag::float64), mean, var);
  check_near(mean, {2, 1}, 1e-15);
}

TEST_CASE("the second pass of a checkpoint updates no running statistics") {
  const Running plain, saving;
  const Tensor x = ag::randn({4, 2, 5}, ag::float64);
  const auto gradient = [&](const Running& running, bool checkpointed) {
    const Tensor leaf = x.detach().requires_grad_();
    const auto f = [&](const Tensor& t) { return ag::tanh(running(t)); };
    ag::sum(ag::square(checkpointed ? ag::checkpoint(f, leaf) : f(leaf))).backward();
    return leaf.grad();
  };
  CHECK(same_bits(gradient(plain, false), gradient(saving, true)));
  CHECK(same_bits(plain.mean, saving.mean));
  CHECK(same_bits(plain.var, saving.var));
  CHECK(saving.batches.item() == 1);
  // Nor where the recomputation is recorded, or goes through another checkpoint.
  const Tensor leaf = x.detach().requires_grad_();
  const auto inner = [&](const Tensor& t) { return saving(t); };
  const Tensor y =
      ag::checkpoint([&](const Tensor& t) { return ag::square(ag::checkpoint(inner, t)); }, leaf);
  const Tensor g = ag::grad({ag::sum(y)}, {leaf}, {.create_graph = true})[0];
  (void)ag::grad({ag::sum(g * x)}, {leaf});
  CHECK(saving.batches.item() == 2);
  (void)saving(x);
  CHECK(saving.batches.item() == 3);
}

TEST_CASE("norms give the same bits with any number of threads", "[threads]") {
  for (const auto dtype : {ag::float32, ag::float64}) {
    ag::Generator generator(3);
    const Tensor x = ag::randn({8, 40, 33, 21}, dtype, generator).requires_grad_();
    const Tensor weight = ag::randn({40}, dtype, generator).requires_grad_();
    const Tensor bias = ag::randn({40}, dtype, generator).requires_grad_();
    const Tensor g = ag::randn(x.shape(), dtype, generator);
    const auto run = [&](int kind) {
      Tensor mean = ag::zeros({40}, dtype), var = ag::ones({40}, dtype);
      const Tensor y = kind == 0   ? ag::batch_norm(x, mean, var, weight, bias, {.training = true})
                       : kind == 1 ? ag::batch_norm(x, mean, var, weight, bias)
                       : kind == 2 ? ag::instance_norm(x, mean, var, weight, bias)
                       : kind == 3 ? ag::group_norm(x, 4, weight, bias)
                                   : ag::rms_norm(x, {21}) * ag::sum(weight) + ag::sum(bias);
      ag::TensorList out = ag::grad({y}, {x, weight, bias}, {.grad_outputs = {g}});
      for (const Tensor& t : {y.detach(), mean, var}) out.push_back(t);
      return out;
    };
    const auto run_columns = [&] {
      const Tensor rows = ag::reshape(x, {8 * 33 * 21, 40});
      const Tensor y = ag::batch_norm(rows, {}, {}, weight, bias, {.training = true});
      ag::TensorList out =
          ag::grad({y}, {x, weight, bias}, {.grad_outputs = {ag::reshape(g, rows.shape())}});
      out.push_back(y.detach());
      return out;
    };
    for (int kind = 0; kind < 6; ++kind) {
      const ag::TensorList one = kind == 5 ? run_columns() : run(kind);
      for (const int n : {2, 3, 7}) {
        const Threads threads(n);
        const ag::TensorList many = kind == 5 ? run_columns() : run(kind);
        for (std::size_t i = 0; i < one.size(); ++i) {
          INFO("kind " << kind << ", " << n << " threads, result " << i);
          CHECK(same_bits(one[i], many[i]));
        }
      }
    }
  }
}

TEST_CASE("batch_norm keeps its digits where the mean is large and where squares leave the range") {
  // Deviations -3, -1, 1, 3 have the variance 5.
  const Tensor steps = ag::tensor({-3.0, -1.0, 1.0, 3.0});
  const std::vector<double> wanted{-3 / std::sqrt(5), -1 / std::sqrt(5), 1 / std::sqrt(5),
                                   3 / std::sqrt(5)};
  const auto norm = [](const Tensor& x) {
    return ag::flatten(
        ag::batch_norm(ag::reshape(x, {1, 1, -1}), {}, {}, {}, {}, {.training = true, .eps = 0}));
  };
  check_near(norm((steps + 1e6).to(ag::float32)), wanted, 1e-6);
  for (const double scale : {1e30, 1e-30}) {
    check_near(norm((steps * scale).to(ag::float32)), wanted, 1e-6);
    check_near(norm(steps * std::pow(scale, 8)), wanted, 1e-12);
    const Tensor x = (steps * scale).to(ag::float32).requires_grad_();
    const Tensor g = ag::tensor({1.0f, 0.0f, 0.0f, 0.0f});
    const Tensor gradient = ag::grad({norm(x)}, {x}, {.grad_outputs = {g}})[0] * scale;
    // (δ - 1/4 - z₀ z / 4) / σ.
    check_near(gradient,
               {0.3 / std::sqrt(5), -0.4 / std::sqrt(5), -0.1 / std::sqrt(5), 0.2 / std::sqrt(5)},
               1e-5);
  }
  // All alike: the deviations are 0, and eps is what is divided by.
  check_near(ag::batch_norm(ag::full({5, 1}, 7, ag::float64), {}, {}, {}, {}, {.training = true}),
             {0, 0, 0, 0, 0}, 0);
}

TEST_CASE("layer_norm of rows of one large number has gradients of any order") {
  for (const float value : {1e10f, -2.2e28f, 4.9e31f})
    for (const std::int64_t n : {1, 2, 7}) {
      const Tensor x = ag::full({1, n}, value).requires_grad_(), g = ag::rand({1, n});
      const auto gradient = [&](bool create_graph) {
        return ag::grad({ag::layer_norm(x, {n})}, {x},
                        {.grad_outputs = {g}, .create_graph = create_graph})[0];
      };
      INFO(value << " × " << n);
      const Tensor recorded = gradient(true);
      if (n == 1) CHECK(recorded.item() == 0);
      CHECK(ag::allclose(recorded, gradient(false), 1e-3, 1e-3));
      CHECK(ag::all(ag::isfinite(ag::grad({ag::sum(recorded)}, {x})[0])).item<bool>());
    }
}

TEST_CASE("batch_norm gives the same for columns as for planes") {
  // More columns and rows than are done at once, and ones whose squares leave the range.
  for (const auto dtype : {ag::float32, ag::float64}) {
    ag::Generator generator(5);
    const Tensor rows = ag::randn({150, 300}, dtype, generator);
    Tensor scale = ag::ones({300}, dtype);
    for (const std::int64_t c : {7, 270})
      scale[c] = ag::full({}, dtype == ag::float32 ? 1e25 : 1e200, dtype);
    const Tensor g = ag::randn({150, 300}, dtype, generator);
    const auto run = [&](bool planes, bool training) {
      const Tensor x = (rows * scale).detach().requires_grad_();
      const Tensor weight = ag::full({300}, 2, dtype).requires_grad_();
      const Tensor bias = ag::ones({300}, dtype).requires_grad_();
      Tensor mean = ag::zeros({300}, dtype), var = ag::ones({300}, dtype);
      const Tensor in = planes ? ag::reshape(ag::transpose(x), {1, 300, 150}) : x;
      Tensor y = ag::batch_norm(in, mean, var, weight, bias, {.training = training});
      if (planes) y = ag::transpose(ag::reshape(y, {300, 150}));
      ag::TensorList out = ag::grad({y}, {x, weight, bias}, {.grad_outputs = {g}});
      out[0] = out[0] * scale;
      for (const Tensor& t : {y.detach(), mean}) out.push_back(t);
      return out;
    };
    for (const bool training : {true, false}) {
      const ag::TensorList one = run(false, training), other = run(true, training);
      for (std::size_t i = 0; i < one.size(); ++i) {
        INFO("result " << i << ", training " << training);
        const Tensor difference = ag::abs(one[i] - other[i]) / (1 + ag::abs(other[i]));
        CHECK(ag::max(difference).item() < (dtype == ag::float32 ? 2e-5 : 1e-12));
      }
    }
  }
}

TEST_CASE("batch_norm joins the pieces of long planes exactly") {
  // 0, 1, …, n - 1 has the mean (n - 1) / 2 and the variance (n² - 1) / 12.
  const double n = 3 * 5000;
  const Tensor x = ag::reshape(ag::arange(15000).to(ag::float64), {3, 1, 5000});
  Tensor mean = ag::zeros({1}, ag::float64), var = ag::zeros({1}, ag::float64);
  (void)ag::batch_norm(x, mean, var, {}, {}, {.training = true, .momentum = 1.0});
  check_near(mean, {(n - 1) / 2}, 1e-14);
  check_near(var, {(n * n - 1) / 12 * (n / (n - 1))}, 1e-14);
}

TEST_CASE("a replay of batch_norm updates the running statistics to the same bits") {
  const Running eager, compiled;
  const auto step = [](const Running& running, const Tensor& x) {
    const Tensor leaf = x.detach().requires_grad_();
    const Tensor y = running(leaf, std::nullopt);
    return ag::grad({ag::sum(ag::tanh(y))}, {leaf})[0];
  };
  auto replay = ag::compile([&](const Tensor& x) { return step(compiled, x); });
  for (int i = 0; i < 4; ++i) {
    const Tensor x = ag::randn({3, 2, 7}, ag::float64);
    CHECK(same_bits(step(eager, x), replay(x)));
    CHECK(same_bits(eager.mean, compiled.mean));
    CHECK(same_bits(eager.var, compiled.var));
    CHECK(eager.batches.item() == compiled.batches.item());
  }
  CHECK(compiled.batches.item() == 4);
}
