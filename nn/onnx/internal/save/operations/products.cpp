#include <cmath>
#include <limits>

#include "nn/onnx/internal/save/table.hpp"

// Products of matrices, distances, determinants.
namespace nn::onnx_out {
namespace {

Name flipped(const Call& call, std::size_t i, bool flip) {
  if (!flip) return call.in(i);
  std::vector<std::int64_t> order;
  for (std::int64_t a = 0; a < call.rank(i); ++a) order.push_back(a);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return call.graph.transpose(call.in(i), order);
}

void matmul(const Call& call) {
  call.result(call.graph.node(
      "MatMul", {flipped(call, 0, call.flag("ta")), flipped(call, 1, call.flag("tb"))}));
}

void linear(const Call& call) {
  const Name bias = call.flag("biased") ? call.in(2) : "";
  call.result(
      call.graph.node("Gemm", {call.in(0), call.in(1), bias}, {{"transB", std::int64_t{1}}}));
}

void cdist(const Call& call) {
  Graph& g = call.graph;
  const double p = call.fixed("p");
  const ag::DType dtype = call.dtype(0);
  const Expr a(g, g.unsqueeze(call.in(0), 2), dtype), b(g, g.unsqueeze(call.in(1), 1), dtype);
  const Expr d = abs(a - b);
  const auto reduced = [&](std::string_view op, const Expr& x) {
    return Expr(g, g.reduce(op, x.name, {3}, false), dtype);
  };
  if (p == 2) return call.result(sqrt(reduced("ReduceSum", d * d)));
  if (p == 1) return call.result(reduced("ReduceSum", d));
  if (p == 0) return call.result(reduced("ReduceSum", {g, g.cast((d != 0).name, dtype), dtype}));
  if (std::isinf(p)) return call.result(reduced("ReduceMax", d));
  call.result(pow(reduced("ReduceSum", pow(d, p)), 1 / p));
}

}  // namespace

void add_products(Table& t) {
  t.by_name["matmul"] = matmul;
  t.by_name["linear"] = linear;
  t.by_name["cdist"] = cdist;
}

}  // namespace nn::onnx_out
