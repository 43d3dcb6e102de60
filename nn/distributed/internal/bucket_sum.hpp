#pragma once

#include <cstdint>
#include <vector>

#include "nn/distributed/internal/transfers.hpp"
#include "nn/distributed/internal/tree.hpp"

namespace nn::distributed::detail {

/// Something that goes on by messages while its rank computes: stages, each of which begins when the
/// messages of the one before have come.
class Stages {
 public:
  Stages(const World& world, int tag) : transfers_(world, tag) {}
  virtual ~Stages() = default;

  void start() {
    stage_ = 0;
    complete_ = !next(stage_++);
  }
  /// Goes on as far as it can without waiting.
  void advance() {
    while (!complete_ && transfers_.done()) complete_ = !next(stage_++);
  }
  /// Goes on to the end.
  void finish() {
    while (!complete_) {
      transfers_.wait();
      complete_ = !next(stage_++);
    }
  }

 protected:
  /// Takes what stage - 1 has brought and begins the messages of this one; false if there are none.
  virtual bool next(std::size_t stage) = 0;
  Transfers transfers_;

 private:
  std::size_t stage_ = 0;
  bool complete_ = true;
};

/// The sum of n elements over all shards, on every rank, always by the same additions. E is float,
/// double, or one of 16 bits, to which each sum is rounded.
template <class E>
class BucketSum final : public Stages {
 public:
  BucketSum(const World& world, const Shares& shares, int tag, std::int64_t n);
  /// The elements of this rank's nodes, by `Shares::nodes`; to be filled before each start().
  E* part(std::size_t node) { return parts_[node].data(); }
  std::size_t parts() const { return parts_.size(); }
  /// All elements, after finish().
  const E* sum() const { return parts_.front().data(); }

 private:
  bool next(std::size_t stage) override { return shares_.even() ? halve(stage) : collect(stage); }
  bool halve(std::size_t stage);
  bool collect(std::size_t stage);
  void send_parts();
  void add_parts();

  const World& world_;
  Shares shares_;
  std::int64_t n_;
  std::vector<std::vector<E>> parts_;
  std::vector<E> received_;
  std::vector<std::vector<E>> packed_, of_rank_;  // what goes to each rank and has come from it
};

}  // namespace nn::distributed::detail
