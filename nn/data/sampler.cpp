#include "nn/data/sampler.hpp"

#include "autograd/core/multinomial.hpp"

namespace nn::data {

WeightedRandomSampler::WeightedRandomSampler(const ag::Tensor& weights, std::int64_t num_samples,
                                             const WeightedRandomSamplerOptions& options) {
  if (!weights.defined() || weights.ndim() != 1)
    ag::fail("WeightedRandomSampler", "needs one weight for each sample, got {}",
             weights.defined() ? fmt::format("shape {}", weights.shape()) : "an undefined tensor");
  if (num_samples < 1)
    ag::fail("WeightedRandomSampler", "num_samples must be at least 1, got {}", num_samples);
  size = num_samples;
  draw = [own = weights.detach().clone(), num_samples, options](ag::Generator& generator) {
    return ag::multinomial(own, num_samples, {options.replacement}, generator);
  };
  ag::Generator trial(0);
  (void)draw(trial);  // refuses at once what cannot be drawn
}

}  // namespace nn::data
