#include "nn/layers/attention.hpp"

#include <limits>
#include <string_view>

#include "autograd/core/trace.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/module/init.hpp"

namespace nn {
namespace {

constexpr std::string_view kName = "multihead_attention";

// A mask of PyTorch's as `ag::scaled_dot_product_attention` takes it.
ag::Tensor allowed(const ag::Tensor& mask) {
  return mask.dtype() == ag::boolean ? ag::logical_not(mask) : mask;
}

ag::Tensor as_numbers(const ag::Tensor& mask, ag::DType dtype) {
  if (mask.dtype() != ag::boolean) return mask;
  return ag::where(mask, ag::zeros({1}, dtype), -std::numeric_limits<double>::infinity());
}

// Both of two masks, of which either may be undefined.
ag::Tensor both(const ag::Tensor& a, const ag::Tensor& b, ag::DType dtype) {
  if (!a.defined() || !b.defined()) return a.defined() ? a : b;
  if (a.dtype() == ag::boolean && b.dtype() == ag::boolean) return ag::logical_and(a, b);
  return as_numbers(a, dtype) + as_numbers(b, dtype);
}

// The mask for `more` further keys, which all see.
ag::Tensor with_more_keys(const ag::Tensor& mask, std::int64_t more) {
  if (!mask.defined() || more == 0) return mask;
  ag::Shape shape = mask.shape();
  shape.back() = more;
  return ag::concat({mask, mask.dtype() == ag::boolean ? ag::ones(shape, ag::boolean)
                                                       : ag::zeros(shape, mask.dtype())},
                    -1);
}

// (n, l, heads e) or (l, n, heads e) → (n, heads, l, e).
ag::Tensor heads_apart(const ag::Tensor& x, std::int64_t heads, bool batch_first) {
  return ag::permute(ag::reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}),
                     batch_first ? ag::Axes{0, 2, 1, 3} : ag::Axes{1, 2, 0, 3});
}

}  // namespace

void KeyValueCache::append(const ag::Tensor& key, const ag::Tensor& value, std::int64_t axis) {
  ag::detail::refuse_in_trace("KeyValueCache::append()", "generate outside of compile()");
  const bool first = !key_.defined();
  ag::Tensor keys = first ? key : ag::concat({key_, key}, axis);
  ag::Tensor values = first ? value : ag::concat({value_, value}, axis);
  key_ = std::move(keys), value_ = std::move(values);
  length_ = key_.size(axis);
}

MultiheadAttention::MultiheadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                                       const MultiheadAttentionOptions& options)
    : out_proj(embed_dim < 1 ? 1 : embed_dim, embed_dim < 1 ? 1 : embed_dim, options.bias),
      embed_dim_(embed_dim),
      heads_(num_heads),
      options_(options) {
  if (embed_dim < 1 || num_heads < 1 || embed_dim % num_heads != 0)
    ag::fail(kName, "embed_dim must be a multiple of num_heads, got {} and {}", embed_dim,
             num_heads);
  if (!(options.dropout >= 0 && options.dropout <= 1))
    ag::fail(kName, "dropout must be in [0, 1], got {}", options.dropout);
  if (options.kdim < 0 || options.vdim < 0)
    ag::fail(kName, "kdim and vdim must be at least 1, or 0 for embed_dim, got {} and {}",
             options.kdim, options.vdim);
  if (options_.kdim == 0) options_.kdim = embed_dim;
  if (options_.vdim == 0) options_.vdim = embed_dim;
  if (options_.kdim == embed_dim && options_.vdim == embed_dim) {
    in_proj_weight = Parameter(ag::empty({3 * embed_dim, embed_dim}));
  } else {
    q_proj_weight = Parameter(ag::empty({embed_dim, embed_dim}));
    k_proj_weight = Parameter(ag::empty({embed_dim, options_.kdim}));
    v_proj_weight = Parameter(ag::empty({embed_dim, options_.vdim}));
  }
  if (options.bias) in_proj_bias = Parameter(ag::empty({3 * embed_dim}));
  if (options.add_bias_kv) {
    bias_k = Parameter(ag::empty({1, 1, embed_dim}));
    bias_v = Parameter(ag::empty({1, 1, embed_dim}));
  }
  reset_parameters();
}

void MultiheadAttention::reset_parameters() {
  out_proj.reset_parameters();
  for (const Parameter* p : {&in_proj_weight, &q_proj_weight, &k_proj_weight, &v_proj_weight})
    if (p->defined()) init::xavier_uniform_(*p);
  for (const Parameter* p : {&in_proj_bias, &out_proj.bias})
    if (p->defined()) init::zeros_(*p);
  for (const Parameter* p : {&bias_k, &bias_v})
    if (p->defined()) init::xavier_normal_(*p);
}

void MultiheadAttention::check(const ag::Tensor& query, const ag::Tensor& key,
                               const ag::Tensor& value, const MultiheadAttentionCall& call) const {
  if (!query.defined() || !key.defined() || !value.defined())
    ag::fail(kName, "query, key and value must be defined, got an undefined tensor");
  const auto axes = query.ndim();
  if ((axes != 2 && axes != 3) || key.ndim() != axes || value.ndim() != axes)
    ag::fail(kName,
             "query, key and value must all have 3 axes, or 2 without a batch, got {}, {} "
             "and {}",
             query.shape(), key.shape(), value.shape());
  if (query.size(-1) != embed_dim_ || key.size(-1) != options_.kdim ||
      value.size(-1) != options_.vdim)
    ag::fail(kName, "query, key and value must have {}, {} and {} features, got {}, {} and {}",
             embed_dim_, options_.kdim, options_.vdim, query.shape(), key.shape(), value.shape());
  const std::int64_t batch = options_.batch_first ? 0 : 1;
  if (axes == 3 && query.size(batch) != key.size(batch))
    ag::fail(kName, "query and key must have one batch size, got {} and {}{}", query.shape(),
             key.shape(), options_.batch_first ? "" : "; batch_first is false");
  for (std::int64_t i = 0; i + 1 < axes; ++i)
    if (key.size(i) != value.size(i))
      ag::fail(kName, "key and value must have one length and batch, got {} and {}", key.shape(),
               value.shape());
  if (call.cache &&
      (!call.is_causal || call.attn_mask.defined() || call.key_padding_mask.defined() ||
       options_.add_bias_kv || options_.add_zero_attn))
    ag::fail(kName, "with a cache is_causal must be true, without masks and further keys");
}

// Rows of the packed projection, in parts of embed_dim.
ag::Tensor MultiheadAttention::projected(const ag::Tensor& x, std::int64_t first,
                                         std::int64_t count) const {
  const auto rows = [&](const ag::Tensor& t) {
    return count == 3 ? t : ag::narrow(t, 0, first * embed_dim_, count * embed_dim_);
  };
  const ag::Tensor bias = in_proj_bias.defined() ? rows(in_proj_bias) : ag::Tensor();
  if (in_proj_weight.defined()) return ag::linear(x, rows(in_proj_weight), bias);
  const Parameter* weights[] = {&q_proj_weight, &k_proj_weight, &v_proj_weight};
  return ag::linear(x, *weights[first], bias);
}

// As `ag::packed_attention` takes them; `apart`: all three.
ag::TensorList MultiheadAttention::projections(const ag::Tensor& query, const ag::Tensor& key,
                                               const ag::Tensor& value, bool apart) const {
  const bool packed = in_proj_weight.defined(), one = key.impl() == value.impl();
  if (packed && one && query.impl() == key.impl()) {
    const ag::Tensor all = projected(query, 0, 3);
    if (!apart) return {all};
    return ag::split(all, embed_dim_, 2);
  }
  if (packed && one && !apart) return {projected(query, 0, 1), projected(key, 1, 2)};
  return {projected(query, 0, 1), projected(key, 1, 1), projected(value, 2, 1)};
}

void MultiheadAttention::add_keys(ag::Tensor& key, ag::Tensor& value) const {
  const std::int64_t axis = options_.batch_first ? 1 : 0;
  ag::Shape shape = key.shape();
  shape[static_cast<std::size_t>(axis)] = 1;
  if (bias_k.defined()) {
    key = ag::concat({key, ag::expand(bias_k, shape)}, axis);
    value = ag::concat({value, ag::expand(bias_v, shape)}, axis);
  }
  if (options_.add_zero_attn) {
    key = ag::concat({key, ag::zeros(shape, key.dtype())}, axis);
    value = ag::concat({value, ag::zeros(shape, key.dtype())}, axis);
  }
}

// All masks in one, of n batches, l queries and s keys without those that are added.
ag::Tensor MultiheadAttention::mask_of(const MultiheadAttentionCall& call, std::int64_t n,
                                       std::int64_t l, std::int64_t s, bool causal) const {
  ag::Tensor mask, padding;
  if (const ag::Tensor& m = call.attn_mask; m.defined()) {
    const bool of_heads = m.shape() == ag::Shape{n * heads_, l, s};
    if (!of_heads && m.shape() != ag::Shape{l, s})
      ag::fail(kName, "attn_mask must be ({}, {}) or ({}, {}, {}), got {}", l, s, n * heads_, l, s,
               m.shape());
    mask = allowed(of_heads ? ag::reshape(m, {n, heads_, l, s}) : m);
  }
  if (const ag::Tensor& m = call.key_padding_mask; m.defined()) {
    if (m.shape() != ag::Shape{n, s} && !(n == 1 && m.shape() == ag::Shape{s}))
      ag::fail(kName, "key_padding_mask must be ({}, {}), got {}", n, s, m.shape());
    padding = ag::reshape(allowed(m), {n, 1, 1, s});
  }
  const ag::DType dtype = out_proj.weight.dtype();
  for (const ag::Tensor* m : {&mask, &padding})
    if (m->defined() && m->dtype() != ag::boolean && m->dtype() != dtype)
      ag::fail(kName, "masks must be bool or {}, got {}", ag::name(dtype), ag::name(m->dtype()));
  if (causal) mask = both(mask, ag::arange(s) <= ag::unsqueeze(ag::arange(l), 1), dtype);
  return both(mask, padding, dtype);
}

AttentionOutput MultiheadAttention::with_weights(const ag::TensorList& in,
                                                 const ag::AttentionOptions& options,
                                                 bool average) const {
  const bool first = options_.batch_first;
  const ag::Tensor q = heads_apart(in[0], heads_, first), k = heads_apart(in[1], heads_, first),
                   v = heads_apart(in[2], heads_, first);
  const ag::Tensor weights = ag::attention_weights(q, k, options);
  const ag::Tensor rows =
      ag::permute(ag::matmul(weights, v), first ? ag::Axes{0, 2, 1, 3} : ag::Axes{2, 0, 1, 3});
  return {ag::reshape(rows, {rows.size(0), rows.size(1), embed_dim_}),
          average ? ag::mean(weights, {1}) : weights};
}

AttentionOutput MultiheadAttention::forward(const ag::Tensor& query, const ag::Tensor& key,
                                            const ag::Tensor& value,
                                            const MultiheadAttentionCall& call) const {
  check(query, key, value, call);
  const std::int64_t batch = options_.batch_first ? 0 : 1, length = 1 - batch;
  if (query.ndim() == 2) {
    const auto batched = [&](const ag::Tensor& x) { return ag::unsqueeze(x, batch); };
    const ag::Tensor q = batched(query);
    const ag::Tensor k = key.impl() == query.impl() ? q : batched(key);
    const ag::Tensor v = value.impl() == key.impl() ? k : batched(value);
    AttentionOutput out = forward(q, k, v, call);
    out.output = ag::squeeze(out.output, batch);
    if (out.weights.defined()) out.weights = ag::squeeze(out.weights, 0);
    return out;
  }
  const std::int64_t more = (bias_k.defined() ? 1 : 0) + (options_.add_zero_attn ? 1 : 0);
  ag::TensorList in = projections(query, key, value, more > 0 || call.cache || call.need_weights);
  if (more > 0) add_keys(in[1], in[2]);
  ag::AttentionOptions options{.dropout_p = is_training() ? options_.dropout : 0.0,
                               .is_causal = call.is_causal && more == 0};
  if (call.cache) {
    options.causal_offset = call.cache->length();
    call.cache->append(in[1], in[2], length);
    in[1] = call.cache->key(), in[2] = call.cache->value();
  }
  options.attn_mask = with_more_keys(mask_of(call, query.size(batch), query.size(length),
                                             key.size(length), call.is_causal && more > 0),
                                     more);
  AttentionOutput out;
  if (call.need_weights)
    out = with_weights(in, options, call.average_attn_weights);
  else
    out.output = ag::packed_attention(in, heads_,
                                      {.attention = options, .batch_first = options_.batch_first});
  out.output = out_proj(out.output);
  return out;
}

}  // namespace nn
