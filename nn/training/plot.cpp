#include "nn/training/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/training/internal/axis.hpp"
#include "nn/training/internal/pictures.hpp"

namespace nn {

namespace detail {

double Axis::place(double x) const {
  const double at = log ? (x > 0 ? std::log10(x) : NAN) : x;
  return std::isfinite(at) ? (at / 2 - from / 2) / (to / 2 - from / 2) : NAN;
}

double Axis::number(double place) const {
  constexpr double kMost = std::numeric_limits<double>::max();
  const double at = from * (1 - place) + to * place;
  return std::clamp(log ? std::pow(10, at) : at, -kMost, kMost);
}

std::vector<double> Axis::ticks(int count) const {
  std::vector<double> out;
  if (log && to - from >= 1) {
    const double step = std::max(1.0, std::ceil((to - from) / count));
    for (double e = std::ceil(from - 1e-9); e <= to + 1e-9; e += step)
      if (const double tick = std::pow(10, e); tick > 0 && std::isfinite(tick)) out.push_back(tick);
    return out;
  }
  const double low = number(0), high = number(1), rough = high / count - low / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  if (!(power > 0) || !std::isfinite(1 / power)) return out;  // numbers too small for round ones
  double step = 10 * power;
  for (const double nice : {5.0, 2.0, 1.0})
    if (nice * power >= rough) step = nice * power;
  const double first = std::ceil(low / step);
  const auto last = static_cast<int>(std::floor(high / step - first + 1e-9));
  for (int i = 0; i <= last; ++i) {
    const double tick = (first + i) * step;
    out.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  }
  return out;
}

Axis axis_of(const std::vector<Curve>& curves, const std::vector<double> Curve::*numbers,
             bool log) {
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (const Curve& curve : curves)
    for (const double x : curve.*numbers) {
      const double at = log ? (x > 0 ? std::log10(x) : NAN) : x;
      if (std::isfinite(at)) least = std::min(least, at), most = std::max(most, at);
    }
  if (least > most) return {0, 1, log};
  // Halves, here and above, because the range of two large numbers may be no number.
  if (most / 2 - least / 2 <= std::abs(most) * 1e-12) {
    using Limits = std::numeric_limits<double>;
    const double room = most == 0 ? 1 : std::max(std::abs(most) * 0.1, Limits::min());
    return {std::max(least - room, Limits::lowest()), std::min(most + room, Limits::max()), log};
  }
  return {least, most, log};
}

std::string short_number(double x) { return fmt::format("{:.4g}", ag::unsigned_nan(x)); }

std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto point = data::detail::code_point(text, i);
    const std::string_view bytes = text.substr(i, point.size);
    i += point.size;
    if (point.value < 0 || (point.value < ' ' && point.value != '\n' && point.value != '\t'))
      out += "\xef\xbf\xbd";  // U+FFFD: HTML knows no such byte
    else if (bytes == "<")
      out += "&lt;";
    else if (bytes == "&")
      out += "&amp;";
    else if (bytes == "\"")
      out += "&quot;";
    else
      out += bytes;
  }
  return out;
}

const std::string_view kPlotStyle = R"css(
:root{--paper:#fff;--ink:#1c2024;--pale:#6b7280;--line:#d9dce1;--card:#f6f7f9;
--c0:#1769c4;--c1:#c2410c;--c2:#15803d;--c3:#a21caf;--c4:#b45309;--c5:#0e7490;--c6:#be123c;--c7:#4d7c0f}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e6e8ea;--pale:#9aa3ad;--line:#343a41;--card:#1d2126;
--c0:#6cb1ff;--c1:#ff9a62;--c2:#63d48b;--c3:#e79bf2;--c4:#f0b45b;--c5:#5fd0e3;--c6:#ff8fa3;--c7:#b5dd6a}}
svg text{font:12px system-ui,sans-serif;fill:var(--pale)}svg .title{font-weight:600;fill:var(--ink)}
svg .grid{stroke:var(--line)}svg .curve{fill:none;stroke-width:1.6;stroke-linejoin:round}
)css";

namespace {

constexpr int kLeft = 58, kRight = 10, kTop = 22, kBottom = 24;

std::string line_of(const Curve& curve, const Axis& x, const Axis& y, int width, int height,
                    std::size_t color) {
  std::string path;
  bool pen = false;
  double px = 0, py = 0;
  std::size_t lonely = 0;
  std::string dots;
  const auto end_stroke = [&] {
    if (lonely == 1)
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\" style=\"fill:var(--c{})\"/>",
                          px, py, color);
    pen = false, lonely = 0;
  };
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    const double a = x.place(curve.x[i]), b = y.place(curve.y[i]);
    if (std::isnan(a) || std::isnan(b)) {
      end_stroke();
      continue;
    }
    px = kLeft + a * width, py = kTop + (1 - b) * height;
    path += fmt::format("{}{:.1f} {:.1f}", pen ? 'L' : 'M', px, py);
    pen = true, ++lonely;
  }
  end_stroke();
  return fmt::format("<path class=\"curve\" style=\"stroke:var(--c{})\" d=\"{}\"/>{}", color, path,
                     dots);
}

}  // namespace

std::string plot_body(const std::vector<Curve>& curves, const PlotOptions& options) {
  const Axis x = axis_of(curves, &Curve::x, false), y = axis_of(curves, &Curve::y, options.log);
  const int width = options.width - kLeft - kRight, height = options.height - kTop - kBottom;
  std::string out;
  for (const double tick : y.ticks(5)) {
    const double at = kTop + (1 - y.place(tick)) * height;
    out += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        kLeft, kLeft + width, at, at, kLeft - 6, at + 4, short_number(tick));
  }
  for (const double tick : x.ticks(6))
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                       kLeft + x.place(tick) * width, options.height - 6, short_number(tick));
  for (std::size_t i = 0; i < curves.size(); ++i)
    out += line_of(curves[i], x, y, width, height, i % 8);
  if (!options.title.empty())
    out += fmt::format("<text class=\"title\" x=\"{}\" y=\"14\">{}</text>", kLeft,
                       escaped(options.title));
  if (curves.size() < 2) return out;
  double at = options.width - kRight;  // names, from the right
  for (std::size_t i = curves.size(); i-- > 0;) {
    out += fmt::format(
        "<text x=\"{}\" y=\"14\" text-anchor=\"end\" style=\"fill:var(--c{})\">{}</text>", at,
        i % 8, escaped(curves[i].name));
    at -= 7.0 * static_cast<double>(curves[i].name.size()) + 14;
  }
  return out;
}

}  // namespace detail

namespace {

void check(std::string_view where, const std::vector<Curve>& curves, const PlotOptions& options,
           int width, int height) {
  for (const Curve& curve : curves)
    if (curve.x.size() != curve.y.size())
      ag::fail(where, "a curve must have as many x as y, got {} and {} in \"{}\"", curve.x.size(),
               curve.y.size(), ag::quoted(curve.name));
  constexpr int kMost = 10'000;
  if (options.width < width || options.height < height || options.width > kMost ||
      options.height > kMost)
    ag::fail(where, "a plot must be at least {} by {} and at most {}, got {} by {}", width, height,
             kMost, options.width, options.height);
}

}  // namespace

std::string svg_plot(const std::vector<Curve>& curves, const PlotOptions& options) {
  check("svg_plot", curves, options, 160, 100);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">"
      "<style>{2}</style><rect width=\"100%\" height=\"100%\" "
      "style=\"fill:var(--paper)\"/>{3}</svg>\n",
      options.width, options.height, detail::kPlotStyle, detail::plot_body(curves, options));
}

namespace {

// Dots of Braille patterns: two in each column, four in each line.
class Dots {
 public:
  Dots(int columns, int lines)
      : columns_(columns),
        lines_(lines),
        cells_(static_cast<std::size_t>(columns) * static_cast<std::size_t>(lines)) {}
  int width() const { return 2 * columns_; }
  int height() const { return 4 * lines_; }
  void set(int x, int y) {
    constexpr std::uint8_t kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    cells_[cell(x / 2, y / 4)] |= kBits[y % 4][x % 2];
  }
  // A straight line between two dots.
  void line(int x, int y, int to_x, int to_y) {
    const int steps = std::max({std::abs(to_x - x), std::abs(to_y - y), 1});
    for (int i = 0; i <= steps; ++i)
      set(static_cast<int>(std::lround(x + double(to_x - x) * i / steps)),
          static_cast<int>(std::lround(y + double(to_y - y) * i / steps)));
  }
  std::string row(int line) const {
    std::string out;
    for (int i = 0; i < columns_; ++i)
      data::detail::append_utf8(out, 0x2800 + cells_[cell(i, line)]);
    return out;
  }

 private:
  std::size_t cell(int column, int line) const {
    return static_cast<std::size_t>(line) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>(column);
  }
  int columns_, lines_;
  std::vector<std::uint8_t> cells_;
};

}  // namespace

std::string text_plot(const std::vector<Curve>& curves, const PlotOptions& options) {
  check("text_plot", curves, options, 20, 3);
  const detail::Axis x = detail::axis_of(curves, &Curve::x, false);
  const detail::Axis y = detail::axis_of(curves, &Curve::y, options.log);
  constexpr int kLabels = 11;
  Dots dots(options.width - kLabels, options.height - 1);
  for (const Curve& curve : curves) {
    int last_x = -1, last_y = -1;
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      const double a = x.place(curve.x[i]), b = y.place(curve.y[i]);
      if (std::isnan(a) || std::isnan(b)) {
        last_x = -1;
        continue;
      }
      const int px = static_cast<int>(std::lround(a * (dots.width() - 1)));
      const int py = static_cast<int>(std::lround((1 - b) * (dots.height() - 1)));
      dots.line(last_x < 0 ? px : last_x, last_x < 0 ? py : last_y, px, py);
      last_x = px, last_y = py;
    }
  }
  std::string out = options.title.empty() ? "" : options.title + "\n";
  for (int i = 0; i < options.height - 1; ++i) {
    const bool ends = i == 0 || i == options.height - 2;
    out += fmt::format("{:>{}} {}\n", ends ? detail::short_number(y.number(i == 0)) : "",
                       kLabels - 1, dots.row(i));
  }
  const std::string from = detail::short_number(x.number(0)),
                    to = detail::short_number(x.number(1));
  out += fmt::format("{:>{}}{}{:>{}}\n", "", kLabels, from, to,
                     options.width - kLabels - static_cast<int>(from.size()));
  if (curves.size() < 2) return out;
  for (const Curve& curve : curves) out += fmt::format("{:>{}}{}\n", "", kLabels, curve.name);
  return out;
}

std::string text_image(const ag::Tensor& image, int columns, bool color) {
  if (!image.defined())
    ag::fail("text_image", "the image must be defined, got an undefined tensor");
  const bool planes = image.ndim() == 3;
  if ((!planes && image.ndim() != 2) || image.numel() == 0 ||
      (planes && image.size(0) != 1 && image.size(0) != 3))
    ag::fail("text_image",
             "the image must have shape (channels, height, width) with 1 or 3 channels, "
             "or (height, width), got {}",
             image.shape());
  if (columns < 1) ag::fail("text_image", "columns must be at least 1, got {}", columns);
  const ag::Tensor x = detail::stretched(image);
  const std::int64_t channels = planes ? x.size(0) : 1;
  const std::int64_t height = x.size(planes ? 1 : 0), width = x.size(planes ? 2 : 1);
  const std::int64_t across = std::min<std::int64_t>(width, columns);
  const std::int64_t down = std::max<std::int64_t>(1, height * across / width);
  const auto level = [&](std::int64_t c, std::int64_t i, std::int64_t j) {
    if (i >= down) return 0;
    const std::int64_t at =
        (std::min(c, channels - 1) * height + i * height / down) * width + j * width / across;
    return static_cast<int>(std::lround(255 * x.data<float>()[at]));
  };
  const auto grey = [&](std::int64_t i, std::int64_t j) {
    return (299 * level(0, i, j) + 587 * level(1, i, j) + 114 * level(2, i, j)) / 1000;
  };
  constexpr const char* kShades[] = {" ", "░", "▒", "▓", "█"};
  std::string out;
  for (std::int64_t i = 0; i < down; i += 2) {
    for (std::int64_t j = 0; j < across; ++j)
      if (color)
        out +=
            fmt::format("\x1b[38;2;{};{};{};48;2;{};{};{}m▀", level(0, i, j), level(1, i, j),
                        level(2, i, j), level(0, i + 1, j), level(1, i + 1, j), level(2, i + 1, j));
      else
        out += kShades[(grey(i, j) + (i + 1 < down ? grey(i + 1, j) : grey(i, j))) * 4 / 510];
    out += color ? "\x1b[0m\n" : "\n";
  }
  return out;
}

}  // namespace nn
