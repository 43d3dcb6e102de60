#pragma once

#include <atomic>
#include <mutex>

namespace autograd::detail {

/// A mutex that a child of the process finds free, whatever its parent's threads were doing: a fork
/// takes all of them. For objects that live as long as the program. Who holds one must not wait
/// for a `NoFork`.
class ForkMutex {
 public:
  ForkMutex();
  ForkMutex(const ForkMutex&) = delete;
  ForkMutex& operator=(const ForkMutex&) = delete;

  void lock() { mutex_.lock(); }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

  /// All of them, or none.
  static bool take_all();
  static void give_back();

 private:
  std::mutex mutex_;
  ForkMutex* older_;  // of a list of all
  static std::atomic<ForkMutex*> newest_;
  static ForkMutex* taken_;  // the newest that a fork has taken
};

/// While one lives, on any thread, a fork waits, and while a fork waits no other one begins: for
/// calls of libraries with locks of their own, which a child would wait for. They do not nest.
class NoFork {
 public:
  NoFork() noexcept;
  ~NoFork();
  NoFork(const NoFork&) = delete;
  NoFork& operator=(const NoFork&) = delete;
};

}  // namespace autograd::detail
