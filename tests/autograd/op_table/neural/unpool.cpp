#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops/neural/pooling.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// Elements of x in the places of planes of `size` elements, the last for each.
Sample unpooled(std::string text, const Tensor& x, const Tensor& indices, std::int64_t size,
                std::function<Tensor(const TensorList&)> f) {
  return {std::move(text), {x, indices}, std::move(f), [=](const TensorList& in) {
            const auto v = in[0].to_vector<double>();
            const auto at = in[1].to_vector<std::int64_t>();
            const std::int64_t planes = x.size(0) * x.size(1), n = x.numel() / planes;
            std::vector<double> y(static_cast<std::size_t>(planes * size), 0.0);
            for (std::size_t i = 0; i < v.size(); ++i)
              y[i / static_cast<std::size_t>(n) * static_cast<std::size_t>(size) +
                static_cast<std::size_t>(at[i])] = v[i];
            return y;
          }};
}

void add_unpool(std::vector<Row>& rows) {
  const Tensor line = ag::reshape(ag::tensor({0, 3, 7, 1, 2, 6}), {1, 2, 3});
  rows.push_back(
      {"max_unpool1d",
       {unpooled(
            "2, stride 3", draw({1, 2, 3}, -2, 2), line, 8,
            [](const TensorList& t) { return ag::max_unpool1d(t[0], t[1], 2, {.stride = 3}); }),
        {"2, without a batch",
         {draw({2, 3}, -2, 2), ag::reshape(ag::tensor({0, 3, 5, 1, 2, 4}), {2, 3})},
         [](const TensorList& t) { return ag::max_unpool1d(t[0], t[1], 2); }}},
       {{[] {
           return ag::max_unpool1d(ag::ones({1, 1, 2}), ag::ones({1, 1, 2}), 2);
         },
         "max_unpool1d: indices must be int64 of the shape of x, got float32 (1, 1, 2) for "
         "(1, 1, 2)"},
        {[] {
           return ag::max_unpool1d(ag::ones({1, 1, 2}), ag::full({1, 1, 2}, 4, ag::int64), 2);
         },
         "max_unpool1d: indices must be in [0, 4), got 4"},
        {[] {
           return ag::max_unpool1d(ag::ones({1, 1, 2}), ag::full({1, 1, 2}, -1, ag::int64), 2);
         },
         "max_unpool1d: indices must be in [0, 4), got -1"}}});
  const auto pooled = ag::max_pool2d_with_indices(draw_distinct({2, 2, 6, 5}), {3, 2},
                                                  {.stride = 2, .padding = {1, 0}});
  rows.push_back(
      {"max_unpool2d",
       {unpooled("3 2, stride 2, padding 1 0, output_size 6 5", draw({2, 2, 3, 2}, -2, 2),
                 pooled.indices, 30,
                 [](const TensorList& t) {
                   return ag::max_unpool2d(t[0], t[1], {3, 2},
                                           {.stride = 2, .padding = {1, 0}, .output_size = {6, 5}});
                 }),
        {"2, empty",
         {ag::zeros({0, 2, 2, 2}, ag::float64), ag::zeros({0, 2, 2, 2}, ag::int64)},
         [](const TensorList& t) { return ag::max_unpool2d(t[0], t[1], 2); }}},
       {{[] {
           return ag::max_unpool2d(ag::ones({1, 1, 2, 2}), ag::zeros({1, 1, 2, 2}, ag::int64), 2,
                                   {.output_size = {4, 6}});
         },
         "max_unpool2d: output_size must be between 3 and 5, got 6"},
        {[] {
           return ag::max_unpool2d(ag::ones({1, 1, 1, 1}), ag::zeros({1, 1, 1, 1}, ag::int64), 2,
                                   {.padding = 1});
         },
         "max_unpool2d: the result must have sizes of at least 1, got 0 for x (1, 1, 1, 1) and "
         "padding 1"},
        {[] {
           return ag::max_unpool2d(ag::ones({3, 3}), ag::zeros({3, 3}, ag::int64), 2);
         },
         "max_unpool2d: x must have 4 axes"}}});
  rows.push_back(
      {"max_unpool3d",
       {unpooled("2, of equal places the last", draw({1, 1, 1, 2, 2}, -2, 2),
                 ag::reshape(ag::tensor({31, 5, 5, 0}), {1, 1, 1, 2, 2}), 32,
                 [](const TensorList& t) { return ag::max_unpool3d(t[0], t[1], 2); })},
       {{[] {
           return ag::max_unpool3d(ag::ones({1, 1, 3}), ag::ones({1, 1, 3}, ag::int64), 2);
         },
         "max_unpool3d: x must have 5 axes"}}});
}

// (the mean of xᵖ over the part of a window that x has, times the kernel)^(1/p).
std::function<double(const Place&, const TensorList&)> power_mean(double p, Place kernel,
                                                                  Place stride) {
  return [=](const Place& at, const TensorList& in) {
    double sum = 0, count = 0, all = 1;
    Place place = at;
    const std::function<void(std::size_t)> walk = [&](std::size_t d) {
      if (d == kernel.size()) {
        sum += std::pow(element(in[0], place), p);
        ++count;
        return;
      }
      const std::int64_t begin = at[d + 2] * stride[d];
      for (place[d + 2] = begin; place[d + 2] < std::min(begin + kernel[d], in[0].shape()[d + 2]);
           ++place[d + 2])
        walk(d + 1);
    };
    walk(0);
    for (const auto k : kernel) all *= static_cast<double>(k);
    return std::pow(sum / count * all, 1 / p);
  };
}

Sample normed(std::string text, const Shape& shape, std::function<Tensor(const Tensor&)> f,
              const std::function<double(const Place&, const TensorList&)>& naive = {}) {
  Sample s = one(fmt::format("{}, {}", shape, text), draw_distinct(shape) + 4.0, std::move(f));
  if (naive) s.naive = loop(s.call(s.inputs).shape(), naive);
  return s;
}

void add_lp_pool(std::vector<Row>& rows) {
  rows.push_back(
      {"lp_pool1d",
       {normed(
            "p 2, 3, stride 2", {2, 2, 8},
            [](auto& x) { return ag::lp_pool1d(x, 2, 3, {.stride = 2}); }, power_mean(2, {3}, {2})),
        normed("p inf, without a batch", {2, 5},
               [](auto& x) { return ag::lp_pool1d(x, HUGE_VAL, 2); }),
        normed("p -inf", {1, 2, 5}, [](auto& x) { return ag::lp_pool1d(x, -HUGE_VAL, 2); })},
       {{[] {
           return ag::lp_pool1d(ag::ones({1, 1, 3}), 0, 2);
         },
         "lp_pool1d: p must be a number that is not 0, got 0"},
        {[] {
           return ag::lp_pool1d(ag::ones({1, 1, 3}), 2, 4);
         },
         "lp_pool1d: the kernel must fit into the padded x"}}});
  rows.push_back(
      {"lp_pool2d",
       {normed(
            "p 1.5, 3 2, stride 2, ceil_mode", {1, 2, 6, 5},
            [](auto& x) {
              return ag::lp_pool2d(x, 1.5, {3, 2}, {.stride = 2, .ceil_mode = true});
            },
            power_mean(1.5, {3, 2}, {2, 2})),
        normed(
            "p -2, 2", {1, 2, 4, 4}, [](auto& x) { return ag::lp_pool2d(x, -2, 2); },
            power_mean(-2, {2, 2}, {2, 2})),
        normed("p 2, empty", {0, 2, 4, 4}, [](auto& x) { return ag::lp_pool2d(x, 2, 2); })},
       {{[] {
           return ag::lp_pool2d(ag::ones({3, 3}), 2, 2);
         },
         "lp_pool2d: x must have 4 axes"}}});
  rows.push_back({"lp_pool3d",
                  {normed(
                      "p 3, 2 1 2", {1, 1, 2, 2, 4},
                      [](auto& x) {
                        return ag::lp_pool3d(x, 3, {2, 1, 2});
                      },
                      power_mean(3, {2, 1, 2}, {2, 1, 2}))},
                  {{[] {
                      return ag::lp_pool3d(ag::ones({1, 1, 3}), 2, 2);
                    },
                    "lp_pool3d: x must have 5 axes"}}});
}

}  // namespace

void add_unpooling(std::vector<Row>& rows) {
  add_unpool(rows);
  add_lp_pool(rows);
}

const Family unpooling_rows(add_unpooling);

}  // namespace table
