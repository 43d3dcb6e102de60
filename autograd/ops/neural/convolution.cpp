#include "autograd/ops/neural/convolution.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "autograd/elementwise/builtins.hpp"
#include "autograd/kernels/convolution.hpp"
#include "autograd/ops/movement/movement.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/spatial.hpp"
#include "autograd/ops/reductions/reductions.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd {

Padding::Padding(const char* name) {
  for (const char* known : {"same", "valid"})
    if (std::string_view(name) == known) name_ = known;
  if (name_.empty())
    fail("padding", "the name must be same or valid, got '{}'", quoted(std::string_view(name)));
}

std::string Padding::str() const {
  if (!name_.empty()) return std::string(name_);
  return widths_.size() == 1 ? fmt::format("{}", widths_[0])
                             : fmt::format("({})", fmt::join(widths_, ", "));
}

namespace {

using internal::in_ptr, internal::out_ptr, internal::kLargestOption;
using kernels::Extents;

enum class Part { x, weight, y };
constexpr std::string_view name(Part part) {
  return part == Part::x ? "x" : part == Part::weight ? "weight" : "y";
}

// Σ x w y over all elements that meet, a sum of products of three tensors: the three operations are
// its derivatives with respect to one of them, and each other's gradients. So these are exact to
// any order.
struct Convolve {
  static constexpr bool kTotal = true;
  Part part;    // which of them it computes, from the two others in this order, but the weight last
  int axes;     // spatial ones
  bool biased;  // a third input is added to each channel of the result
  kernels::Convolution sizes;
  XGRAD_ATTRIBUTES(part, axes, biased, sizes)

  std::string_view name() const {
    static constexpr std::string_view names[3][3] = {
        {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"},
        {"conv1d_weight", "conv2d_weight", "conv3d_weight"},
        {"conv1d", "conv2d", "conv3d"}};
    return names[static_cast<int>(part)][axes - 1];
  }
  TensorSpec infer(const Inputs& in) const {
    const auto& s = sizes;
    Shape shape;
    if (part == Part::weight)
      shape = {s.groups * s.out_channels, s.in_channels};
    else
      shape = {s.images, s.groups * (part == Part::x ? s.in_channels : s.out_channels)};
    const Extents& extents = part == Part::x ? s.in : part == Part::weight ? s.kernel : s.out;
    shape.append(extents.end() - axes, extents.end());
    return {shape, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T *a = in_ptr<T>(in[0]), *b = in_ptr<T>(in[1]),
              *bias = biased ? in_ptr<T>(in[2]) : nullptr;
      if (part == Part::x)
        kernels::convolve_transposed<T>(sizes, a, b, bias, out_ptr<T>(out));
      else if (part == Part::weight)
        kernels::convolve_weight<T>(sizes, a, b, out_ptr<T>(out));
      else
        kernels::convolve<T>(sizes, a, b, bias, out_ptr<T>(out));
    });
  }
  Shape along_channels(const Tensor& numbers) const {
    Shape shape = numbers.shape();
    for (int d = 0; d < axes; ++d) shape.push_back(1);
    return shape;
  }
  unsigned saves() const { return save_input(0) | save_input(1); }
  TensorList backward(const Call& call) const {
    const Tensor& g = call.grad();
    const auto derivative = [&](Part p, const Tensor& a, const Tensor& b) {
      return apply(Convolve{p, axes, false, sizes}, a, b);
    };
    TensorList result(call.inputs(), Tensor());
    if (part == Part::weight) {
      if (call.needs(0)) result[0] = derivative(Part::x, call.input(1), g);
      if (call.needs(1)) result[1] = derivative(Part::y, call.input(0), g);
      return result;
    }
    const Part other = part == Part::x ? Part::y : Part::x;
    if (call.needs(0)) result[0] = derivative(other, g, call.input(1));
    if (call.needs(1))
      result[1] = part == Part::x ? derivative(Part::weight, g, call.input(0))
                                  : derivative(Part::weight, call.input(0), g);
    if (biased && call.needs(2)) {
      Axes others = 0;
      for (int d = 0; d < axes; ++d) others.push_back(d + 2);
      result[2] = sum(g, others);
    }
    return result;
  }
  TensorList jvp(const Call& call) const {
    const Tensor &a = call.tangent(0), &b = call.tangent(1);
    const Convolve plain{part, axes, false, sizes};
    Tensor t = biased ? call.tangent(2) : Tensor();
    if (a.defined())  // and that of the bias with it
      t = t.defined() ? apply(*this, a, call.input(1), t) : apply(plain, a, call.input(1));
    else if (t.defined())
      t = expand(reshape(t, along_channels(t)), call.output_spec().shape);
    if (!b.defined()) return {t};
    const Tensor of_b = apply(plain, call.input(0), b);
    return {t.defined() ? of_b + t : of_b};
  }
  TensorList batch(const internal::Batch& in) const {
    Convolve all = *this;
    if (part != Part::weight && !in.differs(1) && !(biased && in.differs(2))) {
      all.sizes.images *= in.samples();
      TensorList images{in.joined(0), in[1]};
      if (biased) images.push_back(in[2]);
      return {in.parted(in.call(all, images)[0], sizes.images)};
    }
    // Else the samples are groups of channels.
    const std::int64_t n = in.samples();
    if (n == 0) return {};
    all.sizes.groups *= n;
    const auto channels = [&](std::size_t i) {
      const Tensor t = movedim(in.whole(i), 0, 1);
      Shape s = t.shape();
      s[2] *= s[1];
      s.erase(s.begin() + 1);
      return reshape(t, s);
    };
    if (part == Part::weight)
      return {in.parted(apply(all, channels(0), channels(1)), in.output_shape()[0])};
    TensorList groups{channels(0), in.joined(1)};
    if (biased) groups.push_back(in.joined(2));
    const Tensor y = in.call(all, groups)[0];
    Shape s = y.shape();
    s[1] = in.output_shape()[1];
    s.insert(s.begin() + 1, n);
    return {movedim(reshape(y, s), 1, 0)};
  }
};

void check_operands(std::string_view op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                    int axes, std::int64_t groups) {
  internal::check_defined(op, x);
  internal::check_defined(op, weight, 1);
  internal::check_floating(op, x);
  internal::check_same_dtype(op, x, weight);
  if (bias.defined()) internal::check_same_dtype(op, x, bias);
  if (weight.ndim() != axes + 2)
    fail(op, "weight must have {} axes, got shape {}", axes + 2, weight.shape());
  for (int d = 0; d < axes; ++d)
    if (weight.size(d + 2) < 1 || weight.size(d + 2) > kLargestOption)
      fail(op, "the kernel must have sizes in [1, 2^31], got weight {}", weight.shape());
  if (groups < 1 || groups > kLargestOption)
    fail(op, "groups must be in [1, 2^31], got {}", groups);
  if (weight.size(0) % groups != 0)
    fail(op, "groups must divide the first size of the weight, got {} groups and weight {}", groups,
         weight.shape());
}

// A result of the operation, which `channels` may be added to.
Tensor with_bias(const Convolve& op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 std::int64_t channels, bool unbatched) {
  if (bias.defined() && bias.shape() != Shape{channels})
    fail(op.name(), "bias must have the shape {} of the channels, got {}", Shape{channels},
         bias.shape());
  const Tensor y = bias.defined() ? apply(op, x, weight, bias) : apply(op, x, weight);
  return unbatched ? squeeze(y, 0) : y;
}

// What is added before and after each axis.
struct Widths {
  Extents before{0, 0, 0}, after{0, 0, 0};
};

Widths widths_of(std::string_view op, const Padding& padding, int axes) {
  Widths result;
  const Integers& widths = padding.widths();
  if (const auto n = static_cast<std::size_t>(axes); widths.size() == 2 * n) {
    Integers before, after;
    for (std::size_t d = 0; d < n; ++d) {
      before.push_back(widths[2 * d]);
      after.push_back(widths[2 * d + 1]);
    }
    result.before = internal::per_axis(op, "padding", before, axes, 0, 0);
    result.after = internal::per_axis(op, "padding", after, axes, 0, 0);
  } else if (padding.name().empty()) {
    result.before = result.after = internal::per_axis(op, "padding", widths, axes, 0, 0);
  }
  return result;
}

// The same with "same" worked out: as many results as elements.
Widths widths_of(std::string_view op, const ConvOptions& options, int axes, const Extents& kernel) {
  if (options.padding.name() != "same") return widths_of(op, options.padding, axes);
  const Extents stride = internal::per_axis(op, "stride", options.stride, axes, 1),
                dilation = internal::per_axis(op, "dilation", options.dilation, axes, 1);
  Widths result;
  for (std::size_t d = 0; d < 3; ++d) {
    if (stride[d] != 1)
      fail(op, "padding same needs stride 1, got {}", fmt::join(options.stride, ", "));
    const std::int64_t reach = dilation[d] * (kernel[d] - 1);
    result.before[d] = reach / 2;
    result.after[d] = reach - reach / 2;
  }
  return result;
}

Tensor conv(int axes, const Tensor& x, const Tensor& weight, const Tensor& bias,
            const ConvOptions& options) {
  Convolve op{Part::y, axes, bias.defined(), {}};
  const std::string_view name = op.name();
  const detail::Named as(name);
  check_operands(name, x, weight, bias, axes, options.groups);
  bool unbatched;
  const Tensor batch = internal::with_batch(name, x, axes, unbatched);
  const std::int64_t channels = weight.size(1) * options.groups;
  if (batch.size(1) != channels)
    fail(name, "x must have {} channels for weight {} and {} groups, got shape {}", channels,
         weight.shape(), options.groups, x.shape());
  auto& s = op.sizes;
  s = {.images = batch.size(0),
       .groups = options.groups,
       .in_channels = weight.size(1),
       .out_channels = weight.size(0) / options.groups,
       .in = internal::spatial_sizes(batch.shape(), axes),
       .out = {1, 1, 1},
       .kernel = internal::spatial_sizes(weight.shape(), axes),
       .stride = internal::per_axis(name, "stride", options.stride, axes, 1),
       .dilation = internal::per_axis(name, "dilation", options.dilation, axes, 1),
       .before = {0, 0, 0}};
  const Widths widths = widths_of(name, options, axes, s.kernel);
  for (std::size_t d = 0; d < 3; ++d) {
    const std::int64_t reach = s.dilation[d] * (s.kernel[d] - 1);
    const std::int64_t room = s.in[d] + widths.before[d] + widths.after[d] - reach - 1;
    if (room < 0)
      fail(name,
           "the kernel must fit into the padded x, got weight {} for x {}, padding {}, dilation {}",
           weight.shape(), x.shape(), options.padding.str(), fmt::join(options.dilation, ", "));
    s.before[d] = widths.before[d];
    s.out[d] = room / s.stride[d] + 1;
  }
  return with_bias(op, batch, weight, bias, weight.size(0), unbatched);
}

Tensor conv_transpose(int axes, const Tensor& x, const Tensor& weight, const Tensor& bias,
                      const ConvTransposeOptions& options) {
  Convolve op{Part::x, axes, bias.defined(), {}};
  const std::string_view name = op.name();
  const detail::Named as(name);
  check_operands(name, x, weight, bias, axes, options.groups);
  bool unbatched;
  const Tensor batch = internal::with_batch(name, x, axes, unbatched);
  if (batch.size(1) != weight.size(0))
    fail(name, "x must have the {} channels of weight {}, got shape {}", weight.size(0),
         weight.shape(), x.shape());
  if (!options.padding.name().empty())
    fail(name, "padding must be numbers, got {}", options.padding.str());
  auto& s = op.sizes;
  s = {.images = batch.size(0),
       .groups = options.groups,
       .in_channels = weight.size(1),
       .out_channels = weight.size(0) / options.groups,
       .in = {1, 1, 1},
       .out = internal::spatial_sizes(batch.shape(), axes),
       .kernel = internal::spatial_sizes(weight.shape(), axes),
       .stride = internal::per_axis(name, "stride", options.stride, axes, 1),
       .dilation = internal::per_axis(name, "dilation", options.dilation, axes, 1),
       .before = {0, 0, 0}};
  const Widths widths = widths_of(name, options.padding, axes);
  const Extents more =
      internal::per_axis(name, "output_padding", options.output_padding, axes, 0, 0);
  s.before = widths.before;
  for (std::size_t d = 0; d < 3; ++d) {
    if (more[d] > 0 && more[d] >= std::max(s.stride[d], s.dilation[d]))
      fail(name, "output_padding must be less than stride or dilation, got {} for {} and {}",
           more[d], s.stride[d], s.dilation[d]);
    if (s.out[d] < 1 || s.out[d] > kLargestOption)
      fail(name, "x must have spatial sizes in [1, 2^31], got shape {}", x.shape());
    s.in[d] = (s.out[d] - 1) * s.stride[d] - widths.before[d] - widths.after[d] +
              s.dilation[d] * (s.kernel[d] - 1) + more[d] + 1;
    if (s.in[d] < 1)
      fail(name,
           "the result must have sizes of at least 1, got {} for x {}, weight {} and padding {}",
           s.in[d], x.shape(), weight.shape(), options.padding.str());
  }
  return with_bias(op, batch, weight, bias, weight.size(1) * options.groups, unbatched);
}

}  // namespace

Integers ConvOptions::padding_widths(std::string_view op, const Shape& weight) const {
  const int axes = static_cast<int>(weight.size()) - 2;
  const Widths widths = widths_of(op, *this, axes, internal::spatial_sizes(weight, axes));
  Integers result;
  for (std::size_t d = 3 - static_cast<std::size_t>(axes); d < 3; ++d) {
    result.push_back(widths.before[d]);
    result.push_back(widths.after[d]);
  }
  return result;
}

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  return conv(1, x, weight, bias, options);
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  return conv(2, x, weight, bias, options);
}
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  return conv(3, x, weight, bias, options);
}

Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return conv_transpose(1, x, weight, bias, options);
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return conv_transpose(2, x, weight, bias, options);
}
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return conv_transpose(3, x, weight, bias, options);
}

}  // namespace autograd
