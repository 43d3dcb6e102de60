#include "autograd/tape/rows.hpp"

#include <algorithm>
#include <cstring>

#include "autograd/core/internal/row_blocks.hpp"
#include "autograd/tape/internal/gathered_rows.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/shared_rows.hpp"

namespace autograd {
namespace {

using detail::Rows;

// Of the tensor's shape; null if it is none.
Rows* living(const Tensor& t) {
  const detail::TensorImpl& i = *t.impl();
  Rows* const rows = i.storage->rows();
  return rows && rows->alive() && !i.shape.empty() && i.shape[0] == rows->format().height ? rows
                                                                                          : nullptr;
}

Rows& needed(std::string_view op, const Tensor& t) {
  internal::check_defined(op, t);
  detail::refuse_in_trace("the rows of a tensor, whose number depends on elements",
                          "look at them outside");
  if (Rows* const rows = living(t)) return *rows;
  fail(op, "the tensor must be rows, as the gradient of a lookup is, got a dense one of shape {}",
       t.shape());
}

Tensor no_rows(const Shape& shape, std::int64_t numel, const detail::RowFormat& format) {
  Tensor t(detail::Ref<detail::TensorImpl>::adopt(
      new detail::TensorImpl(detail::Storage::create_rows(format), shape, numel, format.dtype)));
  if (detail::tracing) [[unlikely]]
    detail::trace_created(t);
  return t;
}

// total += g in the elements of `total`.
void add_in_place(Tensor& total, const Tensor& g) {
  Rows* const rows = living(g);
  if (!rows) return internal::add_elements(total, g);
  detail::add_rows(total.raw_mutable(), rows->block()->view(), rows->format());
}

// Rows at positions, the second input, as a table; the next inputs, if any, say which of the rows
// of the first they are, and their factors.
struct FromRows {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "from_rows"; }
  void forward(const Inputs& in, Tensor& out) const {
    Rows& rows = *out.impl()->storage->rows();
    detail::RowView given{.count = in[1].numel(),
                          .places = static_cast<const std::int64_t*>(in[1].raw())};
    detail::PooledVector<std::int64_t> sources;
    const auto few = repeated(in, sources);
    given.values = few ? few->data() : const_cast<void*>(in[0].raw());
    if (few) given.sources = sources.data();
    if (in.size() > 2) given.sources = static_cast<const std::int64_t*>(in[2].raw());
    if (in.size() > 3) given.factors = in[3].raw();
    rows.set({detail::sum_rows({&given, 1}, rows.format())});
  }

 private:
  // The rows that are repeated, and which of them each is; null if none are.
  static detail::Ref<detail::Storage> repeated(const Inputs& in,
                                               detail::PooledVector<std::int64_t>& sources) {
    const Rows* const table = in[0].impl()->storage->rows();
    if (!table || in.size() > 2 || table->format().height != in[1].numel()) return {};
    auto few = table->repeated();
    if (!few) return few;
    sources.reserve(static_cast<std::size_t>(in[1].numel()));
    for (std::int64_t i = 0; i < in[1].numel() / table->times(); ++i)
      sources.insert(sources.end(), static_cast<std::size_t>(table->times()), i);
    return few;
  }
};

// Elements added in their columns at positions, the second input, as a table.
struct ScatterRows {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "from_rows"; }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* place = static_cast<const std::int64_t*>(in[1].raw());
    detail::PooledVector<std::int64_t> places(place, place + in[1].numel());
    std::ranges::sort(places);
    places.erase(std::unique(places.begin(), places.end()), places.end());
    if (!places.empty() && places[0] < 0) places.erase(places.begin());
    Rows& rows = *out.impl()->storage->rows();
    auto block = detail::Ref<detail::RowBlock>::adopt(
        new detail::RowBlock(static_cast<std::int64_t>(places.size()), rows.format()));
    std::ranges::copy(places, static_cast<std::int64_t*>(block->places->data()));
    std::memset(block->values->data(), 0, block->values->bytes());
    dispatch_floating(name(), in[0].dtype(), [&]<class T>(T) {
      add<T>(in, places, static_cast<T*>(block->values->data()));
    });
    rows.set({std::move(block)});
  }

 private:
  template <class T>
  static void add(const Inputs& in, const detail::PooledVector<std::int64_t>& places, T* to) {
    const auto* place = static_cast<const std::int64_t*>(in[1].raw());
    const auto* from = static_cast<const T*>(in[0].raw());
    const std::int64_t width = in[0].shape()[1];
    for (std::int64_t i = 0; i < in[0].numel(); ++i)
      if (place[i] >= 0)
        to[(std::ranges::lower_bound(places, place[i]) - places.begin()) * width + i % width] +=
            from[i];
  }
};

// The sum of its inputs, one or two tables, one of them of rows: rows if all are, and the result is
// made for them.
struct SumRows {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "backward"; }
  void forward(const Inputs& in, Tensor& out) const {
    bool all = out.impl()->storage->rows() != nullptr;
    for (std::size_t i = 0; i < in.size(); ++i) all &= living(in[i]) != nullptr;
    all ? join(in, out) : add(in, out);
  }

 private:
  static void join(const Inputs& in, Tensor& out) {
    Rows& sum = *out.impl()->storage->rows();
    sum.set(living(in[0])->blocks());
    if (in.size() > 1) sum.add(living(in[1])->block());
  }
  static void add(const Inputs& in, Tensor& out) {
    const bool swap = in.size() > 1 && living(in[0]);
    std::memcpy(out.raw_mutable(), in[swap].raw(),
                static_cast<std::size_t>(out.numel()) * size_of(out.dtype()));
    if (in.size() > 1) add_in_place(out, in[!swap]);
  }
};

// Rows in the other floating dtype.
struct CastRows {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "to"; }
  void forward(const Inputs& in, Tensor& out) const {
    Rows* const from = living(in[0]);
    if (!from) return convert(in[0].dtype(), in[0].raw(), out.raw_mutable(), out.numel());
    const auto old = from->spread_block();
    Rows& rows = *out.impl()->storage->rows();
    const detail::RowFormat& format = rows.format();
    auto block = detail::Ref<detail::RowBlock>::adopt(new detail::RowBlock(old->count, format));
    std::memcpy(block->places->data(), old->places->data(), old->places->bytes());
    convert(in[0].dtype(), old->values->data(), block->values->data(), old->count * format.width);
    rows.set({std::move(block)});
  }

 private:
  static void convert(DType dtype, const void* from, void* to, std::int64_t n) {
    const auto copy = [&]<class From, class To>(From, To) {
      std::copy_n(static_cast<const From*>(from), n, static_cast<To*>(to));
    };
    dtype == float32 ? copy(float{}, double{}) : copy(double{}, float{});
  }
};

template <class Op>
Tensor computed_rows(const Op& op, const Shape& shape, std::int64_t numel,
                     const detail::RowFormat& format, const Inputs& in) {
  Tensor out = no_rows(shape, numel, format);
  compute(op, in, out);
  return out;
}

}  // namespace

// ---------------------------------------------------------------- what users call

bool is_rows(const Tensor& t) {
  internal::check_defined("is_rows", t);
  const bool rows = living(t) != nullptr;
  if (rows && detail::tracing) [[unlikely]]
    internal::trace_rows_asked(*t.impl());
  return rows;
}

Tensor row_indices(const Tensor& t) {
  const auto block = needed("row_indices", t).block();
  Tensor out = empty({block->count}, int64);
  std::memcpy(out.raw_mutable(), block->places->data(), block->places->bytes());
  return out;
}

Tensor row_values(const Tensor& t) {
  const auto block = needed("row_values", t).spread_block();
  Shape shape = t.shape();
  shape[0] = block->count;
  Tensor out = empty(shape, t.dtype());
  std::memcpy(out.raw_mutable(), block->values->data(), block->values->bytes());
  return out;
}

namespace detail {

namespace {
RowSpan span_of(const Rows& rows, const RowView& v) {
  return {v.count, rows.format().width, v.places, v.values};
}
}  // namespace

RowSpan rows_of(const Tensor& t) {
  Rows& rows = needed("rows_of", t);
  return span_of(rows, rows.spread_block()->view());
}
SharedRows shared_rows_of(const Tensor& t) {
  Rows& rows = needed("shared_rows_of", t);
  const RowView v = rows.block()->view();
  return {span_of(rows, v), v.sources};
}
RowSpan rows_to_change(Tensor& t) {
  Rows& rows = needed("rows_to_change", t);
  return span_of(rows, rows.to_change());
}
void rows_changed(Tensor& t) {
  needed("rows_changed", t).changed();
  t.impl()->storage->bump_version();
}

}  // namespace detail

// ---------------------------------------------------------------- what the tape calls

namespace {
template <class Op>
Tensor made_rows(const Op& op, const Shape& shape, const Inputs& in) {
  std::int64_t width = 1;
  for (std::size_t d = 1; d < shape.size(); ++d) width *= shape[d];
  Tensor out = computed_rows(op, shape, shape.numel(), {shape[0], width, in[0].dtype()}, in);
  if (anomaly_mode()) [[unlikely]]
    check_anomaly("from_rows", in, {&out, 1});
  detail::mark_unrecorded(in, {&out, 1});
  return out;
}
}  // namespace

Tensor internal::rows_at(const Tensor& values, const Tensor& places, const Shape& shape) {
  return made_rows(FromRows{}, shape, Inputs(std::array{&values, &places}));
}

Tensor internal::gathered_rows(const Tensor& values, const Tensor& places, const Tensor& sources,
                               const Tensor& factors, const Shape& shape) {
  const std::array<const Tensor*, 4> in{&values, &places, &sources, &factors};
  return made_rows(FromRows{}, shape, Inputs({in.data(), factors.defined() ? 4u : 3u}));
}

Tensor internal::scattered_rows(const Tensor& values, const Tensor& places, const Shape& shape) {
  return made_rows(ScatterRows{}, shape, Inputs(std::array{&values, &places}));
}

Tensor internal::repeated_rows(const Tensor& t, const Shape& shape) {
  const std::array<const Tensor*, 1> in{&t};
  const Shape& from = t.shape();
  if (detail::tracing || anomaly_mode() || should_record(Inputs(in)) ||
      from.size() != shape.size() || t.numel() == 0 || !is_floating(t.dtype()))
    return {};
  std::int64_t times = 1, width = 1;
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (from[d] == shape[d] && times == 1)
      width *= shape[d];
    else if (from[d] != shape[d])
      times = times == 1 ? shape[d] : 0;
  }
  constexpr std::size_t least = 16;  // bytes of a row
  const detail::RowFormat format{times == 0 ? 0 : t.numel() / width * times, width, t.dtype()};
  if (times < 2 || format.row_bytes() < least) return {};
  const auto bytes = static_cast<std::size_t>(t.numel()) * size_of(t.dtype());
  auto few = detail::Storage::create(bytes);
  std::memcpy(few->data(), t.raw(), bytes);
  Tensor out = no_rows(shape, shape.numel(), format);
  out.impl()->storage->rows()->repeat(std::move(few), times);
  detail::mark_unrecorded(Inputs(in), {&out, 1});
  return out;
}

Tensor internal::copy_of_rows(const Tensor& t) {
  return computed_rows(SumRows{}, t.impl()->shape, t.impl()->numel, living(t)->format(),
                       Inputs(std::array{&t}));
}

Tensor internal::rows_as(const Tensor& t, DType dtype) {
  detail::RowFormat format = living(t)->format();
  format.dtype = dtype;
  return computed_rows(CastRows{}, t.impl()->shape, t.impl()->numel, format,
                       Inputs(std::array{&t}));
}

void internal::accumulate_rows(Tensor& total, Tensor g) {
  Rows* const a = living(total);
  Rows* const b = living(g);
  const bool alike = a && b && a->format() == b->format();
  // Rows are added to dense elements, not these to rows.
  if (!alike && sole_owner(g) && g.shape() == total.shape() && (a || !sole_owner(total)))
    std::swap(total, g);
  if (sole_owner(total)) return alike ? a->add(b->block()) : add_in_place(total, g);
  const detail::TensorImpl& t = *total.impl();
  Tensor sum = alike ? no_rows(t.shape, t.numel, a->format()) : empty_like(total);
  compute_into(sum, SumRows{}, total, g);
  total = std::move(sum);
}

}  // namespace autograd
