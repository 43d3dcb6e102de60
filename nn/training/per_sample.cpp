#include "nn/training/per_sample.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/vmap.hpp"

namespace nn {
namespace {

using Gradients = std::function<ag::TensorList(const ag::Tensor&, const ag::Tensor&)>;

ag::TensorList one_by_one(const Gradients& f, const ag::Tensor& x, const ag::Tensor& y,
                          const ag::TensorList& trained) {
  std::vector<ag::TensorList> rows(trained.size());
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    const ag::TensorList gradients = f(ag::narrow(x, 0, i, 1), ag::narrow(y, 0, i, 1));
    for (std::size_t k = 0; k < trained.size(); ++k) rows[k].push_back(gradients[k]);
  }
  ag::TensorList result;
  for (std::size_t k = 0; k < trained.size(); ++k) {
    ag::Shape none{0};
    none.append(trained[k].shape().begin(), trained[k].shape().end());
    result.push_back(rows[k].empty() ? ag::zeros(none, trained[k].dtype()) : ag::stack(rows[k]));
  }
  return result;
}

// A model whose forward reads elements or writes into buffers sees one sample after the other.
ag::TensorList of_samples(const Gradients& f, const ag::Tensor& x, const ag::Tensor& y,
                          const ag::TensorList& trained) {
  if (x.size(0) > 1 && !ag::anomaly_mode()) try {
      return ag::vmap([&](const ag::TensorList& xy) { return f(xy[0], xy[1]); })(
          ag::TensorList{ag::unsqueeze(x, 1), ag::unsqueeze(y, 1)});
    } catch (const ag::VmapError&) {
    }
  return one_by_one(f, x, y, trained);
}

}  // namespace

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

  const auto gradients_of = [&](const ag::Tensor& xi, const ag::Tensor& yi) {
    const ag::Tensor value = loss(xi, yi);
    if (!value.defined())
      ag::fail("per_sample_grads",
               "the loss of a sample must be one element, got an undefined tensor");
    if (value.numel() != 1)
      ag::fail("per_sample_grads", "the loss of a sample must be one element, got shape {}",
               value.shape());
    ag::TensorList gradients = ag::grad({value}, trained, {.allow_unused = true});
    for (std::size_t k = 0; k < trained.size(); ++k)
      if (!gradients[k].defined()) gradients[k] = ag::zeros_like(trained[k]);
    return gradients;
  };
  const ag::TensorList found = of_samples(gradients_of, x, y, trained);
  ag::TensorList result;
  std::size_t k = 0;
  for (const ag::Tensor& p : parameters)
    result.push_back(p.requires_grad() ? found[k++] : ag::Tensor());
  return result;
}

}  // namespace nn
