#include "nn/module/hooks.hpp"

#include <algorithm>

#include "autograd/tape/operation.hpp"

namespace nn {
namespace {

// An input of one call under a name of its own, so that its gradient is that of this call.
struct ModuleInput {
  std::string_view name() const { return "module_input"; }
  ag::Tensor view(const ag::Inputs& in) const { return in[0].detach(); }
  ag::TensorList backward(const ag::Call& call) const { return {call.grad()}; }
};

// The gradients of one call, gathered while the walk passes it. Off the tape: the nodes of the call
// own this, and a recorded gradient leads back to them.
struct Passage {
  ag::TensorList inputs;
  ag::Tensor output;
  std::size_t awaited = 0, seen = 0;
};

}  // namespace

// Hooks may add and remove hooks: the lists are copied first.
void detail::Hooks::run_pre(const Module& module, ag::TensorList& inputs) const {
  for (const auto& [id, hook] : List<ForwardPreHook>(pre)) hook(module, inputs);
}

ag::Tensor detail::Hooks::run_forward(const Module& module, const ag::TensorList& inputs,
                                      ag::Tensor output) const {
  for (const auto& [id, hook] : List<ForwardHook>(forward)) {
    ag::Tensor replaced = hook(module, inputs, output);
    if (replaced.defined()) output = std::move(replaced);
  }
  return output;
}

void detail::watch_inputs(ag::TensorList& inputs) {
  for (ag::Tensor& t : inputs)
    if (t.requires_grad()) t = ag::apply(ModuleInput{}, t);
}

void detail::watch_backward(const Module& module, const std::shared_ptr<Hooks>& hooks,
                            const ag::TensorList& inputs, const ag::Tensor& output) {
  if (!output.defined() || !output.requires_grad()) return;
  const auto passage = std::make_shared<Passage>();
  passage->inputs.resize(inputs.size());
  for (const ag::Tensor& t : inputs) passage->awaited += t.requires_grad();
  // The module may be gone when the walk comes; its hooks are then gone as well.
  auto call = [&module, alive = std::weak_ptr(hooks), passage] {
    if (passage->seen < passage->awaited) return;
    if (const auto found = alive.lock())
      for (const auto& [id, hook] : Hooks::List<BackwardHook>(found->backward))
        hook(module, passage->inputs, passage->output);
    passage->inputs = ag::TensorList(passage->inputs.size(), ag::Tensor());
    passage->output = {};
    passage->seen = 0;
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ag::Tensor input = inputs[i];
    if (!input.requires_grad()) continue;
    input.register_hook([passage, call, i](const ag::Tensor& g) {
      passage->inputs[i] = g.detach();
      ++passage->seen;
      call();
      return ag::Tensor();
    });
  }
  ag::Tensor(output).register_hook([passage, call](const ag::Tensor& g) {
    // The walk passes here first. One before may have ended half-way.
    passage->inputs = ag::TensorList(passage->inputs.size(), ag::Tensor());
    passage->seen = 0;
    passage->output = g.detach();
    if (passage->awaited == 0) call();
    return ag::Tensor();
  });
}

void HookHandle::remove() {
  const auto hooks = hooks_.lock();
  if (!hooks) return;
  detail::edited("the removal of a hook");
  const auto mine = [this](const auto& entry) { return entry.first == id_; };
  std::erase_if(hooks->pre, mine);
  std::erase_if(hooks->forward, mine);
  std::erase_if(hooks->backward, mine);
}

}  // namespace nn
