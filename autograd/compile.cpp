#include "autograd/compile.hpp"

#include <algorithm>

#include "autograd/replay/program.hpp"

namespace autograd {
namespace {

constexpr std::size_t kMostPrograms = 8;

// A tensor of its own storage with the elements and the place on the tape of `t`: in a recording
// nothing else may pass for the argument.
Tensor stand_in(const Tensor& t) {
  const NoGrad off;
  Tensor copy = t.detach().clone();
  copy.impl()->node = t.impl()->node;
  copy.impl()->index = t.impl()->index;
  return copy;
}

}  // namespace

detail::Recordings::Recordings() = default;
detail::Recordings::~Recordings() = default;
detail::Recordings::Recordings(Recordings&&) noexcept = default;
detail::Recordings& detail::Recordings::operator=(Recordings&&) noexcept = default;

TensorList detail::Recordings::call(const Function& f, const TensorList& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].defined())
      fail("compile", "arguments must be defined, got an undefined tensor at {}", i);
    if (grad_enabled() && !arguments[i].is_leaf())
      fail("compile",
           "arguments must be leaves or need no gradient, got the result of '{}' at {}; detach() "
           "it or compute it inside",
           arguments[i].op_name(), i);
  }
  if (tracing || anomaly_mode()) return f(arguments);
  for (auto p = programs_.begin(); p != programs_.end(); ++p)
    if ((*p)->matches(arguments)) {
      std::rotate(programs_.begin(), p, p + 1);
      return programs_.front()->run(arguments);
    }
  return record(f, arguments);
}

TensorList detail::Recordings::record(const Function& f, const TensorList& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (arguments[i].requires_grad() && arguments[i].impl()->node == arguments[k].impl()->node)
        fail("compile",
             "arguments that need a gradient must be different tensors, got one at {} and {}", k,
             i);
  std::erase_if(programs_, [](const auto& p) { return !p->usable(); });
  if (programs_.size() == kMostPrograms) programs_.pop_back();
  TensorList in;
  for (const Tensor& t : arguments) in.push_back(stand_in(t));
  ++count_;
  std::unique_ptr<replay::Program> program;
  TensorList out;
  {
    replay::Recorder recorder(in);
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
