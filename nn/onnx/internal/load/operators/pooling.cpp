#include <algorithm>
#include <limits>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/windows.hpp"

namespace nn::interpreter {
namespace {

ag::Integers numbers(const Integers& values) { return axes_of(values); }

Windows pooling_windows(Node& node) {
  Windows w(node);
  if (w.kernel.empty()) node.refuse("attribute kernel_shape must be there");
  w = w.of(node.op, w.kernel);
  w.ceil = node.flag("ceil_mode");
  return w;
}

// Whether both ends are alike, as the poolings of autograd take them.
bool is_plain(const Windows& w, const Integers& pads) {
  for (std::size_t i = 0; i < w.axes(); ++i)
    if (pads[i] != pads[w.axes() + i] || pads[i] < 0 || 2 * pads[i] > w.kernel[i]) return false;
  return true;
}

// The width of what must stand around x so that whole windows are all that there are, last axis
// first.
ag::Integers widths_around(const Windows& w, const ag::Shape& x, const Integers& pads) {
  ag::Integers widths;
  for (std::size_t i = w.axes(); i-- > 0;) {
    const std::int64_t reach = (w.count(x, pads, i) - 1) * w.strides[i] + w.extent(i);
    widths.push_back(pads[i]);
    widths.push_back(reach - x[i] - pads[i]);
  }
  return widths;
}

ag::Shape checked(std::string_view op, const Windows& w, const Tensor& x, const Integers& pads) {
  const ag::Shape size = spatial(op, x);
  if (size.size() != w.axes())
    ag::fail(op, "x must have {} spatial axes, got shape {}", w.axes(), x.shape());
  for (std::size_t i = 0; i < w.axes(); ++i)
    if (w.count(size, pads, i) < 1)
      ag::fail(op, "a window must fit, got {} elements with {} and {} around them for {}", size[i],
               pads[i], pads[w.axes() + i], w.extent(i));
  return size;
}

template <class F>
auto by_axes(std::size_t axes, F one_axis, F two, F three) {
  return axes == 1 ? one_axis : axes == 2 ? two : three;
}

Integers pads_of(const Windows& w, std::string_view op, const Tensor& x) {
  const ag::Shape size = spatial(op, x);
  if (size.size() != w.axes())
    ag::fail(op, "x must have {} spatial axes, got shape {}", w.axes(), x.shape());
  return w.pads_for(size);
}

// ---------------------------------------------------------------- MaxPool

// Places in the spatial axes of x as places in the whole of x, in row-major order.
Tensor places_in_all(const Tensor& index, const ag::Shape& x) {
  std::int64_t inner = 1;
  for (std::size_t i = 2; i < x.size(); ++i) inner *= x[i];
  ag::Shape planes;
  planes.resize(x.size(), 1);
  planes[0] = x[0], planes[1] = x[1];
  return index + ag::reshape(ag::arange(x[0] * x[1]) * static_cast<double>(inner), planes);
}

// The same where x was widened, or the order is another; computed here, for there is no division of
// whole numbers.
Tensor places_in_all(const Tensor& index, const ag::Shape& wide, const ag::Shape& x,
                     const Integers& begin, bool columns_first) {
  const auto n = static_cast<std::int64_t>(begin.size());
  std::int64_t inner = 1;
  for (std::size_t i = 2; i < x.size(); ++i) inner *= x[i];
  Integers strides(begin.size());
  std::int64_t stride = 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto axis = static_cast<std::size_t>(columns_first ? i : n - 1 - i);
    strides[axis] = stride;
    stride *= x[axis + 2];
  }
  Integers places = integers_of(index);
  const std::int64_t each = std::max<std::int64_t>(
      index.numel() / std::max<std::int64_t>(index.size(0) * index.size(1), 1), 1);
  for (std::size_t k = 0; k < places.size(); ++k) {
    std::int64_t left = places[k], place = static_cast<std::int64_t>(k) / each * inner;
    for (std::int64_t i = n; i-- > 0;) {
      const auto axis = static_cast<std::size_t>(i);
      place += (left % wide[axis + 2] - begin[axis]) * strides[axis];
      left /= wide[axis + 2];
    }
    places[k] = place;
  }
  return host(places, index.shape());
}

Values max_pooled(const Call& call, const Windows& w, bool wants_places, bool columns_first) {
  // There are no kernels for whole numbers; float64 holds those of models.
  const bool whole = !ag::is_floating(call[0].dtype());
  Tensor x = whole ? call[0].to(ag::float64) : call[0];
  const Integers pads = pads_of(w, "MaxPool", x);
  const ag::Shape size = checked("MaxPool", w, x, pads), shape = x.shape();
  ag::MaxPoolOptions options{.stride = numbers(w.strides), .dilation = numbers(w.dilations)};
  Integers begin(w.axes());
  if (is_plain(w, pads)) {
    options.padding =
        numbers(Integers(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(w.axes())));
    options.ceil_mode = w.ceil;
  } else {
    begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(w.axes()));
    x = ag::pad(x, widths_around(w, size, pads), ag::PadMode::constant,
                -std::numeric_limits<double>::infinity());
  }
  if (!wants_places) {
    const auto f = by_axes(w.axes(), ag::max_pool1d, ag::max_pool2d, ag::max_pool3d);
    const Tensor y = f(x, numbers(w.kernel), options);
    return one(whole ? y.to(ag::int64) : y);
  }
  const auto f = by_axes(w.axes(), ag::max_pool1d_with_indices, ag::max_pool2d_with_indices,
                         ag::max_pool3d_with_indices);
  const auto [y, index] = f(x, numbers(w.kernel), options);
  const bool as_it_is = x.shape() == shape && !columns_first;
  return several(whole ? y.to(ag::int64) : y,
                 as_it_is ? places_in_all(index, shape)
                          : places_in_all(index, x.shape(), shape, begin, columns_first));
}

Run max_pool(Node& node) {
  const Windows w = pooling_windows(node);
  const bool columns = node.flag("storage_order");
  return [w, columns, places = node.wants(1)](const Call& call) {
    return max_pooled(call, w, places, columns);
  };
}

Run max_unpool(Node& node) {
  const Windows w = pooling_windows(node);
  return [w](const Call& call) {
    const Tensor& x = call[0];
    ag::Shape shape = x.shape();
    const ag::Shape size = spatial("MaxUnpool", x);
    if (size.size() != w.axes()) ag::fail("MaxUnpool", "x must have {} spatial axes", w.axes());
    for (std::size_t i = 0; i < w.axes(); ++i)
      shape[i + 2] = (size[i] - 1) * w.strides[i] - w.pads[i] - w.pads[w.axes() + i] + w.kernel[i];
    const ag::Shape natural = shape;
    if (call.has(2)) shape = shape_of(call.integers(2));
    if (shape.size() != x.shape().size())
      ag::fail("MaxUnpool", "output_shape must have {} sizes, got {}", x.ndim(), shape.size());
    if (shape[0] != x.size(0) || shape[1] != x.size(1))
      ag::fail("MaxUnpool", "output_shape must begin with ({}, {}), got {}", x.size(0), x.size(1),
               shape);
    Tensor y = ag::reshape(
        ag::scatter(ag::zeros({natural.numel()}, x.dtype()), 0, ag::ravel(call[1]), ag::ravel(x)),
        natural);
    ag::Integers widths;  // the places are those of the smaller result
    for (std::size_t i = shape.size(); i-- > 2;) {
      widths.push_back(0);
      widths.push_back(shape[i] - natural[i]);
    }
    return one(ag::pad(y, widths));
  };
}

// ---------------------------------------------------------------- sums

// The sum of each window of x, around which all that is missing is 0.
Tensor window_sums(const Tensor& x, const Windows& w, const ag::Integers& widths) {
  const Tensor wide = ag::pad(x, widths);
  ag::Shape lone = wide.shape(), kernel{1, 1};
  lone[0] *= lone[1];
  lone[1] = 1;
  for (const std::int64_t k : w.kernel) kernel.push_back(k);
  const auto f = by_axes(w.axes(), ag::conv1d, ag::conv2d, ag::conv3d);
  const Tensor sums = f(ag::reshape(wide, lone), ag::ones(kernel, x.dtype()), {},
                        {.stride = numbers(w.strides), .dilation = numbers(w.dilations)});
  ag::Shape shape = x.shape();
  for (std::size_t i = 0; i < w.axes(); ++i)
    shape[i + 2] = sums.size(static_cast<std::int64_t>(i) + 2);
  return ag::reshape(sums, shape);
}

// How many elements count in each window: those of x, or also the zeros that the node asks for.
Tensor counts(const Tensor& x, const Windows& w, const ag::Shape& size, const Integers& pads,
              bool with_pads) {
  ag::Shape lone{1, 1};
  for (const std::int64_t n : size) lone.push_back(n);
  Tensor all = ag::ones(lone, x.dtype());
  Integers inside = pads;
  ag::Shape wide = size;
  if (with_pads) {
    ag::Integers widths;
    for (std::size_t i = w.axes(); i-- > 0;) {
      widths.push_back(pads[i]);
      widths.push_back(pads[w.axes() + i]);
      wide[i] += pads[i] + pads[w.axes() + i];
      inside[i] = inside[w.axes() + i] = 0;
    }
    all = ag::pad(all, widths, ag::PadMode::constant, 1);
  }
  ag::Integers around = widths_around(w, size, pads);
  if (with_pads)
    for (std::size_t i = 0; i < w.axes(); ++i) {
      around[2 * i] = 0;
      around[2 * i + 1] -= pads[2 * w.axes() - 1 - i];
    }
  return window_sums(all, w, around);
}

Run average_pool(Node& node) {
  const Windows w = pooling_windows(node);
  const bool with_pads = node.flag("count_include_pad");
  return [w, with_pads](const Call& call) {
    const Tensor& x = call[0];
    const Integers pads = pads_of(w, "AveragePool", x);
    const ag::Shape size = checked("AveragePool", w, x, pads);
    const bool gaps =
        std::any_of(w.dilations.begin(), w.dilations.end(), [](auto d) { return d != 1; });
    if (is_plain(w, pads) && !w.ceil && !gaps) {
      const auto f = by_axes(w.axes(), ag::avg_pool1d, ag::avg_pool2d, ag::avg_pool3d);
      const auto half = pads.begin() + static_cast<std::ptrdiff_t>(w.axes());
      return one(f(x, numbers(w.kernel),
                   {.stride = numbers(w.strides),
                    .padding = numbers(Integers(pads.begin(), half)),
                    .count_include_pad = with_pads}));
    }
    return one(window_sums(x, w, widths_around(w, size, pads)) /
               counts(x, w, size, pads, with_pads));
  };
}

Run lp_pool(Node& node) {
  const Windows w = pooling_windows(node);
  const double p = static_cast<double>(node.integer("p", 2));
  return [w, p](const Call& call) {
    const Tensor& x = call[0];
    const Integers pads = pads_of(w, "LpPool", x);
    const ag::Shape size = checked("LpPool", w, x, pads);
    const Tensor sums = window_sums(ag::pow(ag::abs(x), p), w, widths_around(w, size, pads));
    return one(ag::pow(sums, 1 / p));
  };
}

// ---------------------------------------------------------------- whole images

template <class F>
Run whole(std::string_view op, F f) {
  return unary([op, f](const Tensor& x) {
    if (x.ndim() < 3) ag::fail(op, "x must have spatial axes, got shape {}", x.shape());
    ag::Axes axes;
    for (std::int64_t i = 2; i < x.ndim(); ++i) axes.push_back(i);
    return f(x, axes);
  });
}
Run global_average(Node&) {
  return whole("GlobalAveragePool", [](auto& x, auto& axes) { return ag::mean(x, axes, true); });
}
Run global_max(Node&) {
  return whole("GlobalMaxPool", [](auto& x, auto& axes) { return ag::amax(x, axes, true); });
}
Run global_lp(Node& node) {
  const double p = static_cast<double>(node.integer("p", 2));
  return whole("GlobalLpPool", [p](auto& x, auto& axes) { return ag::norm(x, p, axes, true); });
}

constexpr Operator kOperators[] = {
    {"AveragePool", average_pool, 1, 1}, {"GlobalAveragePool", global_average, 1, 1},
    {"GlobalLpPool", global_lp, 1, 1},   {"GlobalMaxPool", global_max, 1, 1},
    {"LpPool", lp_pool, 1, 1},           {"MaxPool", max_pool, 1, 1},
    {"MaxUnpool", max_unpool, 2, 3},
};

}  // namespace

std::span<const Operator> pooling_operators() { return kOperators; }

}  // namespace nn::interpreter
