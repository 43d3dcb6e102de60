#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "nn/module/module.hpp"

namespace nn {

/// A function from tensor to tensor.
template <class F>
concept TensorCallable = !std::derived_from<F, Module> && std::copy_constructible<F> &&
                         requires(F & f, const ag::Tensor& x) {
  { f(x) } -> std::convertible_to<ag::Tensor>;
};

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

/// Holds any layer that maps a tensor to a tensor, or any such function. Copies are deep. As a
/// member of a model it makes that layer a choice at run time: `nn::AnyModule activation =
/// nn::GELU();`.
class AnyModule {
 public:
  template <class L>
  requires TensorModule<std::decay_t<L>> AnyModule(L&& layer)  // NOLINT: conversion is the point
      : holder_(std::make_unique<Holder<std::decay_t<L>>>(std::forward<L>(layer))) {}
  template <class F>
  requires(!std::same_as<std::decay_t<F>, AnyModule>) &&
      TensorCallable<std::decay_t<F>> AnyModule(F&& function)
      : AnyModule(Lambda(std::forward<F>(function))) {}  // NOLINT

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

  ag::Tensor operator()(const ag::Tensor& x) const {
    const detail::Nesting level("forward");
    return held().forward(x);
  }
  Module& module() { return held().module(); }
  const Module& module() const { return held().module(); }
  /// False after a move.
  bool has_value() const noexcept { return holder_ != nullptr; }
  /// What NN_MODULE shows of it.
  Module& visited_module() { return module(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual ag::Tensor forward(const ag::Tensor& x) = 0;
    virtual Module& module() = 0;
    virtual std::unique_ptr<Base> copy() = 0;
    virtual bool assign(Base& other) = 0;
    Base* next_dead = nullptr;
  };
  template <class L>
  struct Holder final : Base {
    template <class A>
    explicit Holder(A&& from) : layer(std::forward<A>(from)) {}
    ag::Tensor forward(const ag::Tensor& x) override { return Module::run_forward(layer, x); }
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
