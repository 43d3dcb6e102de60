#include "autograd/tape/internal/push.hpp"

#include <algorithm>

#include "autograd/tape/gradient.hpp"
#include "autograd/tape/internal/walk.hpp"

// The walk forward: a tangent for each value, inputs before what uses them.
namespace autograd {
namespace {

bool any_nonzero(const Tensor& t) {
  return dispatch(t.dtype(), [&](auto zero) {
    const auto* p = t.data<decltype(zero)>();
    for (std::int64_t i = 0; i < t.numel(); ++i)
      if (p[i] != 0) return true;
    return false;
  });
}

// No derivative may be lost silently.
[[noreturn]] void refuse_off_tape(std::string_view op, const Node& node) {
  throw internal::LeavesTape(
      fmt::format("{}: every gradient must be differentiable, got that of {}, which leaves the "
                  "tape; write its backward in tensor operations",
                  op, quoted(node.name())));
}

// Outputs from number 63 on count as used.
bool is_used(std::uint64_t outputs, std::size_t i) {
  return (outputs >> std::min<std::size_t>(i, 63) & 1) != 0;
}

void add_each(TensorList& totals, TensorList&& more) {
  totals.resize(more.size());
  for (std::size_t i = 0; i < more.size(); ++i)
    if (more[i].defined()) internal::accumulate(totals[i], std::move(more[i]));
}

bool broadcasts(const Node& node, const TensorList& tangents) {
  for (const Tensor& t : tangents)
    if (t.defined() && t.impl()->shape != node.outputs()[0].shape) return true;
  return false;
}

TensorList called(const Node& node, const TensorList& in) { return node.again(InputList(in)); }

}  // namespace

class Walk::Only {
 public:
  template <class Wants>
  Only(Node& node, Wants&& wants) : edges_(node.edges_) {
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      slots_.push_back(edges_[i].slot_);
      if (!wants(i)) edges_[i].slot_ = Edge::kNoSlot;
    }
  }
  ~Only() {
    for (std::size_t i = 0; i < edges_.size(); ++i) edges_[i].slot_ = slots_[i];
  }
  Only(const Only&) = delete;
  Only& operator=(const Only&) = delete;

 private:
  InlineVector<Edge, 2>& edges_;
  InlineVector<std::uint32_t, 4> slots_;
};

std::vector<Walk::Use> Walk::uses() const {
  std::vector<Use> uses(order_.size());
  const auto use = [&](std::uint32_t slot, std::uint32_t output, std::size_t by) {
    uses[slot].outputs |= std::uint64_t{1} << std::min(output, std::uint32_t{63});
    uses[slot].last = by;
  };
  for (std::size_t i = 0; i < order_.size(); ++i)
    if (owns(*order_[i]) && order_[i]->leads_on_)
      for (const Edge& e : order_[i]->edges())
        if (e.wanted()) use(e.slot_, e.index(), i);
  for (const Tensor& t : outputs_)
    if (const auto* impl = t.impl(); impl->node)
      if (const std::uint32_t slot = slot_of(*impl->node); slot != Edge::kNoSlot)
        use(slot, impl->index, order_.size());
  return uses;
}

// Something else than the inputs, or what they are aliases of, requires a gradient.
bool Walk::is_needed(const TensorList& tangents) const {
  for (const Input& in : inputs_)
    if (!in.node->is_leaf()) return true;
  for (const Tensor& t : tangents)
    if (t.defined() && t.requires_grad()) return true;
  for (const Node* n : order_)
    if (owns(*n) && n->leads_on_)
      for (const Edge& e : n->edges())
        if (e.node() && !e.wanted()) return true;
  return false;
}

TensorList Walk::push(const TensorList& tangents, internal::Record record) {
  for (const auto& t : outputs_)
    if (t.impl()->node) internal::continue_after(t.impl()->node->sequence());
  collect();
  const GradMode mode(record == internal::Record::always ||
                      (record == internal::Record::as_needed && is_needed(tangents)));
  in_place_ &= !grad_enabled();

  std::vector<TensorList> found(order_.size());
  for (const Input& in : inputs_)
    if (const std::uint32_t slot = slot_of(*in.node); slot != Edge::kNoSlot) {
      found[slot].resize(in.node->outputs_.size());
      found[slot][in.index] = tangents[in.at];
    }
  const std::vector<Use> use = uses();
  for (std::size_t i = 0; i < order_.size(); ++i) {
    Node& node = *order_[i];
    if (!owns(node) || !node.leads_on_) continue;
    TensorList in(node.edges_.size(), Tensor());
    bool any = false;
    for (std::size_t k = 0; k < in.size(); ++k)
      if (const Edge& e = node.edges_[k]; e.wanted() && !found[e.slot_].empty()) {
        in[k] = found[e.slot_][e.index()];
        any |= in[k].defined();
      }
    for (const Edge& e : node.edges_)  // so that a rule may take what it is the last to see
      if (e.wanted() && use[e.slot_].last == i) found[e.slot_].clear();
    if (any) found[node.slot_] = pushed(node, in, use[node.slot_]);
  }

  TensorList result;
  for (const Tensor& t : outputs_) {
    const std::uint32_t slot =
        t.impl()->node ? slot_of(*t.impl()->node) : static_cast<std::uint32_t>(Edge::kNoSlot);
    const bool has = slot != Edge::kNoSlot && !found[slot].empty();
    result.push_back(has ? found[slot][t.impl()->index] : Tensor());
  }
  return result;
}

// By the operation's rule, checked.
TensorList Walk::pushed(Node& node, TensorList& tangents, const Use& use) {
  const bool watch = anomaly_mode();
  const TensorList before = watch ? tangents : TensorList();
  TensorList result;
  {
    const AnomalyMode off(false);  // what is made on the way may be masked out later
    result = by_rule(node, tangents, use);
  }
  const auto& specs = node.outputs();
  if (result.size() != specs.size())
    fail(node.name(), "jvp must return one tangent per output, got {} for {} outputs",
         result.size(), specs.size());
  for (std::size_t i = 0; i < result.size(); ++i)
    if (const Tensor& t = result[i];
        t.defined() && (t.shape() != specs[i].shape || t.dtype() != specs[i].dtype))
      fail(node.name(), "jvp must return tangents like its outputs, got {} {} for {} {}", t.shape(),
           name(t.dtype()), specs[i].shape, name(specs[i].dtype));
  if (watch) {
    TensorList in, out;
    for (const Tensor& t : before)
      if (t.defined()) in.push_back(t);
    for (const Tensor& t : result)
      if (t.defined()) out.push_back(t);
    check_anomaly(fmt::format("jvp of {}", node.name()), InputList(in), {out.data(), out.size()});
  }
  return result;
}

TensorList Walk::by_rule(Node& node, TensorList& tangents, const Use& use) {
  TensorList result = node.jvp(tangents);
  if (!result.empty()) return result;
  switch (node.jacobian()) {
    case Jacobian::diagonal:
      // A recorded gradient may have been summed over what was repeated.
      if (grad_enabled() && broadcasts(node, tangents)) break;
      return by_gradient(node, tangents);
    case Jacobian::symmetric:
      return by_gradient(node, tangents);
    case Jacobian::reducing:
      return by_reduction(node, tangents);
    case Jacobian::linear:
    case Jacobian::multilinear:
      result = by_itself(node, tangents);
      break;
    case Jacobian::own:
    case Jacobian::any:
      break;
  }
  return result.empty() ? by_transposing(node, tangents, use) : result;
}

// J = Jᵀ, for each input but for broadcasting.
TensorList Walk::by_gradient(Node& node, TensorList& tangents) {
  const Shape& shape = node.outputs()[0].shape;
  Tensor total;
  for (std::size_t k = 0; k < tangents.size(); ++k) {
    if (!tangents[k].defined()) continue;
    const Only one(node, [&](std::size_t i) { return i == k; });
    TensorList along{std::move(tangents[k])};
    if (along[0].impl()->shape != shape) along[0] = expand(along[0], shape);
    sum_ = &total;
    TensorList g = node.backward(along);
    sum_ = nullptr;
    if (!g[k].defined()) continue;
    if (g[k].impl()->shape != shape) g[k] = expand(g[k], shape);
    internal::accumulate(total, std::move(g[k]));
  }
  return {total};
}

// An element of the input reaches one of the output.
TensorList Walk::by_reduction(Node& node, const TensorList& tangents) {
  const TensorSpec& spec = node.outputs()[0];
  TensorList one{ones(spec.shape, spec.dtype)};
  return {sum_to(mul(node.backward(one)[0], tangents[0]), spec.shape)};
}

// Nothing where it has not kept what that needs.
TensorList Walk::by_itself(Node& node, const TensorList& tangents) {
  const bool together = node.jacobian() == Jacobian::linear;
  TensorList in;
  for (std::size_t k = 0; k < tangents.size(); ++k) {
    const Edge& e = node.edges()[k];
    const bool floats =
        e.node() || (!e.saved().empty() && is_floating(e.saved().unchecked().dtype()));
    if (together && tangents[k].defined()) {
      in.push_back(tangents[k]);
    } else if (together && e.node()) {
      const TensorSpec& spec = e.node()->outputs()[e.index()];
      in.push_back(zeros(spec.shape, spec.dtype));
    } else if (!e.saved().empty()) {
      in.push_back(together && floats ? zeros_like(e.saved().unchecked()) : e.saved().unpack(node));
    } else {
      return {};
    }
  }
  if (together) return called(node, in);
  TensorList totals;
  for (std::size_t k = 0; k < tangents.size(); ++k) {
    if (!tangents[k].defined()) continue;
    TensorList one = in;
    one[k] = tangents[k];
    add_each(totals, called(node, one));
  }
  return totals;
}

// u ↦ uᵀJ is linear, and its own gradient along t is J t, whatever u is.
TensorList Walk::by_transposing(Node& node, const TensorList& tangents, const Use& use) {
  GradOptions options{.create_graph = grad_enabled(), .allow_unused = true};
  const EnableGrad recording;
  const auto& specs = node.outputs();
  TensorList u(specs.size(), Tensor()), wanted, of;
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (is_used(use.outputs, i) && is_floating(specs[i].dtype)) {
      // An alias, so that the walk stops there and not at leaves behind values that were saved.
      u[i] = internal::alias(ones(specs[i].shape, specs[i].dtype).requires_grad_());
      wanted.push_back(u[i]);
    }
  TensorList pulled;
  {
    const Only some(node, [&](std::size_t i) { return tangents[i].defined(); });
    TensorList given = u;
    pulled = node.backward(given);
  }
  bool lost = false;
  for (std::size_t k = 0; k < tangents.size(); ++k) {
    if (!tangents[k].defined() || !pulled[k].defined()) continue;
    const Edge& e = node.edges()[k];
    fit(node, k, e.node()->outputs()[e.index()], pulled[k]);
    if (pulled[k].requires_grad()) {
      of.push_back(pulled[k]);
      options.grad_outputs.push_back(tangents[k]);
    } else {
      lost |= any_nonzero(pulled[k]);
    }
  }
  TensorList found(wanted.size(), Tensor());
  if (!of.empty()) found = grad(of, wanted, options);
  bool any = false;
  for (const Tensor& t : found) any |= t.defined();
  if (!any)
    for (const Tensor& w : of) lost |= any_nonzero(w);
  if (lost) refuse_off_tape(name_, node);
  TensorList result(specs.size(), Tensor());
  for (std::size_t i = 0, k = 0; i < specs.size(); ++i)
    if (u[i].defined()) result[i] = found[k++];
  return result;
}

TensorList internal::push(std::string_view op, const TensorList& outputs, const TensorList& inputs,
                          const TensorList& tangents, Record record) {
  return Walk(op, outputs, &inputs, true, false).push(tangents, record);
}

}  // namespace autograd
