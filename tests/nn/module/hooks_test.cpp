#include "nn/module/hooks.hpp"
#include "autograd/autograd.hpp"

#include <array>

#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Doubling : nn::Module {
  NN_MODULE()
  Tensor forward(const Tensor& x) const { return x * 2; }
};
struct Product : nn::Module {
  NN_MODULE()
  Tensor forward(const Tensor& a, double factor, const Tensor& b) const { return a * b * factor; }
};
struct Pair : nn::Module {
  NN_MODULE()
  TensorList forward(const Tensor& x) const { return {x, x}; }
};

struct Sizes : nn::Module {
  NN_MODULE()
  std::int64_t forward(const Tensor& x) const { return x.numel(); }
};

// As a recurrent layer: a sequence and a state, {h, c}, give another sequence and state.
struct State {
  Tensor h, c;
};
struct Output {
  Tensor output;
  State state;
};
struct Recurrent : nn::Module {
  NN_MODULE()
  Output forward(const Tensor& x, const State& before = {}) const {
    const Tensor h = before.h.defined() ? x * before.h : x * 2;
    return {h + 1, {h * h, before.c.defined() ? before.c : x}};
  }
};
struct Tuple : nn::Module {
  NN_MODULE()
  std::tuple<Tensor, std::array<Tensor, 2>> forward(const Tensor& x) const {
    return {x + 1, {x * 2, ag::argmax(x)}};
  }
};
// Counts in the state that it is given.
struct InPlace : nn::Module {
  NN_MODULE()
  Tensor forward(const Tensor& x, State& state) const {
    state.c = state.c + 1;
    return x * state.h;
  }
};

struct Block : nn::Module {
  nn::Linear fc1{2, 3}, fc2{4, 2};
  NN_MODULE(fc1, fc2)
  Tensor forward(const Tensor& x) const { return fc2(fc1(x)); }
};
struct Net : nn::Module {
  std::vector<Block> blocks = std::vector<Block>(2);
  Block classifier;
  nn::AnyModule any = Block();
  nn::Sequential body{nn::Linear(2, 2), nn::Sequential{nn::ReLU(), Block()}, [](const Tensor& x) {
                        return ag::matmul(x, ag::ones({9, 9}));
                      }};
  int which = 0;
  NN_MODULE(blocks, classifier, any, body)
  Tensor forward(const Tensor& x) const {
    if (which == 0) return classifier(x);
    if (which == 1) return blocks[1](x);
    if (which == 2) return any(x);
    if (which == 3) return body(x);
    if (which == 4) return classifier.fc2(x);
    if (which == 5) return Block()(x);
    return ag::matmul(x, ag::ones({7, 7}));
  }
};
struct Outer : nn::Module {
  Net net;
  NN_MODULE(net)
  Tensor forward(const Tensor& x) const { return net(x); }
};

template <class M>
std::string message(const M& model, const Tensor& x) {
  try {
    (void)model(x);
  } catch (const ag::Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("an error inside a model begins with the path and type of the layer") {
  const Tensor x = ag::ones({1, 2});
  Outer outer;
  auto path = [&](int which) {
    outer.net.which = which;
    return message(outer, x);
  };
  CHECK_THAT(path(0), Catch::Matchers::StartsWith("net.classifier.fc2 (Linear): linear: "));
  CHECK_THAT(path(1), Catch::Matchers::StartsWith("net.blocks.1.fc2 (Linear): linear: "));
  CHECK_THAT(path(2), Catch::Matchers::StartsWith("net.any.fc2 (Linear): linear: "));
  CHECK_THAT(path(3), Catch::Matchers::StartsWith("net.body.1.1.fc2 (Linear): linear: "));
  CHECK_THAT(path(4), Catch::Matchers::StartsWith("net.classifier.fc2 (Linear): linear: "));
  // Not a member: the nearest module that has a name.
  CHECK_THAT(path(5), Catch::Matchers::StartsWith("net (Net): linear: "));
  CHECK_THAT(path(6), Catch::Matchers::StartsWith("net (Net): matmul: "));
  // Without a model around it a layer has no path.
  CHECK_THAT(message(nn::Linear(3, 1), x), Catch::Matchers::StartsWith("linear: "));
  nn::Sequential body{nn::Linear(2, 2), [](const Tensor& t) {
                        return ag::matmul(t, ag::ones({9, 9}));
                      }};
  CHECK_THAT(message(body, x), Catch::Matchers::StartsWith("1 (Lambda): matmul: "));
  try {
    path(0);
    (void)outer.net.classifier(x);
  } catch (const ag::Error& e) {
    CHECK(e.layer().path == "fc2");
    CHECK(e.layer().type == "Linear");
  }
}

TEST_CASE("forward hooks see inputs and output, may replace them, and can be removed") {
  Doubling layer;
  std::vector<double> seen;
  auto handle = layer.register_forward_hook(
      [&](const nn::Module& m, const TensorList& in, const Tensor& out) {
        CHECK(&m == &layer);
        seen = {in[0].item(), out.item()};
      });
  CHECK(layer(ag::tensor(3.0)).item() == 6);
  CHECK(seen == std::vector<double>{3, 6});
  auto pre =
      layer.register_forward_pre_hook([](const nn::Module&, TensorList& in) { in[0] = in[0] + 1; });
  auto post = layer.register_forward_hook(
      [](const nn::Module&, const TensorList&, const Tensor& out) { return out * 10; });
  CHECK(layer(ag::tensor(3.0)).item() == 80);
  CHECK(seen == std::vector<double>{4, 8});
  post.remove();
  pre.remove();
  pre.remove();
  handle.remove();
  seen.clear();
  CHECK(layer(ag::tensor(3.0)).item() == 6);
  CHECK(seen.empty());
}

TEST_CASE("forward hooks work in containers and on several arguments") {
  nn::Sequential body{nn::Linear(2, 3), nn::ReLU()};
  int calls = 0;
  auto count = [&](const nn::Module&, const TensorList&, const Tensor&) { ++calls; };
  auto a = body[0].register_forward_hook(count), b = body[1].register_forward_hook(count),
       c = body.register_forward_hook(count);
  body(ag::ones({1, 2}));
  CHECK(calls == 3);
  Product product;
  auto pre = product.register_forward_pre_hook([](const nn::Module&, TensorList& in) {
    REQUIRE(in.size() == 2);
    std::swap(in[0], in[1]);
    in[1] = in[1] - 1;
  });
  CHECK(product(ag::tensor(3.0), 2.0, ag::tensor(5.0)).item() == 20);
}

TEST_CASE("hooks belong to one object") {
  int calls = 0;
  nn::HookHandle handle;
  {
    Doubling layer;
    handle = layer.register_forward_hook(
        [&](const nn::Module&, const TensorList&, const Tensor&) { ++calls; });
    Doubling copy = layer;
    copy(ag::tensor(1.0));
    CHECK(calls == 0);
    copy = layer;
    copy(ag::tensor(1.0));
    CHECK(calls == 0);
    layer(ag::tensor(1.0));
    CHECK(calls == 1);
  }
  handle.remove();
  nn::HookHandle().remove();
}

TEST_CASE("a full backward hook sees the gradients of this call alone") {
  Product product;
  TensorList grad_in;
  Tensor grad_out;
  int calls = 0;
  auto handle = product.register_full_backward_hook(
      [&](const nn::Module&, const TensorList& in, const Tensor& out) {
        grad_in = in;
        grad_out = out;
        ++calls;
      });
  Tensor x = ag::tensor(3.0).requires_grad_();
  const Tensor y = product(x, 2.0, ag::tensor(5.0)) * 7 + x * 100;
  y.backward({.retain_graph = true});
  CHECK(calls == 1);
  CHECK(grad_out.item() == 7);
  CHECK(grad_in[0].item() == 70);
  CHECK_FALSE(grad_in[1].defined());
  CHECK(x.grad().item() == 170);
  y.backward();
  CHECK(calls == 2);
  handle.remove();
  product(x, 2.0, x).backward();
  CHECK(calls == 2);

  // Parameters alone: the gradient of the output.
  nn::Linear layer(2, 1);
  auto other = layer.register_full_backward_hook(
      [&](const nn::Module&, const TensorList& in, const Tensor& out) {
        CHECK_FALSE(in[0].defined());
        grad_out = out;
        ++calls;
      });
  ag::sum(layer(ag::ones({3, 2})) * 2).backward();
  CHECK(calls == 3);
  check_close(grad_out, {2, 2, 2});
}

TEST_CASE("backward hooks leave values and gradients of any order as they are") {
  Product product;
  auto handle = product.register_full_backward_hook(
      [](const nn::Module&, const TensorList&, const Tensor&) {});
  CHECK(ag::gradgradcheck(
      [&](const Tensor& a, const Tensor& b) { return product(ag::sin(a), 2.0, b * a); },
      {ag::tensor({1.0, 2.0}), ag::tensor({3.0, -1.0})}));
}

TEST_CASE("a backward after the module is gone runs no hook") {
  int calls = 0;
  Tensor x = ag::tensor(1.0).requires_grad_(), y;
  {
    Doubling layer;
    layer.register_full_backward_hook(
        [&](const nn::Module&, const TensorList&, const Tensor&) { ++calls; });
    y = layer(x);
  }
  y.backward();
  CHECK(calls == 0);
  CHECK(x.grad().item() == 2);
}

TEST_CASE("hooks refuse what they cannot do") {
  Pair pair;
  auto pre =
      pair.register_forward_pre_hook([](const nn::Module&, TensorList& in) { in[0] = in[0] * 3; });
  CHECK(pair(ag::tensor(1.0))[1].item() == 3);
  auto handle =
      pair.register_forward_hook([](const nn::Module&, const TensorList&, const Tensor&) {});
  CHECK_THROWS_WITH(pair(ag::tensor(1.0)),
                    "forward_hook: a hook of one output needs a forward() that returns one tensor, "
                    "got 2 in Pair; let the hook take a list: const ag::TensorList&");
  handle.remove();
  Sizes sizes;
  auto none =
      sizes.register_forward_hook([](const nn::Module&, const TensorList&, const TensorList&) {});
  CHECK_THROWS_WITH(sizes(ag::ones({2})),
                    "forward_hook: forward() must return tensors, got another type in Sizes");
  none.remove();
  CHECK(sizes(ag::ones({2})) == 2);
  auto fewer = pair.register_forward_hook([](const nn::Module&, const TensorList&,
                                             const TensorList& out) { return TensorList{out[0]}; });
  CHECK_THROWS_WITH(
      pair(ag::tensor(1.0)),
      "forward_hook: a hook must keep the number of outputs, got 1 for the 2 of Pair");
  Doubling layer;
  auto bad = layer.register_forward_pre_hook([](const nn::Module&, TensorList& in) { in.clear(); });
  CHECK_THROWS_WITH(layer(ag::tensor(1.0)),
                    "forward_pre_hook: a hook must keep the number of tensors, got 0 for the 1 of "
                    "Doubling");
}

TEST_CASE("a walk that a hook ends half-way does not show in the next one") {
  Product product;
  std::vector<double> seen;
  auto handle = product.register_full_backward_hook(
      [&](const nn::Module&, const TensorList& inputs, const Tensor& output) {
        for (const Tensor& g : {inputs[0], inputs[1], output}) seen.push_back(g.item());
      });
  Tensor a = ag::tensor(2.0).requires_grad_(), b = ag::tensor(3.0).requires_grad_(), h = b * 1.0;
  bool fails = true;
  const Tensor y = product(a, 1.0, h);
  h.register_hook([&](const Tensor&) -> Tensor {
    if (fails) throw std::runtime_error("from the hook");
    return {};
  });
  const Tensor five = ag::tensor(5.0), seven = ag::tensor(7.0);
  CHECK_THROWS_WITH(y.backward(five, {.retain_graph = true}), "from the hook");
  // A walk that never comes to b.
  CHECK(ag::grad({y}, {a}, {.grad_outputs = {five}, .retain_graph = true})[0].item() == 15);
  fails = false;
  seen.clear();
  y.backward(seven);
  CHECK(seen == std::vector<double>{21, 14, 7});
}

TEST_CASE("a backward hook may remove itself and the others, and take the layer's parameters off") {
  nn::Linear layer(2, 1);
  std::string calls;
  nn::HookHandle first, second;
  first =
      layer.register_full_backward_hook([&](const nn::Module&, const TensorList&, const Tensor&) {
        calls += 'a';
        first.remove(), second.remove();
        layer.weight.requires_grad_(false);
      });
  second = layer.register_full_backward_hook(
      [&](const nn::Module&, const TensorList&, const Tensor&) { calls += 'b'; });
  const Tensor x = ag::ones({1, 2}).requires_grad_();
  for (int i = 0; i < 2; ++i) ag::sum(layer(x)).backward();
  CHECK(calls == "ab");
  CHECK_FALSE(layer.weight.requires_grad());
}

TEST_CASE("an empty function is refused where it is given, not where it is called") {
  nn::Linear model(1, 1);
  const std::string what = ": the function must be there, got an empty one";
  CHECK_THROWS_WITH(model.register_forward_pre_hook(nullptr), "register_forward_pre_hook" + what);
  CHECK_THROWS_WITH(model.register_forward_hook(nn::ForwardHook()), "register_forward_hook" + what);
  using Looks = void (*)(const nn::Module&, const ag::TensorList&, const ag::Tensor&);
  CHECK_THROWS_WITH(model.register_forward_hook(Looks(nullptr)), "register_forward_hook" + what);
  CHECK_THROWS_WITH(model.register_full_backward_hook({}), "register_full_backward_hook" + what);
  CHECK_THROWS_WITH(model.apply({}), "apply" + what);
  CHECK_THROWS_WITH(model.weight.register_hook({}), "register_hook" + what);
  CHECK_THROWS_WITH(nn::Lambda(nullptr), "Lambda" + what);
  model(ag::ones({1, 1}));
}

TEST_CASE("forward hooks see and replace each of several results") {
  Recurrent layer;
  const Tensor x = ag::tensor(3.0);
  std::vector<double> seen;
  auto look = layer.register_forward_hook(
      [&](const nn::Module&, const TensorList& in, const TensorList& out) {
        for (const auto* list : {&in, &out})
          for (const Tensor& t : *list) seen.push_back(t.item());
      });
  CHECK(layer(x).state.h.item() == 36);
  CHECK(seen == std::vector<double>{3, 7, 36, 3});
  auto change =
      layer.register_forward_hook([](const nn::Module&, const TensorList&, const TensorList& out) {
        return TensorList{out[0] * 10, out[1], -out[2]};
      });
  const auto [output, state] = layer(x);
  CHECK(output.item() == 70);
  CHECK(state.h.item() == 36);
  CHECK(state.c.item() == -3);

  Tuple tuple;
  auto more =
      tuple.register_forward_hook([](const nn::Module&, const TensorList&, const TensorList& out) {
        TensorList replaced = out;
        replaced[1] = out[1] + 0.5;
        return replaced;
      });
  const auto [first, rest] = tuple(ag::tensor({1.0, 4.0}));
  check_close(first, {2, 5});
  check_close(rest[0], {2.5, 8.5});
  CHECK(rest[1].item<std::int64_t>() == 1);
  // One output is a list of one.
  nn::Linear linear(1, 1);
  auto one =
      linear.register_forward_hook([](const nn::Module&, const TensorList&, const TensorList& out) {
        return TensorList{out[0] * 0 + 5};
      });
  check_close(linear(ag::ones({1})), {5});
}

TEST_CASE("hooks see the tensors inside of arguments") {
  Recurrent layer;
  const Tensor x = ag::tensor(3.0);
  auto pre = layer.register_forward_pre_hook([](const nn::Module&, TensorList& in) {
    if (in.size() == 3) std::swap(in[1], in[2]);
  });
  State state{ag::tensor(5.0), ag::tensor(7.0)};
  CHECK(layer(x, state).output.item() == 22);
  CHECK(layer(x, State{ag::tensor(5.0), ag::tensor(7.0)}).state.c.item() == 5);
  CHECK(state.h.item() == 5);
  CHECK(layer(x, State{}).output.item() == 7);  // no tensors in it
  // One that forward() changes stays the caller's.
  InPlace counter;
  auto other = counter.register_forward_pre_hook(
      [](const nn::Module&, TensorList& in) { CHECK(in.size() == 1); });
  CHECK(counter(x, state).item() == 15);
  CHECK(state.c.item() == 8);
}

TEST_CASE("a full backward hook sees the gradients of several inputs and results at once") {
  Recurrent layer;
  int calls = 0;
  TensorList grad_in, grad_out;
  auto handle = layer.register_full_backward_hook(
      [&](const nn::Module&, const TensorList& in, const TensorList& out) {
        grad_in = in, grad_out = out, ++calls;
      });
  Tensor x = ag::tensor(3.0).requires_grad_(), h = ag::tensor(5.0).requires_grad_();
  const State state{h, ag::tensor(7.0)};
  {
    const auto [output, after] = layer(x, state);
    (output * 2 + after.h).backward();
  }
  CHECK(calls == 1);
  REQUIRE(grad_in.size() == 3);
  CHECK(grad_in[0].item() == 2 * 5 + 2 * 15 * 5);
  CHECK(grad_in[1].item() == 2 * 3 + 2 * 15 * 3);
  CHECK_FALSE(grad_in[2].defined());
  REQUIRE(grad_out.size() == 3);
  CHECK(grad_out[0].item() == 2);
  CHECK(grad_out[1].item() == 1);
  CHECK_FALSE(grad_out[2].defined());
  CHECK(x.grad().item() == 160);

  // One result alone is used.
  layer(x, state).state.h.backward();
  CHECK(calls == 2);
  CHECK_FALSE(grad_out[0].defined());
  // Second derivatives pass through.
  CHECK(ag::gradgradcheck(
      [&](const Tensor& a, const Tensor& b) {
        const auto [output, after] = layer(ag::sin(a), State{b * a, b});
        return output * after.h * after.c;
      },
      {ag::tensor({1.0, 2.0}), ag::tensor({3.0, -1.0})}));
}
