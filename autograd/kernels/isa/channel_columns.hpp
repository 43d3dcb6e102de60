#pragma once

#include "autograd/kernels/isa/channel_parts.hpp"

/// Batch normalisation of x (rows, channels), where the elements of a channel are a column: rows are
/// walked, with numbers for each column at hand. For the file that defines the kernels.
namespace autograd::kernels::XGRAD_ISA {
namespace {

inline bool are_columns(const Channels& s) { return s.inner == 1 && s.together == 1; }

// Columns whose numbers stay in the first cache, and rows that are added in their own precision.
constexpr std::int64_t kColumns = 256, kRows = 64;

// f(first, n) for the columns from `begin` on, below `end`.
template <class F>
void each_columns(std::int64_t begin, std::int64_t end, F&& f) {
  for (; begin < end; begin += kColumns) f(begin, end - begin < kColumns ? end - begin : kColumns);
}

// total[i] = Σ f(load, i, row) over the rows, for n columns; `row` is where its first element is.
template <class T, class F>
void sum_rows(const Channels& s, std::int64_t first, std::int64_t n, double* total, F&& f) {
  const Part line{0, 1, n, 0};
  T some[kColumns];
  for (std::int64_t i = 0; i < n; ++i) total[i] = 0;
  for (std::int64_t begin = 0; begin < s.outer; begin += kRows) {
    for (std::int64_t i = 0; i < n; ++i) some[i] = 0;
    for (std::int64_t r = begin; r < s.outer && r < begin + kRows; ++r)
      map(line, some, [&, row = r * s.channels + first](auto load, std::int64_t i) {
        return load(some + i, T(0)) + f(load, i, row);
      });
    for (std::int64_t i = 0; i < n; ++i) total[i] += static_cast<double>(some[i]);
  }
}

// Mean, 1/σ and variance of n columns.
template <class T>
void column_statistics(const Channels& s, std::int64_t first, std::int64_t n, const T* x,
                       double eps, T* mean, T* rstd, T* var) {
  double total[kColumns];
  const double rows = static_cast<double>(s.outer);
  sum_rows<T>(s, first, n, total,
              [=](auto load, std::int64_t i, std::int64_t row) { return load(x + row + i, T(0)); });
  for (std::int64_t i = 0; i < n; ++i) mean[i] = static_cast<T>(total[i] / rows);
  sum_rows<T>(s, first, n, total, [=](auto load, std::int64_t i, std::int64_t row) {
    const auto d = load(x + row + i, T(0)) - load(mean + i, T(0));
    return d * d;
  });
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = total[i] / rows;
    const bool plain = v + eps > kTiny<T> && v < __builtin_inf();
    const Normal<T> z =
        plain ? Normal<T>{mean[i], static_cast<T>(1 / __builtin_sqrt(v + eps)), static_cast<T>(v)}
              : rescaled(s, first + i, x, eps);
    mean[i] = z.mean;
    rstd[i] = z.rstd;
    var[i] = z.var;
  }
}

// With the mean and 1/σ of n columns.
template <class T>
void normalise_columns(const Channels& s, std::int64_t first, std::int64_t n, const T* x,
                       const T* mean, const T* rstd, const T* weight, const T* bias, T* y) {
  T scale[kColumns], offset[kColumns];
  for (std::int64_t i = 0; i < n; ++i) {
    scale[i] = weight ? rstd[i] * weight[first + i] : rstd[i];
    offset[i] = bias ? bias[first + i] : T(0);
  }
  const T *a = scale, *b = offset;
  for (std::int64_t r = 0; r < s.outer; ++r) {
    const std::int64_t row = r * s.channels + first;
    map(Part{0, 1, n, 0}, y + row, [=](auto load, std::int64_t i) {
      return fma(load(x + row + i, T(0)) - load(mean + i, T(0)), load(a + i, T(0)),
                 load(b + i, T(0)));
    });
  }
}

// The same as batch_norm_gradient, for n columns.
template <class T>
void column_gradients(const Channels& s, std::int64_t first, std::int64_t n, const T* x,
                      const T* mean, const T* rstd, const T* weight, const T* g, bool of_batch,
                      T* gx, T* gweight, T* gbias) {
  double plain[kColumns], normal[kColumns];
  const double rows = static_cast<double>(s.outer);
  const auto z = [=](auto load, std::int64_t i, std::int64_t row) {
    return (load(x + row + i, T(0)) - load(mean + i, T(0))) * load(rstd + i, T(0));
  };
  if (of_batch || gbias)
    sum_rows<T>(s, first, n, plain, [=](auto load, std::int64_t i, std::int64_t row) {
      return load(g + row + i, T(0));
    });
  if (of_batch || gweight)
    sum_rows<T>(s, first, n, normal, [=](auto load, std::int64_t i, std::int64_t row) {
      return load(g + row + i, T(0)) * z(load, i, row);
    });
  T factor[kColumns], shift[kColumns], slope[kColumns];
  for (std::int64_t i = 0; i < n; ++i) {
    if (gweight) gweight[first + i] = static_cast<T>(normal[i]);
    if (gbias) gbias[first + i] = static_cast<T>(plain[i]);
    factor[i] = weight ? rstd[i] * weight[first + i] : rstd[i];
    shift[i] = of_batch ? static_cast<T>(plain[i] / rows) : T(0);
    slope[i] = of_batch ? static_cast<T>(normal[i] / rows) : T(0);
  }
  const T *a = factor, *b = shift, *c = slope;
  for (std::int64_t r = 0; gx && r < s.outer; ++r) {
    const std::int64_t row = r * s.channels + first;
    const auto of_all = [=](auto load, std::int64_t i) {
      return load(a + i, T(0)) *
             (load(g + row + i, T(0)) - load(b + i, T(0)) - z(load, i, row) * load(c + i, T(0)));
    };
    const auto of_one = [=](auto load, std::int64_t i) {
      return load(a + i, T(0)) * load(g + row + i, T(0));
    };
    if (of_batch)
      map(Part{0, 1, n, 0}, gx + row, of_all);
    else
      map(Part{0, 1, n, 0}, gx + row, of_one);
  }
}

// The same as batch_norm_tangent, for n columns.
template <class T>
void column_tangents(const Channels& s, std::int64_t first, std::int64_t n, const T* x,
                     const T* mean, const T* rstd, const T* weight, const T* t, const T* tweight,
                     const T* tbias, bool of_batch, T* ty) {
  double plain[kColumns], normal[kColumns];
  const double rows = static_cast<double>(s.outer);
  const auto z = [=](auto load, std::int64_t i, std::int64_t row) {
    return (load(x + row + i, T(0)) - load(mean + i, T(0))) * load(rstd + i, T(0));
  };
  if (of_batch) {
    sum_rows<T>(s, first, n, plain, [=](auto load, std::int64_t i, std::int64_t row) {
      return load(t + row + i, T(0));
    });
    sum_rows<T>(s, first, n, normal, [=](auto load, std::int64_t i, std::int64_t row) {
      return load(t + row + i, T(0)) * z(load, i, row);
    });
  }
  T factor[kColumns], shift[kColumns], slope[kColumns], offset[kColumns];
  for (std::int64_t i = 0; i < n; ++i) {
    const T of_t = weight ? rstd[i] * weight[first + i] : rstd[i];
    factor[i] = of_t;
    shift[i] = of_batch ? static_cast<T>(plain[i] / rows) : T(0);
    slope[i] = (tweight ? tweight[first + i] : T(0)) -
               (of_batch ? of_t * static_cast<T>(normal[i] / rows) : T(0));
    offset[i] = tbias ? tbias[first + i] : T(0);
  }
  const T *a = factor, *b = shift, *c = slope, *d = offset;
  for (std::int64_t r = 0; r < s.outer; ++r) {
    const std::int64_t row = r * s.channels + first;
    map(Part{0, 1, n, 0}, ty + row, [=](auto load, std::int64_t i) {
      return fma(load(t + row + i, T(0)) - load(b + i, T(0)), load(a + i, T(0)),
                 fma(z(load, i, row), load(c + i, T(0)), load(d + i, T(0))));
    });
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA
