#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "autograd/core/memory.hpp"

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#pragma GCC visibility push(default)

namespace autograd::detail {

class [[gnu::visibility("hidden")]] Rows;
struct [[gnu::visibility("hidden")]] RowFormat;
class [[gnu::visibility("hidden")]] Instead;

/// The process has one thread, so that a count needs no locked instruction. False where the C
/// library does not tell.
inline bool process_has_one_thread() noexcept {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded;
#else
  return false;
#endif
}

/// Base of what is shared by counted references; a new object has one, for `Ref::adopt`. The count
/// is atomic: handles may cross threads.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  void retain() const noexcept {
    if (process_has_one_thread())
      refs_.store(refs_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    else
      refs_.fetch_add(1, std::memory_order_relaxed);
  }
  /// True when the last reference is gone.
  bool drop() const noexcept {
    // A sole owner needs no locked instruction: nobody else can touch the count.
    const std::uint32_t refs = refs_.load(std::memory_order_acquire);
    if (refs == 1) return true;
    if (!process_has_one_thread()) return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    refs_.store(refs - 1, std::memory_order_relaxed);
    return false;
  }
  std::uint32_t use_count() const noexcept { return refs_.load(std::memory_order_acquire); }

 private:
  mutable std::atomic<std::uint32_t> refs_{1};
};

/// A counted reference. `T` provides `retain()` and a free `release(T*)` found by its namespace.
template <class T>
class Ref {
 public:
  Ref() noexcept = default;
  /// Takes over the reference that a new object comes with.
  static Ref adopt(T* p) noexcept {
    Ref r;
    r.p_ = p;
    return r;
  }
  explicit Ref(T* p) noexcept : p_(p) {
    if (p_) p_->retain();
  }
  Ref(const Ref& o) noexcept : Ref(o.p_) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_) release(p_);
  }
  /// Gives the reference away, uncounted.
  T* detach() noexcept { return std::exchange(p_, nullptr); }
  T* get() const noexcept { return p_; }
  T* operator->() const noexcept { return p_; }
  T& operator*() const noexcept { return *p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.p_ == b.p_; }

 private:
  T* p_ = nullptr;
};

/// The elements of one or more tensors: a header, and behind it the data, aligned to 64 bytes where
/// there are more than 448 bytes of it; or, for memory of the user, where it is and how to give it
/// back.
class Storage : public Counted {
 public:
  static Ref<Storage> create(std::size_t bytes);
  /// The same in the block of its first tensor, behind it, for no more than `kEmbedded` bytes.
  static Ref<Storage> create_behind(void* tensor, std::size_t bytes) noexcept {
    return Ref<Storage>::adopt(::new (static_cast<char*>(tensor) + kTensorBytes)
                                   Storage(bytes, kSmallHeader, Kind::embedded));
  }
  static constexpr std::size_t kEmbedded = 48, kTensorBytes = 96;
  static constexpr std::size_t kSmallHeader = 16, kHeader = 64;
  /// Shares `bytes` bytes at `data`, aligned for their type; calls `release`, if any, in the end.
  static Ref<Storage> wrap(void* data, std::size_t bytes, std::function<void(void*)> release);
  /// The elements, to read.
  void* data() {
    void* const plain = plain_data();
    return plain ? plain : special_data(false);
  }
  /// The elements, to change some.
  void* data_to_write() {
    void* const plain = plain_data();
    return plain ? plain : special_data(true);
  }
  /// The same; null where more than an addition is needed to tell.
  void* plain_data() noexcept {
    if (!offset_) [[unlikely]]
      return nullptr;
    return reinterpret_cast<char*>(this) + offset_;
  }
  /// The memory is the user's.
  bool is_foreign() const noexcept { return kind_ == Kind::foreign; }

  /// A number that a recording leaves with storage that it sees being made, to find it again; any
  /// number otherwise. In a gap of the block: it costs no memory.
  std::uint32_t mark() const noexcept {
    return is_foreign() ? 0 : *const_cast<Storage*>(this)->mark_place();
  }
  /// For memory that is not foreign.
  void set_mark(std::uint32_t mark) noexcept { *mark_place() = mark; }

  /// All elements are to be `value`, of 1, 4 or 8 bytes. They are written when somebody asks for
  /// them: many a gradient is one number repeated, and who can use it as that need not read it all.
  /// For new elements, more than `kEmbedded` bytes of them.
  void repeat(const void* value, std::size_t size) noexcept;
  /// The value that all elements have, as long as they are not written; otherwise null.
  const void* repeated() noexcept {
    if (kind_ != Kind::repeated) [[likely]]
      return nullptr;
    return repeat_of()->pending.load(std::memory_order_acquire) ? repeat_of()->value : nullptr;
  }
  /// Where the elements go, for the only owner, who writes all of them. `repeated()` stays valid.
  void* data_to_overwrite() {
    if (kind_ == Kind::repeated) [[unlikely]]
      repeat_of()->pending.store(false, std::memory_order_relaxed);
    return data_to_write();
  }

  /// A table that is 0 but in rows, of which it has none yet. The elements are made when somebody
  /// asks for them.
  static Ref<Storage> create_rows(const RowFormat& format);
  /// Of such a storage; otherwise null.
  Rows* rows() noexcept {
    if (kind_ != Kind::rows) [[likely]]
      return nullptr;
    return rows_of();
  }

  /// Elements that are not there: `instead`, which it owns, stands for them, and is asked for them.
  static Ref<Storage> create_instead(std::size_t bytes, Instead* instead);
  /// Of such a storage; otherwise null.
  Instead* instead() noexcept {
    if (kind_ != Kind::instead) [[likely]]
      return nullptr;
    return *instead_of();
  }

  std::size_t bytes() const noexcept { return bytes_; }
  /// Counts the writes after creation; saved values compare it.
  std::uint32_t version() const noexcept { return version_.load(std::memory_order_relaxed); }
  /// Not a locked instruction: two threads that write at once race for the elements anyway.
  void bump_version() noexcept { version_.store(version() + 1, std::memory_order_relaxed); }
  friend void release(Storage* s) noexcept {
    if (!s->drop()) return;
    if (s->kind_ == Kind::embedded)
      pool_deallocate(reinterpret_cast<char*>(s) - kTensorBytes,
                      kTensorBytes + kSmallHeader + s->bytes_);
    else
      s->give_back();
  }

 private:
  enum class Kind : std::uint8_t { embedded, own, foreign, repeated, rows, instead };
  // Behind the header of foreign memory.
  struct Foreign {
    void* data;
    std::function<void(void*)> release;
  };
  // In the header of large blocks, where there is room.
  struct Repeat {
    alignas(8) unsigned char value[8];
    std::size_t size;
    std::atomic<bool> pending;
  };
  // Behind the count of the tensor in whose block it is, or at the end of the header.
  std::uint32_t* mark_place() noexcept {
    char* const at = reinterpret_cast<char*>(this);
    return reinterpret_cast<std::uint32_t*>(
        kind_ == Kind::embedded ? at - kTensorBytes + sizeof(Counted)
        : kind_ >= Kind::rows   ? at + kRowsHeader - sizeof(std::uint32_t)
                                : at + kHeader - sizeof(std::uint32_t));
  }
  static constexpr std::size_t kRowsHeader = 32;
  Foreign* foreign() noexcept { return reinterpret_cast<Foreign*>(this + 1); }
  Repeat* repeat_of() noexcept { return reinterpret_cast<Repeat*>(this + 1); }
  void* own_data() noexcept { return reinterpret_cast<char*>(this) + kHeader; }
  Rows* rows_of() noexcept {
    return reinterpret_cast<Rows*>(reinterpret_cast<char*>(this) + kRowsHeader);
  }
  Instead** instead_of() noexcept { return reinterpret_cast<Instead**>(this + 1); }
  void* special_data(bool write);
  void give_back() noexcept;
  Storage(std::size_t bytes, std::size_t offset, Kind kind) noexcept
      : bytes_(bytes), offset_(static_cast<std::uint8_t>(offset)), kind_(kind) {}
  std::atomic<std::uint32_t> version_{0};
  std::uint64_t bytes_ : 48;  // members in one word: the header of a small block is 16 bytes
  std::uint64_t offset_ : 8;  // of the data; 0: special_data() knows
  Kind kind_;
};

}  // namespace autograd::detail

#pragma GCC visibility pop
