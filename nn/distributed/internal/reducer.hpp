#pragma once

#include <optional>
#include <vector>

#include "nn/distributed/internal/early.hpp"

namespace nn::distributed::detail {

/// The sums of a step over the shards of all ranks: gradients first, then what else there is.
class Reducer {
 public:
  Reducer(const Module& model, const World& world, const DataParallelOptions& options);
  Wire wire() const noexcept { return wire_; }

  /// A step begins.
  void begin(std::vector<TensorSum> sums);
  /// The backward walk of the last shard of this rank begins.
  void begin_walk();
  /// What a shard gave.
  void push(std::int64_t shard, ag::TensorList tensors);
  /// All shards of this rank are done, or one has failed. Sends that, with numbers of the caller, to
  /// all; returns those of all ranks, by number and rank.
  std::vector<std::vector<std::int64_t>> agree(std::vector<std::int64_t> numbers);
  /// The sums; undefined where no shard gave anything.
  ag::TensorList finish();

 private:
  // The last shard's become part of the sums: those that are on their way, or the others.
  void push_last(bool confirmed);

  const World& world_;
  Shares shares_;
  Wire wire_;
  std::optional<EarlySums> early_;  // if there is anything to overlap
  std::vector<TensorSum> sums_;
  ag::TensorList last_;          // of the last shard, not yet in the sums
  std::vector<bool> confirmed_;  // of it: on their way
  std::vector<Kind> kinds_;      // on any rank
  bool good_ = false;            // what is on its way is right, on all ranks
};

}  // namespace nn::distributed::detail
