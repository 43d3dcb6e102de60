#include "nn/optim/muon.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/core/errors.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"

namespace nn::optim {
namespace {

constexpr Range few{"at least 0 and below 100", [](double x) { return x >= 0 && x < 100; }};

// Singular values of about 1 in place of those of g: each step is the polynomial
// a x + b x³ + c x⁵ of them.
ag::Tensor orthogonalized(const ag::Tensor& g, const MuonOptions& o) {
  const auto [a, b, c] = o.ns_coefficients;
  const bool tall = g.size(0) > g.size(1);
  ag::Tensor x = tall ? ag::transpose(g) : g;
  x = x / ag::clamp(ag::norm(x), o.eps);
  for (std::int64_t i = 0; i < o.ns_steps; ++i) {
    const ag::Tensor gram = ag::matmul(x, ag::transpose(x));
    x = a * x + ag::matmul(b * gram + c * ag::matmul(gram, gram), x);
  }
  return tall ? ag::transpose(x) : x;
}

double adjusted(double lr, AdjustLr how, double rows, double columns) {
  switch (how) {
    case AdjustLr::match_rms_adamw:
      return lr * 0.2 * std::sqrt(std::max(rows, columns));
    case AdjustLr::spectral_unclamped:
      return lr * std::sqrt(rows / columns);
    default:
      return lr * std::sqrt(std::max(1.0, rows / columns));
  }
}

}  // namespace

Muon::Muon(const ag::TensorList& params, const MuonOptions& options)
    : Muon(std::vector<Group>{{params, options}}) {}

Muon::Muon(const std::vector<Group>& groups) : GroupedOptimizer("Muon", {"momentum_buffer"}) {
  if (groups.empty()) add_slots({});  // refused
  for (const Group& group : groups) add_param_group(group);
}

void Muon::add_param_group(const Group& group) {
  for (const ag::Tensor& p : group.params)
    if (p.defined() && p.ndim() != 2)
      ag::fail(name(), "parameters must be matrices, got one of shape {}; use AdamW for it",
               p.shape());
  GroupedOptimizer::add_param_group(group);
}

void Muon::update(const MuonOptions& o, Slot& slot, const ag::Tensor& gradient) const {
  if (gradient.numel() == 0) return;
  const ag::NoGrad no_grad;
  ag::Tensor parameter = slot.parameter, &mean = slot.buffers[0];
  if (!mean.defined()) mean = ag::zeros_like(gradient);
  mean.copy_(ag::lerp(mean, gradient, 1 - o.momentum));
  const ag::Tensor step = o.nesterov ? ag::lerp(gradient, mean, o.momentum) : mean;
  const double lr = adjusted(o.lr, o.adjust_lr_fn, static_cast<double>(gradient.size(0)),
                             static_cast<double>(gradient.size(1)));
  parameter.copy_(parameter.detach() * (1 - o.lr * o.weight_decay) - lr * orthogonalized(step, o));
}

void Muon::visit_options(MuonOptions& o, OptionVisitor& visitor) const {
  visitor("lr", o.lr, not_negative);
  visitor("weight_decay", o.weight_decay, not_negative);
  visitor("momentum", o.momentum, fraction);
  visitor("nesterov", o.nesterov);
  visitor("ns_coefficient1", o.ns_coefficients[0]);
  visitor("ns_coefficient2", o.ns_coefficients[1]);
  visitor("ns_coefficient3", o.ns_coefficients[2]);
  visitor("eps", o.eps, not_negative);
  visitor("ns_steps", o.ns_steps, few);
  visitor("adjust_lr_fn", o.adjust_lr_fn, {"original", "match_rms_adamw", "spectral_unclamped"});
}

}  // namespace nn::optim
