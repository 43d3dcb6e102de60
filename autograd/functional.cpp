#include "autograd/functional.hpp"

#include "autograd/ops.hpp"

namespace autograd {
namespace {

void check_argument(std::string_view op, const Tensor& x) {
  if (!x.defined()) fail(op, "x must be defined, got an undefined tensor");
  if (!is_floating(x.dtype()))
    fail(op, "x must be float32 or float64, got {}; convert with .to(float64)", name(x.dtype()));
}

void check_vector(std::string_view op, std::string_view of, const Tensor& v, const Tensor& like) {
  if (!v.defined()) fail(op, "v must be defined, got an undefined tensor");
  if (v.shape() != like.shape())
    fail(op, "v must have the shape of {}, got {} for {}", of, v.shape(), like.shape());
  if (v.dtype() != like.dtype())
    fail(op, "v must have the dtype of {}, got {} for {}", of, name(v.dtype()), name(like.dtype()));
}

Tensor evaluate(std::string_view op, const TensorFunction& f, const Tensor& x) {
  Tensor y = f(x);
  if (!y.defined()) fail(op, "the function must return a tensor, got an undefined one");
  if (!is_floating(y.dtype()))
    fail(op, "the function must return float32 or float64, got {}", name(y.dtype()));
  return y;
}

Tensor leaf(std::string_view op, const Tensor& x) {
  check_argument(op, x);
  return x.detach().requires_grad_();
}

// vᵀ dy/dx; zeros where y does not depend on x.
Tensor product(const Tensor& y, const Tensor& x, const Tensor& v, bool create_graph) {
  Tensor g;
  if (y.requires_grad())
    g = grad({y}, {x},
             {.grad_outputs = {v},
              .retain_graph = true,
              .create_graph = create_graph,
              .allow_unused = true})[0];
  return g.defined() ? g : zeros_like(x);
}

Tensor gradient(std::string_view op, const TensorFunction& f, const Tensor& x) {
  const Tensor y = evaluate(op, f, x);
  if (y.numel() != 1)
    fail(op, "the function must return one element, got shape {}; sum it or use jacobian",
         y.shape());
  return product(y, x, ones_like(y), true);
}

}  // namespace

Tensor jacobian(const TensorFunction& f, const Tensor& x, bool create_graph) {
  const EnableGrad recording;
  check_argument("jacobian", x);
  if (create_graph && !x.requires_grad())
    fail("jacobian", "with create_graph x must require a gradient, got one that does not");
  const Tensor in = create_graph ? x : x.detach().requires_grad_();
  const Tensor y = evaluate("jacobian", f, in);
  Shape shape = y.shape();
  shape.append(x.shape().begin(), x.shape().end());
  if (shape.numel() == 0) return zeros(shape, x.dtype());
  TensorList rows;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    Tensor one_hot = zeros_like(y);
    dispatch(y.dtype(), [&](auto zero) { one_hot.mutable_data<decltype(zero)>()[i] = 1; });
    rows.push_back(product(y, in, one_hot, create_graph));
  }
  return reshape(stack(rows), shape);
}

Tensor hessian(const TensorFunction& f, const Tensor& x) {
  check_argument("hessian", x);
  return jacobian([&](const Tensor& in) { return gradient("hessian", f, in); }, x);
}

Tensor hvp(const TensorFunction& f, const Tensor& x, const Tensor& v) {
  const EnableGrad recording;
  const Tensor in = leaf("hvp", x);
  check_vector("hvp", "x", v, x);
  return product(gradient("hvp", f, in), in, v, false);
}

// Twice backward: u ↦ uᵀJ is linear, and its own gradient along v is Jv, whatever u is.
Tensor jvp(const TensorFunction& f, const Tensor& x, const Tensor& v) {
  const EnableGrad recording;
  const Tensor in = leaf("jvp", x);
  check_vector("jvp", "x", v, x);
  const Tensor y = evaluate("jvp", f, in);
  const Tensor u = zeros_like(y).requires_grad_();
  return product(product(y, in, u, true), u, v, false);
}

Tensor vjp(const TensorFunction& f, const Tensor& x, const Tensor& v) {
  const EnableGrad recording;
  const Tensor in = leaf("vjp", x);
  const Tensor y = evaluate("vjp", f, in);
  check_vector("vjp", "f(x)", v, y);
  return product(y, in, v, false);
}

}  // namespace autograd
