#include "autograd/kernels/attention.hpp"

#include <algorithm>
#include <utility>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/buffer.hpp"
#include "autograd/core/internal/philox.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/gemm.hpp"

namespace autograd::kernels {
namespace {

// Scores that stay in the second cache, and the bounds of how many queries they are for. Tiles
// depend on sizes alone, so that the bits are the same for any number of threads.
constexpr std::int64_t kScores = 65536, kFewest = 16, kMost = 128;

std::int64_t tile_rows(const Attention& a) {
  return std::clamp(kScores / std::max<std::int64_t>(a.keys, 1), kFewest, kMost);
}

std::int64_t at(const HeadSteps& steps, std::int64_t n, std::int64_t head, std::int64_t row = 0) {
  return n * steps.batch + head * steps.head + row * steps.row;
}

// Queries from `begin` on of one head, and how many of the first keys they may see.
struct Part {
  std::int64_t n, head, kv_head, begin, rows, keys;
};

Part part_of(const Attention& a, std::int64_t n, std::int64_t head, std::int64_t begin) {
  Part p{
      n,     head, head / (a.heads / a.kv_heads), begin, std::min(tile_rows(a), a.queries - begin),
      a.keys};
  if (a.causal) p.keys = std::clamp<std::int64_t>(begin + p.rows + a.offset, 0, a.keys);
  return p;
}

// The first query of a part among all.
std::int64_t row_of(const Attention& a, const Part& p) {
  return (p.n * a.heads + p.head) * a.queries + p.begin;
}

// The scores of a part, and what is to be done with them.
template <class T>
class Scores {
 public:
  Scores(const Attention& a, const AttentionInputs<T>& in, bool gradient)
      : a_(a),
        in_(in),
        room_(tile_rows(a) * a.keys),
        scores_(room_),
        cotangents_(gradient ? room_ : 0),
        factors_(a.dropout_p > 0 ? room_ : 0) {}

  AttentionTile<T> tile(const Part& p) {
    if (p.keys > 0)
      gemm_part(false, true, p.rows, p.keys, a_.width, static_cast<T>(a_.scale),
                in_.q + at(a_.q, p.n, p.head, p.begin), a_.q.row, in_.k + at(a_.k, p.n, p.kv_head),
                a_.k.row, T(0), scores_.data(), p.keys);
    for (std::int64_t i = 0; factors_.data() && i < p.rows; ++i)
      attention_dropout(a_.dropout_p, a_.seed, row_of(a_, p) + i, p.keys,
                        factors_.data() + i * p.keys);
    const std::int64_t mask = at(a_.mask, p.n, p.head, p.begin);
    return {.rows = p.rows,
            .keys = p.keys,
            .scores = scores_.data(),
            .allowed = in_.allowed ? in_.allowed + mask : nullptr,
            .added = in_.added ? in_.added + mask : nullptr,
            .mask_row = a_.mask.row,
            .mask_key = a_.mask_key,
            .visible = a_.causal ? p.begin + a_.offset + 1 : p.keys,
            .dropout = factors_.data(),
            .top = nullptr,
            .share = nullptr,
            .known_top = nullptr,
            .known_share = nullptr,
            .cotangents = cotangents_.data(),
            .output = nullptr,
            .g = nullptr,
            .output_row = a_.o.row,
            .value_width = a_.value_width};
  }

 private:
  const Attention& a_;
  const AttentionInputs<T>& in_;
  std::int64_t room_;
  detail::Buffer<T> scores_, cotangents_, factors_;
};

template <class T>
double part_cost(const Attention& a, double products) {
  return static_cast<double>(tile_rows(a)) *
         (products * gemm_cost<T>(1, a.keys, a.width + a.value_width) +
          static_cast<double>(a.keys));
}

template <class T>
void clear(T* x, const HeadSteps& steps, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i) std::fill_n(x + i * steps.row, width, T(0));
}

// What the gradient of one part adds to.
template <class T>
struct Gradients {
  T *q, *k, *v, *mask;
};

template <class T>
void add_gradients(const Attention& a, const AttentionInputs<T>& in, const Part& p,
                   const AttentionTile<T>& t, const T* g, const Gradients<T>& to) {
  const auto scale = static_cast<T>(a.scale);
  const std::int64_t q = at(a.q, p.n, p.head, p.begin), k = at(a.k, p.n, p.kv_head);
  if (to.v)
    gemm_part(true, false, p.keys, a.value_width, p.rows, T(1), t.scores, p.keys, g, a.o.row, T(1),
              to.v + at(a.v, p.n, p.kv_head), a.v.row);
  if (to.q)
    gemm_part(false, false, p.rows, a.width, p.keys, scale, t.cotangents, p.keys, in.k + k, a.k.row,
              T(0), to.q + q, a.q.row);
  if (to.k)
    gemm_part(true, false, p.keys, a.width, p.rows, scale, t.cotangents, p.keys, in.q + q, a.q.row,
              T(1), to.k + k, a.k.row);
  if (!to.mask) return;
  for (std::int64_t i = 0; i < p.rows; ++i) {
    T* m = to.mask + at(a.mask, p.n, p.head, p.begin + i);
    const T* c = t.cotangents + i * p.keys;
    for (std::int64_t j = 0; j < p.keys; ++j) m[j * a.mask_key] += c[j];
  }
}

// The gradients of one head of keys, from the queries that look at it, in order.
template <class T>
void head_gradient(const Attention& a, const AttentionInputs<T>& in, Scores<T>& scores,
                   std::int64_t n, std::int64_t kv_head, const T* o, const T* top, const T* share,
                   const T* g, const Gradients<T>& to) {
  if (to.k && a.keys > 0) clear(to.k + at(a.k, n, kv_head), a.k, a.keys, a.width);
  if (to.v && a.keys > 0) clear(to.v + at(a.v, n, kv_head), a.v, a.keys, a.value_width);
  const std::int64_t group = a.heads / a.kv_heads;
  for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (std::int64_t begin = 0; begin < a.queries; begin += tile_rows(a)) {
      const Part p = part_of(a, n, head, begin);
      if (p.keys == 0) {
        if (to.q) clear(to.q + at(a.q, n, head, begin), a.q, p.rows, a.width);
        continue;
      }
      AttentionTile<T> t = scores.tile(p);
      t.known_top = top + row_of(a, p);
      t.known_share = share + row_of(a, p);
      t.output = o + at(a.o, n, head, begin);
      t.g = g + at(a.o, n, head, begin);
      gemm_part(false, true, p.rows, p.keys, a.value_width, T(1), t.g, a.o.row,
                in.v + at(a.v, n, kv_head), a.v.row, T(0), t.cotangents, p.keys);
      AttentionWeightsGradient<T>::here(&t);
      add_gradients(a, in, p, t, t.g, to);
    }
}

}  // namespace

template <class T>
void attention_dropout(double dropout_p, std::uint64_t seed, std::int64_t row, std::int64_t keys,
                       T* factors) {
  const auto dropped = static_cast<std::uint64_t>(dropout_p * 0x1p32);
  const T kept = dropout_p < 1 ? static_cast<T>(1 / (1 - dropout_p)) : T(0);
  // A row has places for 2^32 keys of its own, so that its factors do not depend on the others.
  const auto first = static_cast<std::uint64_t>(row) << 30;
  std::uint32_t numbers[internal::kPhiloxBlock];
  for (std::int64_t j = 0; j < keys; ++j) {
    const auto within = static_cast<std::uint64_t>(j) % internal::kPhiloxBlock;
    if (within == 0)
      internal::philox(seed, first + static_cast<std::uint64_t>(j) / internal::kPhiloxBlock,
                       numbers);
    factors[j] = numbers[within] < dropped ? T(0) : kept;
  }
}

namespace {

// f(part, its tile, where its results begin) for all queries of all heads.
template <class T, class F>
void for_each_part(const Attention& a, const AttentionInputs<T>& in, bool gradient, double products,
                   F&& f) {
  const std::int64_t rows = tile_rows(a), tiles = (a.queries + rows - 1) / rows;
  parallel_for(a.batch * a.heads * tiles, 1, part_cost<T>(a, products),
               [&](std::int64_t begin, std::int64_t end) {
                 Scores<T> scores(a, in, gradient);
                 for (; begin < end; ++begin) {
                   const std::int64_t head = begin / tiles % a.heads, n = begin / tiles / a.heads;
                   const Part p = part_of(a, n, head, begin % tiles * rows);
                   f(p, scores.tile(p), at(a.o, n, head, p.begin));
                 }
               });
}

// The tangents of the scores, tq kᵀ + q tkᵀ, and of the mask.
template <class T>
void score_tangents(const Attention& a, const AttentionInputs<T>& in,
                    const AttentionInputs<T>& tangents, const Part& p, T* to) {
  const auto scale = static_cast<T>(a.scale);
  const std::int64_t q = at(a.q, p.n, p.head, p.begin), k = at(a.k, p.n, p.kv_head);
  T beta(0);
  for (const auto& [left, right] : {std::pair{tangents.q, in.k}, std::pair{in.q, tangents.k}}) {
    if (!left || !right) continue;
    gemm_part(false, true, p.rows, p.keys, a.width, scale, left + q, a.q.row, right + k, a.k.row,
              beta, to, p.keys);
    beta = T(1);
  }
  if (beta == T(0)) std::fill_n(to, p.rows * p.keys, T(0));
  if (!tangents.added) return;
  for (std::int64_t i = 0; i < p.rows; ++i) {
    const T* m = tangents.added + at(a.mask, p.n, p.head, p.begin + i);
    for (std::int64_t j = 0; j < p.keys; ++j) to[i * p.keys + j] += m[j * a.mask_key];
  }
}

}  // namespace

template <class T>
void attention(const Attention& a, const AttentionInputs<T>& in, T* o, T* top, T* share) {
  for_each_part(a, in, false, 1, [&](const Part& p, AttentionTile<T> t, std::int64_t place) {
    t.top = top + row_of(a, p);
    t.share = share + row_of(a, p);
    AttentionWeights<T>::here(&t);
    if (p.keys == 0) return clear(o + place, a.o, p.rows, a.value_width);
    gemm_part(false, false, p.rows, a.value_width, p.keys, T(1), t.scores, p.keys,
              in.v + at(a.v, p.n, p.kv_head), a.v.row, T(0), o + place, a.o.row);
    ScaleRows<T>::here(o + place, p.rows, a.o.row, a.value_width, t.share);
  });
}

template <class T>
void attention_tangent(const Attention& a, const AttentionInputs<T>& in, const T* top,
                       const T* share, const AttentionInputs<T>& tangents, T* out) {
  for_each_part(a, in, true, 2.5, [&](const Part& p, AttentionTile<T> t, std::int64_t place) {
    T* const to = out + place;
    if (p.keys == 0) return clear(to, a.o, p.rows, a.value_width);
    t.known_top = top + row_of(a, p);
    t.known_share = share + row_of(a, p);
    score_tangents(a, in, tangents, p, t.cotangents);
    AttentionWeightsTangent<T>::here(&t);
    const std::int64_t v = at(a.v, p.n, p.kv_head);
    gemm_part(false, false, p.rows, a.value_width, p.keys, T(1), t.cotangents, p.keys, in.v + v,
              a.v.row, T(0), to, a.o.row);
    if (tangents.v)
      gemm_part(false, false, p.rows, a.value_width, p.keys, T(1), t.scores, p.keys, tangents.v + v,
                a.v.row, T(1), to, a.o.row);
  });
}

template <class T>
void attention_gradient(const Attention& a, const AttentionInputs<T>& in, const T* o, const T* top,
                        const T* share, const T* g, T* gq, T* gk, T* gv, T* gmask) {
  if (a.kv_heads == 0) return;
  const Gradients<T> to{gq, gk, gv, gmask};
  auto heads = [&](std::int64_t begin, std::int64_t end) {
    Scores<T> scores(a, in, true);
    for (; begin < end; ++begin)
      head_gradient(a, in, scores, begin / a.kv_heads, begin % a.kv_heads, o, top, share, g, to);
  };
  const std::int64_t tiles = (a.queries + tile_rows(a) - 1) / tile_rows(a),
                     parts = tiles * (a.heads / a.kv_heads);
  // Heads that share a mask add to it in turn.
  const bool shared =
      gmask && ((a.batch > 1 && a.mask.batch == 0) || (a.heads > 1 && a.mask.head == 0));
  if (shared)
    heads(0, a.batch * a.kv_heads);
  else
    parallel_for(a.batch * a.kv_heads, 1, part_cost<T>(a, 2.5) * static_cast<double>(parts), heads);
}

#define ATTENTION(T)                                                                               \
  template void attention(const Attention&, const AttentionInputs<T>&, T*, T*, T*);                \
  template void attention_gradient(const Attention&, const AttentionInputs<T>&, const T*,          \
                                   const T*, const T*, const T*, T*, T*, T*, T*);                  \
  template void attention_tangent(const Attention&, const AttentionInputs<T>&, const T*, const T*, \
                                  const AttentionInputs<T>&, T*);                                  \
  template void attention_dropout(double, std::uint64_t, std::int64_t, std::int64_t, T*);
ATTENTION(float)
ATTENTION(double)
#undef ATTENTION

}  // namespace autograd::kernels
