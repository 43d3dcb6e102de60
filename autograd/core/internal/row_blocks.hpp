#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "autograd/core/dtype.hpp"
#include "autograd/core/inline_vector.hpp"
#include "autograd/core/storage.hpp"

/// What is behind a storage whose elements are 0 but in some rows of a table. Internal.
///
/// - The table is the sum of its blocks, in their order: the order in which dense gradients would
///   be added, so that the elements are the same bits.
/// - In a block each place occurs once, and they rise. Places whose rows are the same may share one:
///   the gradient of a mean over rows is few of them.
/// - Blocks are shared, and written only by a sole owner.
/// - The dense elements, once somebody has asked for them, are those of the blocks, until they are
///   written: from then on there are no blocks, and the storage is one like others.
namespace autograd::detail {

/// A table of rows.
struct RowFormat {
  std::int64_t height, width;
  DType dtype;  // floating
  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * size_of(dtype); }
  std::size_t bytes() const { return static_cast<std::size_t>(height) * row_bytes(); }
  friend bool operator==(const RowFormat&, const RowFormat&) = default;
};

/// Rows and their places, in any order. Row i is row `sources[i]` of the values (null: row i) times
/// `factors[i]` (null: 1).
struct RowView {
  std::int64_t count = 0;
  const std::int64_t* places = nullptr;
  void* values = nullptr;  // (rows, width)
  const std::int64_t* sources = nullptr;
  const void* factors = nullptr;  // of the dtype of the values

  const void* row(std::int64_t i, std::size_t row_bytes) const {
    return static_cast<const char*>(values) +
           static_cast<std::size_t>(sources ? sources[i] : i) * row_bytes;
  }
};

struct RowBlock : Counted {
  /// Of n places with a row for each.
  RowBlock(std::int64_t n, const RowFormat& format) : RowBlock(n, n, format) {}
  /// The same with `rows` rows for all of them; fewer have sources.
  RowBlock(std::int64_t n, std::int64_t rows, const RowFormat& format)
      : count(n),
        places(integers(n)),
        values(Storage::create(static_cast<std::size_t>(rows) * format.row_bytes())) {
    if (rows < n) sources = integers(n);
  }
  RowView view() const {
    return {.count = count,
            .places = static_cast<const std::int64_t*>(places->data()),
            .values = values->data(),
            .sources = sources ? static_cast<const std::int64_t*>(sources->data()) : nullptr};
  }
  static void* operator new(std::size_t n) { return pool_allocate(n); }
  static void operator delete(void* p, std::size_t n) { pool_deallocate(p, n); }
  friend void release(RowBlock* b) noexcept {
    if (b->drop()) delete b;
  }

  std::int64_t count;
  Ref<Storage> places, values, sources;

 private:
  static Ref<Storage> integers(std::int64_t n) {
    return Storage::create(static_cast<std::size_t>(n) * sizeof(std::int64_t));
  }
};

/// The rows of all `parts`, sorted; those of one place are added to 0 as they come, on as many
/// threads as may be used. Rows with a place below 0 are left out.
Ref<RowBlock> sum_rows(std::span<const RowView> parts, const RowFormat& format);
/// table[place] += row for each.
void add_rows(void* table, const RowView& rows, const RowFormat& format);

using RowBlocks = InlineVector<Ref<RowBlock>, 2>;

/// Threads may read it at once, as they may a tensor.
class Rows {
 public:
  explicit Rows(const RowFormat& format) : format_(format) {}
  const RowFormat& format() const noexcept { return format_; }
  /// Its elements have not been written but as rows.
  bool alive() const noexcept { return alive_.load(std::memory_order_acquire); }

  /// The sum of the blocks as one, whose places may share rows. For those that live, like what
  /// follows.
  Ref<RowBlock> block();
  /// The same with a row for each place.
  Ref<RowBlock> spread_block();
  RowBlocks blocks();
  /// For the only owner: adds a block; replaces all, whatever was there.
  void add(Ref<RowBlock> block);
  void set(RowBlocks blocks);
  /// The rows, to be changed in place before the call of `changed()`.
  RowView to_change();
  void changed();

  /// Makes it a table, not rows, of `few` rows that each stand `times` one after the other.
  void repeat(Ref<Storage> few, std::int64_t times);
  /// These, until elements are written; otherwise null.
  Ref<Storage> repeated() const { return few_; }
  std::int64_t times() const noexcept { return times_; }

  /// The dense elements, made if need be; to write them ends the blocks and what is repeated.
  void* dense(bool write);

 private:
  void gather();
  void make();
  void fill();
  RowFormat format_;
  RowBlocks blocks_;
  Ref<RowBlock> spread_;    // of a block whose places share rows, which others may be reading
  std::int64_t count_ = 0;  // rows in all blocks
  Ref<Storage> dense_, few_;
  std::int64_t times_ = 1;
  std::atomic<void*> ready_{nullptr};  // the dense elements
  std::atomic<bool> alive_{true};
};

}  // namespace autograd::detail
