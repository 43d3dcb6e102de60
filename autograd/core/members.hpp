#pragma once

#include <cstdlib>
#include <string_view>
#include <type_traits>
#include <utility>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

/// How the members of structs are looked into and listed. Internal.
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

/// Cuts the first off a macro's list of names, which commas separate.
std::string_view next_name(std::string_view& names);

}  // namespace autograd::detail

#pragma GCC visibility pop
