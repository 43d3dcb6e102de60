#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"
#include "nn/onnx/internal/load/whole_numbers.hpp"

namespace nn::interpreter {
namespace {

using Function = Tensor (*)(const Tensor&);
template <Function f>
Run plain(Node& node) {
  node.ignore("consumed_inputs");
  return unary(f);
}
// Where it does nothing to whole numbers, or has no formula for them.
template <Function f>
Run rounding(Node&) {
  return unary([](const Tensor& x) { return ag::is_floating(x.dtype()) ? f(x) : x; });
}

using Pair = Tensor (*)(const Tensor&, const Tensor&);

// Before opset 7 the second operand is repeated only where the node says so, from an axis on.
Tensor placed(const Tensor& a, const Tensor& b, std::int64_t axis) {
  const std::int64_t first = axis_in("axis", axis, a.ndim());
  ag::Shape shape = b.shape();
  while (first + static_cast<std::int64_t>(shape.size()) < a.ndim()) shape.push_back(1);
  return ag::reshape(b, shape);
}

Run binary_of(Node& node, std::function<Tensor(const Tensor&, const Tensor&)> f) {
  if (node.opset >= 7) return [f](const Call& call) { return one(f(call[0], call[1])); };
  node.ignore("consumed_inputs");
  const bool broadcast = node.flag("broadcast");
  if (!broadcast || !node.has("axis")) {
    node.ignore("axis");
    return [f](const Call& call) { return one(f(call[0], call[1])); };
  }
  return [f, axis = node.integer("axis")](const Call& call) {
    return one(f(call[0], placed(call[0], call[1], axis)));
  };
}
template <Pair f>
Run binary(Node& node) {
  return binary_of(node, f);
}

Tensor divided(const Tensor& a, const Tensor& b) {
  if (ag::is_floating(a.dtype())) return ag::div(a, b);
  return whole_numbers("Div", a, b, divided_towards_zero);
}

Tensor power(const Tensor& a, const Tensor& b) {
  if (ag::is_floating(a.dtype())) return ag::pow(a, b.to(a.dtype()));
  if (!ag::is_floating(b.dtype())) return whole_numbers("Pow", a, b, whole_power);
  return ag::pow(a.to(b.dtype()), b).to(a.dtype());
}

Run mod(Node& node) {
  const bool as_c = node.flag("fmod"), both = node.opset >= 28;
  return [as_c, both](const Call& call) {
    const Tensor &a = call[0], &b = call[1];
    if (!ag::is_floating(a.dtype()))
      return one(whole_numbers("Mod", a, b, as_c ? remainder_of_c : remainder_of_python));
    if (!as_c && !both) ag::fail("Mod", "needs fmod=1 for {} before opset 28", ag::name(a.dtype()));
    return one(as_c ? ag::fmod(a, b) : ag::remainder(a, b));
  };
}

template <Pair f, bool mean>
Run variadic(Node& node) {
  node.ignore("consumed_inputs");
  return [](const Call& call) {
    Tensor total = call[0];
    for (std::size_t i = 1; i < call.size(); ++i) total = f(total, call[i]);
    return one(mean ? total / static_cast<double>(call.size()) : total);
  };
}

// ---------------------------------------------------------------- activations

Run elu(Node& node) {
  return unary([a = node.number("alpha", 1)](const Tensor& x) { return ag::elu(x, a); });
}
Run celu(Node& node) {
  return unary([a = node.number("alpha", 1)](const Tensor& x) { return ag::celu(x, a); });
}
Run selu(Node& node) {
  node.ignore("consumed_inputs");
  const bool old = node.opset < 6;
  const double alpha = node.number("alpha", old ? 1.6732 : 1.67326319217681884765625);
  const double gamma = node.number("gamma", old ? 1.0507 : 1.05070102214813232421875);
  return unary([=](const Tensor& x) { return ag::elu(x, alpha) * gamma; });
}
Run leaky_relu(Node& node) {
  node.ignore("consumed_inputs");
  return unary([a = node.number("alpha", 0.01)](const Tensor& x) { return ag::leaky_relu(x, a); });
}
Run prelu(Node& node) {
  const bool by_channel = node.opset < 7;
  return [by_channel](const Call& call) {
    const Tensor &x = call[0], &slope = call[1];
    if (by_channel && slope.numel() > 1) return one(ag::leaky_relu(x, placed(x, slope, 1)));
    return one(ag::leaky_relu(x, slope));
  };
}
Run thresholded_relu(Node& node) {
  return unary([a = node.number("alpha", 1)](const Tensor& x) { return ag::threshold(x, a, 0); });
}
Run hard_sigmoid(Node& node) {
  const double alpha = node.number("alpha", 0.2), beta = node.number("beta", 0.5);
  return unary([=](const Tensor& x) { return ag::hardtanh(x * alpha + beta, 0, 1); });
}
Run shrink(Node& node) {
  const double lambda = node.number("lambd", 0.5), bias = node.number("bias", 0);
  return unary([=](const Tensor& x) {
    return ag::where(x < -lambda, x + bias, ag::where(x > lambda, x - bias, x * 0));
  });
}
Run gelu(Node& node) {
  const bool tanh = choice<bool>(node, "approximate", node.text("approximate", "none"),
                                 {{"none", false}, {"tanh", true}});
  return unary(tanh ? ag::gelu_tanh : ag::gelu);
}
Tensor swish_of(const Tensor& x, double alpha) {
  return alpha == 1 ? ag::silu(x) : x * ag::sigmoid(x * alpha);
}
Run swish(Node& node) {
  return unary([a = node.number("alpha", 1)](const Tensor& x) { return swish_of(x, a); });
}
Run swiglu(Node& node) {
  return [a = node.number("alpha", 1)](const Call& call) {
    return one(swish_of(call[0], a) * call[1]);
  };
}
Run relu(Node& node) {
  node.ignore("consumed_inputs");
  return unary([](const Tensor& x) {
    return ag::is_floating(x.dtype()) ? ag::relu(x) : ag::where(x < 0, ag::zeros_like(x), x);
  });
}

// ---------------------------------------------------------------- Clip

Tensor limited(const Call& call) {
  const Tensor& x = call[0];
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const bool readable = (!call.has(1) || call.fixed(1)) && (!call.has(2) || call.fixed(2));
  if (readable && ag::is_floating(x.dtype()))
    return ag::clamp(x, call.has(1) ? call.number(1) : -kInf, call.has(2) ? call.number(2) : kInf);
  const Tensor low = call.has(1) ? ag::maximum(x, call[1]) : x;
  return call.has(2) ? ag::minimum(low, call[2]) : low;
}
Run clip(Node& node) {
  if (node.opset >= 11) return [](const Call& call) { return one(limited(call)); };
  node.ignore("consumed_inputs");
  constexpr double kMost = std::numeric_limits<float>::max();
  const double low = node.number("min", -kMost), high = node.number("max", kMost);
  return unary([=](const Tensor& x) { return ag::clamp(x, low, high); });
}

// ---------------------------------------------------------------- Cast

bool is_narrow(ElementType type) {
  return type == ElementType::uint8 || type == ElementType::int8 || type == ElementType::uint16 ||
         type == ElementType::int16 || type == ElementType::uint32 || type == ElementType::uint64;
}

// There are no narrower integers here: what would wrap around is refused. Whether int32 holds the
// elements of a computed tensor nobody can ask while a recording is made.
void check_range(const Tensor& x, ElementType type) {
  if (x.numel() == 0 || (!is_narrow(type) && (type != ElementType::int32 || ag::detail::tracing)))
    return;
  const auto [low, high] = range_of(type);
  for (const std::int64_t v : integers_of(x))
    if (v < low || v > high)
      ag::fail("Cast", "elements must be in the range of {}, [{}, {}], got {}",
               type_name(static_cast<std::int64_t>(type)), low, high, v);
}

Run cast(Node& node) {
  node.ignore("saturate");  // of float8
  node.ignore("round_mode");
  const auto to = node.integer("to");
  const ag::DType dtype = dtype_of_type(node.place(), to);
  return [=](const Call& call) {
    const Tensor &x = call[0], y = x.to(call.mode.dtype(dtype));
    if (dtype == ag::int64 && x.dtype() != ag::boolean)
      check_range(y, static_cast<ElementType>(to));
    return one(y);
  };
}
Run cast_like(Node& node) {
  node.ignore("saturate");
  node.ignore("round_mode");
  return [](const Call& call) { return one(call[0].to(call[1].dtype())); };
}

constexpr Operator kOperators[] = {
    {"Abs", plain<ag::abs>, 1, 1},
    {"Acos", plain<ag::acos>, 1, 1},
    {"Acosh", plain<ag::acosh>, 1, 1},
    {"Add", binary<ag::add>, 2, 2},
    {"Asin", plain<ag::asin>, 1, 1},
    {"Asinh", plain<ag::asinh>, 1, 1},
    {"Atan", plain<ag::atan>, 1, 1},
    {"Atanh", plain<ag::atanh>, 1, 1},
    {"Cast", cast, 1, 1},
    {"CastLike", cast_like, 2, 2},
    {"Ceil", rounding<ag::ceil>, 1, 1},
    {"Celu", celu, 1, 1},
    {"Clip", clip, 1, 3},
    {"Cos", plain<ag::cos>, 1, 1},
    {"Cosh", plain<ag::cosh>, 1, 1},
    {"Div", binary<divided>, 2, 2},
    {"Elu", elu, 1, 1},
    {"Erf", plain<ag::erf>, 1, 1},
    {"Exp", plain<ag::exp>, 1, 1},
    {"Floor", rounding<ag::floor>, 1, 1},
    {"Gelu", gelu, 1, 1},
    {"HardSigmoid", hard_sigmoid, 1, 1},
    {"HardSwish", plain<ag::hardswish>, 1, 1},
    {"LeakyRelu", leaky_relu, 1, 1},
    {"Log", plain<ag::log>, 1, 1},
    {"Max", variadic<ag::maximum, false>, 1, kAny},
    {"Mean", variadic<ag::add, true>, 1, kAny},
    {"Min", variadic<ag::minimum, false>, 1, kAny},
    {"Mish", plain<ag::mish>, 1, 1},
    {"Mod", mod, 2, 2},
    {"Mul", binary<ag::mul>, 2, 2},
    {"Neg", plain<ag::neg>, 1, 1},
    {"PRelu", prelu, 2, 2},
    {"Pow", binary<power>, 2, 2},
    {"Reciprocal", plain<ag::reciprocal>, 1, 1},
    {"Relu", relu, 1, 1},
    {"Round", plain<ag::round>, 1, 1},
    {"Selu", selu, 1, 1},
    {"Shrink", shrink, 1, 1},
    {"Sigmoid", plain<ag::sigmoid>, 1, 1},
    {"Sign", plain<ag::sign>, 1, 1},
    {"Sin", plain<ag::sin>, 1, 1},
    {"Sinh", plain<ag::sinh>, 1, 1},
    {"Softplus", plain<ag::softplus>, 1, 1},
    {"Softsign", plain<ag::softsign>, 1, 1},
    {"Sqrt", plain<ag::sqrt>, 1, 1},
    {"Sub", binary<ag::sub>, 2, 2},
    {"Sum", variadic<ag::add, false>, 1, kAny},
    {"SwiGLU", swiglu, 2, 2},
    {"Swish", swish, 1, 1},
    {"Tan", plain<ag::tan>, 1, 1},
    {"Tanh", plain<ag::tanh>, 1, 1},
    {"ThresholdedRelu", thresholded_relu, 1, 1},
};

}  // namespace

std::span<const Operator> elementwise_operators() { return kOperators; }

}  // namespace nn::interpreter
