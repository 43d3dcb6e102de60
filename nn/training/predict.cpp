#include "nn/training/predict.hpp"

#include <algorithm>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/module/internal/evaluating.hpp"

namespace nn {

ag::Tensor detail::predict(Module& model, const ag::Tensor& x, std::int64_t batch_size,
                           const std::function<ag::Tensor(const ag::Tensor&)>& forward) {
  if (!x.defined()) ag::fail("predict", "x must be defined, got an undefined tensor");
  if (x.ndim() == 0) ag::fail("predict", "x must have rows, got a 0-d tensor");
  if (batch_size < 1) ag::fail("predict", "batch_size must be at least 1, got {}", batch_size);
  const Evaluating evaluating(&model);
  const ag::NoGrad no_grad;
  const std::int64_t n = x.size(0);
  ag::TensorList results;
  for (std::int64_t from = 0; from < n || results.empty(); from += batch_size) {
    const std::int64_t rows = std::min(batch_size, n - from);
    results.push_back(forward(ag::narrow(x, 0, from, rows)));
    const ag::Tensor& y = results.back();
    if (!y.defined() || y.ndim() == 0 || y.size(0) != rows)
      ag::fail("predict", "{} must return a row for each of {} rows, got {}", model.type_name(),
               rows, y.defined() ? y.shape().str() : "an undefined tensor");
  }
  return ag::concat(results);
}

}  // namespace nn
