#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// ---------------------------------------------------------------- Attention

struct AttentionNode {
  std::int64_t q_heads, kv_heads, left, right, mode;
  std::optional<double> scale;
  double softcap;
  bool causal, wants_scores;
};

// (n, l, heads · e) as (n, heads, l, e).
Tensor heads_apart(const Tensor& x, std::int64_t heads) {
  if (x.ndim() == 4) return x;
  if (x.ndim() != 3 || heads < 1 || x.size(2) % heads != 0)
    ag::fail("Attention", "x must be (n, l, {} heads · e) or have four axes, got shape {}", heads,
             x.shape());
  return ag::permute(ag::reshape(x, {x.size(0), x.size(1), heads, -1}), {0, 2, 1, 3});
}

Tensor both(const Tensor& a, const Tensor& b) { return a.defined() ? a & b : b; }

// Which keys each query may see by where it stands, as far as the node says so; else undefined.
Tensor allowed_by_place(const AttentionNode& node, const Call& call, std::int64_t queries,
                        std::int64_t keys) {
  Tensor allowed;
  const Tensor key = ag::arange(keys);
  Tensor query = ag::unsqueeze(ag::arange(queries), 1);
  if (call.has(6)) {
    const Tensor count = ag::reshape(call[6], {call[6].numel(), 1, 1, 1});
    allowed = key < count;
    query = query + (count - static_cast<double>(queries));
  } else if (call.has(4)) {
    query = query + static_cast<double>(call[4].size(2));
  }
  if (node.causal) allowed = both(allowed, key <= query);
  if (node.left >= 0) allowed = both(allowed, query - static_cast<double>(node.left) <= key);
  if (node.right >= 0) allowed = both(allowed, key <= query + static_cast<double>(node.right));
  return allowed;
}

// The mask of the input, with keys that it does not reach hidden, and that of places.
Tensor mask_of(const AttentionNode& node, const Call& call, const Tensor& q, const Tensor& k) {
  const Tensor allowed = allowed_by_place(node, call, q.size(2), k.size(2));
  if (!call.has(3)) return allowed;
  Tensor mask = call[3];
  const bool truth = mask.dtype() == ag::boolean;
  if (const std::int64_t missing = k.size(2) - mask.size(-1); missing > 0 && mask.size(-1) > 1)
    mask = ag::pad(mask, {0, missing}, ag::PadMode::constant, truth ? 0 : -kInf);
  if (!allowed.defined()) return mask;
  return truth ? mask & allowed : ag::where(allowed, mask, -kInf);
}

// The steps one by one, for what asks to see them or has a cap. Rows without a key give 0.
Values by_steps(const AttentionNode& node, const Tensor& q, Tensor k, Tensor v,
                const Tensor& mask) {
  const std::int64_t repeats = q.size(1) / k.size(1);
  if (repeats > 1)
    k = ag::repeat_interleave(k, repeats, 1), v = ag::repeat_interleave(v, repeats, 1);
  const double scale = node.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
  const Tensor raw = ag::matmul(q * std::sqrt(scale), ag::transpose(k * std::sqrt(scale)));
  const Tensor capped = node.softcap > 0 ? ag::tanh(raw / node.softcap) * node.softcap : raw;
  Tensor masked = capped;
  if (mask.defined())
    masked = mask.dtype() == ag::boolean ? ag::where(mask, capped, -kInf) : capped + mask;
  const Tensor none = ag::all(masked == -kInf, -1, true);
  const Tensor weights = ag::where(none, 0.0, ag::softmax(ag::where(none, 0.0, masked)));
  const Tensor* scores[] = {&raw, &capped, &masked, &weights};
  return several(ag::matmul(weights, v), *scores[node.mode]);
}

Values attention_of(const AttentionNode& node, const Call& call) {
  const bool flat = call[0].ndim() == 3;
  const Tensor q = heads_apart(call[0], node.q_heads);
  Tensor k = heads_apart(call[1], node.kv_heads), v = heads_apart(call[2], node.kv_heads);
  if (call.has(4) != call.has(5)) ag::fail("Attention", "past_key and past_value must go together");
  if (call.has(4)) k = ag::concat({call[4], k}, 2), v = ag::concat({call[5], v}, 2);
  if (k.size(1) == 0 || q.size(1) % k.size(1) != 0)
    ag::fail("Attention", "heads of queries must be a multiple of those of keys, got {} and {}",
             q.size(1), k.size(1));
  const Tensor mask = mask_of(node, call, q, k);
  Values out;
  if (node.wants_scores || node.softcap > 0)
    out = by_steps(node, q, k, v, mask);
  else
    out =
        several(ag::scaled_dot_product_attention(
                    q, k, v,
                    {.attn_mask = mask, .scale = node.scale, .enable_gqa = q.size(1) != k.size(1)}),
                Tensor());
  Tensor y = out[0].tensor;
  if (flat) y = ag::flatten(ag::permute(y, {0, 2, 1, 3}), 2);
  return several(y, k, v, out[1].tensor);
}

Run attention(Node& node) {
  AttentionNode a;
  a.q_heads = node.integer("q_num_heads", 0);
  a.kv_heads = node.integer("kv_num_heads", 0);
  a.left = node.integer("left_window_size", -1);
  a.right = node.integer("right_window_size", -1);
  a.mode = node.integer("qk_matmul_output_mode", 0);
  if (a.mode < 0 || a.mode > 3)
    node.refuse("qk_matmul_output_mode must be in [0, 3], got {}", a.mode);
  if (node.has("scale")) a.scale = node.number("scale");
  if (a.scale && !(*a.scale > 0)) node.refuse("scale must be above 0, got {}", *a.scale);
  a.softcap = node.number("softcap", 0);
  a.causal = node.flag("is_causal");
  node.ignore("softmax_precision");  // at least that of float32, always
  a.wants_scores = node.wants(3);
  return [a](const Call& call) { return attention_of(a, call); };
}

// ---------------------------------------------------------------- RotaryEmbedding

struct Rotary {
  std::int64_t heads, features;
  bool interleaved;
};

// x is (n, l, heads, e); cos and sin are (n, l, 1, features / 2).
Tensor turned(const Rotary& r, const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const std::int64_t all = x.size(3), n = r.features ? r.features : all, half = n / 2;
  if (n % 2 != 0 || n < 0 || n > all || cos.size(-1) != half)
    ag::fail("RotaryEmbedding", "caches must be {} wide, half of what turns of {}, got {}", half,
             all, cos.size(-1));
  const Tensor part = ag::narrow(x, 3, 0, n);
  const Tensor a = r.interleaved ? ag::slice(part, 3, 0, n, 2) : ag::narrow(part, 3, 0, half);
  const Tensor b = r.interleaved ? ag::slice(part, 3, 1, n, 2) : ag::narrow(part, 3, half, half);
  const Tensor real = cos * a - sin * b, imaginary = sin * a + cos * b;
  const Tensor y = r.interleaved ? ag::reshape(ag::stack({real, imaginary}, 4), part.shape())
                                 : ag::concat({real, imaginary}, 3);
  return n == all ? y : ag::concat({y, ag::narrow(x, 3, n, all - n)}, 3);
}

Run rotary_embedding(Node& node) {
  const Rotary r{node.integer("num_heads", 0), node.integer("rotary_embedding_dim", 0),
                 node.flag("interleaved")};
  return [r](const Call& call) {
    const Tensor& x = call[0];
    const bool apart = x.ndim() == 4;
    if (!apart && (x.ndim() != 3 || r.heads < 1 || x.size(2) % r.heads != 0))
      ag::fail("RotaryEmbedding", "x must have four axes, or three and num_heads, got shape {}",
               x.shape());
    const auto cached = [&](const Tensor& cache) {
      if (!call.has(3)) return ag::unsqueeze(cache, 2);
      ag::Shape shape = call[3].shape();
      shape.push_back(cache.size(-1));
      return ag::unsqueeze(ag::reshape(ag::index_select(cache, 0, ag::ravel(call[3])), shape), 2);
    };
    const Tensor in =
        apart ? ag::permute(x, {0, 2, 1, 3}) : ag::reshape(x, {x.size(0), x.size(1), r.heads, -1});
    const Tensor y = turned(r, in, cached(call[1]), cached(call[2]));
    return one(apart ? ag::permute(y, {0, 2, 1, 3}) : ag::reshape(y, x.shape()));
  };
}

constexpr Operator kOperators[] = {
    {"Attention", attention, 3, 7},
    {"RotaryEmbedding", rotary_embedding, 3, 4},
};

}  // namespace

std::span<const Operator> attention_operators() { return kOperators; }

}  // namespace nn::interpreter
