#include "autograd/core/storage.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/fork.hpp"
#include "autograd/core/internal/instead.hpp"
#include "autograd/core/internal/row_blocks.hpp"

namespace autograd::detail {

namespace {
ForkMutex mutex;
}  // namespace

Ref<Storage> Storage::create(std::size_t bytes) {
  if (bytes >> 48) throw std::bad_alloc();
  auto* s = ::new (pool_allocate(kHeader + bytes)) Storage(bytes, kHeader, Kind::own);
  s->set_mark(0);
  return Ref<Storage>::adopt(s);
}

Ref<Storage> Storage::wrap(void* data, std::size_t bytes, std::function<void(void*)> release) {
  static_assert(sizeof(Storage) == 16 && alignof(Foreign) <= 16);
  void* block = pool_allocate(sizeof(Storage) + sizeof(Foreign));
  auto* s = ::new (block) Storage(bytes, 0, Kind::foreign);
  ::new (s->foreign()) Foreign{data, std::move(release)};
  return Ref<Storage>::adopt(s);
}

Ref<Storage> Storage::create_rows(const RowFormat& format) {
  static_assert(kRowsHeader % alignof(Rows) == 0);
  if (format.bytes() >> 48) throw std::bad_alloc();
  void* block = pool_allocate(kRowsHeader + sizeof(Rows));
  auto* s = ::new (block) Storage(format.bytes(), 0, Kind::rows);
  s->set_mark(0);
  ::new (s->rows_of()) Rows(format);
  return Ref<Storage>::adopt(s);
}

Ref<Storage> Storage::create_instead(std::size_t bytes, Instead* instead) {
  static_assert(sizeof(Storage) + sizeof(Instead*) + sizeof(std::uint32_t) <= kRowsHeader);
  void* block = pool_allocate(kRowsHeader);
  auto* s = ::new (block) Storage(bytes, 0, Kind::instead);
  s->set_mark(0);
  ::new (s->instead_of()) Instead*(instead);
  return Ref<Storage>::adopt(s);
}

void Storage::repeat(const void* value, std::size_t size) noexcept {
  static_assert(sizeof(Storage) + sizeof(Repeat) + sizeof(std::uint32_t) <= kHeader);
  auto* r = ::new (repeat_of()) Repeat{.value = {}, .size = size, .pending = true};
  std::memcpy(r->value, value, size);
  kind_ = Kind::repeated;
  offset_ = 0;
}

void* Storage::special_data(bool write) {
  if (is_foreign()) return foreign()->data;
  if (kind_ == Kind::rows) return rows_of()->dense(write);
  if (kind_ == Kind::instead) instead()->refuse();
  Repeat& r = *repeat_of();
  if (!r.pending.load(std::memory_order_acquire)) return own_data();
  const std::lock_guard lock(mutex);
  if (!r.pending.load(std::memory_order_relaxed)) return own_data();
  const auto fill = [&](auto zero) {
    using T = decltype(zero);
    T value;
    std::memcpy(&value, r.value, sizeof(T));
    const auto n = static_cast<std::int64_t>(bytes_ / sizeof(T));
    parallel_for(n, 64, 0.05 * sizeof(T), [&](std::int64_t begin, std::int64_t end) {
      std::fill(static_cast<T*>(own_data()) + begin, static_cast<T*>(own_data()) + end, value);
    });
  };
  r.size == 8 ? fill(std::uint64_t{}) : r.size == 4 ? fill(std::uint32_t{}) : fill(std::uint8_t{});
  r.pending.store(false, std::memory_order_release);
  return own_data();
}

void Storage::give_back() noexcept {
  if (kind_ == Kind::rows) {
    rows_of()->~Rows();
    return pool_deallocate(this, kRowsHeader + sizeof(Rows));
  }
  if (kind_ == Kind::instead) {
    delete instead();
    return pool_deallocate(this, kRowsHeader);
  }
  if (!is_foreign()) return pool_deallocate(this, kHeader + bytes_);
  Foreign* f = foreign();
  if (f->release) f->release(f->data);
  f->~Foreign();
  pool_deallocate(this, sizeof(Storage) + sizeof(Foreign));
}

}  // namespace autograd::detail
