#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/recording.hpp"
#include "autograd/core/structure.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

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

/// Values whose tensors hooks see: structures, lists, and what a Sequential hands on.
template <class T>
concept ShowsTensors = ag::TensorStructure<T> ||
    std::same_as<std::remove_cv_t<T>, ag::TensorList> ||
    requires(T& value, void (*f)(ag::Tensor&)) {
  value.each_tensor(f);
};
template <ShowsTensors T, class F>
void each_tensor(T& value, const F& f) {
  if constexpr (requires { value.each_tensor(f); })
    value.each_tensor(f);
  else
    ag::detail::for_each_tensor(value, f);
}

// How hooks are kept: those of one output are hooks of a list of one.
using OutputsHook =
    std::function<void(const Module&, const ag::TensorList& inputs, ag::TensorList& outputs)>;
using GradientsHook = std::function<void(const Module&, const ag::TensorList& grad_inputs,
                                         const ag::TensorList& grad_outputs)>;

struct Hooks {
  template <class H>
  using List = std::vector<std::pair<std::uint64_t, H>>;
  List<ForwardPreHook> pre;
  List<OutputsHook> forward;
  List<GradientsHook> backward;
  std::uint64_t last = 0;

  void run_pre(const Module& module, ag::TensorList& inputs) const;
  void run_forward(const Module& module, const ag::TensorList& inputs,
                   ag::TensorList& outputs) const;
};

/// The only tensor of a list. Throws, for `what`, if there are several.
const ag::Tensor& only(const char* what, const Module& module, const ag::TensorList& outputs);
/// Puts what a hook has returned in place of the outputs. Throws unless it is as many.
void replace(const Module& module, ag::TensorList& outputs, ag::TensorList replaced);

template <class H, class Output>
concept HookOf = std::invocable<H&, const Module&, const ag::TensorList&, Output>;

template <class H>
OutputsHook outputs_hook(H hook) {
  static_assert(HookOf<H, const ag::Tensor&> || HookOf<H, const ag::TensorList&>,
                "a forward hook takes (const nn::Module&, const ag::TensorList& inputs) and const "
                "ag::Tensor& output or const ag::TensorList& outputs");
  return [hook = std::move(hook)](const Module& m, const ag::TensorList& in,
                                  ag::TensorList& out) mutable {
    if constexpr (HookOf<H, const ag::Tensor&>) {
      const ag::Tensor& output = only("forward_hook", m, out);
      if constexpr (std::is_void_v<decltype(hook(m, in, output))>)
        hook(m, in, output);
      else if (ag::Tensor replaced = hook(m, in, output); replaced.defined())
        replace(m, out, {std::move(replaced)});
    } else if constexpr (std::is_void_v<decltype(hook(m, in, std::as_const(out)))>) {
      hook(m, in, std::as_const(out));
    } else if (ag::TensorList replaced = hook(m, in, std::as_const(out)); !replaced.empty()) {
      replace(m, out, std::move(replaced));
    }
  };
}

template <class H>
GradientsHook gradients_hook(H hook) {
  static_assert(HookOf<H, const ag::Tensor&> || HookOf<H, const ag::TensorList&>,
                "a backward hook takes (const nn::Module&, const ag::TensorList& grad_inputs) and "
                "const ag::Tensor& grad_output or const ag::TensorList& grad_outputs");
  return [hook = std::move(hook)](const Module& m, const ag::TensorList& in,
                                  const ag::TensorList& out) mutable {
    if constexpr (HookOf<H, const ag::Tensor&>)
      hook(m, in, only("full_backward_hook", m, out));
    else
      hook(m, in, out);
  };
}

/// What backward hooks gather of one call.
struct Passage;
/// Puts the inputs of a call, then its outputs, under the watch of the backward hooks of `module`.
std::shared_ptr<Passage> watch_inputs(const Module& module, const std::shared_ptr<Hooks>& hooks,
                                      ag::TensorList& inputs);
void watch_outputs(const std::shared_ptr<Passage>& passage, ag::TensorList& outputs);

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

#pragma GCC visibility pop
