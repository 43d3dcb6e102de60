#pragma once

#include <array>

#include "nn/optim/optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

/// The factor of the learning rate of a parameter (rows, columns): √max(1, rows / columns), or
/// 0.2 √max(rows, columns) (so that rates and decays of AdamW fit, Moonshot 2025), or
/// √(rows / columns).
enum class AdjustLr { original, match_rms_adamw, spectral_unclamped };

struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;  ///< shrinks the parameter by lr * weight_decay
  double momentum = 0.95;     ///< in [0, 1]
  bool nesterov = true;
  std::array<double, 3> ns_coefficients{3.4445, -4.7750, 2.0315};
  double eps = 1e-7;          ///< least norm that is divided by
  std::int64_t ns_steps = 5;  ///< below 100
  AdjustLr adjust_lr_fn = AdjustLr::original;
};

/// Muon (Jordan 2024, in PyTorch's form): p ← (1 - lr weight_decay) p - lr' O, where O is the mean
/// of g made nearly orthogonal by Newton-Schulz steps. For matrices alone: embeddings, biases and
/// the last layer go to AdamW. The steps run in the parameter's dtype, where PyTorch rounds them to
/// bfloat16.
class Muon : public GroupedOptimizer<MuonOptions> {
 public:
  /// Throws as `add_param_group`.
  explicit Muon(const ag::TensorList& params, const MuonOptions& options = {});
  explicit Muon(const std::vector<Group>& groups);
  /// Throws if an option is out of range, or a parameter is no matrix, no leaf or there already.
  void add_param_group(const Group& group);

 private:
  void update(const MuonOptions& o, Slot& slot, const ag::Tensor& gradient) const override;
  void visit_options(MuonOptions& o, OptionVisitor& visitor) const override;
};

}  // namespace nn::optim

#pragma GCC visibility pop
