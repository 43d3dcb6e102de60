#include "autograd/ops/neural/fold.hpp"

#include "autograd/ops/indexing/indexing.hpp"
#include "autograd/ops/internal/strided.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/spatial.hpp"

namespace autograd {
namespace {

using kernels::Extents;

// How the windows stand in the padded images. Behind a one, as everything along axes.
struct Windows {
  Extents kernel, dilation, padding, stride, padded, out;

  Windows(std::string_view op, const Extents& size, const Integers& kernel_size,
          const FoldOptions& o)
      : kernel(internal::per_axis(op, "kernel_size", kernel_size, 2, 1)),
        dilation(internal::per_axis(op, "dilation", o.dilation, 2, 1)),
        padding(internal::per_axis(op, "padding", o.padding, 2, 0, 0)),
        stride(internal::per_axis(op, "stride", o.stride, 2, 1)) {
    for (std::size_t d = 0; d < 3; ++d) {
      padded[d] = size[d] + 2 * padding[d];
      const std::int64_t room = padded[d] - dilation[d] * (kernel[d] - 1) - 1;
      if (room < 0)
        fail(op, "the kernel must fit into the padded image, got {} for size {} and padding {}",
             dilation[d] * (kernel[d] - 1) + 1, size[d], padding[d]);
      out[d] = room / stride[d] + 1;
    }
    shapes::check(op, {padded[1], padded[2]});  // so that steps below fit
  }

  std::int64_t elements() const { return kernel[1] * kernel[2]; }
  std::int64_t count() const { return out[1] * out[2]; }
  // (batch, channels, kernel…, windows…) of padded images.
  internal::View over(const Shape& images) const {
    internal::View view(images);
    const auto s = view.strides;
    const auto step = [](std::int64_t count, std::int64_t by) { return count > 1 ? by : 0; };
    view.sizes = {images[0], images[1], kernel[1], kernel[2], out[1], out[2]};
    view.strides = {s[0],
                    s[1],
                    step(kernel[1], dilation[1]) * s[2],
                    step(kernel[2], dilation[2]) * s[3],
                    step(out[1], stride[1]) * s[2],
                    step(out[2], stride[2]) * s[3]};
    view.repeats = true;
    return view;
  }
};

}  // namespace

Tensor im2col(const Tensor& x, const Integers& kernel_size, const FoldOptions& options) {
  const detail::Named as("im2col");
  internal::check_defined("im2col", x);
  internal::check_floating("im2col", x);
  bool unbatched;
  Tensor images = internal::with_batch("im2col", x, 2, unbatched);
  for (const std::int64_t d : {2, 3})
    if (images.size(d) < 1 || images.size(d) > internal::kLargestOption)
      fail("im2col", "x must have spatial sizes in [1, 2^31], got shape {}", x.shape());
  const Windows w("im2col", internal::spatial_sizes(images.shape(), 2), kernel_size, options);
  if (w.padding[1] + w.padding[2] > 0)
    images = pad(images, {w.padding[2], w.padding[2], w.padding[1], w.padding[1]});
  const internal::View view = w.over(images.shape());
  shapes::check("im2col", view.sizes);
  const Tensor columns = reshape(internal::gather_view("im2col", images, view),
                                 {images.size(0), images.size(1) * w.elements(), w.count()});
  return unbatched ? squeeze(columns, 0) : columns;
}

Tensor fold(const Tensor& x, const Integers& output_size, const Integers& kernel_size,
            const FoldOptions& options) {
  const detail::Named as("fold");
  internal::check_defined("fold", x);
  internal::check_floating("fold", x);
  if (x.ndim() != 2 && x.ndim() != 3)
    fail("fold",
         "x must have 3 axes (batch, channels · kernel elements, windows), or 2 without a batch, "
         "got shape {}",
         x.shape());
  const bool unbatched = x.ndim() == 2;
  const Extents size = internal::per_axis("fold", "output_size", output_size, 2, 1);
  const Windows w("fold", size, kernel_size, options);
  const Tensor columns = unbatched ? unsqueeze(x, 0) : x;
  if (columns.size(1) % w.elements() != 0)
    fail("fold", "x must have a multiple of the {} elements of a kernel, got shape {}",
         w.elements(), x.shape());
  if (columns.size(2) != w.count())
    fail("fold", "x must have the {} x {} windows of such images, got shape {}", w.out[1], w.out[2],
         x.shape());
  const Shape whole{columns.size(0), columns.size(1) / w.elements(), w.padded[1], w.padded[2]};
  shapes::check("fold", whole);
  const internal::View view = w.over(whole);
  Tensor images = internal::scatter_view("fold", reshape(columns, view.sizes), view, whole);
  for (const std::size_t d : {std::size_t{1}, std::size_t{2}})
    if (w.padding[d] > 0)
      images = narrow(images, static_cast<std::int64_t>(d) + 1, w.padding[d], size[d]);
  return unbatched ? squeeze(images, 0) : images;
}

}  // namespace autograd
