#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "nn/distributed/internal/reduce.hpp"

namespace nn::distributed::detail {

/// Runs the shards of a rank from one sum over all shards to the next: each on a thread of its own,
/// of which one works at a time, in the order of shards. MPI is called by the thread that made this.
class Lockstep {
 public:
  /// `enter(k)` and `leave(k)` come before and after each turn of this rank's shard k.
  Lockstep(const World& world, const Shares& shares, std::function<void(std::size_t)> enter,
           std::function<void(std::size_t)> leave);

  /// body(shard) of each shard of this rank, which may call `sum`. Throws what one has thrown, and on
  /// all ranks if shards ask for different sums. Where another rank has failed it stops them and
  /// returns.
  void run(const std::function<void(std::int64_t)>& body);
  /// The sum over all shards of all ranks in their tree; differentiable. For the threads of the
  /// shards: all of them must ask for it.
  ag::Tensor sum(const ag::Tensor& part);

 private:
  struct Total;
  struct Shard {
    std::thread thread;
    ag::Tensor part;  // what it has given for the next sum
    bool done = false;
  };
  ag::Tensor wait_for_total(const ag::Tensor& part);
  void work(std::size_t k, const std::function<void()>& body);
  void give_turns();
  std::int64_t state() const;
  bool next_sum();
  void add_up();

  const World& world_;
  Shares shares_;
  std::function<void(std::size_t)> enter_, leave_;
  std::vector<Shard> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t turn_ = 0;  // whose; as many as there are shards: the caller's
  ag::Tensor total_;
  bool stopped_ = false;  // there will be no more sums
  std::exception_ptr failure_;
};

}  // namespace nn::distributed::detail
