#pragma once

#include <utility>
#include <vector>

#include "autograd/tape/recomputation.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// Other tensors in place of the parameters of a model, for a scope.
class Substituted {
 public:
  Substituted(const Module& model, const ag::TensorList& parameters);
  ~Substituted();
  Substituted(const Substituted&) = delete;
  Substituted& operator=(const Substituted&) = delete;

 private:
  void exchange() noexcept;
  ag::NoRecomputation as_it_is_;
  std::vector<std::pair<Parameter*, ag::Tensor>> other_;  // what each member is to be
};
}  // namespace detail

/// `model(arguments…)` with `parameters` in place of its own: a tensor for each of
/// `model.parameters()`, in their order, of the shape of each, which may be the result of recorded
/// operations. So a model becomes a function of its weights:
///
///     const auto loss = [&](const ag::TensorList& w) {
///       return nn::mse_loss(nn::functional_call(model, w, x), y); };
///     const ag::TensorList hv = ag::hvp(loss, model.parameters(), v);
///
/// with `grad`, `jacobian`, `gradcheck`, and `vmap` over an ensemble of weights; or a step of training
/// is itself differentiated, w - lr · grad(loss(w), w, {.create_graph = true}). The model's own
/// parameters are back when the call returns or throws; its buffers are its own, and written as ever.
/// One thread at a time for a model. An `ag::checkpoint` or `ag::scan` in its forward() would find its own
/// parameters when it runs again in the walk back, and a compiled function those of its recording: they
/// run as if written without. `while_loop` and `cond` are refused in `compile()`.
///
/// Throws unless there is a tensor of the right shape for each parameter.
template <std::derived_from<Module> M, class... A>
auto functional_call(M& model, const ag::TensorList& parameters, A&&... arguments) {
  const detail::Substituted substituted(model, parameters);
  return model(std::forward<A>(arguments)...);
}

}  // namespace nn

#pragma GCC visibility pop
