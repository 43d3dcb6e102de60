#include "autograd/ops/neural/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

const Tensor places = ag::tensor({{0, 3, 1}, {4, 3, 3}});
const Tensor flat = ag::tensor({0, 3, 1, 4, 3, 3, 2});
const Tensor two = ag::tensor(2), two_one = ag::tensor({2, 1});
const Tensor offsets = ag::tensor({0, 2, 2, 5});  // the second is empty

std::int64_t at(const Tensor& t, std::int64_t i) { return t.data<std::int64_t>()[i]; }

// Bag b of `flat` at column k, where row 3 is left out if it is the padding.
double of_bag(ag::BagMode mode, bool padded, bool weighted, const Place& p, const TensorList& in) {
  double sum = 0, best = 0;
  int count = 0;
  const std::int64_t end = p[0] == 3 ? flat.numel() : at(offsets, p[0] + 1);
  for (std::int64_t i = at(offsets, p[0]); i < end; ++i) {
    if (padded && at(flat, i) == 3) continue;
    const double v = element(in[0], {at(flat, i), p[1]});
    sum += weighted ? v * element(in[1], {i}) : v;
    best = count++ == 0 ? v : std::max(best, v);
  }
  if (mode == ag::BagMode::max) return best;
  return mode == ag::BagMode::mean ? sum / std::max(count, 1) : sum;
}

Sample bag(ag::BagMode mode, bool padded, bool weighted) {
  TensorList in{mode == ag::BagMode::max ? draw_distinct({5, 3}) : draw({5, 3}, -1, 1)};
  if (weighted) in.push_back(draw({7}, -1, 1));
  const std::optional<std::int64_t> padding =
      padded ? std::optional<std::int64_t>(-2) : std::nullopt;
  return {fmt::format("(7) in 4 bags, {}, padded {}, weighted {}", name(mode), padded, weighted),
          in,
          [=](auto& x) {
            return ag::embedding_bag(flat, x[0], offsets,
                                     {.mode = mode,
                                      .per_sample_weights = weighted ? x[1] : Tensor(),
                                      .padding_idx = padding});
          },
          loop({4, 3}, [=](auto& p, auto& x) { return of_bag(mode, padded, weighted, p, x); })};
}

void add_bags(std::vector<Row>& rows) {
  using ag::embedding_bag, ag::BagMode;
  Row row{"embedding_bag", {}};
  for (const bool padded : {false, true})
    for (const BagMode mode : {BagMode::sum, BagMode::mean, BagMode::max}) {
      row.samples.push_back(bag(mode, padded, false));
      if (mode == BagMode::sum) row.samples.push_back(bag(mode, padded, true));
    }
  row.samples.push_back(
      one("(2, 3), mean", draw({5, 2}, -1, 1), [](auto& x) { return embedding_bag(places, x); }));
  row.samples.push_back(one("(0, 3)", draw({5, 2}, -1, 1), [](auto& x) {
    return embedding_bag(ag::zeros({0, 3}, ag::int64), x);
  }));
  row.samples.push_back(one("(2, 0), max", draw({0, 2}, -1, 1), [](auto& x) {
    return embedding_bag(ag::zeros({2, 0}, ag::int64), x, {}, {.mode = BagMode::max});
  }));
  const auto refused = [](const Tensor& i, const Tensor& o, const ag::EmbeddingBagOptions& options,
                          const std::string& text) {
    return Mistake{[=] {
                     return embedding_bag(i, ag::ones({5, 2}), o, options);
                   },
                   "embedding_bag: " + text};
  };
  row.mistakes = {
      refused(ag::tensor({1, 5}), ag::tensor({0}), {},
              "indices must be in [0, 5) for a table of 5 rows, got 5"),
      refused(ag::tensor({1, 2}), {}, {}, "indices (n) need offsets, got none"),
      refused(places, offsets, {}, "offsets are for indices (n), whose bags have several lengths"),
      refused(ag::zeros({1, 1, 1}, ag::int64), {}, {}, "indices must be (bags, length), or (n)"),
      refused(flat, ag::ones({2}), {}, "offsets must be int64, got float32"),
      refused(flat, places, {}, "offsets must be (bags), got shape (2, 3)"),
      refused(flat, ag::tensor({1, 2}), {}, "offsets must begin with 0, got 1"),
      refused(flat, ag::tensor({0, 3, 2}), {}, "offsets must not fall, got 2 after 3"),
      refused(flat, ag::tensor({0, 8}), {},
              "offsets must be at most the number of indices, 7, got 8"),
      refused(flat, ag::tensor({0, 6}), {.include_last_offset = true},
              "the last offset must be the number of indices, 7, got 6"),
      refused(flat, ag::zeros({0}, ag::int64), {}, "indices must be in bags, got 7 and no offsets"),
      refused(flat, offsets, {.per_sample_weights = ag::ones({7})},
              "per_sample_weights are for mode sum, got mode mean"),
      refused(flat, offsets, {.mode = BagMode::sum, .per_sample_weights = ag::ones({6})},
              "per_sample_weights must have the shape of the indices, (7,), got (6,)"),
      refused(flat, offsets, {.mode = BagMode::max, .scale_grad_by_freq = true},
              "scale_grad_by_freq is for sum and mean, got mode max"),
      refused(flat, offsets, {.padding_idx = 5}, "padding_idx must be in [-5, 5)"),
  };
  rows.push_back(row);
}

}  // namespace

void add_embedding(std::vector<Row>& rows) {
  using ag::embedding;
  rows.push_back(
      {"embedding",
       {{"(2, 3) of (5, 2)",
         {draw({5, 2}, -1, 1)},
         [](auto& in) { return embedding(places, in[0]); },
         loop({2, 3, 2},
              [](auto& p, auto& in) {
                return element(in[0], {at(places, 3 * p[0] + p[1]), p[2]});
              })},
        one("() of (4, 17)", draw({4, 17}, -1, 1), [](auto& x) { return embedding(two, x); }),
        one("(0, 2) of (3, 2)", draw({3, 2}, -1, 1),
            [](auto& x) {
              return embedding(ag::zeros({0, 2}, ag::int64), x);
            }),
        one("(2) of (3, 0)", draw({3, 0}, -1, 1), [](auto& x) { return embedding(two_one, x); })},
       {{[] {
           return embedding(ag::ones({2}), ag::ones({3, 2}));
         },
         "embedding: indices must be int64, got float32"},
        {[] { return embedding(flat, ag::ones({5})); },
         "embedding: the weight must have 2 axes, got shape (5,)"},
        {[] {
           return embedding(flat, ag::ones({4, 2}));
         },
         "embedding: indices must be in [0, 4) for a table of 4 rows, got 4"},
        {[] {
           return embedding(ag::tensor({-1}), ag::ones({4, 2}));
         },
         "got -1"},
        {[] {
           return embedding(flat, ag::ones({5, 2}), {.padding_idx = -6});
         },
         "embedding: padding_idx must be in [-5, 5) for a table of 5 rows, got -6"},
        {[] {
           return embedding(flat, ag::ones({5, 2}), {.max_norm = 0});
         },
         "embedding: max_norm must be above 0, got 0"},
        {[] {
           return embedding(flat, ag::ones({5, 2}), {.max_norm = 1, .norm_type = -1});
         },
         "embedding: norm_type must be at least 0, got -1"}}});
  add_bags(rows);
}

const Family embedding_rows(add_embedding);

}  // namespace table
