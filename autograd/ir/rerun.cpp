#include "autograd/ir/rerun.hpp"

#include "autograd/core/internal/draws.hpp"
#include "autograd/tape/gradient.hpp"

namespace autograd::replay {

Rerun::Rerun(std::string_view name, const std::function<TensorList(const TensorList&)>& f,
             const TensorList& arguments, const TensorList& draws, const TensorList& captured)
    : create_graph_(grad_enabled()) {
  // Aliases stand for what gets a gradient, so that the walk through f stops at them.
  for (const Tensor& t : arguments)
    if (is_floating(t.dtype()))
      arguments_.push_back(capture_.alias(t.requires_grad() ? t : t.detach().requires_grad_()));
    else
      arguments_.push_back(t);
  for (const Tensor& t : captured) (void)capture_.alias(t);
  const std::size_t known = capture_.originals().size();
  TensorList drawn;
  for (const Tensor& t : draws) drawn.push_back(t.detach());  // an argument of a gradient, say
  {
    const internal::Draws given(drawn);
    const internal::Capture::Scope scope(capture_);
    results_ = f(arguments_);
  }
  if (capture_.originals().size() > known)
    fail(name,
         "a function must use the same tensors when it is recorded again for its gradient, got "
         "another one that requires a gradient");
}

void Rerun::add(const Tensor& output, const Tensor& cotangent) {
  if (!is_floating(output.dtype()) || !output.requires_grad()) return;
  outputs_.push_back(output);
  cotangents_.push_back(cotangent);
}

TensorList Rerun::gradients(const TensorList& wanted) {
  TensorList found(wanted.size(), Tensor());
  if (!outputs_.empty() && !wanted.empty())
    found =
        grad(outputs_, wanted,
             {.grad_outputs = cotangents_, .create_graph = create_graph_, .allow_unused = true});
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!found[i].defined()) found[i] = zeros_like(wanted[i]);
  return found;
}

}  // namespace autograd::replay
