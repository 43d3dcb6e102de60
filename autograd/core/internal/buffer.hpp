#pragma once

#include <cstddef>
#include <cstdint>

#include "autograd/core/memory.hpp"

namespace autograd::detail {

/// Room for n elements, which have no value yet, from the pool; of none a null pointer.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t n)
      : bytes_(static_cast<std::size_t>(n) * sizeof(T)),
        data_(n > 0 ? static_cast<T*>(pool_allocate(bytes_)) : nullptr) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_) pool_deallocate(data_, bytes_);
  }
  T* data() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

}  // namespace autograd::detail
