#include "autograd/compile.hpp"

#include <cmath>
#include <numeric>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

Tensor counted(const ag::Shape& shape, double start = 1) {
  return ag::reshape(ag::arange(start, start + static_cast<double>(shape.numel())), shape);
}
std::vector<float> values(const Tensor& t) { return t.to_vector<float>(); }

}  // namespace

TEST_CASE("a compiled function runs once for each shape, dtype and grad mode, then is replayed") {
  int runs = 0;
  auto square = ag::compile([&](const Tensor& x) {
    ++runs;
    return ag::sum(x * x).detach();
  });
  for (int i = 1; i <= 3; ++i)
    CHECK(square(counted({2, 2}, i)).item() ==
          std::pow(i, 2) + std::pow(i + 1, 2) + std::pow(i + 2, 2) + std::pow(i + 3, 2));
  CHECK(runs == 1);
  CHECK(square(counted({3})).item() == 14);
  CHECK(runs == 2);
  CHECK(square(counted({2, 2})).item() == 30);
  CHECK(runs == 2);
  CHECK(square(counted({2, 2}).to(ag::float64)).dtype() == ag::float64);
  CHECK(runs == 3);
  {
    const ag::NoGrad off;
    CHECK(square(counted({2, 2})).item() == 30);
  }
  CHECK(runs == 4);
  CHECK(square.recordings() == 4);
}

TEST_CASE("a compiled function may have no arguments") {
  const Tensor w = counted({2});
  auto twice = ag::compile([&] { return w * 2; });
  for (int i = 0; i < 3; ++i) CHECK(values(twice()) == std::vector<float>{2, 4});
  CHECK(twice.recordings() == 1);
}

TEST_CASE("results of earlier calls keep their elements") {
  auto twice = ag::compile([](const Tensor& x) { return 2 * x; });
  std::vector<Tensor> kept;
  for (int i = 0; i < 5; ++i) kept.push_back(twice(ag::full({3}, i)));
  for (int i = 0; i < 5; ++i)
    CHECK(values(kept[static_cast<std::size_t>(i)]) ==
          std::vector<float>(3, 2.0f * static_cast<float>(i)));
}

TEST_CASE(
    "a compiled function may return lists, nothing, an argument and a tensor of the program") {
  const Tensor w = counted({2});
  auto list = ag::compile([&](const Tensor& x) { return TensorList{x, w, x + w}; });
  for (int i = 0; i < 3; ++i) {
    const Tensor x = ag::full({2}, i);
    const TensorList out = list(x);
    CHECK(out[0].is(x));
    CHECK(values(out[1]) == values(w));
    CHECK(values(out[2]) == values(x + w));
  }
  Tensor total = ag::zeros({2});
  auto add = ag::compile([&](const Tensor& x) { total.copy_(total + x); });
  for (int i = 0; i < 3; ++i) add(w);
  CHECK(values(total) == std::vector<float>{3, 6});
  CHECK(add.recordings() == 1);
}

TEST_CASE("gradients end in the leaves of the program and of the arguments") {
  Tensor w = counted({3}).requires_grad_();
  auto step = ag::compile([&](const Tensor& x) {
    w.zero_grad();
    const Tensor y = ag::sum(w * x * x);
    y.backward();
    return y;
  });
  for (int i = 1; i <= 4; ++i) {
    const Tensor x = ag::full({3}, i).requires_grad_();
    const Tensor y = step(x);
    CHECK_FALSE(y.requires_grad());
    CHECK(values(w.grad()) == std::vector<float>(3, static_cast<float>(i * i)));
    CHECK(values(x.grad()) == values((2.0 * i) * w.detach()));
  }
  CHECK(step.recordings() == 1);
}

TEST_CASE("gradients that are not cleared add up, and those that a caller holds do not change") {
  Tensor w = counted({3}).requires_grad_();
  auto step = ag::compile([&](const Tensor& x) { ag::sum(w * x).backward(); });
  std::vector<Tensor> held;
  for (int i = 1; i <= 5; ++i) {
    step(ag::ones({3}));
    held.push_back(w.grad());
  }
  for (int i = 1; i <= 5; ++i)
    CHECK(values(held[static_cast<std::size_t>(i - 1)]) ==
          std::vector<float>(3, static_cast<float>(i)));
  CHECK(step.recordings() == 2);  // without a gradient before, and with one
  w.zero_grad();
  step(ag::ones({3}));
  CHECK(values(w.grad()) == std::vector<float>(3, 1));
  CHECK(step.recordings() == 2);
}

TEST_CASE("writes into tensors of the program between calls are seen") {
  Tensor w = counted({2});
  auto f = ag::compile([&](const Tensor& x) { return w * x; });
  const Tensor one = ag::ones({2});
  CHECK(values(f(one)) == std::vector<float>{1, 2});
  w.mutable_data<float>()[0] = 7;
  CHECK(values(f(one)) == std::vector<float>{7, 2});
  CHECK(f.recordings() == 1);
}

TEST_CASE("a tensor of the program that was replaced is noticed") {
  Tensor w = counted({2});
  auto f = ag::compile([&](const Tensor& x) { return w * x; });
  auto g = ag::compile([&](const Tensor& x) { return w + x; });
  const Tensor one = ag::ones({2});
  f(one), g(one);
  w = ag::full({2}, 5);
  CHECK(values(f(one)) == std::vector<float>{5, 5});
  CHECK(values(g(one)) == std::vector<float>{6, 6});
  w.set_data(ag::full({1}, 3));
  CHECK(values(f(one)) == std::vector<float>{3, 3});
  CHECK(values(g(one)) == std::vector<float>{4, 4});
}

TEST_CASE("freezing a tensor of the program records anew") {
  Tensor w = counted({2}).requires_grad_();
  auto f = ag::compile([&](Tensor x) {
    x = x.detach().requires_grad_();
    const Tensor y = ag::sum(w * x);
    y.backward();
    return x.grad();
  });
  f(ag::ones({2})), f(ag::ones({2}));
  CHECK(values(w.grad()) == std::vector<float>{2, 2});
  w.requires_grad_(false);
  CHECK(values(f(ag::ones({2}))) == std::vector<float>{1, 2});
  CHECK_FALSE(w.grad().defined());
}

TEST_CASE("random numbers in a replay are those that an eager call would draw") {
  auto noise = [](const Tensor& x) {
    return x + ag::randn(x.shape()) * ag::rand(x.shape()) + ag::bernoulli(x.shape(), 0.5) +
           ag::randint(0, 10, x.shape()).to(ag::float32);
  };
  auto compiled = ag::compile(noise);
  const Tensor x = ag::zeros({7});
  ag::manual_seed(3);
  std::vector<std::vector<float>> eager, replayed;
  for (int i = 0; i < 3; ++i) eager.push_back(values(noise(x)));
  ag::manual_seed(3);
  for (int i = 0; i < 3; ++i) replayed.push_back(values(compiled(x)));
  CHECK(eager == replayed);
  CHECK(compiled.recordings() == 1);
}

TEST_CASE("results that nobody uses are left out, random numbers are not") {
  auto f = ag::compile([](const Tensor& x) {
    (void)ag::matmul(x, x);
    (void)ag::rand({5});
    return x + 1;
  });
  ag::Generator alone(9);
  ag::rand({10}, ag::float32, alone);
  ag::manual_seed(9);
  f(ag::ones({2, 2})), f(ag::ones({2, 2}));
  CHECK(ag::default_generator().state() == alone.state());
}

TEST_CASE("indices are those of the call, and are checked in replays") {
  const Tensor table = counted({4, 2});
  auto rows = ag::compile([&](const Tensor& i) { return ag::index_select(table, 0, i); });
  CHECK(values(rows(ag::tensor({0, 1}))) == std::vector<float>{1, 2, 3, 4});
  CHECK(values(rows(ag::tensor({-1, 2}))) == std::vector<float>{7, 8, 5, 6});
  CHECK(rows.recordings() == 1);
  CHECK_THROWS_WITH(rows(ag::tensor({0, 4})), ContainsSubstring("indices must be in [-4, 3]"));
  CHECK(values(rows(ag::tensor({3, 3}))) == std::vector<float>{7, 8, 7, 8});
}

TEST_CASE("a function that reads elements of an argument is recorded for each") {
  auto f = ag::compile(
      [](const Tensor& x, const Tensor& flag) { return flag.item<float>() > 0 ? x + 1 : x - 1; });
  const Tensor x = ag::zeros({1}), yes = ag::ones({1}), no = -ag::ones({1});
  for (int i = 0; i < 2; ++i) {
    CHECK(f(x, yes).item() == 1);
    CHECK(f(x, no).item() == -1);
  }
  CHECK(f.recordings() == 2);
}

TEST_CASE("a tensor of the program whose elements were read is watched") {
  Tensor flag = ag::ones({1});
  auto f = ag::compile([&](const Tensor& x) { return flag.item<float>() > 0 ? x + 1 : x - 1; });
  const Tensor x = ag::zeros({1});
  CHECK(f(x).item() == 1);
  CHECK(f(x).item() == 1);
  CHECK(f.recordings() == 1);
  flag.copy_(-ag::ones({1}));
  CHECK(f(x).item() == -1);
}

TEST_CASE("what a replay would leave out is refused") {
  const Tensor x = counted({3});
  auto refuse = [&](auto f, const std::string& text) {
    auto compiled = ag::compile(f);
    CHECK_THROWS_WITH(compiled(x), ContainsSubstring(text));
    CHECK_FALSE(ag::compiling());
  };
  refuse(
      [](const Tensor& t) { return ag::sum(t).item<float>() > 0 ? t : -t; },
      "compile: a replay repeats operations on tensors and nothing else, got the program reading "
      "elements of shape () that are computed in it; return the tensor and read it after the call");
  refuse(
      [](const Tensor& t) {
        Tensor y = t + 1;
        y.mutable_data<float>()[0] = 1;
        return y;
      },
      "got the program writing elements of shape (3,); use operations, copy_() or perform()");
  refuse(
      [](const Tensor& t) {
        const float raw[] = {1, 2, 3};
        return t + ag::from_data(raw, {3});
      },
      "got from_data; make the tensor outside and pass it as an argument; a number is full({}, "
      "number)");
  refuse(
      [](const Tensor& t) {
        const xt::xarray<float> a{1, 2, 3};
        return t + Tensor(a);
      },
      "got a tensor made from an array; make the tensor outside and pass it as an argument");
  refuse(
      [](const Tensor& t) {
        ag::manual_seed(1);
        return t;
      },
      "got manual_seed(); seed before the call");
  refuse(
      [](Tensor t) {
        t.copy_(2 * t);
        return t;
      },
      "got a write into argument 0 by copy_; write into a clone()");
  refuse(
      [](const Tensor& t) {
        Tensor total = ag::zeros({3});
        total.copy_(t);
        return total;
      },
      "got a write into a new tensor of shape (3,) by copy_; write into a clone()");
  refuse([](const Tensor&) { return Tensor(); }, "compile: results must be defined");
  Tensor w = counted({3}).requires_grad_();
  refuse([&](const Tensor& t) { return w * t; },
         "compile: a result must not wait for a backward() after the call, got one of 'mul'");
  const Tensor outer = w * 2;
  refuse(
      [&](const Tensor& t) {
        ag::sum(outer * t).backward();
        return t;
      },
      "compile: gradients must end at leaves or inside the function, got the result of 'mul' from "
      "outside");
  auto f = ag::compile([](const Tensor& t) { return t; });
  CHECK_THROWS_WITH(
      f(outer),
      ContainsSubstring(
          "compile: arguments must be leaves or need no gradient, got the result of 'mul' at 0"));
  CHECK_THROWS_WITH(f(Tensor()), ContainsSubstring("compile: arguments must be defined"));
}

TEST_CASE("a gradient that the function makes by itself is new after each call") {
  Tensor w = counted({3}).requires_grad_();
  auto f = ag::compile([&](const Tensor& x) {
    w.set_grad(ag::ones({3}));
    return x + 1;
  });
  for (int i = 0; i < 3; ++i) {
    f(ag::zeros({1}));
    CHECK(values(w.grad()) == std::vector<float>(3, 1));
    Tensor g = w.grad();
    g.mutable_data<float>()[0] = 7;
  }
  CHECK(f.recordings() == 1);
}

TEST_CASE("leaves that stand for two things are refused, when recorded and when replayed") {
  Tensor w = counted({3}).requires_grad_(), v = counted({3}).requires_grad_();
  auto two = ag::compile([](const Tensor& a, const Tensor& b) { ag::sum(a * b).backward(); });
  CHECK_THROWS_WITH(two(w, w), ContainsSubstring("compile: arguments that need a gradient must be "
                                                 "different tensors, got one at 0 and 1"));
  two(w, v), two(w, v);
  CHECK_THROWS_WITH(two(v, v), ContainsSubstring("must be different tensors"));
  const auto text = ContainsSubstring(
      "compile: an argument that needs a gradient must not be captured as well, got argument 0");
  auto captured = ag::compile([&](const Tensor& a) { ag::sum(a * w).backward(); });
  CHECK_THROWS_WITH(captured(w), text);
  captured(v), captured(v);
  CHECK_THROWS_WITH(captured(w), text);
  auto gradient = ag::compile([&](const Tensor& a) {
    ag::sum(a).backward();
    return w.grad();
  });
  CHECK_THROWS_WITH(gradient(w), text);
}

TEST_CASE("an action may call a compiled function") {
  auto inner = ag::compile([](const Tensor& x) { return x * x; });
  Tensor state = ag::zeros({2});
  auto outer = ag::compile([&](const Tensor& x) {
    ag::perform("square", {x}, {state}, [&](const TensorList& in, const TensorList& out) {
      Tensor s = out[0];
      s.copy_(inner(in[0]));
    });
    return state + x;
  });
  for (float i = 1; i < 4; ++i)
    CHECK(values(outer(ag::full({2}, i))) == std::vector<float>(2, i * i + i));
  CHECK(outer.recordings() == 1);
}

TEST_CASE("a function that throws leaves nothing recorded") {
  bool fails = true;
  auto f = ag::compile([&](const Tensor& x) {
    if (fails) throw std::runtime_error("not yet");
    return x + 1;
  });
  CHECK_THROWS_WITH(f(ag::zeros({1})), "not yet");
  CHECK_FALSE(ag::compiling());
  fails = false;
  CHECK(f(ag::zeros({1})).item() == 1);
  CHECK(f(ag::ones({1})).item() == 2);
}

TEST_CASE("compiled functions inside of one another are recorded as one") {
  auto inner = ag::compile([](const Tensor& x) { return x * x; });
  auto outer = ag::compile([&](const Tensor& x) { return inner(x) + inner(x + 1); });
  for (int i = 0; i < 3; ++i) CHECK(outer(ag::full({1}, i)).item() == i * i + (i + 1) * (i + 1));
  CHECK(outer.recordings() == 1);
}

TEST_CASE("anomaly mode runs the function as it is") {
  auto f = ag::compile([](const Tensor& x) { return ag::log(x); });
  f(ag::ones({1})), f(ag::ones({1}));
  const ag::AnomalyMode watch;
  CHECK_THROWS_WITH(f(-ag::ones({1})), ContainsSubstring("log"));
}

TEST_CASE("actions are performed again with the tensors of the call") {
  Tensor state = ag::zeros({2});
  int performed = 0;
  auto f = ag::compile([&](const Tensor& x) {
    ag::perform("accumulate", {2 * x}, {state}, [&](const TensorList& in, const TensorList& out) {
      ++performed;
      Tensor s = out[0];
      for (int i = 0; i < 2; ++i) s.mutable_data<float>()[i] += in[0].data<float>()[i];
    });
    return state + 0;
  });
  CHECK(values(f(ag::ones({2}))) == std::vector<float>{2, 2});
  CHECK(values(f(ag::ones({2}))) == std::vector<float>{4, 4});
  CHECK(values(f(3 * ag::ones({2}))) == std::vector<float>{10, 10});
  CHECK(performed == 3);
  CHECK(f.recordings() == 1);
}

TEST_CASE("long chains of elementwise operations give the bits of the single ones") {
  // More elements than a tile, and no multiple of one; some results are needed outside the chain.
  ag::manual_seed(4);
  const Tensor x = ag::randn({3, 2111}), row = ag::randn({2111});
  auto f = [&](const Tensor& t) {
    const Tensor a = ag::tanh(t) * 2 + 1, b = ag::exp(-a * a), c = ag::where(a > 0.5, b, a);
    const Tensor shifted = c + row, m = ag::mean(c), d = (shifted - m) / (1 + ag::abs(c));
    return TensorList{b, ag::sum(d, 0), d * a, m};
  };
  auto g = ag::compile(f);
  for (int i = 0; i < 3; ++i) {
    const Tensor in = x + i;
    const TensorList eager = f(in), replayed = g(in);
    for (std::size_t k = 0; k < eager.size(); ++k) CHECK(values(eager[k]) == values(replayed[k]));
  }
  CHECK(g.recordings() == 1);
}

TEST_CASE("replays use as many threads as allowed, to the same bits", "[threads]") {
  ag::manual_seed(5);
  const Tensor x = ag::randn({1000, 331});
  auto f = ag::compile([](const Tensor& t) {
    Tensor in = t.detach().requires_grad_();
    ag::sum(ag::tanh(in * in) * ag::exp(-in)).backward();
    return in.grad();
  });
  const auto one = values(f(x));
  CHECK(values(f(x)) == one);
  ag::set_num_threads(3);
  CHECK(values(f(x)) == one);
  ag::set_num_threads(1);
}
