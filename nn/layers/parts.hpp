#pragma once

#include <functional>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn::detail {

namespace ag = autograd;

/// The sum of a tensor over all parts of a batch, of which this thread computes one; differentiable.
/// Each of them must call it.
using SumOverParts = std::function<ag::Tensor(const ag::Tensor&)>;

/// What this thread sums with; null where it has whole batches. Batch norm in training takes its
/// statistics over all parts by it.
const SumOverParts* sum_over_parts() noexcept;

/// Sets it for this thread and a scope. `sum` must outlive the scope.
class PartOfBatch {
 public:
  explicit PartOfBatch(const SumOverParts& sum) noexcept;
  ~PartOfBatch();
  PartOfBatch(const PartOfBatch&) = delete;
  PartOfBatch& operator=(const PartOfBatch&) = delete;

 private:
  const SumOverParts* before_;
};

}  // namespace nn::detail

#pragma GCC visibility pop
