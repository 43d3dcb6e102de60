#include "autograd/core/internal/row_blocks.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <mutex>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/fork.hpp"
#include "autograd/core/internal/prefetch.hpp"

namespace autograd::detail {
namespace {

// Shared by few, so that threads with tensors of their own seldom wait for each other while rows are
// gathered.
ForkMutex mutexes[16];
ForkMutex& mutex_of(const Rows* rows) {
  return mutexes[reinterpret_cast<std::uintptr_t>(rows) / alignof(std::max_align_t) %
                 std::size(mutexes)];
}

// A row that is given, and where it goes.
struct Source {
  const void *row, *factor;
};
struct Entry {
  std::int64_t place;
  std::size_t source;  // of all that are given
};
using Sources = PooledVector<Source>;
using Entries = PooledVector<Entry>;

void list(std::span<const RowView> parts, const RowFormat& format, Sources& sources,
          Entries& entries) {
  std::size_t count = 0;
  for (const RowView& part : parts) count += static_cast<std::size_t>(part.count);
  sources.reserve(count), entries.reserve(count);
  const std::size_t bytes = format.row_bytes(), size = size_of(format.dtype);
  for (const RowView& part : parts)
    for (std::int64_t i = 0; i < part.count; ++i) {
      if (part.places[i] < 0) continue;
      const auto* factors = static_cast<const char*>(part.factors);
      entries.push_back({part.places[i], sources.size()});
      sources.push_back(
          {part.row(i, bytes), factors ? factors + static_cast<std::size_t>(i) * size : nullptr});
    }
}

// Which of the different rows each source is, where the same ones follow each other; none if most
// are different, or have factors.
PooledVector<std::int64_t> runs_of(const Sources& sources) {
  constexpr std::size_t patience = 32;
  PooledVector<std::int64_t> runs;
  runs.reserve(sources.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (i == 0 || sources[i].row != sources[i - 1].row) ++different;
    if (sources[i].factor || different > patience + i / 2) return {};
    runs.push_back(static_cast<std::int64_t>(different) - 1);
  }
  return runs;
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
void add_row(T* sum, const Source& s, std::int64_t width) {
  const auto* row = static_cast<const T*>(s.row);
  const auto add = [&](auto value) {
    for (std::int64_t k = 0; k < width; ++k) sum[k] = (first ? T{} : sum[k]) + value(row[k]);
  };
  if (!s.factor) return add([](T v) { return v; });
  add([f = *static_cast<const T*>(s.factor)](T v) { return f * v; });
}

// Nanoseconds of one row, roughly.
double cost(const RowFormat& format) { return 10 + 0.1 * static_cast<double>(format.row_bytes()); }

// Sources by the places that they go to.
struct Groups {
  Sources sources;
  Entries entries;
  PooledVector<std::size_t> begins;  // in entries, of each place; and the end
  PooledVector<std::int64_t> runs;   // see runs_of

  Groups(std::span<const RowView> parts, const RowFormat& format) {
    list(parts, format, sources, entries);
    runs = runs_of(sources);
    sort(entries, format.height);
    begins = groups_of(entries);
  }
  std::int64_t count() const { return static_cast<std::int64_t>(begins.size()) - 1; }
  std::size_t begin(std::int64_t group) const { return begins[static_cast<std::size_t>(group)]; }
  std::size_t size(std::int64_t group) const { return begin(group + 1) - begin(group); }
  const Source& source(std::size_t entry) const { return sources[entries[entry].source]; }
  template <class T>
  void add_up(std::int64_t group, T* sum, std::int64_t width) const {
    const std::size_t end = begin(group + 1);
    std::size_t i = begin(group);
    add_row<true>(sum, source(i), width);
    while (++i < end) add_row<false>(sum, source(i), width);
  }
};

// How many rows a block has: one for each place or, if that is at most half as many, those that are
// given and then the sums of places that have several.
std::int64_t rows_for(const Groups& groups) {
  if (groups.runs.empty()) return groups.count();
  std::int64_t rows = groups.runs.back() + 1;
  for (std::int64_t g = 0; g < groups.count(); ++g) rows += groups.size(g) > 1;
  return 2 * rows <= groups.count() ? rows : groups.count();
}

}  // namespace

Ref<RowBlock> sum_rows(std::span<const RowView> parts, const RowFormat& format) {
  const Groups groups(parts, format);
  const std::int64_t count = groups.count(), width = format.width;
  auto block = Ref<RowBlock>::adopt(new RowBlock(count, rows_for(groups), format));
  auto* places = static_cast<std::int64_t*>(block->places->data());
  auto* sources = block->sources ? static_cast<std::int64_t*>(block->sources->data()) : nullptr;
  std::int64_t next = sources ? groups.runs.back() + 1 : 0;
  for (std::int64_t g = 0; g < count; ++g) {
    const Entry& first = groups.entries[groups.begin(g)];
    places[g] = first.place;
    if (sources) sources[g] = groups.size(g) > 1 ? next++ : groups.runs[first.source];
  }
  dispatch_floating("from_rows", format.dtype, [&]<class T>(T) {
    auto* values = static_cast<T*>(block->values->data());
    parallel_for(count, 1, cost(format), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t g = first; g < last; ++g) {
        const auto ahead = groups.begin(g) + static_cast<std::size_t>(kRowsAhead);
        if (sources && groups.size(g) == 1) continue;
        if (!sources && ahead < groups.entries.size())
          prefetch(groups.source(ahead).row, format.row_bytes());
        groups.add_up(g, values + (sources ? sources[g] : g) * width, width);
      }
    });
    if (sources)
      for (std::size_t i = 0; i < groups.runs.size(); ++i)
        if (i == 0 || groups.runs[i] != groups.runs[i - 1])
          add_row<true>(values + groups.runs[i] * width, groups.sources[i], width);
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
        const T* const row = static_cast<const T*>(rows.row(i, format.row_bytes()));
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

namespace {
// With a row for each place.
Ref<RowBlock> copy_of(const RowView& rows, const RowFormat& format) {
  auto block = Ref<RowBlock>::adopt(new RowBlock(rows.count, format));
  std::copy_n(rows.places, rows.count, static_cast<std::int64_t*>(block->places->data()));
  auto* to = static_cast<char*>(block->values->data());
  const std::size_t bytes = format.row_bytes();
  for (std::int64_t i = 0; i < rows.count; ++i, to += bytes)
    std::memcpy(to, rows.row(i, bytes), bytes);
  return block;
}
}  // namespace

Ref<RowBlock> Rows::block() {
  const std::lock_guard lock(mutex_of(this));
  gather();
  return blocks_[0];
}

Ref<RowBlock> Rows::spread_block() {
  const std::lock_guard lock(mutex_of(this));
  gather();
  if (!blocks_[0]->sources) return blocks_[0];
  if (!spread_) spread_ = copy_of(blocks_[0]->view(), format_);
  return spread_;
}

RowBlocks Rows::blocks() {
  const std::lock_guard lock(mutex_of(this));
  return blocks_;
}

void Rows::add(Ref<RowBlock> block) {
  ready_.store(nullptr, std::memory_order_relaxed);
  dense_ = {};
  spread_ = {};
  const std::int64_t more = block->count;
  blocks_.push_back(std::move(block));
  count_ += more;
  // Each doubling gathers them: rows that come again and again take no more memory than a table.
  if (count_ >= 2 * blocks_[0]->count) gather();
}

void Rows::set(RowBlocks blocks) {
  ready_.store(nullptr, std::memory_order_relaxed);
  dense_ = {};
  spread_ = {};
  few_ = {};
  blocks_ = std::move(blocks);
  count_ = 0;
  for (const auto& b : blocks_) count_ += b->count;
  alive_.store(true, std::memory_order_release);
}

RowView Rows::to_change() {
  const std::lock_guard lock(mutex_of(this));
  gather();
  if (blocks_[0]->use_count() > 1 || blocks_[0]->sources)
    blocks_ = {copy_of(blocks_[0]->view(), format_)}, spread_ = {};
  return blocks_[0]->view();
}

void Rows::changed() {
  const std::lock_guard lock(mutex_of(this));
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
        rows.row(i, bytes), bytes);
}

void Rows::make() {
  if (!few_) gather();
  dense_ = room_for(format_);
  auto* const to = static_cast<char*>(dense_->data());
  const std::size_t bytes = format_.row_bytes();
  if (few_) {
    const auto* from = static_cast<const char*>(few_->data());
    parallel_for(format_.height / times_, 1, cost(format_) * static_cast<double>(times_),
                 [=, times = times_](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin * times; i < end * times; ++i)
                     std::memcpy(to + static_cast<std::size_t>(i) * bytes,
                                 from + static_cast<std::size_t>(i / times) * bytes, bytes);
                 });
  } else {
    std::memset(to, 0, format_.bytes());
    fill();
  }
  ready_.store(to, std::memory_order_release);
}

void Rows::repeat(Ref<Storage> few, std::int64_t times) {
  few_ = std::move(few);
  times_ = times;
  alive_.store(false, std::memory_order_release);
}

void* Rows::dense(bool write) {
  if (void* const ready = ready_.load(std::memory_order_acquire);
      ready && !(write && (alive() || few_)))
    return ready;
  const std::lock_guard lock(mutex_of(this));
  if (!dense_) make();
  if (write) {
    few_ = {};
    blocks_.clear();
    spread_ = {};
    count_ = 0;
    alive_.store(false, std::memory_order_release);
  }
  return dense_->data();
}

}  // namespace autograd::detail
