#include "autograd/ops/neural/internal/attention.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "autograd/kernels/attention.hpp"
#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/reference.hpp"

namespace autograd {
namespace {

using internal::in_ptr, internal::out_ptr;

// The heads of q, k and v: in which input they begin, and at which element.
struct Place {
  std::array<std::size_t, 3> input;
  std::array<std::int64_t, 3> offset;
  kernels::Attention call;

  // Of q, k or v, where `elements` are those of its input, or what belongs to them, or null.
  template <class T>
  T* of(std::size_t i, T* elements, const Inputs& in) const {
    return elements && in[input[i]].numel() > 0 ? elements + offset[i] : elements;
  }
};

// The places of a form.
struct Form : internal::AttentionForm {
  // Of (n, heads, length, width).
  static kernels::HeadSteps steps_apart(const Shape& s) {
    return {s[1] * s[2] * s[3], s[2] * s[3], s[3]};
  }
  // Of (n, length, heads …), or (length, n, heads …).
  kernels::HeadSteps steps_packed(std::int64_t n, std::int64_t length, std::int64_t columns,
                                  std::int64_t width) const {
    if (batch_first) return {length * columns, width, columns};
    return {columns, width, n * columns};
  }

  void place_apart(const Inputs& in, Place& p) const {
    const Shape &q = in[0].shape(), &k = in[1].shape(), &v = in[2].shape();
    p.input = {0, 1, 2};
    kernels::Attention& a = p.call;
    a.batch = q[0], a.queries = q[2], a.keys = k[2], a.width = q[3], a.value_width = v[3];
    a.q = steps_apart(q), a.k = steps_apart(k), a.v = steps_apart(v);
    a.o = steps_apart({q[0], q[1], q[2], v[3]});
  }

  void place_packed(const Inputs& in, Place& p) const {
    const std::size_t count = projections(in.size());
    const std::int64_t columns = in[0].shape()[2],
                       e = columns / (count == 1 ? heads + 2 * kv_heads : heads);
    p.input = {0, std::min<std::size_t>(count - 1, 1), count - 1};
    const Shape &q = in[0].shape(), &k = in[p.input[1]].shape(), &v = in[p.input[2]].shape();
    kernels::Attention& a = p.call;
    a.batch = q[batch_first ? 0 : 1], a.queries = q[batch_first ? 1 : 0];
    a.keys = k[batch_first ? 1 : 0];
    a.width = e, a.value_width = count == 3 ? v[2] / kv_heads : e;
    if (count == 1)
      p.offset = {0, heads * e, (heads + kv_heads) * e};
    else if (count == 2)
      p.offset = {0, 0, kv_heads * e};
    a.q = steps_packed(a.batch, a.queries, q[2], e);
    a.k = steps_packed(a.batch, a.keys, k[2], e);
    a.v = steps_packed(a.batch, a.keys, v[2], a.value_width);
    a.o = steps_packed(a.batch, a.queries, heads * a.value_width, a.value_width);
  }

  Place place(const Inputs& in) const {
    Place p{};
    packed ? place_packed(in, p) : place_apart(in, p);
    kernels::Attention& a = p.call;
    a.heads = heads, a.kv_heads = kv_heads;
    a.causal = causal, a.offset = offset, a.scale = scale, a.dropout_p = dropout_p;
    if (masked) {
      const Shape& m = in[projections(in.size())].shape();
      const auto step = [&](std::size_t axis, std::int64_t size) { return m[axis] > 1 ? size : 0; };
      a.mask = {step(0, m[1] * m[2] * m[3]), step(1, m[2] * m[3]), step(2, m[3])};
      a.mask_key = step(3, 1);
    }
    return p;
  }
  // With the elements of the inputs.
  template <class T>
  kernels::AttentionInputs<T> read(const Inputs& in, Place& p) const {
    const std::size_t count = projections(in.size());
    const auto from = [&](std::size_t i) { return p.of(i, in_ptr<T>(in[p.input[i]]), in); };
    kernels::AttentionInputs<T> x{from(0), from(1), from(2), nullptr, nullptr};
    if (masked && in[count].dtype() == boolean) x.allowed = in_ptr<bool>(in[count]);
    if (masked && in[count].dtype() != boolean) x.added = in_ptr<T>(in[count]);
    if (drops())
      p.call.seed = static_cast<std::uint64_t>(*in_ptr<std::int64_t>(in[count + (masked ? 1 : 0)]));
    return x;
  }
};

// Samples of a vmap as more entries of the batch, where no weights are dropped: their seed and place
// are those of one call.
struct Folded {
  const Form& form;
  const internal::Batch& in;
  std::size_t count = 0;  // projections, of which come first
  std::int64_t n = 0;     // entries of a sample
  bool masks = false;     // each entry has a mask of its own

  Folded(const Form& f, const internal::Batch& batch, std::size_t inputs) : form(f), in(batch) {
    count = form.projections(inputs);
    n = in.shape(0)[rows_first() ? 0 : 1];
    masks = form.masked && (in.differs(count) || in.shape(count)[0] > 1);
  }
  bool rows_first() const { return !form.packed || form.batch_first; }
  // What has the axes of a projection.
  Tensor like_projection(std::size_t i) const {
    if (rows_first()) return in.joined(i);
    const Tensor t = movedim(in.whole(i), 0, 1);
    return reshape(t, {t.size(0), in.samples() * n, t.size(3)});
  }
  // What has the axes of the mask.
  Tensor like_mask(std::size_t i) const {
    if (!masks) return in[i];
    const Tensor t = in.whole(i);
    Shape s = t.shape();
    s[1] = n;
    const Tensor all = expand(t, s);
    s.erase(s.begin());
    s[0] *= in.samples();
    return reshape(all, s);
  }
  TensorList inputs() const {
    TensorList list;
    for (std::size_t i = 0; i < count; ++i) list.push_back(like_projection(i));
    if (form.masked) list.push_back(like_mask(count));
    return list;
  }
  Tensor parted_projection(const Tensor& t) const {
    if (rows_first()) return in.parted(t, n);
    return movedim(reshape(t, {t.size(0), in.samples(), n, t.size(2)}), 1, 0);
  }
  Tensor parted_mask(const Tensor& t) const {
    const Tensor each = in.parted(t, n);
    return in.shape(count)[0] == n ? each : sum(each, 1, true);
  }
};

// From the inputs, the three results and the cotangent: the gradients that are wanted of the
// projections and of the mask.
struct AttentionGradient {
  static constexpr bool kTotal = true;
  Form form;
  std::array<bool, 4> wanted;
  XGRAD_ATTRIBUTES(form, wanted)

  std::string_view name() const { return "attention_gradient"; }
  void forward(const Inputs& all, std::span<Tensor> out) const {
    const std::size_t inputs = all.size() - 4, count = form.projections(inputs);
    const Inputs in = all.part(0, inputs);
    Place place = form.place(in);
    dispatch_floating(name(), all[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto x = form.read<T>(in, place);
      std::array<T*, 4> target{};
      std::size_t next = 0;
      for (std::size_t i = 0; i < (form.masked ? count + 1 : count); ++i)
        if (wanted[i]) target[i] = out_ptr<T>(out[next++]);
      const auto to = [&](std::size_t i) { return place.of(i, target[place.input[i]], in); };
      T* mask = form.masked ? target[count] : nullptr;
      if (mask) std::fill_n(mask, in[count].numel(), T(0));
      kernels::attention_gradient<T>(place.call, x, in_ptr<T>(all[inputs]),
                                     in_ptr<T>(all[inputs + 1]), in_ptr<T>(all[inputs + 2]),
                                     in_ptr<T>(all[inputs + 3]), to(0), to(1), to(2), mask);
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (form.drops()) return {};
    const std::size_t inputs = in.size() - 4;
    Folded folded(form, in, inputs);
    folded.masks |= form.masked && wanted[folded.count];
    TensorList list = folded.inputs(), out;
    list.push_back(folded.like_projection(inputs));
    for (const std::size_t i : {inputs + 1, inputs + 2}) list.push_back(in.joined(i));
    list.push_back(folded.like_projection(inputs + 3));
    for (std::size_t i = 0; i < inputs; ++i)
      if (wanted[i]) out.push_back(empty(list[i].shape(), list[0].dtype()));
    compute(*this, InputList(list), {out.data(), out.size()});
    std::size_t next = 0;
    for (std::size_t i = 0; i < inputs; ++i) {
      if (!wanted[i]) continue;
      Tensor& t = out[next++];
      t = i < folded.count ? folded.parted_projection(t) : folded.parted_mask(t);
    }
    return out;
  }
};

// From the inputs, the last two results and those tangents of projections and mask that there are:
// the tangent of the result.
struct AttentionTangent {
  static constexpr bool kTotal = true;
  Form form;
  std::array<bool, 4> has;
  XGRAD_ATTRIBUTES(form, has)

  std::string_view name() const { return "attention_tangent"; }
  void forward(const Inputs& all, Tensor& out) const {
    const auto tangents = static_cast<std::size_t>(std::count(has.begin(), has.end(), true)),
               inputs = all.size() - 2 - tangents, count = form.projections(inputs);
    const Inputs in = all.part(0, inputs);
    Place place = form.place(in);
    dispatch_floating(name(), all[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto x = form.read<T>(in, place);
      std::array<const T*, 4> given{};
      std::size_t next = inputs + 2;
      for (std::size_t i = 0; i < has.size(); ++i)
        if (has[i]) given[i] = in_ptr<T>(all[next++]);
      const auto of = [&](std::size_t i) { return place.of(i, given[place.input[i]], in); };
      kernels::attention_tangent<T>(
          place.call, x, in_ptr<T>(all[inputs]), in_ptr<T>(all[inputs + 1]),
          {of(0), of(1), of(2), nullptr, form.masked ? given[count] : nullptr}, out_ptr<T>(out));
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (form.drops()) return {};
    const auto tangents = static_cast<std::size_t>(std::count(has.begin(), has.end(), true)),
               inputs = in.size() - 2 - tangents;
    Folded folded(form, in, inputs);
    if (form.masked && has[folded.count]) folded.masks |= in.differs(in.size() - 1);
    TensorList list = folded.inputs();
    std::size_t next = inputs;
    for (int row = 0; row < 2; ++row) list.push_back(in.joined(next++));
    for (std::size_t i = 0; i < inputs; ++i)
      if (has[i])
        list.push_back(i < folded.count ? folded.like_projection(next++)
                                        : folded.like_mask(next++));
    Shape shape = in.output_shape();
    shape[folded.rows_first() ? 0 : 1] *= in.samples();
    Tensor out = empty(shape, list[0].dtype());
    compute(*this, InputList(list), out);
    return {folded.parted_projection(out)};
  }
};

// The factors of dropped weights, (n, heads, l, s), from their seed.
struct AttentionDropout {
  static constexpr bool kTotal = true;
  double dropout_p;
  Shape shape;
  DType dtype;
  XGRAD_ATTRIBUTES(dropout_p, shape, dtype)

  std::string_view name() const { return "attention_dropout"; }
  TensorSpec infer(const Inputs&) const { return {shape, dtype}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t keys = shape.back();
    const auto seed = static_cast<std::uint64_t>(*in_ptr<std::int64_t>(in[0]));
    dispatch_floating(name(), dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; keys > 0 && i < out.numel() / keys; ++i)
        kernels::attention_dropout(dropout_p, seed, i, keys, out_ptr<T>(out) + i * keys);
    });
  }
};

// The formula, of q (n, heads, l, e) and k (n, kv_heads, s, e).
Tensor formula_weights(const Form& f, const Tensor& q, const Tensor& k, const Tensor& mask,
                       const Tensor& seed) {
  const std::int64_t n = q.size(0), l = q.size(2), s = k.size(2),
                     group = f.heads == f.kv_heads ? 1 : f.heads / f.kv_heads;
  const Shape pairs{n, f.heads, l, s};
  Tensor scores = group == 1
                      ? internal::product(q, false, k, true)
                      : reshape(internal::product(reshape(q, {n, f.kv_heads, group, l, q.size(3)}),
                                                  false, unsqueeze(k, 2), true),
                                pairs);
  scores = scores * f.scale;
  Tensor allowed;
  const auto allow = [&](const Tensor& t) {
    allowed = allowed.defined() ? logical_and(allowed, t) : t;
  };
  if (f.causal) allow(arange(s) <= unsqueeze(arange(f.offset, l + f.offset), 1));
  if (f.masked && mask.dtype() == boolean) allow(mask);
  if (f.masked && mask.dtype() != boolean) {
    const Tensor seen = mask != -std::numeric_limits<double>::infinity();
    scores = scores + where(seen, mask, 0.0);
    allow(seen);
  }
  Tensor weights;
  if (allowed.defined()) {
    // A row without any key goes through the softmax as it is, so that nothing becomes NaN.
    const Tensor rows = expand(allowed, pairs), none = logical_not(any(rows, {-1}, true));
    weights = softmax(
        where(logical_or(rows, none), scores, -std::numeric_limits<double>::infinity()), -1);
    weights = where(rows, weights, 0.0);
  } else {
    weights = softmax(scores, -1);
  }
  return f.drops() ? weights * apply(AttentionDropout{f.dropout_p, pairs, q.dtype()}, seed)
                   : weights;
}

// weights (n, heads, l, s) times v (n, kv_heads, s, ev).
Tensor formula_values(const Form& f, const Tensor& weights, const Tensor& v) {
  if (f.heads == f.kv_heads) return internal::product(weights, false, v, false);
  const Shape& w = weights.shape();
  const Tensor grouped = reshape(weights, {w[0], f.kv_heads, f.heads / f.kv_heads, w[2], w[3]});
  return reshape(internal::product(grouped, false, unsqueeze(v, 2), false),
                 {w[0], w[1], w[2], v.size(3)});
}

// The result; the largest score and 1 / Σ exp(score - largest) of each query for the gradient.
struct Attention {
  static constexpr bool kTotal = true;
  static constexpr std::size_t kOutputs = 3;
  Form form;
  XGRAD_ATTRIBUTES(form)

  std::string_view name() const { return "attention"; }
  std::array<TensorSpec, kOutputs> infer(const Inputs& in) const {
    const kernels::Attention a = form.place(in).call;
    const TensorSpec row{{a.batch, a.heads, a.queries}, in[0].dtype()};
    Shape out{a.batch, a.heads, a.queries, a.value_width};
    if (form.packed && form.batch_first) out = {a.batch, a.queries, a.heads * a.value_width};
    if (form.packed && !form.batch_first) out = {a.queries, a.batch, a.heads * a.value_width};
    return {TensorSpec{out, in[0].dtype()}, row, row};
  }
  void forward(const Inputs& in, std::span<Tensor> out) const {
    Place place = form.place(in);
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto x = form.read<T>(in, place);
      kernels::attention<T>(place.call, x, out_ptr<T>(out[0]), out_ptr<T>(out[1]),
                            out_ptr<T>(out[2]));
    });
  }
  unsigned saves() const {
    return save_input(0) | save_input(1) | save_input(2) | save_input(3) | save_input(4) |
           save_output(0) | save_output(1) | save_output(2);
  }
  TensorList backward(const Call& call) const {
    if (grad_enabled())
      return reference_gradient(call, [&](const TensorList& in) { return reference(in); });
    const std::size_t count = call.inputs(), projections = form.projections(count);
    AttentionGradient gradient{form, {}};
    InputList in;
    TensorList out, result(count, Tensor());
    for (std::size_t i = 0; i < count; ++i) {
      in.add(call.input_value(i));
      if (i >= projections + (form.masked ? 1 : 0) || !call.needs(i)) continue;
      gradient.wanted[i] = true;
      out.push_back(empty(call.input_shape(i), call.input_value(0).dtype()));
    }
    for (std::size_t i = 0; i < kOutputs; ++i) in.add(call.output_value(i));
    in.add(call.grad());
    compute(gradient, in, {out.data(), out.size()});
    for (std::size_t i = 0, k = 0; i < count; ++i)
      if (i < gradient.wanted.size() && gradient.wanted[i]) result[i] = out[k++];
    return result;
  }

  TensorList jvp(const Call& call) const {
    if (!grad_enabled()) {
      const std::size_t floats = form.projections(call.inputs()) + (form.masked ? 1 : 0);
      AttentionTangent tangent{form, {}};
      InputList in;
      for (std::size_t i = 0; i < call.inputs(); ++i) in.add(call.input_value(i));
      for (std::size_t i = 1; i < kOutputs; ++i) in.add(call.output_value(i));
      for (std::size_t i = 0; i < floats; ++i)
        if (call.tangent(i).defined()) {
          tangent.has[i] = true;
          in.add(call.tangent(i));
        }
      Tensor out = empty(call.output_spec().shape, call.output_spec().dtype);
      compute(tangent, in, out);
      return {out, Tensor(), Tensor()};
    }
    return {internal::reference_tangent(call, [&](const TensorList& in) { return reference(in); }),
            Tensor(), Tensor()};
  }

  TensorList batch(const internal::Batch& in) const {
    if (form.drops()) return {};
    const Folded folded(form, in, in.size());
    TensorList out = in.call(*this, folded.inputs());
    out[0] = folded.parted_projection(out[0]);
    for (std::size_t i = 1; i < kOutputs; ++i) out[i] = in.parted(out[i], folded.n);
    return out;
  }
  Tensor reference(const TensorList& in) const {
    const std::size_t count = form.projections(in.size());
    const Tensor mask = form.masked ? in[count] : Tensor(), seed = form.drops() ? in.back() : mask;
    if (!form.packed)
      return formula_values(form, formula_weights(form, in[0], in[1], mask, seed), in[2]);
    const std::array<Tensor, 3> x = unpacked(in, count);
    const Tensor y = formula_values(form, formula_weights(form, x[0], x[1], mask, seed), x[2]);
    const Tensor rows = permute(y, form.batch_first ? Axes{0, 2, 1, 3} : Axes{2, 0, 1, 3});
    return reshape(rows, {rows.size(0), rows.size(1), rows.size(2) * rows.size(3)});
  }
  // q, k and v as (n, heads, length, width).
  std::array<Tensor, 3> unpacked(const TensorList& in, std::size_t count) const {
    const std::int64_t h = form.heads, kv = form.kv_heads;
    TensorList parts(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(count));
    const std::int64_t columns = parts.back().size(2);
    if (count == 1) {
      const std::int64_t e = columns / (h + 2 * kv);
      parts = split(parts[0], Shape{h * e, kv * e, kv * e}, 2);
    } else if (count == 2) {
      const TensorList halves = split(parts[1], columns / 2, 2);
      parts = {parts[0], halves[0], halves[1]};
    }
    std::array<Tensor, 3> out;
    for (std::size_t i = 0; i < 3; ++i) {
      const Tensor& x = parts[i];
      const std::int64_t heads = i == 0 ? h : kv;
      out[i] = permute(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}),
                       form.batch_first ? Axes{0, 2, 1, 3} : Axes{1, 2, 0, 3});
    }
    return out;
  }
};

}  // namespace

Tensor internal::attention(const AttentionForm& form, const Inputs& in) {
  return apply(Attention{{form}}, in)[0];
}

Tensor internal::attention_formula(const AttentionForm& form, const Tensor& q, const Tensor& k,
                                   const Tensor& mask, const Tensor& seed) {
  return formula_weights({form}, q, k, mask, seed);
}

}  // namespace autograd
