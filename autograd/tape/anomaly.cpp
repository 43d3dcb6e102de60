#include "autograd/tape/internal/anomaly.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "autograd/tape/rows.hpp"

namespace autograd {

// The place by `Location` if the program names one, else from the stack.
struct detail::CallRecord {
  std::vector<internal::Range> inputs;
  std::string where;
  internal::Frames frames;
  std::string place() const { return where.empty() ? internal::place_of(frames) : where; }
};

void detail::DeleteCallRecord::operator()(CallRecord* record) const noexcept { delete record; }

namespace internal {
namespace {

std::string text(const Range& r) {
  if (!r.defined) return "none";
  std::string s = fmt::format("{} {}", r.shape, name(r.dtype));
  if (r.finite) s += fmt::format(" from {:.4g} to {:.4g}", r.min, r.max);
  if (r.nan) s += fmt::format(" with {} NaN", r.nan);
  if (r.inf) s += fmt::format("{} {} Inf", r.nan ? " and" : " with", r.inf);
  return s;
}

// "input 0 (2, 3) float32 from -1 to 1, input 1 …"
std::string list(std::string_view what, const std::vector<Range>& all) {
  std::string s;
  for (std::size_t i = 0; i < all.size(); ++i)
    s += fmt::format("{}{} {} {}", i ? ", " : "", what, i, text(all[i]));
  return s;
}

bool anomalous(const Range& result, const std::vector<Range>& from) {
  bool inf_came_in = false;
  for (const Range& r : from) inf_came_in |= r.inf > 0;
  return result.nan || (result.inf && !inf_came_in);
}

std::string called_at(std::string_view verb, const detail::CallRecord& call) {
  const std::string place = call.place();
  return place.empty() ? "" : fmt::format("; {} at {}", verb, place);
}

std::string with_attributes(const std::function<void(AttributeVisitor&)>& visit) {
  const std::string text = visit ? attributes_text(visit) : "";
  return text.empty() ? "" : ", with " + text;
}

}  // namespace

Range range(const Tensor& t) {
  Range r;
  if (!t.defined()) return r;
  r.defined = true;
  r.shape = t.shape();
  r.dtype = t.dtype();
  if (t.impl()->storage->instead()) return r;  // a sample of a vmap: all of them are looked at
  r.min = std::numeric_limits<double>::infinity();
  r.max = -r.min;
  const bool rows = is_rows(t);
  const Tensor elements = rows ? row_values(t) : t;
  if (rows && elements.numel() < t.numel()) r.finite = 1, r.min = r.max = 0;
  dispatch(t.dtype(), [&](auto zero) {
    const auto* p = static_cast<const decltype(zero)*>(elements.raw());
    for (std::int64_t i = 0; i < elements.numel(); ++i) {
      const auto x = static_cast<double>(p[i]);
      if (std::isnan(x)) {
        ++r.nan;
      } else if (std::isinf(x)) {
        ++r.inf;
      } else {
        ++r.finite;
        r.min = std::min(r.min, x);
        r.max = std::max(r.max, x);
      }
    }
  });
  return r;
}

std::vector<Range> ranges(const TensorList& tensors) {
  std::vector<Range> result;
  for (const Tensor& t : tensors) result.push_back(range(t));
  return result;
}

std::vector<Range> ranges(const Inputs& tensors) {
  std::vector<Range> result;
  for (std::size_t i = 0; i < tensors.size(); ++i) result.push_back(range(tensors[i]));
  return result;
}

detail::CallRecord* record_call(const Inputs& inputs) {
  std::string where = Location::innermost();
  Frames frames = where.empty() ? call_stack() : Frames();
  return new detail::CallRecord{ranges(inputs), std::move(where), std::move(frames)};
}

void check_gradients_anomaly(const Node& node, const detail::CallRecord* call,
                             const std::vector<Range>& cotangents, const TensorList& gradients) {
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Range r = range(gradients[i]);
    if (!anomalous(r, cotangents)) continue;
    std::string context = list("cotangent", cotangents);
    context += with_attributes([&](AttributeVisitor& v) { node.visit_attributes(v); });
    if (call) context += ", " + list("input", call->inputs) + called_at("called forward", *call);
    throw Error(
        fmt::format("{} backward: gradients must be finite in anomaly mode, got {} for "
                    "input {}, from {}",
                    quoted(node.name()), text(r), i, context));
  }
}

}  // namespace internal

void check_anomaly(std::string_view op, const Inputs& inputs, std::span<const Tensor> outputs,
                   const std::function<void(AttributeVisitor&)>& attributes) {
  for (const Tensor& out : outputs) {
    if (!is_floating(out.dtype())) continue;
    const internal::Range r = internal::range(out);
    if (!r.nan && !r.inf) continue;
    const std::unique_ptr<detail::CallRecord> call(internal::record_call(inputs));
    if (!internal::anomalous(r, call->inputs)) continue;
    throw Error(fmt::format("{}: results must be finite in anomaly mode, got {}, from {}{}{}",
                            quoted(op), internal::text(r), internal::list("input", call->inputs),
                            internal::with_attributes(attributes),
                            internal::called_at("called", *call)));
  }
}

}  // namespace autograd
