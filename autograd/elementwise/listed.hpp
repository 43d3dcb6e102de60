#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

namespace autograd::detail {

/// A formula of the user's as machine code for this CPU, whatever its program is compiled for; made
/// at the first use. Threads may run it at once. Never destroyed: it serves until the program ends.
class ListedFormula {
 public:
  /// Adds what a formula does to the Code that is recorded. Operands are values of it; returns the
  /// result.
  using List = std::uint32_t (*)(const std::uint32_t* operands);
  /// `wide`: of float64. With `second` there are two results, and no machine code unless it saves
  /// more than another result costs.
  ListedFormula(List list, int operands, bool wide, List second = nullptr)
      : list_(list), second_(second), operands_(operands), wide_(wide) {}
  ListedFormula(const ListedFormula&) = delete;
  ListedFormula& operator=(const ListedFormula&) = delete;

  /// Does what a kernel does; false, with nothing done, where no machine code can be made of it.
  bool run(const void* const* in, const std::int64_t* step, void* out, std::int64_t n,
           void* second = nullptr) const;

 private:
  struct Made;
  const Made& made(unsigned single) const;

  List list_, second_;
  int operands_;
  bool wide_;
  mutable std::mutex making_{};
  mutable std::atomic<const Made*> first_{nullptr};
};

}  // namespace autograd::detail

#pragma GCC visibility pop
