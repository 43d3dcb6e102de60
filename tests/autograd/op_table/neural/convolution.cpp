#include <fmt/format.h>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// Numbers of each axis, as the operation was given them.
struct Walk {
  Place stride, before, dilation;
  std::int64_t groups = 1;
};

// f(place in the kernel) for each of its taps.
template <class F>
void for_each_tap(const Tensor& weight, F f) {
  Place tap(weight.shape().size() - 2, 0);
  std::int64_t taps = 1;
  for (std::size_t d = 0; d < tap.size(); ++d) taps *= weight.shape()[d + 2];
  for (std::int64_t k = 0; k < taps; ++k) {
    std::int64_t rest = k;
    for (std::size_t d = tap.size(); d-- > 0; rest /= weight.shape()[d + 2])
      tap[d] = rest % weight.shape()[d + 2];
    f(tap);
  }
}

Place joined(std::int64_t a, std::int64_t b, const Place& rest) {
  Place place{a, b};
  place.insert(place.end(), rest.begin(), rest.end());
  return place;
}

// An element of x, of zeros outside of it.
double padded(const Tensor& x, const Place& place) {
  for (std::size_t d = 0; d < place.size(); ++d)
    if (place[d] < 0 || place[d] >= x.shape()[d]) return 0;
  return element(x, place);
}

double convolved(const Walk& walk, const Place& at, const TensorList& in) {
  const Tensor &x = in[0], &w = in[1];
  const std::int64_t group = at[1] / (w.size(0) / walk.groups);
  double total = in.size() > 2 ? element(in[2], {at[1]}) : 0;
  for (std::int64_t c = 0; c < w.size(1); ++c)
    for_each_tap(w, [&](const Place& tap) {
      Place p = tap;
      for (std::size_t d = 0; d < p.size(); ++d)
        p[d] = at[d + 2] * walk.stride[d] + tap[d] * walk.dilation[d] - walk.before[d];
      total +=
          padded(x, joined(at[0], group * w.size(1) + c, p)) * element(w, joined(at[1], c, tap));
    });
  return total;
}

double spread(const Walk& walk, const Place& at, const TensorList& in) {
  const Tensor &x = in[0], &w = in[1];
  const std::int64_t group = at[1] / w.size(1), channels = w.size(0) / walk.groups;
  double total = in.size() > 2 ? element(in[2], {at[1]}) : 0;
  for (std::int64_t c = group * channels; c < (group + 1) * channels; ++c)
    for_each_tap(w, [&](const Place& tap) {
      Place p = tap;
      for (std::size_t d = 0; d < p.size(); ++d) {
        const std::int64_t reach = at[d + 2] + walk.before[d] - tap[d] * walk.dilation[d];
        if (reach % walk.stride[d] != 0) return;
        p[d] = reach / walk.stride[d];
      }
      total += padded(x, joined(at[0], c, p)) * element(w, joined(c, at[1] % w.size(1), tap));
    });
  return total;
}

using Conv = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const ag::ConvOptions&);
using ConvTranspose = Tensor (*)(const Tensor&, const Tensor&, const Tensor&,
                                 const ag::ConvTransposeOptions&);

// `walk` says the options of a batch in numbers; without it there is no loop to compare with.
template <class F, class Options, class Naive>
Sample sample(const char* text, F f, const Options& options, const Shape& x, const Shape& weight,
              bool biased, Naive naive, const Walk& walk) {
  TensorList in{draw(x, -1, 1), draw(weight, -1, 1)};
  const std::int64_t channels =
      std::is_same_v<Options, ag::ConvOptions> ? weight[0] : weight[1] * options.groups;
  if (biased) in.push_back(draw({channels}, -1, 1));
  Sample s{fmt::format("{} with {}, {}", x, weight, text), in,
           [=](auto& t) { return f(t[0], t[1], t.size() > 2 ? t[2] : Tensor(), options); }};
  if (!walk.stride.empty())
    s.naive = loop(s.call(in).shape(),
                   [=](const Place& at, const TensorList& t) { return naive(walk, at, t); });
  return s;
}
Sample sample(const char* text, Conv f, const ag::ConvOptions& options, const Shape& x,
              const Shape& weight, bool biased = false, const Walk& walk = {}) {
  return sample(text, f, options, x, weight, biased, convolved, walk);
}
Sample sample(const char* text, ConvTranspose f, const ag::ConvTransposeOptions& options,
              const Shape& x, const Shape& weight, bool biased = false, const Walk& walk = {}) {
  return sample(text, f, options, x, weight, biased, spread, walk);
}

Tensor ones(const Shape& shape) { return ag::ones(shape); }

void add_conv2d(std::vector<Row>& rows) {
  const Conv f = ag::conv2d;
  Row row{"conv2d",
          {sample("stride 2 1, padding 1 0", f, {.stride = {2, 1}, .padding = {1, 0}}, {2, 3, 5, 4},
                  {2, 3, 3, 2}, true, {{2, 1}, {1, 0}, {1, 1}}),
           sample("dilation 2, 2 groups", f, {.dilation = 2, .groups = 2}, {1, 4, 4, 5},
                  {4, 2, 2, 2}, false, {{1, 1}, {0, 0}, {2, 2}, 2}),
           sample("each channel, padding of each side", f, {.padding = {1, 0, 0, 2}, .groups = 3},
                  {1, 3, 4, 4}, {6, 1, 2, 3}, true, {{1, 1}, {1, 0}, {1, 1}, 3}),
           sample("same", f, {.padding = "same"}, {2, 1, 4, 3}, {2, 1, 2, 3}, false,
                  {{1, 1}, {0, 1}, {1, 1}}),
           sample("valid, stride 3", f, {.stride = 3, .padding = "valid"}, {1, 1, 7, 8},
                  {1, 1, 2, 2}, false, {{3, 3}, {0, 0}, {1, 1}}),
           sample("stride 2 3, dilation 3 2, padding 2", f,
                  {.stride = {2, 3}, .padding = 2, .dilation = {3, 2}}, {1, 2, 6, 5}, {2, 2, 2, 3},
                  false, {{2, 3}, {2, 2}, {3, 2}}),
           sample("without a batch", f, {}, {2, 3, 3}, {1, 2, 2, 2}, true),
           sample("empty batch", f, {}, {0, 2, 3, 3}, {1, 2, 2, 2}, true)}};
  row.mistakes = {
      {[=] {
         return f(ones({3}), ones({1, 1, 2, 2}), {}, {});
       },
       "conv2d: x must have 4 axes (batch, channels, …), or 3 without a batch, got shape (3,)"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2}), {}, {});
       },
       "weight must have 4 axes, got shape (1, 1, 2)"},
      {[=] {
         return f(ones({1, 3, 3, 3}), ones({1, 2, 2, 2}), {}, {});
       },
       "x must have 2 channels for weight (1, 2, 2, 2) and 1 groups, got shape (1, 3, 3, 3)"},
      {[=] {
         return f(ones({1, 2, 3, 3}), ones({3, 1, 2, 2}), {}, {.groups = 2});
       },
       "groups must divide the first size of the weight, got 2 groups and weight (3, 1, 2, 2)"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.groups = 0});
       },
       "groups must be in [1, 2^31], got 0"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 0, 2}), {}, {});
       },
       "the kernel must have sizes in [1, 2^31], got weight (1, 1, 0, 2)"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 5}), {}, {.padding = {1, 0}});
       },
       "the kernel must fit into the padded x, got weight (1, 1, 2, 5) for x (1, 1, 3, 3), padding "
       "(1, 0), dilation 1"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.stride = 0});
       },
       "stride must be in [1, 2^31], got 0"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.stride = {1, 1, 1}});
       },
       "stride must be one number or 2, one for each axis, got (1, 1, 1)"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.padding = -1});
       },
       "padding must be in [0, 2^31], got -1"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.stride = 2, .padding = "same"});
       },
       "padding same needs stride 1, got 2"},
      {[=] {
         return f(ones({1, 1, 3, 3}), ones({2, 1, 2, 2}), ones({1}), {});
       },
       "bias must have the shape (2,) of the channels, got (1,)"},
      {[=] {
         return f(ag::ones({1, 1, 3, 3}, ag::int64), ag::ones({1, 1, 2, 2}, ag::int64), {}, {});
       },
       "needs float32 or float64, got int64"}};
  rows.push_back(row);
}

void add_conv_transpose2d(std::vector<Row>& rows) {
  const ConvTranspose f = ag::conv_transpose2d;
  Row row{"conv_transpose2d",
          {sample("stride 2 1, padding 1 0", f, {.stride = {2, 1}, .padding = {1, 0}}, {2, 2, 3, 3},
                  {2, 3, 3, 2}, true, {{2, 1}, {1, 0}, {1, 1}}),
           sample("stride 3 2, output_padding 2 1, 2 groups", f,
                  {.stride = {3, 2}, .output_padding = {2, 1}, .groups = 2}, {1, 4, 2, 3},
                  {4, 1, 2, 2}, true, {{3, 2}, {0, 0}, {1, 1}, 2}),
           sample("stride 4 6, dilation 6 4, padding 3 1", f,
                  {.stride = {4, 6}, .padding = {3, 1}, .dilation = {6, 4}}, {1, 1, 2, 2},
                  {1, 2, 2, 3}, false, {{4, 6}, {3, 1}, {6, 4}}),
           sample("padding of each side", f, {.padding = {1, 0, 0, 2}}, {1, 1, 3, 4}, {1, 2, 2, 3},
                  false, {{1, 1}, {1, 0}, {1, 1}}),
           sample("without a batch", f, {.stride = 2}, {2, 2, 3}, {2, 1, 2, 2}, true),
           sample("empty batch", f, {}, {0, 2, 3, 3}, {2, 1, 2, 2}, true)}};
  row.mistakes = {{[=] {
                     return f(ones({3}), ones({1, 1, 2, 2}), {}, {});
                   },
                   "conv_transpose2d: x must have 4 axes"},
                  {[=] {
                     return f(ones({1, 3, 3, 3}), ones({2, 1, 2, 2}), {}, {});
                   },
                   "x must have the 2 channels of weight (2, 1, 2, 2), got shape (1, 3, 3, 3)"},
                  {[=] {
                     return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.output_padding = 1});
                   },
                   "output_padding must be less than stride or dilation, got 1 for 1 and 1"},
                  {[=] {
                     return f(ones({1, 1, 1, 3}), ones({1, 1, 2, 2}), {}, {.padding = 1});
                   },
                   "the result must have sizes of at least 1, got 0 for x (1, 1, 1, 3), weight (1, "
                   "1, 2, 2) and "
                   "padding 1"},
                  {[=] {
                     return f(ones({1, 1, 0, 3}), ones({1, 1, 2, 2}), {}, {});
                   },
                   "x must have spatial sizes in [1, 2^31], got shape (1, 1, 0, 3)"},
                  {[=] {
                     return f(ones({1, 1, 3, 3}), ones({1, 1, 2, 2}), {}, {.padding = "same"});
                   },
                   "padding must be numbers, got same"},
                  {[=] {
                     return f(ones({1, 1, 3, 3}), ones({1, 2, 2, 2}), ones({1}), {});
                   },
                   "bias must have the shape (2,) of the channels, got (1,)"}};
  rows.push_back(row);
}

void add_other_axes(std::vector<Row>& rows) {
  const Conv one = ag::conv1d, three = ag::conv3d;
  const ConvTranspose back_one = ag::conv_transpose1d, back_three = ag::conv_transpose3d;
  rows.push_back(
      {"conv1d",
       {sample("padding of each side", one, {.padding = {2, 1}}, {2, 2, 7}, {3, 2, 3}, true,
               {{1}, {2}, {1}}),
        sample("stride 2, dilation 2, 2 groups", one, {.stride = 2, .dilation = 2, .groups = 2},
               {1, 4, 9}, {2, 2, 3}, false, {{2}, {0}, {2}, 2}),
        sample("without a batch", one, {.padding = "same"}, {2, 20}, {1, 2, 4}, true)},
       {{[=] {
           return one(ones({1, 2, 3}), ones({1, 2, 4}), {}, {});
         },
         "conv1d: the kernel must fit into the padded x"}}});
  rows.push_back(
      {"conv3d",
       {sample("padding 1 0 1, stride 1 2 1", three, {.stride = {1, 2, 1}, .padding = {1, 0, 1}},
               {1, 2, 3, 3, 3}, {2, 2, 2, 2, 2}, true, {{1, 2, 1}, {1, 0, 1}, {1, 1, 1}}),
        sample("2 groups, dilation 2 1 1", three, {.dilation = {2, 1, 1}, .groups = 2},
               {2, 2, 3, 2, 3}, {2, 1, 2, 1, 2}, false, {{1, 1, 1}, {0, 0, 0}, {2, 1, 1}, 2})},
       {{[=] {
           return three(ones({1, 2, 3}), ones({1, 2, 4, 1, 1}), {}, {});
         },
         "conv3d: x must have 5 axes"}}});
  rows.push_back({"conv_transpose1d",
                  {sample("stride 3, padding 1, output_padding 1", back_one,
                          {.stride = 3, .padding = 1, .output_padding = 1}, {2, 2, 4}, {2, 2, 3},
                          true, {{3}, {1}, {1}}),
                   sample("without a batch", back_one, {.dilation = 2}, {2, 5}, {2, 1, 3}, true)},
                  {{[=] {
                      return back_one(ones({1, 2, 3}), ones({3, 2, 4}), {}, {});
                    },
                    "conv_transpose1d: x must have the 3 channels"}}});
  rows.push_back({"conv_transpose3d",
                  {sample("stride 2 1 2, padding 0 1 0", back_three,
                          {.stride = {2, 1, 2}, .padding = {0, 1, 0}}, {1, 2, 2, 2, 2},
                          {2, 1, 2, 2, 3}, true, {{2, 1, 2}, {0, 1, 0}, {1, 1, 1}})},
                  {{[=] {
                      return back_three(ones({1, 2, 3}), ones({1, 2, 4, 1, 1}), {}, {});
                    },
                    "conv_transpose3d: x must have 5 axes"}}});
}

}  // namespace

void add_convolution(std::vector<Row>& rows) {
  add_conv2d(rows);
  add_conv_transpose2d(rows);
  add_other_axes(rows);
}

const Family convolution_rows(add_convolution);

}  // namespace table
