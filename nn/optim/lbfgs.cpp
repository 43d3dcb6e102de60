#include "nn/optim/lbfgs.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/module/parameter_vector.hpp"
#include "nn/optim/internal/line_search.hpp"

namespace nn::optim {
namespace {

constexpr Range at_least_one{"at least 1", [](double x) { return x >= 1; }};

void visit(LBFGSOptions& o, OptionVisitor& visitor) {
  visitor("lr", o.lr, not_negative);
  visitor("max_iter", o.max_iter, at_least_one);
  visitor("max_eval", o.max_eval, not_negative);
  visitor("tolerance_grad", o.tolerance_grad, not_negative);
  visitor("tolerance_change", o.tolerance_change, not_negative);
  visitor("history_size", o.history_size, at_least_one);
  visitor("line_search_fn", o.line_search_fn, {"none", "strong_wolfe"});
  visitor("maximize", o.maximize);
}

double largest(const ag::Tensor& x) { return x.numel() ? ag::max(ag::abs(x)).item() : 0; }

}  // namespace

LBFGS::LBFGS(const ag::TensorList& params, const LBFGSOptions& options)
    : Optimizer("LBFGS", {}), o_(options) {
  check(options);
  for (const ag::Tensor& p : params)
    if (p.defined() && params[0].defined() && p.dtype() != params[0].dtype())
      ag::fail(name(), "all parameters must have one dtype, got {} and {}",
               ag::name(params[0].dtype()), ag::name(p.dtype()));
  add_slots(params);
}

void LBFGS::check(const LBFGSOptions& options) const {
  LBFGSOptions shown = options;
  detail::OptionChecker checker(name());
  visit(shown, checker);
}

const LBFGSOptions& LBFGS::options(std::size_t group) const {
  check_group(group);
  asked();
  return o_;
}

void LBFGS::set_options(const LBFGSOptions& options, std::size_t group) {
  check_group(group);
  check(options);
  change("set_options()");
  o_ = options;
}

void LBFGS::set_lr(double lr, std::size_t group) {
  LBFGSOptions changed = options(group);
  changed.lr = lr;
  set_options(changed, group);
}

std::int64_t LBFGS::max_eval() const {
  return o_.max_eval > 0 ? o_.max_eval : o_.max_iter + o_.max_iter / 4;
}

// Zeros for a parameter that has no gradient.
ag::Tensor LBFGS::flat_gradient() const {
  ag::TensorList gradients;
  for (const ag::Tensor& p : parameters()) {
    const ag::Tensor g = p.grad();
    gradients.push_back(g.defined() ? g.detach() : ag::zeros(p.shape(), p.dtype()));
  }
  const ag::Tensor flat = parameters_to_vector(gradients);
  return o_.maximize ? -flat : flat.clone();
}

LBFGS::Point LBFGS::evaluate(const Closure& closure, ag::Tensor* loss) {
  const ag::Tensor found = [&] {
    const ag::EnableGrad enable;
    return closure();
  }();
  if (!found.defined() || found.numel() != 1)
    ag::fail(name(), "the closure must return a loss of one element, got {}",
             found.defined() ? "shape " + found.shape().str() : "an undefined tensor");
  ++state_.func_evals;
  if (loss) *loss = found;
  return {o_.maximize ? -found.item() : found.item(), flat_gradient()};
}

// The parameters by t times the direction.
void LBFGS::move(double t) {
  const ag::TensorList all = parameters();
  vector_to_parameters(parameters_to_vector(all).detach() + t * state_.d, all);
}

ag::Tensor LBFGS::step(const Closure& closure) {
  ag::detail::refuse_in_trace("step() of LBFGS",
                              "call it outside; its closure may call what "
                              "compile() made");
  if (!closure) ag::fail(name(), "needs a closure to call, got an empty one");
  const ag::NoGrad no_grad;
  ag::Tensor first;
  Point now = evaluate(closure, &first);
  if (largest(now.gradient) <= o_.tolerance_grad) return first;
  std::int64_t evals = 1;
  for (std::int64_t i = 1; i <= o_.max_iter; ++i)
    if (!iterate(closure, now, i, evals)) break;
  return first;
}

// Takes in how the gradient changed along the last step.
void LBFGS::remember(const ag::Tensor& gradient) {
  const ag::Tensor y = gradient - state_.prev_flat_grad, s = state_.d * state_.t;
  const double ys = detail::dot(y, s);
  if (!(ys > 1e-10)) return;
  auto& history = state_.history;
  while (static_cast<std::int64_t>(history.size()) >= o_.history_size) history.pop_front();
  history.push_back({y, s, 1 / ys});
  state_.H_diag = ys / detail::dot(y, y);
}

// Minus the approximate inverse Hessian times the gradient, by the two loops.
ag::Tensor LBFGS::direction(const ag::Tensor& gradient) const {
  const auto& history = state_.history;
  std::vector<double> al(history.size());
  ag::Tensor d = -gradient;
  for (std::size_t i = history.size(); i-- > 0;) {
    al[i] = detail::dot(history[i].s, d) * history[i].ro;
    d = d - al[i] * history[i].y;
  }
  d = d * state_.H_diag;
  for (std::size_t i = 0; i < history.size(); ++i)
    d = d + (al[i] - detail::dot(history[i].y, d) * history[i].ro) * history[i].s;
  return d;
}

// One iteration; false where it was the last.
bool LBFGS::iterate(const Closure& closure, Point& now, std::int64_t iteration,
                    std::int64_t& evals) {
  const bool first = ++state_.n_iter == 1;
  if (!first) remember(now.gradient);
  state_.d = direction(now.gradient);
  state_.prev_flat_grad = now.gradient;
  state_.prev_loss = now.loss;
  state_.t = first ? std::min(1.0, 1 / ag::sum(ag::abs(now.gradient)).item()) * o_.lr : o_.lr;
  const double slope = detail::dot(now.gradient, state_.d);
  if (slope > -o_.tolerance_change) return false;

  const std::int64_t before = state_.func_evals;
  if (o_.line_search_fn == LineSearch::strong_wolfe) {
    const ag::TensorList all = parameters();
    const ag::Tensor start = parameters_to_vector(all).detach();
    const detail::Along along = [&](double t) {
      move(t);
      const Point there = evaluate(closure);
      vector_to_parameters(start, all);
      return detail::Trial{t, there.loss, there.gradient, detail::dot(there.gradient, state_.d)};
    };
    const detail::Trial best =
        detail::strong_wolfe(along, {0, now.loss, now.gradient, slope}, state_.t, largest(state_.d),
                             std::max<std::int64_t>(1, max_eval() - evals));
    state_.t = best.t;
    now = {best.loss, best.gradient};
    move(best.t);
  } else {
    move(state_.t);
    if (iteration < o_.max_iter) now = evaluate(closure);
  }
  evals += state_.func_evals - before;
  return iteration < o_.max_iter && evals < max_eval() &&
         !(largest(now.gradient) <= o_.tolerance_grad) &&
         !(largest(state_.d) * std::abs(state_.t) <= o_.tolerance_change) &&
         !(std::abs(now.loss - state_.prev_loss) < o_.tolerance_change);
}

void LBFGS::update_group(std::size_t, std::span<const Update>) {
  ag::fail(name(), "needs a closure to call, got a step without one; use step(closure)");
}

void LBFGS::save_options(StateDict& state) const {
  LBFGSOptions shown = o_;
  detail::OptionSaver saver(state, option_prefix(0));
  visit(shown, saver);
  const std::string prefix = "state.0.";
  state.push_back(named_scalar(prefix + "func_evals", state_.func_evals));
  state.push_back(named_scalar(prefix + "n_iter", state_.n_iter));
  if (state_.n_iter == 0) return;
  state.push_back({prefix + "d", state_.d});
  state.push_back(named_scalar(prefix + "t", state_.t));
  for (std::size_t i = 0; i < state_.history.size(); ++i) {
    const auto& [y, s, ro] = state_.history[i];
    state.push_back({fmt::format("{}old_dirs.{}", prefix, i), y});
    state.push_back({fmt::format("{}old_stps.{}", prefix, i), s});
    state.push_back(named_scalar(fmt::format("{}ro.{}", prefix, i), ro));
  }
  state.push_back(named_scalar(prefix + "H_diag", state_.H_diag));
  state.push_back({prefix + "prev_flat_grad", state_.prev_flat_grad});
  state.push_back(named_scalar(prefix + "prev_loss", state_.prev_loss));
}

LBFGS::State LBFGS::load_state(StateReader& reader) const {
  const std::string prefix = "state.0.";
  State read;
  read.func_evals = reader.integer(prefix + "func_evals");
  read.n_iter = reader.integer(prefix + "n_iter");
  if (read.n_iter < 0 || read.func_evals < 0)
    ag::fail(name(), "counts must be at least 0, got {} and {}", read.func_evals, read.n_iter);
  if (read.n_iter == 0) return read;
  const ag::Tensor like = parameters_to_vector(parameters());
  const auto flat = [&](const std::string& entry) {
    return reader.tensor(entry, like.shape(), like.dtype()).detach().clone();
  };
  read.d = flat(prefix + "d");
  read.t = reader.number(prefix + "t");
  for (std::size_t i = 0; reader.has(fmt::format("{}ro.{}", prefix, i)); ++i)
    read.history.push_back({flat(fmt::format("{}old_dirs.{}", prefix, i)),
                            flat(fmt::format("{}old_stps.{}", prefix, i)),
                            reader.number(fmt::format("{}ro.{}", prefix, i))});
  read.H_diag = reader.number(prefix + "H_diag");
  read.prev_flat_grad = flat(prefix + "prev_flat_grad");
  read.prev_loss = reader.number(prefix + "prev_loss");
  return read;
}

void LBFGS::load_options(StateReader& reader) {
  const ag::NoGrad no_grad;
  LBFGSOptions options = o_;
  detail::OptionLoader loader(reader, option_prefix(0));
  visit(options, loader);
  check(options);
  State read = load_state(reader);
  reader.finish();
  change("load_state_dict()");
  o_ = options;
  state_ = std::move(read);
}

std::string LBFGS::print_options(std::size_t) const {
  LBFGSOptions shown = o_;
  detail::OptionPrinter printer;
  visit(shown, printer);
  return printer.text();
}

}  // namespace nn::optim
