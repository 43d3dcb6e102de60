#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// The window of a place along one axis: its elements, also those outside of x.
using Window = std::function<std::vector<std::int64_t>(std::size_t axis, std::int64_t place)>;

Window regular(Place kernel, Place stride, Place before, Place dilation) {
  return [=](std::size_t d, std::int64_t i) {
    std::vector<std::int64_t> elements;
    for (std::int64_t k = 0; k < kernel[d]; ++k)
      elements.push_back(i * stride[d] + k * dilation[d] - before[d]);
    return elements;
  };
}

Window adaptive(Place sizes, Place results) {
  return [=](std::size_t d, std::int64_t i) {
    const double size = static_cast<double>(sizes[d]), n = static_cast<double>(results[d]),
                 at = static_cast<double>(i);
    std::vector<std::int64_t> elements;
    for (auto k = static_cast<std::int64_t>(std::floor(at * size / n));
         k < static_cast<std::int64_t>(std::ceil((at + 1) * size / n)); ++k)
      elements.push_back(k);
    return elements;
  };
}

// f(place in x) for the elements of a window that x has, in row-major order; returns how many it
// has within `margin` of x.
template <class F>
double for_each_element(const Tensor& x, const Place& at, const Window& window, const Place& margin,
                        F f) {
  const std::size_t axes = at.size() - 2;
  Place place = at;
  double inside = 0;
  const std::function<void(std::size_t, bool)> walk = [&](std::size_t d, bool real) {
    if (d == axes) {
      ++inside;
      if (real) f(place);
      return;
    }
    for (const std::int64_t i : window(d, at[d + 2])) {
      place[d + 2] = i;
      const std::int64_t size = x.shape()[d + 2];
      if (i >= -margin[d] && i < size + margin[d]) walk(d + 1, real && i >= 0 && i < size);
    }
  };
  walk(0, true);
  return inside;
}

// The largest element; 0.01 of its place more where `indices` says so.
std::function<double(const Place&, const TensorList&)> largest(const Window& window, bool indices) {
  return [=](const Place& at, const TensorList& in) {
    double best = -INFINITY, where = 0;
    for_each_element(in[0], at, window, Place(at.size(), 0), [&](const Place& p) {
      const double e = element(in[0], p);
      if (!(e > best)) return;
      best = e;
      where = 0;
      for (std::size_t d = 2; d < p.size(); ++d)
        where = where * static_cast<double>(in[0].shape()[d]) + static_cast<double>(p[d]);
    });
    return best + (indices ? 0.01 * where : 0.0);
  };
}

std::function<double(const Place&, const TensorList&)> mean_of(const Window& window,
                                                               const Place& margin,
                                                               double divisor = 0) {
  return [=](const Place& at, const TensorList& in) {
    double total = 0;
    const double count = for_each_element(in[0], at, window, margin,
                                          [&](const Place& p) { total += element(in[0], p); });
    return total / (divisor > 0 ? divisor : count);
  };
}

using Naive = std::function<double(const Place&, const TensorList&)>;

Sample pooled(std::string text, const Shape& shape, std::function<Tensor(const Tensor&)> f,
              const Naive& naive = {}) {
  Sample s = one(fmt::format("{}, {}", shape, text), draw_distinct(shape), std::move(f));
  if (naive) s.naive = loop(s.call(s.inputs).shape(), naive);
  return s;
}

Tensor both(const ag::MaxPooled& p) { return p.values + 0.01 * p.indices.to(p.values.dtype()); }

// The values of a max pooling, or what both results add up to.
#define MAX_POOL(axes, x, ...)                                             \
  (with_indices ? both(ag::max_pool##axes##d_with_indices(x, __VA_ARGS__)) \
                : ag::max_pool##axes##d(x, __VA_ARGS__))
#define ADAPTIVE_MAX_POOL(axes, x, ...)                                             \
  (with_indices ? both(ag::adaptive_max_pool##axes##d_with_indices(x, __VA_ARGS__)) \
                : ag::adaptive_max_pool##axes##d(x, __VA_ARGS__))

void add_max_pool(std::vector<Row>& rows) {
  for (const bool with_indices : {false, true}) {
    const std::string end = with_indices ? "_with_indices" : "";
    const auto naive = [&](const Window& w) { return largest(w, with_indices); };
    rows.push_back(
        {"max_pool1d" + end,
         {pooled(
              "3, stride 2, padding 1", {2, 2, 8},
              [=](auto& x) { return MAX_POOL(1, x, 3, {.stride = 2, .padding = 1}); },
              naive(regular({3}, {2}, {1}, {1}))),
          pooled("2, without a batch", {2, 5}, [=](auto& x) { return MAX_POOL(1, x, 2); }),
          pooled(
              "4, stride 2, ceil_mode", {1, 2, 3},
              [=](auto& x) { return MAX_POOL(1, x, 4, {.stride = 2, .ceil_mode = true}); },
              naive(regular({4}, {2}, {0}, {1})))},
         {{[=] {
             return MAX_POOL(1, ag::ones({1, 1, 3}), 4);
           },
           "max_pool1d" + end +
               ": the kernel must fit into the padded x, got 4 for shape (1, 1, 3), padding "
               "0"},
          {[=] {
             return MAX_POOL(1, ag::ones({1, 1, 3}), 5, {.stride = 2, .ceil_mode = true});
           },
           "the kernel must end less than a stride behind the padded x, got 5 for shape "
           "(1, 1, 3), padding 0 and stride 2"}}});
    rows.push_back(
        {"max_pool2d" + end,
         {pooled(
              "2", {2, 2, 4, 5}, [=](auto& x) { return MAX_POOL(2, x, 2); },
              naive(regular({2, 2}, {2, 2}, {0, 0}, {1, 1}))),
          pooled(
              "3 2, stride 2 1, padding 1, ceil_mode", {1, 2, 6, 4},
              [=](auto& x) {
                return MAX_POOL(2, x, {3, 2}, {.stride = {2, 1}, .padding = 1, .ceil_mode = true});
              },
              naive(regular({3, 2}, {2, 1}, {1, 1}, {1, 1}))),
          pooled(
              "2, stride 1, dilation 2 3, padding 1", {1, 1, 5, 6},
              [=](auto& x) {
                return MAX_POOL(2, x, 2, {.stride = 1, .padding = 1, .dilation = {2, 3}});
              },
              naive(regular({2, 2}, {1, 1}, {1, 1}, {2, 3}))),
          pooled("2, without a batch", {2, 4, 4}, [=](auto& x) { return MAX_POOL(2, x, 2); }),
          pooled("2, empty", {0, 2, 4, 4}, [=](auto& x) { return MAX_POOL(2, x, 2); })},
         {{[=] {
             return MAX_POOL(2, ag::ones({3, 3}), 2);
           },
           "max_pool2d" + end +
               ": x must have 4 axes (batch, channels, …), or 3 without a batch, got shape "
               "(3, 3)"},
          {[=] {
             return MAX_POOL(2, ag::ones({1, 1, 3, 3}), 2, {.padding = 2});
           },
           "padding must be at most half of the kernel, got 2 for 2"},
          {[=] {
             return MAX_POOL(2, ag::ones({1, 1, 1, 1}), 2,
                             {.stride = 1, .padding = 2, .dilation = 3});
           },
           "every window must have an element of x"},
          {[=] {
             return MAX_POOL(2, ag::ones({1, 0, 0, 3}), 2);
           },
           "x must have spatial sizes in [1, 2^31], got shape (1, 0, 0, 3)"},
          {[=] {
             return MAX_POOL(2, ag::ones({1, 1, 3, 3}), 0);
           },
           "kernel must be in [1, 2^31], got 0"}}});
    rows.push_back({"max_pool3d" + end,
                    {pooled(
                        "2 1 2, stride 1 2 2", {1, 2, 3, 3, 4},
                        [=](auto& x) {
                          return MAX_POOL(3, x, {2, 1, 2}, {.stride = {1, 2, 2}});
                        },
                        naive(regular({2, 1, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1})))},
                    {{[=] {
                        return MAX_POOL(3, ag::ones({1, 1, 3}), 2);
                      },
                      "max_pool3d" + end + ": x must have 5 axes"}}});
  }
}

void add_avg_pool(std::vector<Row>& rows) {
  using ag::avg_pool1d, ag::avg_pool2d, ag::avg_pool3d;
  rows.push_back({"avg_pool1d",
                  {pooled(
                       "3, stride 2, padding 1", {2, 2, 8},
                       [](auto& x) { return avg_pool1d(x, 3, {.stride = 2, .padding = 1}); },
                       mean_of(regular({3}, {2}, {1}, {1}), {1})),
                   pooled("2, without a batch", {2, 5}, [](auto& x) { return avg_pool1d(x, 2); }),
                   pooled(
                       "4, stride 2, ceil_mode", {1, 2, 3},
                       [](auto& x) { return avg_pool1d(x, 4, {.stride = 2, .ceil_mode = true}); },
                       mean_of(regular({4}, {2}, {0}, {1}), {0}))},
                  {{[] {
                      return avg_pool1d(ag::ones({1, 1, 3}), 4);
                    },
                    "avg_pool1d: the kernel must fit into the padded x, got 4 for shape (1, 1, 3), "
                    "padding 0"}}});
  rows.push_back(
      {"avg_pool2d",
       {pooled(
            "2", {2, 2, 4, 5}, [](auto& x) { return avg_pool2d(x, 2); },
            mean_of(regular({2, 2}, {2, 2}, {0, 0}, {1, 1}), {0, 0})),
        pooled(
            "3 2, stride 2 1, padding 1, ceil_mode", {1, 2, 6, 4},
            [](auto& x) {
              return avg_pool2d(x, {3, 2}, {.stride = {2, 1}, .padding = 1, .ceil_mode = true});
            },
            mean_of(regular({3, 2}, {2, 1}, {1, 1}, {1, 1}), {1, 1})),
        pooled(
            "3, stride 2, padding 1, ceil_mode, without the padding", {1, 2, 6, 5},
            [](auto& x) {
              return avg_pool2d(
                  x, 3, {.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false});
            },
            mean_of(regular({3, 3}, {2, 2}, {1, 1}, {1, 1}), {0, 0})),
        pooled(
            "3, divided by 5", {1, 2, 4, 5},
            [](auto& x) {
              return avg_pool2d(x, 3, {.stride = 2, .padding = 1, .divisor_override = 5});
            },
            mean_of(regular({3, 3}, {2, 2}, {1, 1}, {1, 1}), {1, 1}, 5)),
        pooled("2, empty", {0, 2, 4, 4}, [](auto& x) { return avg_pool2d(x, 2); })},
       {{[] {
           return avg_pool2d(ag::ones({3, 3}), 2);
         },
         "avg_pool2d: x must have 4 axes"},
        {[] {
           return avg_pool2d(ag::ones({1, 1, 3, 3}), 2, {.divisor_override = -1});
         },
         "divisor_override must be at least 1, or 0 for none, got -1"}}});
  rows.push_back(
      {"avg_pool3d",
       {pooled(
           "2 1 2, stride 1 2 2, padding 1 0 1", {1, 2, 3, 3, 4},
           [](auto& x) {
             return avg_pool3d(
                 x, {2, 1, 2},
                 {.stride = {1, 2, 2}, .padding = {1, 0, 1}, .count_include_pad = false});
           },
           mean_of(regular({2, 1, 2}, {1, 2, 2}, {1, 0, 1}, {1, 1, 1}), {0, 0, 0}))},
       {{[] {
           return avg_pool3d(ag::ones({1, 1, 3}), 2);
         },
         "avg_pool3d: x must have 5 axes"}}});
}

void add_adaptive(std::vector<Row>& rows) {
  for (const bool with_indices : {false, true}) {
    const std::string end = with_indices ? "_with_indices" : "";
    const auto naive = [&](const Window& w) { return largest(w, with_indices); };
    rows.push_back(
        {"adaptive_max_pool1d" + end,
         {pooled(
             "3", {2, 2, 7}, [=](auto& x) { return ADAPTIVE_MAX_POOL(1, x, 3); },
             naive(adaptive({7}, {3})))},
         {{[=] {
             return ADAPTIVE_MAX_POOL(1, ag::ones({1, 2, 3}), 0);
           },
           "adaptive_max_pool1d" + end + ": output_size must be at least 1, or -1, got 0"}}});
    rows.push_back({"adaptive_max_pool2d" + end,
                    {pooled(
                         "2 3", {1, 2, 5, 7},
                         [=](auto& x) {
                           return ADAPTIVE_MAX_POOL(2, x, {2, 3});
                         },
                         naive(adaptive({5, 7}, {2, 3}))),
                     pooled("-1 2, without a batch", {2, 3, 4},
                            [=](auto& x) {
                              return ADAPTIVE_MAX_POOL(2, x, {-1, 2});
                            })},
                    {{[=] {
                        return ADAPTIVE_MAX_POOL(2, ag::ones({1, 2, 3, 0}), 2);
                      },
                      "adaptive_max_pool2d" + end + ": x must have spatial sizes in [1, 2^31]"}}});
    rows.push_back({"adaptive_max_pool3d" + end,
                    {pooled(
                        "2 1 3", {1, 2, 3, 2, 5},
                        [=](auto& x) {
                          return ADAPTIVE_MAX_POOL(3, x, {2, 1, 3});
                        },
                        naive(adaptive({3, 2, 5}, {2, 1, 3})))},
                    {{[=] {
                        return ADAPTIVE_MAX_POOL(3, ag::ones({1, 2, 3}), 2);
                      },
                      "adaptive_max_pool3d" + end + ": x must have 5 axes"}}});
  }
  using ag::adaptive_avg_pool1d, ag::adaptive_avg_pool2d, ag::adaptive_avg_pool3d;
  rows.push_back({"adaptive_avg_pool1d",
                  {pooled(
                      "3", {2, 2, 7}, [](auto& x) { return adaptive_avg_pool1d(x, 3); },
                      mean_of(adaptive({7}, {3}), {0}))},
                  {{[] {
                      return adaptive_avg_pool1d(ag::ones({1, 2, 3}), 0);
                    },
                    "adaptive_avg_pool1d: output_size must be at least 1, or -1, got 0"}}});
  rows.push_back(
      {"adaptive_avg_pool2d",
       {pooled(
            "2 3", {1, 2, 4, 7},
            [](auto& x) {
              return adaptive_avg_pool2d(x, {2, 3});
            },
            mean_of(adaptive({4, 7}, {2, 3}), {0, 0})),
        pooled(
            "5, of fewer", {1, 2, 3, 4}, [](auto& x) { return adaptive_avg_pool2d(x, 5); },
            mean_of(adaptive({3, 4}, {5, 5}), {0, 0})),
        pooled("1, without a batch", {2, 3, 4}, [](auto& x) { return adaptive_avg_pool2d(x, 1); }),
        pooled("1, empty", {0, 2, 3, 4}, [](auto& x) { return adaptive_avg_pool2d(x, 1); })},
       {{[] {
           return adaptive_avg_pool2d(ag::ones({1, 2, 3, 3}), {1, 2, 3});
         },
         "output_size must be one number or 2, one for each axis, got (1, 2, 3)"}}});
  rows.push_back({"adaptive_avg_pool3d",
                  {pooled(
                      "2 1 3", {1, 2, 3, 2, 5},
                      [](auto& x) {
                        return adaptive_avg_pool3d(x, {2, 1, 3});
                      },
                      mean_of(adaptive({3, 2, 5}, {2, 1, 3}), {0, 0, 0}))},
                  {{[] {
                      return adaptive_avg_pool3d(ag::ones({1, 2, 3}), 2);
                    },
                    "adaptive_avg_pool3d: x must have 5 axes"}}});
}

}  // namespace

void add_pooling(std::vector<Row>& rows) {
  add_max_pool(rows);
  add_avg_pool(rows);
  add_adaptive(rows);
}

const Family pooling_rows(add_pooling);

}  // namespace table
