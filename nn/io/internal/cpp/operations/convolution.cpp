#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "autograd/ops/ops.hpp"
#include "nn/io/internal/cpp/operations/convolution.hpp"
#include "nn/io/internal/cpp/operations/product.hpp"

// Convolutions, their transposes, and resampling.
namespace nn::cpp_out {
namespace {

const Kernel kPad{R"(
// Planes with zeros around.
template <class S, class T>
inline void pad(const T* x, T* __restrict y) {
  for (Index i = 0; i < S::planes * S::padded_d * S::padded_h * S::padded_w; ++i) y[i] = 0;
  for (Index p = 0; p < S::planes; ++p)
    for (Index d = 0; d < S::copied_d; ++d)
      for (Index h = 0; h < S::copied_h; ++h)
        for (Index w = 0; w < S::copied_w; ++w)
          y[((p * S::padded_d + d + S::before_d) * S::padded_h + h + S::before_h) * S::padded_w + w +
            S::before_w] = x[((p * S::in_d + d) * S::in_h + h) * S::in_w + w];
}
)"};

const Kernel kConvolution{R"(
// How far results of neighbouring places are apart, and those of neighbouring channels.
template <class S>
constexpr Index next_place = S::out_last ? S::out_channels : 1;
template <class S>
constexpr Index next_channel = S::out_last ? 1 : S::plane;

// R neighbouring results of P channels each; w has the P channels of each tap side by side. The sums
// stay in registers.
template <class S, Index R, Index P, class T>
inline void convolution_tile(const T* x, const T* w, const T* bias, T* __restrict y) {
  constexpr Index W = lanes_of<T>(P), L = P / W;
  using V = Lanes<T, W>;
  typename V::type sum[R][L];
  XGRAD_UNROLL
  for (Index i = 0; i < R * L; ++i)
    sum[i / L][i % L] = bias ? V::load(bias + i % L * W) : typename V::type{};
  for (Index c = 0; c < S::in_channels; ++c)
    for (Index d = 0; d < S::kernel_d; ++d)
      for (Index h = 0; h < S::kernel_h; ++h) {
        const T* const row = x + ((c * S::padded_d + d * S::dilation_d) * S::padded_h +
                                  h * S::dilation_h) * S::padded_w;
        for (Index k = 0; k < S::kernel_w; ++k, w += P) {
          XGRAD_UNROLL
          for (Index i = 0; i < R * L; ++i)
            sum[i / L][i % L] +=
                row[i / L * S::stride_w + k * S::dilation_w] * V::load(w + i % L * W);
        }
      }
  if constexpr (S::out_last) {
    XGRAD_UNROLL
    for (Index i = 0; i < R * L; ++i)
      V::store(sum[i / L][i % L], y + i / L * next_place<S> + i % L * W);
  } else {
    XGRAD_UNROLL
    for (Index p = 0; p < P; ++p) {
      XGRAD_UNROLL
      for (Index r = 0; r < R; ++r) y[p * S::plane + r] = V::at(sum[r][p / W], p % W);
    }
  }
}

template <class S, Index P, class T>
inline void convolution_channels(const T* x, const T* w, const T* bias, T* __restrict y) {
  constexpr Index tiles = (S::out_w + kTile - 1) / kTile, R = (S::out_w + tiles - 1) / tiles;
  for (Index d = 0; d < S::out_d; ++d)
    for (Index h = 0; h < S::out_h; ++h) {
      const T* const row = x + (d * S::stride_d * S::padded_h + h * S::stride_h) * S::padded_w;
      T* const to = y + (d * S::out_h + h) * S::out_w * next_place<S>;
      Index i = 0;
      for (; i + R <= S::out_w; i += R)
        convolution_tile<S, R, P>(row + i * S::stride_w, w, bias, to + i * next_place<S>);
      if constexpr (S::out_w % R != 0)
        convolution_tile<S, S::out_w % R, P>(row + i * S::stride_w, w, bias,
                                             to + i * next_place<S>);
    }
}

// x is padded; w has panels of 16 channels.
template <class S, class T>
inline void convolution(const T* x, const T* w, const T* bias, T* __restrict y) {
  constexpr Index P = 16, taps = S::in_channels * S::kernel_d * S::kernel_h * S::kernel_w;
  for (Index g = 0; g < S::images * S::groups; ++g) {
    const T* const from = x + g * S::in_channels * S::padded_d * S::padded_h * S::padded_w;
    const Index group = g % S::groups * S::out_channels;
    T* const to = y + g * S::out_channels * S::plane;
    Index c = 0;
    for (; c + P <= S::out_channels; c += P)
      convolution_channels<S, P>(from, w + (group + c) * taps, bias ? bias + group + c : nullptr,
                                 to + c * next_channel<S>);
    if constexpr (S::out_channels % P != 0)
      convolution_channels<S, S::out_channels % P>(
          from, w + (group + c) * taps, bias ? bias + group + c : nullptr,
          to + c * next_channel<S>);
  }
}
)",
                          {&kLanes}};

// Where groups have few channels, rows of results are what vectors are made of.
const Kernel kRows{R"(
// x is padded; one row of results at a time.
template <class S, class T>
inline void convolution_rows(const T* x, const T* weight, const T* bias, T* __restrict y) {
  constexpr Index taps = S::in_channels * S::kernel_d * S::kernel_h * S::kernel_w;
  for (Index c = 0; c < S::images * S::groups * S::out_channels; ++c) {
    const T* const from =
        x + c / S::out_channels * S::in_channels * S::padded_d * S::padded_h * S::padded_w;
    const Index channel = c % (S::groups * S::out_channels);
    for (Index o = 0; o < S::out_d * S::out_h; ++o, y += S::out_w) {
      const Index start = (o / S::out_h * S::stride_d * S::padded_h + o % S::out_h * S::stride_h) *
                          S::padded_w;
      const T* w = weight + channel * taps;
      for (Index i = 0; i < S::out_w; ++i) y[i] = bias ? bias[channel] : T(0);
      for (Index k = 0; k < taps; ++k) {
        const Index kw = k % S::kernel_w, kh = k / S::kernel_w % S::kernel_h,
                    kd = k / (S::kernel_w * S::kernel_h) % S::kernel_d,
                    in = k / (S::kernel_w * S::kernel_h * S::kernel_d);
        const T* const row = from + start + ((in * S::padded_d + kd * S::dilation_d) * S::padded_h +
                                             kh * S::dilation_h) * S::padded_w + kw * S::dilation_w;
        for (Index i = 0; i < S::out_w; ++i) y[i] += row[i * S::stride_w] * w[k];
      }
    }
  }
}
)"};

const Kernel kTransposed{R"(
// The first of n places i for which first + i * step is not below 0, and the first from which on it
// is not below size.
constexpr Index first_inside(Index first, Index step, Index n) {
  return first >= 0 ? 0 : (-first + step - 1) / step < n ? (-first + step - 1) / step : n;
}
constexpr Index end_inside(Index first, Index step, Index n, Index size) {
  return first >= size ? 0 : (size - first + step - 1) / step < n ? (size - first + step - 1) / step : n;
}

// Each element of x (S::out_… places) is added to the results that it meets.
template <class S, class T>
inline void convolution_transposed(const T* x, const T* weight, const T* bias, T* __restrict y) {
  constexpr Index taps = S::kernel_d * S::kernel_h * S::kernel_w, size = S::in_d * S::in_h * S::in_w;
  for (Index c = 0; c < S::images * S::groups * S::in_channels; ++c, y += size) {
    const Index image_group = c / S::in_channels, group = image_group % S::groups,
                channel = c % S::in_channels;
    for (Index i = 0; i < size; ++i) y[i] = bias ? bias[group * S::in_channels + channel] : T(0);
    for (Index f = 0; f < S::out_channels; ++f) {
      const T* const from = x + (image_group * S::out_channels + f) * S::plane;
      const T* const w = weight + ((group * S::out_channels + f) * S::in_channels + channel) * taps;
      for (Index k = 0; k < taps; ++k) {
        const Index d0 = k / (S::kernel_w * S::kernel_h) * S::dilation_d - S::before_d,
                    h0 = k / S::kernel_w % S::kernel_h * S::dilation_h - S::before_h,
                    w0 = k % S::kernel_w * S::dilation_w - S::before_w;
        for (Index d = first_inside(d0, S::stride_d, S::out_d);
             d < end_inside(d0, S::stride_d, S::out_d, S::in_d); ++d)
          for (Index h = first_inside(h0, S::stride_h, S::out_h);
               h < end_inside(h0, S::stride_h, S::out_h, S::in_h); ++h) {
            T* const row = y + ((d * S::stride_d + d0) * S::in_h + h * S::stride_h + h0) * S::in_w;
            const T* const r = from + (d * S::out_h + h) * S::out_w;
            const Index end = end_inside(w0, S::stride_w, S::out_w, S::in_w);
            for (Index i = first_inside(w0, S::stride_w, S::out_w); i < end; ++i)
              row[i * S::stride_w + w0] += r[i] * w[k];
          }
      }
    }
  }
}
)"};

const Kernel kResample{R"(
// Along an axis of IN elements, each with INNER behind it: OUT elements, sums of TAPS others.
template <Index OUTER, Index IN, Index OUT, Index INNER, Index TAPS, class P, class T>
inline void resample(const T* x, const P* place, const T* weight, T* __restrict y) {
  for (Index o = 0; o < OUTER; ++o)
    for (Index k = 0; k < OUT; ++k)
      for (Index i = 0; i < INNER; ++i) {
        T sum = 0;
        for (Index t = 0; t < TAPS; ++t)
          sum += x[(o * IN + static_cast<Index>(place[k * TAPS + t])) * INNER + i] *
                 weight[k * TAPS + t];
        y[(o * OUT + k) * INNER + i] = sum;
      }
}
)"};

// (groups · out, in, taps…) as panels of 16 channels of each group: (panels, in, taps…, channels).
ag::Tensor in_panels(const ag::Tensor& w, std::int64_t groups) {
  const std::int64_t each = w.size(0) / groups, taps = w.numel() / w.size(0);
  const ag::Tensor rows = ag::reshape(w, {groups, each, taps});
  ag::TensorList parts;
  for (std::int64_t g = 0; g < groups; ++g)
    parts.push_back(panels(ag::transpose(ag::select(rows, 0, g), 0, 1), 16));
  return ag::concat(parts, 0);
}

}  // namespace

std::string bias_of(const Call& call) {
  return call.flag("biased")
             ? call.in(2)
             : fmt::format("static_cast<const {}*>(nullptr)", type_of(call.dtype(0)));
}

namespace {

bool by_rows(const Call& call, const Extents& e) {
  return e.out_channels < 4 || !call.is_constant(1);
}

Layout layout(const Call& call) {
  const Extents e(call);
  if (suits_winograd(call, e)) return {.reads = call.is_whole(0), .writes = true};
  return {.writes = !by_rows(call, e) && e.groups == 1 && e.out_channels % 8 == 0};
}

void conv(const Call& call) {
  Extents e(call);
  for (const auto b : e.before)
    if (b < 0) call.refuse("negative padding");
  if (suits_winograd(call, e)) return by_winograd(call, e);
  // Windows of one element over a plane are windows along one axis.
  const auto ones = [](const auto& all) {
    return std::ranges::all_of(all, [](auto n) { return n == 1; });
  };
  if (ones(e.kernel) && ones(e.stride) && !e.is_padded())
    e.in = e.out = {1, 1, e.out[0] * e.out[1] * e.out[2]};
  Members members = e.members();
  members.emplace_back("out_last", call.out_last());
  const std::string sizes = call.sizes(call.name() + "_sizes", members);
  std::string x = call.in(0);
  if (e.is_padded()) {
    call.use(kPad);
    Sizes whole{e.images, e.groups * e.in_channels};
    for (std::size_t d = 0; d < 3; ++d) whole.push_back(std::max(e.padded(d), e.before[d]));
    const std::string padded = call.scratch(call.dtype(0), whole);
    call.line(fmt::format("kernels::pad<{}>({}, {});", sizes, x, padded));
    x = padded;
  }
  const bool rows = by_rows(call, e);
  call.use(rows ? kRows : kConvolution);
  const std::string weight = rows ? call.in(1)
                                  : call.table(1, in_panels(call.elements(1), e.groups),
                                               "in panels of 16 channels of the result");
  call.line(fmt::format("kernels::convolution{}<{}>({}, {}, {}, {});", rows ? "_rows" : "", sizes,
                        x, weight, bias_of(call), call.out()));
}

void conv_transpose(const Call& call) {
  call.use(kTransposed);
  const std::string sizes = call.sizes(call.name() + "_sizes", Extents(call).members());
  call.line(fmt::format("kernels::convolution_transposed<{}>({}, {}, {}, {});", sizes, call.in(0),
                        call.in(1), bias_of(call), call.out()));
}

// What a resampling makes of the unit vectors are its weights.
void interpolate(const Call& call) {
  const auto axis = at(call.integer("axis"));
  const Sizes from = call.shape(0), to = call.result_shape();
  const std::int64_t in = from[axis], out = to[axis];
  ag::Shape unit, result;
  unit.resize(axis, 1), result.resize(axis, 1);
  unit.push_back(in), unit.push_back(in), result.push_back(out), result.push_back(in);
  const ag::Tensor weights =
      ag::reshape(call.run(ag::reshape(ag::eye(in, call.dtype(0)), unit), result), {out, in});
  const auto all = weights.to(ag::float64).to_vector<double>();
  std::vector<std::vector<std::pair<std::int64_t, double>>> taps(at(out));
  std::size_t most = 1;
  for (std::int64_t k = 0; k < out; ++k) {
    for (std::int64_t i = 0; i < in; ++i)
      if (const double w = all[at(k * in + i)]; w != 0) taps[at(k)].emplace_back(i, w);
    most = std::max(most, taps[at(k)].size());
  }
  std::vector<std::int64_t> places;
  std::vector<double> factors;
  for (auto& t : taps) {
    t.resize(most, {t.empty() ? 0 : t[0].first, 0.0});
    for (const auto& [place, factor] : t) places.push_back(place), factors.push_back(factor);
  }
  call.use(kResample);
  const std::string place = call.table(ag::tensor(places), "places", "of the taps"),
                    factor =
                        call.table(ag::tensor(factors).to(call.dtype(0)), "weights", "of the taps");
  const auto product = [&](std::size_t begin, std::size_t end) {
    return numel(Sizes(to.begin() + count(begin), to.begin() + count(end)));
  };
  call.line(fmt::format("kernels::resample<{}, {}, {}, {}, {}>({}, {}, {}, {});", product(0, axis),
                        in, out, product(axis + 1, to.size()), most, call.in(0), place, factor,
                        call.out()));
}

}  // namespace

void add_convolution(Table& t) {
  for (const char* n : {"1d", "2d", "3d"}) {
    t.by_name[std::string("conv") + n] = conv;
    t.layouts[std::string("conv") + n] = layout;
    t.by_name[std::string("conv_transpose") + n] = conv_transpose;
  }
  t.by_name["interpolate"] = t.by_name["interpolate_transposed"] = interpolate;
}

}  // namespace nn::cpp_out
