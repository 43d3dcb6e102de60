#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "autograd/ops/ops.hpp"
#include "nn/onnx/internal/save/table.hpp"

// Convolutions, pooling and resampling.
namespace nn::onnx_out {
namespace {

using Sizes = std::vector<std::int64_t>;

// Window i of an axis of `in` elements begins at i · stride - before.
struct Axis {
  std::int64_t in, out, kernel, stride, dilation, before;
  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
  /// What is missing behind the last window; negative where some elements are left over.
  std::int64_t after() const { return (out - 1) * stride + reach() - in - before; }
};

NodeAttributes windows(const std::vector<Axis>& axes, bool dilations = true) {
  Sizes kernel, stride, dilation, pads;
  for (const Axis& a : axes) {
    kernel.push_back(a.kernel), stride.push_back(a.stride), dilation.push_back(a.dilation);
    pads.push_back(a.before);
  }
  for (const Axis& a : axes) pads.push_back(std::max<std::int64_t>(a.after(), 0));
  NodeAttributes attributes{{"kernel_shape", kernel}, {"strides", stride}, {"pads", pads}};
  if (dilations) attributes.push_back({"dilations", dilation});
  return attributes;
}

// ---------------------------------------------------------------- convolution

std::vector<Axis> convolved(const Call& call) {
  const Sizes in = call.integers("sizes.in"), out = call.integers("sizes.out"),
              kernel = call.integers("sizes.kernel"), stride = call.integers("sizes.stride"),
              dilation = call.integers("sizes.dilation"), before = call.integers("sizes.before");
  std::vector<Axis> axes;
  for (std::size_t d = 3 - static_cast<std::size_t>(call.integer("axes")); d < 3; ++d)
    axes.push_back({in[d], out[d], kernel[d], stride[d], dilation[d], before[d]});
  for (const Axis& a : axes)
    if (a.before < 0) call.refuse("negative padding");
  return axes;
}

Names operands(const Call& call) {
  Names in{call.in(0), call.in(1)};
  if (call.flag("biased")) in.push_back(call.in(2));
  return in;
}

void conv(const Call& call) {
  const std::vector<Axis> axes = convolved(call);
  NodeAttributes attributes = windows(axes);
  attributes.push_back({"group", call.integer("sizes.groups")});
  call.result(call.graph.node("Conv", operands(call), attributes));
}

// What is missing behind the last window is cut off; what is left over is added.
void conv_transpose(const Call& call) {
  const std::vector<Axis> axes = convolved(call);
  NodeAttributes attributes = windows(axes);
  Sizes added;
  for (const Axis& a : axes) added.push_back(std::max<std::int64_t>(-a.after(), 0));
  attributes.push_back({"output_padding", added});
  attributes.push_back({"group", call.integer("sizes.groups")});
  call.result(call.graph.node("ConvTranspose", operands(call), attributes));
}

// ---------------------------------------------------------------- pooling

std::vector<Axis> pooled(const Call& call) {
  std::vector<Axis> axes;
  for (std::int64_t d = 3 - call.integer("axes"); d < 3; ++d) {
    const auto of = [&](const char* what) {
      return call.integer(fmt::format("along.{}.{}", d, what));
    };
    axes.push_back({of("in"), of("out"), of("kernel"), of("stride"), of("dilation"), of("before")});
  }
  return axes;
}

// Windows that follow from the sizes, as those of a kernel; false where they differ.
bool make_regular(std::vector<Axis>& axes) {
  for (Axis& a : axes) {
    if (a.kernel != 0) continue;
    if (a.in % a.out != 0) return false;
    a.kernel = a.stride = a.in / a.out;
  }
  return true;
}

// The largest of windows that differ, axis by axis.
void irregular_max(const Call& call, const std::vector<Axis>& axes) {
  Graph& g = call.graph;
  if (call.wanted(1)) call.refuse("places in windows of several sizes");
  Name x = call.in(0);
  for (std::size_t d = 0; d < axes.size(); ++d) {
    const std::int64_t axis = static_cast<std::int64_t>(d) + 2, in = axes[d].in, n = axes[d].out;
    Names parts;
    for (std::int64_t i = 0; i < n; ++i) {
      const Dim from{i * in / n, 0, true}, to{((i + 1) * in + n - 1) / n, 0, true};
      parts.push_back(g.reduce("ReduceMax", g.slice(x, axis, from, to), {axis}));
    }
    x = parts.size() == 1 ? parts[0] : g.node("Concat", parts, {{"axis", axis}});
  }
  call.result(x);
}

void max_pool(const Call& call) {
  Graph& g = call.graph;
  std::vector<Axis> axes = pooled(call);
  if (!make_regular(axes)) return irregular_max(call, axes);
  const Names y = g.nodes("MaxPool", {call.in(0)}, call.wanted(1) ? 2 : 1, windows(axes));
  call.result(0, y[0]);
  if (!call.wanted(1)) return;
  std::int64_t plane = 1;  // to ONNX a place is one in the whole tensor
  for (const Axis& a : axes) plane *= a.in;
  const Expr place(g, y[1], ag::int64);
  call.result(1, binary("Mod", place, static_cast<double>(plane)).name);
}

// ---------------------------------------------------------------- resampling

// The matrix (out, in) of an operation that is linear along an axis: what it makes of the unit
// vectors.
ag::Tensor matrix(const Call& call, std::int64_t axis, std::int64_t in, std::int64_t out) {
  ag::Shape from, to;
  from.resize(static_cast<std::size_t>(axis), 1);
  from.push_back(in), from.push_back(in);
  to.resize(static_cast<std::size_t>(axis), 1);
  to.push_back(out), to.push_back(in);
  const ag::DType dtype = call.dtype(0);
  const ag::Tensor units = ag::reshape(ag::eye(in, dtype), from);
  ag::TensorList result{ag::zeros(to, dtype)};
  call.step.operation[0]->run(ag::Inputs(std::array{&units}), {result.data(), 1});
  return ag::reshape(result[0], {out, in});
}

// Where the only number of a row stands that is not 0, if that is 1; else -1.
std::int64_t place_of_one(std::span<const double> row) {
  const auto at = std::ranges::find(row, 1.0);
  const bool alone = std::ranges::count(row, 0.0) == std::ssize(row) - 1;
  return alone && at != row.end() ? at - row.begin() : -1;
}

void interpolate(const Call& call) {
  Graph& g = call.graph;
  const std::int64_t axis = call.integer("axis");
  const auto a = static_cast<std::size_t>(axis);
  const std::int64_t in = sizes({call.shape(0)[a]})[0], out = sizes({call.result_shape()[a]})[0];
  const ag::Tensor weights = matrix(call, axis, in, out);
  const auto numbers = weights.to(ag::float64).to_vector<double>();
  Sizes places;
  for (std::int64_t i = 0; i < out; ++i)
    places.push_back(place_of_one(std::span(numbers).subspan(static_cast<std::size_t>(i * in),
                                                             static_cast<std::size_t>(in))));
  if (std::ranges::find(places, -1) == places.end())
    return call.result(g.node("Gather", {call.in(0), g.list(places)}, {{"axis", axis}}));
  if (axis + 1 == call.rank(0))
    return call.result(g.node("MatMul", {call.in(0), g.constant(ag::transpose(weights, 0, 1))}));
  std::vector<std::int64_t> order;
  for (std::int64_t d = 0; d < call.rank(0); ++d) order.push_back(d);
  std::swap(order[a], order.back());
  const Name last = g.transpose(call.in(0), order);
  const Name y = g.node("MatMul", {last, g.constant(ag::transpose(weights, 0, 1))});
  call.result(g.transpose(y, order));
}

}  // namespace

void add_spatial(Table& t) {
  for (const char* n : {"1d", "2d", "3d"}) {
    t.by_name[std::string("conv") + n] = conv;
    t.by_name[std::string("conv_transpose") + n] = conv_transpose;
    t.by_name[std::string("max_pool") + n] = max_pool;
    t.by_name[std::string("adaptive_max_pool") + n] = max_pool;
  }
  t.by_name["interpolate"] = t.by_name["interpolate_transposed"] = interpolate;
}

}  // namespace nn::onnx_out
