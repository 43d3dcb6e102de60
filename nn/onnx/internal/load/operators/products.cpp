#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

Run matmul(Node&) {
  return [](const Call& call) { return one(ag::matmul(call[0], call[1])); };
}

Run gemm(Node& node) {
  const double alpha = node.number("alpha", 1), beta = node.number("beta", 1);
  const bool ta = node.flag("transA"), tb = node.flag("transB");
  node.ignore("broadcast");  // of opset 6; sizes say it
  return [=](const Call& call) {
    const Tensor a = ta ? ag::transpose(call[0]) : call[0];
    const bool bias = call.has(2);
    if (alpha == 1 && beta == 1 &&
        (!bias || call[2].shape() == ag::Shape(call[1].size(tb ? 0 : 1))))
      return one(ag::linear(a, tb ? call[1] : ag::transpose(call[1]), bias ? call[2] : Tensor()));
    Tensor y = ag::matmul(a, tb ? ag::transpose(call[1]) : call[1]);
    if (alpha != 1) y = y * alpha;
    return one(bias ? y + (beta == 1 ? call[2] : call[2] * beta) : y);
  };
}

Run einsum(Node& node) {
  return [equation = node.text("equation")](const Call& call) {
    ag::TensorList operands;
    for (std::size_t i = 0; i < call.size(); ++i) operands.push_back(call[i]);
    return one(ag::einsum(equation, operands));
  };
}

Run det(Node&) { return unary(ag::det); }

constexpr Operator kOperators[] = {
    {"Det", det, 1, 1},
    {"Einsum", einsum, 1, kAny},
    {"Gemm", gemm, 2, 3},
    {"MatMul", matmul, 2, 2},
};

}  // namespace

std::span<const Operator> product_operators() { return kOperators; }

}  // namespace nn::interpreter
