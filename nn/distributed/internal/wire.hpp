#pragma once

#include <type_traits>

#include "nn/io/internal/float16.hpp"

/// Elements as ranks send them: float and double as they are, or numbers of 16 bits.
namespace nn::distributed::detail {

using nn::detail::BFloat16, nn::detail::Float16, nn::detail::value;

/// What an element E counts as, and the nearest E.
constexpr float value(float x) { return x; }
constexpr double value(double x) { return x; }

template <class E>
using Value = decltype(value(E{}));

template <class E>
constexpr E nearest(Value<E> x) {
  if constexpr (std::is_floating_point_v<E>)
    return x;
  else
    return nn::detail::nearest<E>(x);
}

}  // namespace nn::distributed::detail
