#include "autograd/ops/neural/interpolate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops/neural/fold.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

using Mode = ag::InterpolateMode;

double hat(double x) { return std::max(0.0, 1 - std::abs(x)); }

double keys(double x, double a) {
  x = std::abs(x);
  return x < 1   ? (a + 2) * x * x * x - (a + 3) * x * x + 1
         : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                 : 0;
}

// What element j of `in` weighs in element i of `out`, by the definitions.
double weight(const ag::InterpolateOptions& o, double in, double out, double factor, double i,
              double j) {
  const double step = o.align_corners ? (out > 1 ? (in - 1) / (out - 1) : 0)
                      : factor > 0    ? 1 / factor
                                      : in / out;
  if (o.mode == Mode::nearest) return j == std::min(std::floor(i * step + 1e-9), in - 1);
  if (o.mode == Mode::nearest_exact) return j == std::min(std::floor((i + 0.5) * step), in - 1);
  if (o.mode == Mode::area)
    return j >= std::floor(i * in / out) && j < std::ceil((i + 1) * in / out)
               ? 1 / (std::ceil((i + 1) * in / out) - std::floor(i * in / out))
               : 0.0;
  const bool cubic = o.mode == Mode::bicubic;
  if (o.antialias) {
    const double wide = std::max(step, 1.0);
    double own = 0, sum = 0;
    for (double k = 0; k < in; ++k) {
      const double x = (k + 0.5 - (i + 0.5) * step) / wide, w = cubic ? keys(x, -0.5) : hat(x);
      sum += w;
      if (k == j) own = w;
    }
    return own / sum;
  }
  const double place = o.align_corners ? i * step : (i + 0.5) * step - 0.5;
  if (!cubic) return hat(std::clamp(place, 0.0, in - 1) - j);
  double sum = 0;
  for (double k = std::floor(place) - 1; k <= std::floor(place) + 2; ++k)
    if (std::clamp(k, 0.0, in - 1) == j) sum += keys(place - k, -0.75);
  return sum;
}

// Σ x · the product of the weights along the axes.
Sample resampled(const std::string& text, const Shape& shape, const ag::InterpolateOptions& o) {
  Sample s = one(fmt::format("{}, {} {}", shape, name(o.mode), text), draw(shape, -2, 2),
                 [o](const Tensor& x) { return ag::interpolate(x, o); });
  const Shape out = s.call(s.inputs).shape();
  const auto factor = [=](std::size_t d) {
    const auto& f = o.scale_factor;
    if (f.empty() || o.recompute_scale_factor || o.mode == Mode::area) return 0.0;
    return f.size() == 1 ? f[0] : f[d];
  };
  s.naive = loop(out, [=](const Place& at, const TensorList& in) {
    double sum = 0;
    const std::int64_t plane = in[0].numel() / (in[0].size(0) * in[0].size(1));
    for (std::int64_t k = 0; k < plane; ++k) {
      Place from = at;
      double w = 1;
      std::int64_t rest = k;
      for (std::size_t d = shape.size(); d-- > 2; rest /= shape[d]) {
        from[d] = rest % shape[d];
        w *= weight(o, static_cast<double>(shape[d]), static_cast<double>(out[d]), factor(d - 2),
                    static_cast<double>(at[d]), static_cast<double>(from[d]));
      }
      if (w != 0) sum += w * element(in[0], from);
    }
    return sum;
  });
  return s;
}

void add_interpolate(std::vector<Row>& rows) {
  Row row{"interpolate", {}};
  auto& s = row.samples;
  for (const Mode mode : {Mode::nearest, Mode::nearest_exact, Mode::area}) {
    s.push_back(resampled("7", {2, 1, 4}, {.size = 7, .mode = mode}));
    s.push_back(resampled("by 0.7", {1, 2, 7}, {.scale_factor = 0.7, .mode = mode}));
    s.push_back(resampled("2 9", {1, 2, 5, 4}, {.size = {2, 9}, .mode = mode}));
    s.push_back(
        resampled("by 2 1.5 0.5", {1, 1, 2, 3, 4}, {.scale_factor = {2, 1.5, 0.5}, .mode = mode}));
  }
  for (const bool align : {false, true}) {
    const std::string text = align ? "aligned" : "";
    s.push_back(resampled("9 " + text, {2, 2, 4},
                          {.size = 9, .mode = Mode::linear, .align_corners = align}));
    s.push_back(resampled(
        "by 2 0.6 1.3 " + text, {1, 1, 2, 5, 3},
        {.scale_factor = {2, 0.6, 1.3}, .mode = Mode::trilinear, .align_corners = align}));
    for (const Mode mode : {Mode::bilinear, Mode::bicubic})
      for (const bool antialias : {false, true}) {
        ag::InterpolateOptions o{.size = {3, 8}, .mode = mode, .align_corners = align};
        o.antialias = antialias;
        s.push_back(resampled(text + (antialias ? " antialias" : ""), {1, 2, 7, 5}, o));
        o.size = {1, 5};
        s.push_back(resampled("one row " + text, {2, 1, 4, 5}, o));
        o.size = {};
        o.scale_factor = {0.45, 1.7};
        s.push_back(resampled("by factors " + text, {1, 1, 7, 4}, o));
        o.recompute_scale_factor = true;
        s.push_back(resampled("by factors of sizes " + text, {1, 1, 7, 4}, o));
      }
  }
  s.push_back(one("empty", ag::zeros({0, 2, 3}, ag::float64),
                  [](const Tensor& x) { return ag::interpolate(x, {.size = 2}); }));
  const auto refused = [&](const Shape& shape, const ag::InterpolateOptions& o,
                           const std::string& text) {
    row.mistakes.push_back(
        {[=] { return ag::interpolate(ag::ones(shape), o); }, "interpolate: " + text});
  };
  refused({2, 3}, {.size = 2}, "x must have 3, 4 or 5 axes (batch, channels, …), got shape (2, 3)");
  refused({1, 1, 3}, {.size = 2, .mode = Mode::bilinear},
          "mode bilinear needs x of 4 axes, got shape (1, 1, 3)");
  refused({1, 1, 0}, {.size = 2}, "x must have spatial sizes in [1, 2^31], got shape (1, 1, 0)");
  refused({1, 1, 3}, {}, "needs either size or scale_factor, got neither");
  refused({1, 1, 3}, {.size = 2, .scale_factor = 2}, "needs either size or scale_factor, got both");
  refused({1, 1, 3}, {.size = 2, .recompute_scale_factor = true},
          "recompute_scale_factor needs scale_factor, got size");
  refused({1, 1, 3}, {.size = 2, .align_corners = true},
          "align_corners is for linear, bilinear, bicubic and trilinear, got mode nearest");
  refused({1, 1, 3}, {.size = 2, .mode = Mode::linear, .antialias = true},
          "antialias is for bilinear and bicubic, got mode linear");
  refused({1, 1, 3, 3}, {.scale_factor = {1, 2, 3}},
          "scale_factor must be one number or 2, one for each axis, got (1, 2, 3)");
  refused({1, 1, 3}, {.scale_factor = 0.2},
          "scale_factor must give sizes in [1, 2^31], got 0.2 for size 3");
  refused({1, 1, 3}, {.scale_factor = -1.0}, "scale_factor must give sizes in [1, 2^31], got -1");
  refused({1, 1, 3}, {.size = 0}, "size must be in [1, 2^31], got 0");
  rows.push_back(row);
}

// Where element (a, b) of window w stands in an image, by options; outside of it too.
struct Window {
  std::int64_t kernel[2], dilation[2], padding[2], stride[2], columns;  // windows in a row
  std::int64_t row(std::int64_t a, std::int64_t w) const {
    return w / columns * stride[0] + a * dilation[0] - padding[0];
  }
  std::int64_t column(std::int64_t b, std::int64_t w) const {
    return w % columns * stride[1] + b * dilation[1] - padding[1];
  }
};

void add_folds(std::vector<Row>& rows) {
  const ag::FoldOptions o{.dilation = {1, 2}, .padding = {1, 0}, .stride = {2, 1}};
  const Window w{{2, 3}, {1, 2}, {1, 0}, {2, 1}, 2};  // of images of 4 x 6: 3 x 2 windows
  Row columns{"im2col", {}}, images{"fold", {}};
  Sample s = one("(2, 2, 4, 6), dilation 1 2, padding 1 0, stride 2 1", draw({2, 2, 4, 6}, -2, 2),
                 [o](const Tensor& x) {
                   return ag::im2col(x, {2, 3}, o);
                 });
  s.naive = loop({2, 12, 6}, [w](const Place& at, const TensorList& in) {
    const std::int64_t i = w.row(at[1] % 6 / 3, at[2]), j = w.column(at[1] % 3, at[2]);
    return i < 0 || i >= 4 || j < 0 || j >= 6 ? 0.0 : element(in[0], {at[0], at[1] / 6, i, j});
  });
  columns.samples.push_back(s);
  columns.samples.push_back(one("2, without a batch", draw({2, 3, 4}, -2, 2),
                                [](const Tensor& x) { return ag::im2col(x, 2); }));
  columns.samples.push_back(one("empty", ag::zeros({0, 2, 3, 3}, ag::float64),
                                [](const Tensor& x) { return ag::im2col(x, 2); }));
  columns.mistakes = {
      {[] {
         return ag::im2col(ag::ones({3, 3}), 2);
       },
       "im2col: x must have 4 axes (batch, channels, …), or 3 without a batch, got shape (3, 3)"},
      {[] {
         return ag::im2col(ag::ones({1, 1, 3, 3}), 4);
       },
       "im2col: the kernel must fit into the padded image, got 4 for size 3 and padding 0"},
      {[] {
         return ag::im2col(ag::ones({1, 1, 3, 3}), {1, 2, 3});
       },
       "im2col: kernel_size must be one number or 2, one for each axis, got (1, 2, 3)"}};
  rows.push_back(columns);

  Sample back = one("(2, 12, 6), dilation 1 2, padding 1 0, stride 2 1", draw({2, 12, 6}, -2, 2),
                    [o](const Tensor& x) {
                      return ag::fold(x, {4, 6}, {2, 3}, o);
                    });
  back.naive = loop({2, 2, 4, 6}, [w](const Place& at, const TensorList& in) {
    double sum = 0;
    for (std::int64_t e = 0; e < 6; ++e)
      for (std::int64_t k = 0; k < 6; ++k)
        if (w.row(e / 3, k) == at[2] && w.column(e % 3, k) == at[3])
          sum += element(in[0], {at[0], at[1] * 6 + e, k});
    return sum;
  });
  images.samples.push_back(back);
  images.samples.push_back(one("2, without a batch", draw({8, 6}, -2, 2), [](const Tensor& x) {
    return ag::fold(x, {3, 4}, 2);
  }));
  images.samples.push_back(one("empty", ag::zeros({0, 8, 4}, ag::float64),
                               [](const Tensor& x) { return ag::fold(x, 3, 2); }));
  images.mistakes = {
      {[] { return ag::fold(ag::ones({4}), 3, 2); },
       "fold: x must have 3 axes (batch, channels · kernel elements, windows), or 2 without a "
       "batch, got shape (4,)"},
      {[] {
         return ag::fold(ag::ones({1, 5, 4}), 3, 2);
       },
       "fold: x must have a multiple of the 4 elements of a kernel, got shape (1, 5, 4)"},
      {[] {
         return ag::fold(ag::ones({1, 4, 5}), 3, 2);
       },
       "fold: x must have the 2 x 2 windows of such images, got shape (1, 4, 5)"},
      {[] {
         return ag::fold(ag::ones({1, 16, 1}), 3, 4);
       },
       "fold: the kernel must fit into the padded image, got 4 for size 3 and padding 0"}};
  rows.push_back(images);
}

}  // namespace

void add_interpolation(std::vector<Row>& rows) {
  add_interpolate(rows);
  add_folds(rows);
}

const Family interpolation_rows(add_interpolation);

}  // namespace table
