#include "autograd/ops/neural/interpolate.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/resample.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/neural/internal/resample.hpp"
#include "autograd/ops/neural/internal/spatial.hpp"
#include "autograd/ops/neural/pooling.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd {

std::string_view name(InterpolateMode mode) {
  static constexpr std::string_view names[] = {"nearest", "nearest-exact", "linear", "bilinear",
                                               "bicubic", "trilinear",     "area"};
  return names[static_cast<std::size_t>(mode)];
}

namespace {

using internal::Between, internal::Resampling, internal::Taps;
using Mode = InterpolateMode;

// y from x along an axis of `width` numbers for each element; the lines are independent. `copies`:
// each element of y is one of x.
template <class T>
void resample(const Taps& taps, bool copies, std::int64_t lines, std::int64_t in,
              std::int64_t width, const T* x, T* y) {
  const detail::PooledVector<T> weights(taps.weights.begin(), taps.weights.end());
  const auto out = static_cast<std::int64_t>(taps.begins.size()) - 1;
  const double cost = 0.2 * static_cast<double>(width + 4) *
                      (1 + static_cast<double>(weights.size()) / static_cast<double>(out));
  parallel_for(lines * out, 1, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin / out; line * out < end; ++line)
      kernels::Resample<T>::here(x + line * in * width, taps.begins.data(), taps.places.data(),
                                 copies ? nullptr : weights.data(),
                                 std::max(begin - line * out, std::int64_t{0}),
                                 std::min(end - line * out, out), width, y + line * out * width);
  });
}

// One axis in another size, or the transpose of that: sums of what each element went to.
struct Interpolate {
  static constexpr bool kTotal = true;
  std::int64_t axis;
  bool transposed;
  Resampling line;
  XGRAD_ATTRIBUTES(axis, transposed, line)

  std::string_view name() const { return transposed ? "interpolate_transposed" : "interpolate"; }
  TensorSpec infer(const Inputs& in) const {
    Shape shape = in[0].shape();
    shape[static_cast<std::size_t>(axis)] = transposed ? line.in : line.out;
    shapes::check(name(), shape);
    return {shape, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (in[0].numel() == 0) return;
    const Taps there = internal::taps_of(line);
    const Taps& taps = transposed ? internal::transposed(there, line.in) : there;
    const bool nearest = line.between == Between::nearest || line.between == Between::nearest_exact;
    const std::int64_t size = in[0].size(axis);
    std::int64_t width = 1;
    for (std::int64_t d = axis + 1; d < in[0].ndim(); ++d) width *= in[0].size(d);
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      resample(taps, nearest && !transposed, in[0].numel() / (size * width), size, width,
               internal::in_ptr<T>(in[0]), internal::out_ptr<T>(out));
    });
  }
  TensorList backward(const Call& call) const {
    return {apply(Interpolate{axis, !transposed, line}, call.grad())};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    return in.call(Interpolate{axis + 1, transposed, line}, {in[0]});
  }
};

// The number of spatial axes that a mode is for; 0: any.
int axes_of(Mode mode) {
  switch (mode) {
    case Mode::linear:
      return 1;
    case Mode::bilinear:
    case Mode::bicubic:
      return 2;
    case Mode::trilinear:
      return 3;
    default:
      return 0;
  }
}

Between between(Mode mode) {
  return mode == Mode::nearest         ? Between::nearest
         : mode == Mode::nearest_exact ? Between::nearest_exact
         : mode == Mode::bicubic       ? Between::cubic
                                       : Between::linear;
}

void check_options(const Tensor& x, const InterpolateOptions& o) {
  constexpr std::string_view op = "interpolate";
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (x.ndim() < 3 || x.ndim() > 5)
    fail(op, "x must have 3, 4 or 5 axes (batch, channels, …), got shape {}", x.shape());
  const int axes = static_cast<int>(x.ndim()) - 2, only = axes_of(o.mode);
  if (only != 0 && only != axes)
    fail(op, "mode {} needs x of {} axes, got shape {}", name(o.mode), only + 2, x.shape());
  for (std::int64_t d = 2; d < x.ndim(); ++d)
    if (x.size(d) < 1 || x.size(d) > internal::kLargestOption)
      fail(op, "x must have spatial sizes in [1, 2^31], got shape {}", x.shape());
  if (o.size.empty() == o.scale_factor.empty())
    fail(op, "needs either size or scale_factor, got {}", o.size.empty() ? "neither" : "both");
  if (o.recompute_scale_factor && o.scale_factor.empty())
    fail(op, "recompute_scale_factor needs scale_factor, got size");
  if (o.align_corners && only == 0)
    fail(op, "align_corners is for linear, bilinear, bicubic and trilinear, got mode {}",
         name(o.mode));
  if (o.antialias && only != 2)
    fail(op, "antialias is for bilinear and bicubic, got mode {}", name(o.mode));
}

// How each axis is cut, the first spatial one first.
detail::PooledVector<Resampling> resamplings(const Tensor& x, const InterpolateOptions& o) {
  constexpr std::string_view op = "interpolate";
  const auto axes = static_cast<std::size_t>(x.ndim()) - 2;
  const ScaleFactors& factors = o.scale_factor;
  if (!factors.empty() && factors.size() != 1 && factors.size() != axes)
    fail(op, "scale_factor must be one number{}, got ({})",
         axes == 1 ? "" : fmt::format(" or {}, one for each axis", axes), fmt::join(factors, ", "));
  kernels::Extents sizes{};
  if (factors.empty()) sizes = internal::per_axis(op, "size", o.size, static_cast<int>(axes), 1);
  detail::PooledVector<Resampling> lines;
  for (std::size_t d = 0; d < axes; ++d) {
    Resampling line{between(o.mode), x.shape()[d + 2], sizes[3 - axes + d], 0,
                    o.align_corners, o.antialias};
    if (!factors.empty()) {
      const double factor = factors[factors.size() == 1 ? 0 : d],
                   size = factor * static_cast<double>(line.in);
      if (!(size >= 1 && size <= static_cast<double>(internal::kLargestOption)))
        fail(op, "scale_factor must give sizes in [1, 2^31], got {} for size {}", factor, line.in);
      line.out = static_cast<std::int64_t>(size);
      if (!o.recompute_scale_factor) line.factor = factor;
    }
    lines.push_back(line);
  }
  return lines;
}

Tensor area(const Tensor& x, const detail::PooledVector<Resampling>& lines) {
  Integers sizes;
  for (const Resampling& line : lines) sizes.push_back(line.out);
  return x.ndim() == 3   ? adaptive_avg_pool1d(x, sizes)
         : x.ndim() == 4 ? adaptive_avg_pool2d(x, sizes)
                         : adaptive_avg_pool3d(x, sizes);
}

}  // namespace

Tensor interpolate(const Tensor& x, const InterpolateOptions& options) {
  const detail::Named as("interpolate");
  check_options(x, options);
  const auto lines = resamplings(x, options);
  if (options.mode == Mode::area) return area(x, lines);
  Tensor y = x;
  const auto along = [&](std::size_t d) {
    y = apply(Interpolate{static_cast<std::int64_t>(d) + 2, false, lines[d]}, y);
  };
  // Along the last axis numbers are met one by one: that happens where there are fewer of them.
  const std::size_t last = lines.size() - 1;
  const bool grows = lines[last].out > lines[last].in;
  if (grows) along(last);
  for (std::size_t d = 0; d < last; ++d) along(d);
  if (!grows) along(last);
  return y;
}

}  // namespace autograd
