#include "nn/training/drawing.hpp"

#include <fmt/format.h>

#include "autograd/core/trace.hpp"
#include "autograd/tape/frames.hpp"
#include "autograd/tape/grad_mode.hpp"

namespace nn {
namespace {

using Names = std::vector<std::pair<std::string, ag::Tensor>>;

// The gradients of a model, put back at the end of a scope.
class KeptGradients {
 public:
  explicit KeptGradients(const Module& model) : parameters_(model.parameters()) {
    for (ag::Tensor& p : parameters_) {
      gradients_.push_back(p.grad());
      p.set_grad({});
    }
  }
  KeptGradients(const KeptGradients&) = delete;
  KeptGradients& operator=(const KeptGradients&) = delete;
  ~KeptGradients() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set_grad(gradients_[i]);
  }

 private:
  ag::TensorList parameters_, gradients_;
};

// Frames around the calls of layers; what comes out of them shows its value and its gradient.
class Watch {
 public:
  explicit Watch(Module& model) {
    for (const auto& [name, module] : model.named_modules()) {
      if (name.empty()) continue;  // the whole picture
      const std::string title = fmt::format("{} ({})", name, module.type_name());
      hooks_.push_back(module.register_forward_pre_hook(
          [this, title](const Module&, ag::TensorList& in) { frames.begin(title, in); }));
      hooks_.push_back(module.register_forward_hook(
          [this](const Module&, const ag::TensorList&, const ag::TensorList& outputs) {
            frames.end();
            for (const ag::Tensor& out : outputs) keep(out);
          }));
    }
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    for (HookHandle& h : hooks_) h.remove();
  }

  ag::Frames frames{};
  Names names{};

 private:
  void keep(ag::Tensor out) {
    if (!out.defined() || !out.requires_grad()) return;
    if (!out.is_leaf()) out.retain_grad();
    names.emplace_back("", out);
  }
  std::vector<HookHandle> hooks_{};
};

}  // namespace

std::string to_svg(Module& model, const std::function<ag::Tensor()>& loss, const Names& names) {
  ag::detail::refuse_in_trace("to_svg()", "call it outside");
  const KeptGradients kept(model);
  const ag::EnableGrad grad;
  Watch watch(model);
  const ag::Tensor result = loss();
  result.backward({.retain_graph = true});
  for (const NamedTensor& p : model.named_parameters()) watch.names.emplace_back(p.name, p.tensor);
  watch.names.insert(watch.names.end(), names.begin(), names.end());
  return ag::to_svg(result, watch.names, watch.frames);
}

}  // namespace nn
