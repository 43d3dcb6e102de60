#include "autograd/vmap.hpp"

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/elementwise/elementwise.hpp"
#include "autograd/forward.hpp"
#include "autograd/functional.hpp"
#include "autograd/loops.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Shape;
using ag::Tensor;
using ag::TensorList;

namespace {

void check_close(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  CHECK(ag::allclose(a, b, 1e-10, 1e-10));
}

// f of each entry of axis 0.
template <class F>
Tensor loop(const F& f, const Tensor& x) {
  TensorList rows;
  for (std::int64_t i = 0; i < x.size(0); ++i) rows.push_back(f(ag::select(x, 0, i)));
  return ag::stack(rows);
}

Tensor numbers(const Shape& shape, std::uint64_t seed = 1) {
  ag::Generator g(seed);
  return ag::randn(shape, ag::float64, g);
}

Tensor cubic(const Tensor& x) { return ag::sum(x * x * x) + ag::square(ag::sum(ag::sin(x))); }
Tensor slope(const Tensor& x) { return ag::value_and_grad(cubic)(x).second; }

// Reads its elements, as code of others may.
struct Halved : ag::Function<Halved> {
  static Tensor forward(ag::Context& ctx, const Tensor& x, double by) {
    ctx.save_for_backward({x});
    std::vector<double> y = x.to_vector<double>();
    for (double& v : y) v *= v / by;
    return ag::from_data(y.data(), x.shape());
  }
  static TensorList backward(ag::Context& ctx, const TensorList& g) {
    return {ctx.saved()[0] * g[0]};
  }
};

}  // namespace

TEST_CASE("vmap calls a function once for all samples") {
  int calls = 0;
  const auto f = [&](const Tensor& v) {
    ++calls;
    CHECK(v.shape() == Shape{3});
    return ag::sqrt(ag::sum(v * v));
  };
  const Tensor x = numbers({5, 3});
  const auto g = ag::vmap(f);
  check_close(g(x), ag::norm(x, 2, 1));
  CHECK(calls == 1);
  CHECK(g.looped().empty());
  CHECK(ag::vmap(f)(ag::zeros({0, 3}, ag::float64)).shape() == Shape{0});
}

TEST_CASE("vmap takes axes of samples where they are and puts them where they shall be") {
  const Tensor x = numbers({3, 4}), w = numbers({2, 3}, 2);
  const auto product = [](const Tensor& a, const Tensor& b) { return ag::matmul(a, b); };
  const Tensor y = ag::matmul(w, x);
  check_close(ag::vmap(product, {.in_axes = {std::nullopt, 1}})(w, x), ag::transpose(y));
  check_close(ag::vmap(product, {.in_axes = {std::nullopt, -1}, .out_axes = {-1}})(w, x), y);
  const auto both = [&](const Tensor& v) { return std::pair<Tensor, Tensor>(ag::sum(v), w * 2); };
  const auto [sums, same] = ag::vmap(both, {.in_axes = {1}, .out_axes = {0, std::nullopt}})(x);
  check_close(sums, ag::sum(x, 0));
  check_close(same, w * 2);
  CHECK(ag::vmap(both, {.in_axes = {1}})(x).second.shape() == Shape{4, 2, 3});
  const auto list = [](const TensorList& in) { return TensorList{in[0] + in[1]}; };
  check_close(ag::vmap(list)(TensorList{x, x})[0], 2 * x);
}

TEST_CASE("vmap refuses axes that do not fit, by one line") {
  const auto f = [](const Tensor& a, const Tensor& b) { return a + b; };
  const auto same = [](const Tensor& a) { return a; };
  const Tensor x = numbers({2, 3});
  CHECK_THROWS_WITH(ag::vmap(f)(x, numbers({3, 3})),
                    "vmap: arguments must have equally many samples, got 2 and 3");
  CHECK_THROWS_WITH(ag::vmap(f, {.in_axes = {0, 0, 0}})(x, x),
                    "vmap: in_axes must have one entry, or one for each of 2 tensors, got 3");
  CHECK_THROWS_WITH(ag::vmap(same, {.in_axes = {std::nullopt}})(x),
                    "vmap: some argument must have an axis of samples, got none");
  CHECK_THROWS_WITH(ag::vmap(same, {.out_axes = {std::nullopt}})(x),
                    "vmap: a result without out_axes must be the same for all samples, got one "
                    "that differs at 0");
  CHECK_THROWS_WITH(ag::vmap(same)(ag::tensor(1.0)),
                    Catch::Matchers::ContainsSubstring(
                        "an argument must have an axis of samples, got a 0-d tensor"));
}

TEST_CASE("gradients inside vmap are those of each sample, and outside of it those of the loop") {
  const Tensor x = numbers({4, 3});
  check_close(ag::vmap(slope)(x), loop(slope, x));
  const auto hessian = [](const Tensor& v) { return ag::hessian(cubic, v); };
  check_close(ag::vmap(hessian)(x), loop(hessian, x));
  // To a third order: twice inside, and once outside.
  const auto curvature = [](const Tensor& v) {
    const Tensor g = ag::grad({cubic(v)}, {v}, {.create_graph = true})[0];
    return ag::sum(ag::square(ag::grad({ag::sum(g)}, {v}, {.create_graph = true})[0]));
  };
  const auto outside = [&](auto&& f) {
    const Tensor leaf = x.detach().clone().requires_grad_();
    return ag::grad({ag::sum(f(leaf) * numbers({4}, 3))}, {leaf})[0];
  };
  check_close(outside([&](const Tensor& v) { return ag::vmap(curvature)(v); }),
              outside([&](const Tensor& v) { return loop(curvature, v); }));
}

TEST_CASE("what vmap's function captures gets its gradient inside and outside") {
  const Tensor x = numbers({4, 3}), w = numbers({3}, 2).requires_grad_();
  const auto of_sample = [&](const Tensor& v) {
    return ag::grad({ag::sum(ag::exp(v * w))}, {w}, {.create_graph = true})[0];
  };
  const Tensor each = ag::vmap(of_sample)(x);
  check_close(each, x * ag::exp(x * w));
  check_close(ag::grad({ag::sum(each)}, {w})[0], ag::sum(x * x * ag::exp(x * w), 0));
  // A detached tensor and a leaf made inside end the way outside.
  const auto stops = [&](const Tensor& v) {
    const Tensor u = ag::reshape(v.detach().requires_grad_(), {3, 1});
    return ag::sum(v.detach() * w) * ag::sum(v) * ag::sum(u);
  };
  const auto gradient = [&](auto&& f) {
    const Tensor leaf = x.detach().clone().requires_grad_();
    return ag::grad({ag::sum(f(leaf))}, {leaf})[0];
  };
  check_close(gradient([&](const Tensor& v) { return ag::vmap(stops)(v); }),
              gradient([&](const Tensor& v) { return loop(stops, v); }));
}

TEST_CASE("vmap nests, and is compiled within and around") {
  const Tensor x = numbers({4, 3}), y = numbers({5, 3}, 2);
  const auto distance = [](const Tensor& a, const Tensor& b) { return ag::sum(ag::square(a - b)); };
  const auto all = ag::vmap([&](const Tensor& a) {
    return ag::vmap(distance, {.in_axes = {std::nullopt, 0}})(a, y);
  });
  check_close(all(x), ag::square(ag::cdist(x, y)));
  const auto twice = [](const Tensor& m) { return ag::vmap(slope)(m); };
  const Tensor cube = numbers({2, 4, 3});
  check_close(ag::vmap(twice)(cube), loop(twice, cube));

  auto step = ag::compile([&](const Tensor& v) { return ag::vmap(slope)(v); });
  for (int i = 1; i < 4; ++i) check_close(step(x * i), ag::vmap(slope)(x * i));
  CHECK(step.stats().replays == 2);
  check_close(ag::vmap(ag::vmap([f = std::make_shared<decltype(ag::compile(slope))>(ag::compile(
                                     slope))](const Tensor& v) { return (*f)(v); }))(cube),
              loop(twice, cube));
}

TEST_CASE(
    "a Function, and an operation without a rule, is called for each sample by vmap, which says "
    "so") {
  const auto f = [](const Tensor& v) { return ag::sum(Halved::apply(ag::sin(v), 2.0)); };
  const Tensor x = numbers({4, 3});
  const auto g = ag::vmap(f);
  check_close(g(x), loop(f, x));
  CHECK(g.looped() == std::vector<std::string>{"Halved"});
  const auto inner = [&](const Tensor& v) {
    const Tensor g = ag::grad({f(v)}, {v}, {.create_graph = true})[0];
    return ag::sum(g * g);
  };
  const auto outside = [&](auto&& h) {
    const Tensor leaf = x.detach().clone().requires_grad_();
    return ag::grad({ag::sum(h(leaf))}, {leaf})[0];
  };
  check_close(outside([&](const Tensor& v) { return ag::vmap(inner)(v); }),
              outside([&](const Tensor& v) { return loop(inner, v); }));
}

TEST_CASE("each sample of vmap draws numbers of its own") {
  const auto f = [](const Tensor& v) { return v + ag::rand({2}, ag::float64); };
  ag::manual_seed(7);
  const Tensor y = ag::vmap(f)(ag::zeros({3, 1}, ag::float64));
  CHECK(y.shape() == Shape{3, 2});
  CHECK(ag::unique(y).values.numel() == 6);
}

TEST_CASE("vmap refuses what one call cannot do as a loop would") {
  const Tensor x = numbers({4, 3}), w = numbers({3}, 2).requires_grad_();
  Tensor seen = ag::zeros({3}, ag::float64), kept;
  const auto refused = [&](auto&& f, const char* text) {
    CHECK_THROWS_AS(ag::vmap(f)(x), ag::VmapError);
    CHECK_THROWS_WITH(ag::vmap(f)(x), Catch::Matchers::ContainsSubstring(text));
  };
  refused([](const Tensor& v) { return ag::sum(v).item() > 0 ? v : -v; },
          "the elements of one sample, of shape (), asked for");
  refused([](const Tensor& v) { return ag::masked_select(v, v > 0.0); }, "elements of one sample");
  refused([&](const Tensor& v) { return seen.copy_(v), v; }, "a write by copy_ into a tensor");
  refused([&](const Tensor& v) { return ag::sum(v * w).backward(), v; },
          "a backward() to a leaf from outside");
  const auto keeps = [&](const Tensor& v) { return kept = v * 2; };
  (void)ag::vmap(keeps)(x);
  CHECK_THROWS_WITH(kept.item<double>(),
                    Catch::Matchers::ContainsSubstring("item: the tensor must have exactly one"));
  const auto halved = ag::elementwise("halved", [](auto v) { return v / 2; });
  for (const auto& use : std::initializer_list<std::function<Tensor()>>{
           [&] { return ag::sum(kept); }, [&] { return kept * 2.0; }, [&] { return ag::exp(kept); },
           [&] { return kept > 0.0; }, [&] { return ag::isnan(kept); },
           [&] { return halved(kept); }, [&] { return ag::where(kept > x[0], x[0], kept); },
           [&] { return ag::compile([](const Tensor& v) { return v * 2.0; })(kept); },
           [&] { return ag::scan([&](const Tensor& c) { return c * kept; }, x[0], {.length = 2}); },
           [&] { return ag::vmap([&](const Tensor& v) { return v * kept; })(x); },
           [&] { return x[0] - 0.1 * kept; }})
    CHECK_THROWS_WITH(use(), Catch::Matchers::ContainsSubstring("elements of one sample"));
  // Tensors that are made inside may be written, and gradients collected by leaves made there.
  const auto own = [](const Tensor& v) {
    Tensor t = ag::zeros({3}, ag::float64);
    t[0] = 2.0;
    const Tensor leaf = v.detach().requires_grad_();
    ag::sum(leaf * leaf * t).backward();
    return leaf.grad();
  };
  check_close(ag::vmap(own)(x), loop(own, x));
}

TEST_CASE("checkpoints and pieces of a split keep their gradients in vmap") {
  const auto f = [](const Tensor& v) {
    const TensorList parts = ag::split(v, {1, 2});
    return ag::sum(ag::exp(parts[1])) * ag::sum(parts[0]);
  };
  const auto through = [&](const Tensor& v) { return ag::checkpoint(f, v * 2.0); };
  const Tensor x = numbers({4, 3});
  const auto outside = [&](auto&& h) {
    const Tensor leaf = x.detach().clone().requires_grad_();
    return ag::grad({ag::sum(h(leaf) * numbers({4}, 3))}, {leaf})[0];
  };
  check_close(outside([&](const Tensor& v) { return ag::vmap(through)(v); }),
              outside([&](const Tensor& v) { return loop(through, v); }));
  const auto inside = [&](const Tensor& v) { return ag::grad({through(v)}, {v})[0]; };
  const Tensor leaf = x.detach().clone().requires_grad_();
  check_close(ag::vmap(inside)(leaf), loop(inside, leaf));
}

TEST_CASE("a Jacobian takes gradients that read elements row by row") {
  const auto f = [](const Tensor& x) {
    Tensor y = x * x;
    y.register_hook([](const Tensor& g) { return g * g.to_vector<double>().size(); });
    return ag::concat({y, y});
  };
  const Tensor x = numbers({3});
  check_close(ag::jacobian(f, x)[{ag::indexing::slice(0, 3)}], 3.0 * ag::diag(2 * x));
}

TEST_CASE("tangents of norms and Cholesky factors inside vmap are those of each sample") {
  const auto norm = [](const Tensor& x, const Tensor& w, const Tensor& b) {
    const auto f = [](const TensorList& in) { return ag::layer_norm(in[0], {5}, in[1], in[2]); };
    return ag::jvp(f, TensorList{x, w, b}, TensorList{x * x, w * w, b * b});
  };
  const Tensor x = numbers({3, 4, 5}), w = numbers({3, 5}, 2), b = numbers({3, 5}, 3);
  const Tensor w0 = ag::select(w, 0, 0), b0 = ag::select(b, 0, 0);
  TensorList apart, shared;
  for (std::int64_t i = 0; i < 3; ++i) {
    const Tensor sample = ag::select(x, 0, i);
    apart.push_back(norm(sample, ag::select(w, 0, i), ag::select(b, 0, i)));
    shared.push_back(norm(sample, w0, b0));
  }
  check_close(ag::vmap(norm)(x, w, b), ag::stack(apart));
  check_close(ag::vmap(norm, {.in_axes = {0, std::nullopt, std::nullopt}})(x, w0, b0),
              ag::stack(shared));
  const auto factor = [](const Tensor& a) {
    return ag::jvp([](const Tensor& t) { return ag::cholesky(t, false); }, a, a * a);
  };
  const Tensor m = numbers({3, 6, 6}, 4);
  const Tensor definite = ag::matmul(m, ag::transpose(m)) + ag::eye(6, ag::float64);
  check_close(ag::vmap(factor)(definite), loop(factor, definite));
}

TEST_CASE("a tangent of a Function inside vmap leads to its gradient outside") {
  const auto along = [](const Tensor& a, const Tensor& v) {
    return ag::jvp([](const Tensor& t) { return ag::qr(t).R; }, a, v);
  };
  const auto of_loop = [&](const Tensor& a, const Tensor& v) {
    return ag::stack({along(ag::select(a, 0, 0), ag::select(v, 0, 0)),
                      along(ag::select(a, 0, 1), ag::select(v, 0, 1))});
  };
  const Tensor x = numbers({2, 3, 3}), v = numbers({2, 3, 3}, 2), weight = numbers({2, 3, 3}, 3);
  const auto gradient = [&](const auto& f) {
    const Tensor leaf = x.clone().requires_grad_();
    return ag::grad({ag::sum(f(leaf, v) * weight)}, {leaf})[0];
  };
  check_close(gradient([&](const Tensor& a, const Tensor& t) { return ag::vmap(along)(a, t); }),
              gradient(of_loop));
}

TEST_CASE("recurrent layers that share their weights take all samples of vmap at once") {
  const Tensor x = numbers({3, 4, 2, 5}), v = numbers({3, 4, 2, 5}, 2),
               w = 0.5 * numbers({18, 5}, 3), u = 0.5 * numbers({18, 6}, 4);
  const Tensor lengths = ag::tensor({std::int64_t{4}, std::int64_t{3}});
  const auto layer = [&](const Tensor& t) {
    const auto y = ag::gru(t, {}, {w, u}, {lengths});
    return ag::concat({ag::flatten(y.output), ag::flatten(y.h)});
  };
  const auto derivatives = [&](const Tensor& a, const Tensor& t) {
    const Tensor leaf = a.detach().requires_grad_(), y = layer(leaf);
    return ag::concat(
        {y.detach(), ag::jvp(layer, a, t), ag::flatten(ag::grad({ag::sum(y * y)}, {leaf})[0])});
  };
  const auto all = ag::vmap(derivatives);
  TensorList each;
  for (std::int64_t i = 0; i < 3; ++i)
    each.push_back(derivatives(ag::select(x, 0, i), ag::select(v, 0, i)));
  check_close(all(x, v), ag::stack(each));
  CHECK(all.looped().empty());
}

TEST_CASE("linearize and jacfwd give the derivative along directions, and all of them") {
  const auto f = [](const Tensor& x) { return ag::concat({ag::sin(x), ag::cumprod(x, 0)}); };
  const Tensor x = numbers({3}), v = numbers({3}, 2);
  const auto [value, along] = ag::linearize(f, x);
  check_close(value, f(x));
  CHECK_FALSE(value.requires_grad());
  check_close(along(v), ag::jvp(f, x, v));
  check_close(along(2 * v), 2 * ag::jvp(f, x, v));
  check_close(ag::jacfwd(f, x), ag::jacobian(f, x));
  const auto matrix = [](const Tensor& m) { return ag::sum(ag::exp(m), 0); };
  check_close(ag::jacfwd(matrix, numbers({2, 3})), ag::jacobian(matrix, numbers({2, 3})));
  CHECK_THROWS_WITH(along(numbers({2})),
                    "linearize: v must have the shape of x, got (2,) for (3,)");
}

TEST_CASE("loops and branches in vmap are those of each sample, with their gradients") {
  const Tensor w = numbers({3, 3}, 2).requires_grad_(), hs = numbers({4, 3}),
               xs = numbers({4, 5, 3}, 3);
  const auto next = [&](const Tensor& h) { return ag::tanh(ag::matmul(h, w)); };
  const auto scanned = [&](const Tensor& h, const Tensor& x) {
    const auto step = [&](const Tensor& carry, const Tensor& entry) {
      const Tensor made = next(carry + entry);
      return std::pair(made, ag::sum(made));
    };
    const auto [last, sums] = ag::scan(step, h, x);
    return ag::sum(last) + ag::sum(sums * sums);
  };
  const auto until_small = [&](const Tensor& h, const Tensor&) {
    const auto large = [](const Tensor& v) { return ag::sum(v * v) > 0.5; };
    const auto shrunk = [&](const Tensor& v) { return 0.5 * next(v); };
    return ag::sum(ag::while_loop(large, shrunk, 3 * h, {.max_steps = 20}));
  };
  const auto chosen = [&](const Tensor& h, const Tensor& x) {
    const auto f = [&](const Tensor& v) { return ag::sum(next(v)); };
    const auto g = [](const Tensor& v) { return ag::sum(v * v * v); };
    return ag::cond(ag::sum(x) > 0, f, g, h);
  };
  const auto check = [&](const auto& f) {
    const auto with_slope = [&](const Tensor& h, const Tensor& x) {
      return ag::grad({f(h, x)}, {h})[0];
    };
    const auto of_all = [&](const auto& call) {
      TensorList rows;
      for (std::int64_t i = 0; i < 4; ++i) {
        const Tensor h = ag::select(hs, 0, i).requires_grad_();
        rows.push_back(call(h, ag::select(xs, 0, i)));
      }
      return ag::stack(rows);
    };
    const Tensor values = ag::vmap(f)(hs, xs), expected = of_all(f);
    check_close(values, expected);
    check_close(ag::grad({ag::sum(values)}, {w})[0], ag::grad({ag::sum(expected)}, {w})[0]);
    check_close(ag::vmap([&](const Tensor& h, const Tensor& x) {
                  return with_slope(h.detach().requires_grad_(), x);
                })(hs, xs),
                of_all(with_slope));
  };
  check(scanned);
  check(until_small);
  check(chosen);
  CHECK(ag::vmap([](const Tensor& h) {
          return ag::scan([](const Tensor& v) { return std::pair(v, v); }, h, {.length = 0}).second;
        })(hs)
            .shape() == Shape{4, 0, 3});

  // The other way round: a gradient through a scan of a vmap.
  const auto rows = [&](const Tensor& h, const Tensor& x) {
    const Tensor made =
        ag::vmap([&](const Tensor& a, const Tensor& b) { return next(a + b); })(h, x);
    return std::pair(made, made);
  };
  const Tensor steps = ag::movedim(xs, 1, 0);
  Tensor h = hs, total = ag::zeros({}, ag::float64);
  for (std::int64_t i = 0; i < 5; ++i)
    total = total + ag::sum(h = next(h + ag::select(steps, 0, i)));
  check_close(ag::grad({ag::sum(ag::scan(rows, hs, steps).second)}, {w})[0],
              ag::grad({total}, {w})[0]);
}

TEST_CASE("gradients of samples run in place only where nobody else sees them") {
  const Tensor x = numbers({5, 4}), g = numbers({5, 4}, 2), before = g.clone();
  const auto f = [](const Tensor& v, const Tensor& along) {
    const Tensor in = v.detach().requires_grad_();
    Tensor a = ag::exp(in), seen;
    const Tensor b = ag::sin(in), c = ag::cos(a) * ag::sin(a);
    a.register_hook([&](const Tensor& t) {
      seen = t;
      return Tensor();
    });
    // An addition gives its cotangent to both sides, to which others are added.
    const Tensor y = (a + b) + (b + c);
    const ag::GradOptions options{.grad_outputs = {along}, .retain_graph = true};
    const Tensor first = ag::grad({y}, {in}, options)[0];
    // Views have the elements of others.
    const Tensor square = ag::reshape(along, {2, 2}), of_view = ag::reshape(ag::exp(in), {2, 2});
    return ag::stack({first, seen, ag::grad({of_view}, {in}, {.grad_outputs = {square}})[0]});
  };
  const Tensor all = ag::vmap(f)(x, g);
  CHECK(same_bits(g, before));
  for (std::int64_t i = 0; i < 5; ++i)
    CHECK(same_bits(ag::select(all, 0, i), f(ag::select(x, 0, i), ag::select(g, 0, i))));
}
