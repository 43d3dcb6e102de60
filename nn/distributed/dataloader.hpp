#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/data/dataloader.hpp"
#include "nn/distributed/data_parallel.hpp"
#include "nn/module/fingerprint.hpp"

#pragma GCC visibility push(default)

namespace nn::distributed {

namespace detail {

/// A data set of which a rank loads its shards of each batch. Each is made by itself, so that what
/// is random in it, or padded, does not depend on the number of ranks.
template <class D>
class ShardsOf {
 public:
  using Part = nn::data::BatchOf<D>;
  using Transform = std::function<Part(Part, ag::Generator&)>;

  ShardsOf(D data, Transform transform, const DataParallel& parallel)
      : data_(std::move(data)),
        transform_(std::move(transform)),
        shards_(parallel.shards()),
        first_(parallel.first_shard(parallel.world().rank())),
        last_(parallel.last_shard(parallel.world().rank())) {}

  const D& data() const { return data_; }
  std::int64_t size() const { return nn::data::detail::samples_to_load(data_); }
  /// The shards of the batch of these samples.
  ShardedBatch<Part> get(std::span<const std::int64_t> samples, ag::Generator& generator) const {
    const auto rows = static_cast<std::int64_t>(samples.size());
    ShardedBatch<Part> batch{{}, rows, fingerprint_of(samples)};
    // Shards are to their batch what batches are to an epoch.
    const Plan plan(generator.next_u64(), 0, rows, 1, false);
    for (std::int64_t s = first_; s < last_; ++s) {
      const auto [begin, end] = rows_of_shard(s, shards_, rows);
      const auto part =
          samples.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
      batch.shards.push_back(shard(part, plan, s, begin));
    }
    return batch;
  }
  /// Of some samples, for a comparison; 0 where they are not tensors.
  std::uint64_t fingerprint() const {
    StateDict some;
    if constexpr (ag::TensorStructure<Part> || std::same_as<Part, ag::TensorList>)
      for (const std::int64_t i : {std::int64_t{0}, size() / 2, size() - 1}) {
        const Part part = nn::data::detail::batch_of(data_, std::span(&i, 1),
                                                     [](std::int64_t) { return ag::Generator(); });
        ag::detail::for_each_tensor(part, [&](const ag::Tensor& t) {
          if (t.defined()) some.push_back({"", t});
        });
      }
    return nn::fingerprint(some);
  }

 private:
  using Plan = nn::data::detail::EpochPlan;
  static std::uint64_t fingerprint_of(std::span<const std::int64_t> samples) {
    return nn::fingerprint(ag::tensor(std::vector(samples.begin(), samples.end())));
  }
  Part shard(std::span<const std::int64_t> samples, const Plan& plan, std::int64_t s,
             std::int64_t place) const {
    Part part = nn::data::detail::batch_of(data_, samples, [&](std::int64_t sample) {
      return sample < 0 ? plan.for_batch(s) : plan.for_sample(place++, 0);
    });
    check("get", part, samples);
    if (!transform_) return part;
    ag::Generator generator = plan.for_transform(s);
    part = transform_(std::move(part), generator);
    check("transform", part, samples);
    return part;
  }
  static void check(const char* what, const Part& part, std::span<const std::int64_t> samples) {
    if constexpr (nn::data::detail::has_rows<D>)
      nn::data::detail::check_rows(what, part, static_cast<std::int64_t>(samples.size()));
  }

  D data_;
  Transform transform_;
  std::int64_t shards_, first_, last_;
};

/// Throws unless each batch of an epoch has a row for each shard.
void check_batches(std::int64_t samples, std::int64_t batch_size, bool drop_last,
                   std::int64_t shards);
/// Throws on every rank unless they load alike: `fingerprint` of the data, and these numbers.
void check_loaders(const World& world, const std::function<std::uint64_t()>& fingerprint,
                   const std::vector<std::int64_t>& numbers);
/// The state of a loader with the number of shards, and without it; throws if that is another one.
StateDict with_shards(StateDict state, std::int64_t shards);
StateDict without_shards(StateDict state, std::int64_t shards);

}  // namespace detail

/// An `nn::data::DataLoader` of which each rank loads only its shards of each batch:
///
///     nn::distributed::DataLoader loader(parallel, train, {.batch_size = 256, .shuffle = true});
///     for (const auto& batch : loader) {  // of batch.rows samples
///       parallel.backward(batch, [&](const ag::Tensor& x, const ag::Tensor& y) { … });
///       …
///     }
///
/// Order, position and options are that loader's, with the samples in one order of all ranks, and
/// the bits do not depend on the number of ranks. `batch_size` counts the samples of all ranks.
/// `get()`, `collate()` and `transform` make a shard at a time, with random numbers that are a
/// function of seed, epoch, batch, and shard or place of the sample in the batch. Made and looped
/// over by all ranks. One thread; the `DataParallel` need not outlive it.
template <class D = nn::data::TensorDataset>
class DataLoader : private nn::data::DataLoader<detail::ShardsOf<D>> {
  using Base = nn::data::DataLoader<detail::ShardsOf<D>>;

 public:
  using Base::batch, Base::begin, Base::end, Base::epoch, Base::set_epoch, Base::size;
  using typename Base::Batch;
  using typename Base::Iterator;

  /// Throws as `nn::data::DataLoader`, if a batch has fewer samples than there are shards, and
  /// unless the ranks have options and data alike, of which the first, middle and last sample are
  /// compared.
  DataLoader(const DataParallel& parallel, D data,
             nn::data::DataLoaderOptions<nn::data::BatchOf<D>> options = {})
      : Base({std::move(data), options.transform, parallel}, of_shards(options)),
        shards_(parallel.shards()) {
    const std::int64_t samples = options.sampler ? options.sampler->size : Base::dataset().size();
    detail::check_loaders(parallel.world(), [&] { return Base::dataset().fingerprint(); },
                          {Base::dataset().size(), samples, options.batch_size, options.shuffle,
                           static_cast<std::int64_t>(options.seed), options.drop_last});
    detail::check_batches(samples, options.batch_size, options.drop_last, shards_);
  }

  const D& dataset() const { return Base::dataset().data(); }
  /// The position, for a checkpoint, which any number of ranks may load; with the number of shards.
  StateDict state_dict() const { return detail::with_shards(Base::state_dict(), shards_); }
  void load_state_dict(const StateDict& state) {
    Base::load_state_dict(detail::without_shards(state, shards_));
  }

 private:
  static auto of_shards(const nn::data::DataLoaderOptions<nn::data::BatchOf<D>>& options) {
    // All but the transform, which is for each shard.
    const auto& [batch_size, shuffle, seed, drop_last, prefetch, workers, transform, sampler] =
        options;
    return nn::data::DataLoaderOptions<ShardedBatch<nn::data::BatchOf<D>>>{
        batch_size, shuffle, seed, drop_last, prefetch, workers, {}, sampler};
  }
  std::int64_t shards_;
};

/// What is used as a `TensorDataset`, such as `LabelledImages`, is loaded as one.
template <class D, class O = nn::data::DataLoaderOptions<>>
requires(!nn::data::Dataset<D>) DataLoader(const DataParallel&, D, O = {})
->DataLoader<std::conditional_t<std::convertible_to<D, nn::data::TensorDataset>,
                                nn::data::TensorDataset, D>>;

}  // namespace nn::distributed

#pragma GCC visibility pop
