#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/tape/grad_mode.hpp"
#include "nn/data/collate.hpp"
#include "nn/data/dataset.hpp"
#include "nn/data/epoch.hpp"
#include "nn/data/sampler.hpp"
#include "nn/module/state_dict.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Options of `DataLoader`, for batches of type B.
template <class B = Batch>
struct DataLoaderOptions {
  std::int64_t batch_size = 1;
  bool shuffle = false;  ///< a new order in each epoch, a pure function of seed and epoch
  std::uint64_t seed = 0;
  bool drop_last = false;     ///< leave out a last batch that is smaller than the others
  std::int64_t prefetch = 0;  ///< batches made ahead on background threads; the same batches
  std::int64_t workers = 0;   ///< those threads; 0: one if prefetch is above 0. In [0, 1024].
                              ///< Without prefetch they are two batches ahead each
  /// Applied to each batch, such as augmentation, or loading what x names. Its generator is a
  /// function of seed, epoch and batch; it keeps the number of samples. It runs where the batch is
  /// made: with workers on several threads at once. Nothing in it is recorded.
  std::function<B(B, ag::Generator&)> transform{};
  /// Chooses the samples of each epoch in place of `shuffle`; their order does not depend on threads
  /// either. `size()` counts its samples.
  std::optional<Sampler> sampler{};
};

/// What all loaders are, whatever their data set: sizes and the position. One thread at a time.
class DataLoaderBase {
 public:
  /// Batches per epoch.
  std::int64_t size() const;
  /// The epoch, counted from 0, of the loop that runs or was left early; otherwise of the next
  /// loop.
  std::int64_t epoch() const {
    ag::detail::refuse_in_trace("the state of a DataLoader", "ask for it outside");
    return epoch_;
  }
  /// The number of batches of that epoch handed out so far.
  std::int64_t batch() const { return batch_; }
  /// Makes the next loop the rest of `epoch` from batch `first` on, in [0, size()]. A run resumed
  /// with `set_epoch(epoch, batch)` sees the batches that the first one would have seen.
  void set_epoch(std::int64_t epoch, std::int64_t first = 0);
  /// The position, for a checkpoint; loading it does `set_epoch`, and throws unless rows, batch
  /// size, shuffling and seed are those of the saved run.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 protected:
  struct Settings {
    std::int64_t samples, batch_size;  // of an epoch
    bool shuffle;
    std::uint64_t seed;
    bool drop_last;
    std::int64_t prefetch, workers;
    std::optional<Sampler> sampler;
    std::int64_t from;  // samples of the data set
  };
  explicit DataLoaderBase(const Settings& settings);
  using Make = std::function<std::unique_ptr<detail::MadeBatch>(const detail::EpochPlan& plan,
                                                                std::int64_t batch)>;
  /// The next epoch, or what is left of the one that was set. Throws while another one runs.
  std::unique_ptr<detail::EpochRun> begin_epoch(Make make);
  void count_batch() { ++batch_; }
  void end_epoch() { set_epoch(epoch_ + 1); }
  [[noreturn]] static void refuse_step();

 private:
  detail::EpochPlan plan() const;
  Settings settings_;
  std::int64_t epoch_ = 0, batch_ = 0;
  bool begun_ = false;  // a loop over this epoch has begun
  // The loader whose loop runs: this one, or that of which it is a copy.
  std::weak_ptr<const DataLoaderBase* const> running_;
};

/// Batches of a data set, epoch after epoch:
///
///     DataLoader loader(train, {.batch_size = 64, .shuffle = true});
///     for (int epoch = 0; epoch < 10; ++epoch)
///       for (const auto& [x, y] : loader) ...
///
/// Each loop is one epoch. The order of the batches and what is in them does not depend on threads.
/// What is thrown while a batch is made is thrown where the loop asks for it. One loop at a time may
/// run over a loader: another begins when that is at its end or its iterator destroyed, as `break`
/// does. For a loop within a loop make a second loader of the data set.
template <class D = TensorDataset>
class DataLoader : public DataLoaderBase {
  static_assert(Dataset<D>,
                "DataLoader: a data set has `std::int64_t size() const` and `get(std::int64_t) "
                "const` or `get(std::span<const std::int64_t>) const`");

 public:
  class Iterator;
  using Batch = BatchOf<D>;

  /// Throws on an empty data set, a batch size below 1, a negative prefetch or too many workers, and
  /// on a sampler beside `shuffle`.
  explicit DataLoader(D data, DataLoaderOptions<BatchOf<D>> options = {})
      : DataLoaderBase({detail::samples_to_load(data), options.batch_size, options.shuffle,
                        options.seed, options.drop_last, options.prefetch, options.workers,
                        options.sampler, detail::samples_to_load(data)}),
        data_(std::move(data)),
        options_(std::move(options)) {}

  const D& dataset() const { return data_; }
  const DataLoaderOptions<Batch>& options() const { return options_; }

  /// Starts an epoch. The loader must outlive its loop and stay where it is. Throws while another
  /// loop over it runs.
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  struct Made final : detail::MadeBatch {
    explicit Made(Batch b) : batch(std::move(b)) {}
    Batch batch;
  };
  std::unique_ptr<detail::MadeBatch> make(const detail::EpochPlan& plan, std::int64_t i) const {
    const ag::NoGrad no_grad;
    const auto samples = plan.samples(i);
    std::int64_t place = i * options_.batch_size;
    auto made = std::make_unique<Made>(detail::batch_of(data_, samples, [&](std::int64_t sample) {
      return sample < 0 ? plan.for_batch(i) : plan.for_sample(sample, place++);
    }));
    const auto n = static_cast<std::int64_t>(samples.size());
    check("get", made->batch, n);
    if (options_.transform) {
      ag::Generator generator = plan.for_transform(i);
      made->batch = options_.transform(std::move(made->batch), generator);
      check("transform", made->batch, n);
    }
    return made;
  }
  static void check(const char* what, const Batch& batch, std::int64_t n) {
    if constexpr (detail::has_rows<D>) detail::check_rows(what, batch, n);
  }

  D data_;
  DataLoaderOptions<Batch> options_;
};

/// What is used as a `TensorDataset`, such as `LabelledImages`, is loaded as one.
template <class D, class O = DataLoaderOptions<>>
requires(!Dataset<D>) DataLoader(D, O = {})
->DataLoader<std::conditional_t<std::convertible_to<D, TensorDataset>, TensorDataset, D>>;

/// Where a loop over a loader stands. Destroying it ends the background threads.
template <class D>
class DataLoader<D>::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = DataLoader::Batch;
  using difference_type = std::ptrdiff_t;

  Iterator() noexcept = default;
  const value_type& operator*() const {
    if (!current_) refuse_step();
    return static_cast<const Made&>(*current_).batch;
  }
  const value_type* operator->() const { return &**this; }
  Iterator& operator++() {
    if (!run_) refuse_step();
    auto run = std::move(run_);  // an epoch whose batch fails is over
    run->give_back(std::move(current_));
    current_ = run->next();
    if (current_) {
      loader_->count_batch();
      run_ = std::move(run);
    } else {
      loader_->end_epoch();
    }
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) { return !it.run_; }

 private:
  friend class DataLoader;
  explicit Iterator(DataLoader& loader)
      : loader_(&loader),
        run_(loader.begin_epoch([&loader](const detail::EpochPlan& plan, std::int64_t batch) {
          return loader.make(plan, batch);
        })) {
    ++*this;
  }

  DataLoader* loader_ = nullptr;
  std::unique_ptr<detail::EpochRun> run_;  // none at the end
  std::unique_ptr<detail::MadeBatch> current_;
};

/// The batches of a data set in its order, once: `for (const auto& [x, y] : batches(test, 500))`.
template <class D>
auto batches(D data, std::int64_t batch_size) {
  return DataLoader(std::move(data), {.batch_size = batch_size});
}

}  // namespace nn::data

#pragma GCC visibility pop
