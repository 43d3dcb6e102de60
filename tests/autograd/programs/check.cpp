#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "autograd/functional.hpp"
#include "autograd/tape/operation.hpp"
#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

// cos(0), cos(1), …: printed programs say the same.
Tensor weights(const Tensor& like) {
  return ag::reshape(ag::cos(ag::arange(like.numel(), ag::float64)), like.shape());
}

// A direction in the space of the inputs.
TensorList direction(const TensorList& inputs, double phase) {
  TensorList d;
  for (const Tensor& x : inputs) {
    d.push_back(ag::reshape(ag::sin(2.3 * ag::arange(x.numel(), ag::float64) + phase), x.shape()));
    phase += 0.7;
  }
  return d;
}

double dot(const TensorList& gradients, const TensorList& d) {
  double total = 0;
  for (std::size_t i = 0; i < d.size(); ++i)
    if (gradients[i].defined()) total += ag::sum(gradients[i] * d[i]).item();
  return total;
}

TensorList leaves(const TensorList& inputs) {
  TensorList fresh;
  for (const Tensor& x : inputs) fresh.push_back(x.detach().clone().requires_grad_());
  return fresh;
}

TensorList moved(const TensorList& inputs, const TensorList& d, double by) {
  const ag::NoGrad off;
  TensorList m;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    m.push_back((inputs[i] + by * d[i]).requires_grad_());
  return m;
}

bool same_bits(const Tensor& x, const Tensor& y) {
  if (x.defined() != y.defined()) return false;
  return !x.defined() ||
         (x.shape() == y.shape() &&
          std::memcmp(x.raw(), y.raw(), 8 * static_cast<std::size_t>(x.numel())) == 0);
}

class Checker {
 public:
  Checker(const std::vector<Op>& ops, const Program& program)
      : ops_(ops), program_(program), heads_(detail::heads(program)) {}

  Verdict run() {
    TensorList in = leaves(TensorList(program_.inputs));
    const auto base = detail::run(ops_, program_, in);
    if (!base || heads_.empty()) return {};
    held_ = *base;
    const Tensor value = loss(held_);
    if (!value.requires_grad()) return {.valid = true};
    const TensorList first = gradients(value, in, false);
    repeat(value, first);
    const TensorList d = direction(in, 0.4);
    compare("gradient", dot(first, d), 1e-6, [&](double by) {
      const ag::NoGrad off;
      return again(moved(in, d, by)).item();
    });
    if (!failure_) forward(d, first);
    if (!failure_) second_order(in, value, first);
    return {true, failure_};
  }

 private:
  Tensor loss(const std::vector<Tensor>& all) const {
    Tensor total;
    for (const std::size_t i : heads_) {
      const Tensor part = ag::sum(all[i] * weights(all[i]));
      total = total.defined() ? total + part : part;
    }
    return total;
  }
  Tensor again(const TensorList& in) const {
    return loss(*detail::run(ops_, program_, in, &held_));
  }
  static TensorList gradients(const Tensor& value, const TensorList& in, bool create_graph) {
    return ag::grad({value}, in,
                    {.retain_graph = true, .create_graph = create_graph, .allow_unused = true});
  }

  // Two runs, two walks over one graph, and backward() agree bit for bit.
  void repeat(const Tensor& value, const TensorList& first) {
    const TensorList in = leaves(TensorList(program_.inputs));
    const Tensor twin = again(in);
    if (!same_bits(value, twin)) return fail("two runs differ in the value");
    const TensorList other = gradients(twin, in, false), third = gradients(twin, in, false);
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (!same_bits(first[i], other[i])) return fail("two runs differ in the gradient");
      if (!same_bits(third[i], other[i])) return fail("two walks differ in the gradient");
    }
    twin.backward();
    for (std::size_t i = 0; i < first.size(); ++i)
      if (!same_bits(in[i].grad(), first[i])) return fail("backward() and grad() differ");
  }

  // The derivative along a direction is the same forward and backward.
  void forward(const TensorList& d, const TensorList& first) {
    const double along =
        ag::jvp([&](const TensorList& in) { return again(in); }, TensorList(program_.inputs), d)
            .item();
    double back = 0, size = 1;
    for (std::size_t i = 0; i < d.size(); ++i) {
      if (!first[i].defined()) continue;
      const Tensor parts = first[i] * d[i];
      back += ag::sum(parts).item();
      size += ag::sum(ag::abs(parts)).item();
    }
    if (!(std::abs(along - back) <= 1e-9 * size))
      fail(fmt::format("along a direction: forward {:.10g}, backward {:.10g}", along, back));
  }

  void second_order(const TensorList& in, const Tensor& value, const TensorList& first) {
    const TensorList recorded = gradients(value, in, true), u = direction(in, 1.9),
                     w = direction(in, 3.1);
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (first[i].defined() != recorded[i].defined())
        return fail("a gradient is defined only in one of the recorded and unrecorded walks");
      if (!first[i].defined()) continue;
      if (first[i].shape() != in[i].shape())
        return fail(fmt::format("the gradient of input {} has shape {}, got {}", i, in[i].shape(),
                                first[i].shape()));
      const double gap = ag::sum(ag::abs(first[i] - recorded[i])).item(),
                   size = ag::sum(ag::abs(first[i])).item();
      if (!(gap <= 1e-11 * (1 + size)))
        return fail(
            fmt::format("recorded and unrecorded gradients of input {} differ by {:.2g}", i, gap));
    }
    Tensor slope;
    for (std::size_t i = 0; i < u.size(); ++i) {
      if (!recorded[i].defined()) continue;
      const Tensor part = ag::sum(recorded[i] * u[i]);
      slope = slope.defined() ? slope + part : part;
    }
    const bool curved = slope.defined() && slope.requires_grad();
    compare("gradient of the gradient", curved ? dot(gradients(slope, in, false), w) : 0, 1e-5,
            [&](double by) {
              const TensorList at = moved(in, w, by);
              const Tensor y = again(at);
              return y.requires_grad() ? dot(gradients(y, at, false), u) : 0;
            });
  }

  // One step size that agrees is enough: a kink may be near, or a third derivative large.
  template <class F>
  void compare(std::string_view what, double analytic, double tolerance, F&& f) {
    double best = INFINITY, numeric = 0;
    for (const double eps : {1e-5, 1e-6, 1e-4, 1e-7, 1e-3}) {
      const double n = (f(eps) - f(-eps)) / (2 * eps);
      const double gap = std::abs(analytic - n) / std::max(1.0, std::abs(n));
      if (gap < best) best = gap, numeric = n;
      if (best <= tolerance) return;
    }
    fail(fmt::format("the {} along a direction: analytic {:.10g}, numeric {:.10g}", what, analytic,
                     numeric));
  }

  void fail(std::string text) {
    if (!failure_) failure_ = Failure{std::move(text)};
  }

  const std::vector<Op>& ops_;
  const Program& program_;
  std::vector<std::size_t> heads_;
  std::vector<Tensor> held_;
  std::optional<Failure> failure_;
};

}  // namespace

Verdict check(const std::vector<Op>& ops, const Program& program) {
  try {
    return Checker(ops, program).run();
  } catch (const std::exception& e) {
    return {true, Failure{fmt::format("threw: {}", e.what())}};
  }
}

}  // namespace programs
