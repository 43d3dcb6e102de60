#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "autograd/core/members.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Values that are made of tensors, such as {output, {h, c}}, and the tensors in them.
namespace autograd {

namespace detail {

template <class T>
constexpr bool is_structure();

template <class T>
constexpr bool is_tuple_like = requires {
  std::tuple_size<T>::value;
};

// Stand for a member of `Owner` that is a structure, and for its base.
template <class Owner>
struct StructureMember {
  template <class T>
  requires(!std::is_base_of_v<T, Owner> && is_structure<T>()) operator T()
      const;  // NOLINT: conversion is the point
};

template <class Owner>
struct AnyBase {
  template <class T>
  requires(std::is_base_of_v<T, Owner> && !std::same_as<T, Owner>) operator T() const;  // NOLINT
};

constexpr std::size_t kMostMembers = 8;

// The members of a struct if all of them are structures, otherwise 0.
template <class T, class... M>
constexpr std::size_t structure_members() {
  if constexpr (sizeof...(M) > kMostMembers || is_made_of<T, AnyBase<T>>)
    return 0;
  else if constexpr (is_made_of<T, M..., StructureMember<T>>)
    return structure_members<T, M..., StructureMember<T>>();
  else
    return is_made_of<T, M..., AnyMember<T>> ? 0 : sizeof...(M);
}

template <class T, std::size_t... I>
constexpr bool are_structures(std::index_sequence<I...>) {
  return sizeof...(I) > 0 && (is_structure<std::tuple_element_t<I, T>>() && ...);
}

template <class T>
constexpr bool is_structure() {
  if constexpr (std::same_as<T, Tensor>)
    return true;
  else if constexpr (is_tuple_like<T>)
    return are_structures<T>(std::make_index_sequence<std::tuple_size_v<T>>());
  else if constexpr (std::is_class_v<T> && std::is_aggregate_v<T>)
    return structure_members<T>() > 0;
  else
    return false;
}

// f(members of a struct…).
template <class T, class F>
void with_members(T& s, const F& f) {
  constexpr std::size_t n = structure_members<std::remove_const_t<T>>();
  static_assert(n >= 1 && n <= kMostMembers);
  if constexpr (n == 1) {
    auto& [a] = s;
    f(a);
  } else if constexpr (n == 2) {
    auto& [a, b] = s;
    f(a, b);
  } else if constexpr (n == 3) {
    auto& [a, b, c] = s;
    f(a, b, c);
  } else if constexpr (n == 4) {
    auto& [a, b, c, d] = s;
    f(a, b, c, d);
  } else if constexpr (n == 5) {
    auto& [a, b, c, d, e] = s;
    f(a, b, c, d, e);
  } else if constexpr (n == 6) {
    auto& [a, b, c, d, e, g] = s;
    f(a, b, c, d, e, g);
  } else if constexpr (n == 7) {
    auto& [a, b, c, d, e, g, h] = s;
    f(a, b, c, d, e, g, h);
  } else {
    auto& [a, b, c, d, e, g, h, i] = s;
    f(a, b, c, d, e, g, h, i);
  }
}

}  // namespace detail

/// Tensors and nothing else, in a number that the type tells: a Tensor; a std::pair, std::tuple or
/// std::array of structures; a struct without bases and constructors of at most 8 of them. So a
/// function returns several tensors: `struct Output { Tensor output, h, c; };`.
template <class T>
concept TensorStructure = detail::is_structure<std::remove_cv_t<T>>();

namespace detail {

/// Calls f on the tensors of a structure, or of a TensorList, in the order of their declaration.
template <class T, class F>
requires(TensorStructure<T> ||
         std::same_as<std::remove_const_t<T>, TensorList>) void for_each_tensor(T& value,
                                                                                const F& f) {
  using V = std::remove_const_t<T>;
  const auto each = [&f](auto&... members) { (for_each_tensor(members, f), ...); };
  if constexpr (std::same_as<V, Tensor>) {
    f(value);
  } else if constexpr (std::same_as<V, TensorList>) {
    for (auto& t : value) f(t);
  } else if constexpr (is_tuple_like<V>) {
    std::apply(each, value);
  } else {
    with_members(value, each);
  }
}

}  // namespace detail

}  // namespace autograd

#pragma GCC visibility pop
