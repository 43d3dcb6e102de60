#pragma once

#include <concepts>
#include <optional>
#include <utility>
#include <vector>

#include "autograd/core/structure.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/layers/batch_norm.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// For a scope: the model in training, and its batch norms average all that they see. After it each
/// part has its own mode and momentum again.
class AveragingNorms {
 public:
  explicit AveragingNorms(Module& model);
  ~AveragingNorms();
  AveragingNorms(const AveragingNorms&) = delete;
  AveragingNorms& operator=(const AveragingNorms&) = delete;
  bool empty() const noexcept { return norms_.empty(); }
  /// Before each batch: the first one resets the statistics.
  void next();
  /// Throws if there was no batch.
  void finish() const;

 private:
  std::vector<std::pair<Module*, bool>> modes_;
  std::vector<std::pair<BatchNorm*, std::optional<double>>> norms_;
  bool begun_ = false;
};

template <class B>
requires ag::TensorStructure<B>
const ag::Tensor& first_tensor(const B& batch) {
  const ag::Tensor* first = nullptr;
  ag::detail::for_each_tensor(batch, [&](const ag::Tensor& t) { first = first ? first : &t; });
  return *first;
}
}  // namespace detail

/// Makes the running statistics of all `BatchNorm` layers anew, as averages over the batches of
/// `loader`: for weights that were averaged (`SWA`, `EMA`), to which those of the training do not
/// belong. A batch is a tensor or a structure whose first tensor the model takes. As in PyTorch the
/// model runs in training, dropout included; the modes of its parts are put back. Does nothing for
/// a model without such layers. Throws if there is no batch, and if the model does, after which the
/// statistics are those of the batches before.
template <class Loader, std::derived_from<Module> M>
void update_bn(Loader&& loader, M& model) {
  detail::AveragingNorms norms(model);
  if (norms.empty()) return;
  const ag::NoGrad no_grad;
  for (const auto& batch : loader) {
    norms.next();
    model(detail::first_tensor(batch));
  }
  norms.finish();
}

}  // namespace nn

#pragma GCC visibility pop
