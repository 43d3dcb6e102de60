#pragma once

/// xtensor before 0.26 takes the temporaries of its expressions for arrays of a fixed rank under
/// C++20 compilers that match template template parameters as C++17 says (g++ by default):
/// `xt::eval` and all that builds on it give wrong shapes, without a warning. This header puts that
/// right for the whole translation unit. Include it before the first expression; every header of
/// the library does.
#if __has_include(<xtensor/core/xexpression_traits.hpp>)
#include <xtensor/core/xexpression_traits.hpp>
#include <xtensor/core/xtensor_config.hpp>
#else
#include <xtensor/xexpression_traits.hpp>
#include <xtensor/xtensor_config.hpp>
#endif

#if XTENSOR_VERSION_MAJOR == 0 && XTENSOR_VERSION_MINOR < 26 && __cplusplus > 201703L && \
    defined(__cpp_template_template_args)
namespace xt::detail {

// More specialised than xtensor's own for `template <class, std::size_t> class`, which would match
// too; by the constraint also than the same repair, which some builds of 0.25 have.
template <template <class, std::size_t, class, bool> class S, class X, std::size_t N, class A,
          bool Init>
requires true struct xtype_for_shape<S<X, N, A, Init>> {
  template <class T, layout_type L>
  using type = xarray<T, L>;
};

}  // namespace xt::detail
#endif
