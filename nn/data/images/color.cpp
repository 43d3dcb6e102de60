#include "nn/data/images/color.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "nn/data/images/internal/images.hpp"

namespace nn::data {

using autograd::fail;
using detail::Images;

namespace {

using Rgb = std::array<double, 3>;

double clamped(double x) { return std::clamp(x, 0.0, 1.0); }
double grey_of(const Rgb& x) { return 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]; }

// An image of one channel or three, as doubles pixel by pixel.
template <class T>
class Picture {
 public:
  Picture(T* x, const Images& in) : x_(x), plane_(in.plane()), rgb_(in.channels == 3) {}

  template <class F>
  void each(const F& f) {
    for (std::int64_t i = 0; i < plane_; ++i) {
      Rgb pixel = at(i);
      f(pixel);
      for (std::int64_t c = 0; c < (rgb_ ? 3 : 1); ++c)
        x_[c * plane_ + i] = static_cast<T>(clamped(pixel[static_cast<std::size_t>(c)]));
    }
  }
  double mean_grey() const {
    double sum = 0;
    for (std::int64_t i = 0; i < plane_; ++i) sum += grey(at(i));
    return sum / static_cast<double>(plane_);
  }
  double grey(const Rgb& x) const { return rgb_ ? grey_of(x) : x[0]; }
  bool rgb() const { return rgb_; }

 private:
  Rgb at(std::int64_t i) const {
    const auto first = static_cast<double>(x_[i]);
    return rgb_ ? Rgb{first, static_cast<double>(x_[plane_ + i]),
                      static_cast<double>(x_[2 * plane_ + i])}
                : Rgb{first, first, first};
  }

  T* x_;
  std::int64_t plane_;
  bool rgb_;
};

Rgb to_hsv(const Rgb& x) {
  const auto [low, high] = std::minmax({x[0], x[1], x[2]});
  const double range = high - low;
  if (!(range > 0)) return {0, 0, high};
  const double sector = high == x[0]   ? (x[1] - x[2]) / range
                        : high == x[1] ? 2 + (x[2] - x[0]) / range
                                       : 4 + (x[0] - x[1]) / range;
  return {sector < 0 ? sector / 6 + 1 : sector / 6, range / high, high};
}

Rgb to_rgb(const Rgb& hsv) {
  const double sector = 6 * hsv[0], s = hsv[1], v = hsv[2];
  if (!(sector >= 0 && sector <= 6)) return {v, v, v};  // NaN or infinite pixels have no hue
  const int whole = static_cast<int>(sector);
  const double f = sector - whole;
  const double p = v * (1 - s), q = v * (1 - s * f), t = v * (1 - s * (1 - f));
  switch (whole % 6) {
    case 0:
      return {v, t, p};
    case 1:
      return {q, v, p};
    case 2:
      return {p, v, t};
    case 3:
      return {p, q, v};
    case 4:
      return {t, p, v};
    default:
      return {v, p, q};
  }
}

template <class T>
void brightness(Picture<T>& picture, double factor) {
  picture.each([=](Rgb& x) {
    for (double& c : x) c *= factor;
  });
}

void blend(Rgb& x, double other, double factor) {
  for (double& c : x) c = factor * c + (1 - factor) * other;
}

template <class T>
void contrast(Picture<T>& picture, double factor) {
  const double mean = picture.mean_grey();
  picture.each([=](Rgb& x) { blend(x, mean, factor); });
}

template <class T>
void saturation(Picture<T>& picture, double factor) {
  if (picture.rgb()) picture.each([=](Rgb& x) { blend(x, grey_of(x), factor); });
}

template <class T>
void hue(Picture<T>& picture, double shift) {
  if (!picture.rgb()) return;
  picture.each([=](Rgb& x) {
    Rgb hsv = to_hsv(x);
    hsv[0] += shift;
    if (hsv[0] < 0) hsv[0] += 1;
    if (hsv[0] >= 1) hsv[0] -= 1;
    x = to_rgb(hsv);
  });
}

// A copy, with `change(picture)` done to each image.
template <class Change>
ag::Tensor changed(const char* op, const ag::Tensor& images, const Change& change) {
  const Images in(op, images);
  if (in.channels != 1 && in.channels != 3)
    fail(op, "images must have 1 or 3 channels, got {}", in.x.shape());
  ag::Tensor out = in.x.clone();
  ag::dispatch_floating(op, out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* x = out.mutable_data<T>();
    for (std::int64_t i = 0; i < in.n; ++i) {
      Picture<T> picture(x + i * in.image(), in);
      change(picture);
    }
  });
  return out;
}

void check_factor(const char* op, double factor) {
  if (!(factor >= 0 && std::isfinite(factor)))
    fail(op, "the factor must be finite and at least 0, got {}", factor);
}

void check_options(const ColorJitterOptions& o) {
  for (const auto& [name, value] : {std::pair{"brightness", o.brightness},
                                    {"contrast", o.contrast},
                                    {"saturation", o.saturation}})
    if (!(value >= 0 && std::isfinite(value)))
      fail("color_jitter", "{} must be finite and at least 0, got {}", name, value);
  if (!(o.hue >= 0 && o.hue <= 0.5)) fail("color_jitter", "hue must be in [0, 0.5], got {}", o.hue);
}

double draw(double low, double high, ag::Generator& generator) {
  return low + (high - low) * generator.uniform();
}

template <class T>
void jitter(Picture<T>& picture, const ColorJitterOptions& o, ag::Generator& generator) {
  const auto factor = [&](double spread) {
    return draw(std::max(0.0, 1 - spread), 1 + spread, generator);
  };
  std::array<int, 4> order{0, 1, 2, 3};
  for (std::size_t i = 4; i > 1; --i) std::swap(order[i - 1], order[generator.below(i)]);
  for (const int what : order) {
    if (what == 0 && o.brightness > 0) brightness(picture, factor(o.brightness));
    if (what == 1 && o.contrast > 0) contrast(picture, factor(o.contrast));
    if (what == 2 && o.saturation > 0) saturation(picture, factor(o.saturation));
    if (what == 3 && o.hue > 0) hue(picture, draw(-o.hue, o.hue, generator));
  }
}

}  // namespace

ag::Tensor adjust_brightness(const ag::Tensor& x, double factor) {
  check_factor("adjust_brightness", factor);
  return changed("adjust_brightness", x, [=](auto& picture) { brightness(picture, factor); });
}

ag::Tensor adjust_contrast(const ag::Tensor& x, double factor) {
  check_factor("adjust_contrast", factor);
  return changed("adjust_contrast", x, [=](auto& picture) { contrast(picture, factor); });
}

ag::Tensor adjust_saturation(const ag::Tensor& x, double factor) {
  check_factor("adjust_saturation", factor);
  return changed("adjust_saturation", x, [=](auto& picture) { saturation(picture, factor); });
}

ag::Tensor adjust_hue(const ag::Tensor& x, double shift) {
  if (!(shift >= -0.5 && shift <= 0.5))
    fail("adjust_hue", "shift must be in [-0.5, 0.5], got {}", shift);
  return changed("adjust_hue", x, [=](auto& picture) { hue(picture, shift); });
}

ag::Tensor color_jitter(const ag::Tensor& x, const ColorJitterOptions& options,
                        ag::Generator& generator) {
  check_options(options);
  return changed("color_jitter", x, [&](auto& picture) { jitter(picture, options, generator); });
}

}  // namespace nn::data
