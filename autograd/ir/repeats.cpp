#include <algorithm>
#include <cstring>

#include "autograd/ir/program.hpp"
#include "autograd/kernels/codegen/rows.hpp"

// Operands that chains read with their elements repeated: broadcast ones, and one element in place
// of rows that are full of it.
namespace autograd::replay {
namespace {

std::uint32_t type_number(Steps& form, const TensorType& like, DType dtype) {
  for (std::size_t t = 1; t < form.types.size(); ++t)
    if (form.types[t].dtype == dtype && form.types[t].shape == like.shape)
      return static_cast<std::uint32_t>(t);
  form.types.push_back({like.shape, like.numel, dtype});
  return static_cast<std::uint32_t>(form.types.size() - 1);
}

// How operand k of a step of a chain is repeated, if it is.
std::optional<Repeats> repeats_of(const Steps& form, const Step& step, std::size_t k) {
  const Operand& o = form.in(step)[k];
  const TensorType& out = form.type(form.out(step)[0]);
  if (step.by_rows ? !has_rows(form, step, k) || form.numel(o) != 1
                   : o.value == 0 || form.numel(o) == out.numel || form.numel(o) == 1)
    return {};
  std::optional<Repeats> r = replay::repeats_of(form.type(o).shape, out.shape);
  if (step.by_rows) r = Repeats{.run = out.numel};
  if (r) r->from = o;
  return r;
}

// The elements of `r` from the i-th on.
template <class T>
void repeat(const Repeats& r, const char* data, char* copy, std::int64_t i, std::int64_t n) {
  const T* const from = reinterpret_cast<const T*>(data);
  T* to = reinterpret_cast<T*>(copy);
  for (const std::int64_t end = i + n; i < end;) {
    const std::int64_t at = i / r.run % r.count;
    const std::int64_t count = std::min(end - i, r.run == 1 ? r.count - at : r.run - i % r.run);
    to = r.run == 1 ? std::copy_n(from + at, count, to) : std::fill_n(to, count, from[at]);
    i += count;
  }
}

}  // namespace

// The axes that the operand has must be neighbours in the result.
std::optional<Repeats> repeats_of(const Shape& operand, const Shape& to) {
  if (operand.size() > to.size()) return {};
  const std::size_t extra = to.size() - operand.size();
  Repeats r;
  bool inside = false, before = false;
  for (std::size_t d = to.size(); d-- > 0;) {
    const std::int64_t n = to[d], own = d < extra ? 1 : operand[d - extra];
    if (n == 1) continue;
    if (own != n) {
      before = inside;
      if (!inside) r.run *= n;
    } else if (before) {
      return {};
    } else {
      inside = true;
      r.count *= n;
    }
  }
  return r;
}

bool element_by_element(detail::ElementwiseRun run) { return kernels::find_listing(run); }

const Repeats& repeats_to(const Steps& form, std::uint32_t value) {
  return *std::ranges::find(form.repeats, value, &Repeats::to);
}

bool has_rows(const Steps& form, const Step& step, std::size_t k) {
  return step.by_rows && !(step.whole >> k & 1) &&
         row_of(form, step) < form.numel(form.out(step)[0]);
}

bool repeats(const Steps& form, const Step& step) {
  for (std::size_t k = 0; k < step.ins; ++k)
    if (repeats_of(form, step, k)) return true;
  return false;
}

void take_repeats(Steps& form, std::span<const Step> steps, std::int64_t row, bool alone,
                  Action& action) {
  action.first_repeats = static_cast<std::uint32_t>(form.repeats.size());
  std::int64_t longest = row;
  for (const Step& step : steps)
    for (std::size_t k = 0; k < step.ins && (steps.size() > 1 || step.by_rows); ++k) {
      if (!step.run) continue;  // a sum
      std::optional<Repeats> r = repeats_of(form, step, k);
      if (!r) continue;
      const std::uint32_t type =
          type_number(form, form.type(form.out(step)[0]), form.type(r->from).dtype);
      const auto known = std::find_if(
          form.repeats.begin() + action.first_repeats, form.repeats.end(), [&](const Repeats& o) {
            return o.from.value == r->from.value && o.count == r->count && o.run == r->run;
          });
      if (known != form.repeats.end()) {
        r->to = known->to;
      } else {
        r->to = static_cast<std::uint32_t>(form.values.size());
        form.values.push_back({.type = type, .source = Source::repeated});
        form.repeats.push_back(*r);
      }
      form.in(step)[k] = {r->to, type};
      if (row == 0 && action.sums == 0 && r->period() <= kTile &&
          (alone || r->period() % kRegisters == 0))
        longest = std::max(longest, r->period());
    }
  action.repeats = static_cast<std::uint32_t>(form.repeats.size()) - action.first_repeats;
  if (longest > 0) action.tile = std::max<std::int64_t>(kTile / longest, 1) * longest;
}

void Program::repeat(const Action& action, char* scratch, std::int64_t i, std::int64_t n,
                     bool first) const {
  const Place* place = repeated_.data() + std::size_t{2} * action.first_repeats;
  for (const Repeats& r : action.repeats_in(form_)) {
    const char* const from = data_[place->at];
    char* const to = scratch + place[1].at;
    const std::size_t size = place->stride;
    place += 2;
    if (!first && action.tile % r.period() == 0) continue;  // it is there
    if (size == 8)
      replay::repeat<std::uint64_t>(r, from, to, i, n);
    else if (size == 4)
      replay::repeat<std::uint32_t>(r, from, to, i, n);
    else
      replay::repeat<std::uint8_t>(r, from, to, i, n);
  }
}

}  // namespace autograd::replay
