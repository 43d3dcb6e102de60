#pragma once

#include <string>
#include <vector>

#include "nn/training/plot.hpp"

namespace nn::detail {

/// From numbers to places along an axis, in [0, 1].
struct Axis {
  double from = 0, to = 1;  // of log10 where it is logarithmic
  bool log = false;

  /// NaN for what has no place.
  double place(double x) const;
  double number(double place) const;
  /// Round numbers on it, about `count` of them.
  std::vector<double> ticks(int count) const;
};

/// An axis that shows all finite numbers of the curves.
Axis axis_of(const std::vector<Curve>& curves, const std::vector<double> Curve::*numbers, bool log);

/// A number with as many digits as a reader wants: 0.25, 1200, 1.5e-07.
std::string short_number(double x);

std::string escaped(std::string_view text);  // for HTML and SVG

/// What is inside the svg element: axes, grid and lines, with the classes of the page's style.
std::string plot_body(const std::vector<Curve>& curves, const PlotOptions& options);

/// The colours of curves and axes, for a light and a dark screen.
extern const std::string_view kPlotStyle;

}  // namespace nn::detail
