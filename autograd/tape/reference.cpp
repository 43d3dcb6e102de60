#include "autograd/tape/internal/reference.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/tape/internal/push.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {

TensorList internal::reference_gradients(
    const Call& call, const std::function<TensorList(const TensorList&)>& reference) {
  const EnableGrad recording;
  // Aliases stand for the inputs, so that the walk through the reference stops at them while what
  // it records still leads on to the inputs' own history.
  TensorList in, wanted, result(call.inputs(), Tensor());
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    in.push_back(call.needs(i) ? alias(call.input(i)) : call.input(i).detach());
    if (call.needs(i)) wanted.push_back(in[i]);
  }
  TensorList outputs, cotangents;
  const TensorList all = reference(in);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!call.grad(i).defined()) continue;
    outputs.push_back(all[i]);
    cotangents.push_back(call.grad(i));
  }
  const TensorList found = grad(
      outputs, wanted, {.grad_outputs = cotangents, .create_graph = true, .allow_unused = true});
  for (std::size_t i = 0, k = 0; i < call.inputs(); ++i)
    if (call.needs(i)) result[i] = found[k++];
  return result;
}

TensorList internal::reference_tangents(
    const Call& call, const std::function<TensorList(const TensorList&)>& reference) {
  const bool create = grad_enabled();
  const EnableGrad recording;
  TensorList in, moved, tangents;
  for (std::size_t i = 0; i < call.inputs(); ++i) {
    Tensor x = create ? call.input(i) : call.input(i).detach();
    if (call.tangent(i).defined()) {
      x = alias(x.requires_grad() ? x : x.detach().requires_grad_());
      moved.push_back(x);
      tangents.push_back(call.tangent(i));
    }
    in.push_back(x);
  }
  return push("jvp", reference(in), moved, tangents, create ? Record::always : Record::never);
}

Tensor internal::reference_tangent(const Call& call,
                                   const std::function<Tensor(const TensorList&)>& reference) {
  return reference_tangents(call,
                            [&](const TensorList& in) { return TensorList{reference(in)}; })[0];
}

TensorList reference_gradient(const Call& call,
                              const std::function<Tensor(const TensorList&)>& reference) {
  check_callable("reference_gradient", reference);
  return internal::reference_gradients(
      call, [&](const TensorList& in) { return TensorList{reference(in)}; });
}

}  // namespace autograd
