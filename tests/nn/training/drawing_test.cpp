#include "nn/training/drawing.hpp"

#include "autograd/ops/ops.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

struct Net : nn::Module {
  nn::Sequential first{nn::Linear(2, 3), nn::Tanh()};
  nn::Linear middle{3, 2}, last{2, 1};
  NN_MODULE(first, middle, last)
  ag::Tensor forward(const ag::Tensor& x) const { return last(ag::sigmoid(middle(first(x)))); }
};

// The rectangle before a text.
struct Rectangle {
  double x = 0, y = 0, width = 0, height = 0;
  bool contains(const Rectangle& r) const {
    return x <= r.x && y <= r.y && r.x + r.width <= x + width && r.y + r.height <= y + height;
  }
};
Rectangle around(const std::string& svg, const std::string& text) {
  const auto at = svg.rfind("<rect ", svg.find('>' + text));
  Rectangle r;
  REQUIRE(std::sscanf(svg.c_str() + svg.find("x=", at),
                      R"(x="%lf" y="%lf" width="%lf" height="%lf")", &r.x, &r.y, &r.width,
                      &r.height) == 4);
  return r;
}

}  // namespace

TEST_CASE("the drawing of a model has a frame for each layer, with values and gradients inside") {
  Net net;
  const ag::Tensor x = ag::tensor({{0.5f, -1.0f}}), bias = net.last.bias;
  ag::Tensor(net.last.weight).set_grad(ag::full({1, 2}, 9.0));
  const auto loss = [&] { return ag::sum(ag::square(net(x))); };
  const std::string svg = nn::to_svg(net, loss, {{"x", x}});
  for (const char* title : {"first (Sequential)", "first.0 (Linear)", "first.1 (Tanh)",
                            "middle (Linear)", "last (Linear)"})
    CHECK(count(svg, std::string(">") + title + "</text>") == 1);
  const Rectangle outer = around(svg, "first (Seq"), inner = around(svg, "first.0 (Lin"),
                  weight = around(svg, "first.0.weight  (3, 2)"), in = around(svg, "x  (1, 2)");
  CHECK(outer.contains(inner));
  CHECK(inner.contains(weight));
  CHECK(!outer.contains(in));  // what goes in stands outside
  CHECK(!around(svg, "middle (Lin").contains(around(svg, "sigmoid  (1, 2)")));
  // Each of six parameters, four layers' results and the loss.
  CHECK(count(svg, ">grad ") >= 10);
  CHECK_THAT(svg, ContainsSubstring(ag::to_string(ag::sum(2.0 * net(x)), ".4g")));
  // Gradients are what they were, and no hook stays.
  CHECK(ag::Tensor(net.last.weight).grad().to_vector<float>() == std::vector<float>{9, 9});
  CHECK(!bias.grad().defined());
  CHECK_THROWS_WITH(nn::to_svg(net,
                               [&] {
                                 return net(ag::ones({2, 2}));
                               }),
                    ContainsSubstring("backward"));
  CHECK(nn::to_svg(net, loss, {{"x", x}}) == svg);
}
