#include <algorithm>
#include <numeric>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

// Integers that are an attribute in old opsets and input i in new ones.
using Listed = std::function<std::optional<Integers>(const Call&)>;
Listed listed(Node& node, std::string_view attribute, std::size_t i) {
  if (auto values = node.integers(attribute))
    return [values = *values](const Call&) { return std::optional(values); };
  return [i](const Call& call) {
    return call.has(i) ? std::optional(call.integers(i)) : std::nullopt;
  };
}

Run reshape(Node& node) {
  const bool zeros = node.flag("allowzero");
  node.ignore("consumed_inputs");
  return [zeros, shape = listed(node, "shape", 1)](const Call& call) {
    const auto sizes = shape(call);
    if (!sizes) ag::fail("Reshape", "a shape must be given, got none");
    ag::Shape to = shape_of(*sizes);
    if (!zeros)
      for (std::size_t i = 0; i < to.size(); ++i)
        if (to[i] == 0) to[i] = call[0].size(static_cast<std::int64_t>(i));
    return one(ag::reshape(call[0], to));
  };
}

Run flatten(Node& node) {
  return unary([axis = node.integer("axis", 1)](const Tensor& x) {
    const std::int64_t first = axis == x.ndim() ? axis : axis_in("Flatten", axis, x.ndim());
    const auto from = x.shape().begin();
    const auto count = [](auto a, auto b) {
      return std::accumulate(a, b, std::int64_t{1}, std::multiplies<>());
    };
    return ag::reshape(x, {count(from, from + first), count(from + first, x.shape().end())});
  });
}

Run transpose(Node& node) {
  return unary([perm = node.integers("perm")](const Tensor& x) {
    Integers order = perm.value_or(Integers());
    if (!perm)
      for (std::int64_t i = x.ndim(); i-- > 0;) order.push_back(i);
    return order.empty() ? x : ag::permute(x, axes_of(order));
  });
}

Run squeeze(Node& node) {
  return [axes = listed(node, "axes", 1)](const Call& call) {
    const Tensor& x = call[0];
    const auto given = axes(call);
    if (!given) return one(ag::squeeze(x));
    for (const std::int64_t axis : *given)
      if (x.size(axis) != 1)
        ag::fail("Squeeze", "axes must have size 1, got axis {} of shape {}", axis, x.shape());
    return one(given->empty() ? x : ag::squeeze(x, axes_of(*given)));
  };
}

Run unsqueeze(Node& node) {
  return [axes = listed(node, "axes", 1)](const Call& call) {
    Tensor x = call[0];
    Integers given = axes(call).value_or(Integers());
    const auto rank = x.ndim() + static_cast<std::int64_t>(given.size());
    for (std::int64_t& axis : given) axis = axis_in("Unsqueeze", axis, rank);
    std::sort(given.begin(), given.end());
    if (std::adjacent_find(given.begin(), given.end()) != given.end())
      ag::fail("Unsqueeze", "axes must differ, got one twice");
    for (const std::int64_t axis : given) x = ag::unsqueeze(x, axis);
    return one(x);
  };
}

Run expand(Node&) {
  return [](const Call& call) {
    const ag::Shape shape = shape_of(call.integers(1));
    return one(ag::broadcast_to(call[0], ag::shapes::broadcast("Expand", call[0].shape(), shape)));
  };
}

Run tile(Node& node) {
  if (node.opset < 6) node.refuse("opset must be at least 6, got {}", node.opset);
  return [](const Call& call) {
    const Integers repeats = call.integers(1);
    if (static_cast<std::int64_t>(repeats.size()) != call[0].ndim())
      ag::fail("Tile", "there must be one number for each axis, got {} for shape {}",
               repeats.size(), call[0].shape());
    return one(ag::tile(call[0], shape_of(repeats)));
  };
}

Run concat(Node& node) {
  const std::int64_t axis = node.opset < 4 ? node.integer("axis", 1) : node.integer("axis");
  return [axis](const Call& call) {
    ag::TensorList parts;
    for (std::size_t i = 0; i < call.size(); ++i) parts.push_back(call[i]);
    return one(ag::concat(parts, axis));
  };
}

// As even as the first sizes allow; the last is what is left.
Integers even_parts(std::int64_t size, std::int64_t parts) {
  const std::int64_t each = (size + parts - 1) / parts;
  Integers sizes;
  for (std::int64_t i = 0; i < parts; ++i)
    sizes.push_back(std::clamp<std::int64_t>(size - i * each, 0, each));
  return sizes;
}

Run split(Node& node) {
  const std::int64_t axis = node.integer("axis", 0);
  const auto parts = node.integer("num_outputs", static_cast<std::int64_t>(node.outputs.size()));
  if (parts != static_cast<std::int64_t>(node.outputs.size()))
    node.refuse("num_outputs must be {}, got {}", node.outputs.size(), parts);
  return [axis, parts, sizes = listed(node, "split", 1)](const Call& call) {
    const Integers pieces =
        sizes(call).value_or(even_parts(call[0].size(axis), std::max<std::int64_t>(parts, 1)));
    Values values;
    for (const Tensor& piece : ag::split(call[0], shape_of(pieces), axis))
      values.emplace_back(piece);
    return values;
  };
}

// ---------------------------------------------------------------- Slice, Pad

// Python's bounds, but a stop of a step backwards is below 0 where it means the very start.
Tensor sliced(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t stop,
              std::int64_t step) {
  if (step == 0) ag::fail("Slice", "steps must not be 0, got one that is");
  const std::int64_t n = x.size(axis);
  start = start < 0 ? std::max(start, -n) + n : start;
  stop = stop < 0 ? std::max(stop, -n - 1) + n : stop;
  start = std::clamp<std::int64_t>(start, 0, step < 0 ? n - 1 : n);
  stop = std::clamp<std::int64_t>(stop, step < 0 ? -1 : 0, n);
  if (n == 0 || (step > 0 ? start >= stop : start <= stop)) return ag::narrow(x, axis, 0, 0);
  if (start == 0 && stop == n && step == 1) return x;
  step = std::clamp(step, -n - 1, n + 1);  // beyond these it is all the same
  return ag::slice(x, axis, start, stop < 0 ? -n - 1 : stop, step);
}

Tensor sliced(Tensor x, const Integers& starts, const Integers& ends, const Integers& axes,
              const Integers& steps) {
  if (ends.size() != starts.size() || (!axes.empty() && axes.size() != starts.size()) ||
      (!steps.empty() && steps.size() != starts.size()))
    ag::fail("Slice", "starts, ends, axes and steps must be alike, got {}, {}, {} and {}",
             starts.size(), ends.size(), axes.size(), steps.size());
  for (std::size_t i = 0; i < starts.size(); ++i)
    x = sliced(x, axis_in("Slice", axes.empty() ? static_cast<std::int64_t>(i) : axes[i], x.ndim()),
               starts[i], ends[i], steps.empty() ? 1 : steps[i]);
  return x;
}

Run slice(Node& node) {
  if (node.opset < 10)
    return unary([starts = node.integers("starts").value_or(Integers()),
                  ends = node.integers("ends").value_or(Integers()),
                  axes = node.integers("axes").value_or(Integers())](const Tensor& x) {
      return sliced(x, starts, ends, axes, {});
    });
  return [](const Call& call) {
    return one(sliced(call[0], call.integers(1), call.integers(2),
                      call.has(3) ? call.integers(3) : Integers(),
                      call.has(4) ? call.integers(4) : Integers()));
  };
}

// What sums of such numbers cannot overflow.
std::int64_t checked_width(std::string_view op, std::int64_t width) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (width < -kMost || width > kMost)
    ag::fail(op, "widths must be in [-2^40, 2^40], got {}", width);
  return width;
}

// `pads` are {begin…, end…} of `axes`.
Tensor padded(const Tensor& x, const Integers& pads, Integers axes, ag::PadMode mode,
              double value) {
  if (axes.empty())
    for (std::int64_t i = 0; i < x.ndim(); ++i) axes.push_back(i);
  if (pads.size() != 2 * axes.size())
    ag::fail("Pad", "there must be two widths for each axis, got {} for {}", pads.size(),
             axes.size());
  Integers widths(static_cast<std::size_t>(2 * x.ndim()));
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto from_last = x.ndim() - 1 - axis_in("Pad", axes[i], x.ndim());
    widths[static_cast<std::size_t>(2 * from_last)] = checked_width("Pad", pads[i]);
    widths[static_cast<std::size_t>(2 * from_last + 1)] =
        checked_width("Pad", pads[axes.size() + i]);
  }
  if (std::all_of(widths.begin(), widths.end(), [](auto w) { return w == 0; })) return x;
  return ag::pad(x, axes_of(widths), mode, value);
}

Run pad(Node& node) {
  using enum ag::PadMode;
  const auto mode = choice<ag::PadMode>(
      node, "mode", node.text("mode", "constant"),
      {{"constant", constant}, {"reflect", reflect}, {"edge", replicate}, {"wrap", circular}});
  if (node.opset >= 11)
    return [mode](const Call& call) {
      return one(padded(call[0], call.integers(1), call.has(3) ? call.integers(3) : Integers(),
                        mode, call.has(2) ? call.number(2) : 0));
    };
  const auto pads = node.integers(node.opset < 2 ? "paddings" : "pads");
  if (!pads) node.refuse("attribute pads must be there");
  return unary([=, value = node.number("value", 0)](const Tensor& x) {
    return padded(x, *pads, {}, mode, value);
  });
}

Run center_crop_pad(Node& node) {
  return [axes = node.integers("axes")](const Call& call) {
    Tensor x = call[0];
    const Integers sizes = call.integers(1);
    if (axes && axes->size() != sizes.size())
      ag::fail("CenterCropPad", "there must be a size for each of {} axes, got {}", axes->size(),
               sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const auto axis =
          axis_in("CenterCropPad", axes ? (*axes)[i] : static_cast<std::int64_t>(i), x.ndim());
      const std::int64_t more = checked_width("CenterCropPad", sizes[i]) - x.size(axis);
      if (more < 0) x = ag::narrow(x, axis, -more / 2, sizes[i]);
      if (more > 0) x = padded(x, {more / 2, more - more / 2}, {axis}, ag::PadMode::constant, 0);
    }
    return one(x);
  };
}

// ---------------------------------------------------------------- blocks of pixels

Run depth_to_space(Node& node) {
  const std::int64_t b = node.integer("blocksize");
  if (b < 1 || b > 1 << 15) node.refuse("blocksize must be in [1, 2^15], got {}", b);
  const bool columns =
      choice<bool>(node, "mode", node.text("mode", "DCR"), {{"DCR", false}, {"CRD", true}});
  return unary([=](const Tensor& x) {
    const std::int64_t n = x.size(0), c = x.size(1) / (b * b), h = x.size(2), w = x.size(3);
    const Tensor y = columns ? ag::permute(ag::reshape(x, {n, c, b, b, h, w}), {0, 1, 4, 2, 5, 3})
                             : ag::permute(ag::reshape(x, {n, b, b, c, h, w}), {0, 3, 4, 1, 5, 2});
    return ag::reshape(y, {n, c, h * b, w * b});
  });
}
Run space_to_depth(Node& node) {
  const std::int64_t b = node.integer("blocksize");
  if (b < 1 || b > 1 << 15) node.refuse("blocksize must be in [1, 2^15], got {}", b);
  const bool columns =
      choice<bool>(node, "mode", node.text("mode", "DCR"), {{"DCR", false}, {"CRD", true}});
  return unary([=](const Tensor& x) {
    const std::int64_t n = x.size(0), c = x.size(1), h = x.size(2) / b, w = x.size(3) / b;
    const Tensor blocks = ag::reshape(x, {n, c, h, b, w, b});
    const Tensor y =
        columns ? ag::permute(blocks, {0, 1, 3, 5, 2, 4}) : ag::permute(blocks, {0, 3, 5, 1, 2, 4});
    return ag::reshape(y, {n, c * b * b, h, w});
  });
}

Run trilu(Node& node) {
  return [upper = node.flag("upper", true)](const Call& call) {
    constexpr std::int64_t kFar = std::int64_t{1} << 40;
    const std::int64_t k = call.has(1) ? std::clamp(call.integer(1), -kFar, kFar) : 0;
    return one(upper ? ag::triu(call[0], k) : ag::tril(call[0], k));
  };
}

// ---------------------------------------------------------------- shapes

Run shape(Node& node) {
  const std::int64_t start = node.integer("start", 0);
  const std::optional<std::int64_t> end =
      node.has("end") ? std::optional(node.integer("end")) : std::nullopt;
  return unary([=](const Tensor& x) {
    const auto bound = [&](std::int64_t i) {
      return std::clamp<std::int64_t>(i < 0 ? i + x.ndim() : i, 0, x.ndim());
    };
    const std::int64_t from = bound(start), to = std::max(from, end ? bound(*end) : x.ndim());
    return host(Integers(x.shape().begin() + from, x.shape().begin() + to));
  });
}
Run size(Node&) {
  return unary([](const Tensor& x) { return host(Integers{x.numel()}, ag::Shape()); });
}
Run identity(Node&) {
  return [](const Call& call) { return Values{call.inputs[0]}; };
}

constexpr Operator kOperators[] = {
    {"CenterCropPad", center_crop_pad, 2, 2},
    {"Concat", concat, 1, kAny},
    {"DepthToSpace", depth_to_space, 1, 1},
    {"Expand", expand, 2, 2},
    {"Flatten", flatten, 1, 1},
    {"Identity", identity, 1, 1},
    {"Pad", pad, 1, 4},
    {"Reshape", reshape, 1, 2},
    {"Shape", shape, 1, 1, Step::Kind::shape},
    {"Size", size, 1, 1, Step::Kind::shape},
    {"Slice", slice, 1, 5},
    {"SpaceToDepth", space_to_depth, 1, 1},
    {"Split", split, 1, 2},
    {"Squeeze", squeeze, 1, 2},
    {"Tile", tile, 2, 2},
    {"Transpose", transpose, 1, 1},
    {"Trilu", trilu, 1, 2},
    {"Unsqueeze", unsqueeze, 1, 2},
};

}  // namespace

std::span<const Operator> movement_operators() { return kOperators; }

}  // namespace nn::interpreter
