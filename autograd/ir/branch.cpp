#include "autograd/ir/branch.hpp"

#include <algorithm>
#include <optional>

#include "autograd/core/internal/draws.hpp"
#include "autograd/ir/rerun.hpp"
#include "autograd/ir/scan.hpp"

namespace autograd::replay {
namespace {

using internal::Draws;
using Functions = std::array<Body::Function, 2>;

// One of two bodies. Inputs: the condition, the arguments, what each body captures. Outputs: the
// results, and what each draws; zeros for the one that does not run.
class Branch final : public detail::Instruction {
 public:
  struct Side {
    std::shared_ptr<Body> body;
    std::size_t captured, draws;
  };
  Branch(std::string_view name, std::array<Side, 2> sides, std::size_t arguments)
      : name_(name), sides_(std::move(sides)), arguments_(arguments) {}
  std::string_view name() const override { return name_; }
  bool has_effect() const override {
    return sides_[0].body->has_effect() || sides_[1].body->has_effect();
  }
  TensorList again(const Inputs& in, std::span<const Tensor> out) const override {
    return replay::again(*this, in, out);
  }
  void run(const Inputs& in, std::span<Tensor> out) const override {
    const std::size_t chosen = *static_cast<const bool*>(in[0].raw()) ? 0 : 1;
    const auto& [body, captures, draws] = sides_[chosen];
    std::vector<const Tensor*> captured;
    for (std::size_t i = 0; i < captures; ++i)
      captured.push_back(&in[1 + arguments_ + (chosen == 0 ? 0 : sides_[0].captured) + i]);
    const Body::Bound bound(*body, captured);
    for (std::size_t i = 0; i < arguments_; ++i) body->set(i, in[1 + i].raw());
    body->run();
    const std::size_t results = out.size() - sides_[0].draws - sides_[1].draws;
    const std::size_t first = results + (chosen == 0 ? 0 : sides_[0].draws);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const bool own = i < results || (i >= first && i < first + draws);
      if (!own) {
        internal::fill(out[i], 0);
        continue;
      }
      const std::size_t result = i < results ? i : results + i - first;
      copy(out[i].raw_mutable(), body->result(result), body->bytes_of_result(result));
    }
  }

 private:
  std::string_view name_;
  std::array<Side, 2> sides_;
  std::size_t arguments_;
};

// A side that was recorded.
struct Side {
  Recorded recorded{};
  std::size_t results = 0, drawn = 0;
  bool on_tape = false, keeps_draws = false;
};

// `draws`, if there are any, are what an earlier run has drawn, and arguments as well.
Side record_side(std::string_view name, const Body::Function& f, const TensorList& arguments,
                 std::size_t first, std::size_t given) {
  Side side;
  const Draws* const outer = Draws::current();
  TensorList in;
  for (const Tensor& t : arguments) in.push_back(stand_in(t, t.shape()));
  const auto run = [&](const TensorList& all) {
    std::optional<Draws> draws;
    if (given > 0)
      draws.emplace(part(all, first, given));
    else
      draws.emplace();
    TensorList out = f(all);
    side.results = out.size();
    side.drawn = draws->tensors().size();
    side.on_tape = grad_enabled() && std::ranges::any_of(out, [](const Tensor& t) {
                     return t.defined() && t.requires_grad();
                   });
    side.keeps_draws = given == 0 && (grad_enabled() || (outer && !outer->gives()));
    if (side.keeps_draws) append(out, draws->tensors());
    return out;
  };
  side.recorded = record(name, run, in);
  return side;
}

void check_results(std::string_view name, const std::array<Side, 2>& sides) {
  if (sides[0].results != sides[1].results)
    fail(name, "both functions must return as many tensors, got {} and {}", sides[0].results,
         sides[1].results);
  for (std::size_t i = 0; i < sides[0].results; ++i) {
    const TensorSpec &a = sides[0].recorded.results[i], &b = sides[1].recorded.results[i];
    if (a.shape != b.shape || a.dtype != b.dtype)
      fail(name, "both functions must return the same shapes and dtypes, got {} {} and {} {} at {}",
           a.shape, autograd::name(a.dtype), b.shape, autograd::name(b.dtype), i);
  }
}

class ChoiceNode final : public Node {
 public:
  // in: arguments, captured; draws: of both sides.
  ChoiceNode(std::string_view name, const Functions& functions, const Tensor& condition,
             const TensorList& in, std::size_t arguments, const std::array<TensorList, 2>& draws)
      : name_(name), functions_(functions), arguments_(arguments), inputs_(in.size()) {
    for (const Tensor& t : in) saved_.push_back(SavedTensor(t));
    for (std::size_t side = 0; side < 2; ++side) {
      draws_[side] = draws[side].size();
      for (const Tensor& t : draws[side]) saved_.push_back(SavedTensor(t.detach()));
    }
    saved_.push_back(SavedTensor(condition));
  }
  std::string_view name() const override { return name_; }
  TensorList backward(TensorList& cotangents) override;
  void release_saved() override {
    saved_.clear();
    functions_ = {};
  }
  TensorList saved() const override {
    TensorList list;
    for (const SavedTensor& s : saved_) list.push_back(s.unchecked());
    return list;
  }

 private:
  std::string_view name_;
  Functions functions_;
  std::size_t arguments_, inputs_;
  std::array<std::size_t, 2> draws_{};
  std::vector<SavedTensor> saved_;  // arguments, captured, draws, the condition
};

TensorList ChoiceNode::backward(TensorList& cotangents) {
  TensorList saved, captured, wanted_captured;
  for (const SavedTensor& s : saved_) saved.push_back(s.unpack(*this));
  std::vector<std::size_t> edges, of;  // which gradients are found; results with cotangents
  TensorList in = part(saved, 0, arguments_);
  append(in, part(saved, inputs_, draws_[0] + draws_[1]));
  for (std::size_t i = 0; i < cotangents.size(); ++i)
    if (cotangents[i].defined()) {
      of.push_back(i);
      in.push_back(cotangents[i]);
    }
  for (std::size_t i = 0; i < inputs_; ++i) {
    if (needs(i)) edges.push_back(i);
    if (i >= arguments_ && this->edges()[i].node()) captured.push_back(saved[i]);
    if (i >= arguments_ && needs(i)) wanted_captured.push_back(saved[i]);
  }
  Functions back;
  for (std::size_t side = 0; side < 2; ++side)
    back[side] = [=, f = functions_[side], name = name_, n = arguments_,
                  draws = draws_](const TensorList& all) {
      const std::size_t first = n + (side == 0 ? 0 : draws[0]);
      Rerun rerun(name, f, part(all, 0, n), part(all, first, draws[side]), captured);
      for (std::size_t i = 0; i < of.size(); ++i)
        rerun.add(rerun.result(of[i]), all[n + draws[0] + draws[1] + i]);
      TensorList wanted;
      for (const std::size_t e : edges)
        if (e < n) wanted.push_back(rerun.argument(e));
      for (const Tensor& t : wanted_captured) wanted.push_back(rerun.stand_in(t));
      return rerun.gradients(wanted);
    };
  const TensorList found = choose(name_, saved.back(), back, in);
  TensorList result(inputs_, Tensor());
  for (std::size_t i = 0; i < edges.size(); ++i) result[edges[i]] = found[i];
  return result;
}

}  // namespace

TensorList choose(std::string_view name, const Tensor& condition, const Functions& functions,
                  const TensorList& arguments) {
  Draws* const outer = Draws::current();
  TensorList all = arguments, captured;
  std::array<Side, 2> sides;
  std::array<TensorList, 2> draws;
  for (std::size_t s = 0; s < 2; ++s) {
    sides[s] = record_side(name, functions[s], arguments, 0, 0);
    if (outer && outer->gives())
      for (std::size_t i = 0; i < sides[s].drawn; ++i) draws[s].push_back(outer->next());
    append(all, draws[s]);
  }
  if (all.size() > arguments.size())
    for (std::size_t s = 0; s < 2; ++s) {
      const auto f = [&, s](const TensorList& in) {
        return functions[s](part(in, 0, arguments.size()));
      };
      const std::size_t first = arguments.size() + (s == 0 ? 0 : draws[0].size());
      sides[s] = record_side(name, f, all, first, draws[s].size());
    }
  check_results(name, sides);

  TensorList in{condition}, out, used = arguments;
  append(in, all);
  for (const Side& side : sides) {
    append(in, side.recorded.captured);
    for (const Tensor& t : side.recorded.captured)
      if (std::none_of(used.begin() + static_cast<std::ptrdiff_t>(arguments.size()), used.end(),
                       [&](const Tensor& u) { return u.impl() == t.impl(); }))
        used.push_back(t);
  }
  const auto add_out = [&](const TensorSpec& spec) {
    out.push_back(detail::empty_for(name, spec.shape, spec.dtype));
  };
  const std::size_t results = sides[0].results;
  for (std::size_t i = 0; i < results; ++i) add_out(sides[0].recorded.results[i]);
  for (const Side& side : sides)
    for (std::size_t i = results; i < side.recorded.results.size(); ++i)
      add_out(side.recorded.results[i]);
  const auto plan = [&](const Side& side) {
    return Branch::Side{side.recorded.body, side.recorded.captured.size(),
                        side.recorded.results.size() - results};
  };
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : in) pointers.push_back(&t);
  const std::span<Tensor> made(out.data(), out.size());
  Branch branch(name, {plan(sides[0]), plan(sides[1])}, all.size());
  if (detail::tracing)
    detail::trace(std::make_unique<Branch>(std::move(branch)), Inputs(pointers), made);
  else
    branch.run(Inputs(pointers), made);

  std::size_t next = results;
  for (std::size_t s = 0; s < 2; ++s)
    if (sides[s].keeps_draws)
      for (std::size_t i = 0; i < sides[s].drawn; ++i) {
        draws[s].push_back(out[next++]);
        if (outer && !outer->gives()) outer->keep(draws[s].back());
      }
  out = part(out, 0, results);
  pointers.clear();
  for (const Tensor& t : used) pointers.push_back(&t);
  const std::span<Tensor> shown(out.data(), out.size());
  if ((sides[0].on_tape || sides[1].on_tape) && should_record(Inputs(pointers)))
    autograd::record(detail::Ref<Node>::adopt(
                         new ChoiceNode(name, functions, condition, used, arguments.size(), draws)),
                     Inputs(pointers), shown);
  else
    detail::mark_unrecorded(Inputs(pointers), shown);
  return out;
}

}  // namespace autograd::replay
