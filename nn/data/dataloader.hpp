#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>

#include "autograd/core/random.hpp"
#include "nn/data/dataset.hpp"
#include "nn/module/state_dict.hpp"

namespace nn::data {

/// Options of `DataLoader`.
struct DataLoaderOptions {
  std::int64_t batch_size = 1;
  bool shuffle = false;  ///< a new order in each epoch, a pure function of seed and epoch
  std::uint64_t seed = 0;
  bool drop_last = false;     ///< leave out a last batch that is smaller than the others
  std::int64_t prefetch = 0;  ///< batches made ahead on a background thread; the same batches
  /// Applied to each batch, such as augmentation, or loading what x names. Its generator is a
  /// function of seed, epoch and batch; with prefetch it runs on the background thread. Nothing in
  /// it is recorded.
  std::function<Batch(Batch, ag::Generator&)> transform{};
};

/// Batches of a data set, epoch after epoch:
///
///     DataLoader loader(train, {.batch_size = 64, .shuffle = true});
///     for (int epoch = 0; epoch < 10; ++epoch)
///       for (const auto& [x, y] : loader) ...
///
/// Each loop is one epoch. What is thrown while a batch is made is thrown where the loop asks for
/// it.
class DataLoader {
 public:
  class Iterator;

  /// Throws on an empty data set, a batch size below 1 or a negative prefetch.
  explicit DataLoader(TensorDataset data, DataLoaderOptions options = {});

  /// Batches per epoch.
  std::int64_t size() const;
  const TensorDataset& dataset() const { return data_; }
  const DataLoaderOptions& options() const { return options_; }

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

  /// Starts an epoch. The loader must outlive its loop and stay where it is.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

 private:
  TensorDataset data_;
  DataLoaderOptions options_;
  std::int64_t epoch_ = 0, batch_ = 0;
  bool begun_ = false;  // a loop over this epoch has begun
};

/// Where a loop over a loader stands. Destroying it ends the background thread.
class DataLoader::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;

  Iterator() noexcept;
  Iterator(Iterator&&) noexcept;
  Iterator& operator=(Iterator&&) noexcept;
  ~Iterator();
  const Batch& operator*() const { return current_; }
  const Batch* operator->() const { return &current_; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) { return !it.epoch_; }

 private:
  friend class DataLoader;
  class Epoch;
  Iterator(DataLoader& loader);

  DataLoader* loader_ = nullptr;
  std::unique_ptr<Epoch> epoch_;  // none at the end
  Batch current_;
};

}  // namespace nn::data
