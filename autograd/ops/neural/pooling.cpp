#include "autograd/ops/neural/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/elementwise/builtins.hpp"
#include "autograd/kernels/pooling.hpp"
#include "autograd/ops/internal/picks.hpp"
#include "autograd/ops/neural/convolution.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/spatial.hpp"
#include "autograd/ops/reductions/reductions.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;
using kernels::Extents;

// Of the last axes.
using Windows = std::array<kernels::PoolAxis, 3>;

// The largest of each window and its place.
struct MaxPool {
  static constexpr bool kTotal = true;
  static constexpr std::size_t kOutputs = 2;
  int axes;
  bool adaptive;  // the windows follow from the sizes
  Windows along;
  XGRAD_ATTRIBUTES(axes, adaptive, along)

  std::string_view name() const {
    static constexpr std::string_view names[2][3] = {
        {"max_pool1d", "max_pool2d", "max_pool3d"},
        {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"}};
    return names[adaptive][axes - 1];
  }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    Shape shape = in[0].shape();
    for (int d = 1; d <= axes; ++d) shape[shape.size() - d] = along[3 - d].out;
    return {TensorSpec{shape, in[0].dtype()}, TensorSpec{shape, int64}};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    const std::int64_t size = along[0].in * along[1].in * along[2].in;
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::max_pool(along, in[0].numel() / size, in_ptr<T>(in[0]), out_ptr<T>(out[0]),
                        out_ptr<std::int64_t>(out[1]));
    });
  }
  unsigned saves() const { return save_output(1); }
  TensorList backward(const Call& call) const {
    const Shape& shape = call.input_shape(0);
    const Tensor& indices = call.output_value(1);
    const std::int64_t to = along[0].in * along[1].in * along[2].in,
                       from = along[0].out * along[1].out * along[2].out,
                       planes = indices.numel() / from;
    const Tensor g = scatter_add_zeros({planes, to}, 1, reshape(indices, {planes, from}),
                                       reshape(call.grad(), {planes, from}));
    return {reshape(g, shape)};
  }
  TensorList jvp(const Call& call) const {
    const Tensor &indices = call.output_value(1), &t = call.tangent(0);
    const std::int64_t to = along[0].in * along[1].in * along[2].in,
                       from = along[0].out * along[1].out * along[2].out,
                       planes = indices.numel() / from;
    const Tensor picked =
        internal::pick_each(reshape(t, {planes, to}), 1, reshape(indices, {planes, from}));
    return {reshape(picked, indices.shape()), Tensor()};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// x with a batch axis, whose spatial sizes must be at least 1.
Tensor checked(std::string_view op, const Tensor& x, int axes, bool& unbatched) {
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  Tensor batch = internal::with_batch(op, x, axes, unbatched);
  for (int d = 0; d < axes; ++d)
    if (batch.size(d + 2) < 1 || batch.size(d + 2) > internal::kLargestOption)
      fail(op, "x must have spatial sizes in [1, 2^31], got shape {}", x.shape());
  return batch;
}

Windows windows_of(std::string_view op, const Tensor& batch, int axes, const Integers& kernel,
                   const Integers& stride, const Integers& padding, const Integers& dilation,
                   bool ceil_mode) {
  const Extents in = internal::spatial_sizes(batch.shape(), axes),
                sizes = internal::per_axis(op, "kernel", kernel, axes, 1),
                steps = internal::per_axis(op, "stride", stride.empty() ? kernel : stride, axes, 1),
                apart = internal::per_axis(op, "dilation", dilation, axes, 1),
                before = internal::per_axis(op, "padding", padding, axes, 0, 0);
  Windows windows;
  for (std::size_t d = 0; d < 3; ++d) {
    const std::int64_t reach = apart[d] * (sizes[d] - 1) + 1, room = in[d] + 2 * before[d] - reach;
    if (2 * before[d] > reach)
      fail(op, "padding must be at most half of the kernel, got {} for {}", before[d], reach);
    const std::int64_t last = room + (ceil_mode ? steps[d] - 1 : 0);
    if (last < 0)
      fail(op, "the kernel must {} the padded x, got {} for shape {}, padding {}{}",
           ceil_mode ? "end less than a stride behind" : "fit into", reach, batch.shape(),
           before[d], ceil_mode ? fmt::format(" and stride {}", steps[d]) : "");
    std::int64_t out = last / steps[d] + 1;
    if ((out - 1) * steps[d] >= in[d] + before[d]) --out;
    windows[d] = {in[d], out, sizes[d], steps[d], apart[d], before[d]};
  }
  return windows;
}

MaxPooled pooled(const MaxPool& op, const Tensor& batch, bool unbatched) {
  auto [values, indices] = apply(op, batch);
  return unbatched ? MaxPooled{squeeze(values, 0), squeeze(indices, 0)}
                   : MaxPooled{values, indices};
}

MaxPooled max_pool(int axes, const Tensor& x, const Integers& kernel, const MaxPoolOptions& o) {
  MaxPool op{.axes = axes, .adaptive = false, .along = {}};
  const std::string_view name = op.name();
  const detail::Named as(name);
  bool unbatched;
  const Tensor batch = checked(name, x, axes, unbatched);
  op.along = windows_of(name, batch, axes, kernel, o.stride, o.padding, o.dilation, o.ceil_mode);
  for (const kernels::PoolAxis& w : op.along)
    for (std::int64_t i = 0; w.dilation > 1 && i < w.out; ++i)
      if (w.begin(i) >= w.end(i))
        fail(name,
             "every window must have an element of x, got kernel {}, padding {} and dilation {} "
             "for shape {}",
             w.kernel, w.before, w.dilation, x.shape());
  return pooled(op, batch, unbatched);
}

// The spatial sizes of the result, -1 replaced.
Extents adaptive_sizes(std::string_view op, const Tensor& batch, int axes, const Integers& sizes) {
  Extents out = internal::per_axis(op, "output_size", sizes, axes, -1);
  const Extents in = internal::spatial_sizes(batch.shape(), axes);
  for (std::size_t d = 0; d < 3; ++d) {
    if (out[d] == 0) fail(op, "output_size must be at least 1, or -1, got 0");
    if (out[d] == -1) out[d] = in[d];
  }
  return out;
}

MaxPooled adaptive_max_pool(int axes, const Tensor& x, const Integers& sizes) {
  MaxPool op{.axes = axes, .adaptive = true, .along = {}};
  const detail::Named as(op.name());
  bool unbatched;
  const Tensor batch = checked(op.name(), x, axes, unbatched);
  const Extents in = internal::spatial_sizes(batch.shape(), axes),
                out = adaptive_sizes(op.name(), batch, axes, sizes);
  for (std::size_t d = 0; d < 3; ++d) op.along[d] = {in[d], out[d], 0, 1, 1, 0};
  return pooled(op, batch, unbatched);
}

constexpr std::string_view kAverage[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"},
                           kAdaptive[] = {"adaptive_avg_pool1d", "adaptive_avg_pool2d",
                                          "adaptive_avg_pool3d"};

Tensor sums(int axes, const Tensor& planes, const Tensor& weight, const ConvOptions& options) {
  return axes == 1   ? conv1d(planes, weight, {}, options)
         : axes == 2 ? conv2d(planes, weight, {}, options)
                     : conv3d(planes, weight, {}, options);
}

// A convolution of each plane with ones, divided by how many elements there were: of another
// convolution, of ones, where the windows are not all whole.
Tensor avg_pool(int axes, const Tensor& x, const Integers& kernel, const AvgPoolOptions& o) {
  const std::string_view name = kAverage[axes - 1];
  const detail::Named as(name);
  bool unbatched;
  const Tensor batch = checked(name, x, axes, unbatched);
  if (o.divisor_override < 0)
    fail(name, "divisor_override must be at least 1, or 0 for none, got {}", o.divisor_override);
  const Windows w = windows_of(name, batch, axes, kernel, o.stride, o.padding, 1, o.ceil_mode);
  Shape plane{batch.size(0) * batch.size(1), 1}, whole{1, 1}, window{1, 1}, padded{1, 1}, result;
  Integers stride, widths, over;  // over: around what is counted
  bool partial = false;
  double count = 1;
  for (std::size_t d = 3 - static_cast<std::size_t>(axes); d < 3; ++d) {
    const kernels::PoolAxis& a = w[d];
    const std::int64_t reach = (a.out - 1) * a.stride + a.kernel, inside = a.in + 2 * a.before,
                       after = std::max(reach - a.in - a.before, std::int64_t{0});
    plane.push_back(a.in);
    whole.push_back(o.count_include_pad ? inside : a.in);
    window.push_back(a.kernel);
    stride.push_back(a.stride);
    widths.push_back(a.before), widths.push_back(after);
    over.push_back(o.count_include_pad ? 0 : a.before);
    over.push_back(o.count_include_pad ? std::max(reach - inside, std::int64_t{0}) : after);
    partial = partial || reach > inside || (!o.count_include_pad && a.before + after > 0);
    count *= static_cast<double>(a.kernel);
  }
  const Tensor weight = ones(window, x.dtype());
  Tensor y = sums(axes, reshape(batch, plane), weight, {.stride = stride, .padding = widths});
  if (o.divisor_override > 0 || !partial)
    y = y / (o.divisor_override > 0 ? static_cast<double>(o.divisor_override) : count);
  else
    y = y / sums(axes, ones(whole, x.dtype()), weight, {.stride = stride, .padding = over});
  result = batch.shape();
  for (int d = 1; d <= axes; ++d) result[result.size() - d] = w[3 - d].out;
  if (unbatched) result = Shape(result.begin() + 1, result.end());
  return reshape(y, result);
}

// One axis of an adaptive average, counted from the end.
Tensor averaged(const Tensor& x, std::int64_t from_end, std::int64_t n) {
  const std::int64_t axis = x.ndim() - from_end, size = x.size(axis);
  if (n == size) return x;
  if (size % n == 0) return mean(unflatten(x, axis, {n, size / n}), axis + 1);
  TensorList windows;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t begin = i * size / n, end = ((i + 1) * size + n - 1) / n;
    windows.push_back(mean(narrow(x, axis, begin, end - begin), axis, true));
  }
  return concat(windows, axis);
}

Tensor adaptive_avg_pool(int axes, const Tensor& x, const Integers& sizes) {
  const std::string_view name = kAdaptive[axes - 1];
  const detail::Named as(name);
  bool unbatched;
  Tensor y = checked(name, x, axes, unbatched);
  const Extents out = adaptive_sizes(name, y, axes, sizes);
  for (int d = 1; d <= axes; ++d) y = averaged(y, d, out[3 - d]);
  return unbatched ? squeeze(y, 0) : y;
}

}  // namespace

#define POOLINGS(axes)                                                              \
  MaxPooled max_pool##axes##d_with_indices(const Tensor& x, const Integers& kernel, \
                                           const MaxPoolOptions& options) {         \
    const detail::Named as("max_pool" #axes "d_with_indices");                      \
    return max_pool(axes, x, kernel, options);                                      \
  }                                                                                 \
  Tensor max_pool##axes##d(const Tensor& x, const Integers& kernel,                 \
                           const MaxPoolOptions& options) {                         \
    return max_pool(axes, x, kernel, options).values;                               \
  }                                                                                 \
  Tensor avg_pool##axes##d(const Tensor& x, const Integers& kernel,                 \
                           const AvgPoolOptions& options) {                         \
    return avg_pool(axes, x, kernel, options);                                      \
  }                                                                                 \
  Tensor adaptive_avg_pool##axes##d(const Tensor& x, const Integers& output_size) { \
    return adaptive_avg_pool(axes, x, output_size);                                 \
  }                                                                                 \
  MaxPooled adaptive_max_pool##axes##d_with_indices(const Tensor& x,                \
                                                    const Integers& output_size) {  \
    const detail::Named as("adaptive_max_pool" #axes "d_with_indices");             \
    return adaptive_max_pool(axes, x, output_size);                                 \
  }                                                                                 \
  Tensor adaptive_max_pool##axes##d(const Tensor& x, const Integers& output_size) { \
    return adaptive_max_pool(axes, x, output_size).values;                          \
  }
POOLINGS(1)
POOLINGS(2)
POOLINGS(3)
#undef POOLINGS

}  // namespace autograd
