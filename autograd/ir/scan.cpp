#include "autograd/ir/scan.hpp"

#include <algorithm>
#include <optional>

#include "autograd/core/internal/draws.hpp"
#include "autograd/ir/rerun.hpp"

namespace autograd::replay {
namespace {

using internal::Draws;

bool on_tape(const Tensor& t) { return is_floating(t.dtype()) && t.requires_grad(); }

// ---------------------------------------------------------------- the gradient

// One step of it. Of cotangents of the next carry and totals for what is captured, and of the
// carry, entries, draws and cotangents of the step, it makes cotangents of the carry and totals,
// and gradients of entries.
struct StepBack {
  std::string_view name;
  Body::Function f;
  std::size_t carries, xs, draws;
  std::vector<std::size_t> floating{};     // those of the carry that have gradients
  TensorList captured{};                   // what requires a gradient
  std::vector<std::size_t> totals{};       // those of it whose gradient is wanted
  std::vector<std::size_t> entries{};      // and those of xs
  std::vector<std::size_t> ys{}, saved{};  // results, and incoming carries, with cotangents

  TensorList operator()(const TensorList& in) const {
    const std::size_t first = floating.size() + totals.size(), last = first + carries + xs;
    Rerun step(name, f, part(in, first, carries + xs), part(in, last, draws), captured);
    TensorList wanted;
    for (const std::size_t c : floating) wanted.push_back(step.argument(c));
    for (const std::size_t i : totals) wanted.push_back(step.stand_in(captured[i]));
    for (const std::size_t x : entries) wanted.push_back(step.argument(carries + x));
    // What later steps have given comes first, as in a walk through all of them.
    for (std::size_t i = floating.size(); i < first; ++i) step.add(wanted[i], in[i]);
    std::size_t next = last + draws;
    for (const std::size_t y : ys) step.add(step.result(carries + y), in[next++]);
    for (const std::size_t c : saved) step.add(step.argument(c), in[next++]);
    for (std::size_t i = 0; i < floating.size(); ++i) step.add(step.result(floating[i]), in[i]);
    return step.gradients(wanted);
  }
};

// ---------------------------------------------------------------- recording

TensorList stand_ins(const Scan& scan, const TensorList& init, const TensorList& xs) {
  TensorList list;
  for (const Tensor& t : init) list.push_back(stand_in(t, t.shape()));
  const std::int64_t first = scan.steps == 0 ? -1 : scan.reverse ? scan.steps - 1 : 0;
  for (const Tensor& t : xs)
    list.push_back(stand_in(t, Shape(t.shape().begin() + 1, t.shape().end()), first));
  return list;
}

struct RecordedStep {
  Recorded body, condition{};
  std::size_t ys = 0;
  std::size_t drawn = 0;  // random tensors
  bool on_tape = false, keeps_carries = false, keeps_draws = false;
};

Recorded record_condition(const Scan& scan, const TensorList& init) {
  const auto f = [&](const TensorList& in) {
    const Draws draws;
    const TensorList out = scan.condition(in);
    if (!draws.tensors().empty())
      fail(scan.name, "the condition must draw no random numbers, got one that does");
    check_condition(scan.name, out[0]);
    return out;
  };
  return record(scan.name, f, stand_ins(scan, init, {}));
}

// The last `given` of xs are what an earlier run has drawn.
RecordedStep record_step(const Scan& scan, const TensorList& arguments, std::size_t given) {
  RecordedStep step;
  const Draws* const outer = Draws::current();
  const auto f = [&](const TensorList& in) {
    const std::size_t own = in.size() - given;
    std::optional<Draws> draws;
    if (given > 0)
      draws.emplace(part(in, own, given));
    else
      draws.emplace();
    TensorList out = scan.f(part(in, 0, own));
    check_carry(scan, out, in);
    step.ys = out.size() - scan.carries;
    step.drawn = draws->tensors().size();
    step.on_tape = grad_enabled() && std::any_of(out.begin(), out.end(), on_tape);
    // The gradient needs them, and what was drawn also a recording around this one.
    const bool bounded = scan.steps != kAnySteps;
    step.keeps_carries = step.on_tape && bounded;
    step.keeps_draws = given == 0 && bounded && (step.on_tape || (outer && !outer->gives()));
    if (step.keeps_carries) append(out, part(in, 0, scan.carries));
    if (step.keeps_draws) append(out, draws->tensors());
    return out;
  };
  step.body = record(scan.name, f, arguments);
  return step;
}

TensorList loop(const Scan& scan, const RecordedStep& step, const TensorList& init,
                const TensorList& xs) {
  TensorList in = init, out;
  append(in, xs);
  if (scan.count.defined()) in.push_back(scan.count);
  append(in, step.body.captured);
  append(in, step.condition.captured);
  for (std::size_t i = 0; i < step.body.results.size(); ++i) {
    const auto& [shape, dtype] = step.body.results[i];
    out.push_back(detail::empty_for(
        scan.name, i < scan.carries ? shape : with_axis(scan.steps, shape), dtype));
  }
  if (scan.condition) out.push_back(empty({}, int64));
  auto instruction = std::make_unique<Loop>(
      Loop::Plan{scan.name, step.body.body, step.condition.body, scan.carries, xs.size(),
                 step.body.captured.size(), scan.steps, scan.reverse, scan.count.defined()});
  const InputList inputs(in);
  const std::span<Tensor> results(out.data(), out.size());
  if (detail::tracing)
    detail::trace(std::move(instruction), inputs, results);
  else
    instruction->run(inputs, results);
  return out;
}

// ---------------------------------------------------------------- the tape

struct Counts {
  std::size_t xs, ys, draws;
};

// The gradient of first order. It is recorded with the scan, while what f refers to is there.
struct FirstOrder {
  Scan scan{};
  RecordedStep step{};
  std::vector<SavedTensor> captured{};                  // by its steps
  std::vector<std::size_t> edges{};                     // whose gradients it finds, in order
  std::vector<std::size_t> floating{}, totals{}, ys{};  // which carries, inputs and results
};

FirstOrder record_first_order(const Scan& scan, Counts n, const TensorList& in,
                              const TensorList& out, const TensorList& draws) {
  const NoGrad off;
  FirstOrder first;
  StepBack back{scan.name, scan.f, scan.carries, n.xs, n.draws};
  TensorList arguments;
  const std::int64_t at = scan.steps == 0 ? -1 : scan.reverse ? scan.steps - 1 : 0;
  const auto add = [&](const Tensor& t, bool entries, std::int64_t entry) {
    const Shape& shape = t.impl()->shape;
    arguments.push_back(stand_in(t, Shape(shape.begin() + (entries ? 1 : 0), shape.end()), entry));
  };
  for (std::size_t c = 0; c < scan.carries; ++c)
    if (is_floating(out[c].dtype())) {
      back.floating.push_back(c);
      add(out[c], false, -1);
    }
  first.edges = first.floating = back.floating;
  for (std::size_t i = scan.carries + n.xs; i < in.size(); ++i)
    if (on_tape(in[i])) {
      back.totals.push_back(back.captured.size());
      back.captured.push_back(in[i]);
      first.totals.push_back(i);
      add(in[i], false, -1);
    }
  first.edges.insert(first.edges.end(), first.totals.begin(), first.totals.end());
  for (std::size_t c = 0; c < scan.carries; ++c) add(out[scan.carries + n.ys + c], true, at);
  for (std::size_t x = 0; x < n.xs; ++x) {
    add(in[scan.carries + x], true, at);
    if (!on_tape(in[scan.carries + x])) continue;
    back.entries.push_back(x);
    first.edges.push_back(scan.carries + x);
  }
  for (const Tensor& t : draws) add(t, true, at);
  for (std::size_t y = 0; y < n.ys; ++y)
    if (is_floating(out[scan.carries + y].dtype())) {
      back.ys.push_back(y);
      add(out[scan.carries + y], true, -1);
    }
  first.ys = back.ys;
  const std::size_t carries = first.floating.size() + first.totals.size();
  first.scan = {scan.name, std::move(back), carries, scan.steps, !scan.reverse, {}, scan.count};
  first.step = record_step(first.scan, arguments, 0);
  for (const Tensor& t : first.step.body.captured) first.captured.push_back(SavedTensor(t));
  first.step.body.captured.clear();
  first.scan.f = nullptr;
  return first;
}

class ScanNode final : public Node {
 public:
  // in: carry, xs, captured; out: carry, ys, the carries of all steps.
  ScanNode(const Scan& scan, Counts counts, const TensorList& in, const TensorList& out,
           const TensorList& draws)
      : scan_(scan), n_(counts), inputs_(in.size()) {
    scan_.condition = nullptr;
    if (!differentiable()) return;
    first_ = record_first_order(scan_, n_, in, out, draws);
    for (std::size_t i = scan.carries; i < in.size(); ++i) saved_.push_back(SavedTensor(in[i]));
    for (std::size_t i = 0; i < scan.carries; ++i) {
      const std::size_t at = scan.carries + n_.ys + i;
      saved_.push_back(SavedTensor::output(out[at], static_cast<std::uint32_t>(at)));
    }
    for (const Tensor& t : draws) saved_.push_back(SavedTensor(t.detach()));
  }
  std::string_view name() const override { return scan_.name; }
  TensorList backward(TensorList& cotangents) override;
  void release_saved() override {
    saved_.clear();
    scan_.f = nullptr;
    scan_.count = {};
    first_ = {};
  }
  TensorList saved() const override {
    TensorList list;
    for (const SavedTensor& s : saved_) list.push_back(s.unchecked());
    return list;
  }

 private:
  bool differentiable() const { return scan_.steps != kAnySteps; }
  TensorList first_order(const TensorList& cotangents, const TensorList& saved);
  Scan scan_;
  Counts n_;
  std::size_t inputs_;
  std::vector<SavedTensor> saved_;  // xs, captured, carries, draws
  FirstOrder first_;
};

TensorList ScanNode::first_order(const TensorList& cotangents, const TensorList& saved) {
  const std::size_t carries = scan_.carries, captures = inputs_ - carries - n_.xs;
  const auto cotangent = [&](std::size_t i) {
    const auto& [shape, dtype] = outputs()[i];
    return cotangents[i].defined() ? cotangents[i] : zeros(shape, dtype);
  };
  TensorList init, xs = part(saved, n_.xs + captures, carries);
  for (const std::size_t c : first_.floating) init.push_back(cotangent(c));
  for (const std::size_t i : first_.totals) {
    const Tensor& t = saved[i - carries];
    init.push_back(full(t.shape(), -0.0, t.dtype()));  // -0.0 + x is x to the bit
  }
  append(xs, part(saved, 0, n_.xs));
  append(xs, part(saved, n_.xs + captures + carries, n_.draws));
  for (const std::size_t y : first_.ys) xs.push_back(cotangent(carries + y));
  RecordedStep step = first_.step;
  for (const SavedTensor& s : first_.captured) step.body.captured.push_back(s.unpack(*this));
  const TensorList found = loop(first_.scan, step, init, xs);
  TensorList result(inputs_, Tensor());
  for (std::size_t i = 0; i < first_.edges.size(); ++i)
    if (needs(first_.edges[i])) result[first_.edges[i]] = found[i];
  return result;
}

TensorList ScanNode::backward(TensorList& cotangents) {
  if (!differentiable())
    fail(name(),
         "its gradient needs a bound for the number of steps, got none; pass {{.max_steps = n}}");
  const std::size_t carries = scan_.carries, captures = inputs_ - carries - n_.xs;
  TensorList saved;
  for (const SavedTensor& s : saved_) saved.push_back(s.unpack(*this));
  const auto of_carries = part(cotangents, carries + n_.ys, carries);
  if (!grad_enabled() && std::ranges::none_of(of_carries, &Tensor::defined))
    return first_order(cotangents, saved);
  StepBack back{scan_.name, scan_.f, carries, n_.xs, n_.draws};
  TensorList init, xs = part(saved, n_.xs + captures, carries);
  append(xs, part(saved, 0, n_.xs));
  append(xs, part(saved, n_.xs + captures + carries, n_.draws));
  std::vector<std::size_t> edges;  // whose gradients are found, in order
  for (std::size_t c = 0; c < carries; ++c) {
    const auto& [shape, dtype] = outputs()[c];
    if (!is_floating(dtype)) continue;
    back.floating.push_back(c);
    edges.push_back(c);
    init.push_back(cotangents[c].defined() ? cotangents[c] : zeros(shape, dtype));
  }
  for (std::size_t i = 0; i < captures; ++i) {
    const std::size_t edge = carries + n_.xs + i;
    if (!this->edges()[edge].node()) continue;
    const Tensor& t = saved[n_.xs + i];
    if (needs(edge)) {
      back.totals.push_back(back.captured.size());
      edges.push_back(edge);
      init.push_back(full(t.shape(), -0.0, t.dtype()));  // -0.0 + x is x to the bit
    }
    back.captured.push_back(t);
  }
  for (std::size_t x = 0; x < n_.xs; ++x)
    if (needs(carries + x)) {
      back.entries.push_back(x);
      edges.push_back(carries + x);
    }
  const auto add_cotangents = [&](std::size_t first, std::size_t count, auto& which) {
    for (std::size_t i = 0; i < count; ++i)
      if (cotangents[first + i].defined()) {
        which.push_back(i);
        xs.push_back(cotangents[first + i]);
      }
  };
  add_cotangents(carries, n_.ys, back.ys);
  add_cotangents(carries + n_.ys, carries, back.saved);

  const TensorList found =
      run({scan_.name, std::move(back), init.size(), scan_.steps, !scan_.reverse, {}, scan_.count},
          init, xs);
  TensorList result(inputs_, Tensor());
  for (std::size_t i = 0; i < edges.size(); ++i) result[edges[i]] = found[i];
  return result;
}

}  // namespace

void check_carry(const Scan& scan, const TensorList& out, const TensorList& in) {
  if (out.size() < scan.carries)
    fail(scan.name, "the function must return a carry of {} tensors, got {} tensors in all",
         scan.carries, out.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!out[i].defined())
      fail(scan.name, "the function must return tensors, got an undefined one at {}", i);
  for (std::size_t c = 0; c < scan.carries; ++c) {
    if (out[c].shape() != in[c].shape() || out[c].dtype() != in[c].dtype())
      fail(scan.name,
           "the carry must keep its shapes and dtypes, got {} {} for tensor {} of it, which was {} "
           "{}",
           out[c].shape(), name(out[c].dtype()), c, in[c].shape(), name(in[c].dtype()));
  }
}

void check_condition(std::string_view name, const Tensor& condition) {
  if (!condition.defined() || condition.numel() != 1 || condition.dtype() != boolean)
    fail(name, "the condition must return one bool, got {}",
         condition.defined()
             ? fmt::format("{} {}", condition.shape(), autograd::name(condition.dtype()))
             : "an undefined tensor");
}

Tensor stand_in(const Tensor& t, const Shape& shape, std::int64_t entry) {
  const detail::TraceOff off;
  Tensor own = zeros(shape, t.dtype());
  const std::size_t bytes = static_cast<std::size_t>(own.numel()) * size_of(t.dtype());
  if (entry >= 0)
    copy(own.raw_mutable(),
         static_cast<const char*>(t.raw()) + static_cast<std::size_t>(entry) * bytes, bytes);
  if (grad_enabled() && t.requires_grad()) own.requires_grad_();
  return own;
}

TensorList run(const Scan& scan, const TensorList& init, const TensorList& xs) {
  Draws* const outer = Draws::current();
  TensorList entries = xs, draws;
  RecordedStep step = record_step(scan, stand_ins(scan, init, xs), 0);
  if (outer && outer->gives() && step.drawn > 0) {
    for (std::size_t i = 0; i < step.drawn; ++i) draws.push_back(outer->next());
    append(entries, draws);
    step = record_step(scan, stand_ins(scan, init, entries), draws.size());
  }
  if (scan.condition) step.condition = record_condition(scan, init);
  TensorList out = loop(scan, step, init, entries);

  Scan recorded = scan;  // what runs back
  if (scan.condition) {
    recorded.count = out.back();
    out.pop_back();
  }
  if (step.keeps_draws) draws = part(out, out.size() - step.drawn, step.drawn);
  if (outer && !outer->gives())
    for (const Tensor& t : draws) outer->keep(t);
  TensorList in = init;
  append(in, xs);
  append(in, step.body.captured);
  const InputList inputs(in);
  const std::span<Tensor> results(out.data(), out.size());
  if (step.on_tape && should_record(inputs))
    record(detail::Ref<Node>::adopt(
               new ScanNode(recorded, {xs.size(), step.ys, draws.size()}, in, out, draws)),
           inputs, results);
  else
    detail::mark_unrecorded(inputs, results);
  return part(out, 0, scan.carries + step.ys);
}

}  // namespace autograd::replay
