#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "autograd/core/structure.hpp"
#include "nn/module/hooks.hpp"
#include "nn/module/parameter.hpp"
#include "nn/module/state_dict.hpp"
#include "nn/module/ties.hpp"
#include "nn/module/visitor.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// A child of a module with its name.
struct NamedModule {
  std::string name;
  Module& module;
};

/// Base of layers and models. A model is a struct with its layers and parameters as members, one
/// line that names them, and a forward():
///
///     struct Net : nn::Module {
///       nn::Linear hidden{2, 32}, output{32, 1};
///       NN_MODULE(hidden, output)
///       ag::Tensor forward(const ag::Tensor& x) const { return output(ag::tanh(hidden(x))); }
///     };
///
/// Copies are deep: a copied model has weights of its own, without gradients. Assigning a model to
/// another writes into the parameters that are there, which must be tied alike. An error inside
/// `model(x)` begins with the path of the layer. A model that was moved from is refused wherever it
/// is used, until it is assigned to.
///
/// A module or parameter inside the object that no NN_MODULE line names would be neither trained
/// nor saved: the first call of `parameters()`, `named_parameters()` or `state_dict()` refuses it.
/// One that is left out on purpose is written `nn::unnamed(member)`. Not seen are those behind
/// pointers and in containers on the heap.
class Module {
 public:
  virtual ~Module() {
    detail::made();
    if (detail::any_ties()) detail::end_copy(*this);
  }

  /// Every parameter, own ones before those of the children, each once even if it has several
  /// names.
  ag::TensorList parameters() const;
  /// The same with dotted names such as "hidden.weight".
  std::vector<NamedTensor> named_parameters() const;
  ag::TensorList buffers() const;
  std::vector<NamedTensor> named_buffers() const;
  /// The direct children.
  std::vector<NamedModule> children();
  /// This module (named "") and everything in it, parents first.
  std::vector<NamedModule> named_modules();

  /// All parameters and buffers by name, sharing their elements, off the tape. Order and names are
  /// PyTorch's: parameters, buffers, then the children.
  StateDict state_dict() const;
  /// Copies the tensors of `state` into those of the same name, converted to their dtype. Throws,
  /// and changes nothing, if a shape differs or, when strict, if names are missing or unexpected.
  LoadResult load_state_dict(const StateDict& state, bool strict = true);

  /// Switches this module and its children between training and evaluation (dropout and the like).
  virtual void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const noexcept { return training_; }

  /// Converts floating parameters, their gradients and floating buffers in place; optimizers keep
  /// working.
  void to(ag::DType dtype);
  /// Drops every gradient.
  void zero_grad();
  /// Freezes (false) or unfreezes every parameter.
  void requires_grad_(bool on = true);
  /// The number of elements of all parameters, or of those that require a gradient.
  std::int64_t num_parameters(bool trainable_only = false) const;
  /// Calls `f` on the children, deepest first, then on this module.
  void apply(const std::function<void(Module&)>& f);

  /// Hooks run at each call `model(x…)` of this very object (not of copies, nor after a move), in
  /// the order of their registration. Inputs are the tensors among the arguments, those in a
  /// `TensorStructure` or a TensorList too; outputs are those that forward() returns.
  /// A pre-hook runs before: `[](const nn::Module&, ag::TensorList& inputs) { … }`.
  HookHandle register_forward_pre_hook(ForwardPreHook hook);
  /// `[](const nn::Module&, const ag::TensorList& inputs, const ag::Tensor& output) { … }`; a
  /// tensor that it returns replaces the output. For a forward() with several results
  /// `const ag::TensorList& outputs`, in the order of their members; a list replaces them.
  template <class H>
  HookHandle register_forward_hook(H hook) {
    ag::check_callable("register_forward_hook", hook);
    return add_forward_hook(detail::outputs_hook(std::move(hook)));
  }
  /// `[](const nn::Module&, const ag::TensorList& grad_inputs, const ag::Tensor& grad_output) { …
  /// }`, or with `const ag::TensorList& grad_outputs`, runs in each backward once the gradients of
  /// the inputs that require one are there (where none does: once those of the outputs are). It
  /// only looks, at tensors off the tape, undefined where no gradient came;
  /// Tensor::register_hook replaces gradients.
  template <class H = BackwardHook>
  HookHandle register_full_backward_hook(H hook) {
    ag::check_callable("register_full_backward_hook", hook);
    return add_backward_hook(detail::gradients_hook(std::move(hook)));
  }

  /// The class name without namespaces; `Lambda` for a lambda.
  std::string type_name() const;
  /// As PyTorch prints a module: the type, `extra_repr()`, and the children indented.
  std::string str() const;
  /// What stands between the parentheses of a module without children.
  virtual std::string extra_repr() const { return {}; }

  /// Shows every member to `visitor`. NN_MODULE writes it.
  virtual void visit_members(Visitor& visitor);
  /// A copy of the whole object, whatever its type. NN_MODULE writes it.
  virtual std::unique_ptr<Module> clone_module() const { refuse_unnamed("clone", *this); }
  [[noreturn]] static void refuse_unnamed(std::string_view what, const Module& module);
  /// True after a move, until the object is assigned to.
  bool is_moved_from() const noexcept { return moved_; }
  /// Throws, for `what`, if this object was moved from.
  void check_not_moved(std::string_view what) const;

  /// What a call does: forward() and the hooks. An error gets the name of the layer.
  template <class M, class... A>
  static decltype(auto) run_forward(M& self, A&&... arguments) {
    using Mutable = std::remove_const_t<M>;
    static_assert(has_forward<Mutable, A...>,
                  "this model has no forward() that takes these arguments");
    static_assert(has_forward<M, A...> || !has_forward<Mutable, A...>,
                  "a const model, as in the const forward() of another, needs a const forward(): "
                  "write `ag::Tensor forward(const ag::Tensor& x) const`");
    using Result = decltype(self.forward(std::forward<A>(arguments)...));
    if (self.moved_) [[unlikely]]
      self.check_not_moved("forward");
    try {
      if (self.slot_.hooks) [[unlikely]]
        return static_cast<Result>(hooked_forward<Result>(self, std::forward<A>(arguments)...));
      return self.forward(std::forward<A>(arguments)...);
    } catch (ag::Error& e) {
      locate(self, e);
      throw;
    }
  }

 protected:
  Module() { detail::made(); }
  Module(const Module& other) : training_(other.training_), moved_(other.moved_) {
    detail::made();
    if (detail::any_ties()) detail::begin_copy(other, *this);
  }
  Module(Module&& other) noexcept
      : training_(other.training_), moved_(std::exchange(other.moved_, true)) {
    detail::made();
  }
  Module& operator=(const Module& other) {
    detail::edited("an assignment to a module");
    if (detail::any_ties()) detail::check_tied_alike(*this, other);
    training_ = other.training_;
    moved_ = other.moved_;
    return *this;
  }
  Module& operator=(Module&& other) {
    if (this == &other) return *this;
    detail::edited("an assignment to a module");
    if (detail::any_ties() && !moved_) detail::check_tied_alike(*this, other);
    training_ = other.training_;
    moved_ = std::exchange(other.moved_, true);
    return *this;
  }

  /// The type that NN_MODULE was last written in.
  virtual const std::type_info& named_type() const { return typeid(Module); }
  /// The bytes of the object as that type.
  virtual detail::Extent named_extent() const { return {}; }

  template <class M, class... A>
  static decltype(auto) call_forward(M& self, A&&... arguments) {
    // A class derived without NN_MODULE would run the forward of its base.
    if (self.named_type() != typeid(self)) refuse_unnamed("forward", self);
    return run_forward(self, std::forward<A>(arguments)...);
  }

 private:
  template <class A>
  static constexpr bool is_tensor = std::derived_from<std::remove_cvref_t<A>, ag::Tensor>;

  template <class M, class... A>
  static constexpr bool has_forward = requires(M& m, A&&... a) {
    m.forward(std::forward<A>(a)...);
  };

  // An argument with tensors in it, of which hooks see a copy.
  template <class A>
  static constexpr bool is_structure =
      !is_tensor<A> && detail::ShowsTensors<std::remove_cvref_t<A>>;
  template <class A>
  using Seen = std::conditional_t<is_tensor<A>, const ag::Tensor&,
                                  std::conditional_t<is_structure<A>, std::remove_cvref_t<A>, A&&>>;

  // The tensors of the arguments; with `structures` also those inside of them.
  template <bool structures, class A>
  static void collect(ag::TensorList& inputs, const A& argument) {
    if constexpr (is_tensor<A>)
      inputs.push_back(argument);
    else if constexpr (structures && is_structure<A>)
      detail::each_tensor(argument, [&](const ag::Tensor& t) {
        if (t.defined()) inputs.push_back(t);
      });
  }

  // forward() of `inputs` in place of what `collect` has found in the arguments.
  template <bool structures, class M, class... A>
  static decltype(auto) forward_of(M& self, const ag::TensorList& inputs, A&&... arguments) {
    std::size_t next = 0;
    auto pick = [&]<class T>(T&& argument) -> decltype(auto) {
      if constexpr (is_tensor<T>) {
        return static_cast<const ag::Tensor&>(inputs[next++]);
      } else if constexpr (structures && is_structure<T>) {
        std::remove_cvref_t<T> copy = argument;
        detail::each_tensor(copy, [&](ag::Tensor& t) {
          if (t.defined()) t = inputs[next++];
        });
        return copy;
      } else {
        return std::forward<T>(argument);
      }
    };
    // Braces evaluate from left to right.
    std::tuple<decltype(pick(std::forward<A>(arguments)))...> picked{
        pick(std::forward<A>(arguments))...};
    return std::apply(
        [&](auto&&... x) -> decltype(auto) {
          return self.forward(std::forward<decltype(x)>(x)...);
        },
        std::move(picked));
  }

  template <class Result, class M, class... A>
  static Result hooked_forward(M& self, A&&... arguments) {
    // A structure that forward() changes in place stays the caller's, and hooks do not see it.
    constexpr bool structures = has_forward<M, Seen<A>...>;
    const std::shared_ptr<detail::Hooks> hooks = self.slot_.hooks;
    ag::TensorList inputs;
    (collect<structures>(inputs, arguments), ...);
    const std::size_t count = inputs.size();
    hooks->run_pre(self, inputs);
    check_pre_hooks(self, inputs, count);
    if constexpr (detail::ShowsTensors<Result>) {
      const bool watched = !hooks->backward.empty();
      const auto passage = watched ? detail::watch_inputs(self, hooks, inputs) : nullptr;
      std::remove_cv_t<Result> result =
          forward_of<structures>(self, inputs, std::forward<A>(arguments)...);
      ag::TensorList outputs;
      detail::each_tensor(result, [&](const ag::Tensor& t) { outputs.push_back(t); });
      hooks->run_forward(self, inputs, outputs);
      if (watched) detail::watch_outputs(passage, outputs);
      std::size_t next = 0;
      detail::each_tensor(result, [&](ag::Tensor& t) { t = outputs[next++]; });
      return result;
    } else {
      if (!hooks->forward.empty() || !hooks->backward.empty()) refuse_hooks(self);
      return forward_of<structures>(self, inputs, std::forward<A>(arguments)...);
    }
  }
  static void check_pre_hooks(const Module& module, const ag::TensorList& inputs,
                              std::size_t count);
  [[noreturn]] static void refuse_hooks(const Module& module);
  static void locate(const Module& module, ag::Error& error);
  HookHandle add_forward_hook(detail::OutputsHook hook);
  HookHandle add_backward_hook(detail::GradientsHook hook);

  friend struct detail::Inside;
  bool training_ = true, moved_ = false;
  mutable std::atomic<bool> complete_{false};  // no member is left unnamed
  detail::HookSlot slot_;
  detail::Beacon<detail::BeaconKind::module> beacon_;
};

namespace detail {
/// One more level of modules within modules, for what goes through them by recursion. Throws
/// beyond 1000 levels.
class Nesting {
 public:
  explicit Nesting(std::string_view what);
  ~Nesting();
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
};
}  // namespace detail

/// A deep copy of a model: weights and mode of its own, no gradients. Of a model known only as
/// `Module`, a std::unique_ptr<Module>.
template <std::derived_from<Module> M>
auto clone(const M& model) {
  if constexpr (std::same_as<M, Module>)
    return model.clone_module();
  else
    return M(model);
}

std::ostream& operator<<(std::ostream& os, const Module& module);

/// A value as Python writes it, for `extra_repr`: True, 0.1, 1.0, 1e-05.
std::string repr(double value);
std::string repr(std::same_as<bool> auto value) { return value ? "True" : "False"; }

namespace detail {
template <class M>
std::unique_ptr<Module> copy_module(const M& module) {
  if (typeid(module) != typeid(M)) Module::refuse_unnamed("clone", module);
  // A std::unique_ptr<M> of each layer would take a program a second to compile.
  if constexpr (std::is_copy_constructible_v<M>)
    return std::unique_ptr<Module>(new M(module));
  else
    ag::fail("clone", "every member must be copyable, got a {} that is not", module.type_name());
}
}  // namespace detail

/// A layer or model that maps one tensor to one tensor.
template <class M>
concept TensorModule = std::derived_from<M, Module> && requires(M& m, const ag::Tensor& x) {
  { m.forward(x) } -> std::convertible_to<ag::Tensor>;
};

}  // namespace nn

/// Names the members of a module, in the order of its parameters: parameters, buffers, modules, and
/// std::vector, std::array, std::optional of them (entries are named "blocks.0", "blocks.1", …). A
/// class derived from another model names the members of its base as well. What is not named is not
/// trained or saved, and refused unless written `nn::unnamed(member)`. Also gives `model(x…)`,
/// which calls forward(x…); a class local to a function cannot have that.
#define NN_MODULE(...)                                                                 \
 public:                                                                               \
  void visit_members([[maybe_unused]] ::nn::Visitor& visitor) override {               \
    visitor.each(#__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__);                             \
  }                                                                                    \
  std::unique_ptr<::nn::Module> clone_module() const override {                        \
    return ::nn::detail::copy_module(*this);                                           \
  }                                                                                    \
  const std::type_info& named_type() const override {                                  \
    return typeid(std::remove_cvref_t<decltype(*this)>);                               \
  }                                                                                    \
  ::nn::detail::Extent named_extent() const override { return {this, sizeof(*this)}; } \
  template <class... ForwardArguments>                                                 \
  decltype(auto) operator()(ForwardArguments&&... arguments) {                         \
    return call_forward(*this, std::forward<ForwardArguments>(arguments)...);          \
  }                                                                                    \
  template <class... ForwardArguments>                                                 \
  decltype(auto) operator()(ForwardArguments&&... arguments) const {                   \
    return call_forward(*this, std::forward<ForwardArguments>(arguments)...);          \
  }

/// A module prints as `str()`.
template <std::derived_from<nn::Module> M>
struct fmt::formatter<M> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  auto format(const M& module, fmt::format_context& ctx) const {
    const std::string text = module.str();
    return std::copy(text.begin(), text.end(), ctx.out());
  }
};

#pragma GCC visibility pop
