#include "nn/data/isa/word2vec.hpp"
#include "autograd/formulas/simd_math.hpp"

namespace nn::data::XGRAD_ISA {
namespace {

using V = autograd::simd::Vec<float>;
constexpr std::int64_t W = V::size;

float dot(const float* x, const float* y, std::int64_t n) {
  V a(0), b(0);
  std::int64_t i = 0;
  for (; i + 2 * W <= n; i += 2 * W) {
    a += V::load(x + i) * V::load(y + i);
    b += V::load(x + i + W) * V::load(y + i + W);
  }
  for (; i + W <= n; i += W) a += V::load(x + i) * V::load(y + i);
  float sum = autograd::simd::sum_lanes(a + b);
  for (; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

void negative_sampling(const float* h, float* table, const std::int32_t* rows, int count, float lr,
                       float* change, std::int64_t n) {
  constexpr int kMost = 64;
  float* at[kMost];
  float step[kMost + W] = {};
  for (int k = 0; k < count; ++k) {
    at[k] = table + rows[k] * n;
    step[k] = dot(h, at[k], n);
  }
  for (int k = 0; k < count; k += static_cast<int>(W))
    (V(-lr) / (V(1) + exp(-V::load(step + k)))).store(step + k);
  step[0] += lr;
  std::int64_t i = 0;
  for (; i + W <= n; i += W) {
    const V x = V::load(h + i);
    V sum(0);
    for (int k = 0; k < count; ++k) {
      const V g(step[k]), u = V::load(at[k] + i);
      sum += g * u;
      (u + g * x).store(at[k] + i);
    }
    sum.store(change + i);
  }
  for (; i < n; ++i) {
    float sum = 0;
    for (int k = 0; k < count; ++k) {
      sum += step[k] * at[k][i];
      at[k][i] += step[k] * h[i];
    }
    change[i] = sum;
  }
}

void add_scaled(const float* x, float factor, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

}  // namespace
}  // namespace nn::data::XGRAD_ISA

XGRAD_KERNEL(nn::data::NegativeSampling, nn::data::XGRAD_ISA::negative_sampling)
XGRAD_KERNEL(nn::data::AddScaled, nn::data::XGRAD_ISA::add_scaled)
