#include "autograd/compile.hpp"

#include <algorithm>

#include "autograd/ir/program.hpp"
#include "autograd/tape/recomputation.hpp"

namespace autograd {
namespace {

// Recording takes a few times as long as running: where nothing is ever replayed, it stops.
constexpr std::size_t kInVain = 16, kRest = 63;

// A tensor of its own storage with the elements and the place on the tape of `t`: in a recording
// nothing else may pass for the argument.
Tensor stand_in(const Tensor& t) {
  const NoGrad off;
  Tensor copy = t.detach().clone();
  copy.impl()->node = t.impl()->node;
  copy.impl()->index = t.impl()->index;
  return copy;
}

void check_arguments(const TensorList& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Tensor& t = arguments[i];
    if (!t.defined())
      fail("compile", "arguments must be defined, got an undefined tensor at {}", i);
    if (!grad_enabled() || !t.requires_grad()) continue;
    if (!t.is_leaf())
      fail("compile",
           "arguments must be leaves or need no gradient, got the result of '{}' at {}; detach() "
           "it or compute it inside",
           t.op_name(), i);
    if (replay::Program::has_hooks(*t.impl()->node))
      fail("compile",
           "arguments that need a gradient must have no hooks, got argument {}; register the hook "
           "on a tensor made inside, or capture the argument",
           i);
  }
}

}  // namespace

detail::Recordings::Recordings(const CompileOptions& options) : options_(options) {
  if (options.max_recordings < 1)
    fail("compile", "max_recordings must be at least 1, got {}", options.max_recordings);
}
detail::Recordings::~Recordings() = default;
detail::Recordings::Recordings(Recordings&&) noexcept = default;
detail::Recordings& detail::Recordings::operator=(Recordings&&) noexcept = default;

CompileStats detail::Recordings::stats() const {
  CompileStats stats = stats_;
  stats.kept = programs_.size();
  for (const auto& p : programs_) stats.bytes += p->bytes();
  return stats;
}

std::string detail::Recordings::describe() const {
  return programs_.empty() ? "" : programs_.front()->describe();
}

void detail::Recordings::visit_steps(const std::function<void(const Instruction&)>& visit) const {
  if (programs_.empty()) return;
  for (const replay::Step& step : programs_.front()->steps().steps) visit(*step.instruction);
}

TensorList detail::Recordings::call(const Function& f, const TensorList& arguments) {
  check_arguments(arguments);
  if (tracing) return f(arguments);
  // What f captures may be there for this call only, as by `nn::functional_call`.
  if (anomaly_mode() || recomputation_off()) {
    ++stats_.eager;
    return f(arguments);
  }
  std::string_view reason = "the first call";
  for (auto p = programs_.begin(); p != programs_.end(); ++p) {
    const std::string_view differs = (*p)->mismatch(arguments);
    if (p == programs_.begin()) reason = differs;
    if (!differs.empty()) continue;
    std::rotate(programs_.begin(), p, p + 1);
    ++stats_.replays;
    in_vain_ = resting_ = 0;
    return programs_.front()->run(arguments);
  }
  if (resting_ > 0) {
    --resting_;
    return run_eagerly(f, arguments);
  }
  if (++in_vain_ >= kInVain) resting_ = kRest;
  stats_.reason = reason;
  return record(f, arguments);
}

// Results are off the tape, as after a replay.
TensorList detail::Recordings::run_eagerly(const Function& f, const TensorList& arguments) {
  ++stats_.eager;
  TensorList out = f(arguments);
  for (Tensor& t : out) {
    if (!t.defined()) fail("compile", "results must be defined, got an undefined tensor");
    const auto is_argument = [&](const Tensor& a) { return a.is(t); };
    if (std::ranges::none_of(arguments, is_argument)) t = t.detach();
  }
  return out;
}

TensorList detail::Recordings::record(const Function& f, const TensorList& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (arguments[i].requires_grad() && arguments[i].impl()->node == arguments[k].impl()->node)
        fail("compile",
             "arguments that need a gradient must be different tensors, got one at {} and {}", k,
             i);
  std::erase_if(programs_, [](const auto& p) { return !p->outdated().empty(); });
  if (programs_.size() >= options_.max_recordings) programs_.pop_back();
  TensorList in;
  for (const Tensor& t : arguments) in.push_back(stand_in(t));
  ++stats_.recordings;
  std::unique_ptr<replay::Program> program;
  TensorList out;
  {
    replay::Recorder recorder(in, arguments);
    out = f(in);
    program = std::make_unique<replay::Program>(recorder, out);
  }
  programs_.insert(programs_.begin(), std::move(program));
  for (Tensor& t : out) {
    bool is_argument = false;
    for (std::size_t i = 0; i < in.size() && !is_argument; ++i)
      if ((is_argument = t.is(in[i]))) t = arguments[i];
    if (!is_argument) t = t.detach();
  }
  return out;
}

}  // namespace autograd
