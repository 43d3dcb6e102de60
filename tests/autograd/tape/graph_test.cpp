#include "autograd/tape/graph.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/frames.hpp"
#include "autograd/tape/graph_svg.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("the graph names operations, shapes, values and gradients") {
  const ag::Tensor x = ag::tensor(0.5);
  const ag::Tensor w = ag::tensor(0.4).requires_grad_(), b = ag::tensor(0.1).requires_grad_();
  const ag::Tensor z = w * x + b;
  const ag::Tensor a = ag::sigmoid(z);
  const ag::Tensor loss = 0.5 * ag::square(1.0 - a);
  ag::Tensor kept = a;
  kept.retain_grad();
  loss.backward({.retain_graph = true});
  const std::string dot = ag::to_dot(loss, {{"w", w}, {"b", b}, {"x", x}, {"z", z}, {"L", loss}});
  CHECK_THAT(dot, ContainsSubstring(R"([label="w  ()\nvalue 0.4\ngrad -0.05202", fillcolor)"));
  CHECK_THAT(dot, ContainsSubstring(R"([label="b  ()\nvalue 0.1\ngrad -0.104", fillcolor)"));
  CHECK_THAT(dot, ContainsSubstring(R"([label="x  ()\nvalue 0.5", fillcolor=white])"));
  CHECK_THAT(dot, ContainsSubstring(R"([label="z = add  ()\nvalue 0.3"])"));
  // Not named: its value is known because sigmoid saved it.
  CHECK_THAT(dot, ContainsSubstring(R"([label="sigmoid  ()\nvalue 0.5744\ngrad -0.4256"])"));
  CHECK_THAT(dot, ContainsSubstring(R"([label="L = mul  ()\nvalue 0.09055"])"));
}

TEST_CASE("every arrow forward between nodes has one back") {
  const ag::Tensor x = ag::ones({2, 3}).requires_grad_();
  const std::string dot = ag::to_dot(ag::exp(x * x));
  CHECK(dot ==
        "digraph {\n"
        "  rankdir=LR;\n"
        "  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", "
        "fillcolor=\"#eef3fb\"];\n"
        "  n0 [label=\"leaf  (2, 3)\\nvalue [[1, 1, 1],\\n [1, 1, 1]]\", fillcolor=\"#fdf3d8\"];\n"
        "  n1 [label=\"mul  (2, 3)\"];\n"
        "  n0 -> n1;\n"
        "  n1 -> n0 [style=dashed, color=grey, constraint=false];\n"
        "  n0 -> n1;\n"
        "  n1 -> n0 [style=dashed, color=grey, constraint=false];\n"
        "  n2 [label=\"exp  (2, 3)\\nvalue [[2.718, 2.718, 2.718],\\n [2.718, 2.718, 2.718]]\"];\n"
        "  n1 -> n2;\n"
        "  n2 -> n1 [style=dashed, color=grey, constraint=false];\n"
        "}\n");
}

TEST_CASE("large tensors show only their shape, shared ones stand once") {
  const ag::Tensor x = ag::ones({9}).requires_grad_(), c = ag::ones({9});
  const ag::Tensor y = x * c;
  const std::string dot = ag::to_dot(y * c + y, {{"quo\"ted", c}});
  CHECK(dot.find("value") == std::string::npos);
  CHECK_THAT(dot, ContainsSubstring("c0 [label=\"quo\\\"ted  (9,)\", fillcolor=white]"));
  CHECK(dot.find("c1 ") == std::string::npos);
  CHECK(dot.find("n4 ") == std::string::npos);
}

TEST_CASE("a long chain is drawn without recursion") {
  ag::Tensor t = ag::ones({}).requires_grad_();
  for (int i = 0; i < 20000; ++i) t = -t;
  CHECK_THAT(ag::to_dot(t), ContainsSubstring("n20000 ["));
}

TEST_CASE("a graph that is not there is refused") {
  const ag::Tensor x = ag::ones({}).requires_grad_();
  const ag::Tensor y = ag::exp(x);
  CHECK_THROWS_WITH(ag::to_dot(ag::ones({})),
                    "to_dot: the tensor must be on the tape, got one that requires no gradient");
  CHECK_THROWS_WITH(ag::to_dot(y, {{"nothing", ag::Tensor()}}),
                    "to_dot: named tensors must be defined, got undefined 'nothing'");
  y.backward();
  CHECK_THROWS_WITH(ag::to_dot(y),
                    "to_dot: the graph must be whole, but a walk released it (at 'exp'); call it "
                    "before backward(), or pass {.retain_graph = true} there");
  CHECK_THROWS_AS(ag::to_dot(ag::Tensor()), ag::Error);
}

TEST_CASE("a graph is drawn as SVG with a box for each tensor and an arrow for each use") {
  const ag::Tensor x = ag::tensor({{0.5, 1.0}});
  const ag::Tensor w = ag::tensor({{0.4}, {-0.2}}).requires_grad_(),
                   b = ag::tensor(0.1).requires_grad_();
  const ag::Tensor loss = ag::sum(ag::sigmoid(ag::matmul(x, w) + b) * b);
  loss.backward({.retain_graph = true});
  const std::string svg = ag::to_svg(loss, {{"w", w}, {"a<b", b}, {"x", x}});
  const auto count = [&](const std::string& part) {
    std::size_t n = 0;
    for (auto at = svg.find(part); at != svg.npos; at = svg.find(part, at + 1)) ++n;
    return n;
  };
  CHECK(count("<rect ") == 9);  // x, w, b, matmul, add, sigmoid, mul, sum, reshape
  CHECK(count("url(#ahead)") == 9);
  CHECK(count("url(#back)") == 8);  // none to x
  CHECK_THAT(svg,
             ContainsSubstring(">a&lt;b  ()</text>") && ContainsSubstring(">value 0.1</text>"));
  CHECK_THROWS_WITH(ag::to_svg(x), ContainsSubstring("to_svg: the tensor must be on the tape"));
}

TEST_CASE("frames stand around what was recorded in them, and nothing else") {
  const ag::Tensor x = ag::tensor(0.5), w = ag::tensor(2.0).requires_grad_();
  ag::Frames frames;
  frames.begin("outer", {x});
  frames.begin("inner", {x});
  const ag::Tensor y = ag::exp(w * x);
  frames.end();
  frames.begin("empty");
  frames.end();
  const ag::Tensor z = ag::sin(y) + w;
  CHECK_THROWS_WITH(ag::to_svg(z, {}, frames),
                    "to_svg: each frame must have its end, got an open one 'outer'; call end()");
  frames.end();
  CHECK_THROWS_WITH(frames.end(), "Frames: end() must come after a begin(), got none");
  const std::string svg = ag::to_svg(z * w, {}, frames), plain = ag::to_svg(z * w);
  CHECK(svg.find(">empty<") == svg.npos);
  for (const char* title : {">outer<", ">inner<"})
    CHECK(svg.find(title) < svg.find("<path marker"));
  const auto count = [](const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  for (const char* part : {"url(#ahead)", "url(#back)", "text-anchor"})
    CHECK(count(svg, part) == count(plain, part));
  CHECK(count(svg, "<rect ") == count(plain, "<rect ") + 2);
}
