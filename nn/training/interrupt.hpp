#pragma once

#include <csignal>

#pragma GCC visibility push(default)

namespace nn {

/// While it lives, SIGINT (Ctrl-C) and SIGTERM do not end the process but are noted, so that a
/// training loop ends after the step at hand and saves:
///
///     const nn::Interrupt interrupt;
///     for (const auto& [x, y] : loader) {
///       …
///       if (interrupt) return checkpoint.save(path), interrupt.exit_code();
///     }
///
/// For one place of a program: throws if there is another.
class Interrupt {
 public:
  Interrupt();
  /// Puts the former handlers back.
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// True once a signal has come.
  explicit operator bool() const noexcept { return signal() != 0; }
  /// The first that came; 0 if none did.
  int signal() const noexcept;
  /// What a shell gives for a program that ended by that signal: 130 or 143; 0 without one.
  int exit_code() const noexcept { return signal() ? 128 + signal() : 0; }

 private:
  struct sigaction old_interrupt_, old_terminate_;
};

}  // namespace nn

#pragma GCC visibility pop
