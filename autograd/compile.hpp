#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "autograd/core/structure_call.hpp"

#pragma GCC visibility push(default)

namespace autograd {

namespace replay {
class [[gnu::visibility("hidden")]] Program;
}

/// Options of `compile`.
struct CompileOptions {
  /// Recordings that are kept, for as many combinations of shapes, dtypes and modes; at least 1.
  /// The one used longest ago goes first.
  std::size_t max_recordings = 64;
};

/// What the calls of a compiled function have been: `CompiledFunction::stats()`.
struct CompileStats {
  std::size_t recordings = 0;  ///< calls that ran the function and recorded it
  std::size_t replays = 0;     ///< calls that repeated a recording
  std::size_t eager = 0;       ///< calls that ran the function as it is: see `compile`
  std::size_t kept = 0;        ///< recordings there now
  std::size_t bytes = 0;       ///< memory that these hold for what they compute on the way
  std::string reason;          ///< why the last recording was made
};

namespace detail {

class Instruction;

/// The recordings of one function.
class Recordings {
 public:
  using Function = std::function<TensorList(const TensorList&)>;
  explicit Recordings(const CompileOptions& options);
  ~Recordings();
  Recordings(Recordings&&) noexcept;
  Recordings& operator=(Recordings&&) noexcept;
  TensorList call(const Function& f, const TensorList& arguments);
  CompileStats stats() const;
  std::string describe() const;
  void visit_steps(const std::function<void(const Instruction&)>& visit) const;

 private:
  TensorList record(const Function& f, const TensorList& arguments);
  TensorList run_eagerly(const Function& f, const TensorList& arguments);
  std::vector<std::unique_ptr<replay::Program>> programs_;  // the last one used first
  CompileOptions options_;
  CompileStats stats_;
  std::size_t in_vain_ = 0;  // recordings since the last replay
  std::size_t resting_ = 0;  // calls until one is tried again
};

}  // namespace detail

/// A function that records its operations: see `compile`. Movable; for one thread at a time.
template <class F>
class CompiledFunction {
 public:
  explicit CompiledFunction(F f, const CompileOptions& options = {})
      : f_(std::move(f)), recordings_(options) {}

  /// Of tensors, and structures of them.
  template <detail::TensorArgument... T>
  requires std::invocable<F&, detail::PassedAs<T>...>
  auto operator()(const T&... arguments) {
    return detail::call_by_list_of(f_, caller(), arguments...);
  }
  /// For a function of a list.
  auto operator()(const TensorList& arguments) requires std::invocable<F&, const TensorList&> {
    return detail::call_by_list(f_, arguments, caller());
  }

  /// Calls that ran the function and recorded it.
  std::size_t recordings() const { return stats().recordings; }
  /// The counts of its calls, and why it was last recorded.
  CompileStats stats() const { return recordings_.stats(); }
  /// What a replay of the recording that was used last does, as text: a line for each step, with
  /// its results, the operation with its attributes, and its operands with shapes and dtypes;
  /// steps that run together tile by tile under one head. Values are named by where they come from:
  /// a0 is argument 0, t… a tensor of the program, c… a constant, g… the gradient before the call,
  /// v… computed; _ is an operand that the operation does not use. Empty if there is no recording.
  std::string describe() const { return recordings_.describe(); }
  /// Shows the operations of these steps (`autograd/core/trace.hpp`) in the order in which they
  /// run.
  void visit_steps(const std::function<void(const detail::Instruction&)>& visit) const {
    recordings_.visit_steps(visit);
  }

 private:
  auto caller() {
    return
        [this](const auto& f, const TensorList& in) { return recordings_.call(std::cref(f), in); };
  }

  F f_;
  detail::Recordings recordings_;
};

/// Makes a function of tensors fast to call again and again, such as a training step:
/// `auto step = compile([&](const Tensor& x, const Tensor& y) { optimizer.zero_grad(); Tensor loss
/// = nn::cross_entropy(model(x), y); loss.backward(); optimizer.step(); return loss; });`. The
/// first call runs `f` and records its operations, forward, backward and update; later calls repeat
/// them, to the same bits, without `f` and without recording: dead results are left out,
/// elementwise operations run in chains tile by tile, memory is planned once. `f` takes tensors and
/// structures of them (see `TensorStructure`) or one TensorList, and returns one of these or
/// nothing.
///
/// Arguments, tensors of the program that `f` uses, gradients, learning rates, step counts and
/// random numbers are those of each call. Plain numbers and variables of the program are those of
/// the recording, and so is whether a handle is defined. It is recorded anew for other shapes,
/// dtypes, grad mode or train/eval mode, for other elements where `f` reads those of an argument
/// (indices are not read), when modules are made, copied, edited or end, when hooks, the groups of
/// an optimizer or what `f` asked of it have changed, and where a tensor that `f` captured has been
/// replaced, which shows when nothing else holds the old one (two handles that are swapped do not
/// show): pass what changes as an argument. Writes through pointers and views that were taken
/// before are not noticed where `f` reads elements.
///
/// Results are off the tape. In anomaly mode `f` runs as it is; so it does after 16 recordings in a
/// row of which none was ever replayed, but for each 64th call, which tries again: `stats()` tells,
/// and why it was recorded. An error in a replay leaves gradients and tensors as it would in `f`.
///
/// Throws where a replay would go wrong: when `f` reads elements that it has computed or written
/// (item(), an `if` on a value), writes elements by hand, makes tensors from numbers or arrays of
/// the program, asks a generator for numbers, changes a module, hooks or options, keeps a tensor in
/// a variable of the program, or returns a result that waits for a backward(). What `f` does with
/// other things than tensors (prints, counters) happens when it is recorded only. Arguments that
/// need a gradient must have no hooks.
template <class F>
CompiledFunction<std::decay_t<F>> compile(F&& f, const CompileOptions& options = {}) {
  check_callable<std::decay_t<F>>("compile", f);
  return CompiledFunction<std::decay_t<F>>(std::forward<F>(f), options);
}

}  // namespace autograd

#pragma GCC visibility pop
