#pragma once

/// The door to Eigen (libeigen3-dev): matrices, vectors, arrays and Eigen's tensors become tensors, by
/// copy or by view, and tensors are seen as matrices and vectors without a copy. Not part of
/// autograd.hpp; a program that includes it finds Eigen by itself, or where Debian puts it.
#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#else
#include <eigen3/Eigen/Core>
#endif

#include <cstdint>
#include <type_traits>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

namespace detail {

template <class T>
constexpr void check_scalar() {
  static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, long double>,
                "tensors hold float, double, bool and integers: cast first with .cast<double>()");
}

// A vector has one axis, whichever way it stands.
template <class D>
Shape shape_of(const Eigen::DenseBase<D>& x) {
  if constexpr (bool{D::IsVectorAtCompileTime})
    return {x.size()};
  else
    return {x.rows(), x.cols()};
}

template <class T>
concept EigenTensor = requires(const T& t) {
  T::Layout;
  t.dimensions();
  typename T::Dimensions;
};

}  // namespace detail

/// The elements of a matrix, vector, array or expression, evaluated now. A matrix is (rows, columns),
/// in whichever order its elements stand; a vector, of a column or of a row, has one axis. Integers
/// become int64.
template <class D>
Tensor from_eigen(const Eigen::DenseBase<D>& x) {
  using Scalar = typename D::Scalar;
  detail::check_scalar<Scalar>();
  using T = detail::StoredAs<Scalar>;
  if (detail::tracing) detail::trace_from_program("a tensor made from a matrix");
  Tensor t = detail::empty_for("from_eigen", detail::shape_of(x), dtype_of<T>);
  Eigen::Map<Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> to(
      static_cast<T*>(t.raw_mutable()), x.rows(), x.cols());
  if constexpr (std::is_unsigned_v<Scalar> && sizeof(Scalar) == 8)
    to = x.derived().array().unaryExpr([](Scalar v) { return detail::to_int64(v); });
  else
    to = x.derived().array().template cast<T>();
  return t;
}

/// The elements of an `Eigen::Tensor`, of either layout; expressions are to be evaluated first.
template <detail::EigenTensor E>
Tensor from_eigen(const E& x) {
  using Scalar = std::remove_const_t<typename E::Scalar>;
  detail::check_scalar<Scalar>();
  using T = detail::StoredAs<Scalar>;
  if (detail::tracing) detail::trace_from_program("a tensor made from an array");
  const auto& sizes = x.dimensions();
  const Shape shape(sizes.begin(), sizes.end());
  Tensor t = detail::empty_for("from_eigen", shape, dtype_of<T>);
  auto* to = static_cast<T*>(t.raw_mutable());
  const auto* from = x.data();
  constexpr bool rows = static_cast<int>(E::Layout) == static_cast<int>(Eigen::RowMajor);
  InlineVector<std::int64_t, 4> at(shape.size(), 0), step(shape.size(), 1);
  for (std::size_t d = 1; d < shape.size(); ++d) {
    const std::size_t k = rows ? shape.size() - 1 - d : d;
    step[k] = rows ? step[k + 1] * shape[k + 1] : step[k - 1] * shape[k - 1];
  }
  for (std::int64_t n = 0, place = 0; n < t.numel(); ++n) {
    to[n] = detail::stored(from[place]);
    for (std::size_t d = shape.size(); d-- > 0;) {
      place += step[d];
      if (++at[d] < shape[d]) break;
      place -= step[d] * shape[d];
      at[d] = 0;
    }
  }
  return t;
}

/// A tensor on the elements of a row-major matrix, a vector or a `Map` of them, without a copy: it is
/// valid while they are, and each sees what the other writes. Throws if they do not stand one behind
/// the other; column-major matrices do not compile: take `from_eigen(m)`, or view the transpose.
template <class D>
Tensor view_eigen(Eigen::PlainObjectBase<D>& x) {
  using T = typename D::Scalar;
  static_assert(Element<T>,
                "a view has elements of float, double, std::int64_t or bool; from_eigen "
                "converts others");
  static_assert(
      bool{D::IsVectorAtCompileTime} || bool{D::IsRowMajor},
      "a view of a matrix needs row-major order: take from_eigen(), which copies, or declare "
      "the matrix with Eigen::RowMajor");
  return from_blob(x.data(), detail::shape_of(x));
}
template <class P, int Options, class Stride>
Tensor view_eigen(Eigen::Map<P, Options, Stride> x) {
  using T = typename P::Scalar;
  static_assert(Element<T> && !std::is_const_v<P>,
                "a view has elements of float, double, std::int64_t or bool that may be written");
  static_assert(bool{P::IsVectorAtCompileTime} || bool{P::IsRowMajor},
                "a view of a matrix needs row-major order: take from_eigen(), which copies");
  const bool dense = x.innerStride() == 1 && (bool{P::IsVectorAtCompileTime} ||
                                              x.outerStride() == x.cols() || x.rows() <= 1);
  if (!dense && x.size() > 1)
    fail("view_eigen",
         "elements must stand one behind the other, got strides {} and {}; take from_eigen()",
         x.outerStride(), x.innerStride());
  return from_blob(x.data(), detail::shape_of(x));
}

/// A row-major matrix of Eigen's type of elements T.
template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

namespace detail {
template <class T>
void check_matrix(std::string_view op, const Tensor& t, std::int64_t axes) {
  if (!t.defined()) refuse_undefined(op, 0);
  if (t.dtype() != dtype_of<T>)
    fail(op, "the elements must be {}, got a tensor of {}; convert it by to()", name(dtype_of<T>),
         name(t.dtype()));
  if (t.ndim() != axes)
    fail(op, "the tensor must have {} {}, got shape {}; reshape it", axes,
         axes == 1 ? "axis" : "axes", t.shape());
}
}  // namespace detail

/// A tensor of two axes as a matrix, without a copy, valid while its elements are. Throws unless T is
/// the dtype.
template <Element T>
Eigen::Map<const EigenMatrix<T>> eigen_matrix(const Tensor& t) {
  detail::check_matrix<T>("eigen_matrix", t, 2);
  return {t.data<T>(), t.size(0), t.size(1)};
}
/// The same to be written, which counts as a write.
template <Element T>
Eigen::Map<EigenMatrix<T>> eigen_matrix(Tensor& t) {
  detail::check_matrix<T>("eigen_matrix", t, 2);
  return {t.mutable_data<T>(), t.size(0), t.size(1)};
}
/// A tensor of one axis as a column.
template <Element T>
Eigen::Map<const EigenVector<T>> eigen_vector(const Tensor& t) {
  detail::check_matrix<T>("eigen_vector", t, 1);
  return {t.data<T>(), t.size(0)};
}
template <Element T>
Eigen::Map<EigenVector<T>> eigen_vector(Tensor& t) {
  detail::check_matrix<T>("eigen_vector", t, 1);
  return {t.mutable_data<T>(), t.size(0)};
}

}  // namespace autograd

#pragma GCC visibility pop
