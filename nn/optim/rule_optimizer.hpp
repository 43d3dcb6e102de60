#pragma once

#include "nn/optim/optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

/// The library's own optimizers. A new one, Lion say, is
///   nn/optim/lion.hpp      its options, and the class: all that users see
///   nn/optim/isa/lion.hpp  its rule: what it remembers, which options it has, what a step does
/// and a row in nn/optim/isa/rules.hpp. The rule is written once for a number; its kernels for each
/// dtype and instruction set, and what is below, are made from that.
template <class Options>
class RuleOptimizer : public MultiTensorOptimizer<Options> {
 public:
  using Group = ParamGroup<Options>;
  /// Throws as `add_param_group`.
  explicit RuleOptimizer(const ag::TensorList& params, const Options& options = {});
  explicit RuleOptimizer(const std::vector<Group>& groups);

 private:
  static std::vector<std::string_view> buffer_names();
  static std::vector<std::string_view> number_names();
  void update_all(const Options& o, std::span<const Optimizer::Update> updates) const final;
  void visit_options(Options& o, OptionVisitor& visitor) const final;
  void check_options(const Options& o) const final;
  bool needs_rows() const noexcept final;
};

}  // namespace nn::optim

#pragma GCC visibility pop
