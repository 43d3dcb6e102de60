#include "tests/autograd/op_table/op_table.hpp"

#include <fmt/format.h>

namespace ag = autograd;

namespace table {
void add_fused(std::vector<Row>& rows) {
  for (const bool log : {false, true}) {
    Row row{log ? "log_softmax" : "softmax", {}};
    const auto f = log ? ag::log_softmax : ag::softmax;
    const std::vector<std::pair<Shape, std::int64_t>> cases{
        {{}, 0}, {{4}, 0}, {{2, 20}, -1}, {{3, 4}, 0}, {{2, 3, 2}, 1}, {{0, 3}, 1}};
    for (const auto& [s, axis] : cases)
      row.samples.push_back(one(fmt::format("{}, {}", s, axis), draw(s, -2, 2),
                                [f, a = axis](auto& x) { return f(x, a); }));
    rows.push_back(row);
  }
  const Tensor targets = ag::tensor({0, 2, 1, -100}), pixels = ag::tensor({{0, 1}, {2, 2}});
  const Tensor factors = ag::tensor({0.5, 1.0, 2.0});
  Row ce{"cross_entropy", {}};
  for (const double smoothing : {0.0, 0.3})
    for (const auto reduction : {ag::Reduction::mean, ag::Reduction::sum, ag::Reduction::none})
      for (const bool weighted : {false, true})
        ce.samples.push_back({fmt::format("(4, 3), smoothing {}, reduction {}, weighted {}",
                                          smoothing, static_cast<int>(reduction), weighted),
                              {draw({4, 3}, -2, 2)},
                              [=](auto& x) {
                                return ag::cross_entropy(
                                    x[0], targets,
                                    {.weight = weighted ? factors.to(x[0].dtype()) : Tensor(),
                                     .reduction = reduction,
                                     .label_smoothing = smoothing});
                              }});
  ce.samples.push_back({"(2, 3, 2) images", {draw({2, 3, 2}, -2, 2)}, [pixels](auto& x) {
                          return ag::cross_entropy(x[0], pixels);
                        }});
  ce.samples.push_back({"(3) one sample", {draw({3}, -2, 2)}, [](auto& x) {
                          return ag::cross_entropy(x[0], ag::full({}, 1, ag::int64));
                        }});
  ce.samples.push_back({"(2, 3) probabilities",
                        {draw({2, 3}, -2, 2), draw({2, 3}, 0.1, 1)},
                        [](auto& x) { return ag::cross_entropy(x[0], x[1]); }});
  ce.mistakes = {
      {[] {
         return ag::cross_entropy(ag::zeros({1, 3}), ag::tensor({3}));
       },
       "targets must be in [0, 2] (or ignore_index -100), got 3 at sample 0"},
      {[] {
         return ag::cross_entropy(ag::zeros({2, 3}), ag::tensor({1}));
       },
       "targets must have the shape of the logits without the class axis, got (1,) for logits (2, "
       "3)"},
      {[] {
         return ag::cross_entropy(ag::zeros({1, 3}), ag::tensor({0}), {.label_smoothing = 2});
       },
       "label_smoothing must be in [0, 1], got 2"},
      {[] {
         return ag::cross_entropy(ag::zeros({1, 3}), ag::tensor({0}), {.weight = ag::ones({2})});
       },
       "weight must have one factor per class"}};
  rows.push_back(ce);
  rows.push_back(
      {"layer_norm",
       {{"(3, 5)", {draw({3, 5}, -2, 2)}, [](auto& x) { return ag::layer_norm(x[0], {5}); }},
        {"(3, 20), weight, bias",
         {draw({3, 20}, -2, 2), draw({20}, 0.5, 2), draw({20}, -1, 1)},
         [](auto& x) { return ag::layer_norm(x[0], {20}, x[1], x[2]); }},
        {"(2, 2, 3) over two axes, bias",
         {draw({2, 2, 3}, -2, 2), draw({2, 3}, -1, 1)},
         [](auto& x) {
           return ag::layer_norm(x[0], {2, 3}, {}, x[1]);
         }},
        {"(0, 4)", {draw({0, 4}, -2, 2)}, [](auto& x) { return ag::layer_norm(x[0], {4}); }}},
       {{[] {
           return ag::layer_norm(ag::ones({2, 3}), {4});
         },
         "the last axes must be (4,), got shape (2, 3)"}}});
}

const Family fused_rows(add_fused);

}  // namespace table
