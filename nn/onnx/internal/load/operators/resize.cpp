#include <algorithm>
#include <cmath>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

enum class Method { nearest, linear, cubic };
enum class Places {
  half_pixel,
  half_pixel_symmetric,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  tf_half_pixel_for_nn,
  tf_crop_and_resize
};
enum class Nearest { round_prefer_floor, round_prefer_ceil, floor, ceil };
enum class Policy { stretch, not_larger, not_smaller };

struct ResizeNode {
  Method method = Method::nearest;
  Places places = Places::asymmetric;
  Nearest nearest = Nearest::floor;
  Policy policy = Policy::stretch;
  double a = -0.75, outside = 0;
  bool antialias = false, exclude_outside = false;
  Integers axes{};
};

// One axis: its sizes, and the part of it that is taken.
struct Line {
  std::int64_t axis, in, out;
  double scale, start = 0, end = 1;
};

// Where element i of the result stands in x.
double place_of(const ResizeNode& node, const Line& l, std::int64_t i) {
  const auto x = static_cast<double>(i), in = static_cast<double>(l.in),
             out = static_cast<double>(l.out);
  const double middle = (x + 0.5) / l.scale - 0.5;
  switch (node.places) {
    case Places::half_pixel:
      return middle;
    case Places::half_pixel_symmetric: {
      const double adjustment = out / (l.scale * in);
      return in / 2 * (1 - adjustment) + middle;
    }
    case Places::pytorch_half_pixel:
      return l.out > 1 ? middle : 0;
    case Places::align_corners:
      return l.out > 1 ? x * (in - 1) / (out - 1) : 0;
    case Places::asymmetric:
      return x / l.scale;
    case Places::tf_half_pixel_for_nn:
      return middle + 0.5;
    default:
      return l.out > 1 ? l.start * (in - 1) + x * (l.end - l.start) * (in - 1) / (out - 1)
                       : 0.5 * (l.start + l.end) * (in - 1);
  }
}

std::int64_t nearest_to(const ResizeNode& node, double x) {
  switch (node.nearest) {
    case Nearest::round_prefer_floor:
      return static_cast<std::int64_t>(std::ceil(x - 0.5));
    case Nearest::round_prefer_ceil:
      return static_cast<std::int64_t>(std::floor(x + 0.5));
    case Nearest::floor:
      return static_cast<std::int64_t>(std::floor(x));
    default:
      return static_cast<std::int64_t>(std::ceil(x));
  }
}

// The weight of an element at this distance (Keys 1981 for the cubic one).
double weight(const ResizeNode& node, double distance) {
  const double t = std::abs(distance), a = node.a;
  if (node.method == Method::linear) return std::max(0.0, 1 - t);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

// The matrix (out, in) that makes an axis of the other size. Antialiased, a smaller result weighs
// all that each of its elements covers.
std::vector<double> matrix_of(const ResizeNode& node, const Line& l) {
  std::vector<double> m(static_cast<std::size_t>(l.out * l.in));
  const double narrowing = node.antialias ? std::min(l.scale, 1.0) : 1.0;
  const double reach = (node.method == Method::linear ? 1 : 2) / narrowing;
  for (std::int64_t i = 0; i < l.out; ++i) {
    const double x = place_of(node, l, i);
    double* row = m.data() + i * l.in;
    double total = 0;
    for (auto j = static_cast<std::int64_t>(std::floor(x - reach));
         static_cast<double>(j) <= x + reach; ++j) {
      const bool inside = j >= 0 && j < l.in;
      const double w = inside || !node.exclude_outside
                           ? weight(node, (static_cast<double>(j) - x) * narrowing)
                           : 0;
      row[std::clamp<std::int64_t>(j, 0, l.in - 1)] += w;
      total += w;
    }
    if (node.antialias || node.exclude_outside)
      for (std::int64_t j = 0; j < l.in; ++j) row[j] /= total;
  }
  return m;
}

Tensor resized(const ResizeNode& node, const Tensor& x, const Line& l) {
  if (node.method == Method::nearest) {
    Integers index;
    for (std::int64_t i = 0; i < l.out; ++i)
      index.push_back(
          std::clamp<std::int64_t>(nearest_to(node, place_of(node, l, i)), 0, l.in - 1));
    return ag::index_select(x, l.axis, host(index));
  }
  const Tensor m = host(matrix_of(node, l), {l.out, l.in}, x.dtype());
  if (l.axis == x.ndim() - 1) return ag::linear(x, m);
  return ag::movedim(ag::linear(ag::movedim(x, l.axis, -1), m), -1, l.axis);
}

// What of the crop lies outside of x is one value.
Tensor with_outside(const ResizeNode& node, const Tensor& y, const Line& l) {
  std::vector<bool> out;
  for (std::int64_t i = 0; i < l.out; ++i) {
    const double x = place_of(node, l, i);
    out.push_back(x < 0 || x > static_cast<double>(l.in - 1));
  }
  ag::Shape shape(l.out);
  for (std::int64_t i = l.axis + 1; i < y.ndim(); ++i) shape.push_back(1);
  return ag::where(host(out, shape), node.outside, y);
}

Tensor resized(const ResizeNode& node, Tensor x, const std::vector<Line>& lines) {
  for (const Line& l : lines) {
    if (l.in < 1 || l.out < 0 || l.out > (1 << 24))
      ag::fail("Resize", "sizes must be at least 1 and at most 2^24, got {} and {}", l.in, l.out);
    if (l.in == l.out && l.scale == 1 && node.places != Places::tf_crop_and_resize) continue;
    x = resized(node, x, l);
    if (node.places == Places::tf_crop_and_resize) x = with_outside(node, x, l);
  }
  return x;
}

// ---------------------------------------------------------------- sizes

struct Wanted {
  std::vector<double> scales, roi;
  Integers sizes;
};

std::int64_t size_at(double scale, double in) {
  const double out = std::floor(in * scale);
  return out >= 0 && out < 1e9 ? static_cast<std::int64_t>(out) : -1;
}

std::vector<Line> lines_of(const ResizeNode& node, const ag::Shape& shape, Wanted wanted) {
  Integers axes = node.axes;
  if (axes.empty())
    for (std::int64_t i = 0; i < shape.ndim(); ++i) axes.push_back(i);
  const std::size_t n = axes.size();
  if (wanted.scales.size() + wanted.sizes.size() != n)
    ag::fail("Resize", "either scales or sizes must be for {} axes, got {} and {}", n,
             wanted.scales.size(), wanted.sizes.size());
  std::vector<Line> lines;
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t axis = axis_in("Resize", axes[i], shape.ndim());
    Line l{.axis = axis, .in = shape[static_cast<std::size_t>(axis)], .out = 0, .scale = 1};
    const auto in = static_cast<double>(l.in);
    if (node.places == Places::tf_crop_and_resize) {
      if (wanted.roi.size() != 2 * n)
        ag::fail("Resize", "roi must have {} numbers, got {}", 2 * n, wanted.roi.size());
      l.start = wanted.roi[i], l.end = wanted.roi[n + i];
    }
    l.scale = wanted.scales.empty() ? static_cast<double>(wanted.sizes[i]) / in : wanted.scales[i];
    l.out = wanted.scales.empty()
                ? wanted.sizes[i]
                : size_at(l.scale,
                          node.places == Places::tf_crop_and_resize ? in * (l.end - l.start) : in);
    lines.push_back(l);
  }
  if (node.policy == Policy::stretch || wanted.sizes.empty()) return lines;
  double scale = lines[0].scale;
  for (const Line& l : lines)
    scale = node.policy == Policy::not_larger ? std::min(scale, l.scale) : std::max(scale, l.scale);
  for (Line& l : lines) {
    l.scale = scale;
    l.out = static_cast<std::int64_t>(std::floor(scale * static_cast<double>(l.in) + 0.5));
  }
  return lines;
}

// ---------------------------------------------------------------- nodes

Method method_of(Node& node) {
  using enum Method;
  return choice<Method>(
      node, "mode", node.text("mode", "nearest"),
      {{"nearest", nearest}, {"linear", linear}, {"bilinear", linear}, {"cubic", cubic}});
}

Places places_of(Node& node) {
  if (node.opset < 11) return Places::asymmetric;
  using enum Places;
  return choice<Places>(node, "coordinate_transformation_mode",
                        node.text("coordinate_transformation_mode", "half_pixel"),
                        {{"half_pixel", half_pixel},
                         {"half_pixel_symmetric", half_pixel_symmetric},
                         {"pytorch_half_pixel", pytorch_half_pixel},
                         {"align_corners", align_corners},
                         {"asymmetric", asymmetric},
                         {"tf_half_pixel_for_nn", tf_half_pixel_for_nn},
                         {"tf_crop_and_resize", tf_crop_and_resize}});
}

ResizeNode parse(Node& node) {
  ResizeNode r{.method = method_of(node), .places = places_of(node)};
  if (node.opset >= 11) {
    using enum Nearest;
    r.nearest =
        choice<Nearest>(node, "nearest_mode", node.text("nearest_mode", "round_prefer_floor"),
                        {{"round_prefer_floor", round_prefer_floor},
                         {"round_prefer_ceil", round_prefer_ceil},
                         {"floor", floor},
                         {"ceil", ceil}});
  }
  r.a = node.number("cubic_coeff_a", -0.75);
  r.outside = node.number("extrapolation_value", 0);
  r.antialias = node.flag("antialias");
  r.exclude_outside = node.flag("exclude_outside");
  r.axes = node.integers("axes").value_or(Integers());
  r.policy = choice<Policy>(node, "keep_aspect_ratio_policy",
                            node.text("keep_aspect_ratio_policy", "stretch"),
                            {{"stretch", Policy::stretch},
                             {"not_larger", Policy::not_larger},
                             {"not_smaller", Policy::not_smaller}});
  return r;
}

// An input of no elements stands for none.
bool given(const Call& call, std::size_t i) { return call.has(i) && call[i].numel() > 0; }

Run resize(Node& node) {
  return [r = parse(node),
          scales = node.opset < 11 ? std::size_t{1} : std::size_t{2}](const Call& call) {
    Wanted wanted;
    if (given(call, scales)) wanted.scales = call.numbers(scales);
    if (scales == 2 && given(call, 1)) wanted.roi = call.numbers(1);
    if (scales == 2 && given(call, 3)) wanted.sizes = call.integers(3);
    return one(resized(r, call[0], lines_of(r, call[0].shape(), wanted)));
  };
}

Run upsample(Node& node) {
  const ResizeNode r{.method = method_of(node)};
  const auto fixed = node.opset < 9 ? node.numbers("scales") : std::nullopt;
  if (node.opset < 9 && !fixed) node.refuse("attribute scales must be there");
  return [r, fixed](const Call& call) {
    const Wanted wanted{.scales = fixed ? *fixed : call.numbers(1), .roi = {}, .sizes = {}};
    return one(resized(r, call[0], lines_of(r, call[0].shape(), wanted)));
  };
}

constexpr Operator kOperators[] = {
    {"Resize", resize, 1, 4},
    {"Upsample", upsample, 1, 2},
};

}  // namespace

std::span<const Operator> resize_operators() { return kOperators; }

}  // namespace nn::interpreter
