#include <fmt/format.h>

#include <cmath>

#include "autograd/ops/neural/ctc_loss.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// The classes of the steps without repetitions, then without blanks (0).
Place collapsed(const Place& path) {
  Place out;
  for (std::size_t t = 0; t < path.size(); ++t)
    if (path[t] != 0 && (t == 0 || path[t] != path[t - 1])) out.push_back(path[t]);
  return out;
}

// By all paths of `steps` classes.
double by_paths(const Tensor& x, std::int64_t sample, std::int64_t steps, const Place& target) {
  const std::int64_t classes = x.size(2);
  double total = 0;
  std::int64_t paths = 1;
  for (std::int64_t t = 0; t < steps; ++t) paths *= classes;
  for (std::int64_t k = 0; k < paths; ++k) {
    Place path;
    double log_probability = 0;
    for (std::int64_t rest = k, t = 0; t < steps; ++t, rest /= classes) {
      path.push_back(rest % classes);
      log_probability += element(x, {t, sample, path.back()});
    }
    if (collapsed(path) == target) total += std::exp(log_probability);
  }
  return -std::log(total);
}

Tensor ones(std::int64_t n, std::int64_t value) {
  return ag::full({n}, static_cast<double>(value), ag::int64);
}

}  // namespace

void add_ctc(std::vector<Row>& rows) {
  const Tensor targets = ag::tensor({{1, 2, 2}, {2, 9, 9}, {1, 1, 9}});
  const Tensor joined = ag::tensor({1, 2, 2, 2, 1, 1}), lengths = ag::tensor({3, 1, 2});
  const Tensor inputs = ag::tensor({5, 3, 4});
  Row row{"ctc_loss", {}};
  const auto naive = [](const TensorList& in) {
    return std::vector<double>{by_paths(in[0], 0, 5, {1, 2, 2}), by_paths(in[0], 1, 3, {2}),
                               by_paths(in[0], 2, 4, {1, 1})};
  };
  for (const Tensor& wanted : {targets, joined})
    row.samples.push_back({fmt::format("(5, 3, 3), targets {}", wanted.shape()),
                           {draw({5, 3, 3}, -2, 0)},
                           [=](auto& x) {
                             return ag::ctc_loss(x[0], wanted, inputs, lengths,
                                                 {.reduction = ag::Reduction::none});
                           },
                           naive});
  row.samples.push_back({"(5, 3, 3), mean", {draw({5, 3, 3}, -2, 0)}, [=](auto& x) {
                           return ag::ctc_loss(x[0], targets, inputs, lengths);
                         }});
  const Tensor pair = ag::tensor({0, 1}), four = ag::tensor(4), length = ag::tensor(2);
  row.samples.push_back(
      {"(4, 3), one sample, the last class blank", {draw({4, 3}, -2, 0)}, [=](auto& x) {
         return ag::ctc_loss(x[0], pair, four, length, {.blank = 2});
       }});
  const Tensor none = ag::zeros({2, 0}, ag::int64), repeated = ag::tensor({{1, 1}, {1, 2}});
  row.samples.push_back({"(3, 2, 2), empty targets", {draw({3, 2, 2}, -2, 0)}, [=](auto& x) {
                           return ag::ctc_loss(x[0], none, ones(2, 3), ones(2, 0),
                                               {.reduction = ag::Reduction::sum});
                         }});
  row.samples.push_back({"(2, 2, 3), zero_infinity", {draw({2, 2, 3}, -2, 0)}, [=](auto& x) {
                           return ag::ctc_loss(x[0], repeated, ones(2, 2), ones(2, 2),
                                               {.zero_infinity = true});
                         }});
  const Tensor x = ag::zeros({4, 2, 3}), two = ones(2, 2);
  const auto refused = [&](const Tensor& probs, const Tensor& wanted, const Tensor& input,
                           const Tensor& length, const char* text) {
    row.mistakes.push_back({[=] { return ag::ctc_loss(probs, wanted, input, length); }, text});
  };
  refused(ag::zeros({3}), two, two, two,
          "log_probs must be (steps, n, classes) or (steps, classes)");
  refused(x, ag::zeros({2, 2}), two, two, "targets must be int64, got float32");
  refused(x, ag::tensor({{1, 2}}), two, two, "targets must be (n, longest) or joined");
  refused(x, ag::tensor({{1, 2}, {1, 0}}), two, two,
          "targets must be in [0, 2] and not the blank 0, got 0 in sample 1");
  refused(x, ag::tensor({{1, 2}, {1, 3}}), two, two,
          "targets must be in [0, 2] and not the blank 0, got 3 in sample 1");
  refused(x, ag::tensor({{1, 2}, {1, 2}}), ones(2, 5), two,
          "input lengths must be in [0, 4], got 5 at sample 0");
  refused(x, ag::tensor({{1, 2}, {1, 2}}), two, ones(2, 3),
          "target lengths must be in [0, 2], got 3 at sample 0");
  refused(x, ag::tensor({1, 2, 1, 2, 1}), two, two,
          "target lengths must add up to the 5 targets, got 4");
  refused(x, ag::tensor({{1, 2}, {1, 2}}), ones(3, 2), two,
          "input_lengths must have one for each of 2 samples, got shape (3,)");
  row.mistakes.push_back({[=] { return ag::ctc_loss(x, two, two, two, {.blank = 3}); },
                          "blank must be in [0, 2], got 3"});
  rows.push_back(row);
}

const Family ctc_rows(add_ctc);

}  // namespace table
