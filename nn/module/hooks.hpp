#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.hpp"
#include "autograd/core/trace.hpp"

namespace nn {

namespace ag = autograd;
class Module;

/// Sees the tensors that go into a module, and may replace them.
using ForwardPreHook = std::function<void(const Module&, ag::TensorList& inputs)>;
/// Sees what went in and what comes out. A defined result replaces the output.
using ForwardHook = std::function<ag::Tensor(const Module&, const ag::TensorList& inputs,
                                             const ag::Tensor& output)>;
/// Sees the gradients of the inputs (undefined where none is required) and of the output.
using BackwardHook = std::function<void(const Module&, const ag::TensorList& grad_inputs,
                                        const ag::Tensor& grad_output)>;

namespace detail {

struct Hooks {
  template <class H>
  using List = std::vector<std::pair<std::uint64_t, H>>;
  List<ForwardPreHook> pre;
  List<ForwardHook> forward;
  List<BackwardHook> backward;
  std::uint64_t last = 0;

  void run_pre(const Module& module, ag::TensorList& inputs) const;
  ag::Tensor run_forward(const Module& module, const ag::TensorList& inputs,
                         ag::Tensor output) const;
};

/// Puts inputs and output under the watch of the backward hooks of `module`.
void watch_inputs(ag::TensorList& inputs);
void watch_backward(const Module& module, const std::shared_ptr<Hooks>& hooks,
                    const ag::TensorList& inputs, const ag::Tensor& output);

/// A module is not what it was: compiled functions that may call it are recorded anew. Throws in a
/// function that is being recorded.
inline void edited(std::string_view what) {
  ag::detail::refuse_in_trace(what, "change modules and hooks outside");
  ag::invalidate_recordings();
}

/// The same for a module or parameter that begins or ends: a container of a model may hold it.
inline void made() noexcept {
  if (!ag::compiling()) ag::invalidate_recordings();
}

/// The hooks of one object: copies and moves leave them where they are.
struct HookSlot {
  HookSlot() = default;
  HookSlot(const HookSlot&) noexcept {}
  HookSlot& operator=(const HookSlot&) noexcept { return *this; }
  std::shared_ptr<Hooks> hooks;
};

}  // namespace detail

/// Removes a hook of a module; may outlive the module.
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(std::weak_ptr<detail::Hooks> hooks, std::uint64_t id)
      : hooks_(std::move(hooks)), id_(id) {}
  void remove();

 private:
  std::weak_ptr<detail::Hooks> hooks_;
  std::uint64_t id_ = 0;
};

}  // namespace nn
