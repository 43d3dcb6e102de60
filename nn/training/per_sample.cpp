#include "nn/training/per_sample.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"

namespace nn {

ag::TensorList detail::per_sample_grads(
    const Module& model, const ag::Tensor& x, const ag::Tensor& y,
    const std::function<ag::Tensor(const ag::Tensor&, const ag::Tensor&)>& loss) {
  if (!x.defined() || !y.defined())
    ag::fail("per_sample_grads", "x and y must be defined, got an undefined tensor");
  if (x.ndim() == 0 || y.ndim() == 0 || x.size(0) != y.size(0))
    ag::fail("per_sample_grads", "x and y must have one batch axis in front, got {} and {}",
             x.shape(), y.shape());
  const ag::EnableGrad recording;
  const ag::TensorList parameters = model.parameters();
  ag::TensorList trained;
  for (const ag::Tensor& p : parameters)
    if (p.requires_grad()) trained.push_back(p);
  if (trained.empty())
    ag::fail("per_sample_grads", "some parameter must require a gradient, got {} without one",
             model.type_name());

  std::vector<ag::TensorList> rows(trained.size());
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    const ag::Tensor value = loss(ag::narrow(x, 0, i, 1), ag::narrow(y, 0, i, 1));
    if (!value.defined())
      ag::fail("per_sample_grads",
               "the loss of a sample must be one element, got an undefined tensor");
    if (value.numel() != 1)
      ag::fail("per_sample_grads", "the loss of a sample must be one element, got shape {}",
               value.shape());
    const ag::TensorList gradients = ag::grad({value}, trained, {.allow_unused = true});
    for (std::size_t k = 0; k < trained.size(); ++k)
      rows[k].push_back(gradients[k].defined() ? gradients[k] : ag::zeros_like(trained[k]));
  }
  ag::TensorList result;
  std::size_t k = 0;
  for (const ag::Tensor& p : parameters) {
    if (!p.requires_grad()) {
      result.push_back(ag::Tensor());
      continue;
    }
    ag::Shape shape{x.size(0)};
    shape.append(p.shape().begin(), p.shape().end());
    result.push_back(x.size(0) == 0 ? ag::zeros(shape, p.dtype()) : ag::stack(rows[k]));
    ++k;
  }
  return result;
}

}  // namespace nn
