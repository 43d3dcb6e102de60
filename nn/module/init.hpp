#pragma once

#include "autograd/core/random.hpp"

#pragma GCC visibility push(default)

/// Initial values. Each function overwrites the tensor it is given (a leaf of any floating dtype),
/// without recording, with numbers from `g`. fan_in and fan_out of a weight (out, in, …) are the
/// number of inputs that one output sees and of outputs that one input reaches; they need at least
/// 2 axes. Means, deviations, gains and slopes must be finite.
namespace nn::init {

namespace ag = autograd;

void zeros_(ag::Tensor t);
void ones_(ag::Tensor t);
void constant_(ag::Tensor t, double value);
/// Uniform in [low, high), low ≤ high, with a finite distance.
void uniform_(ag::Tensor t, double low = 0, double high = 1,
              ag::Generator& g = ag::default_generator());
/// Normal; std ≥ 0.
void normal_(ag::Tensor t, double mean = 0, double std = 1,
             ag::Generator& g = ag::default_generator());
/// Normal, truncated to [low, high], low < high, which may be infinite or far from the mean; std >
/// 0.
void trunc_normal_(ag::Tensor t, double mean = 0, double std = 1, double low = -2, double high = 2,
                   ag::Generator& g = ag::default_generator());

/// Uniform in ±gain √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
void xavier_uniform_(ag::Tensor t, double gain = 1, ag::Generator& g = ag::default_generator());
/// Normal with deviation gain √(2 / (fan_in + fan_out)).
void xavier_normal_(ag::Tensor t, double gain = 1, ag::Generator& g = ag::default_generator());

enum class FanMode { fan_in, fan_out };
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };

/// The factor by which a nonlinearity asks for larger weights: 1 for linear and sigmoid, 5/3 for
/// tanh, √2 for relu, √(2 / (1 + slope²)) for leaky_relu, 3/4 for selu. `slope` is used by
/// leaky_relu alone.
double calculate_gain(Nonlinearity nonlinearity, double slope = 0.01);

/// Options of `kaiming_uniform_` and `kaiming_normal_`.
struct KaimingOptions {
  double a = 0;                    ///< negative slope of leaky_relu
  FanMode mode = FanMode::fan_in;  ///< keep the variance of the forward or of the backward pass
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// Uniform in ±gain √(3 / fan) (He 2015).
void kaiming_uniform_(ag::Tensor t, const KaimingOptions& options = {},
                      ag::Generator& g = ag::default_generator());
/// Normal with deviation gain / √fan.
void kaiming_normal_(ag::Tensor t, const KaimingOptions& options = {},
                     ag::Generator& g = ag::default_generator());

/// gain times a random matrix with orthonormal rows or columns, whichever are fewer, of the tensor
/// seen as (first size, the rest); at least 2 axes (Saxe 2014).
void orthogonal_(ag::Tensor t, double gain = 1, ag::Generator& g = ag::default_generator());

}  // namespace nn::init

namespace nn::detail {
/// What Linear and the convolutions start with, as in PyTorch: the weight and, where it is defined,
/// the bias uniform in ±1 / √fan, where fan is the number of weights of one output.
void reset_affine(const autograd::Tensor& weight, const autograd::Tensor& bias);
}  // namespace nn::detail

#pragma GCC visibility pop
