#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

// The value of a Constant, whatever attribute holds it.
Tensor constant_of(Node& node) {
  Tensor value = node.tensor("value");
  const auto put = [&](Tensor t) {
    if (value.defined()) node.refuse("must have one value, got several");
    value = std::move(t);
  };
  if (node.has("value_int")) put(host(Integers{node.integer("value_int")}, ag::Shape()));
  if (const auto values = node.integers("value_ints")) put(host(*values));
  if (node.has("value_float"))
    put(host(std::vector<double>{node.number("value_float")}, {}, ag::float32));
  if (const auto values = node.numbers("value_floats"))
    put(host(*values, {static_cast<std::int64_t>(values->size())}, ag::float32));
  if (!value.defined()) node.refuse("must have a value of numbers");
  return value;
}
Run constant(Node& node) {
  return [value = constant_of(node)](const Call&) { return one(value); };
}

// Memory is taken for what a file says: shapes from constants may say anything.
ag::Shape checked_shape(const Integers& sizes) {
  const ag::Shape shape = shape_of(sizes);
  constexpr std::int64_t kMost = std::int64_t{1} << 34;
  if (ag::shapes::check("shape", shape) > kMost)
    ag::fail("shape", "there must be at most {} elements, got shape {}", kMost, shape);
  return shape;
}

Run constant_of_shape(Node& node) {
  Tensor value = node.tensor("value");
  if (!value.defined()) value = ag::zeros({1});
  if (value.numel() != 1) node.refuse("value must be one number, got shape {}", value.shape());
  return [value = ag::reshape(value, {})](const Call& call) {
    const ag::Shape shape = checked_shape(call.integers(0));
    return one(ag::broadcast_to(value, shape));
  };
}

Run range(Node& node) {
  node.ignore("stash_type");
  return [](const Call& call) {
    const ag::DType dtype = call[0].dtype();
    if (dtype == ag::int64) {
      const std::int64_t start = call.integer(0), limit = call.integer(1), step = call.integer(2);
      constexpr std::int64_t kFar = std::int64_t{1} << 61;
      if (step == 0 || std::min({start, limit, step}) < -kFar ||
          std::max({start, limit, step}) > kFar)
        ag::fail("Range", "numbers must be in [-2^61, 2^61], and delta not 0, got {}, {} and {}",
                 start, limit, step);
      if (step > 0 ? start >= limit : start <= limit) return one(ag::arange(0));
      return one(ag::arange(start, limit, step));
    }
    const double start = call.number(0), step = call.number(2);
    const double count = std::max(std::ceil((call.number(1) - start) / step), 0.0);
    if (!(count < 1e9)) ag::fail("Range", "there must be a number of elements, got {}", count);
    return one(ag::arange(static_cast<std::int64_t>(count)).to(dtype) * step + start);
  };
}

ag::DType dtype_attribute(Node& node, std::string_view attribute, ag::DType fallback) {
  return node.has(attribute) ? dtype_of_type(node.place(), node.integer(attribute)) : fallback;
}

Run eye_like(Node& node) {
  const std::int64_t k = node.integer("k", 0);
  const bool same = !node.has("dtype");
  const ag::DType dtype = dtype_attribute(node, "dtype", ag::float32);
  return unary([=](const Tensor& x) {
    const std::int64_t n = x.size(0), m = x.size(1);
    const Tensor rows = ag::unsqueeze(ag::arange(n), 1), columns = ag::arange(m);
    return (columns - rows == static_cast<double>(k)).to(same ? x.dtype() : dtype);
  });
}

// ---------------------------------------------------------------- random numbers

// Those of a node with a seed are always the same; others come from this thread's generator.
std::function<Tensor(const std::function<Tensor(ag::Generator&)>&)> source(Node& node) {
  if (!node.has("seed")) return [](const auto& draw) { return draw(ag::default_generator()); };
  const double seed = node.number("seed");
  return [seed](const auto& draw) {
    ag::Generator g(static_cast<std::uint64_t>(static_cast<std::int64_t>(seed)));
    return draw(g);
  };
}

template <bool normal, bool like>
Run random(Node& node) {
  const double a = normal ? node.number("mean", 0) : node.number("low", 0);
  const double b = normal ? node.number("scale", 1) : node.number("high", 1) - a;
  const auto from = source(node);
  const bool same = like && !node.has("dtype");
  const ag::DType dtype = dtype_attribute(node, "dtype", ag::float32);
  const Integers sizes = like ? Integers() : node.integers("shape").value_or(Integers());
  return [=](const Call& call) {
    const ag::Shape shape = like ? call[0].shape() : checked_shape(sizes);
    const ag::DType type = same ? call[0].dtype() : dtype;
    return one(from([&](ag::Generator& g) {
      return (normal ? ag::randn(shape, type, g) : ag::rand(shape, type, g)) * b + a;
    }));
  };
}

Run bernoulli(Node& node) {
  const auto from = source(node);
  const bool same = !node.has("dtype");
  const ag::DType dtype = dtype_attribute(node, "dtype", ag::float32);
  return unary([=](const Tensor& p) {
    const Tensor drawn = from([&](ag::Generator& g) { return ag::rand_like(p, g); });
    return (drawn < p).to(same ? p.dtype() : dtype);
  });
}

// ---------------------------------------------------------------- windows

Run window(Node& node) {
  const bool periodic = node.flag("periodic", true);
  const ag::DType dtype = dtype_attribute(node, "output_datatype", ag::float32);
  const auto shape = [](std::string_view op) -> std::array<double, 3> {
    if (op == "HannWindow") return {0.5, 0.5, 0};
    if (op == "HammingWindow") return {25.0 / 46, 21.0 / 46, 0};
    return {0.42, 0.5, 0.08};  // Blackman's
  };
  return [=, c = shape(node.op)](const Call& call) {
    const std::int64_t n = call.integer(0);
    if (n < 0 || n > (1 << 24)) ag::fail("window", "its size must be in [0, 2^24], got {}", n);
    const double turn =
        2 * std::numbers::pi / static_cast<double>(periodic ? n : std::max<std::int64_t>(n - 1, 1));
    std::vector<double> w;
    for (std::int64_t i = 0; i < n; ++i)
      w.push_back(c[0] - c[1] * std::cos(turn * static_cast<double>(i)) +
                  c[2] * std::cos(2 * turn * static_cast<double>(i)));
    return one(host(w, {n}, dtype));
  };
}

using Kind = Step::Kind;
constexpr Operator kOperators[] = {
    {"Bernoulli", bernoulli, 1, 1, Kind::random},
    {"BlackmanWindow", window, 1, 1},
    {"Constant", constant, 0, 0},
    {"ConstantOfShape", constant_of_shape, 1, 1},
    {"EyeLike", eye_like, 1, 1, Kind::shape},
    {"HammingWindow", window, 1, 1},
    {"HannWindow", window, 1, 1},
    {"RandomNormal", random<true, false>, 0, 0, Kind::random},
    {"RandomNormalLike", random<true, true>, 1, 1, Kind::random},
    {"RandomUniform", random<false, false>, 0, 0, Kind::random},
    {"RandomUniformLike", random<false, true>, 1, 1, Kind::random},
    {"Range", range, 3, 3},
};

}  // namespace

std::span<const Operator> creation_operators() { return kOperators; }

}  // namespace nn::interpreter
