#include "nn/layers/convolution.hpp"

#include <fmt/format.h>

#include "autograd/ops/ops.hpp"
#include "nn/module/init.hpp"

namespace nn::detail {
namespace {

constexpr std::string_view kConv[] = {"conv1d", "conv2d", "conv3d"},
                           kTranspose[] = {"conv_transpose1d", "conv_transpose2d",
                                           "conv_transpose3d"},
                           kModes[] = {"zeros", "reflect", "replicate", "circular"};

// One number for each axis.
ag::Integers for_axes(const ag::Integers& numbers, int axes) {
  if (numbers.size() != 1) return numbers;
  ag::Integers all;
  for (int d = 0; d < axes; ++d) all.push_back(numbers[0]);
  return all;
}

// As a Python tuple.
std::string tuple(const ag::Integers& numbers) {
  return ag::Shape(numbers.begin(), numbers.end()).str();
}

bool all_are(const ag::Integers& numbers, std::int64_t value) {
  for (const auto n : numbers)
    if (n != value) return false;
  return true;
}

}  // namespace

ConvBase::ConvBase(std::string_view op, int axes, std::int64_t in_channels,
                   std::int64_t out_channels, const ag::Integers& kernel_size, std::int64_t groups,
                   bool with_bias, bool transposed)
    : axes_(axes), in_channels_(in_channels), out_channels_(out_channels) {
  if (in_channels < 1 || out_channels < 1)
    ag::fail(op, "in_channels and out_channels must be at least 1, got {} and {}", in_channels,
             out_channels);
  if (groups < 1 || in_channels % groups != 0 || out_channels % groups != 0)
    ag::fail(op, "groups must divide in_channels and out_channels, got {} for {} and {}", groups,
             in_channels, out_channels);
  const ag::Integers kernel = for_axes(kernel_size, axes);
  if (kernel.size() != static_cast<std::size_t>(axes))
    ag::fail(op, "kernel_size must be one number{}, got {}",
             axes == 1 ? "" : fmt::format(" or {}, one for each axis", axes), tuple(kernel));
  ag::Shape shape{transposed ? in_channels : out_channels,
                  (transposed ? out_channels : in_channels) / groups};
  for (const auto n : kernel) {
    if (n < 1) ag::fail(op, "kernel_size must be at least 1, got {}", tuple(kernel));
    shape.push_back(n);
  }
  weight = Parameter(ag::empty(shape));
  if (with_bias) bias = Parameter(ag::empty({out_channels}));
  reset_parameters();
}

void ConvBase::reset_parameters() { reset_affine(weight, bias); }

std::string ConvBase::repr_of(const ag::Integers& stride, const ag::Padding& padding,
                              const ag::Integers& dilation, const ag::Integers& output_padding,
                              std::int64_t groups) const {
  const auto all = [&](const ag::Integers& numbers) { return tuple(for_axes(numbers, axes_)); };
  const ag::Shape& shape = weight.shape();
  std::string text = fmt::format("{}, {}, kernel_size={}, stride={}", in_channels_, out_channels_,
                                 ag::Shape(shape.begin() + 2, shape.end()).str(), all(stride));
  if (!padding.name().empty())
    text += fmt::format(", padding={}", padding.name());
  else if (!all_are(padding.widths(), 0))
    text += ", padding=" + all(padding.widths());
  if (!all_are(dilation, 1)) text += ", dilation=" + all(dilation);
  if (!all_are(output_padding, 0)) text += ", output_padding=" + all(output_padding);
  if (groups != 1) text += fmt::format(", groups={}", groups);
  if (!bias.defined()) text += ", bias=False";
  return text;
}

Conv::Conv(int axes, std::int64_t in_channels, std::int64_t out_channels,
           const ag::Integers& kernel_size, const ConvOptions& options)
    : ConvBase(kConv[axes - 1], axes, in_channels, out_channels, kernel_size, options.groups,
               options.bias, false),
      options_(options) {
  if (options.padding_mode == PaddingMode::zeros) return;
  ag::ConvOptions all = operation_options();
  all.stride = for_axes(options.stride, axes);
  const ag::Integers widths = all.padding_widths(kConv[axes - 1], weight.shape());
  for (std::size_t d = widths.size(); d > 0; d -= 2) {  // `pad` begins with the last axis
    around_.push_back(widths[d - 2]);
    around_.push_back(widths[d - 1]);
  }
}

ag::ConvOptions Conv::operation_options() const {
  return {options_.stride, options_.padding, options_.dilation, options_.groups};
}

ag::Tensor Conv::forward_with(const ag::Tensor& x, const ag::Tensor& w, const ag::Tensor& b) const {
  const auto conv = axes_ == 1 ? ag::conv1d : axes_ == 2 ? ag::conv2d : ag::conv3d;
  ag::ConvOptions options = operation_options();
  if (around_.empty()) return conv(x, w, b, options);
  options.padding = 0;
  constexpr ag::PadMode modes[] = {ag::PadMode::constant, ag::PadMode::reflect,
                                   ag::PadMode::replicate, ag::PadMode::circular};
  return conv(ag::pad(x, around_, modes[static_cast<int>(options_.padding_mode)]), w, b, options);
}

std::string Conv::extra_repr() const {
  std::string text =
      repr_of(options_.stride, options_.padding, options_.dilation, 0, options_.groups);
  if (options_.padding_mode != PaddingMode::zeros)
    text += fmt::format(", padding_mode={}", kModes[static_cast<int>(options_.padding_mode)]);
  return text;
}

ConvTranspose::ConvTranspose(int axes, std::int64_t in_channels, std::int64_t out_channels,
                             const ag::Integers& kernel_size, const ConvTransposeOptions& options)
    : ConvBase(kTranspose[axes - 1], axes, in_channels, out_channels, kernel_size, options.groups,
               options.bias, true),
      options_(options) {}

ag::Tensor ConvTranspose::forward(const ag::Tensor& x, const ag::Integers& output_size) const {
  const std::string_view op = kTranspose[axes_ - 1];
  const ag::Integers sizes = for_axes(output_size, axes_),
                     stride = for_axes(options_.stride, axes_),
                     dilation = for_axes(options_.dilation, axes_);
  ag::Integers padding = for_axes(options_.padding.widths(), axes_), more;
  const auto axes = static_cast<std::size_t>(axes_);
  if (sizes.size() != axes || x.ndim() < axes_ + 1)
    ag::fail(op, "output_size must be one number for each of {} spatial axes, got {} for shape {}",
             axes, tuple(sizes), x.shape());
  const std::size_t sides = padding.size() == 2 * axes ? 2 : 1;
  for (std::size_t d = 0; d < axes; ++d) {
    // In float64, which no sum of options leaves.
    const auto axis = static_cast<std::int64_t>(d) - axes_;
    const auto number = [](std::int64_t n) { return static_cast<double>(n); };
    const double cut = number(padding[d * sides]) + number(padding[d * sides + sides - 1]);
    const double least = (number(x.size(axis)) - 1) * number(stride[d]) - cut +
                         number(dilation[d]) * (number(weight.size(axis)) - 1) + 1;
    const double rest = number(sizes[d]) - least;
    if (!(rest >= 0 && rest < number(stride[d])))
      ag::fail(op, "output_size must be in [{:.0f}, {:.0f}] along axis {}, got {}", least,
               least + number(stride[d]) - 1, axis, sizes[d]);
    more.push_back(static_cast<std::int64_t>(rest));
  }
  return run(x, weight, bias, more);
}

ag::Tensor ConvTranspose::forward_with(const ag::Tensor& x, const ag::Tensor& w,
                                       const ag::Tensor& b) const {
  return run(x, w, b, options_.output_padding);
}

ag::Tensor ConvTranspose::run(const ag::Tensor& x, const ag::Tensor& w, const ag::Tensor& b,
                              const ag::Integers& output_padding) const {
  const auto conv = axes_ == 1   ? ag::conv_transpose1d
                    : axes_ == 2 ? ag::conv_transpose2d
                                 : ag::conv_transpose3d;
  return conv(x, w, b,
              {.stride = options_.stride,
               .padding = options_.padding,
               .output_padding = output_padding,
               .groups = options_.groups,
               .dilation = options_.dilation});
}

std::string ConvTranspose::extra_repr() const {
  return repr_of(options_.stride, options_.padding, options_.dilation, options_.output_padding,
                 options_.groups);
}

}  // namespace nn::detail
