#include <algorithm>

#include "autograd/core/cpu.hpp"
#include "autograd/core/storage.hpp"
#include "autograd/kernels/kernels.hpp"

// The kernels as operations see them: each cuts its work for threads and calls the kernel of this
// CPU on the pieces. Where rounding could depend on the cut, the cut depends on sizes alone, and is
// the same for one thread.
namespace autograd::kernels {
namespace {

// Pieces begin at whole cache lines.
constexpr std::int64_t kGrain = 64;

// Rough nanoseconds of an element: `ns` for a float.
template <class T>
constexpr double cost(double ns) {
  return ns * sizeof(T) / sizeof(float);
}

template <class T>
const Floating<T>& plain() {
  return single_threaded().floating<T>();
}

template <class T>
void add(T* y, const T* x, std::int64_t n) {
  if (n < kGrain) {
    for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
    return;
  }
  parallel_for(n, kGrain, cost<T>(0.2), [=](std::int64_t begin, std::int64_t end) {
    plain<T>().add(y + begin, x + begin, end - begin);
  });
}

// One row, in the blocks of the kernel: their sums are added in order, as it does.
template <class T>
void sum_row(const T* in, T* out, std::int64_t n) {
  constexpr std::int64_t most = 1024;
  T sums[most];
  double total = 0;
  while (n > 0) {
    const std::int64_t blocks = std::min(n / kSumBlock, most);
    parallel_for(blocks, 1, kSumBlock * cost<T>(0.1), [&](std::int64_t begin, std::int64_t end) {
      plain<T>().sum(in + begin * kSumBlock, sums + begin, end - begin, kSumBlock, 1, 1);
    });
    for (std::int64_t b = 0; b < blocks; ++b) total += static_cast<double>(sums[b]);
    in += blocks * kSumBlock;
    n -= blocks * kSumBlock;
    if (n >= kSumBlock) continue;
    plain<T>().sum(in, sums, 1, n, 1, 1);
    total += static_cast<double>(sums[0]);
    n = 0;
  }
  *out = static_cast<T>(total);
}

// Reductions of (outer, n, inner) whose results do not depend on each other.
template <class T, auto Kernel>
void reduce(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
            std::int64_t stride) {
  const auto kernel = plain<T>().*Kernel;
  const double each = static_cast<double>(n) * cost<T>(0.1);
  if (outer == 1)
    parallel_for(inner, kGrain, each, [=](std::int64_t begin, std::int64_t end) {
      kernel(in + begin, out + begin, 1, n, end - begin, stride);
    });
  else
    parallel_for(
        outer, 1, each * static_cast<double>(inner), [=](std::int64_t begin, std::int64_t end) {
          kernel(in + begin * n * stride, out + begin * inner, end - begin, n, inner, stride);
        });
}

template <class T>
void sum(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
         std::int64_t stride) {
  if (outer * inner == 1 && n >= 64 * kSumBlock && num_threads() > 1)
    sum_row(in, out, n);
  else
    reduce<T, &Floating<T>::sum>(in, out, outer, n, inner, stride);
}

template <class T, auto Kernel>
void extreme(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
             std::int64_t stride) {
  constexpr std::int64_t block = 16384, most = 1024;
  if (outer * inner != 1 || n < 2 * block)
    return reduce<T, Kernel>(in, out, outer, n, inner, stride);
  // One row in blocks: which of several NaNs or zeros it is may depend on the cut.
  T best[most + 1];
  std::int64_t found = 0;
  while (n > 0) {
    const std::int64_t blocks = std::min(n / block, most), size = blocks ? blocks * block : n;
    if (blocks)
      parallel_for(blocks, 1, block * cost<T>(0.1), [&](std::int64_t begin, std::int64_t end) {
        (plain<T>().*Kernel)(in + begin * block, best + found + begin, end - begin, block, 1, 1);
      });
    else
      (plain<T>().*Kernel)(in, best + found, 1, n, 1, 1);
    (plain<T>().*Kernel)(best, best, 1, found + std::max<std::int64_t>(blocks, 1), 1, 1);
    found = 1;
    in += size;
    n -= size;
  }
  *out = best[0];
}

template <class T, auto Kernel>
void map_rows(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  parallel_for(rows, 1, static_cast<double>(n) * cost<T>(0.4),
               [=](std::int64_t begin, std::int64_t end) {
                 (plain<T>().*Kernel)(x + begin * n, y + begin * n, end - begin, n);
               });
}

template <class T, auto Kernel>
void gradient_rows(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n) {
  parallel_for(rows, 1, static_cast<double>(n) * cost<T>(0.3),
               [=](std::int64_t begin, std::int64_t end) {
                 const std::int64_t at = begin * n;
                 (plain<T>().*Kernel)(y + at, g + at, out + at, end - begin, n);
               });
}

template <class T>
void layer_norm(const T* x, const T* weight, const T* bias, T* y, T* mean, T* rstd,
                std::int64_t rows, std::int64_t n, double eps) {
  parallel_for(rows, 1, static_cast<double>(n) * cost<T>(0.3),
               [=](std::int64_t begin, std::int64_t end) {
                 plain<T>().layer_norm(x + begin * n, weight, bias, y + begin * n, mean + begin,
                                       rstd + begin, end - begin, n, eps);
               });
}

// The gradients of weight and bias are sums over rows: each block of rows has its own, and they are
// added in order.
template <class T>
void layer_norm_gradient(const T* x, const T* weight, const T* mean, const T* rstd, const T* g,
                         T* gx, T* gweight, T* gbias, std::int64_t rows, std::int64_t n) {
  constexpr std::int64_t block = 128;
  const std::int64_t blocks = (rows + block - 1) / block;
  const auto run = [&](std::int64_t begin, std::int64_t end, T* gw, T* gb) {
    plain<T>().layer_norm_gradient(x + begin * n, weight, mean + begin, rstd + begin, g + begin * n,
                                   gx ? gx + begin * n : nullptr, gw, gb, end - begin, n);
  };
  if (blocks <= 1 || !(gweight || gbias))
    return parallel_for(
        rows, 1, static_cast<double>(n) * cost<T>(0.4),
        [&](std::int64_t begin, std::int64_t end) { run(begin, end, gweight, gbias); });
  const std::size_t bytes = static_cast<std::size_t>(2 * blocks * n) * sizeof(T);
  T* sums = static_cast<T*>(detail::pool_allocate(bytes));
  parallel_for(blocks, 1, static_cast<double>(block * n) * cost<T>(0.5),
               [&](std::int64_t begin, std::int64_t end) {
                 std::fill(sums + 2 * begin * n, sums + 2 * end * n, T(0));
                 for (std::int64_t b = begin; b < end; ++b) {
                   T* own = sums + 2 * b * n;
                   run(b * block, std::min((b + 1) * block, rows), gweight ? own : nullptr,
                       gbias ? own + n : nullptr);
                 }
               });
  for (std::int64_t b = 0; b < blocks; ++b) {
    if (gweight) plain<T>().add(gweight, sums + 2 * b * n, n);
    if (gbias) plain<T>().add(gbias, sums + (2 * b + 1) * n, n);
  }
  detail::pool_deallocate(sums, bytes);
}

template <class T>
void thread(Floating<T>& f) {
  using F = Floating<T>;
  f.add = add<T>;
  f.sum = sum<T>;
  f.max = extreme<T, &F::max>;
  f.min = extreme<T, &F::min>;
  f.softmax = map_rows<T, &F::softmax>;
  f.softmax_gradient = gradient_rows<T, &F::softmax_gradient>;
  f.log_softmax = map_rows<T, &F::log_softmax>;
  f.log_softmax_gradient = gradient_rows<T, &F::log_softmax_gradient>;
  f.layer_norm = layer_norm<T>;
  f.layer_norm_gradient = layer_norm_gradient<T>;
}

}  // namespace

const Table& active() {
  static const Table table = [] {
    Table t = single_threaded();
    thread(t.f32);
    thread(t.f64);
    return t;
  }();
  return table;
}

}  // namespace autograd::kernels
