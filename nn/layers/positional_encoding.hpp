#pragma once

#include "nn/layers/dropout.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `PositionalEncoding`.
struct PositionalEncodingOptions {
  double dropout = 0.1;         ///< of the sum in training, in [0, 1]
  std::int64_t max_len = 5000;  ///< positions that there are
  bool batch_first = false;     ///< (n, length, d_model) instead of (length, n, d_model)
};

/// Options of a call of `PositionalEncoding`.
struct PositionalEncodingCall {
  std::int64_t offset = 0;  ///< the first position of x, as after those of a cache
};

/// x + sines and cosines of its positions (`ag::sinusoidal_positions`), then dropout (Vaswani et
/// al. 2017), as in PyTorch's tutorials. x is (length, n, d_model), or (length, d_model).
class PositionalEncoding : public Module {
 public:
  explicit PositionalEncoding(std::int64_t d_model, const PositionalEncodingOptions& options = {});
  NN_MODULE(pe, dropout)
  ag::Tensor forward(const ag::Tensor& x, const PositionalEncodingCall& options = {}) const;
  ag::Tensor operator()(const ag::Tensor& x, const PositionalEncodingCall& options) const {
    return call_forward(*this, x, options);
  }
  std::string extra_repr() const override;

  Buffer pe;  ///< (max_len, d_model)
  Dropout dropout;

 private:
  bool batch_first_;
};

}  // namespace nn

#pragma GCC visibility pop
