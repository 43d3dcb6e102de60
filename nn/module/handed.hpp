#pragma once

#include <any>
#include <concepts>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "autograd/core/structure.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// What goes from layer to layer in a Sequential, and what layers take.
namespace nn {

namespace ag = autograd;

namespace detail {

/// What one layer hands to the next: a tensor, or whatever a layer with several results returns.
class Handed {
 public:
  explicit Handed(ag::Tensor t) : tensor_(std::move(t)) {}
  template <class T>
  requires(!std::derived_from<T, ag::Tensor> && !std::same_as<T, Handed>) explicit Handed(T value)
      : other_(std::move(value)), each_(each_of<T>) {}

  bool is_tensor() const { return !other_.has_value(); }
  const ag::Tensor& tensor() const { return tensor_; }
  void set(ag::Tensor t) {
    tensor_ = std::move(t);
    if (!is_tensor()) other_.reset();
  }
  /// The value if it is a T, otherwise null.
  template <class T>
  const T* get() const {
    if constexpr (std::same_as<T, ag::Tensor>)
      return is_tensor() ? &tensor_ : nullptr;
    else
      return std::any_cast<T>(&other_);
  }
  std::string type_name() const;
  /// Calls f on the tensors in it. Throws if it is no `TensorStructure`.
  template <class F>
  void each_tensor(const F& f) {
    is_tensor() ? f(tensor_) : each_(other_, [&f](ag::Tensor& t) { f(t); });
  }
  template <class F>
  void each_tensor(const F& f) const {
    const_cast<Handed*>(this)->each_tensor([&f](const ag::Tensor& t) { f(t); });
  }

 private:
  using See = std::function<void(ag::Tensor&)>;
  template <class T>
  static void each_of(std::any& value, const See& see) {
    if constexpr (ag::TensorStructure<T> || std::same_as<T, ag::TensorList>)
      ag::detail::for_each_tensor(*std::any_cast<T>(&value), see);
    else
      refuse_hooks(typeid(T));
  }
  [[noreturn]] static void refuse_hooks(const std::type_info& type);
  ag::Tensor tensor_;
  std::any other_;
  void (*each_)(std::any&, const See&) = nullptr;
};

// The type of the argument of a function; of several, a tuple.
template <class... A>
struct Taken {
  using type = std::tuple<std::remove_cvref_t<A>...>;
};
template <class A>
struct Taken<A> {
  using type = std::remove_cvref_t<A>;
};
template <>
struct Taken<> {};
template <class F>
struct TakenBy {};
template <class R, class... A, bool N>
struct TakenBy<R (*)(A...) noexcept(N)> : Taken<A...> {};
template <class C, class R, class... A, bool N>
struct TakenBy<R (C::*)(A...) noexcept(N)> : Taken<A...> {};
template <class C, class R, class... A, bool N>
struct TakenBy<R (C::*)(A...) const noexcept(N)> : Taken<A...> {};
template <class L>
struct ForwardOf {};
template <class L>
requires requires { &L::forward; }
struct ForwardOf<L> : TakenBy<decltype(&L::forward)> {};
template <class F>
struct CallOf : TakenBy<F> {};
template <class F>
requires requires { &F::operator(); }
struct CallOf<F> : TakenBy<decltype(&F::operator())> {};

template <class L>
concept TakesTensor = requires(L& layer, const ag::Tensor& x) {
  layer.forward(x);
};
template <class L>
concept SaysWhatItTakes = requires {
  typename ForwardOf<L>::type;
};
// Hands on whatever it gets, as a Sequential does.
template <class L>
concept HandsOn = requires(L& layer, const Handed& x) {
  { layer.hand_on(x) } -> std::same_as<Handed>;
};

}  // namespace detail

}  // namespace nn

#pragma GCC visibility pop
