#include <cmath>

#include "autograd/ops/neural/norms.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// (x - mean) / √(variance + eps) of a float64 tensor, where the elements that are normalised
// together are those of equal `set(index of the element)`.
std::function<std::vector<double>(const TensorList&)> normalised(
    std::function<std::int64_t(std::int64_t)> set, bool centred = true, double eps = 1e-5) {
  return [=](const TensorList& in) {
    const auto x = in[0].to_vector<double>();
    const auto n = static_cast<std::int64_t>(x.size());
    std::vector<double> y;
    for (std::int64_t i = 0; i < n; ++i) {
      double count = 0, total = 0, squares = 0;
      for (std::int64_t k = 0; k < n; ++k)
        if (set(k) == set(i)) count += 1, total += x[k];
      const double mean = centred ? total / count : 0;
      for (std::int64_t k = 0; k < n; ++k)
        if (set(k) == set(i)) squares += (x[k] - mean) * (x[k] - mean);
      y.push_back((x[i] - mean) / std::sqrt(squares / count + eps));
    }
    return y;
  };
}

// In the dtype of x; as they are where a check leaves x out.
Tensor fit(const Tensor& numbers, const Tensor& x) {
  return x.defined() ? numbers.to(x.dtype()) : numbers;
}

Row batch_norm_row() {
  const ag::BatchNormOptions training{.training = true};
  const Tensor mean = draw({3}, -1, 1), var = draw({3}, 0.5, 2);
  const auto by_running = [=](auto& x, const Tensor& weight, const Tensor& bias) {
    return ag::batch_norm(x[0], fit(mean, x[0]), fit(var, x[0]), weight, bias);
  };
  const auto plain = [=](auto& x) { return ag::batch_norm(x[0], {}, {}, {}, {}, training); };
  Row row{"batch_norm", {}};
  row.samples = {
      {"(2, 3, 9) training", {draw({2, 3, 9}, -2, 2)}, plain, normalised([](std::int64_t i) {
         return i / 9 % 3;
       })},
      {"(5, 3) training", {draw({5, 3}, -2, 2)}, plain, normalised([](std::int64_t i) {
         return i % 3;
       })},
      {"(2, 3, 1, 21) training, weight, bias",
       {draw({2, 3, 1, 21}, -2, 2), draw({3}, 0.5, 2), draw({3}, -1, 1)},
       [=](auto& x) { return ag::batch_norm(x[0], {}, {}, x[1], x[2], training); }},
      {"(4, 2, 3) training, weight, eps 0.1",
       {draw({4, 2, 3}, -2, 2), draw({2}, 0.5, 2)},
       [](auto& x) {
         return ag::batch_norm(x[0], {}, {}, x[1], {}, {.training = true, .eps = 0.1});
       }},
      {"(0, 3, 4) training", {draw({0, 3, 4}, -2, 2)}, plain},
      {"(2, 3, 0) training", {draw({2, 3, 0}, -2, 2)}, plain},
      {"(2, 3, 5)", {draw({2, 3, 5}, -2, 2)}, [=](auto& x) { return by_running(x, {}, {}); }},
      {"(3, 3), weight, bias",
       {draw({3, 3}, -2, 2), draw({3}, 0.5, 2), draw({3}, -1, 1)},
       [=](auto& x) { return by_running(x, x[1], x[2]); }},
      {"(2, 3, 2, 2), bias",
       {draw({2, 3, 2, 2}, -2, 2), draw({3}, -1, 1)},
       [=](auto& x) { return by_running(x, {}, x[1]); }},
      {"(0, 3)", {draw({0, 3}, -2, 2)}, [=](auto& x) { return by_running(x, {}, {}); }}};
  const Tensor x = ag::ones({2, 3, 4});
  row.mistakes = {
      {[=] {
         return ag::batch_norm(ag::ones({1, 3}), {}, {}, {}, {}, training);
       },
       "training needs more than one value per channel, got x of shape (1, 3)"},
      {[=] { return ag::batch_norm(ag::ones({3}), {}, {}, {}, {}, training); },
       "x must be (n, channels, …), got shape (3,)"},
      {[=] { return ag::batch_norm(x, {}, {}, ag::ones({2}), {}, training); },
       "all but x must have one number for each of its 3 channels, got (2,) for x (2, 3, 4)"},
      {[=] { return ag::batch_norm(x, {}, {}); },
       "running_mean and running_var must be given unless training, got none"},
      {[=] { return ag::batch_norm(x, ag::zeros({3}), {}); },
       "running_mean and running_var must both be given or neither, got one"},
      {[=] { return ag::batch_norm(x, {}, {}, {}, {}, {.training = true, .eps = -1}); },
       "eps must be at least 0, got -1"},
      {[=] {
         return ag::batch_norm(x, ag::zeros({3}), ag::ones({3}), {}, {},
                               {.training = true, .momentum = std::nullopt});
       },
       "num_batches_tracked must be given where momentum is not, got none"},
      {[=] {
         return ag::batch_norm(x, ag::zeros({3}), ag::ones({3}), {}, {},
                               {.training = true, .num_batches_tracked = ag::zeros({})});
       },
       "num_batches_tracked must be one int64, got float32 of shape ()"}};
  return row;
}

Row instance_norm_row() {
  const Tensor mean = draw({3}, -1, 1), var = draw({3}, 0.5, 2);
  Row row{"instance_norm", {}};
  row.samples = {
      {"(2, 3, 9)",
       {draw({2, 3, 9}, -2, 2)},
       [](auto& x) { return ag::instance_norm(x[0]); },
       normalised([](std::int64_t i) { return i / 9; })},
      {"(2, 3, 2, 3), weight, bias",
       {draw({2, 3, 2, 3}, -2, 2), draw({3}, 0.5, 2), draw({3}, -1, 1)},
       [](auto& x) { return ag::instance_norm(x[0], {}, {}, x[1], x[2]); }},
      {"(2, 3, 4) by running statistics, weight",
       {draw({2, 3, 4}, -2, 2), draw({3}, 0.5, 2)},
       [=](auto& x) {
         return ag::instance_norm(x[0], fit(mean, x[0]), fit(var, x[0]), x[1], {},
                                  {.use_input_stats = false});
       }},
      {"(0, 3, 4)", {draw({0, 3, 4}, -2, 2)}, [](auto& x) { return ag::instance_norm(x[0]); }}};
  row.mistakes = {
      {[] {
         return ag::instance_norm(ag::ones({2, 3, 1}));
       },
       "needs more than one value per channel, got x of shape (2, 3, 1)"},
      {[] {
         return ag::instance_norm(ag::ones({2, 3, 4}), {}, {}, {}, ag::ones({4}));
       },
       "all but x must have one number for each of its 3 channels, got (4,) for x (2, 3, 4)"},
      {[] {
         return ag::instance_norm(ag::ones({2, 3, 4}), {}, {}, {}, {}, {.use_input_stats = false});
       },
       "running_mean and running_var must be given unless use_input_stats, got none"}};
  return row;
}

Row group_norm_row() {
  Row row{"group_norm", {}};
  row.samples = {{"(2, 4, 5), 2 groups",
                  {draw({2, 4, 5}, -2, 2)},
                  [](auto& x) { return ag::group_norm(x[0], 2); },
                  normalised([](std::int64_t i) { return i / 10; })},
                 {"(3, 6), 2 groups, weight, bias",
                  {draw({3, 6}, -2, 2), draw({6}, 0.5, 2), draw({6}, -1, 1)},
                  [](auto& x) { return ag::group_norm(x[0], 2, x[1], x[2]); }},
                 {"(2, 3, 2, 2), 1 group, bias, eps 0.1",
                  {draw({2, 3, 2, 2}, -2, 2), draw({3}, -1, 1)},
                  [](auto& x) { return ag::group_norm(x[0], 1, {}, x[1], 0.1); }},
                 {"(0, 4, 3), 2 groups", {draw({0, 4, 3}, -2, 2)}, [](auto& x) {
                    return ag::group_norm(x[0], 2);
                  }}};
  row.mistakes = {
      {[] {
         return ag::group_norm(ag::ones({2, 4}), 3);
       },
       "num_groups must divide the channels, got 3 for x (2, 4)"},
      {[] { return ag::group_norm(ag::ones({4}), 2); },
       "x must be (n, channels, …), got shape (4,)"},
      {[] {
         return ag::group_norm(ag::ones({2, 4}), 2, ag::ones({2}));
       },
       "all but x must have one number for each of its 4 channels, got (2,) for x (2, 4)"}};
  return row;
}

Row rms_norm_row() {
  Row row{"rms_norm", {}};
  row.samples = {
      {"(3, 5), eps 0.01",
       {draw({3, 5}, -2, 2)},
       [](auto& x) { return ag::rms_norm(x[0], {5}, {}, 0.01); },
       normalised([](std::int64_t i) { return i / 5; }, false, 0.01)},
      {"(3, 20), weight",
       {draw({3, 20}, -2, 2), draw({20}, 0.5, 2)},
       [](auto& x) { return ag::rms_norm(x[0], {20}, x[1]); }},
      {"(2, 2, 3) over two axes",
       {draw({2, 2, 3}, -2, 2)},
       [](auto& x) {
         return ag::rms_norm(x[0], {2, 3});
       }},
      {"(0, 4)", {draw({0, 4}, -2, 2)}, [](auto& x) { return ag::rms_norm(x[0], {4}); }}};
  row.mistakes = {{[] {
                     return ag::rms_norm(ag::ones({2, 3}), {4});
                   },
                   "the last axes must be (4,), got shape (2, 3)"},
                  {[] {
                     return ag::rms_norm(ag::ones({2, 3}), {3}, ag::ones({2}));
                   },
                   "weight must have the normalized shape (3,), got (2,)"}};
  return row;
}

// x / (k + alpha · mean(x²))^beta with 7 channels of 2 elements, and the mean over 4 of them.
double response(const Place& at, const TensorList& in) {
  double total = 0;
  for (std::int64_t c = at[1] - 2; c < at[1] + 2; ++c)
    if (c >= 0 && c < 7) {
      const double v = element(in[0], {at[0], c, at[2]});
      total += v * v;
    }
  return element(in[0], at) / std::pow(1.5 + 0.3 * total / 4, 0.6);
}

Row local_response_norm_row() {
  Row row{"local_response_norm", {}};
  row.samples = {{"(2, 7, 2), size 4",
                  {draw({2, 7, 2}, -2, 2)},
                  [](auto& x) { return ag::local_response_norm(x[0], 4, 0.3, 0.6, 1.5); },
                  loop({2, 7, 2}, response)},
                 {"(1, 3, 2, 2), size 5",
                  {draw({1, 3, 2, 2}, -2, 2)},
                  [](auto& x) { return ag::local_response_norm(x[0], 5, 0.3); }},
                 {"(0, 3, 2), size 2", {draw({0, 3, 2}, -2, 2)}, [](auto& x) {
                    return ag::local_response_norm(x[0], 2);
                  }}};
  row.mistakes = {{[] {
                     return ag::local_response_norm(ag::ones({2, 3, 4}), 0);
                   },
                   "size must be at least 1, got 0"},
                  {[] {
                     return ag::local_response_norm(ag::ones({2, 3}), 2);
                   },
                   "x must be (n, channels, …) of at least 3 axes, got shape (2, 3)"}};
  return row;
}

}  // namespace

void add_normalisation(std::vector<Row>& rows) {
  rows.push_back(batch_norm_row());
  rows.push_back(instance_norm_row());
  rows.push_back(group_norm_row());
  rows.push_back(rms_norm_row());
  rows.push_back(local_response_norm_row());
}

const Family normalisation_rows(add_normalisation);

}  // namespace table
