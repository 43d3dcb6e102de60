#include <limits>

#include "autograd/elementwise/builtins.hpp"
#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// and, or, xor of bool tensors.
struct Logical {
  std::string_view text;
  XGRAD_ATTRIBUTES(text)

  std::string_view name() const { return text; }
  TensorSpec infer(const Inputs& in) const {
    for (std::size_t i = 0; i < 2; ++i)
      if (in[i].dtype() != boolean)
        fail(text, "needs bool, got {}; compare, or use logical_{}", autograd::name(in[i].dtype()),
             text);
    return {shapes::broadcast(text, in[0].shape(), in[1].shape()), boolean};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (text == "and") return loop(in, out, [](bool a, bool b) { return a & b; });
    if (text == "or") return loop(in, out, [](bool a, bool b) { return a | b; });
    loop(in, out, [](bool a, bool b) { return a ^ b; });
  }
  template <class F>
  static void loop(const Inputs& in, Tensor& out, F f) {
    const Shape* shapes[] = {&in[0].shape(), &in[1].shape()};
    const internal::BroadcastLoop loop(shapes, out.shape());
    const auto* a = static_cast<const bool*>(in[0].raw());
    const auto* b = static_cast<const bool*>(in[1].raw());
    auto* o = static_cast<bool*>(out.raw_mutable());
    const auto sa = loop.inner_step(0), sb = loop.inner_step(1);
    loop.run([&](const std::int64_t* at, std::int64_t out_at) {
      for (std::int64_t i = 0; i < loop.inner(); ++i)
        o[out_at + i] = f(a[at[0] + i * sa], b[at[1] + i * sb]);
    });
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, in.aligned()); }
};

}  // namespace

Tensor nan_to_num(const Tensor& x, double nan, std::optional<double> posinf,
                  std::optional<double> neginf) {
  const detail::Named as("nan_to_num");
  if (!is_floating(x.dtype())) return x;
  const double most =
      x.dtype() == float32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  const Tensor y = where(x == kInfinity, posinf.value_or(most), x);
  return where(x != x, nan, where(x == -kInfinity, neginf.value_or(-most), y));
}

Tensor isnan(const Tensor& x) {
  const detail::Named as("isnan");
  return x != x;
}
Tensor isinf(const Tensor& x) {
  const detail::Named as("isinf");
  if (!is_floating(x.dtype())) return isnan(x);
  return abs(x.detach()) == kInfinity;
}
Tensor isfinite(const Tensor& x) {
  const detail::Named as("isfinite");
  if (!is_floating(x.dtype())) return x == x;
  return abs(x.detach()) < kInfinity;
}

Tensor operator&(const Tensor& a, const Tensor& b) { return apply(Logical{"and"}, a, b); }
Tensor operator|(const Tensor& a, const Tensor& b) { return apply(Logical{"or"}, a, b); }
Tensor operator^(const Tensor& a, const Tensor& b) { return apply(Logical{"xor"}, a, b); }
Tensor operator~(const Tensor& x) {
  internal::check_defined("not", x);
  if (x.dtype() != boolean)
    fail("not", "needs bool, got {}; compare, or use logical_not", name(x.dtype()));
  return apply(Logical{"xor"}, x, ones({}, boolean));
}
Tensor logical_and(const Tensor& a, const Tensor& b) {
  const detail::Named as("logical_and");
  return a.to(boolean) & b.to(boolean);
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  const detail::Named as("logical_or");
  return a.to(boolean) | b.to(boolean);
}
Tensor logical_xor(const Tensor& a, const Tensor& b) {
  const detail::Named as("logical_xor");
  return a.to(boolean) ^ b.to(boolean);
}
Tensor logical_not(const Tensor& x) {
  const detail::Named as("logical_not");
  return ~x.to(boolean);
}

}  // namespace autograd
