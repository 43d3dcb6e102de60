#pragma once

#include <utility>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

namespace autograd {

namespace detail {
// Read by every operation, so not behind a call.
extern constinit thread_local bool recording, anomaly;
}

/// Whether operations on this thread are recorded.
inline bool grad_enabled() noexcept { return detail::recording; }

/// Sets the recording of this thread for a scope.
class GradMode {
 public:
  explicit GradMode(bool enabled) noexcept : previous_(std::exchange(detail::recording, enabled)) {}
  ~GradMode() { detail::recording = previous_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool previous_;
};
/// Nothing in the scope is recorded.
struct [[nodiscard]] NoGrad : GradMode {
  NoGrad() noexcept : GradMode(false) {}
};
/// Recording in the scope, also inside a NoGrad.
struct [[nodiscard]] EnableGrad : GradMode {
  EnableGrad() noexcept : GradMode(true) {}
};

/// Whether operations on this thread are watched for NaN and Inf.
inline bool anomaly_mode() noexcept { return detail::anomaly; }
/// Switches that for this thread; `AnomalyMode` does it for a scope.
inline void set_anomaly_mode(bool on) noexcept { detail::anomaly = on; }

/// Watches the operations of this thread for a scope: the first one that makes a NaN or Inf, in the
/// forward pass or in a backward walk, throws with its name, the ranges of its inputs and the place
/// of the call. An Inf that came in with an input (a mask, say) may go on, a NaN may not. Reads
/// every result, so it is for debugging.
class [[nodiscard]] AnomalyMode {
 public:
  explicit AnomalyMode(bool on = true) noexcept : previous_(anomaly_mode()) {
    set_anomaly_mode(on);
  }
  ~AnomalyMode() { set_anomaly_mode(previous_); }
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

 private:
  bool previous_;
};

}  // namespace autograd

#pragma GCC visibility pop
