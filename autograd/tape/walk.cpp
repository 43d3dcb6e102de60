#include "autograd/tape/internal/walk.hpp"

#include <algorithm>

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/tape/internal/batch.hpp"

namespace autograd {
namespace {

// The same tensor under a name of its own.
struct Alias {
  std::string_view name() const { return "alias"; }
  static Jacobian jacobian() { return Jacobian::linear; }
  Tensor view(const Inputs& in) const { return in[0].detach(); }
  TensorList backward(const Call& call) const { return {call.grad()}; }
};

}  // namespace

Tensor internal::alias(const Tensor& t) { return apply(Alias{}, t); }

TensorList internal::call_with_own_results(const std::function<TensorList(const TensorList&)>& f,
                                           const TensorList& in) {
  const std::uint64_t before = last_sequence();
  TensorList out = f(in);
  for (Tensor& t : out) {
    if (!t.defined() || !t.requires_grad() || t.impl()->node->sequence() > before) continue;
    if (std::ranges::none_of(in, [&](const Tensor& i) { return i.impl() == t.impl(); }))
      t = alias(t);
  }
  return out;
}

void internal::check_gradient(std::string_view where, const Tensor& gradient, const Shape& shape,
                              DType dtype) {
  if (gradient.shape() != shape)
    fail(where, "the gradient must have the shape of its tensor, got {} for {}", gradient.shape(),
         shape);
  if (gradient.dtype() != dtype)
    fail(where, "the gradient must have the dtype of its tensor, got {} for {}",
         name(gradient.dtype()), name(dtype));
}

Tensor* Node::running_total(std::size_t i) const {
  Walk* const walk = walk_.load(std::memory_order_relaxed);
  return walk ? walk->running_total(edges_[i]) : nullptr;
}

namespace {

[[noreturn]] void refuse_unrecorded(std::string_view what, const TensorList& outputs) {
  const auto made = [](const Tensor& t) { return t.impl()->unrecorded; };
  if (!grad_enabled() || std::any_of(outputs.begin(), outputs.end(), made))
    fail(what,
         "the output must require a gradient, got one that was computed while recording was off; "
         "compute it outside of NoGrad, or inside of EnableGrad");
  fail(what,
       "the output must require a gradient, got one that no recorded operation made; call "
       "requires_grad_() on a leaf before computing it, and look for a detach() or item() between");
}

// Checks outputs and completes the cotangents.
TensorList cotangents_for(std::string_view what, const TensorList& outputs,
                          const TensorList& given) {
  if (outputs.empty()) fail(what, "needs at least one output, got none");
  if (!given.empty() && given.size() != outputs.size())
    fail(what, "needs one cotangent per output, got {} for {} outputs", given.size(),
         outputs.size());
  TensorList result;
  bool recorded = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& t = outputs[i];
    if (!t.defined())
      fail(what, "every output must be defined, got an undefined tensor at {}; {}", i,
           internal::kUndefinedHint);
    recorded |= t.requires_grad();
    if (!given.empty() && given[i].defined()) {
      internal::check_gradient(what, given[i], t.shape(), t.dtype());
      result.push_back(given[i]);
    } else if (t.numel() == 1) {
      result.push_back(ones_like(t));
    } else {
      fail(what,
           "without a cotangent the output must have one element, got shape {}; pass one, as in "
           "t.backward(gradient)",
           t.shape());
    }
  }
  if (!recorded) refuse_unrecorded(what, outputs);
  return result;
}

}  // namespace

void internal::add_elements(Tensor& total, const Tensor& g) {
  dispatch_floating("backward", total.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* y = static_cast<T*>(total.raw_mutable());
    const T* x = static_cast<const T*>(g.raw());
    const std::int64_t n = total.numel();
    if (n >= 64) return kernels::Add<T>::run(y, x, n);
    for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];  // too few to be worth a call
  });
}

namespace {

// The same as something that is seen, where nobody else sees the elements of the total.
struct AddOnto {
  std::string_view name() const { return "add"; }
  void forward(const Inputs& in, Tensor& out) const {
    if (in[0].impl() != out.impl()) internal::convert(in[0], out);
    internal::add_elements(out, in[1]);
  }
  TensorList batch(const internal::Batch& in) const {
    const TensorList all = in.aligned();
    if (in.differs(0) && in.differs(1)) return in.call(*this, all);
    return {add(all[0], all[1])};
  }
};

}  // namespace

void internal::accumulate(Tensor& total, Tensor g) {
  if (!total.defined()) {
    total = std::move(g);
    return;
  }
  if (grad_enabled()) {
    total = add(total, g);
    return;
  }
  if (total.impl()->storage->rows() || g.impl()->storage->rows()) [[unlikely]]
    return accumulate_rows(total, std::move(g));
  if (detail::tracing) [[unlikely]] {  // each operation is to be seen
    if (!replays() && sole_owner(total))
      compute_into(total, AddOnto{}, total, g);
    else
      total = add(total, g);
    return;
  }
  if (!sole_owner(total)) {
    if (!sole_owner(g)) {
      total = add(total, g);
      return;
    }
    std::swap(total, g);
  }
  add_elements(total, g);
}

TensorList grad(const TensorList& outputs, const TensorList& of, const GradOptions& options) {
  const TensorList inputs = of;  // a hook may change the caller's list
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined())
      fail("grad", "every input must be defined, got an undefined tensor at {}; {}", i,
           internal::kUndefinedHint);
    if (!inputs[i].requires_grad())
      fail("grad", "every input must require a gradient, got one that does not at {}{}", i,
           internal::why_unrecorded(inputs[i]));
  }
  const TensorList cotangents = cotangents_for("grad", outputs, options.grad_outputs);
  TensorList found =
      Walk("grad", outputs, &inputs, options.retain_graph, options.create_graph).run(cotangents);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!found[i].defined() && !options.allow_unused)
      fail("grad",
           "the outputs must depend on every input, got input {} ({}) unused; pass "
           "{{.allow_unused = true}} to get an undefined tensor for it{}",
           i, inputs[i].shape(),
           inputs[i].is_leaf() ? "; a copy of a parameter, as by auto w = layer.weight, is unused"
                               : "");
  return found;
}

void backward(const TensorList& outputs, const TensorList& grad_outputs, BackwardOptions options) {
  const TensorList cotangents = cotangents_for("backward", outputs, grad_outputs);
  Walk("backward", outputs, nullptr, options.retain_graph, options.create_graph).run(cotangents);
}

void Tensor::backward(BackwardOptions options) const {
  (void)checked("backward");
  autograd::backward({*this}, {}, options);
}

void Tensor::backward(const Tensor& gradient, BackwardOptions options) const {
  (void)checked("backward");
  autograd::backward({*this}, {gradient}, options);
}

}  // namespace autograd
