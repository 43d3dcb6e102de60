#pragma once

#include <functional>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
ag::Tensor predict(Module& model, const ag::Tensor& x, std::int64_t batch_size,
                   const std::function<ag::Tensor(const ag::Tensor&)>& forward);
}

/// model(x) in evaluation mode, off the tape, for `batch_size` rows of x at a time, so that it takes
/// the memory of one batch. The model's modes are put back, also those of its parts. Throws if x has
/// no rows' axis or the model does not return a row for each.
template <std::derived_from<Module> M>
ag::Tensor predict(M& model, const ag::Tensor& x, std::int64_t batch_size = 256) {
  return detail::predict(model, x, batch_size,
                         [&](const ag::Tensor& part) -> ag::Tensor { return model(part); });
}

}  // namespace nn

#pragma GCC visibility pop
