#include "autograd/ops/neural/pooling.hpp"

#include <algorithm>

#include "autograd/ops/indexing/indexing.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/spatial.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd {
namespace {

using kernels::Extents;

constexpr std::string_view kUnpool[] = {"max_unpool1d", "max_unpool2d", "max_unpool3d"};

// Places in planes of so many elements: looked at in each run, as a replay has others.
struct Places {
  std::string_view op;
  std::int64_t size;
  XGRAD_ATTRIBUTES(op, size)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* from = in[0].data<std::int64_t>();
    for (std::int64_t i = 0; i < out.numel(); ++i)
      if (from[i] < 0 || from[i] >= size)
        fail(op, "indices must be in [0, {}), got {}", size, from[i]);
    std::copy_n(from, out.numel(), internal::out_ptr<std::int64_t>(out));
  }
};

Extents unpooled_sizes(std::string_view op, const Tensor& batch, int axes, const Integers& kernel,
                       const MaxUnpoolOptions& o) {
  const Extents size = internal::spatial_sizes(batch.shape(), axes),
                window = internal::per_axis(op, "kernel", kernel, axes, 1),
                step =
                    internal::per_axis(op, "stride", o.stride.empty() ? kernel : o.stride, axes, 1),
                before = internal::per_axis(op, "padding", o.padding, axes, 0, 0);
  Extents out{1, 1, 1};
  if (!o.output_size.empty()) out = internal::per_axis(op, "output_size", o.output_size, axes, 1);
  for (std::size_t d = 3 - static_cast<std::size_t>(axes); d < 3; ++d) {
    if (size[d] < 1 || size[d] > internal::kLargestOption)
      fail(op, "x must have spatial sizes in [1, 2^31], got shape {}", batch.shape());
    const std::int64_t usual = (size[d] - 1) * step[d] + window[d] - 2 * before[d];
    if (o.output_size.empty())
      out[d] = usual;
    else if (out[d] <= usual - step[d] || out[d] >= usual + step[d])
      fail(op, "output_size must be between {} and {}, got {}", usual - step[d] + 1,
           usual + step[d] - 1, out[d]);
    if (out[d] < 1)
      fail(op, "the result must have sizes of at least 1, got {} for x {} and padding {}", out[d],
           batch.shape(), before[d]);
  }
  return out;
}

Tensor max_unpool(int axes, const Tensor& x, const Tensor& indices, const Integers& kernel,
                  const MaxUnpoolOptions& options) {
  const std::string_view op = kUnpool[axes - 1];
  const detail::Named as(op);
  internal::check_defined(op, x);
  internal::check_defined(op, indices, 1);
  internal::check_floating(op, x);
  if (indices.dtype() != int64 || indices.shape() != x.shape())
    fail(op, "indices must be int64 of the shape of x, got {} {} for {}", name(indices.dtype()),
         indices.shape(), x.shape());
  bool unbatched;
  const Tensor batch = internal::with_batch(op, x, axes, unbatched);
  const Extents out = unpooled_sizes(op, batch, axes, kernel, options);
  Shape shape{batch.size(0), batch.size(1)};
  shape.append(out.end() - axes, out.end());
  shapes::check(op, shape);
  const std::int64_t planes = shape[0] * shape[1], size = out[0] * out[1] * out[2];
  if (unbatched) shape = Shape(shape.begin() + 1, shape.end());
  if (planes == 0) return reshape(x, shape);
  const std::int64_t from = x.numel() / planes;
  const Tensor places = apply(Places{op, size}, reshape(indices, {planes, from}));
  const Tensor y =
      scatter(zeros({planes, size}, x.dtype()), 1, places, reshape(batch, {planes, from}));
  return reshape(y, shape);
}

}  // namespace

Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const Integers& kernel,
                    const MaxUnpoolOptions& options) {
  return max_unpool(1, x, indices, kernel, options);
}
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const Integers& kernel,
                    const MaxUnpoolOptions& options) {
  return max_unpool(2, x, indices, kernel, options);
}
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const Integers& kernel,
                    const MaxUnpoolOptions& options) {
  return max_unpool(3, x, indices, kernel, options);
}

}  // namespace autograd
