#pragma once

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace ag = autograd;

/// The elements of all parameters, one after the other, as one tensor (n) on the tape. Throws
/// unless there are some, of one dtype.
ag::Tensor parameters_to_vector(const ag::TensorList& parameters);

/// Writes the elements of `vector` (n) into the parameters, in the order of
/// `parameters_to_vector`, without recording. Throws, and changes nothing, unless it has as many
/// elements, of the dtype of each.
void vector_to_parameters(const ag::Tensor& vector, const ag::TensorList& parameters);

}  // namespace nn

#pragma GCC visibility pop
