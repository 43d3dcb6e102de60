#include "autograd/kernels/embedding.hpp"
#include "autograd/formulas/simd_math.hpp"

// Bags of rows of a table.
namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// out += factor · row.
template <class T>
void add_scaled(const T* row, T factor, T* out, std::int64_t n) {
  for (std::int64_t k = 0; k < n; ++k) out[k] += factor * row[k];
}
template <class T>
void add(const T* row, T* out, std::int64_t n) {
  for (std::int64_t k = 0; k < n; ++k) out[k] += row[k];
}

template <class T>
void bag_sum(const T* table, const std::int64_t* places, const std::int64_t* begins,
             const T* factors, T* out, std::int64_t bags, std::int64_t width) {
  for (std::int64_t b = 0; b < bags; ++b, out += width) {
    for (std::int64_t k = 0; k < width; ++k) out[k] = 0;
    for (std::int64_t i = begins[b]; i < begins[b + 1]; ++i) {
      if (places[i] < 0) continue;
      const T* row = table + places[i] * width;
      factors ? add_scaled(row, factors[i], out, width) : add(row, out, width);
    }
  }
}

template <class T>
void bag_max(const T* table, const std::int64_t* places, const std::int64_t* begins, T* out,
             std::int64_t* winners, std::int64_t bags, std::int64_t width) {
  for (std::int64_t b = 0; b < bags; ++b, out += width, winners += width) {
    for (std::int64_t k = 0; k < width; ++k) out[k] = 0, winners[k] = -1;
    for (std::int64_t i = begins[b]; i < begins[b + 1]; ++i) {
      if (places[i] < 0) continue;
      const T* row = table + places[i] * width;
      for (std::int64_t k = 0; k < width; ++k) {
        const bool wins = winners[k] < 0 || row[k] > out[k] || row[k] != row[k];
        out[k] = wins ? row[k] : out[k];
        winners[k] = wins ? places[i] : winners[k];
      }
    }
  }
}

template <class T>
T dot(const T* x, const T* y, std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  V a(0), b(0);
  std::int64_t i = 0;
  for (; i + 2 * W <= n; i += 2 * W) {
    a += V::load(x + i) * V::load(y + i);
    b += V::load(x + i + W) * V::load(y + i + W);
  }
  T sum = simd::sum_lanes(a + b);
  for (; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

template <class T>
void bag_dots(const T* table, const std::int64_t* places, const T* g, const std::int64_t* bags,
              T* out, std::int64_t entries, std::int64_t width) {
  for (std::int64_t i = 0; i < entries; ++i)
    out[i] = places[i] < 0 ? T(0) : dot(table + places[i] * width, g + bags[i] * width, width);
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(BagSum, bag_sum)
XGRAD_FLOATING_KERNEL(BagMax, bag_max)
XGRAD_FLOATING_KERNEL(BagDots, bag_dots)
