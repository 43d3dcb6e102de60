#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "nn/io/internal/cpp/operations/sums.hpp"

// softmax(q kᵀ · scale) v of heads, one query at a time.
namespace nn::cpp_out {
namespace {

const Kernel kAttention{R"(
// What mask says of a key: whether it is seen, or what is added to its score.
inline bool sees(bool mask) { return mask; }
template <class T>
inline bool sees(T mask) { return mask != -std::numeric_limits<T>::infinity(); }
template <class T>
inline T bonus(bool) { return 0; }
template <class T>
inline T bonus(T mask) { return mask; }

// A row of scores of one query, made into weights; a query without any key has none.
template <class S, class T, class M>
inline bool attention_weights(const T* q, const T* k, const M* mask, Index keys, T scale,
                              T* __restrict w) {
  T most = -std::numeric_limits<T>::infinity();
  bool any = false;
  for (Index j = 0; j < S::keys; ++j) {
    w[j] = -std::numeric_limits<T>::infinity();
    if (j >= keys || (mask && !sees(mask[j * S::mask_key]))) continue;
    const T* const key = k + j * S::k_row;
    w[j] = sum<S::width, T>([=](Index i) { return q[i] * key[i]; }) * scale;
    if (mask) w[j] += bonus<T>(mask[j * S::mask_key]);
    most = w[j] > most || w[j] != w[j] ? w[j] : most;
    any = true;
  }
  for (Index j = 0; j < S::keys; ++j) w[j] = any ? std::exp(w[j] - most) : T(0);
  const T total = sum<S::keys, T>([=](Index j) { return w[j]; });
  for (Index j = 0; j < S::keys && any; ++j) w[j] /= total;
  return any;
}

// Steps are those of batch, head and row; w has room for the keys of one query.
template <class S, class T, class M>
inline void attention(const T* q, const T* k, const T* v, const M* mask, T scale, T* __restrict w,
                      T* __restrict y) {
  for (Index b = 0; b < S::batch; ++b)
    for (Index h = 0; h < S::heads; ++h) {
      const Index shared = h / (S::heads / S::kv_heads);
      for (Index i = 0; i < S::queries; ++i) {
        const Index keys = S::causal ? i + S::offset + 1 : S::keys;
        const M* const row =
            mask ? mask + b * S::mask_batch + h * S::mask_head + i * S::mask_row : nullptr;
        T* const to = y + b * S::o_batch + h * S::o_head + i * S::o_row;
        for (Index c = 0; c < S::value_width; ++c) to[c] = 0;
        if (!attention_weights<S>(q + b * S::q_batch + h * S::q_head + i * S::q_row,
                                  k + b * S::k_batch + shared * S::k_head, row, keys, scale, w))
          continue;
        for (Index j = 0; j < S::keys; ++j) {
          const T* const from = v + b * S::v_batch + shared * S::v_head + j * S::v_row;
          const T weight = w[j];
          if (weight == 0) continue;
          for (Index c = 0; c < S::value_width; ++c) to[c] += weight * from[c];
        }
      }
    }
}
)",
                        {&kSum}};

using Steps = std::array<std::int64_t, 3>;

// Where heads stand, as in autograd/ops/neural/attention_op.cpp.
struct Places {
  explicit Places(const Call& call)
      : heads(call.integer("form.heads")),
        kv_heads(call.integer("form.kv_heads")),
        batch_first(call.flag("form.batch_first")),
        projections(call.inputs() - (call.flag("form.masked") ? 1 : 0)) {
    call.flag("form.packed") ? packed(call) : apart(call);
  }

  std::int64_t heads, kv_heads;
  bool batch_first;
  std::size_t projections;
  std::int64_t batch = 0, queries = 0, keys = 0, width = 0, value_width = 0;
  std::array<std::size_t, 3> input{};
  Steps offset{}, q{}, k{}, v{}, o{};

  static Steps steps_apart(const Sizes& s) { return {s[1] * s[2] * s[3], s[2] * s[3], s[3]}; }
  Steps steps_packed(std::int64_t length, std::int64_t columns, std::int64_t w) const {
    return batch_first ? Steps{length * columns, w, columns} : Steps{columns, w, batch * columns};
  }
  void apart(const Call& call) {
    const Sizes a = call.shape(0), b = call.shape(1), c = call.shape(2);
    input = {0, 1, 2};
    batch = a[0], queries = a[2], keys = b[2], width = a[3], value_width = c[3];
    q = steps_apart(a), k = steps_apart(b), v = steps_apart(c);
    o = steps_apart({a[0], a[1], a[2], c[3]});
  }
  void packed(const Call& call) {
    const std::int64_t columns = call.shape(0)[2];
    width = columns / (projections == 1 ? heads + 2 * kv_heads : heads);
    input = {0, std::min<std::size_t>(projections - 1, 1), projections - 1};
    const Sizes a = call.shape(0), b = call.shape(input[1]), c = call.shape(input[2]);
    batch = a[batch_first ? 0 : 1], queries = a[batch_first ? 1 : 0];
    keys = b[batch_first ? 1 : 0];
    value_width = projections == 3 ? c[2] / kv_heads : width;
    if (projections == 1) offset = {0, heads * width, (heads + kv_heads) * width};
    if (projections == 2) offset = {0, 0, kv_heads * width};
    q = steps_packed(queries, a[2], width), k = steps_packed(keys, b[2], width);
    v = steps_packed(keys, c[2], value_width);
    o = steps_packed(queries, heads * value_width, value_width);
  }
};

void attention(const Call& call) {
  if (call.real("form.dropout_p") > 0) call.refuse("dropout; switch the model to eval()");
  if (call.wanted(1) || call.wanted(2)) call.refuse("what it keeps for its gradient");
  const Places p(call);
  const bool masked = call.flag("form.masked");
  std::vector<std::pair<std::string, std::int64_t>> members{
      {"batch", p.batch},
      {"heads", p.heads},
      {"kv_heads", p.kv_heads},
      {"queries", p.queries},
      {"keys", p.keys},
      {"width", p.width},
      {"value_width", p.value_width},
      {"causal", call.flag("form.causal")},
      {"offset", call.integer("form.offset")}};
  const auto steps = [&](const std::string& name, const Steps& s) {
    for (std::size_t i = 0; i < 3; ++i)
      members.emplace_back(name + std::array{"_batch", "_head", "_row"}[i], s[i]);
  };
  steps("q", p.q), steps("k", p.k), steps("v", p.v), steps("o", p.o);
  Steps mask{};
  std::int64_t mask_key = 0;
  if (masked) {
    const Sizes m = call.shape(p.projections);
    const auto step = [&](std::size_t axis, std::int64_t size) { return m[axis] > 1 ? size : 0; };
    mask = {step(0, m[1] * m[2] * m[3]), step(1, m[2] * m[3]), step(2, m[3])};
    mask_key = step(3, 1);
  }
  steps("mask", mask);
  members.emplace_back("mask_key", mask_key);
  call.use(kAttention);
  const std::string sizes = call.sizes("attention_sizes", members);
  const auto from = [&](std::size_t i) {
    const std::string name = call.in(p.input[i]);
    return p.offset[i] == 0 ? name : fmt::format("{} + {}", name, p.offset[i]);
  };
  call.line(fmt::format("kernels::attention<{}>({}, {}, {}, {}, {}, {}, {});", sizes, from(0),
                        from(1), from(2),
                        masked ? call.in(p.projections) : "static_cast<const bool*>(nullptr)",
                        literal(call.real("form.scale"), call.dtype(0)),
                        call.scratch(call.dtype(0), {p.keys}), call.out()));
}

}  // namespace

void add_attention(Table& t) { t.by_attribute.push_back({"form.heads", attention}); }

}  // namespace nn::cpp_out
