#pragma once

#include <cstdint>
#include <functional>

#include "autograd/core/random.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

namespace ag = autograd;

/// Which samples of a data set make an epoch, and in what order. One that comes twice gets other
/// random numbers in `get()` each time. Copies share what `draw` holds.
struct Sampler {
  std::int64_t size = 0;  ///< samples of an epoch, at least 1
  /// Their places, int64 (size): a function of the generator, which is one of seed and epoch.
  std::function<ag::Tensor(ag::Generator& generator)> draw{};
};

/// Options of `WeightedRandomSampler`.
struct WeightedRandomSamplerOptions {
  bool replacement = true;  ///< whether a sample may come more than once in an epoch
};

/// Draws samples by their weights, as PyTorch's class of that name: classes that are rare come as
/// often as others if each sample weighs 1 / (samples of its class).
///
///     DataLoader loader(train, {.batch_size = 64,
///                               .sampler = WeightedRandomSampler(weights, train.size())});
class WeightedRandomSampler : public Sampler {
 public:
  /// One weight for each sample of the data set, floating (n), finite and at least 0; they need not
  /// add up to 1. Throws as `ag::multinomial` does.
  WeightedRandomSampler(const ag::Tensor& weights, std::int64_t num_samples,
                        const WeightedRandomSamplerOptions& options = {});
};

}  // namespace nn::data

#pragma GCC visibility pop
