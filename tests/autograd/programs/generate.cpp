#include <algorithm>
#include <cmath>
#include <random>

#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

using Engine = std::mt19937_64;

// In [0, n); the standard distributions differ between libraries.
std::int64_t below(Engine& e, std::int64_t n) {
  return static_cast<std::int64_t>(e() % static_cast<std::uint64_t>(n));
}

double uniform(Engine& e, double low, double high) {
  return low + (high - low) * static_cast<double>(e() >> 11) * 0x1p-53;
}

Shape factor(Engine& e, std::int64_t n) {
  Shape s;
  while (n > 1 && s.size() < 3) {
    const std::int64_t f = 1 + below(e, n);
    if (n % f != 0) continue;
    s.push_back(f);
    n /= f;
  }
  s.push_back(n);
  return s;
}

Tensor indices(Engine& e, const Shape& shape, std::int64_t n) {
  Tensor t = ag::zeros(shape, ag::int64);
  auto* p = t.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = below(e, 2 * n) - n;
  return t;
}

// Inputs of one program broadcast mostly: each keeps some last axes of one shape, with ones in it.
Shape input_shape(Engine& e, const Shape& base) {
  Shape s(base.end() - below(e, base.ndim() + 1), base.end());
  for (auto& n : s)
    if (below(e, 4) == 0) n = 1;
  return s;
}

Tensor values(Engine& e, const Shape& shape) {
  Tensor t = ag::empty(shape, ag::float64);
  auto* p = t.mutable_data<double>();
  const double low = below(e, 2) ? -1.5 : 0.3;
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = uniform(e, low, 1.5);
  return t;
}

bool moderate(const Tensor& t) {
  if (t.numel() > 150 || t.ndim() > 5) return false;
  const auto v = t.to_vector<double>();
  return std::all_of(v.begin(), v.end(), [](double x) { return std::abs(x) < 6; });
}

}  // namespace

Arguments detail::bind(const Step& step, TensorList operands) {
  Engine e(step.choice);
  Arguments x;
  x.in = std::move(operands);
  const Tensor& a = x.in[0];
  const std::int64_t rank = std::max<std::int64_t>(a.ndim(), 1);
  x.axis = below(e, 2 * rank) - rank;
  x.other = below(e, rank);
  x.flag = below(e, 2) == 1;
  x.number = 0.25 * static_cast<double>(below(e, 9) - 3);
  x.step = 1 + below(e, 2);
  for (std::int64_t i = 0; i < a.ndim(); ++i) x.order.push_back(i);
  for (std::size_t i = x.order.size(); i > 1; --i)
    std::swap(x.order[i - 1], x.order[static_cast<std::size_t>(below(e, i))]);
  if (a.numel() > 0) {
    x.shape = factor(e, a.numel());
    const std::int64_t n = a.ndim() ? a.size(x.axis) : 1;
    x.start = below(e, n);
    x.length = 1 + below(e, n - x.start);
    x.entry = below(e, 2 * n) - n;
    x.index = indices(e, {1 + below(e, 4)}, n);
    Shape grid = a.shape();
    if (a.ndim()) grid[static_cast<std::size_t>((x.axis + rank) % rank)] = 1 + below(e, 3);
    x.grid = indices(e, grid, n);
  } else {
    x.shape = {0, 2};
    x.index = ag::zeros({0}, ag::int64);
    x.grid = ag::zeros(a.shape(), ag::int64);
  }
  return x;
}

std::optional<std::vector<Tensor>> detail::run(const std::vector<Op>& ops, const Program& program,
                                               const TensorList& inputs,
                                               const std::vector<Tensor>* held) {
  std::vector<Tensor> all(inputs.begin(), inputs.end());
  for (const Step& step : program.steps) {
    const Op& op = ops[step.op];
    if (held && op.constant) {
      all.push_back((*held)[all.size()].detach());
      continue;
    }
    TensorList operands;
    for (const std::size_t i : step.operands) operands.push_back(all[i]);
    const Arguments x = bind(step, std::move(operands));
    if (!held && !op.fits(x)) return {};
    all.push_back(op.call(x));
    if (!held && !moderate(all.back())) return {};
  }
  return all;
}

std::vector<std::size_t> detail::heads(const Program& program) {
  std::vector<bool> used(program.inputs.size() + program.steps.size());
  for (const Step& step : program.steps)
    for (const std::size_t i : step.operands) used[i] = true;
  std::vector<std::size_t> unused;
  for (std::size_t i = program.inputs.size(); i < used.size(); ++i)
    if (!used[i]) unused.push_back(i);
  return unused;
}

Program generate(const std::vector<Op>& ops, std::uint64_t seed, std::size_t steps) {
  const ag::NoGrad off;
  Engine e(seed * 0x9E3779B97F4A7C15u + 1);
  Program program;
  Shape base;
  for (std::int64_t rank = below(e, 4); rank > 0; --rank)
    base.push_back(below(e, 40) == 0 ? 0 : 1 + below(e, 4));
  for (std::int64_t n = 1 + below(e, 4); n > 0; --n)
    program.inputs.push_back(values(e, input_shape(e, base)));
  std::vector<Tensor> all = program.inputs;
  for (std::size_t attempts = 0; program.steps.size() < steps && attempts < 100 * steps;
       ++attempts) {
    Step step{static_cast<std::size_t>(below(e, static_cast<std::int64_t>(ops.size()))), {}, e()};
    const Op& op = ops[step.op];
    TensorList operands;
    for (std::size_t i = 0; i < op.operands; ++i) {
      // Half of the operands are recent, which makes deep programs; the others any, often again.
      const auto n = static_cast<std::int64_t>(all.size());
      const auto at = below(e, 2) ? n - 1 - below(e, std::min<std::int64_t>(n, 4)) : below(e, n);
      step.operands.push_back(static_cast<std::size_t>(at));
      operands.push_back(all[step.operands.back()]);
    }
    const Arguments x = detail::bind(step, std::move(operands));
    if (!op.fits(x)) continue;
    const Tensor y = op.call(x);
    if (!moderate(y)) continue;
    all.push_back(y);
    program.steps.push_back(std::move(step));
  }
  return program;
}

}  // namespace programs
