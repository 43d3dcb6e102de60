#include "nn/module/parameter_vector.hpp"

#include "autograd/core/errors.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"

namespace nn {

ag::Tensor parameters_to_vector(const ag::TensorList& parameters) {
  const ag::detail::Named as("parameters_to_vector");
  if (parameters.empty()) ag::fail("parameters_to_vector", "needs parameters, got none");
  ag::TensorList flat;
  for (const ag::Tensor& p : parameters) flat.push_back(ag::reshape(p, {p.numel()}));
  return ag::concat(flat, 0);
}

void vector_to_parameters(const ag::Tensor& vector, const ag::TensorList& parameters) {
  const ag::detail::Named as("vector_to_parameters");
  std::int64_t total = 0;
  for (const ag::Tensor& p : parameters) {
    if (p.dtype() != vector.dtype())
      ag::fail("vector_to_parameters", "vector and parameters must have one dtype, got {} and {}",
               ag::name(vector.dtype()), ag::name(p.dtype()));
    total += p.numel();
  }
  if (vector.shape() != ag::Shape(total))
    ag::fail("vector_to_parameters",
             "the vector must have the shape ({}) of all parameters, got {}", total,
             vector.shape());
  const ag::NoGrad no_grad;
  std::int64_t at = 0;
  for (ag::Tensor p : parameters) {
    p.copy_(ag::reshape(ag::narrow(vector.detach(), 0, at, p.numel()), p.shape()));
    at += p.numel();
  }
}

}  // namespace nn
