#include "autograd/vmap.hpp"

#include "autograd/ir/batching.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/internal/capture_off.hpp"

namespace autograd {
namespace {

using Axis = std::optional<std::int64_t>;

// The entry for tensor `i` of `n`.
Axis axis_of(std::string_view option, const VmapOptions::Axes& axes, std::size_t i, std::size_t n) {
  if (axes.size() != 1 && axes.size() != n)
    fail("vmap", "{} must have one entry, or one for each of {} tensors, got {}", option, n,
         axes.size());
  return axes[axes.size() == 1 ? 0 : i];
}

// With the axis of samples in front, where there is one.
struct Argument {
  Tensor all;
  bool differs;
};

std::vector<Argument> in_front(const TensorList& tensors, const VmapOptions::Axes& axes) {
  std::vector<Argument> arguments;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (!t.defined()) fail("vmap", "arguments must be defined, got an undefined tensor at {}", i);
    const Axis axis = axis_of("in_axes", axes, i, tensors.size());
    if (axis && t.ndim() == 0)
      fail("vmap",
           "an argument must have an axis of samples, got a 0-d tensor at {}; say "
           "std::nullopt in in_axes for what is the same for all",
           i);
    const std::int64_t at = axis ? shapes::axis("vmap", *axis, t.shape()) : 0;
    arguments.push_back({at == 0 ? t : movedim(t, at, 0), axis.has_value()});
  }
  return arguments;
}

std::int64_t count_samples(const std::vector<Argument>& arguments) {
  std::int64_t samples = -1;
  for (const auto& [all, differs] : arguments) {
    if (!differs) continue;
    if (samples >= 0 && all.size(0) != samples)
      fail("vmap", "arguments must have equally many samples, got {} and {}", samples, all.size(0));
    samples = all.size(0);
  }
  if (samples < 0) fail("vmap", "some argument must have an axis of samples, got none");
  return samples;
}

}  // namespace

TensorList detail::vmap(const ListFunction& f, const TensorList& tensors,
                        const VmapOptions& options, std::vector<std::string>& looped) {
  const std::vector<Argument> arguments = in_front(tensors, options.in_axes);
  TensorList result;
  {
    replay::Batching level(count_samples(arguments));
    const internal::CaptureOff own_tape;  // that of one sample is nobody else's
    TensorList in;
    for (const auto& [all, differs] : arguments)
      in.push_back(differs ? level.sample(all, grad_enabled() && all.impl()->node) : all);
    const TensorList out = f(in);
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!out[i].defined())
        fail("vmap", "results must be defined, got an undefined tensor at {}", i);
      const bool moves = axis_of("out_axes", options.out_axes, i, out.size()).has_value();
      if (!moves && level.has(out[i]))
        fail("vmap",
             "a result without out_axes must be the same for all samples, got one that "
             "differs at {}",
             i);
      result.push_back(moves ? level.whole(out[i]) : out[i]);
    }
    looped.assign(level.looped().begin(), level.looped().end());
  }
  for (std::size_t i = 0; i < result.size(); ++i)
    if (const Axis to = axis_of("out_axes", options.out_axes, i, result.size()); to && *to != 0)
      result[i] = movedim(result[i], 0, shapes::axis("vmap", *to, result[i].shape()));
  return result;
}

}  // namespace autograd
