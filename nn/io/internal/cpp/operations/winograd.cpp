#include <fmt/format.h>

#include "autograd/ops/ops.hpp"
#include "nn/io/cpp.hpp"
#include "nn/io/internal/cpp/operations/convolution.hpp"
#include "nn/io/internal/cpp/operations/product.hpp"

// F(4 x 4, 3 x 3) of Winograd (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// 2016): 36 products of matrices give 16 neighbouring results each, a quarter of the multiplications.
namespace nn::cpp_out {
namespace {

const Kernel kWinograd{R"(
// Six numbers that are a step apart, as the products take them, and six products as four results.
template <class T, class V>
inline void winograd_in(V* d, Index step) {
  const V a = d[0], b = d[step], c = d[2 * step], e = d[3 * step], f = d[4 * step];
  const V even = f - T(4) * c, odd = e - T(4) * b, other = f - c, twice = T(2) * (e - b);
  d[0] = T(4) * a - T(5) * c + f;
  d[step] = even + odd, d[2 * step] = even - odd;
  d[3 * step] = other + twice, d[4 * step] = other - twice;
  d[5 * step] += T(4) * b - T(5) * e;
}
template <class T, class V>
inline void winograd_out(V* m, Index step) {
  const V a = m[step] + m[2 * step], b = m[step] - m[2 * step], c = m[3 * step] + m[4 * step],
          d = m[3 * step] - m[4 * step];
  m[0] += a + c, m[step] = b + T(2) * d, m[2 * step] = a + T(4) * c;
  m[3 * step] = b + T(8) * d + m[5 * step];
}

// An image with zeros around it, channels last.
template <class S, class T>
inline void padded_last(const T* x, T* __restrict y) {
  for (Index i = 0; i < S::padded_h * S::padded_w * S::in_channels; ++i) y[i] = 0;
  for (Index h = 0; h < S::copied_h; ++h)
    for (Index w = 0; w < S::copied_w; ++w)
      for (Index c = 0; c < S::in_channels; ++c)
        y[((h + S::before_h) * S::padded_w + w + S::before_w) * S::in_channels + c] =
            x[S::in_last ? (h * S::in_w + w) * S::in_channels + c
                         : (c * S::in_h + h) * S::in_w + w];
}

// The tiles from `first` on: 6 x 6 elements of x each, 4 x 4 of y; v and m hold what goes into the
// products and comes out of them, (36, tiles, channels).
template <class S, class T>
inline void winograd_tiles(const T* x, const T* weight, const T* bias, T* __restrict y,
                           T* __restrict v, T* __restrict m, Index first) {
  constexpr Index R = S::tiles, C = S::in_channels, N = S::out_channels;
  using In = Lanes<T, lanes_of<T>(C)>;
  using Out = Lanes<T, lanes_of<T>(N)>;
  for (Index t = first; t < first + R; ++t)
    for (Index c = 0; c < C; c += lanes_of<T>(C)) {
      const T* const from = x + (t / S::tiles_w * S::padded_w + t % S::tiles_w) * 4 * C + c;
      typename In::type d[36];
      XGRAD_UNROLL
      for (Index i = 0; i < 36; ++i) d[i] = In::load(from + (i / 6 * S::padded_w + i % 6) * C);
      XGRAD_UNROLL
      for (Index i = 0; i < 6; ++i) winograd_in<T>(d + i, 6);
      XGRAD_UNROLL
      for (Index i = 0; i < 6; ++i) winograd_in<T>(d + 6 * i, 1);
      XGRAD_UNROLL
      for (Index i = 0; i < 36; ++i) In::store(d[i], v + (i * R + t - first) * C + c);
    }
  for (Index i = 0; i < 36; ++i)
    product<16, true, R, C, N, C, 1>(v + i * R * C, weight + i * C * N, nothing<T>, m + i * R * N);
  for (Index t = first; t < first + R; ++t)
    for (Index c = 0; c < N; c += lanes_of<T>(N)) {
      typename Out::type d[36];
      XGRAD_UNROLL
      for (Index i = 0; i < 36; ++i) d[i] = Out::load(m + (i * R + t - first) * N + c);
      XGRAD_UNROLL
      for (Index i = 0; i < 6; ++i) winograd_out<T>(d + i, 6);
      XGRAD_UNROLL
      for (Index i = 0; i < 4; ++i) winograd_out<T>(d + 6 * i, 1);
      const Index h = t / S::tiles_w * 4, w = t % S::tiles_w * 4;
      if constexpr (S::out_last) {
        const typename Out::type b = bias ? Out::load(bias + c) : typename Out::type{};
        XGRAD_UNROLL
        for (Index i = 0; i < 16; ++i)
          if ((S::out_h % 4 == 0 || h + i / 4 < S::out_h) &&
              (S::out_w % 4 == 0 || w + i % 4 < S::out_w))
            Out::store(d[i / 4 * 6 + i % 4] + b,
                       y + ((h + i / 4) * S::out_w + w + i % 4) * N + c);
        continue;
      }
      for (Index k = 0; k < lanes_of<T>(N); ++k) {
        T* const to = y + ((c + k) * S::out_h + h) * S::out_w + w;
        const T b = bias ? bias[c + k] : T(0);
        XGRAD_UNROLL
        for (Index i = 0; i < 16; ++i)
          if ((S::out_h % 4 == 0 || h + i / 4 < S::out_h) &&
              (S::out_w % 4 == 0 || w + i % 4 < S::out_w))
            to[i / 4 * S::out_w + i % 4] = Out::at(d[i / 4 * 6 + i % 4], k) + b;
      }
    }
}

template <class S, class T>
inline void winograd(const T* x, const T* weight, const T* bias, T* __restrict y,
                     T* __restrict padded, T* __restrict v, T* __restrict m) {
  for (Index n = 0; n < S::images; ++n) {
    const T* image = x + n * S::in_channels * S::in_h * S::in_w;
    if (padded) {
      padded_last<S>(image, padded);
      image = padded;
    }
    for (Index t = 0; t < S::all_tiles; t += S::tiles)  // the last ones again where some are left
      winograd_tiles<S>(image, weight, bias, y + n * S::out_channels * S::plane, v, m,
                        t + S::tiles <= S::all_tiles ? t : S::all_tiles - S::tiles);
  }
}
)",
                       {&kProduct}};

// (out, in, 3, 3) as (36, in, out), in panels of 16 channels of the result each.
ag::Tensor products_of(const ag::Tensor& w) {
  const double a = 1.0 / 4, b = 1.0 / 6, c = 1.0 / 12, d = 1.0 / 24;
  const ag::Tensor g = ag::tensor(
      {{a, 0.0, 0.0}, {-b, -b, -b}, {-b, b, -b}, {d, c, b}, {d, -c, b}, {0.0, 0.0, 1.0}});
  const ag::Tensor exact =
      ag::matmul(ag::matmul(g, w.to(ag::float64)), ag::transpose(g, 0, 1)).to(w.dtype());
  const ag::Tensor places =
      ag::reshape(ag::permute(exact, {2, 3, 1, 0}), {36, w.size(1), w.size(0)});
  ag::TensorList parts;
  for (std::int64_t i = 0; i < 36; ++i) parts.push_back(panels(ag::select(places, 0, i), 16));
  return ag::concat(parts, 0);
}

// The rows and columns that tiles of 4 reach, and how many are computed at a time.
struct Tiles {
  explicit Tiles(const Extents& e) : h((e.out[1] + 3) / 4), w((e.out[2] + 3) / 4) {
    const std::int64_t passes = (all() + 11) / 12;
    at_once = (all() + passes - 1) / passes;
  }
  std::int64_t all() const { return h * w; }
  std::int64_t h, w, at_once;
};

}  // namespace

// Where the tiles are worth it: enough of them for the weights that each pass reads, which are four
// times as many, and stay in the cache.
bool suits_winograd(const Call& call, const Extents& e) {
  const std::int64_t tiles = Tiles(e).all();
  using Three = std::array<std::int64_t, 3>;
  const bool kernel = e.kernel == Three{1, 3, 3} && e.stride == Three{1, 1, 1} &&
                      e.dilation == Three{1, 1, 1} && e.in[0] == 1 && e.out[0] == 1;
  const auto vectors = [](std::int64_t channels) { return channels >= 16 && channels % 8 == 0; };
  return call.options().winograd && kernel && e.groups == 1 && call.is_constant(1) &&
         vectors(e.in_channels) && vectors(e.out_channels) &&
         e.in_channels * e.out_channels <= 8192 && tiles >= 16 &&
         16 * tiles <= 3 * e.out[1] * e.out[2] / 2;
}

void by_winograd(const Call& call, const Extents& e) {
  const Tiles tiles(e);
  const ag::DType d = call.dtype(0);
  const std::int64_t h = 4 * tiles.h + 2, w = 4 * tiles.w + 2;
  const bool as_it_stands =
      call.in_last(0) && e.before[1] == 0 && e.before[2] == 0 && h == e.in[1] && w == e.in[2];
  call.use(kWinograd);
  const std::string sizes =
      call.sizes(call.name() + "_sizes", {{"images", e.images},
                                          {"in_channels", e.in_channels},
                                          {"out_channels", e.out_channels},
                                          {"in_h", e.in[1]},
                                          {"in_w", e.in[2]},
                                          {"out_h", e.out[1]},
                                          {"out_w", e.out[2]},
                                          {"plane", e.out[1] * e.out[2]},
                                          {"padded_h", h},
                                          {"padded_w", w},
                                          {"before_h", e.before[1]},
                                          {"before_w", e.before[2]},
                                          {"copied_h", std::min(e.in[1], h - e.before[1])},
                                          {"copied_w", std::min(e.in[2], w - e.before[2])},
                                          {"tiles", tiles.at_once},
                                          {"tiles_w", tiles.w},
                                          {"all_tiles", tiles.all()},
                                          {"in_last", call.in_last(0)},
                                          {"out_last", call.out_last()}});
  const std::string weight =
      call.table(1, products_of(call.elements(1)), "as Winograd's products take it");
  const std::string padded = as_it_stands ? fmt::format("static_cast<{}*>(nullptr)", type_of(d))
                                          : call.scratch(d, {h, w, e.in_channels}),
                    v = call.scratch(d, {36, tiles.at_once, e.in_channels}),
                    m = call.scratch(d, {36, tiles.at_once, e.out_channels});
  call.line(fmt::format("kernels::winograd<{}>({}, {}, {}, {}, {}, {}, {});", sizes, call.in(0),
                        weight, bias_of(call), call.out(), padded, v, m));
}

}  // namespace nn::cpp_out
