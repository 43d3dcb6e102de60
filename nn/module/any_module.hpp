#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "nn/module/handed.hpp"
#include "nn/module/module.hpp"
#include "nn/module/printed_as.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// A function from tensor to tensor.
template <class F>
concept TensorCallable = !std::derived_from<F, Module> && std::copy_constructible<F> &&
                         requires(F & f, const ag::Tensor& x) {
  { f(x) } -> std::convertible_to<ag::Tensor>;
};

/// A module with one forward(), of any arguments and results, or one that takes a tensor.
template <class L>
concept ChainModule = std::derived_from<L, Module> &&
    (detail::TakesTensor<L> || detail::SaysWhatItTakes<L>);

/// A function as a layer without parameters: `nn::Lambda([](const ag::Tensor& x) { return x * 2;
/// })`.
class Lambda : public Module {
 public:
  explicit Lambda(std::function<ag::Tensor(const ag::Tensor&)> function)
      : function_(std::move(function)) {
    ag::check_callable("Lambda", function_);
  }
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const { return function_(x); }

 private:
  std::function<ag::Tensor(const ag::Tensor&)> function_;
};

namespace detail {
/// A function of something else than a tensor as a layer.
template <class F>
class FunctionLayer : public Module, public PrintedAs {
 public:
  using Argument = typename CallOf<F>::type;
  explicit FunctionLayer(F function) : function_(std::move(function)) {
    ag::check_callable("Lambda", function_);
  }
  NN_MODULE()
  auto forward(const Argument& x) const {
    if constexpr (requires { function_(x); })
      return function_(x);
    else
      return std::apply(function_, x);
  }
  std::string printed_name() const override { return "Lambda"; }

 private:
  F function_;
};
}  // namespace detail

/// A function that is no `TensorCallable` and says the type of its one argument: a lambda that
/// takes what a layer with several results returns.
template <class F>
concept ChainCallable =
    !std::derived_from<F, Module> && std::copy_constructible<F> && !TensorCallable<F> && requires {
  typename detail::CallOf<F>::type;
};

/// Holds any layer, mostly one that maps a tensor to a tensor, or any such function.
/// Copies are deep. As a member of a model it makes that layer a choice at run time:
/// `nn::AnyModule activation = nn::GELU();`.
class AnyModule {
 public:
  template <class L>
  requires ChainModule<std::decay_t<L>> AnyModule(L&& layer)  // NOLINT: conversion is the point
      : holder_(std::make_unique<Holder<std::decay_t<L>>>(std::forward<L>(layer))) {}
  template <class F>
  requires(!std::same_as<std::decay_t<F>, AnyModule>) &&
      TensorCallable<std::decay_t<F>> AnyModule(F&& function)
      : AnyModule(Lambda(std::forward<F>(function))) {}  // NOLINT
  template <class F>
  requires(!std::same_as<std::decay_t<F>, AnyModule>) &&
      ChainCallable<std::decay_t<F>> AnyModule(F&& function)
      : AnyModule(detail::FunctionLayer<std::decay_t<F>>(std::forward<F>(function))) {}  // NOLINT

  AnyModule(const AnyModule& other) : holder_(copy_of(other)) {}
  AnyModule(AnyModule&&) noexcept = default;
  /// Assigns layer to layer where the types are equal, so that parameters stay the same tensors.
  AnyModule& operator=(const AnyModule& other) {
    detail::edited("an assignment to a module");
    if (this != &other && !assign(other)) AnyModule(other).swap(*this);
    return *this;
  }
  AnyModule& operator=(AnyModule&& other) {
    detail::edited("an assignment to a module");
    if (this != &other && !assign(other)) AnyModule(std::move(other)).swap(*this);
    return *this;
  }
  ~AnyModule() {
    if (holder_) bury(holder_.release());
  }

  /// Of a layer from a tensor to a tensor. Throws for another one.
  ag::Tensor operator()(const ag::Tensor& x) const {
    const detail::Nesting level("forward");
    return held().forward(x);
  }
  /// Of any layer: what it returns for `x…`, which is an R: `any.forward_as<Output>(x, state)`.
  /// Throws unless it takes values of the very types X… and returns an R.
  template <class R, class... X>
  R forward_as(const X&... x) const {
    detail::Handed value(typename detail::Taken<X...>::type(x...));
    if (!hand_on(value)) refuse_argument(module(), held().takes(), value);
    if (const R* result = value.get<R>()) return *result;
    refuse_result(value, typeid(R));
  }
  Module& module() { return held().module(); }
  const Module& module() const { return held().module(); }
  /// False after a move.
  bool has_value() const noexcept { return holder_ != nullptr; }
  /// What NN_MODULE shows of it.
  Module& visited_module() { return module(); }

 private:
  friend class Sequential;
  struct Base {
    virtual ~Base() = default;
    virtual ag::Tensor forward(const ag::Tensor& x) = 0;
    // What it makes of `x` in place of it; false if it takes something else.
    virtual bool hand_on(detail::Handed& x) = 0;
    virtual const std::type_info& takes() const = 0;
    virtual Module& module() = 0;
    virtual std::unique_ptr<Base> copy() = 0;
    virtual bool assign(Base& other) = 0;
    Base* next_dead = nullptr;
  };
  template <class L>
  struct Holder final : Base {
    using Argument =
        typename std::conditional_t<detail::TakesTensor<L>, std::type_identity<ag::Tensor>,
                                    detail::ForwardOf<L>>::type;
    template <class A>
    explicit Holder(A&& from) : layer(std::forward<A>(from)) {}
    ag::Tensor forward(const ag::Tensor& x) override {
      if constexpr (TensorModule<L>) {
        return Module::run_forward(layer, x);
      } else {
        detail::Handed value(x);
        if (!hand_on(value)) refuse_argument(layer, takes(), value);
        refuse_result(value, typeid(ag::Tensor));
      }
    }
    bool hand_on(detail::Handed& x) override {
      if constexpr (detail::HandsOn<L>) return x = layer.hand_on(x), true;
      if constexpr (detail::TakesTensor<L>)
        if (x.is_tensor()) return put(x, Module::run_forward(layer, x.tensor())), true;
      if constexpr (detail::SaysWhatItTakes<L>)
        if (const auto* argument = x.get<typename detail::ForwardOf<L>::type>())
          return put(x, call(*argument)), true;
      return false;
    }
    const std::type_info& takes() const override { return typeid(Argument); }
    // forward() of one argument, or of those in a tuple.
    template <class T>
    decltype(auto) call(const T& argument) {
      if constexpr (requires { layer.forward(argument); })
        return Module::run_forward(layer, argument);
      else
        return std::apply(
            [this](const auto&... a) -> decltype(auto) { return Module::run_forward(layer, a...); },
            argument);
    }
    template <class R>
    static void put(detail::Handed& x, R&& result) {
      if constexpr (std::convertible_to<R, ag::Tensor>)
        x.set(std::forward<R>(result));
      else
        x = detail::Handed(std::forward<R>(result));
    }
    Module& module() override { return layer; }
    std::unique_ptr<Base> copy() override {
      if constexpr (std::copy_constructible<L>)
        return std::make_unique<Holder>(std::as_const(layer));
      else
        ag::fail("clone", "every member must be copyable, got a {} that is not", layer.type_name());
    }
    bool assign(Base& other) override {
      auto* same = dynamic_cast<Holder*>(&other);
      if constexpr (std::is_copy_assignable_v<L>)
        if (same) layer = same->layer;
      return same && std::is_copy_assignable_v<L>;
    }
    L layer;
  };

  bool hand_on(detail::Handed& x) const {
    const detail::Nesting level("forward");
    return held().hand_on(x);
  }
  [[noreturn]] static void refuse_argument(const Module& layer, const std::type_info& takes,
                                           const detail::Handed& got);
  [[noreturn]] static void refuse_result(const detail::Handed& got, const std::type_info& wanted);

  Base& held() const {
    if (!holder_) [[unlikely]]
      ag::fail("AnyModule", "must hold a layer, got one that was moved from");
    return *holder_;
  }
  static std::unique_ptr<Base> copy_of(const AnyModule& other) {
    const detail::Nesting level("clone");
    return other.held().copy();
  }
  bool assign(const AnyModule& other) {
    const detail::Nesting level("clone");
    Base& source = other.held();
    return holder_ && holder_->assign(source);
  }
  void swap(AnyModule& other) noexcept { std::swap(holder_, other.holder_); }
  // Layers in layers wait in a list, so that any depth of them dies in constant stack.
  static void bury(Base* dead) noexcept;

  friend struct detail::Inside;
  std::unique_ptr<Base> holder_;
  detail::Beacon<detail::BeaconKind::holder> beacon_;
};

}  // namespace nn

#pragma GCC visibility pop
