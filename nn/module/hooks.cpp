#include "nn/module/hooks.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/tape/operation.hpp"
#include "nn/module/module.hpp"

namespace nn {
namespace {

using Show = std::function<void(const ag::TensorList& gradients)>;

// Some tensors of one call under names of their own, so that their gradients are those of this
// call; shows them all at once.
class Watched final : public ag::Node {
 public:
  Watched(std::string_view name, Show show) : name_(name), show_(std::move(show)) {}
  std::string_view name() const override { return name_; }
  ag::TensorList backward(ag::TensorList& cotangents) override {
    ag::TensorList seen;
    // Off the tape: the nodes of the call own what is shown, and a recorded gradient leads back to
    // them.
    for (const ag::Tensor& g : cotangents) seen.push_back(g.defined() ? g.detach() : g);
    show_(seen);
    return std::move(cotangents);
  }

 private:
  std::string_view name_;
  Show show_;
};

// `show` gets one gradient for each tensor, undefined where there is none. False, and nothing
// done, if none will come.
bool watch(ag::TensorList& tensors, std::string_view name, Show show) {
  std::vector<std::size_t> places;
  ag::InputList inputs;
  ag::TensorList views;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined() || !tensors[i].requires_grad()) continue;
    places.push_back(i);
    inputs.add(tensors[i]);
    views.push_back(tensors[i].detach());
  }
  if (!ag::should_record(inputs)) return false;
  auto spread = [places, n = tensors.size(), show](const ag::TensorList& gradients) {
    ag::TensorList all(n);
    for (std::size_t i = 0; i < gradients.size(); ++i) all[places[i]] = gradients[i];
    show(all);
  };
  ag::record(ag::detail::Ref<ag::Node>::adopt(new Watched(name, std::move(spread))), inputs,
             {views.data(), views.size()});
  for (std::size_t i = 0; i < places.size(); ++i) tensors[places[i]] = views[i];
  return true;
}

}  // namespace

// Hooks may add and remove hooks: the lists are copied first.
void detail::Hooks::run_pre(const Module& module, ag::TensorList& inputs) const {
  for (const auto& [id, hook] : List<ForwardPreHook>(pre)) hook(module, inputs);
}

void detail::Hooks::run_forward(const Module& module, const ag::TensorList& inputs,
                                ag::TensorList& outputs) const {
  for (const auto& [id, hook] : List<OutputsHook>(forward)) hook(module, inputs, outputs);
}

const ag::Tensor& detail::only(const char* what, const Module& module,
                               const ag::TensorList& outputs) {
  if (outputs.size() != 1)
    ag::fail(what,
             "a hook of one output needs a forward() that returns one tensor, got {} in {}; let "
             "the hook take a list: const ag::TensorList&",
             outputs.size(), module.type_name());
  return outputs[0];
}

void detail::replace(const Module& module, ag::TensorList& outputs, ag::TensorList replaced) {
  if (replaced.size() != outputs.size())
    ag::fail("forward_hook", "a hook must keep the number of outputs, got {} for the {} of {}",
             replaced.size(), outputs.size(), module.type_name());
  outputs = std::move(replaced);
}

struct detail::Passage {
  const Module& module;
  std::weak_ptr<Hooks> hooks;
  std::size_t inputs;
  ag::TensorList grad_outputs{};
  bool awaits_inputs = false;

  // The module may be gone when the walk comes; its hooks are then gone as well.
  void show(const ag::TensorList& grad_inputs) {
    const ag::TensorList outputs =
        std::exchange(grad_outputs, ag::TensorList(grad_outputs.size(), ag::Tensor()));
    if (const auto found = hooks.lock())
      for (const auto& [id, hook] : Hooks::List<GradientsHook>(found->backward))
        hook(module, grad_inputs, outputs);
  }
};

std::shared_ptr<detail::Passage> detail::watch_inputs(const Module& module,
                                                      const std::shared_ptr<Hooks>& hooks,
                                                      ag::TensorList& inputs) {
  const auto passage = std::make_shared<Passage>(Passage{module, hooks, inputs.size()});
  passage->awaits_inputs =
      watch(inputs, "module_input", [passage](const ag::TensorList& g) { passage->show(g); });
  return passage;
}

// The walk passes the outputs first; one before may have ended half-way.
void detail::watch_outputs(const std::shared_ptr<Passage>& passage, ag::TensorList& outputs) {
  passage->grad_outputs.resize(outputs.size());
  watch(outputs, "module_output", [passage](const ag::TensorList& g) {
    passage->grad_outputs = g;
    if (!passage->awaits_inputs) passage->show(ag::TensorList(passage->inputs, ag::Tensor()));
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
