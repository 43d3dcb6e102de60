#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "nn/distributed/internal/bucket_sum.hpp"
#include "nn/distributed/internal/reduce.hpp"

namespace nn::distributed::detail {

/// Sums gradients up over the ranks while the walk of a rank's last shard goes on. They travel in
/// buckets, which are planned alike on all ranks after a step, from the order in which rank 0 got its
/// gradients: a bucket begins when its gradients are there and the ones before it have begun.
///
/// What it adds up is what hooks of the parameters show. After the walk that is compared with the
/// gradients that the parameters got; where others have changed them since (a hook that came later,
/// a second walk), the step is summed up again without it, and such a parameter is not planned again.
class EarlySums {
 public:
  /// `parameters`: those of the model, the first of the sums. Buckets are closed at so many bytes.
  EarlySums(const World& world, const Shares& shares, ag::TensorList parameters,
            std::int64_t bucket_bytes);
  ~EarlySums();
  EarlySums(const EarlySums&) = delete;
  EarlySums& operator=(const EarlySums&) = delete;

  /// A step begins: parameters that require gradients by now are watched.
  void watch();
  /// The walk of the last shard begins; `sums` has the nodes of those before.
  void begin(const std::vector<TensorSum>& sums);
  /// It is over, or will not be; buckets that have not begun do so, whatever is in them. Returns when
  /// all are added up: a rank that waits for another meanwhile does its part of the sums.
  void end();
  /// Whether `gradient`, which parameter i has got, is what was shown.
  bool has_seen(std::size_t i, const ag::Tensor& gradient) const;
  /// Whether parameter i is in a bucket.
  bool planned(std::size_t i) const { return i < places_.size() && places_[i].bucket >= 0; }
  /// The sums of the buckets become those of `out`.
  void take(const std::vector<TensorSum>& sums, ag::TensorList& out) const;
  /// Plans for the steps to come: those that all ranks have seen. By all ranks.
  void plan(const std::vector<TensorSum>& sums, const std::vector<Kind>& kinds);

 private:
  struct Bucket {
    std::vector<std::size_t> members;
    std::int64_t size = 0;  // elements
    std::size_t missing = 0;
    std::unique_ptr<Stages> sum;
  };
  struct Place {  // in a bucket
    int bucket = -1;
    std::int64_t offset = 0;
  };
  struct Seen {
    const void* elements = nullptr;
    std::uint32_t version = 0;
    int times = 0;
  };

  void show(std::size_t i, const ag::Tensor& gradient);
  void give(std::size_t i, const ag::Tensor& gradient);
  void begin_ready(bool all);
  template <class E>
  BucketSum<E>& sum_of(const Bucket& bucket) const {
    return static_cast<BucketSum<E>&>(*bucket.sum);
  }

  const World& world_;
  Shares shares_;
  ag::TensorList parameters_;
  std::int64_t bucket_bytes_;
  std::vector<std::uint64_t> hooks_;  // 0: none yet
  std::vector<Seen> seen_;
  std::vector<std::size_t> order_;                // in which they were seen
  const std::vector<TensorSum>* sums_ = nullptr;  // while the walk goes on
  bool watching_ = false;                         // while a step goes on, on this thread
  std::thread::id walker_;
  std::vector<Bucket> buckets_;
  std::vector<Place> places_;
  std::vector<bool> refused_;  // for ever
  std::size_t begun_ = 0;      // buckets
};

}  // namespace nn::distributed::detail
