#include <algorithm>
#include <cmath>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

enum class Method { nearest, linear, cubic };
enum class Outside { zeros, border, reflection };

struct Sampler {
  Method method;
  Outside outside;
  bool align_corners;
};

// Elements from low to high mirrored at both ends, over and over.
Tensor reflected(const Tensor& x, double low, double high) {
  const double span = high - low;
  if (span <= 0) return x * 0;
  const Tensor away = ag::abs(x - low);
  const Tensor turns = ag::floor(away / span), rest = away - turns * span;
  return ag::where(ag::remainder(turns, 2) == 0, rest + low, high - rest);
}

struct Tap {
  Tensor index, weight, inside;  // of one axis, each (n, points); undefined: 1, everywhere
};

// An index that is moved to where there are elements.
Tap tap_at(const Sampler& s, const Tensor& at, const Tensor& weight, std::int64_t size) {
  const auto most = static_cast<double>(size - 1);
  Tap tap{at, weight, {}};
  if (s.outside == Outside::zeros) tap.inside = (at >= 0) & (at <= most);
  if (s.outside == Outside::reflection)
    tap.index = s.align_corners ? reflected(at, 0, most) : reflected(at, -0.5, most + 0.5);
  tap.index = ag::clamp(tap.index, 0, most).detach().to(ag::int64);
  return tap;
}

// The weights of four neighbours, the first one before x (Keys 1981, a = -0.75).
Tensor cubic_weight(const Tensor& t, int k) {
  constexpr double a = -0.75;
  const Tensor d = k == 0 ? t + 1 : k == 1 ? t : k == 2 ? 1 - t : 2 - t;
  if (k == 1 || k == 2) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

std::vector<Tap> taps_of(const Sampler& s, const Tensor& grid, std::int64_t size) {
  const auto n = static_cast<double>(size);
  Tensor x = s.align_corners ? (grid + 1) * ((n - 1) / 2) : ((grid + 1) * n - 1) / 2;
  if (s.method != Method::cubic && s.outside == Outside::border) x = ag::clamp(x, 0, n - 1);
  if (s.method != Method::cubic && s.outside == Outside::reflection)
    x = s.align_corners ? reflected(x, 0, n - 1) : ag::clamp(reflected(x, -0.5, n - 0.5), 0, n - 1);
  if (s.method == Method::nearest) return {tap_at(s, ag::round(x), {}, size)};
  const Tensor low = ag::floor(x), t = x - low.detach();
  if (s.method == Method::linear) return {tap_at(s, low, 1 - t, size), tap_at(s, low + 1, t, size)};
  std::vector<Tap> taps;
  for (int k = 0; k < 4; ++k)
    taps.push_back(tap_at(s, low + static_cast<double>(k - 1), cubic_weight(t, k), size));
  return taps;
}

// x (n, channels, …) at the points of a grid (n, …, axes), the last axis of x first.
Tensor sampled(const Sampler& s, const Tensor& x, const Tensor& grid) {
  const std::int64_t axes = x.ndim() - 2, batch = x.size(0), channels = x.size(1);
  if (axes < 1 || grid.ndim() != x.ndim() || grid.size(-1) != axes || grid.size(0) != batch)
    ag::fail("GridSample", "the grid must be (n, …, {}) for x of shape {}, got {}", axes, x.shape(),
             grid.shape());
  const Tensor points = ag::reshape(grid, {batch, -1, axes});
  std::vector<Tap> all{Tap{}};  // of all axes so far
  for (std::int64_t i = 0; i < axes; ++i) {
    const std::int64_t size = x.size(2 + i);
    std::vector<Tap> more;
    for (const Tap& a : all)
      for (const Tap& b : taps_of(s, ag::select(points, -1, axes - 1 - i), size)) {
        Tap both = b;
        if (a.index.defined()) both.index = a.index * static_cast<double>(size) + b.index;
        if (a.weight.defined()) both.weight = a.weight * b.weight;
        if (a.inside.defined()) both.inside = a.inside & b.inside;
        more.push_back(both);
      }
    all = std::move(more);
  }
  const Tensor flat = ag::reshape(x, {batch, channels, -1});
  Tensor y;
  for (const Tap& tap : all) {
    const Tensor index =
        ag::expand(ag::unsqueeze(tap.index, 1), {batch, channels, tap.index.size(1)});
    Tensor part = ag::gather(flat, 2, index);
    if (tap.inside.defined()) part = ag::where(ag::unsqueeze(tap.inside, 1), part, 0);
    if (tap.weight.defined()) part = part * ag::unsqueeze(tap.weight, 1);
    y = y.defined() ? y + part : part;
  }
  ag::Shape shape{batch, channels};
  for (std::int64_t i = 1; i <= axes; ++i) shape.push_back(grid.size(i));
  return ag::reshape(y, shape);
}

Run grid_sample(Node& node) {
  const Sampler s{
      choice<Method>(node, "mode", node.text("mode", node.opset < 20 ? "bilinear" : "linear"),
                     {{"nearest", Method::nearest},
                      {"bilinear", Method::linear},
                      {"linear", Method::linear},
                      {"bicubic", Method::cubic},
                      {"cubic", Method::cubic}}),
      choice<Outside>(node, "padding_mode", node.text("padding_mode", "zeros"),
                      {{"zeros", Outside::zeros},
                       {"border", Outside::border},
                       {"reflection", Outside::reflection}}),
      node.flag("align_corners")};
  return [s](const Call& call) { return one(sampled(s, call[0], call[1].to(call[0].dtype()))); };
}

// The places of `size` elements in [-1, 1]: their middles, or with the outer ones at the ends.
Tensor places(std::int64_t size, bool align_corners, ag::DType dtype) {
  const auto n = static_cast<double>(size);
  const double end = align_corners ? 1 : 1 - 1 / n;
  return ag::linspace(size == 1 && align_corners ? 0 : -end, end, size, dtype);
}

Run affine_grid(Node& node) {
  return [align = node.flag("align_corners")](const Call& call) {
    const Tensor& theta = call[0];
    const Integers sizes = call.integers(1);
    const auto axes = static_cast<std::int64_t>(sizes.size()) - 2;
    if (axes < 2 || axes > 3 || theta.ndim() != 3 || theta.size(1) != axes ||
        theta.size(2) != axes + 1)
      ag::fail("AffineGrid", "theta must be (n, {}, {}), got shape {}", axes, axes + 1,
               theta.shape());
    ag::TensorList lines;
    for (std::size_t i = 2; i < sizes.size(); ++i)
      lines.push_back(places(sizes[i], align, theta.dtype()));
    ag::TensorList grids = ag::meshgrid(lines);
    std::reverse(grids.begin(), grids.end());
    grids.push_back(ag::ones_like(grids[0]));
    const Tensor base = ag::reshape(ag::stack(grids, -1), {-1, axes + 1});
    ag::Shape shape{sizes[0]};
    for (std::size_t i = 2; i < sizes.size(); ++i) shape.push_back(sizes[i]);
    shape.push_back(axes);
    return one(ag::reshape(ag::matmul(base, ag::transpose(theta)), shape));
  };
}

constexpr Operator kOperators[] = {
    {"AffineGrid", affine_grid, 2, 2},
    {"GridSample", grid_sample, 2, 2},
};

}  // namespace

std::span<const Operator> sampling_operators() { return kOperators; }

}  // namespace nn::interpreter
