#include "autograd/loops.hpp"

#include <algorithm>

#include "autograd/core/internal/helpers.hpp"
#include "autograd/elementwise/builtins.hpp"
#include "autograd/ir/batching.hpp"
#include "autograd/ir/branch.hpp"
#include "autograd/ir/scan.hpp"
#include "autograd/ops/indexing/indexing.hpp"
#include "autograd/ops/movement/movement.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/recomputation.hpp"

namespace autograd {
namespace {

using detail::LoopFunction;
using replay::append;
using replay::Batching;
using replay::part;
using replay::Scan;
using replay::with_axis;

constexpr std::string_view kScan = "scan";

// As the program would write it: for anomaly mode, which looks at each operation, for `vmap`, which
// calls each for all samples, and where nothing may run again.
bool goes_by_operations() {
  if (recomputation_off()) return true;
  return detail::tracing ? Batching::current() != nullptr : anomaly_mode();
}

LoopFunction with_own_results(LoopFunction f) {
  return
      [f = std::move(f)](const TensorList& in) { return internal::call_with_own_results(f, in); };
}

// Without steps only shapes come of the function.
TensorList no_steps(const Scan& scan, TensorList carry, const TensorList& xs) {
  const NoGrad off;
  TensorList in = carry;
  for (const Tensor& t : xs)
    in.push_back(zeros(Shape(t.shape().begin() + 1, t.shape().end()), t.dtype()));
  const TensorList out = scan.f(in);
  replay::check_carry(scan, out, in);
  for (std::size_t y = scan.carries; y < out.size(); ++y)
    carry.push_back(zeros(with_axis(0, out[y].shape()), out[y].dtype()));
  return carry;
}

TensorList unrolled(const Scan& scan, TensorList carry, const TensorList& xs) {
  if (scan.steps == 0) return no_steps(scan, std::move(carry), xs);
  std::vector<TensorList> ys(static_cast<std::size_t>(scan.steps));
  for (std::int64_t k = 0; k < scan.steps; ++k) {
    const std::int64_t i = scan.reverse ? scan.steps - 1 - k : k;
    TensorList in = carry;
    for (const Tensor& t : xs) in.push_back(select(t, 0, i));
    const TensorList out = scan.f(in);
    replay::check_carry(scan, out, in);
    carry = part(out, 0, scan.carries);
    ys[static_cast<std::size_t>(i)] = part(out, scan.carries, out.size() - scan.carries);
  }
  for (std::size_t y = 0; y < ys[0].size(); ++y) {
    TensorList all;
    for (const TensorList& step : ys) all.push_back(step[y]);
    carry.push_back(stack(all));
  }
  return carry;
}

// The same of `while_loop`. Samples whose condition is false stay as they are while others go on.
TensorList unrolled_while(const Scan& scan, TensorList carry) {
  const Batching* const level = Batching::current();
  Tensor goes_on;
  for (std::int64_t k = 0;; ++k) {
    const Tensor now = scan.condition(carry)[0];
    replay::check_condition(scan.name, now);
    goes_on = goes_on.defined() ? logical_and(goes_on, now) : now;
    if (!(level ? level->any(goes_on) : goes_on.item<bool>())) return carry;
    if (k == scan.steps)
      fail(scan.name, "the condition must become false within max_steps, got {} steps", k);
    TensorList next = scan.f(carry);
    replay::check_carry(scan, next, carry);
    if (level && level->has(goes_on))
      for (std::size_t c = 0; c < next.size(); ++c)
        next[c] = where(reshape(goes_on, {}), next[c], carry[c]);
    carry = std::move(next);
  }
}

std::vector<TensorSpec> specs_of(const TensorList& results) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : results) {
    if (!t.defined()) fail("cond", "the function must return tensors, got an undefined one");
    specs.push_back({t.shape(), t.dtype()});
  }
  return specs;
}

// Of the samples of a `vmap` some may need the one result, some the other.
TensorList both(const Tensor& condition, const TensorList& a, const TensorList& b) {
  replay::check_alike("cond", specs_of(a), specs_of(b));
  TensorList out;
  for (std::size_t i = 0; i < a.size(); ++i)
    out.push_back(where(reshape(condition, {}), a[i], b[i]));
  return out;
}

// Chunks of `size` entries as entries of their own.
TensorList in_chunks(const TensorList& xs, std::int64_t first, std::int64_t count,
                     std::int64_t size) {
  TensorList list;
  for (const Tensor& t : xs) {
    const Shape entry(t.shape().begin() + 1, t.shape().end());
    list.push_back(
        reshape(narrow(t, 0, first, count * size), with_axis(count, with_axis(size, entry))));
  }
  return list;
}

// A scan of scans: its gradient runs each of these again.
TensorList run_in_chunks(const Scan& scan, const TensorList& init, const TensorList& xs,
                         std::int64_t size) {
  const std::int64_t count = scan.steps / size, rest = scan.steps % size;
  Scan chunk = scan, chunks = scan;
  chunk.steps = size;
  chunks.steps = count;
  chunks.f = [chunk](const TensorList& in) {
    const std::size_t n = chunk.carries;
    return replay::run(chunk, part(in, 0, n), part(in, n, in.size() - n));
  };
  const TensorList most =
      replay::run(chunks, init, in_chunks(xs, scan.reverse ? rest : 0, count, size));
  TensorList out = part(most, 0, scan.carries), ys;
  for (std::size_t i = scan.carries; i < most.size(); ++i) {
    const Shape entry(most[i].shape().begin() + 2, most[i].shape().end());
    ys.push_back(reshape(most[i], with_axis(count * size, entry)));
  }
  if (rest > 0) {
    TensorList last;
    for (const Tensor& t : xs) last.push_back(narrow(t, 0, scan.reverse ? 0 : count * size, rest));
    chunk.steps = rest;
    const TensorList end = replay::run(chunk, out, last);
    out = part(end, 0, scan.carries);
    for (std::size_t i = 0; i < ys.size(); ++i) {
      const Tensor& y = end[scan.carries + i];
      ys[i] = scan.reverse ? concat({y, ys[i]}) : concat({ys[i], y});
    }
  }
  append(out, ys);
  return out;
}

void check_all_defined(std::string_view name, const TensorList& list) {
  for (std::size_t i = 0; i < list.size(); ++i) internal::check_defined(name, list[i], i);
}

std::int64_t steps_of(const TensorList& xs, const ScanOptions& options) {
  check_all_defined(kScan, xs);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].ndim() == 0) fail(kScan, "xs must have an axis of steps, got a 0-d tensor at {}", i);
    if (xs[i].size(0) != xs[0].size(0))
      fail(kScan, "xs must have one number of steps, got {} and {}", xs[0].size(0), xs[i].size(0));
  }
  if (xs.empty() && !options.length)
    fail(kScan, "without xs the number of steps must be given, got none; pass {{.length = n}}");
  const std::int64_t steps = xs.empty() ? *options.length : xs[0].size(0);
  if (steps < 0) fail(kScan, "length must be at least 0, got {}", steps);
  if (options.length && *options.length != steps)
    fail(kScan, "length must be that of xs, got {} for {} entries", *options.length, steps);
  return steps;
}

}  // namespace

TensorList detail::scan(LoopFunction f, const TensorList& init, const TensorList& xs,
                        const ScanOptions& options) {
  check_all_defined(kScan, init);
  if (options.save_every < 1)
    fail(kScan, "save_every must be at least 1, got {}", options.save_every);
  const Scan scan{kScan, with_own_results(std::move(f)), init.size(), steps_of(xs, options),
                  options.reverse};
  if (goes_by_operations()) return unrolled(scan, init, xs);
  // Without a gradient there is nothing to save.
  if (options.save_every == 1 || options.save_every >= scan.steps || !grad_enabled())
    return replay::run(scan, init, xs);
  return run_in_chunks(scan, init, xs, options.save_every);
}

TensorList detail::while_loop(LoopFunction condition, LoopFunction f, const TensorList& init,
                              const WhileOptions& options) {
  check_all_defined("while_loop", init);
  if (options.max_steps && *options.max_steps < 0)
    fail("while_loop", "max_steps must be at least 0, got {}", *options.max_steps);
  Scan scan{"while_loop", with_own_results(std::move(f)), init.size(),
            options.max_steps.value_or(replay::kAnySteps)};
  scan.condition = std::move(condition);
  return goes_by_operations() ? unrolled_while(scan, init) : replay::run(scan, init, {});
}

TensorList detail::cond(const Tensor& condition, LoopFunction f, LoopFunction g,
                        const TensorList& arguments) {
  internal::check_defined("cond", condition);
  check_all_defined("cond", arguments);
  if (condition.numel() != 1 || condition.dtype() != boolean)
    fail("cond", "the condition must be one bool, got {} {}", condition.shape(),
         name(condition.dtype()));
  const Batching* const level = Batching::current();
  if (level && (level->has(condition) || level->replays()))
    return both(condition, f(arguments), g(arguments));
  if (level || !tracing || recomputation_off())
    return condition.item<bool>() ? f(arguments) : g(arguments);
  return replay::choose("cond", condition,
                        {with_own_results(std::move(f)), with_own_results(std::move(g))},
                        arguments);
}

}  // namespace autograd
