#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// What objects other than operations say to a recording that `compile()` makes on this thread:
/// what it must not leave out, and what it depends on.
namespace autograd {
namespace detail {

[[noreturn]] void refuse_traced(std::string_view what, std::string_view advice);
/// Throws, while a recording is on, for what a replay would leave out.
inline void refuse_in_trace(std::string_view what, std::string_view advice) {
  if (tracing) [[unlikely]]
    refuse_traced(what, advice);
}

/// A member of an object other than a tensor that recorded functions may ask or use, and that may
/// change or end between their calls: a generator, an optimizer. A copy is another object.
class Watched {
 public:
  static constexpr std::uint64_t kEnded = ~std::uint64_t{0};
  struct State {
    std::atomic<std::uint64_t> change{0};  // when the last one was, in changes of the process
  };

  Watched() = default;
  Watched(const Watched&) noexcept {}
  Watched& operator=(const Watched&) noexcept { return *this; }
  ~Watched() {
    if (state_) state_->change.store(kEnded);
  }
  /// Replays use the object: the recording under way holds as long as it lives.
  void used(std::string_view what) const {
    if (tracing) [[unlikely]]
      note(what, false);
  }
  /// The program reads what may change: the recording holds until it does, and throws if it did so
  /// while it was made.
  void asked(std::string_view what) const {
    if (tracing) [[unlikely]]
      note(what, true);
  }
  /// What `asked()` reads changes. The program may not do it in a recorded function.
  void change(std::string_view what, std::string_view advice);

 private:
  void note(std::string_view what, bool asked) const;
  mutable std::shared_ptr<State> state_;  // once a recording has met it
};

/// No recording in a scope.
class TraceOff {
 public:
  TraceOff() noexcept : previous_(tracing) { tracing = false; }
  ~TraceOff() { tracing = previous_; }
  TraceOff(const TraceOff&) = delete;
  TraceOff& operator=(const TraceOff&) = delete;

 private:
  bool previous_;
};

}  // namespace detail

/// True while `compile()` records on this thread, or a `vmap` calls its function.
inline bool compiling() noexcept { return detail::tracing; }

/// Makes compiled functions record anew: for when something has changed by which a function chooses
/// its operations. Editing a module, its hooks, or switching it between train and eval does it.
void invalidate_recordings() noexcept;

}  // namespace autograd

#pragma GCC visibility pop
