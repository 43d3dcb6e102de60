#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "nn/distributed/world.hpp"
#include "nn/optim/optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::distributed {

/// An optimizer whose state is shared out over the ranks (ZeRO-1; Rajbhandari et al. 2020): each
/// rank updates some of the parameters, remembers what that takes, and gives them to the others. The
/// weights have the bits that the optimizer alone would give. Whole parameters are shared out, the
/// largest first, each to the rank that has the least so far.
///
///     nn::optim::Adam adam(model.parameters());
///     nn::distributed::ShardedOptimizer optimizer(adam, world);
///
/// The options, and schedulers, are the optimizer's own. `step()` and `state_dict()` are called by all
/// ranks; optimizer and world must outlive this object. One thread.
class ShardedOptimizer {
 public:
  /// Throws unless all ranks have parameters of the same shapes and dtypes, in the same order.
  ShardedOptimizer(optim::Optimizer& optimizer, const World& world);

  /// Updates what has a gradient, as `optim::Optimizer::step()`. The ranks must have the same
  /// gradients, as after `DataParallel::backward`. What is thrown on one rank is an error on all.
  void step();
  void zero_grad(bool set_to_none = true) { optimizer_.zero_grad(set_to_none); }

  /// On rank 0 the whole state: what the optimizer alone would have, for any number of ranks. On the
  /// others `own_state_dict()`.
  StateDict state_dict() const;
  /// What this rank remembers. It may be called by one rank alone, as `takes()` and
  /// `load_state_dict()`.
  StateDict own_state_dict() const { return optimizer_.state_dict(); }
  /// Whether this rank takes an entry of a whole state; the others may be undefined there.
  bool takes(std::string_view name) const;
  /// Takes what this rank needs of a whole state, or what it remembered. Throws as
  /// `optim::Optimizer::load_state_dict`.
  void load_state_dict(const StateDict& state);

  /// The rank that updates a parameter, counted over all groups.
  int owner(std::size_t parameter) const { return owners_.at(parameter); }

 private:
  optim::Optimizer& optimizer_;
  const World& world_;
  std::vector<std::size_t> starts_;  // of each group, the number of its first parameter
  std::vector<int> owners_;
};

}  // namespace nn::distributed

#pragma GCC visibility pop
