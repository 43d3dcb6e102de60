#include <fmt/format.h>

#include <array>

#include "nn/io/internal/cpp/operations/extremes.hpp"

// The largest of windows.
namespace nn::cpp_out {
namespace {

const Kernel kMaxPool{R"(
// The elements of window i along an axis: from begin on, below end.
struct Window {
  Index in, out, kernel, stride, dilation, before;
  constexpr Index begin(Index i) const {
    if (kernel == 0) return i * in / out;
    const Index first = i * stride - before;
    return first >= 0 ? first : first + (-first + dilation - 1) / dilation * dilation;
  }
  constexpr Index end(Index i) const {
    if (kernel == 0) return ((i + 1) * in + out - 1) / out;
    const Index last = i * stride - before + (kernel - 1) * dilation + 1;
    return last < in ? last : in;
  }
};

// The largest of each window, NaN if there is one; with AT also its place in the plane.
template <class S, class T, class P>
inline void max_pool(const T* x, T* __restrict y, P* at) {
  constexpr Window d{S::in_d, S::out_d, S::kernel_d, S::stride_d, S::dilation_d, S::before_d},
      h{S::in_h, S::out_h, S::kernel_h, S::stride_h, S::dilation_h, S::before_h},
      w{S::in_w, S::out_w, S::kernel_w, S::stride_w, S::dilation_w, S::before_w};
  for (Index p = 0; p < S::planes; ++p, x += d.in * h.in * w.in)
    for (Index a = 0; a < d.out; ++a)
      for (Index b = 0; b < h.out; ++b)
        for (Index c = 0; c < w.out; ++c) {
          Index best = (d.begin(a) * h.in + h.begin(b)) * w.in + w.begin(c);
          T most = x[best];
          for (Index i = d.begin(a); i < d.end(a); i += d.dilation)
            for (Index j = h.begin(b); j < h.end(b); j += h.dilation)
              for (Index k = w.begin(c); k < w.end(c); k += w.dilation) {
                const Index place = (i * h.in + j) * w.in + k;
                if (x[place] > most || x[place] != x[place]) most = x[place], best = place;
              }
          *y++ = most;
          if (at) *at++ = static_cast<P>(best);
        }
}
)"};

const Kernel kWholeMaxPool{R"(
// The same where windows have no gaps and none is cut off: the largest of the columns, then of the row.
template <class S, class T>
inline void max_pool_whole(const T* x, T* __restrict y) {
  T row[S::in_w];
  for (Index p = 0; p < S::planes; ++p, x += S::in_d * S::in_h * S::in_w)
    for (Index a = 0; a < S::out_d; ++a)
      for (Index b = 0; b < S::out_h; ++b, y += S::out_w) {
        const T* const from = x + (a * S::stride_d * S::in_h + b * S::stride_h) * S::in_w;
        for (Index c = 0; c < S::in_w; ++c) {
          T most = from[c];
          for (Index i = 0; i < S::kernel_d; ++i)
            for (Index j = 0; j < S::kernel_h; ++j)
              most = maximum(from[(i * S::in_h + j) * S::in_w + c], most);
          row[c] = most;
        }
        for (Index c = 0; c < S::out_w; ++c) {
          T most = row[c * S::stride_w];
          for (Index k = 1; k < S::kernel_w; ++k) most = maximum(row[c * S::stride_w + k], most);
          y[c] = most;
        }
      }
}
)",
                           {&kExtremes}};

const Kernel kLastMaxPool{R"(
// The same, channels last.
template <class S, class T>
inline void max_pool_last(const T* x, T* __restrict y) {
  constexpr Index C = S::channels;
  for (Index n = 0; n < S::planes / C; ++n, x += S::in_d * S::in_h * S::in_w * C)
    for (Index a = 0; a < S::out_d; ++a)
      for (Index b = 0; b < S::out_h; ++b)
        for (Index w = 0; w < S::out_w; ++w, y += C) {
          const T* const from =
              x + ((a * S::stride_d * S::in_h + b * S::stride_h) * S::in_w + w * S::stride_w) * C;
          for (Index c = 0; c < C; ++c) y[c] = from[c];
          for (Index i = 0; i < S::kernel_d; ++i)
            for (Index j = 0; j < S::kernel_h; ++j)
              for (Index k = 0; k < S::kernel_w; ++k)
                for (Index c = 0; c < C; ++c)
                  y[c] = maximum(from[((i * S::in_h + j) * S::in_w + k) * C + c], y[c]);
        }
}
)",
                          {&kExtremes}};

constexpr const char* kAxes[] = {"d", "h", "w"};

// Sizes along depth, height and width, and whether windows have no gaps and none is cut off.
struct Pool {
  explicit Pool(const Call& call) : whole(!call.wanted(1)) {
    std::int64_t plane = 1;
    for (std::size_t d = 0; d < 3; ++d) {
      const auto of = [&](const char* what) {
        return call.integer(fmt::format("along.{}.{}", d, what));
      };
      std::int64_t kernel = of("kernel"), stride = of("stride");
      if (kernel == 0 && of("in") % of("out") == 0) kernel = stride = of("in") / of("out");
      whole = whole && kernel > 0 && of("before") == 0 && of("dilation") == 1 &&
              (of("out") - 1) * stride + kernel <= of("in");
      plane *= of("in");
      for (const auto& [name, value] : {std::pair{"in", of("in")},
                                        {"out", of("out")},
                                        {"kernel", kernel},
                                        {"stride", stride},
                                        {"dilation", of("dilation")},
                                        {"before", of("before")}})
        members.emplace_back(fmt::format("{}_{}", name, kAxes[d]), value);
    }
    members.emplace_back("planes", numel(call.shape(0)) / plane);
  }
  std::vector<std::pair<std::string, std::int64_t>> members;
  bool whole;
};

Layout layout(const Call& call) {
  const bool can = Pool(call).whole && call.is_whole(0);
  return {.writes = can, .alike = can};
}

void max_pool(const Call& call) {
  constexpr std::int64_t kLongest = 4096;  // a row that stands on the stack
  Pool pool(call);
  const bool last = call.out_last(),
             whole = pool.whole && (last || call.integer("along.2.in") <= kLongest);
  if (last) pool.members.emplace_back("channels", call.shape(0)[1]);
  const std::string sizes = call.sizes(call.name() + "_sizes", pool.members);
  call.use(last ? kLastMaxPool : whole ? kWholeMaxPool : kMaxPool);
  if (whole)
    return call.line(fmt::format("kernels::max_pool_{}<{}>({}, {});", last ? "last" : "whole",
                                 sizes, call.in(0), call.out()));
  call.line(fmt::format("kernels::max_pool<{}>({}, {}, {});", sizes, call.in(0), call.out(),
                        call.wanted(1) ? call.out(1) : "static_cast<std::int64_t*>(nullptr)"));
}

}  // namespace

void add_pooling(Table& t) {
  for (const char* n : {"1d", "2d", "3d"})
    for (const char* name : {"max_pool", "adaptive_max_pool"}) {
      t.by_name[std::string(name) + n] = max_pool;
      t.layouts[std::string(name) + n] = layout;
    }
}

}  // namespace nn::cpp_out
