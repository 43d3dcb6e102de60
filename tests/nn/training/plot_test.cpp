#include "nn/training/plot.hpp"

#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a plot in SVG has a path for each curve and breaks it where a number is missing") {
  const std::string svg = nn::svg_plot(
      {{"a", {0, 1, 2, 3}, {0, 1, NAN, 4}}, {"b<", {0, 3}, {4, 0}}}, {.title = "x & y"});
  CHECK_THAT(
      svg, ContainsSubstring("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 320\""));
  CHECK_THAT(svg, ContainsSubstring("x &amp; y"));
  CHECK_THAT(svg, ContainsSubstring("b&lt;"));
  // The plane goes from (58, 22) to (630, 296).
  CHECK_THAT(svg, ContainsSubstring("d=\"M58.0 296.0L248.7 227.5M630.0 22.0\""));
  CHECK_THAT(svg, ContainsSubstring("d=\"M58.0 22.0L630.0 296.0\""));
  CHECK_THAT(svg,
             ContainsSubstring("<circle cx=\"630.0\" cy=\"22.0\""));  // it has no line to show it
}

TEST_CASE("a logarithmic axis has powers of ten and leaves out what has no logarithm") {
  const std::string svg = nn::svg_plot({{"", {0, 1, 2, 3}, {1e-4, 0, -1, 1e4}}}, {.log = true});
  CHECK_THAT(svg, ContainsSubstring(">0.01</text>"));
  CHECK_THAT(svg, ContainsSubstring("d=\"M58.0 296.0M630.0 22.0\""));
}

TEST_CASE("plots of nothing, of one number and of the largest numbers are drawn") {
  const double most = std::numeric_limits<double>::max();
  for (const std::vector<nn::Curve>& curves :
       std::vector<std::vector<nn::Curve>>{{},
                                           {{}},
                                           {{"", {1}, {2}}},
                                           {{"", {1, 2}, {0, 0}}},
                                           {{"", {1, 2}, {NAN, INFINITY}}},
                                           {{"", {-most, most}, {-most, most}}},
                                           {{"", {1, 2}, {5e-324, 1e-323}}}})
    for (const bool log : {false, true}) {
      const std::string svg = nn::svg_plot(curves, {.log = log});
      CHECK(svg.find("nan") == svg.npos);
      CHECK(svg.find("inf") == svg.npos);
      CHECK_FALSE(nn::text_plot(curves, {.log = log, .width = 40, .height = 8}).empty());
    }
}

TEST_CASE("the largest numbers are drawn inside of a plot") {
  const double most = std::numeric_limits<double>::max();
  CHECK_THAT(nn::svg_plot({{"", {0, 1}, {most, -most}}}),
             ContainsSubstring("d=\"M58.0 22.0L630.0 296.0\""));
  CHECK_THAT(nn::svg_plot({{"", {-most, most}, {0, 1}}}),
             ContainsSubstring("d=\"M58.0 296.0L630.0 22.0\""));
  CHECK(nn::svg_plot({{"", {0, 1}, {most, most}}}).find("inf") == std::string::npos);
}

TEST_CASE("a plot for a terminal draws from the lower left to the upper right") {
  CHECK(nn::text_plot({{"", {0, 100}, {0, 1}}}, {.title = "rise", .width = 20, .height = 4}) ==
        "rise\n"
        "         1 ⠀⠀⠀⠀⠀⠀⣀⠔⠊\n"
        "           ⠀⠀⠀⡠⠔⠊⠀⠀⠀\n"
        "         0 ⡠⠔⠉⠀⠀⠀⠀⠀⠀\n"
        "           0     100\n");
}

TEST_CASE("a picture for a terminal has two pixels in a character") {
  const ag::Tensor x = ag::tensor({{0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  CHECK(nn::text_image(x, 80, false) == "▒▒\n██\n");
  CHECK(nn::text_image(ag::tensor({{0.0}, {1.0}})) ==
        "\x1b[38;2;0;0;0;48;2;255;255;255m▀\x1b[0m\n");
  CHECK_THROWS_WITH(nn::text_image(ag::zeros({2, 3, 3})),
                    ContainsSubstring("text_image: the image must have shape"));
}

TEST_CASE("a curve that is not one is refused") {
  CHECK_THROWS_WITH(
      nn::svg_plot({{"a", {1, 2}, {1}}}),
      ContainsSubstring("svg_plot: a curve must have as many x as y, got 2 and 1 in \"a\""));
  CHECK_THROWS_WITH(nn::text_plot({}, {.width = 5, .height = 5}),
                    ContainsSubstring("text_plot: a plot must be at least 20 by 3"));
}
