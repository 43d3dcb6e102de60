#pragma once

#include "nn/module/init.hpp"

#pragma GCC visibility push(default)

/// Initial values that are a pattern; as in init.hpp.
namespace nn::init {

/// The identity, of a matrix that may be wider or higher.
void eye_(ag::Tensor t);

/// A convolution (out, in / groups, …) of 1 to 3 spatial axes that hands on as many channels as
/// there are: 1 in the middle of each kernel between like channels. `groups` divides out.
void dirac_(ag::Tensor t, std::int64_t groups = 1);

/// A matrix whose columns have a share `sparsity` in [0, 1] of zeros at random places, rounded up;
/// the others are normal with deviation std ≥ 0 (Martens 2010).
void sparse_(ag::Tensor t, double sparsity, double std = 0.01,
             ag::Generator& g = ag::default_generator());

}  // namespace nn::init

#pragma GCC visibility pop
