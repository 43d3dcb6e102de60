#include <fmt/format.h>

#include "autograd/ops/ops.hpp"
#include "nn/io/internal/cpp/operations/sums.hpp"

// Softmax and normalisation.
namespace nn::cpp_out {
namespace {

const Kernel kSoftmax{R"(
// Of rows of N.
template <bool LOG, Index ROWS, Index N, class T>
inline void softmax(const T* x, T* __restrict y) {
  for (Index r = 0; r < ROWS; ++r, x += N, y += N) {
    T most = x[0];
    for (Index i = 1; i < N; ++i) most = x[i] > most || x[i] != x[i] ? x[i] : most;
    for (Index i = 0; i < N; ++i) y[i] = std::exp(x[i] - most);
    const T total = sum<N, T>([=](Index i) { return y[i]; });
    if constexpr (LOG) {
      const T shift = most + std::log(total);
      for (Index i = 0; i < N; ++i) y[i] = x[i] - shift;
    } else {
      for (Index i = 0; i < N; ++i) y[i] /= total;
    }
  }
}
)",
                      {&kSum}};

const Kernel kMoments{R"(
// Mean and 1 / sqrt(variance + eps) of f(0), …, f(N - 1). What rounding has left in the mean is taken
// off it: beside a small variance it would show.
template <Index N, bool CENTRED, class T, class F>
inline void moments(F f, T eps, T& mean, T& scale) {
  mean = CENTRED ? sum<N, T>(f) / T(N) : T(0);
  const T m = mean;
  if (CENTRED) mean += sum<N, T>([=](Index i) { return f(i) - m; }) / T(N);
  const T c = mean;
  const T variance = sum<N, T>([=](Index i) { return (f(i) - c) * (f(i) - c); }) / T(N);
  scale = 1 / std::sqrt(variance + eps);
}
)",
                      {&kSum}};

const Kernel kLayerNorm{R"(
// Of rows of N.
template <bool CENTRED, Index ROWS, Index N, class T>
inline void layer_norm(const T* x, const T* weight, const T* bias, T eps, T* __restrict y) {
  for (Index r = 0; r < ROWS; ++r, x += N, y += N) {
    T mean, scale;
    moments<N, CENTRED>([=](Index i) { return x[i]; }, eps, mean, scale);
    for (Index i = 0; i < N; ++i)
      y[i] = (x[i] - mean) * scale * (weight ? weight[i] : T(1)) + (bias ? bias[i] : T(0));
  }
}
)",
                        {&kMoments}};

const Kernel kGroupNorm{R"(
// Of x (OUTER, CHANNELS, INNER) by its own statistics, of TOGETHER neighbouring channels at a time.
template <Index OUTER, Index CHANNELS, Index INNER, Index TOGETHER, class T>
inline void group_norm(const T* x, const T* weight, const T* bias, T eps, T* __restrict y) {
  constexpr Index row = TOGETHER * INNER;
  for (Index c = 0; c < CHANNELS; c += TOGETHER) {
    T mean, scale;
    moments<OUTER * row, true>(
        [=](Index i) { return x[(i / row * CHANNELS + c) * INNER + i % row]; }, eps, mean, scale);
    for (Index o = 0; o < OUTER; ++o)
      for (Index k = c; k < c + TOGETHER; ++k)
        for (Index i = 0; i < INNER; ++i)
          y[(o * CHANNELS + k) * INNER + i] =
              (x[(o * CHANNELS + k) * INNER + i] - mean) * scale * (weight ? weight[k] : T(1)) +
              (bias ? bias[k] : T(0));
  }
}
)",
                        {&kMoments}};

const Kernel kChannelNorm{R"(
// y = x * scale + shift, of x (OUTER, CHANNELS, INNER) with numbers of its channels.
template <Index OUTER, Index CHANNELS, Index INNER, class T>
inline void scale_channels(const T* x, const T* scale, const T* shift, T* __restrict y) {
  for (Index o = 0; o < OUTER; ++o)
    for (Index c = 0; c < CHANNELS; ++c)
      for (Index i = 0; i < INNER; ++i, ++x, ++y) *y = *x * scale[c] + shift[c];
}
)"};

std::string optional(const Call& call, bool there, std::size_t i) {
  return there ? call.in(i)
               : fmt::format("static_cast<const {}*>(nullptr)", type_of(call.dtype(0)));
}

std::string weight_and_bias(const Call& call) {
  const std::string weight = optional(call, call.flag("weighted"), 1);
  return weight + ", " + optional(call, call.flag("biased"), call.inputs() - 1);
}

void softmax(const Call& call) {
  const Sizes s = call.shape(0);
  const std::int64_t n = s.empty() ? 1 : s.back();
  call.use(kSoftmax);
  call.line(fmt::format("kernels::softmax<{}, {}, {}>({}, {});", call.name() == "log_softmax",
                        numel(s) / n, n, call.in(0), call.out()));
}

void layer_norm(const Call& call) {
  if (call.wanted(1) || call.wanted(2)) call.refuse("its statistics");
  const Sizes s = call.shape(0);
  call.use(kLayerNorm);
  call.line(fmt::format("kernels::layer_norm<{}, {}, {}>({}, {}, {}, {});", call.flag("centred"),
                        s[0], s[1], call.in(0), weight_and_bias(call),
                        literal(call.real("eps"), call.dtype(0)), call.out()));
}

void own_statistics(const Call& call) {
  for (std::size_t k = 1; k < 4; ++k)
    if (call.wanted(k)) call.refuse("statistics of the batch that are kept; switch it to eval()");
  const Sizes s = call.shape(0);
  call.use(kGroupNorm);
  call.line(fmt::format("kernels::group_norm<{}, {}, {}, {}>({}, {}, {}, {});", s[0], s[1], s[2],
                        call.integer("together"), call.in(0), weight_and_bias(call),
                        literal(call.real("eps"), call.dtype(0)), call.out()));
}

Layout channel_layout(const Call& call) {
  for (std::size_t i = 1; i < call.inputs(); ++i)
    if (!call.is_constant(i)) return {};
  return {.writes = call.is_whole(0), .alike = true};
}

// (x - mean) / σ · weight + bias with constants is a line.
void channel_norm(const Call& call) {
  for (std::size_t i = 1; i < call.inputs(); ++i)
    if (!call.is_constant(i)) call.refuse("statistics that are computed from the inputs");
  const auto wide = [&](std::size_t i) { return call.elements(i).to(ag::float64); };
  ag::Tensor scale = wide(2);
  if (call.flag("weighted")) scale = scale * wide(3);
  ag::Tensor shift = -wide(1) * scale;
  if (call.flag("biased")) shift = shift + wide(call.inputs() - 1);
  Sizes s = call.shape(0);
  if (call.out_last()) s = {s[0] * s[2], s[1], 1};
  call.use(kChannelNorm);
  call.line(fmt::format(
      "kernels::scale_channels<{}, {}, {}>({}, {}, {}, {});", s[0], s[1], s[2], call.in(0),
      call.table(scale.to(call.dtype(0)), "batch_norm_scale", "of channels"),
      call.table(shift.to(call.dtype(0)), "batch_norm_shift", "of channels"), call.out()));
}

}  // namespace

void add_norms(Table& t) {
  t.by_name["softmax"] = t.by_name["log_softmax"] = softmax;
  t.by_name["layer_norm"] = t.by_name["rms_norm"] = layer_norm;
  t.by_attribute.push_back({"together", own_statistics});
  t.by_name["batch_norm"] = channel_norm;
  t.layouts["batch_norm"] = channel_layout;
}

}  // namespace nn::cpp_out
