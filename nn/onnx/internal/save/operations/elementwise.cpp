#include "nn/onnx/internal/save/table.hpp"

// Element by element: by a node that means the same, else by the formula of elementwise.def.
namespace nn::onnx_out {
namespace {

using Formula = Expr (*)(const std::vector<Expr>&);

struct Row {
  std::string_view name;
  Formula formula;
};

// The values of elementwise.def on expressions. A comparison of a formula is one of Expr.
#define PRIMITIVE(name, ...) {#name, [](const std::vector<Expr>& in) { return name(in[0]); }},
#define UNARY(name, dtypes, value, ...)     \
  {#name, [](const std::vector<Expr>& in) { \
     const Expr& x = in[0];                 \
     return Expr(value);                    \
   }},
#define BINARY(name, dtypes, value, ...)    \
  {#name, [](const std::vector<Expr>& in) { \
     const Expr &a = in[0], &b = in[1];     \
     return Expr(value);                    \
   }},
#define TERNARY(name, dtypes, value, ...)           \
  {#name, [](const std::vector<Expr>& in) {         \
     const Expr &a = in[0], &b = in[1], &c = in[2]; \
     return Expr(value);                            \
   }},
#define COMPARE(name, value)                \
  {#name, [](const std::vector<Expr>& in) { \
     const Expr &a = in[0], &b = in[1];     \
     return Expr(value);                    \
   }},
constexpr Row kFormulas[] = {
#include "autograd/formulas/elementwise.def"
};

// Nodes that mean the same, from an opset on, without or with attributes.
struct Node {
  std::string_view name, op;
  int since = 1;
  std::string_view attribute{};
  std::string_view word{};
};
constexpr Node kNodes[] = {
    {"neg", "Neg"},
    {"sign", "Sign"},
    {"sigmoid", "Sigmoid"},
    {"relu", "Relu"},
    {"softplus", "Softplus"},
    {"softsign", "Softsign"},
    {"reciprocal", "Reciprocal"},
    {"mish", "Mish", 18},
    {"gelu", "Gelu", 20},
    {"gelu_tanh", "Gelu", 20, "approximate", "tanh"},
    {"hardswish", "HardSwish"},
};

// Nodes whose parameter is an attribute: where the second operand is a number.
struct Parametrized {
  std::string_view name, op, attribute;
};
constexpr Parametrized kParametrized[] = {
    {"leaky_relu", "LeakyRelu", "alpha"}, {"elu", "Elu", "alpha"}, {"celu", "Celu", "alpha"}};

// Whether onnxruntime computes the node in the dtype; else the formula serves.
bool fits(const Call& call) { return call.dtype(0) == ag::float32; }

bool by_node(const Call& call, const Node& node) {
  if (call.graph.opset() < node.since || (!fits(call) && node.name != "neg" && node.name != "sign"))
    return false;
  NodeAttributes attributes;
  if (!node.attribute.empty()) attributes.push_back({node.attribute, std::string(node.word)});
  call.result(call.graph.node(node.op, {call.in(0)}, attributes));
  return true;
}

bool by_parameter(const Call& call, const Parametrized& p) {
  const auto number = call.number(1);
  if (!number || !fits(call)) return false;
  call.result(call.graph.node(p.op, {call.in(0)}, {{p.attribute, *number}}));
  return true;
}

void by_formula(const Call& call, Formula formula) {
  std::vector<Expr> in;
  for (std::size_t i = 0; i < call.inputs(); ++i) in.push_back(call.expr(i));
  call.result(formula(in));
}

// ONNX's comparisons of order take numbers only.
void compare(const Call& call, Formula formula) {
  std::vector<Expr> in;
  for (std::size_t i = 0; i < 2; ++i) {
    in.push_back(call.expr(i));
    if (call.dtype(i) == ag::boolean)
      in[i] = {call.graph, call.graph.cast(in[i].name, ag::int64), ag::int64};
  }
  call.result(formula(in));
}

void add_formulas(Table& t) {
  for (const Row& row : kFormulas)
    t.by_name[std::string(row.name)] = [&row](const Call& call) {
      return by_formula(call, row.formula);
    };
  for (const std::string_view name :
       {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
    for (const Row& row : kFormulas)
      if (row.name == name)
        t.by_name[std::string(name)] = [&row](const Call& call) { compare(call, row.formula); };
}

}  // namespace

void add_elementwise(Table& t) {
  add_formulas(t);
  for (const Node& node : kNodes) {
    const Rule formula = t.by_name[std::string(node.name)];
    t.by_name[std::string(node.name)] = [&node, formula](const Call& call) {
      if (!by_node(call, node)) formula(call);
    };
  }
  for (const Parametrized& p : kParametrized) {
    const Rule formula = t.by_name[std::string(p.name)];
    t.by_name[std::string(p.name)] = [&p, formula](const Call& call) {
      if (!by_parameter(call, p)) formula(call);
    };
  }
  t.by_name["where"] = [](const Call& call) {
    call.result(call.graph.node("Where", {call.in(0), call.in(1), call.in(2)}));
  };
  t.by_name["and"] = [](const Call& call) { call.result(call.expr(0) && call.expr(1)); };
  t.by_name["or"] = [](const Call& call) { call.result(call.expr(0) || call.expr(1)); };
  t.by_name["xor"] = [](const Call& call) {
    call.result(call.graph.node("Xor", {call.in(0), call.in(1)}));
  };
}

}  // namespace nn::onnx_out
