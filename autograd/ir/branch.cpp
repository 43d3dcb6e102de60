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
    const std::size_t first_captured = 1 + arguments_ + (chosen == 0 ? 0 : sides_[0].captured);
    const Body::Bound bound(*body, in.part(first_captured, captures));
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

std::vector<TensorSpec> results_of(const Side& side) {
  const auto begin = side.recorded.results.begin();
  return {begin, begin + static_cast<std::ptrdiff_t>(side.results)};
}

// Both sides, recorded.
using Sides = std::array<Side, 2>;

// Runs the chosen side: the results, and what each side draws.
TensorList branch(std::string_view name, const Sides& sides, const Tensor& condition,
                  const TensorList& arguments) {
  TensorList in{condition}, out;
  append(in, arguments);
  std::array<Branch::Side, 2> plan;
  const std::size_t results = sides[0].results;
  const auto add = [&](const TensorSpec& spec) {
    out.push_back(detail::empty_for(name, spec.shape, spec.dtype));
  };
  for (std::size_t i = 0; i < results; ++i) add(sides[0].recorded.results[i]);
  for (std::size_t s = 0; s < 2; ++s) {
    const Recorded& side = sides[s].recorded;
    append(in, side.captured);
    for (std::size_t i = results; i < side.results.size(); ++i) add(side.results[i]);
    plan[s] = {side.body, side.captured.size(), side.results.size() - results};
  }
  detail::trace(std::make_unique<Branch>(name, plan, arguments.size()), InputList(in),
                std::span<Tensor>(out.data(), out.size()));
  return out;
}

// The gradients of both sides: of arguments, draws and cotangents of some results.
struct Back {
  std::vector<std::size_t> edges{};  // whose gradients are found
  std::vector<std::size_t> of{};     // results with cotangents
  TensorList captured{}, wanted{};   // that require a gradient, and whose gradient is wanted
  std::size_t arguments = 0;
  std::array<std::size_t, 2> draws{};

  Body::Function side(std::string_view name, const Body::Function& f, std::size_t s) const {
    return [*this, name, f, s](const TensorList& in) {
      const std::size_t first = arguments + (s == 0 ? 0 : draws[0]);
      Rerun rerun(name, f, part(in, 0, arguments), part(in, first, draws[s]), captured);
      for (std::size_t i = 0; i < of.size(); ++i)
        rerun.add(rerun.result(of[i]), in[arguments + draws[0] + draws[1] + i]);
      TensorList all;
      for (const std::size_t e : edges)
        if (e < arguments) all.push_back(rerun.argument(e));
      for (const Tensor& t : wanted) all.push_back(rerun.stand_in(t));
      return rerun.gradients(all);
    };
  }
  Functions sides(std::string_view name, const Functions& f) const {
    return {side(name, f[0], 0), side(name, f[1], 1)};
  }
};

class ChoiceNode final : public Node {
 public:
  // in: arguments, captured; draws: of both sides.
  ChoiceNode(std::string_view name, const Functions& functions, const Tensor& condition,
             const TensorList& in, const TensorList& results, std::size_t arguments,
             const std::array<TensorList, 2>& draws)
      : name_(name), functions_(functions), inputs_(in.size()) {
    for (const Tensor& t : in) saved_.push_back(SavedTensor(t));
    back_.arguments = arguments;
    for (std::size_t s = 0; s < 2; ++s) {
      back_.draws[s] = draws[s].size();
      for (const Tensor& t : draws[s]) saved_.push_back(SavedTensor(t.detach()));
    }
    saved_.push_back(SavedTensor(condition));
    for (std::size_t i = arguments; i < in.size(); ++i)
      if (is_floating(in[i].dtype()) && in[i].requires_grad()) back_.captured.push_back(in[i]);
    record_first_order(in, results);
  }
  std::string_view name() const override { return name_; }
  TensorList backward(TensorList& cotangents) override;
  void release_saved() override {
    saved_.clear();
    functions_ = {};
    back_ = first_ = {};
    sides_ = {};
    used_ = {};
  }
  TensorList saved() const override {
    TensorList list;
    for (const SavedTensor& s : saved_) list.push_back(s.unchecked());
    return list;
  }

 private:
  void record_first_order(const TensorList& in, const TensorList& results);
  TensorList given(const TensorList& saved) const {
    TensorList list = part(saved, 0, back_.arguments);
    append(list, part(saved, inputs_, back_.draws[0] + back_.draws[1]));
    return list;
  }
  std::string_view name_;
  Functions functions_;
  std::size_t inputs_;
  std::vector<SavedTensor> saved_;  // arguments, captured, draws, the condition
  Back back_, first_;
  Sides sides_;  // of the gradient of first order
  std::array<std::vector<SavedTensor>, 2> used_;
};

// While what the functions refer to is there.
void ChoiceNode::record_first_order(const TensorList& in, const TensorList& results) {
  const NoGrad off;
  first_ = back_;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!is_floating(in[i].dtype()) || !in[i].requires_grad()) continue;
    first_.edges.push_back(i);
    if (i >= back_.arguments) first_.wanted.push_back(in[i]);
  }
  TensorList saved;
  for (const SavedTensor& s : saved_) saved.push_back(s.unchecked());
  TensorList arguments = given(saved);
  for (std::size_t i = 0; i < results.size(); ++i)
    if (is_floating(results[i].dtype())) {
      first_.of.push_back(i);
      arguments.push_back(results[i]);
    }
  const Functions back = first_.sides(name_, functions_);
  for (std::size_t s = 0; s < 2; ++s) {
    sides_[s] = record_side(name_, back[s], arguments, 0, 0);
    for (const Tensor& t : sides_[s].recorded.captured) used_[s].push_back(SavedTensor(t));
    sides_[s].recorded.captured.clear();
  }
  first_.captured.clear();
  first_.wanted.clear();
}

TensorList ChoiceNode::backward(TensorList& cotangents) {
  TensorList saved, result(inputs_, Tensor());
  for (const SavedTensor& s : saved_) saved.push_back(s.unpack(*this));
  TensorList in = given(saved), found;
  Back back = grad_enabled() ? back_ : first_;
  if (!grad_enabled()) {
    for (const std::size_t i : back.of) {
      const auto& [shape, dtype] = outputs()[i];
      in.push_back(cotangents[i].defined() ? cotangents[i] : zeros(shape, dtype));
    }
    Sides sides = sides_;
    for (std::size_t s = 0; s < 2; ++s)
      for (const SavedTensor& t : used_[s]) sides[s].recorded.captured.push_back(t.unpack(*this));
    found = branch(name_, sides, saved.back(), in);
  } else {
    for (std::size_t i = 0; i < cotangents.size(); ++i)
      if (cotangents[i].defined()) {
        back.of.push_back(i);
        in.push_back(cotangents[i]);
      }
    for (std::size_t i = 0; i < inputs_; ++i) {
      if (!needs(i)) continue;
      back.edges.push_back(i);
      if (i >= back.arguments) back.wanted.push_back(saved[i]);
    }
    found = choose(name_, saved.back(), back.sides(name_, functions_), in);
  }
  for (std::size_t i = 0; i < back.edges.size(); ++i)
    if (needs(back.edges[i])) result[back.edges[i]] = found[i];
  return result;
}

}  // namespace

void check_alike(std::string_view name, const std::vector<TensorSpec>& a,
                 const std::vector<TensorSpec>& b) {
  if (a.size() != b.size())
    fail(name, "both functions must return as many tensors, got {} and {}", a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].shape != b[i].shape || a[i].dtype != b[i].dtype)
      fail(name, "both functions must return the same shapes and dtypes, got {} {} and {} {} at {}",
           a[i].shape, autograd::name(a[i].dtype), b[i].shape, autograd::name(b[i].dtype), i);
}

TensorList choose(std::string_view name, const Tensor& condition, const Functions& functions,
                  const TensorList& arguments) {
  Draws* const outer = Draws::current();
  TensorList all = arguments;
  Sides sides;
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
  check_alike(name, results_of(sides[0]), results_of(sides[1]));
  TensorList out = branch(name, sides, condition, all);

  const std::size_t results = sides[0].results;
  std::size_t next = results;
  for (std::size_t s = 0; s < 2; ++s)
    for (std::size_t i = 0; sides[s].keeps_draws && i < sides[s].drawn; ++i) {
      draws[s].push_back(out[next++]);
      if (outer && !outer->gives()) outer->keep(draws[s].back());
    }
  out = part(out, 0, results);
  TensorList used = arguments;
  for (const Side& side : sides)
    for (const Tensor& t : side.recorded.captured)
      if (std::none_of(used.begin() + static_cast<std::ptrdiff_t>(arguments.size()), used.end(),
                       [&](const Tensor& u) { return u.impl() == t.impl(); }))
        used.push_back(t);
  const InputList inputs(used);
  const std::span<Tensor> shown(out.data(), out.size());
  if ((sides[0].on_tape || sides[1].on_tape) && should_record(inputs))
    autograd::record(detail::Ref<Node>::adopt(new ChoiceNode(name, functions, condition, used, out,
                                                             arguments.size(), draws)),
                     inputs, shown);
  else
    detail::mark_unrecorded(inputs, shown);
  return out;
}

}  // namespace autograd::replay
