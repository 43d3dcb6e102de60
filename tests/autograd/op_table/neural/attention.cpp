#include "autograd/ops/neural/attention.hpp"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops/neural/positions.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// Some pairs are left out; query 1 of the first head has none.
Tensor holes() {
  return ag::reshape(ag::tensor({{true, false, true, true},
                                 {false, false, false, false},
                                 {true, true, false, true},
                                 {false, false, true, false},
                                 {true, true, true, true},
                                 {true, false, true, false}}),
                     {2, 3, 4});
}

// softmax(q kᵀ / √e) v by a loop, of (l, e), (s, e) and (s, ev).
std::vector<double> by_loop(const TensorList& in) {
  const std::int64_t l = in[0].size(0), s = in[1].size(0), e = in[0].size(1), ev = in[2].size(1);
  std::vector<double> out;
  for (std::int64_t i = 0; i < l; ++i) {
    std::vector<double> weight;
    double sum = 0;
    for (std::int64_t j = 0; j < s; ++j) {
      double score = 0;
      for (std::int64_t c = 0; c < e; ++c) score += element(in[0], {i, c}) * element(in[1], {j, c});
      weight.push_back(std::exp(score / std::sqrt(static_cast<double>(e))));
      sum += weight.back();
    }
    for (std::int64_t c = 0; c < ev; ++c) {
      double total = 0;
      for (std::int64_t j = 0; j < s; ++j)
        total += weight[static_cast<std::size_t>(j)] * element(in[2], {j, c}) / sum;
      out.push_back(total);
    }
  }
  return out;
}

Sample attention(std::string text, TensorList in, const ag::AttentionOptions& o = {}) {
  return {std::move(text), std::move(in), [o](auto& x) {
            ag::AttentionOptions options = o;
            if (x.size() > 3) options.attn_mask = x[3];
            return ag::scaled_dot_product_attention(x[0], x[1], x[2], options);
          }};
}

Row attention_row() {
  const auto q = [](const Shape& s) { return draw(s, -2, 2); };
  Row row{"scaled_dot_product_attention", {}};
  row.samples = {
      {"(3, 2), (4, 2), (4, 5)",
       {q({3, 2}), q({4, 2}), q({4, 5})},
       [](auto& x) { return ag::scaled_dot_product_attention(x[0], x[1], x[2]); },
       by_loop},
      attention("(2, 2, 3, 4), scale", {q({2, 2, 3, 4}), q({2, 2, 5, 4}), q({2, 2, 5, 3})},
                {.scale = 0.3}),
      attention("causal, more keys", {q({2, 3, 4}), q({2, 5, 4}), q({2, 5, 4})},
                {.is_causal = true}),
      attention("causal, fewer keys, lower right", {q({2, 5, 3}), q({2, 3, 3}), q({2, 3, 2})},
                {.is_causal = true, .causal_offset = -2}),
      attention("bool mask", {q({2, 2, 3, 4}), q({2, 2, 4, 4}), q({2, 2, 4, 3}), holes()}),
      attention("bool mask for heads and queries, causal",
                {q({2, 3, 4}), q({2, 4, 4}), q({2, 4, 3}), ag::tensor({true, false, true, true})},
                {.is_causal = true}),
      attention("mask (3, 4)", {q({2, 2, 3, 4}), q({2, 2, 4, 4}), q({2, 2, 4, 3}), q({3, 4})}),
      attention("mask (2, 1, 3, 1)",
                {q({2, 2, 3, 4}), q({2, 2, 4, 4}), q({2, 2, 4, 3}), q({2, 1, 3, 1})}),
      attention("mask of each pair", {q({2, 3, 4}), q({2, 4, 4}), q({2, 4, 3}), q({2, 3, 4})}),
      attention("grouped queries", {q({2, 4, 3, 2}), q({2, 2, 4, 2}), q({2, 2, 4, 3})},
                {.enable_gqa = true}),
      attention("broadcast batch, mask of some axes",
                {q({2, 3, 1, 2, 2}), q({3, 2, 3, 2}), q({3, 2}), q({2, 1, 1, 2, 3})}),
      attention("20 keys", {q({2, 17, 3}), q({2, 20, 3}), q({2, 20, 18})}),
      attention("no keys", {q({2, 3, 4}), q({2, 0, 4}), q({2, 0, 3})}),
      attention("no queries", {q({2, 0, 4}), q({2, 3, 4}), q({2, 3, 3})}),
      attention("no batch", {q({0, 2, 3, 4}), q({0, 2, 3, 4}), q({0, 2, 3, 3})})};
  const Tensor x = ag::ones({2, 3, 4});
  const auto run = [x](const ag::AttentionOptions& o) {
    return ag::scaled_dot_product_attention(x, x, x, o);
  };
  row.mistakes = {
      {[=] {
         return ag::scaled_dot_product_attention(x, ag::ones({2, 3, 5}), x);
       },
       "queries and keys must have one size of at least 1, got (2, 3, 4) and (2, 3, 5)"},
      {[=] {
         return ag::scaled_dot_product_attention(x, x, ag::ones({2, 5, 4}));
       },
       "keys and values must have one length, got (2, 3, 4) and (2, 5, 4)"},
      {[=] { return ag::scaled_dot_product_attention(ag::ones({4}), x, x); },
       "must be (…, length, size), got shape (4,)"},
      {[=] {
         return ag::scaled_dot_product_attention(ag::ones({3, 3, 4}), x, x, {.enable_gqa = true});
       },
       "with enable_gqa the heads of q must be a multiple of those of k and v, got (3, 3, 4), (2, "
       "3, 4) and (2, 3, 4)"},
      {[=] {
         return run({.attn_mask = ag::ones({2, 2})});
       },
       "attn_mask must broadcast to (2, 3, 3), got (2, 2)"},
      {[=] {
         return run({.attn_mask = ag::ones({3, 3}, ag::int64)});
       },
       "attn_mask must be bool or float32 as the queries, got int64"},
      {[=] { return run({.dropout_p = 1.5}); }, "dropout_p must be in [0, 1], got 1.5"},
      {[=] { return run({.scale = INFINITY}); }, "scale must be finite, got inf"}};
  return row;
}

Row weights_row() {
  const auto q = [](const Shape& s) { return draw(s, -2, 2); };
  const auto weights = [](const ag::AttentionOptions& o) {
    return [o](const TensorList& x) { return ag::attention_weights(x[0], x[1], o); };
  };
  return {"attention_weights",
          {{"(2, 3, 4), (2, 5, 4)", {q({2, 3, 4}), q({2, 5, 4})}, weights({})},
           {"causal, bool mask",
            {q({2, 3, 4}), q({2, 4, 4})},
            weights({.attn_mask = holes(), .is_causal = true})},
           {"grouped queries", {q({4, 3, 2}), q({2, 4, 2})}, weights({.enable_gqa = true})},
           {"no keys", {q({3, 2}), q({0, 2})}, weights({})}},
          {{[] {
              return ag::attention_weights(ag::ones({2, 3}), ag::ones({2, 4}));
            },
            "queries and keys must have one size of at least 1, got (2, 3) and (2, 4)"}}};
}

Row packed_row() {
  const auto q = [](const Shape& s) { return draw(s, -2, 2); };
  const auto packed = [](std::int64_t heads, const ag::PackedAttentionOptions& o) {
    return [=](const TensorList& x) { return ag::packed_attention(x, heads, o); };
  };
  const auto refused = [](const TensorList& in, std::int64_t heads,
                          const ag::PackedAttentionOptions& o = {}) {
    return [=] { return ag::packed_attention(in, heads, o); };
  };
  return {"packed_attention",
          {{"{(2, 3, 12)}, 2 heads, causal",
            {q({2, 3, 12})},
            packed(2, {.attention = {.is_causal = true}})},
           {"{(2, 3, 16)}, 4 heads, 2 of keys", {q({2, 3, 16})}, packed(4, {.kv_heads = 2})},
           {"{(3, 2, 12)}, length first, bool mask",
            {q({3, 2, 12})},
            packed(2, {.attention = {.attn_mask = ag::tensor({{true, false, false},
                                                              {true, true, false},
                                                              {false, false, false}})},
                       .batch_first = false})},
           {"{(2, 3, 4), (2, 5, 8)}", {q({2, 3, 4}), q({2, 5, 8})}, packed(2, {})},
           {"{(2, 3, 4), (2, 5, 4), (2, 5, 6)}",
            {q({2, 3, 4}), q({2, 5, 4}), q({2, 5, 6})},
            packed(2, {})},
           {"{(2, 3, 4), (2, 0, 4), (2, 0, 6)}",
            {q({2, 3, 4}), q({2, 0, 4}), q({2, 0, 6})},
            packed(2, {})},
           {"{(0, 3, 6)}", {q({0, 3, 6})}, packed(2, {})},
           {"{(2, 0, 6)}", {q({2, 0, 6})}, packed(2, {})}},
          {{refused({ag::ones({2, 3, 10})}, 2),
            "the last sizes must fit 2 heads and 2 of keys and values, got (2, 3, 10), (2, 3, 10) "
            "and (2, 3, 10)"},
           {refused({ag::ones({2, 3, 12})}, 3, {.kv_heads = 2}),
            "heads must be a multiple of kv_heads, got 3 and 2"},
           {refused({ag::ones({2, 3, 4}), ag::ones({1, 3, 8})}, 2),
            "batches and lengths must match, got (2, 3, 4), (1, 3, 8) and (1, 3, 8)"},
           {refused({ag::ones({3, 12})}, 2), "projections must have 3 axes, got shape (3, 12)"},
           {refused({}, 2), "needs 1 to 3 projections, got 0"}}};
}

Row rotary_row() {
  const auto turned = [](const ag::RotaryOptions& o) {
    return [o](const Tensor& x) { return ag::rotary_embedding(x, o); };
  };
  const auto q = [](const Shape& s) { return draw(s, -2, 2); };
  return {"rotary_embedding",
          {one("(2, 3, 4)", q({2, 3, 4}), turned({})),
           one("(5, 6), interleaved, from 7 on", q({5, 6}),
               turned({.pairs = ag::RotaryPairs::interleaved, .offset = 7})),
           one("(3, 5), 2 features, base 100", q({3, 5}), turned({.base = 100, .features = 2})),
           one("(2, 0, 4)", q({2, 0, 4}), turned({}))},
          {{[] {
              return ag::rotary_embedding(ag::ones({2, 3}));
            },
            "features must be even and at most the last size, got 3 of shape (2, 3)"},
           {[] { return ag::rotary_embedding(ag::ones({2})); },
            "x must be (…, length, e), got shape (2,)"},
           {[] {
              return ag::rotary_embedding(ag::ones({2, 4}), {.base = 0});
            },
            "base must be positive, got 0"}}};
}

}  // namespace

void add_attention(std::vector<Row>& rows) {
  rows.push_back(attention_row());
  rows.push_back(weights_row());
  rows.push_back(packed_row());
  rows.push_back(rotary_row());
  rows.push_back(
      {"sinusoidal_positions",
       {{"5 of 4", {}, [](auto&) { return ag::sinusoidal_positions(5, 4, ag::float64); }},
        {"3 of 5", {}, [](auto&) { return ag::sinusoidal_positions(3, 5, ag::float64); }}},
       {{[] { return ag::sinusoidal_positions(-1, 4); },
         "length must be at least 0 and features at least 1, got -1 and 4"}},
       false,
       "the arguments are numbers"});
}

const Family attention_rows(add_attention);

}  // namespace table
