#pragma once

#include <cstdlib>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

/// How plain structs are looked into while a program is compiled. Internal.
namespace autograd::detail {

// Stands for a member of `Owner` of any type, but not for its base.
template <class Owner>
struct AnyMember {
  template <class T>
  requires(!std::is_base_of_v<T, Owner>) operator T() const {  // NOLINT: conversion is the point
    std::abort();                                              // never called
  }
};

template <class T, class... M>
constexpr bool is_made_of = requires {
  T{std::declval<M>()...};
};

}  // namespace autograd::detail

#pragma GCC visibility pop
