#include "autograd/core/attributes.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/graph.hpp"
#include "tests/autograd/op_table/op_table_tools.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

// What operations list of their members, by name; those that list too few.
class Listed final : public ag::AttributeVisitor {
 public:
  template <class Op>
  void look_at(const Op& op) {
    seen_ = false;
    name_ = std::string(op.name());
    op.visit_attributes(*this);
  }
  bool seen() const { return seen_; }
  void attribute(std::string_view, const ag::Attribute&) override {}
  void members(std::size_t listed, std::size_t all) override {
    seen_ = true;
    operations.insert(name_);
    if (listed != all)
      forgotten[name_] = all == kUnknown ? "is no plain struct"
                                         : fmt::format("lists {} of {} members", listed, all);
  }
  std::set<std::string> operations;
  std::map<std::string, std::string> forgotten;

 private:
  std::string name_;
  bool seen_ = false;
};

void look_at_graph(Listed& listed, const Tensor& y) {
  if (!y.requires_grad()) return;
  std::vector<const ag::Node*> stack{y.impl()->node.get()};
  std::set<const ag::Node*> met;
  while (!stack.empty()) {
    const ag::Node* node = stack.back();
    stack.pop_back();
    if (!node || node->is_leaf() || !met.insert(node).second) continue;
    listed.look_at(*node);
    INFO(node->name() << " is a node that shows nothing: write its visit_attributes()");
    CHECK(listed.seen());
    for (const ag::Edge& e : node->edges()) stack.push_back(e.node());
  }
}

enum class Side { left, right };
std::string_view name(Side side) { return side == Side::left ? "left" : "right"; }

struct Part {
  double weight;
  bool on;
  XGRAD_ATTRIBUTES(weight, on)
};

void scale_into(const Tensor& x, double factor, Tensor& out) {
  ag::dispatch_floating("scale", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < x.numel(); ++i)
      out.mutable_data<T>()[i] = static_cast<T>(x.data<T>()[i] * factor);
  });
}

// An operation of a user's, with all that an attribute may be.
struct Scale {
  double factor;
  std::int64_t axis;
  Side side;
  std::optional<double> limit;
  ag::Shape sizes;
  ag::DType dtype;
  std::string label;
  Part part;
  std::vector<Part> parts;
  XGRAD_ATTRIBUTES(factor, axis, side, limit, sizes, dtype, label, part, parts)

  std::string_view name() const { return "scale"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const ag::Inputs& in, Tensor& out) const { scale_into(in[0], factor, out); }
  TensorList backward(const ag::Call& call) const {
    Tensor g = ag::empty_like(call.grad());
    scale_into(call.grad(), factor, g);
    return {g};
  }
};
constexpr std::string_view kScale =
    "scale(factor=1e+300, axis=-1, side=right, limit=none, sizes=(2, 3), dtype=float64, "
    "label=a b, part.weight=0.5, part.on=true, parts.0.weight=2, parts.0.on=false)";
Scale scale() {
  return {1e300, -1, Side::right, {}, {2, 3}, ag::float64, "a b", {0.5, true}, {{2, false}}};
}

struct Seeded {
  std::uint64_t seed;
  XGRAD_ATTRIBUTES(seed)
  std::string_view name() const { return "seeded"; }
};

// One that lists nothing.
struct Silent {
  double factor;
  std::string_view name() const { return "silent"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const ag::Inputs& in, Tensor& out) const { scale_into(in[0], factor, out); }
  TensorList backward(const ag::Call& call) const { return {call.grad() * factor}; }
};

}  // namespace

TEST_CASE("every operation of the library lists all of its members as attributes") {
  Listed listed;
  table::for_each_sample([&](const table::Row&, const table::Sample& sample) {
    const TensorList in = table::leaves(table::as(sample.inputs, ag::float64));
    const auto f = [&](const TensorList& x) -> TensorList {
      const Tensor y = sample.call(x);
      if (!y.requires_grad()) return {y};
      TensorList out{y.detach()};
      for (const Tensor& g :
           ag::grad({ag::sum(y)}, table::differentiable(x), {.allow_unused = true}))
        if (g.defined()) out.push_back(g.detach());
      return out;
    };
    look_at_graph(listed, sample.call(in));
    auto compiled = ag::compile(f);
    try {
      (void)compiled(in);
    } catch (const ag::Error&) {
      return;  // what cannot be compiled has shown its nodes
    }
    compiled.visit_steps([&](const ag::detail::Instruction& i) { listed.look_at(i); });
  });
  for (const auto& [name, what] : listed.forgotten)
    FAIL_CHECK(name << " " << what << ": name all in its XGRAD_ATTRIBUTES(...)");
  fmt::print("{} operations list their members\n", listed.operations.size());
  CHECK(listed.operations.size() > 150);
}

TEST_CASE("a member that an operation does not list is counted") {
  Listed listed;
  const Tensor x = ag::ones({2}).requires_grad_();
  look_at_graph(listed, ag::apply(Silent{2}, ag::apply(scale(), x)));
  CHECK(listed.forgotten == std::map<std::string, std::string>{{"silent", "lists 0 of 1 members"}});
}

TEST_CASE("an attribute beyond int64 keeps its digits") {
  const auto text = [](std::uint64_t seed) {
    const Seeded op{seed};
    return ag::attributes_text([&](ag::AttributeVisitor& visitor) {
      ag::detail::visit_attributes_of(op, op.name(), visitor);
    });
  };
  CHECK(text(INT64_MAX) == "seed=9223372036854775807");
  CHECK(text(std::uint64_t{1} << 63) == "seed=9223372036854775808");
  CHECK(text(UINT64_MAX) == "seed=18446744073709551615");
}

TEST_CASE("drawings and errors of anomaly mode show attributes") {
  const Tensor x = ag::full({2, 3}, 1e300, ag::float64).requires_grad_();
  const Tensor y = ag::apply(scale(), ag::apply(Silent{1e-300}, x));
  CHECK_THAT(ag::to_dot(y), ContainsSubstring(std::string(kScale)));
  CHECK_THAT(ag::to_dot(y), ContainsSubstring("silent  (2, 3)"));
  const ag::AnomalyMode on;
  CHECK_THROWS_WITH(ag::apply(scale(), x), ContainsSubstring(", with factor=1e+300, axis=-1, "));
  const Tensor w = ag::zeros({2, 3}, ag::float64).requires_grad_();
  CHECK_THROWS_WITH(ag::apply(scale(), w).backward(ag::full({2, 3}, 1e300, ag::float64)),
                    ContainsSubstring("scale backward: ") &&
                        ContainsSubstring(", with factor=1e+300, axis=-1, "));
}

TEST_CASE("an operand that is broadcast is repeated within a chain") {
  auto f = ag::compile([](const Tensor& x, const Tensor& row) { return ag::tanh(x + row); });
  (void)f(ag::ones({8, 16}), ag::ones({16}));
  CHECK_THAT(f.describe(), Catch::Matchers::ContainsSubstring("chain of 2 over 128 elements") &&
                               Catch::Matchers::ContainsSubstring("(16,) float32 repeated"));
}

TEST_CASE("a compiled function describes its steps with operations, attributes and operands") {
  Tensor w = ag::full({3, 2}, 0.5).requires_grad_();
  auto f = ag::compile([&](const Tensor& x) {
    w.zero_grad();
    const Tensor h = ag::leaky_relu(ag::matmul(x, w), 0.125);
    const Tensor mask = ag::bernoulli({4, 2}, 0.5);
    const Tensor y = ag::cumsum(h, 1) * mask;
    ag::sum(ag::tanh(y), 0).backward(ag::ones({2}));
    ag::perform("note", {y.detach()}, {}, [](const TensorList&, const TensorList&) {});
    return y.detach();
  });
  CHECK(f.describe().empty());
  (void)f(ag::ones({4, 3}));
  CHECK(f.describe() == R"(1 arguments, 13 steps
v3 (4, 2) float32 = matmul(ta=false, tb=false) of a0 (4, 3) float32, t2 (3, 2) float32
v5 (4, 2) float32 = leaky_relu of v3 (4, 2) float32, c4 () float32 0.125
v6 (4, 2) float32 = bernoulli(draw.p=0.5)
v7 (4, 2) float32 = cumsum(axis=1, reverse=false) of v5 (4, 2) float32
chain of 2 over 8 elements:
  v8 (4, 2) float32 = mul of v7 (4, 2) float32, v6 (4, 2) float32
  v9 (4, 2) float32 = tanh of v8 (4, 2) float32
v12 (4, 2) float32 = expand(to=(4, 2)) of c11 (1, 2) float32
chain of 2 over 8 elements:
  v13 (4, 2) float32 = tanh(gradient_of=0) of v12 (4, 2) float32, _, v9 (4, 2) float32
  v14 (4, 2) float32 = mul(gradient_of=0) of v13 (4, 2) float32, v7 (4, 2) float32, v6 (4, 2) float32, _
v15 (4, 2) float32 = cumsum(axis=1, reverse=true) of v14 (4, 2) float32
v16 (4, 2) float32 = leaky_relu(gradient_of=0) of v15 (4, 2) float32, v3 (4, 2) float32, c4 () float32 0.125, _
v18 (3, 2) float32 = matmul(ta=true, tb=false) of a0 (4, 3) float32, v16 (4, 2) float32
note of v8 (4, 2) float32
gradient of a tensor of the program: v18 (3, 2) float32
return v8 (4, 2) float32
)");
}
