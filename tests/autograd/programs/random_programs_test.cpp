#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "autograd/elementwise/elementwise.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/tape/function.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/autograd/programs/programs.hpp"
#include "tests/catch.hpp"
#include "tests/sanitizers.hpp"
#include "tests/source_dir.hpp"

namespace ag = autograd;
using ag::Context;
using ag::Tensor;
using ag::TensorList;
using programs::Op;
using programs::Program;

namespace {

constexpr std::uint64_t kPrograms = XGRAD_UNDER_ASAN ? 200 : 5000;

bool fails(const std::vector<Op>& ops, const Program& p) {
  const auto verdict = programs::check(ops, p);
  return verdict.valid && verdict.failure;
}

// The program in programs/example.inc: every kind of argument and of literal.
Program example() {
  const auto& ops = programs::registry();
  Program p;
  p.inputs = {ag::reshape(ag::tensor({0.5, -1.0, 0.25, 1.0, 0.125, -0.75}), {2, 3}),
              ag::tensor({0.5}), ag::tensor(-1e-3), ag::zeros({0, 2}, ag::float64)};
  const auto add = [&](const std::string& text, std::vector<std::size_t> operands) {
    for (std::size_t i = 0; i < ops.size(); ++i)
      if (ops[i].text == text) p.steps.push_back({i, std::move(operands), 11});
    return p.inputs.size() + p.steps.size() - 1;
  };
  const std::size_t last = add("ag::gather(a, axis, grid)", {add("a * b", {0, 1})});
  add("ag::stack({a, b, c}, axis)", {2, 2, 2});
  add("ag::index_select(a, axis, index)", {add("ag::permute(a, order)", {last})});
  add("ag::reshape(a, shape)", {add("number * a + 0.25", {last})});
  add("ag::sum(a, axis, flag)", {3});
  add("ag::slice(a, axis, start, start + length, step)", {last});
  add("ag::select(a, axis, entry)", {add("ag::transpose(a, axis, other)", {0})});
  return p;
}

std::size_t steps_for(std::uint64_t seed) { return 5 + seed % 46; }

Program shrunk(const std::vector<Op>& ops, const Program& p) {
  return programs::shrink(ops, p, [&](const Program& q) { return fails(ops, q); });
}

// The first failing program over the registry and one wrong operation, made small.
struct Found {
  Program program;
  std::string failure, text;
};
Found find(const Op& wrong) {
  auto ops = programs::registry();
  // Several times, so that it is drawn soon.
  for (int i = 0; i < 3; ++i) ops.push_back(wrong);
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Program p = programs::generate(ops, seed, steps_for(seed));
    if (!fails(ops, p)) continue;
    const Program small = shrunk(ops, p);
    return {small, programs::check(ops, small).failure->text, programs::print(ops, small)};
  }
  FAIL("the wrong operation was not found: " << wrong.text);
  return {};
}

// Operations of the user's among those of the library.
struct Cube : ag::Function<Cube> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& x = ctx.saved()[0];
    return {3 * x * x * grad[0]};
  }
};
const auto blend = ag::elementwise("blend", [](auto x, auto y) {
  using std::tanh;
  return x * tanh(y) + y / (1 + x * x);
});

// tanh with a gradient that is too large by one part in a thousand.
struct WrongTanh : ag::Function<WrongTanh> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    const Tensor y = ag::tanh(x);
    ctx.save_for_backward({y});
    return y;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& y = ctx.saved()[0];
    return {1.001 * grad[0] * (1 - y * y)};
  }
};

// x² with a gradient that leaves the tape.
struct FlatSquare : ag::Function<FlatSquare> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    return {2 * ctx.saved()[0].detach() * grad[0]};
  }
};

// a · b that takes both operands to be of one shape and, if they are not, adds up the wrong way.
struct SwappedMul : ag::Function<SwappedMul> {
  static Tensor forward(Context& ctx, const Tensor& a, const Tensor& b) {
    ctx.save_for_backward({a, b});
    return a * b;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor &a = ctx.saved()[0], &b = ctx.saved()[1];
    return {ag::sum_to(grad[0] * a, a.shape()), ag::sum_to(grad[0] * b, b.shape())};
  }
};

// a + b without the sum over the axes that were broadcast.
struct NoUnbroadcast : ag::Function<NoUnbroadcast> {
  static Tensor forward(Context&, const Tensor& a, const Tensor& b) { return a + b; }
  static TensorList backward(Context&, const TensorList& grad) { return {grad[0], grad[0]}; }
};

// Wrong for two equal operands only: the gradient of the second is lost.
struct SharedMul : ag::Function<SharedMul> {
  static Tensor forward(Context& ctx, const Tensor& a, const Tensor& b) {
    ctx.save_for_backward({a, b});
    return a * b;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor &a = ctx.saved()[0], &b = ctx.saved()[1];
    const bool same = a.to_vector<double>() == b.to_vector<double>();
    return {grad[0] * b, same ? Tensor() : grad[0] * a};
  }
};

}  // namespace

TEST_CASE("random programs have right first and second derivatives and repeat bit for bit") {
  auto ops = programs::registry();
  ops.push_back(PROGRAM_OP(1, true, Cube::apply(a)));
  ops.push_back(PROGRAM_OP(2, programs::broadcast(a, b), blend(a, b)));
  std::size_t valid = 0, steps = 0, shared = 0, failures = 0;
  std::map<std::size_t, std::size_t> used;
  for (std::uint64_t seed = 0; seed < kPrograms; ++seed) {
    const Program p = programs::generate(ops, seed, steps_for(seed));
    const auto verdict = programs::check(ops, p);
    if (!verdict.valid) continue;
    ++valid;
    steps += p.steps.size();
    for (const auto& step : p.steps) {
      ++used[step.op];
      for (const std::size_t i : step.operands) shared += i < p.inputs.size();
    }
    if (!verdict.failure) continue;
    if (++failures > 3) break;
    const Program small = shrunk(ops, p);
    const auto again = programs::check(ops, small);
    FAIL_CHECK("seed " << seed << ": " << verdict.failure->text << "\nsmallest of "
                       << p.steps.size()
                       << " steps: " << (again.failure ? again.failure->text : "none") << "\n"
                       << programs::print(ops, small));
  }
  CHECK(failures == 0);
  CHECK(valid > kPrograms * 9 / 10);
  CHECK(steps > 20 * valid);
  CHECK(shared > valid);
  // Every operation takes part.
  if (kPrograms < 1000) return;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    INFO(ops[i].text);
    CHECK(used[i] >= kPrograms / 200);
  }
}

TEST_CASE("every public operation is in the random programs, or says why it is not") {
  const std::regex call(R"(\bag::(\w+)\()");
  std::set<std::string> called;
  for (const Op& op : programs::registry())
    for (std::sregex_iterator m(op.text.begin(), op.text.end(), call), end; m != end; ++m)
      called.insert((*m)[1]);
  const auto operations = table::families();
  for (const auto& [name, family] : operations) {
    INFO(name << " of " << family << ": add a line to tests/autograd/programs, or a reason");
    CHECK(called.contains(name) != programs::left_out().contains(name));
  }
  for (const auto& [name, reason] : programs::left_out()) {
    INFO(name);
    CHECK(operations.contains(name));
    CHECK_FALSE(reason.empty());
  }
}

TEST_CASE("a program is a function of its seed") {
  const auto& ops = programs::registry();
  const auto text = [&](std::uint64_t seed) {
    return programs::print(ops, programs::generate(ops, seed, 20));
  };
  CHECK(text(3) == text(3));
  CHECK(text(3) != text(4));
}

TEST_CASE("a printed program compiles and passes") {
  const auto& ops = programs::registry();
  std::ifstream file(XGRAD_SOURCE_DIR "/tests/autograd/programs/example.inc");
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  REQUIRE(programs::check(ops, example()).valid);
  // After a change of the printer: put the new text into that file.
  CHECK(text.str() == programs::print(ops, example()));
#include "tests/autograd/programs/example.inc"
  CHECK(report == "passed");
}

TEST_CASE("shrinking keeps the failure and leaves nothing that could go") {
  const auto& ops = programs::registry();
  // Stands for a failure: some softmax over more than one element, and a value behind it.
  const auto has = [&](const Program& p, const std::string& text) {
    for (const auto& step : p.steps)
      if (ops[step.op].text.find(text) != std::string::npos) return true;
    return false;
  };
  std::size_t shrunk_programs = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Program p = programs::generate(ops, seed, 50);
    const auto both = [&](const Program& q) {
      return has(q, "ag::softmax(a, axis)") && has(q, "ag::gelu") && programs::check(ops, q).valid;
    };
    if (!both(p)) continue;
    const Program small = programs::shrink(ops, p, both);
    INFO(programs::print(ops, small));
    CHECK(small.steps.size() == 2);
    for (const Tensor& x : small.inputs) CHECK(x.numel() <= 1);
    ++shrunk_programs;
  }
  CHECK(shrunk_programs > 5);
}

TEST_CASE("a wrong operation is found by random programs and shrunk to itself") {
  const auto tanh = find(PROGRAM_OP(1, true, WrongTanh::apply(a)));
  INFO(tanh.text);
  CHECK(tanh.program.steps.size() == 1);
  CHECK(tanh.program.inputs[0].numel() == 1);
  CHECK_THAT(tanh.failure, Catch::Matchers::ContainsSubstring("the gradient along a direction"));
  CHECK_THAT(tanh.text, Catch::Matchers::ContainsSubstring("WrongTanh::apply(v0)"));

  const auto flat = find(PROGRAM_OP(1, true, FlatSquare::apply(a)));
  INFO(flat.text);
  CHECK(flat.program.steps.size() == 1);
  CHECK_THAT(flat.failure, Catch::Matchers::ContainsSubstring("gradient of the gradient"));

  const auto swapped = find(PROGRAM_OP(2, programs::broadcast(a, b), SwappedMul::apply(a, b)));
  INFO(swapped.text);
  CHECK(swapped.program.steps.size() == 1);

  const auto shape = find(PROGRAM_OP(2, programs::broadcast(a, b), NoUnbroadcast::apply(a, b)));
  INFO(shape.text);
  CHECK(shape.program.steps.size() == 1);
  CHECK_THAT(shape.failure, Catch::Matchers::ContainsSubstring("threw: "));

  const auto shared = find(PROGRAM_OP(2, a.shape() == b.shape(), SharedMul::apply(a, b)));
  INFO(shared.text);
  CHECK(shared.program.steps.size() <= 2);
}
