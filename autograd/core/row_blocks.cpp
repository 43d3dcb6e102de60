#include "autograd/core/internal/row_blocks.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/fork.hpp"
#include "autograd/core/internal/prefetch.hpp"

namespace autograd::detail {
namespace {

// One for all: it is taken where rows are looked at, not where elements are.
ForkMutex mutex;

struct Entry {
  std::int64_t place;
  const void *row, *factor;
};
using Entries = PooledVector<Entry>;

Entries entries_of(std::span<const RowView> parts, const RowFormat& format) {
  std::size_t count = 0;
  for (const RowView& part : parts) count += static_cast<std::size_t>(part.count);
  Entries entries;
  entries.reserve(count);
  const std::size_t bytes = format.row_bytes(), size = size_of(format.dtype);
  for (const RowView& part : parts)
    for (std::int64_t i = 0; i < part.count; ++i) {
      if (part.places[i] < 0) continue;
      const auto source = static_cast<std::size_t>(part.sources ? part.sources[i] : i);
      const auto* factors = static_cast<const char*>(part.factors);
      entries.push_back({part.places[i], static_cast<const char*>(part.values) + source * bytes,
                         factors ? factors + static_cast<std::size_t>(i) * size : nullptr});
    }
  return entries;
}

// By place, equal ones as they came: by one byte of the place after the other.
void sort(Entries& entries, std::int64_t height) {
  if (std::ranges::is_sorted(entries, {}, &Entry::place)) return;
  Entries sorted(entries.size());
  for (int shift = 0; shift < 64 && (height - 1) >> shift; shift += 8) {
    const auto digit = [shift](const Entry& e) {
      return static_cast<std::size_t>(e.place >> shift & 255);
    };
    std::size_t begin[257] = {};
    for (const Entry& e : entries) ++begin[digit(e) + 1];
    for (std::size_t d = 0; d < 256; ++d) begin[d + 1] += begin[d];
    for (const Entry& e : entries) sorted[begin[digit(e)]++] = e;
    entries.swap(sorted);
  }
}

// Where each place begins among sorted entries, and the end.
PooledVector<std::size_t> groups_of(const Entries& entries) {
  PooledVector<std::size_t> begins;
  begins.reserve(entries.size() + 1);
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (i == 0 || entries[i].place != entries[i - 1].place) begins.push_back(i);
  begins.push_back(entries.size());
  return begins;
}

// sum += the row, or = 0 + the row.
template <bool first, class T>
void add_row(T* sum, const Entry& e, std::int64_t width) {
  const auto* row = static_cast<const T*>(e.row);
  const auto add = [&](auto value) {
    for (std::int64_t k = 0; k < width; ++k) sum[k] = (first ? T{} : sum[k]) + value(row[k]);
  };
  if (!e.factor) return add([](T v) { return v; });
  add([f = *static_cast<const T*>(e.factor)](T v) { return f * v; });
}

// Nanoseconds of one row, roughly.
double cost(const RowFormat& format) { return 10 + 0.1 * static_cast<double>(format.row_bytes()); }

}  // namespace

Ref<RowBlock> sum_rows(std::span<const RowView> parts, const RowFormat& format) {
  Entries entries = entries_of(parts, format);
  sort(entries, format.height);
  const auto begins = groups_of(entries);
  const auto count = static_cast<std::int64_t>(begins.size()) - 1;
  auto block = Ref<RowBlock>::adopt(new RowBlock(count, format));
  auto* places = static_cast<std::int64_t*>(block->places->data());
  dispatch_floating("from_rows", format.dtype, [&]<class T>(T) {
    auto* values = static_cast<T*>(block->values->data());
    parallel_for(count, 1, cost(format), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t g = first; g < last; ++g) {
        auto i = begins[static_cast<std::size_t>(g)];
        const auto end = begins[static_cast<std::size_t>(g) + 1],
                   ahead = i + static_cast<std::size_t>(kRowsAhead);
        if (ahead < entries.size()) prefetch(entries[ahead].row, format.row_bytes());
        places[g] = entries[i].place;
        T* const sum = values + g * format.width;
        add_row<true>(sum, entries[i], format.width);
        while (++i < end) add_row<false>(sum, entries[i], format.width);
      }
    });
  });
  return block;
}

void add_rows(void* table, const RowView& rows, const RowFormat& format) {
  dispatch_floating("from_rows", format.dtype, [&]<class T>(T) {
    parallel_for(rows.count, 1, cost(format), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        T* const to = static_cast<T*>(table) + rows.places[i] * format.width;
        const std::int64_t ahead = i + kRowsAhead;
        if (ahead < last)
          prefetch(static_cast<T*>(table) + rows.places[ahead] * format.width, format.row_bytes());
        const T* const row = static_cast<const T*>(rows.values) + i * format.width;
        for (std::int64_t k = 0; k < format.width; ++k) to[k] += row[k];
      }
    });
  });
}

// ---------------------------------------------------------------- blocks

// With the mutex, or alone.
void Rows::gather() {
  if (blocks_.size() == 1) return;
  InlineVector<RowView, 4> parts;
  for (const auto& b : blocks_) parts.push_back(b->view());
  Ref<RowBlock> sum = sum_rows({parts.data(), parts.size()}, format_);
  count_ = sum->count;
  blocks_ = {std::move(sum)};
}

Ref<RowBlock> Rows::block() {
  const std::lock_guard lock(mutex);
  gather();
  return blocks_[0];
}

RowBlocks Rows::blocks() {
  const std::lock_guard lock(mutex);
  return blocks_;
}

void Rows::add(Ref<RowBlock> block) {
  ready_.store(nullptr, std::memory_order_relaxed);
  dense_ = {};
  const std::int64_t more = block->count;
  blocks_.push_back(std::move(block));
  count_ += more;
  // Each doubling gathers them: rows that come again and again take no more memory than a table.
  if (count_ >= 2 * blocks_[0]->count) gather();
}

void Rows::set(RowBlocks blocks) {
  ready_.store(nullptr, std::memory_order_relaxed);
  dense_ = {};
  blocks_ = std::move(blocks);
  count_ = 0;
  for (const auto& b : blocks_) count_ += b->count;
  alive_.store(true, std::memory_order_release);
}

RowView Rows::to_change() {
  const std::lock_guard lock(mutex);
  gather();
  if (blocks_[0]->use_count() > 1) {
    const RowView shared = blocks_[0]->view();
    blocks_ = {sum_rows({&shared, 1}, format_)};
  }
  return blocks_[0]->view();
}

void Rows::changed() {
  const std::lock_guard lock(mutex);
  if (dense_) fill();
}

// ---------------------------------------------------------------- dense elements

namespace {
Ref<Storage> room_for(const RowFormat& format) {
  try {
    return Storage::create(format.bytes());
  } catch (const std::bad_alloc&) {
    fail("rows", "memory for all elements must be there, got none for ({}, {}) of {} ({} bytes)",
         format.height, format.width, name(format.dtype), format.bytes());
  }
}
}  // namespace

// The places of the block among the dense elements; the others are 0.
void Rows::fill() {
  const RowView rows = blocks_[0]->view();
  const std::size_t bytes = format_.row_bytes();
  for (std::int64_t i = 0; i < rows.count; ++i)
    std::memcpy(
        static_cast<char*>(dense_->data()) + static_cast<std::size_t>(rows.places[i]) * bytes,
        static_cast<const char*>(rows.values) + static_cast<std::size_t>(i) * bytes, bytes);
}

void* Rows::dense(bool write) {
  if (void* const ready = ready_.load(std::memory_order_acquire); ready && !(write && alive()))
    return ready;
  const std::lock_guard lock(mutex);
  if (!dense_) {
    gather();
    dense_ = room_for(format_);
    std::memset(dense_->data(), 0, format_.bytes());
    fill();
    ready_.store(dense_->data(), std::memory_order_release);
  }
  if (write) {
    blocks_.clear();
    count_ = 0;
    alive_.store(false, std::memory_order_release);
  }
  return dense_->data();
}

}  // namespace autograd::detail
