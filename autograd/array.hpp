#pragma once

/// The door to xtensor: containers and expressions convert into tensors, and `t.array<T>()` is an
/// xtensor view of a tensor. Nothing else of the library depends on xtensor.
#include "autograd/core/xtensor_fix.hpp"

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/core/xeval.hpp>
#include <xtensor/core/xnoalias.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xeval.hpp>
#include <xtensor/xnoalias.hpp>
#endif

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "autograd/core/tensor.hpp"
#include "autograd/core/trace.hpp"

#pragma GCC visibility push(default)

namespace xt {
template <class F, class CT, class X, class O>
class xreducer;
}

namespace autograd {

namespace detail {

// `P` is `T*` or `const T*`.
template <class P>
auto adapt(P data, const Tensor& t) {
  return xt::adapt(std::move(data), static_cast<std::size_t>(t.numel()), xt::no_ownership(),
                   xt::dynamic_shape<std::size_t>(t.shape().begin(), t.shape().end()));
}

// xtensor evaluates a lazy reduction with keep_dims wrongly where it is broadcast.
template <class E>
void check_broadcast(const E&, const Shape&) {}
template <class F, class CT, class X, class O>
void check_broadcast(const xt::xreducer<F, CT, X, O>& e, const Shape& whole) {
  const Shape own(e.shape().begin(), e.shape().end());
  if (typename O::keep_dims() && own != whole)
    fail("Tensor",
         "xtensor cannot broadcast a lazy reduction with keep_dims, got {} in {}; evaluate it "
         "first, "
         "as in xt::eval(xt::sum(x, {{1}}, xt::keep_dims))",
         own, whole);
}
template <class F, class... CT>
void check_broadcast(const xt::xfunction<F, CT...>& e, const Shape& whole) {
  std::apply([&](const auto&... argument) { (check_broadcast(argument, whole), ...); },
             e.arguments());
}

}  // namespace detail

template <class E>
requires detail::XtensorExpression<E> Tensor::Tensor(const E& e) {
  using Value = std::remove_cv_t<typename E::value_type>;
  static_assert(std::is_arithmetic_v<Value> && !std::is_same_v<Value, long double>,
                "tensors hold float, double, bool and integers: cast the expression first with "
                "xt::cast<double>");
  using T = detail::StoredAs<Value>;
  const Shape whole(e.shape().begin(), e.shape().end());
  if (detail::tracing) detail::trace_from_program("a tensor made from an array");
  detail::check_broadcast(e, whole);
  *this = detail::empty_for("Tensor", whole, dtype_of<T>);
  if (numel() == 0) return;
  auto out = detail::adapt(static_cast<T*>(raw_mutable()), *this);
  if constexpr (std::is_unsigned_v<Value> && sizeof(Value) == 8) {
    auto to = out.begin();
    for (auto from = e.template begin<xt::layout_type::row_major>(); to != out.end(); ++from, ++to)
      *to = detail::to_int64(*from);
  } else {
    xt::noalias(out) = e;
  }
}

template <Element T>
auto Tensor::array() const {
  (void)checked("array");
  return detail::adapt(data<T>(), *this);
}

template <Element T>
auto Tensor::array() {
  (void)checked("array");
  return detail::adapt(mutable_data<T>(), *this);
}

}  // namespace autograd

#pragma GCC visibility pop
