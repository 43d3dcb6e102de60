// What the machine gives: the training steps as plain loops around bare matrix products, with no
// framework, no allocation and no checks; and the products alone. The product is OpenBLAS's, or
// with ONEDNN oneDNN's.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <new>
#include <random>
#include <vector>

#include "settings.hpp"

extern "C" {
#ifdef ONEDNN
int dnnl_sgemm(char transpose_a, char transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
               float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
               float beta, float* c, std::int64_t ldc);
#else
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
#endif
}

namespace {

// Memory that starts where a cache line does.
template <class T>
struct Aligned {
  using value_type = T;
  static constexpr std::align_val_t line{64};
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), line)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, line); }
  bool operator==(const Aligned&) const = default;
};
using Buffer = std::vector<float, Aligned<float>>;

// c (m, n) = op(a) op(b), row-major and contiguous.
void multiply(bool transpose_a, bool transpose_b, int m, int n, int k, const Buffer& a,
              const Buffer& b, Buffer& c) {
  const int lda = transpose_a ? m : k, ldb = transpose_b ? k : n;
#ifdef ONEDNN
  dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1, a.data(), lda, b.data(),
             ldb, 0, c.data(), n);
#else
  constexpr int row_major = 101, plain = 111, transposed = 112;
  cblas_sgemm(row_major, transpose_a ? transposed : plain, transpose_b ? transposed : plain, m, n,
              k, 1, a.data(), lda, b.data(), ldb, 0, c.data(), n);
#endif
}

Buffer random(std::size_t n) {
  static std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-0.05f, 0.05f);
  Buffer b(n);
  for (float& v : b) v = uniform(engine);
  return b;
}

struct Layer {
  Layer(int in, int out, int batch)
      : in(in),
        out(out),
        weight(random(std::size_t(in) * out)),
        bias(random(out)),
        weight_gradient(weight.size()),
        bias_gradient(out),
        weight_moments{weight_gradient, weight_gradient},
        bias_moments{bias_gradient, bias_gradient},
        result(std::size_t(batch) * out),
        cotangent(result.size()) {}
  int in, out;
  Buffer weight, bias, weight_gradient, bias_gradient;
  std::array<Buffer, 2> weight_moments, bias_moments;
  Buffer result, cotangent;
};

class Mlp {
 public:
  explicit Mlp(int batch)
      : batch_(batch),
        x_(random(std::size_t(batch) * 784)),
        layers_{Layer(784, 256, batch), Layer(256, 128, batch), Layer(128, 10, batch)} {}

  void forward() {
    const Buffer* x = &x_;
    for (Layer& l : layers_) {
      multiply(false, true, batch_, l.out, l.in, *x, l.weight, l.result);
      const bool last = &l == &layers_.back();
      for (int i = 0; i < batch_; ++i)
        for (int j = 0; j < l.out; ++j) {
          float& v = l.result[i * l.out + j];
          v += l.bias[j];
          if (!last) v = std::max(v, 0.0f);
        }
      x = &l.result;
    }
  }

  // Softmax and cross-entropy against class i mod 10, then the layers from the last to the first.
  void backward() {
    Layer& top = layers_.back();
    for (int i = 0; i < batch_; ++i) {
      const float* z = &top.result[i * 10];
      float* g = &top.cotangent[i * 10];
      const float largest = *std::max_element(z, z + 10);
      float total = 0;
      for (int j = 0; j < 10; ++j) total += g[j] = std::exp(z[j] - largest);
      for (int j = 0; j < 10; ++j) g[j] = (g[j] / total - (j == i % 10)) / batch_;
    }
    for (int k = 2; k >= 0; --k) {
      Layer& l = layers_[k];
      const Buffer& x = k ? layers_[k - 1].result : x_;
      multiply(true, false, l.out, l.in, batch_, l.cotangent, x, l.weight_gradient);
      std::fill(l.bias_gradient.begin(), l.bias_gradient.end(), 0.0f);
      for (int i = 0; i < batch_; ++i)
        for (int j = 0; j < l.out; ++j) l.bias_gradient[j] += l.cotangent[i * l.out + j];
      if (k == 0) break;
      Buffer& below = layers_[k - 1].cotangent;
      multiply(false, false, batch_, l.in, l.out, l.cotangent, l.weight, below);
      for (std::size_t i = 0; i < below.size(); ++i) below[i] = x[i] > 0 ? below[i] : 0;
    }
  }

  template <class Update>
  void update(const Update& rule) {
    for (Layer& l : layers_) {
      rule(l.weight, l.weight_gradient, l.weight_moments);
      rule(l.bias, l.bias_gradient, l.bias_moments);
    }
  }

 private:
  int batch_;
  Buffer x_;
  std::array<Layer, 3> layers_;
};

template <class Update>
void train(benchmark::State& state, const Update& rule) {
  Mlp model(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    model.forward();
    model.backward();
    model.update(rule);
  }
}

void mlp_sgd(benchmark::State& state) {
  train(state, [](Buffer& w, const Buffer& g, std::array<Buffer, 2>& moments) {
    float* m = moments[0].data();
    for (std::size_t i = 0; i < w.size(); ++i) {
      m[i] = 0.9f * m[i] + g[i];
      w[i] -= 0.01f * m[i];
    }
  });
}

void mlp_adam(benchmark::State& state) {
  train(state, [](Buffer& w, const Buffer& g, std::array<Buffer, 2>& moments) {
    float *m = moments[0].data(), *v = moments[1].data();
    for (std::size_t i = 0; i < w.size(); ++i) {
      m[i] = 0.9f * m[i] + 0.1f * g[i];
      v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
      w[i] -= 1e-3f * m[i] / (std::sqrt(v[i]) + 1e-8f);
    }
  });
}

BENCHMARK(mlp_sgd)->Apply(settings::batches);
BENCHMARK(mlp_adam)->Apply(settings::batches);

void gemm(benchmark::State& state) {
  const auto m = static_cast<int>(state.range(0)), n = static_cast<int>(state.range(1)),
             k = static_cast<int>(state.range(2));
  const Buffer a = random(std::size_t(m) * k), b = random(std::size_t(k) * n);
  Buffer c(std::size_t(m) * n);
  for (auto _ : state) multiply(false, false, m, n, k, a, b, c);
}
BENCHMARK(gemm)->Apply(settings::gemm_sizes);

}  // namespace

BENCHMARK_MAIN();
