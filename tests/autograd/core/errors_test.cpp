#include "autograd/core/errors.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/autograd/ops/messages.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using messages::begins;
using messages::Call;
using messages::error_of;
using messages::text_of;

namespace {

std::string text_of(const std::string& where, const std::string& what) {
  try {
    autograd::fail(where, "needs a name, got '{}'", what);
  } catch (const autograd::Error& e) {
    return e.what();
  }
  return {};
}
}  // namespace

TEST_CASE("text from outside is quoted on one line") {
  CHECK(autograd::quoted("fc1.weight") == "fc1.weight");
  CHECK(autograd::quoted("größe → 层") == "größe → 层");
  CHECK(autograd::quoted(std::string("a\nb\tc\r\x1b[1m\0z", 12)) == "a\\nb\\tc\\r\\x1b[1m\\x00z");
  CHECK(autograd::quoted("\x7f \u0085 \u2028") == "\\x7f \\xc2\\x85 \\xe2\\x80\\xa8");
  // No UTF-8: a stray byte, a character cut short, a surrogate, more than Unicode has, an overlong
  // 0.
  CHECK(autograd::quoted("\xff \xe5\xb1") == "\\xff \\xe5\\xb1");
  CHECK(autograd::quoted("\xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80") ==
        "\\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xc0\\x80");
}

TEST_CASE("long text from outside is quoted by its beginning and end") {
  const std::string full(80, 'x');
  CHECK(autograd::quoted(full) == full);
  CHECK(autograd::quoted(full + "y") == std::string(53, 'x') + "…" + std::string(25, 'x') + "y");
  CHECK(autograd::quoted(std::string(10'000'000, '\n') + "end", 16) == "\\n\\n\\n\\n\\n…\\nend");
  std::string wide;
  for (int i = 0; i < 1000; ++i) wide += "层";
  CHECK(autograd::quoted(wide, 6) == "层层层层…层");
  CHECK(autograd::quoted("abcd", 3) == "ab…");
}

TEST_CASE("an error is one line whatever is in it") {
  CHECK(text_of("a\nb.csv", "c\nd") == "a\\nb.csv: needs a name, got 'c\\nd'");
  CHECK(text_of(std::string(1000, 'x'), "").size() < 300);
  autograd::Error error("linear: needs a weight");
  error.set_layer({"blocks.a\nb", "Linear\r", nullptr});
  CHECK(error.what() == std::string("blocks.a\\nb (Linear\\r): linear: needs a weight"));
}

TEST_CASE("a backward of what NoGrad kept off the tape says so") {
  const Tensor x = ag::ones({2}).requires_grad_();
  const std::string why =
      "backward: the output must require a gradient, got one that was computed while recording was "
      "off; compute it outside of NoGrad, or inside of EnableGrad";
  Tensor y;
  {
    const ag::NoGrad off;
    y = ag::sum(x * 2);
    CHECK(error_of([&] { return y.backward(), 0; }) == why);
    CHECK(error_of([&] { return ag::grad({y}, {x}); }) == "grad" + why.substr(8));
    CHECK(error_of([] { return ag::ones({}).backward(), 0; }) == why);
  }
  CHECK(error_of([&] { return y.backward(), 0; }) == why);
  CHECK(error_of([&] { return (y * 3 + 1).backward(), 0; }) == why);  // and of what is made of it
  CHECK(error_of([&] { return ag::reshape(y, {1}).backward(), 0; }) == why);
  CHECK(error_of([&] { return (y * 3).retain_grad(), 0; }) ==
        "retain_grad: the tensor must require a gradient, got one that does not; it was computed "
        "from what requires one while recording was off (NoGrad)");
  CHECK(error_of([&] { return ag::grad({ag::sum(x)}, {y}); }) ==
        "grad: every input must require a gradient, got one that does not at 0; it was computed "
        "from what requires one while recording was off (NoGrad)");
  const std::string plain =
      "backward: the output must require a gradient, got one that no recorded operation made; call "
      "requires_grad_() on a leaf before computing it, and look for a detach() or item() between";
  CHECK(error_of([] { return ag::ones({}).backward(), 0; }) == plain);
  CHECK(error_of([&] { return y.detach().backward(), 0; }) == plain);  // on purpose
  Tensor leaf = y;
  leaf.requires_grad_().requires_grad_(false);
  CHECK(error_of([&] { return leaf.backward(), 0; }) == plain);
}

TEST_CASE("too many entries in brackets are counted") {
  const Tensor scalar = ag::ones({}), x = ag::ones({2, 3});
  CHECK(error_of([&] {
          return scalar[{0, 0, 0}];
        }) == "index: the entries must stand for at most the 0 axes of (), got entries for 3");
  CHECK(error_of([&] {
          return x[{0, ag::indexing::all, 0, ag::indexing::newaxis}];
        }) == "index: the entries must stand for at most the 2 axes of (2, 3), got entries for 3");
  CHECK(error_of([&] {
          return x[{0, x > 0}];
        }) == "index: the entries must stand for at most the 2 axes of (2, 3), got entries for 3");
  using ag::indexing::ellipsis;
  CHECK(error_of([&] {
          return x[{ellipsis, ellipsis}];
        }) == "index: needs at most one ellipsis, got 2");
}

TEST_CASE("a NaN has no sign in a text") {
  const double nan = -std::numeric_limits<double>::quiet_NaN();
  CHECK(std::signbit(nan));
  CHECK(error_of([&] { return ag::bernoulli({2}, nan); }) ==
        "bernoulli: the probability must be in [0, 1], got nan");
  CHECK(error_of([&] { return ag::full({2}, nan, ag::int64); }).find("-nan") == std::string::npos);
  CHECK(error_of([&] { return ag::arange(nan, 1.0); }).find("-nan") == std::string::npos);
  CHECK(error_of([&] { return ag::quantile(ag::ones({2}), nan); }) ==
        "quantile: q must be in [0, 1], got nan");
  for (const auto dtype : {ag::float32, ag::float64})
    for (const char* spec : {"", "g", ".2f", "e"})
      CHECK(ag::to_string(ag::full({1}, nan, dtype), spec) == "[nan]");
  const auto f = [&](const Tensor& x) { return ag::where(x > 0.5, x, nan) * 2; };
  CHECK(ag::gradcheck(f, {ag::ones({1}, ag::float64)}).report() == "passed");
  const auto report =
      ag::gradcheck([&](const Tensor& x) { return x * nan; }, {ag::ones({1}, ag::float64)})
          .report();
  INFO(report);
  CHECK((report.find("nan") != report.npos && report.find("-nan") == report.npos));
}

TEST_CASE("an empty function is refused by what would call it") {
  const Tensor x = ag::ones({2}, ag::float64);
  const ag::TensorFunction one;
  const ag::TensorsFunction some;
  const ag::TensorListFunction list;
  Tensor (*const pointer)(const Tensor&) = nullptr;
  const std::vector<Call> calls{
      CALL("register_hook", x.detach().requires_grad_().register_hook({})),
      CALL("jacobian", ag::jacobian(one, x)),
      CALL("hessian", ag::hessian(one, x)),
      CALL("hvp", ag::hvp(one, x, x)),
      CALL("jvp", ag::jvp(one, x, x)),
      CALL("vjp", ag::vjp(one, x, x)),
      CALL("jacobian", ag::jacobian(some, {x})),
      CALL("hessian", ag::hessian(some, {x})),
      CALL("hvp", ag::hvp(some, {x}, {x})),
      CALL("jvp", ag::jvp(some, {x}, {x})),
      CALL("vjp", ag::vjp(some, {x}, x)),
      CALL("gradcheck", ag::gradcheck(list, {x})),
      CALL("gradcheck", ag::gradcheck(one, {x})),
      CALL("gradgradcheck", ag::gradgradcheck(pointer, {x})),
      CALL("value_and_grad", ag::value_and_grad(one)(x)),
      CALL("checkpoint", ag::checkpoint(one, x)),
      CALL("checkpoint", ag::checkpoint(pointer, x)),
      CALL("compile", ag::compile(one)),
  };
  for (const Call& call : calls)
    CHECK(text_of(call) == call.name + ": the function must be there, got an empty one");
}

TEST_CASE("functions of functions name themselves") {
  const Tensor u, x = ag::ones({2}, ag::float64);
  const auto same = [](const Tensor& t) { return t; };
  const auto none = [](const Tensor&) { return Tensor(); };
  const std::vector<Call> calls{CALL("value_and_grad", ag::value_and_grad(same)(u)),
                                CALL("value_and_grad", ag::value_and_grad(same)(ag::arange(1))),
                                CALL("value_and_grad", ag::value_and_grad(same)(x)),
                                CALL("value_and_grad", ag::value_and_grad(none)(x)),
                                CALL("jacobian", ag::jacobian(same, u)),
                                CALL("jacobian", ag::jacobian(none, x)),
                                CALL("hessian", ag::hessian(same, u)),
                                CALL("hessian", ag::hessian(same, x)),
                                CALL("hvp", ag::hvp(same, x, u)),
                                CALL("jvp", ag::jvp(same, x, u)),
                                CALL("vjp", ag::vjp(same, u, x)),
                                CALL("checkpoint", ag::checkpoint(same, u)),
                                CALL("checkpoint", ag::checkpoint(none, x)),
                                CALL("compile", ag::compile(same)(u)),
                                CALL("compile", ag::compile(none)(x)),
                                CALL("gradcheck", ag::gradcheck(same, {u})),
                                CALL("gradcheck", ag::gradcheck(same, {x, x}))};
  for (const Call& call : calls) {
    const std::string text = text_of(call);
    INFO(text);
    CHECK(begins(text, call.name));
  }
}

TEST_CASE("a format that does not suit is an error of one line") {
  for (const Tensor& t : {ag::ones({2}), ag::arange(2), ag::arange(2) > 0})
    for (const char* spec : {"}{", "{}", "{0}", "y", "999999999999", ">2000000000", ".99999999999f",
                             ".2000000000f", "\n", ".2f\n", "%", "\xc3"}) {
      const std::string text = error_of([&] { return ag::to_string(t, spec); });
      INFO(spec << ": " << text);
      CHECK(begins(text, "to_string"));
    }
  CHECK(error_of([] { return ag::to_string(ag::ones({1}), "q\n"); }).find("got \"q\\n\"") !=
        std::string::npos);
}

TEST_CASE("text from outside stays on its line and short") {
  const Tensor x = ag::ones({2, 2}, ag::float64);
  const std::string line = "a\nb\x1b[31m", longer(100'000, 'i');
  const auto named = [](const std::string& name) {
    return ag::elementwise(name, [](auto v) { return v * v; });
  };
  const Tensor other = x.detach().requires_grad_() * 2;
  for (const std::string& text : {line, longer}) {
    const std::vector<Call> calls{CALL("einsum", ag::einsum(text, {x})),
                                  CALL("einsum", ag::einsum(text + ",", {x})),
                                  CALL("einsum", ag::einsum("ij->" + text, {x})),
                                  CALL("qr", ag::qr(x, text)),
                                  CALL("matrix_norm", ag::matrix_norm(x, text)),
                                  CALL("to_string", ag::to_string(x, text)),
                                  CALL("to_dot", ag::to_dot(other, {{text, Tensor()}})),
                                  CALL(ag::quoted(text, 200), named(text)(Tensor()))};
    for (const Call& call : calls) {
      const std::string error = text_of(call);
      INFO(error);
      CHECK((begins(error, call.name) && error.size() < 400));
    }
  }
}

TEST_CASE("an input of grad() that is not used is told what a copy of a parameter is") {
  const Tensor x = ag::ones({2}).requires_grad_(), copy = ag::ones({2}).requires_grad_();
  CHECK(
      error_of([&] { return ag::grad({ag::sum(x)}, {copy}); }) ==
      "grad: the outputs must depend on every input, got input 0 ((2,)) unused; pass "
      "{.allow_unused = true} to get an undefined tensor for it; a copy of a parameter, as by auto "
      "w = layer.weight, is unused");
  const Tensor computed = copy * 2.0;
  CHECK(error_of([&] { return ag::grad({ag::sum(x)}, {computed}); }) ==
        "grad: the outputs must depend on every input, got input 0 ((2,)) unused; pass "
        "{.allow_unused = true} to get an undefined tensor for it");
}
