#include "autograd/storage.hpp"

#include <limits>
#include <new>

namespace autograd::detail {

Ref<Storage> Storage::create(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  return Ref<Storage>::adopt(::new (pool_allocate(header(bytes) + bytes)) Storage(bytes));
}

Ref<Storage> Storage::wrap(void* data, std::size_t bytes, std::function<void(void*)> release) {
  static_assert(sizeof(Storage) == 16 && alignof(Foreign) <= 16);
  void* block = pool_allocate(sizeof(Storage) + sizeof(Foreign));
  auto* s = ::new (block) Storage(bytes, true);
  ::new (s->foreign()) Foreign{data, std::move(release)};
  return Ref<Storage>::adopt(s);
}

void Storage::give_back() noexcept {
  Foreign* f = foreign();
  if (f->release) f->release(f->data);
  f->~Foreign();
  pool_deallocate(this, sizeof(Storage) + sizeof(Foreign));
}

}  // namespace autograd::detail
