#include "autograd/ops/neural/attention.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/core/random.hpp"
#include "autograd/ops/neural/internal/attention.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

// What calls of attention must hold, and how they come to the operation.
namespace autograd {
namespace {

void check_options(const char* op, const AttentionOptions& options) {
  const double p = options.dropout_p;
  if (!(p >= 0 && p <= 1)) fail(op, "dropout_p must be in [0, 1], got {}", p);
  if (options.scale && !std::isfinite(*options.scale))
    fail(op, "scale must be finite, got {}", *options.scale);
}

// The mask with four axes, of which the first stand for all of `lead`.
Tensor four_axes(const char* op, const Tensor& mask, DType dtype, const Shape& lead, std::int64_t l,
                 std::int64_t s) {
  if (mask.dtype() != boolean && mask.dtype() != dtype)
    fail(op, "attn_mask must be bool or {} as the queries, got {}", name(dtype),
         name(mask.dtype()));
  Shape full = lead, shape = mask.shape();
  full.push_back(l);
  full.push_back(s);
  bool fits = shape.size() <= full.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) {
    const auto size = shape[shape.size() - 1 - i];
    fits = size == 1 || size == full[full.size() - 1 - i];
  }
  if (!fits) fail(op, "attn_mask must broadcast to {}, got {}", full, mask.shape());
  while (shape.size() < std::max<std::size_t>(full.size(), 4)) shape.insert(shape.begin(), 1);
  const std::size_t batch = shape.size() - 3;  // axes
  const bool same = std::all_of(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(batch),
                                [](std::int64_t n) { return n == 1; });
  std::int64_t n = 1;
  Tensor t = mask;
  if (batch > 1 && !same) {  // some may be broadcast and others not
    for (std::size_t i = 0; i < batch; ++i) n *= shape[i] = full[i];
    t = expand(mask, shape);
  } else {
    for (std::size_t i = 0; i < batch; ++i) n *= shape[i];
  }
  return reshape(t, {n, shape[batch], shape[batch + 1], shape[batch + 2]});
}

// A call on q, k and, where it is defined, v of any axes.
struct Apart {
  Shape lead;     // axes of the result before the last two
  TensorList in;  // as the operation takes them
  std::int64_t heads, kv_heads, queries, keys, width;
};

void check_matrices(const char* op, const Tensor& q, const Tensor& k, const Tensor& v) {
  internal::check_floating(op, q);
  for (const Tensor* t : {&k, &v})
    if (t->defined()) internal::check_same_dtype(op, q, *t);
  for (const Tensor* t : {&q, &k, &v})
    if (t->defined() && t->ndim() < 2)
      fail(op, "queries, keys and values must be (…, length, size), got shape {}", t->shape());
  if (q.size(-1) != k.size(-1) || q.size(-1) == 0)
    fail(op, "queries and keys must have one size of at least 1, got {} and {}", q.shape(),
         k.shape());
  if (v.defined() && v.size(-2) != k.size(-2))
    fail(op, "keys and values must have one length, got {} and {}", k.shape(), v.shape());
}

Shape lead_of(const Tensor& t) { return Shape(t.shape().begin(), t.shape().end() - 2); }

Apart apart(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, bool grouped) {
  check_matrices(op, q, k, v);
  Apart a;
  Shape kv = lead_of(k);
  a.lead = lead_of(q);
  std::int64_t fewer = 0;
  if (grouped) {
    const Tensor& values = v.defined() ? v : k;
    if (q.ndim() < 3 || k.ndim() < 3 || values.ndim() < 3 || k.size(-3) != values.size(-3) ||
        k.size(-3) < 1 || q.size(-3) % k.size(-3) != 0)
      fail(op,
           "with enable_gqa the heads of q must be a multiple of those of k and v, got {}, {} "
           "and {}",
           q.shape(), k.shape(), values.shape());
    fewer = k.size(-3);
    kv.back() = a.lead.back();
  }
  a.lead = shapes::broadcast(op, a.lead, kv);
  if (v.defined()) {
    Shape values = lead_of(v);
    if (grouped) values.back() = a.lead.back();
    a.lead = shapes::broadcast(op, a.lead, values);
  }
  a.heads = a.lead.empty() ? 1 : a.lead.back();
  a.kv_heads = grouped ? fewer : a.heads;
  std::int64_t n = 1;
  for (std::size_t i = 0; i + 1 < a.lead.size(); ++i) n *= a.lead[i];
  for (const Tensor* t : {&q, &k, &v}) {
    if (!t->defined()) continue;
    Shape full = a.lead;
    if (grouped && t != &q) full.back() = a.kv_heads;
    const std::int64_t heads = full.empty() ? 1 : full.back(), l = t->size(-2), e = t->size(-1);
    full.push_back(l);
    full.push_back(e);
    a.in.push_back(reshape(t->shape() == full ? *t : expand(*t, full), {n, heads, l, e}));
  }
  a.queries = q.size(-2), a.keys = k.size(-2), a.width = q.size(-1);
  return a;
}

// Farther than any key; sums with lengths then fit in 63 bits.
constexpr std::int64_t kFar = std::int64_t{1} << 40;

internal::AttentionForm form_of(const AttentionOptions& options, std::int64_t heads,
                                std::int64_t kv_heads, std::int64_t width) {
  return {.packed = false,
          .batch_first = true,
          .heads = heads,
          .kv_heads = kv_heads,
          .masked = options.attn_mask.defined(),
          .causal = options.is_causal,
          .offset = options.is_causal ? std::clamp(options.causal_offset, -kFar, kFar) : 0,
          .scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(width))),
          .dropout_p = options.dropout_p};
}

Tensor new_seed() { return randint(0, std::int64_t{1} << 62, {1}); }

Tensor run(const internal::AttentionForm& form, TensorList& in, const Tensor& mask) {
  if (form.masked) in.push_back(mask);
  if (form.drops()) in.push_back(new_seed());
  return internal::attention(form, InputList(in));
}

Shape with_matrix(Shape lead, std::int64_t rows, std::int64_t columns) {
  lead.push_back(rows);
  lead.push_back(columns);
  return lead;
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
  const char* op = "scaled_dot_product_attention";
  const detail::Named as(op);
  for (const Tensor* t : {&q, &k, &v}) internal::check_defined(op, *t);
  check_options(op, options);
  Apart a = apart(op, q, k, v, options.enable_gqa);
  Tensor mask;
  if (options.attn_mask.defined())
    mask = four_axes(op, options.attn_mask, q.dtype(), a.lead, a.queries, a.keys);
  const Tensor y = run(form_of(options, a.heads, a.kv_heads, a.width), a.in, mask);
  return reshape(y, with_matrix(a.lead, a.queries, v.size(-1)));
}

Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options) {
  const char* op = "attention_weights";
  const detail::Named as(op);
  for (const Tensor* t : {&q, &k}) internal::check_defined(op, *t);
  check_options(op, options);
  const Apart a = apart(op, q, k, {}, options.enable_gqa);
  Tensor mask;
  if (options.attn_mask.defined())
    mask = four_axes(op, options.attn_mask, q.dtype(), a.lead, a.queries, a.keys);
  const internal::AttentionForm form = form_of(options, a.heads, a.kv_heads, a.width);
  const Tensor weights = internal::attention_formula(form, a.in[0], a.in[1], mask,
                                                     form.drops() ? new_seed() : Tensor());
  return reshape(weights, with_matrix(a.lead, a.queries, a.keys));
}

Tensor packed_attention(const TensorList& projections, std::int64_t heads,
                        const PackedAttentionOptions& options) {
  const char* op = "packed_attention";
  const detail::Named as(op);
  const std::int64_t kv = options.kv_heads == 0 ? heads : options.kv_heads;
  const std::size_t count = projections.size();
  if (count < 1 || count > 3) fail(op, "needs 1 to 3 projections, got {}", count);
  if (heads < 1 || kv < 1 || heads % kv != 0)
    fail(op, "heads must be a multiple of kv_heads, got {} and {}", heads, kv);
  check_options(op, options.attention);
  for (const Tensor& t : projections) {
    internal::check_defined(op, t);
    internal::check_floating(op, t);
    internal::check_same_dtype(op, projections[0], t);
    if (t.ndim() != 3) fail(op, "projections must have 3 axes, got shape {}", t.shape());
  }
  const Shape &q = projections[0].shape(), &k = projections[count > 1].shape(),
              &v = projections.back().shape();
  const std::int64_t parts = count == 1 ? heads + 2 * kv : heads, e = q[2] / parts;
  const std::size_t n = options.batch_first ? 0 : 1;
  const bool widths = count == 1   ? true
                      : count == 2 ? k[2] == 2 * kv * e
                                   : k[2] == kv * e && v[2] % kv == 0;
  if (q[2] % parts != 0 || e == 0 || !widths)
    fail(op, "the last sizes must fit {} heads and {} of keys and values, got {}, {} and {}", heads,
         kv, q, k, v);
  if (q[n] != k[n] || q[n] != v[n] || k[1 - n] != v[1 - n])
    fail(op, "batches and lengths must match, got {}, {} and {}", q, k, v);
  internal::AttentionForm form = form_of(options.attention, heads, kv, e);
  form.packed = true, form.batch_first = options.batch_first;
  Tensor mask;
  if (form.masked)
    mask = four_axes(op, options.attention.attn_mask, projections[0].dtype(), {q[n], heads},
                     q[1 - n], k[1 - n]);
  TensorList in = projections;
  return run(form, in, mask);
}

}  // namespace autograd
