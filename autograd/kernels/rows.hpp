#pragma once

#include "autograd/core/kernel.hpp"

/// Operations on rows of contiguous elements.
namespace autograd::kernels {

/// y = softmax(x) of each row.
template <class T>
struct Softmax
    : Kernel<Softmax<T>, ByRows<400>, void(Row<const T> x, Row<T> y, Count rows, Length n)> {};

/// y = log softmax(x) of each row.
template <class T>
struct LogSoftmax
    : Kernel<LogSoftmax<T>, ByRows<400>, void(Row<const T> x, Row<T> y, Count rows, Length n)> {};

/// The gradient of Softmax from y and its cotangent g.
template <class T>
struct SoftmaxGradient
    : Kernel<SoftmaxGradient<T>, ByRows<300>,
             void(Row<const T> y, Row<const T> g, Row<T> out, Count rows, Length n)> {};

/// The gradient of LogSoftmax from y and its cotangent g.
template <class T>
struct LogSoftmaxGradient
    : Kernel<LogSoftmaxGradient<T>, ByRows<300>,
             void(Row<const T> y, Row<const T> g, Row<T> out, Count rows, Length n)> {};

/// Rows normalised to mean 0 and variance 1, or, unless `centred`, to a mean square of 1: their mean
/// counts as 0 then. Keeps mean and 1/σ of each row. All but x may be null: weight and bias (n), and
/// results that are not wanted.
template <class T>
struct LayerNorm
    : Kernel<LayerNorm<T>, ByRows<300>,
             void(Row<const T> x, const T* weight, const T* bias, Row<T> y, Each<T> mean,
                  Each<T> rstd, Count rows, Length n, bool centred, double eps)> {};

/// gx, gweight and gbias may be null; the latter two are added to. The cotangents are the rows of g or,
/// where it is null, `every` for each row.
template <class T>
struct LayerNormGradient
    : Kernel<LayerNormGradient<T>, ByRows<400>,
             void(Row<const T> x, const T* weight, Each<const T> mean, Each<const T> rstd,
                  Row<const T> g, const T* every, Row<T> gx, Total<T> gweight, Total<T> gbias,
                  Count rows, Length n, bool centred)> {};

/// The tangent of LayerNorm from those of x, weight and bias: t, tweight and tbias, each of which may
/// be null, as may weight.
template <class T>
struct LayerNormTangent
    : Kernel<LayerNormTangent<T>, ByRows<400>,
             void(Row<const T> x, const T* weight, Each<const T> mean, Each<const T> rstd,
                  Row<const T> t, const T* tweight, const T* tbias, Row<T> out, Count rows,
                  Length n, bool centred)> {};

}  // namespace autograd::kernels
