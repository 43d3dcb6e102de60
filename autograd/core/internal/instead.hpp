#pragma once

#include "autograd/core/storage.hpp"

namespace autograd::detail {

/// What stands for elements that a storage has not: see `Storage::create_instead`. Internal.
class Instead {
 public:
  virtual ~Instead() = default;
  /// Somebody asks for the elements: throws.
  [[noreturn]] virtual void refuse() const = 0;

  static void* operator new(std::size_t n) { return pool_allocate(n); }
  static void operator delete(void* p, std::size_t n) { pool_deallocate(p, n); }
};

}  // namespace autograd::detail
