#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace ag = autograd;

/// Points to draw a line through, in their order. NaN and Inf break the line.
struct Curve {
  std::string name{};
  std::vector<double> x{}, y{};  ///< equally many
};

/// Options of `svg_plot` and `text_plot`.
struct PlotOptions {
  std::string title{};
  bool log = false;  ///< the vertical axis is logarithmic; numbers up to 0 are not drawn
  int width = 640, height = 320;  ///< pixels at full size; for text 72 columns by 16 lines do
};

/// A picture of curves as a file of its own, dark where the reader's screen is.
std::string svg_plot(const std::vector<Curve>& curves, const PlotOptions& options = {});

/// Curves for a terminal, in Unicode's Braille patterns, with the ends of both axes. Several curves
/// share the dots; their names stand below.
std::string text_plot(const std::vector<Curve>& curves,
                      const PlotOptions& options = {.width = 72, .height = 16});

/// A picture (channels, height, width) of 1 or 3 channels, or (height, width), for a terminal: two
/// pixels in a character. In 24-bit colour, or in five shades of grey without `color`. A picture of
/// more columns than `columns` is sampled. Values outside of [0, 1]: the least becomes 0 and the
/// largest 1.
std::string text_image(const ag::Tensor& image, int columns = 80, bool color = true);

}  // namespace nn

#pragma GCC visibility pop
