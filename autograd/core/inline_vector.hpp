#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <ranges>
#include <type_traits>
#include <utility>

#include "autograd/core/memory.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// A vector whose first N elements live inside the object: shapes and argument lists that never
/// allocate in practice. Elements need a non-throwing move.
template <class T, std::size_t N>
class InlineVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  InlineVector() noexcept { clear_buffer(); }
  explicit InlineVector(std::size_t n, const T& value = T()) : InlineVector() { resize(n, value); }
  InlineVector(std::initializer_list<T> values) : InlineVector() {
    append(values.begin(), values.end());
  }
  template <class It>
  InlineVector(It first, It last) : InlineVector() {
    append(first, last);
  }
  /// From any other range of elements, such as a std::vector.
  template <std::ranges::input_range R>
  requires(!std::derived_from<std::remove_cvref_t<R>, InlineVector> &&
           std::convertible_to<std::ranges::range_reference_t<R>, T>) InlineVector(const R& range)
      : InlineVector() {
    append(range.begin(), range.end());
  }
  InlineVector(const InlineVector& o) {
    if (copy_inline(o)) return;
    clear_buffer();
    append(o.begin(), o.end());
  }
  InlineVector(InlineVector&& o) noexcept {
    if (!o.is_inline()) clear_buffer();
    steal(o);
  }
  InlineVector& operator=(const InlineVector& o) {
    if (this != &o) {
      clear();
      append(o.begin(), o.end());
    }
    return *this;
  }
  InlineVector& operator=(InlineVector&& o) noexcept {
    if (this != &o) {
      destroy();
      steal(o);
    }
    return *this;
  }
  ~InlineVector() {
    std::destroy(begin(), end());
    if (!is_inline()) [[unlikely]]
      free_heap();
  }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  T& front() noexcept { return data_[0]; }
  const T& front() const noexcept { return data_[0]; }
  T& back() noexcept { return data_[size_ - 1]; }
  const T& back() const noexcept { return data_[size_ - 1]; }

  void push_back(T value) { emplace_back(std::move(value)); }
  template <class... Args>
  void emplace_back(Args&&... args) {
    if (size_ == capacity_) grow(std::size_t{2} * capacity_);
    ::new (data_ + size_) T{std::forward<Args>(args)...};
    ++size_;
  }
  void pop_back() noexcept { data_[--size_].~T(); }
  template <class It>
  void append(It first, It last) {
    if constexpr (std::forward_iterator<It>) {
      const auto n = size_ + static_cast<std::size_t>(std::distance(first, last));
      if (n > capacity_) grow(std::max<std::size_t>(n, std::size_t{2} * capacity_));
    }
    for (; first != last; ++first) push_back(*first);
  }
  /// Adds make(0), …, make(n - 1).
  template <class F>
  requires std::is_invocable_r_v<T, F&, std::size_t>
  void append(std::size_t n, F make) {
    if (size_ + n > capacity_) grow(size_ + n);
    T* const at = end();
    for (std::size_t i = 0; i < n; ++i, ++size_) ::new (at + i) T(make(i));
  }
  T* insert(T* at, T value) {
    const auto i = at - data_;
    push_back(std::move(value));
    std::rotate(data_ + i, data_ + size_ - 1, data_ + size_);
    return data_ + i;
  }
  T* erase(T* at) {
    std::move(at + 1, end(), at);
    pop_back();
    return at;
  }
  void clear() noexcept {
    std::destroy(begin(), end());
    size_ = 0;
  }
  void resize(std::size_t n, const T& value = T()) {
    if (n > capacity_) grow(n);
    while (size_ > n) pop_back();
    for (; size_ < n; ++size_) ::new (data_ + size_) T(value);
  }

  friend bool operator==(const InlineVector& a, const InlineVector& b) {
    if (a.size_ != b.size_) return false;
    for (std::uint32_t i = 0; i < a.size_; ++i)
      if (!(a.data_[i] == b.data_[i])) return false;
    return true;
  }

 private:
  T* inline_data() noexcept { return reinterpret_cast<T*>(buffer_); }
  bool is_inline() const noexcept { return data_ == reinterpret_cast<const T*>(buffer_); }

  // Out of line: it is rare, and the fast paths stay small.
  [[gnu::noinline]] void grow(std::size_t capacity) {
    T* fresh = detail::PoolAllocator<T>().allocate(capacity);
    for (std::size_t i = 0; i < size_; ++i) ::new (fresh + i) T(std::move(data_[i]));
    const std::uint32_t n = size_;
    destroy();
    data_ = fresh;
    size_ = n;
    capacity_ = static_cast<std::uint32_t>(capacity);
  }
  [[gnu::noinline]] void free_heap() noexcept {
    detail::PoolAllocator<T>().deallocate(data_, capacity_);
    data_ = inline_data();
    capacity_ = N;
  }
  void destroy() noexcept {
    clear();
    if (!is_inline()) [[unlikely]]
      free_heap();
  }
  // Shapes are copied all the time: a few plain values that lie in the object go in one piece,
  // whatever their number, and so they must all have a value.
  static constexpr bool kCopiedWhole = std::is_trivially_copyable_v<T> && N * sizeof(T) <= 32;
  void clear_buffer() noexcept {
    if constexpr (kCopiedWhole) std::memset(buffer_, 0, sizeof buffer_);
  }
  // This object holds none and no heap block.
  bool copy_inline(const InlineVector& o) noexcept {
    if constexpr (kCopiedWhole) {
      if (!o.is_inline()) return false;
      std::memcpy(buffer_, o.buffer_, sizeof buffer_);
      size_ = o.size_;
      return true;
    }
    return false;
  }
  // Takes o's elements; this object holds none and no heap block.
  void steal(InlineVector& o) noexcept {
    if (copy_inline(o)) {
      o.size_ = 0;
    } else if (o.is_inline()) {
      for (std::size_t i = 0; i < o.size_; ++i) ::new (data_ + i) T(std::move(o.data_[i]));
      size_ = o.size_;
      o.clear();
    } else {
      data_ = std::exchange(o.data_, o.inline_data());
      size_ = std::exchange(o.size_, 0);
      capacity_ = std::exchange(o.capacity_, static_cast<std::uint32_t>(N));
    }
  }

  T* data_ = inline_data();
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = N;
  alignas(T) unsigned char buffer_[N * sizeof(T)];
};

}  // namespace autograd

#pragma GCC visibility pop
