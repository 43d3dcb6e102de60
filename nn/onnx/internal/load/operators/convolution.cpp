#include <algorithm>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/windows.hpp"

namespace nn::interpreter {
namespace {

ag::Integers numbers(const Integers& values) { return axes_of(values); }

// {begin…, end…} as pairs, one for each axis. Negative ones take elements away, which pad() does.
ag::Integers pairs(const Integers& widths) {
  ag::Integers result;
  const std::size_t n = widths.size() / 2;
  for (std::size_t i = 0; i < n; ++i) {
    result.push_back(widths[i]);
    result.push_back(widths[n + i]);
  }
  return result;
}

Integers kernel_of(std::string_view op, const Tensor& weight) {
  const ag::Shape shape = spatial(op, weight);
  return {shape.begin(), shape.end()};
}

Run conv(Node& node) {
  const Windows windows(node);
  const std::int64_t groups = node.integer("group", 1);
  return [=](const Call& call) {
    const Tensor& x = call[0];
    const ag::Shape size = spatial("Conv", x);
    const Windows w = windows.of("Conv", kernel_of("Conv", call[1]));
    if (w.axes() != size.size())
      ag::fail("Conv", "x must have {} spatial axes, got shape {}", w.axes(), x.shape());
    const auto f = size.size() == 1 ? ag::conv1d : size.size() == 2 ? ag::conv2d : ag::conv3d;
    return one(f(x, call[1], call.has(2) ? call[2] : Tensor(),
                 {.stride = numbers(w.strides),
                  .padding = pairs(w.pads_for(size)),
                  .dilation = numbers(w.dilations),
                  .groups = groups}));
  };
}

// ---------------------------------------------------------------- ConvTranspose

struct Transposed {
  Windows windows;
  Integers more, shape;  // output_padding and output_shape
  std::int64_t groups;
};

// How much is cut off at both ends, and what is added at the end.
struct Cut {
  Integers widths, more;
};
Cut cut_of(const Transposed& t, const Windows& w, const ag::Shape& x) {
  const std::size_t n = w.axes();
  Cut cut{w.pads, t.more.empty() ? Integers(n) : t.more};
  if (cut.more.size() != n || (!t.shape.empty() && t.shape.size() < n))
    ag::fail("ConvTranspose", "output_padding and output_shape must be for {} axes, got {} and {}",
             n, t.more.size(), t.shape.size());
  if (w.automatic == AutoPad::valid) cut.widths.assign(2 * n, 0);
  const bool same = w.automatic == AutoPad::same_upper || w.automatic == AutoPad::same_lower;
  if (t.shape.empty() && !same) return cut;
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t size =
        t.shape.empty() ? x[i] * w.strides[i] : t.shape[t.shape.size() - n + i];
    const std::int64_t all = w.strides[i] * (x[i] - 1) + cut.more[i] + w.extent(i) - size;
    if (all < 0) cut.more[i] -= all;
    const std::int64_t cut_off = std::max<std::int64_t>(all, 0), less = cut_off / 2;
    cut.widths[i] = w.automatic == AutoPad::same_upper ? less : cut_off - less;
    cut.widths[n + i] = cut_off - cut.widths[i];
  }
  return cut;
}

Run conv_transpose(Node& node) {
  const Transposed t{Windows(node), node.integers("output_padding").value_or(Integers()),
                     node.integers("output_shape").value_or(Integers()), node.integer("group", 1)};
  for (const auto* sizes : {&t.more, &t.shape})
    for (const std::int64_t n : *sizes)
      if (n < 0 || n > std::int64_t{1} << 40)
        node.refuse("output_padding and output_shape must be in [0, 2^40], got {}", n);
  return [t](const Call& call) {
    const Tensor& x = call[0];
    const ag::Shape size = spatial("ConvTranspose", x);
    const Windows w = t.windows.of("ConvTranspose", kernel_of("ConvTranspose", call[1]));
    if (w.axes() != size.size())
      ag::fail("ConvTranspose", "x must have {} spatial axes, got shape {}", w.axes(), x.shape());
    const Cut cut = cut_of(t, w, size);
    const auto f = size.size() == 1   ? ag::conv_transpose1d
                   : size.size() == 2 ? ag::conv_transpose2d
                                      : ag::conv_transpose3d;
    return one(f(x, call[1], call.has(2) ? call[2] : Tensor(),
                 {.stride = numbers(w.strides),
                  .padding = pairs(cut.widths),
                  .output_padding = numbers(cut.more),
                  .groups = t.groups,
                  .dilation = numbers(w.dilations)}));
  };
}

// ---------------------------------------------------------------- others

Run col2im(Node& node) {
  const Integers dilations = node.integers("dilations").value_or(Integers{1, 1}),
                 pads = node.integers("pads").value_or(Integers{0, 0, 0, 0}),
                 strides = node.integers("strides").value_or(Integers{1, 1});
  if (pads.size() != 4 || pads[0] != pads[2] || pads[1] != pads[3])
    node.refuse("pads must be two equal ones for each of two axes");
  return [=](const Call& call) {
    const Integers image = call.integers(1), block = call.integers(2);
    if (image.size() != 2) ag::fail("Col2Im", "images must have two axes, got {}", image.size());
    return one(ag::fold(call[0], numbers(image), numbers(block),
                        {.dilation = numbers(dilations),
                         .padding = {pads[0], pads[1]},
                         .stride = numbers(strides)}));
  };
}

Run causal_conv(Node& node) {
  const std::string name = node.text("activation", "none");
  const bool silu =
      choice<bool>(node, "activation", name, {{"none", false}, {"silu", true}, {"swish", true}});
  return [silu](const Call& call) {
    const Tensor &x = call[0], &weight = call[1];
    const std::int64_t before = weight.size(-1) - 1;
    const Tensor state =
        call.has(3) ? call[3] : ag::zeros({x.size(0), x.size(1), before}, x.dtype());
    const Tensor all = ag::concat({state, x}, 2);
    const Tensor y =
        ag::conv1d(all, weight, call.has(2) ? call[2] : Tensor(), {.groups = x.size(1)});
    return several(silu ? ag::silu(y) : y, ag::narrow(all, 2, all.size(2) - before, before));
  };
}

constexpr Operator kOperators[] = {
    {"CausalConvWithState", causal_conv, 2, 4},
    {"Col2Im", col2im, 3, 3},
    {"Conv", conv, 2, 3},
    {"ConvTranspose", conv_transpose, 2, 3},
};

}  // namespace

std::span<const Operator> convolution_operators() { return kOperators; }

}  // namespace nn::interpreter
