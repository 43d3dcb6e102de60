#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/io/internal/cpp/operations/product.hpp"

// Products of matrices.
namespace nn::cpp_out {

const Kernel kProduct{R"(
// Where there is no bias.
template <class T>
constexpr const T* nothing = nullptr;

// y (R, P) = a b + bias, of matrices y (…, N), a with elements AM and AK apart, b with rows B apart.
// The sums stay in registers.
template <Index R, Index P, Index K, Index N, Index AM, Index AK, Index B, class T>
inline void tile(const T* a, const T* b, const T* bias, T* __restrict y) {
  constexpr Index W = lanes_of<T>(P), L = P / W;
  using V = Lanes<T, W>;
  typename V::type sum[R][L];
  XGRAD_UNROLL
  for (Index i = 0; i < R * L; ++i)
    sum[i / L][i % L] = bias ? V::load(bias + i % L * W) : typename V::type{};
  for (Index k = 0; k < K; ++k) {
    XGRAD_UNROLL
    for (Index i = 0; i < R * L; ++i)
      sum[i / L][i % L] += a[i / L * AM + k * AK] * V::load(b + k * B + i % L * W);
  }
  XGRAD_UNROLL
  for (Index i = 0; i < R * L; ++i) V::store(sum[i / L][i % L], y + i / L * N + i % L * W);
}

template <Index P, Index M, Index K, Index N, Index AM, Index AK, Index B, class T>
inline void columns(const T* a, const T* b, const T* bias, T* __restrict y) {
  constexpr Index R = M < kTile ? M : kTile;
  Index m = 0;
  for (; m + R <= M; m += R) tile<R, P, K, N, AM, AK, B>(a + m * AM, b, bias, y + m * N);
  if constexpr (M % R != 0) tile<M % R, P, K, N, AM, AK, B>(a + m * AM, b, bias, y + m * N);
}

// y (M, N) = a (M, K) b (K, N) + bias, P columns at a time, which stand in a panel (K, P) of b each
// if it is Packed.
template <Index P, bool Packed, Index M, Index K, Index N, Index AM, Index AK, class T>
inline void product(const T* a, const T* b, const T* bias, T* __restrict y) {
  Index n = 0;
  for (; n + P <= N; n += P)
    columns<P, M, K, N, AM, AK, Packed ? P : N>(a, b + n * (Packed ? K : 1),
                                                bias ? bias + n : nullptr, y + n);
  if constexpr (N % P != 0)
    columns<N % P, M, K, N, AM, AK, Packed ? N % P : N>(a, b + n * (Packed ? K : 1),
                                                        bias ? bias + n : nullptr, y + n);
}
)",
                      {&kLanes}};

ag::Tensor panels(const ag::Tensor& matrix, std::int64_t p) {
  const std::int64_t n = matrix.size(1);
  ag::TensorList parts;
  for (std::int64_t begin = 0; begin < n; begin += p)
    parts.push_back(ag::flatten(ag::narrow(matrix, 1, begin, std::min(p, n - begin))));
  return ag::concat(parts, 0);
}

Product::Product(const Call& call, std::int64_t m, std::int64_t k, std::int64_t n)
    : call_(call), m_(m), k_(k), n_(n), p_(m == 1 ? 64 : 16) {
  call.use(kProduct);
}

Right Product::transposed(std::size_t weight, std::int64_t channels) const {
  if (call_.is_constant(weight)) {
    const std::int64_t p = std::min(p_, n_);
    ag::Tensor w = call_.elements(weight);
    if (channels > 1)
      w = ag::reshape(ag::transpose(ag::reshape(w, {n_, channels, k_ / channels}), 1, 2), {n_, k_});
    return {call_.table(weight, panels(ag::transpose(w, 0, 1), p),
                        fmt::format("in panels of {} rows{}", p,
                                    channels > 1 ? ", the channels of a row last" : "")),
            true};
  }
  const std::string from = call_.in(weight), to = call_.scratch(call_.dtype(weight), {k_, n_});
  call_.line(fmt::format("for (Index i = 0; i < {}; ++i)", k_));
  call_.line(fmt::format("  for (Index j = 0; j < {0}; ++j) {1}[i * {0} + j] = {2}[j * {3} + i];",
                         n_, to, from, k_));
  return {to, false};
}

std::string Product::line(const std::string& a, std::pair<std::int64_t, std::int64_t> steps,
                          const Right& b, const std::string& bias, const std::string& y) const {
  return fmt::format(
      "kernels::product<{}, {}, {}, {}, {}, {}, {}>({}, {}, {}, {});", std::min(p_, n_), b.packed,
      m_, k_, n_, steps.first, steps.second, a, b.name,
      bias.empty() ? fmt::format("kernels::nothing<{}>", type_of(call_.result_dtype())) : bias, y);
}

namespace {

// Rows of images, whose channels may stand last where the weights can stand so.
Layout linear_layout(const Call& call) {
  const Sizes x = call.shape(0), stored = call.stored_shape(0);
  return {.reads = call.is_constant(1) && stored.size() > 2 && x.size() == 2 && x[0] == stored[0]};
}

void linear(const Call& call) {
  const Sizes x = call.shape(0), w = call.shape(1);
  const Product product(call, x[0], w[1], w[0]);
  const Right weight = product.transposed(1, call.in_last(0) ? call.stored_shape(0)[1] : 1);
  call.line(product.line(call.in(0), {w[1], 1}, weight, call.flag("biased") ? call.in(2) : "",
                         call.out()));
}

// Batches of the result are a loop; those of the operands may be broadcast.
void matmul(const Call& call) {
  const Sizes a = call.shape(0), b = call.shape(1), y = call.result_shape();
  const bool ta = call.flag("ta"), tb = call.flag("tb");
  const std::size_t rank = y.size();
  const std::int64_t m = y[rank - 2], n = y[rank - 1], k = ta ? a[a.size() - 2] : a.back();
  const auto batch = [](const Sizes& s) { return Sizes(s.begin(), s.end() - 2); };
  const Product product(call, m, k, n);
  const std::pair<std::int64_t, std::int64_t> steps =
      ta ? std::pair{std::int64_t{1}, m} : std::pair{k, std::int64_t{1}};
  const auto scaled = [](Sizes strides, std::int64_t by) {
    for (auto& s : strides) s *= by;
    return strides;
  };
  const Sizes batches = batch(y);
  if (call.is_constant(1) && b.size() == 2 && batches.empty()) {
    const ag::Tensor w = call.elements(1);
    const std::int64_t p = std::min(m == 1 ? std::int64_t{64} : std::int64_t{16}, n);
    const std::string packed = call.table(1, panels(tb ? ag::transpose(w, 0, 1) : w, p),
                                          fmt::format("in panels of {} columns", p));
    return call.line(product.line(call.in(0), steps, {packed, true}, "", call.out()));
  }
  const Loops loops(
      batches, {scaled(contiguous(batches), m * n), scaled(broadcast(batch(a), batches), m * k),
                scaled(broadcast(batch(b), batches), k * n)});
  const std::string left = call.in(0), right = call.in(1), out = call.out();
  const auto from = [&](const std::string& name, std::size_t operand) {
    const std::string index = loops.index(operand);
    return index == "0" ? name : name + " + " + index;
  };
  if (!tb)
    return loops.around(
        call, product.line(from(left, 1), steps, {from(right, 2), false}, "", from(out, 0)));
  const std::string turned = call.scratch(call.dtype(1), {k, n});
  loops.around(call, "{");
  call.line(fmt::format("  const {}* const b = {};", type_of(call.dtype(1)), from(right, 2)));
  call.line(fmt::format("  for (Index r = 0; r < {}; ++r)", k));
  call.line(fmt::format("    for (Index c = 0; c < {0}; ++c) {1}[r * {0} + c] = b[c * {2} + r];", n,
                        turned, k));
  call.line("  " + product.line(from(left, 1), steps, {turned, false}, "", from(out, 0)));
  call.line("}");
}

void cdist(const Call& call) {
  const Sizes a = call.shape(0), b = call.shape(1);
  const double p = call.real("p");
  const ag::DType d = call.dtype(0);
  const std::string x = call.in(0), z = call.in(1), y = call.out(), type(type_of(d));
  const std::string add = p == 2          ? "sum += d * d"
                          : p == 1        ? "sum += d"
                          : p == 0        ? "sum += d != 0"
                          : std::isinf(p) ? "sum = d > sum || d != d ? d : sum"
                                          : fmt::format("sum += std::pow(d, {})", literal(p, d));
  const std::string value = p == 2 ? "std::sqrt(sum)"
                            : p == 1 || p == 0 || std::isinf(p)
                                ? "sum"
                                : fmt::format("std::pow(sum, {})", literal(1 / p, d));
  const std::int64_t rows = a[1], columns = b[1], width = a[2];
  call.line(fmt::format("for (Index i = 0; i < {}; ++i)", a[0] * rows));
  call.line(fmt::format("  for (Index j = 0; j < {}; ++j) {{", columns));
  call.line(fmt::format("    {} sum = 0;", type));
  call.line(fmt::format("    for (Index k = 0; k < {}; ++k) {{", width));
  call.line(
      fmt::format("      const {0} d = std::fabs({1}[i * {2} + k] - {3}[(i / {4} * {5} + j) * "
                  "{2} + k]);",
                  type, x, width, z, rows, columns));
  call.line(fmt::format("      {};", add));
  call.line("    }");
  call.line(fmt::format("    {}[i * {} + j] = {};", y, columns, value));
  call.line("  }");
}

}  // namespace

void add_products(Table& t) {
  t.by_name["matmul"] = matmul;
  t.by_name["linear"] = linear;
  t.layouts["linear"] = linear_layout;
  t.by_name["cdist"] = cdist;
}

}  // namespace nn::cpp_out
