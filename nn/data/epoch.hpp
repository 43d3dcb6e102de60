#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "autograd/core/memory.hpp"
#include "autograd/core/random.hpp"
#include "autograd/core/tensor.hpp"
#include "nn/data/sampler.hpp"

#pragma GCC visibility push(default)

namespace nn::data::detail {

namespace ag = autograd;

/// What an epoch is: the order of its samples, and its random numbers. A function of seed and epoch
/// alone.
class EpochPlan {
 public:
  EpochPlan(std::uint64_t seed, std::int64_t epoch, std::int64_t samples, std::int64_t batch_size,
            bool shuffle);
  /// The same with samples in [0, from) that a sampler draws. Throws if it draws anything else.
  EpochPlan(std::uint64_t seed, std::int64_t epoch, std::int64_t from, std::int64_t batch_size,
            const Sampler& sampler);
  /// The samples of a batch.
  std::span<const std::int64_t> samples(std::int64_t batch) const;
  /// Random numbers for what becomes of a batch, for the making of one, and for that of a sample.
  ag::Generator for_transform(std::int64_t batch) const;
  ag::Generator for_batch(std::int64_t batch) const;
  /// `place`: of the sample in the epoch, which tells apart those that a sampler repeats.
  ag::Generator for_sample(std::int64_t sample, std::int64_t place) const;

 private:
  // What shuffles; then those of batches and samples are set.
  ag::Generator begin(std::uint64_t seed, std::int64_t epoch);
  std::int64_t batch_size_;
  bool sampled_ = false;
  std::uint64_t transform_seed_, batch_seed_, sample_seed_;
  ag::Tensor order_;
};

/// A batch of any type, and the thread that made it.
struct MadeBatch {
  virtual ~MadeBatch() = default;
  std::size_t maker = 0;
  static void* operator new(std::size_t n) { return ag::detail::pool_allocate(n); }
  static void operator delete(void* p, std::size_t n) { ag::detail::pool_deallocate(p, n); }
};

/// Batches `first` to `end` in their order: made when they are asked for or, with threads, up to
/// `ahead` of them before. `make` is then called on several threads at once.
class EpochRun {
 public:
  using Make = std::function<std::unique_ptr<MadeBatch>(std::int64_t batch)>;
  EpochRun(std::int64_t first, std::int64_t end, std::int64_t threads, std::int64_t ahead,
           Make make);
  ~EpochRun();
  EpochRun(EpochRun&&) = delete;
  EpochRun& operator=(EpochRun&&) = delete;

  /// The next batch; null at the end. Throws what `make` has thrown for it.
  std::unique_ptr<MadeBatch> next();
  /// Lets the thread that made a batch destroy it: freed blocks stay with the thread that frees
  /// them.
  void give_back(std::unique_ptr<MadeBatch> used);

 private:
  class Threads;
  std::int64_t next_, end_, ahead_;
  Make make_;
  std::unique_ptr<Threads> threads_;  // none: batches are made where they are asked for
};

}  // namespace nn::data::detail

#pragma GCC visibility pop
