#include "nn/layers/batch_norm.hpp"

#include "autograd/ops/neural/norms.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/parts.hpp"

namespace nn::detail {
namespace {

constexpr std::string_view kBatch[] = {"batch_norm1d", "batch_norm2d", "batch_norm3d"},
                           kInstance[] = {"instance_norm1d", "instance_norm2d", "instance_norm3d"},
                           kAxes[] = {"length", "height, width", "depth, height, width"};

BatchNormOptions as_batch(const InstanceNormOptions& o) {
  return {o.eps, o.momentum, o.affine, o.track_running_stats, o.bias};
}

void check_momentum(std::string_view op, std::optional<double> momentum) {
  if (momentum && !(*momentum >= 0 && *momentum <= 1))
    ag::fail(op, "momentum must be in [0, 1], got {}", *momentum);
}

}  // namespace

RunningNorm::RunningNorm(std::string_view op, int axes, std::int64_t num_features,
                         const BatchNormOptions& options)
    : options_(options), axes_(axes), op_(op), num_features_(num_features) {
  if (num_features < 1) ag::fail(op, "num_features must be at least 1, got {}", num_features);
  if (!(options.eps >= 0)) ag::fail(op, "eps must be at least 0, got {}", options.eps);
  check_momentum(op, options.momentum);
  if (options.affine) weight = Parameter(ag::ones({num_features}));
  if (options.affine && options.bias) bias = Parameter(ag::zeros({num_features}));
  if (!options.track_running_stats) return;
  running_mean = Buffer(ag::zeros({num_features}));
  running_var = Buffer(ag::ones({num_features}));
  num_batches_tracked = Buffer(ag::zeros({}, ag::int64));
}

void RunningNorm::reset_running_stats() {
  if (!running_mean.defined()) return;
  running_mean.copy_(ag::zeros_like(running_mean));
  running_var.copy_(ag::ones_like(running_var));
  num_batches_tracked.copy_(ag::zeros_like(num_batches_tracked));
}

void RunningNorm::reset_parameters() {
  reset_running_stats();
  if (weight.defined()) weight.copy_(ag::ones_like(weight));
  if (bias.defined()) bias.copy_(ag::zeros_like(bias));
}

void RunningNorm::check(const ag::Tensor& x, int least) const {
  if (!x.defined()) ag::fail(op_, "x must be defined, got an undefined tensor");
  const auto axes = static_cast<std::int64_t>(axes_) + 2;
  if (x.ndim() != axes && x.ndim() != least)
    ag::fail(op_, "x must be (n, channels, {}){}, got shape {}", kAxes[axes_ - 1],
             least == axes          ? ""
             : op_.starts_with('b') ? " or (n, channels)"
                                    : ", or without n",
             x.shape());
  const std::int64_t channels = x.size(op_.starts_with('i') && x.ndim() < axes ? 0 : 1);
  if (channels != num_features_)
    ag::fail(op_, "x must have {} channels, got {} in shape {}", num_features_, channels,
             x.shape());
}

std::string RunningNorm::extra_repr() const {
  return fmt::format("{}, eps={}, momentum={}, affine={}, bias={}, track_running_stats={}",
                     num_features_, repr(options_.eps),
                     options_.momentum ? repr(*options_.momentum) : "None", repr(options_.affine),
                     repr(bias.defined()), repr(options_.track_running_stats));
}

BatchNorm::BatchNorm(int axes, std::int64_t num_features, const BatchNormOptions& options)
    : RunningNorm(kBatch[axes - 1], axes, num_features, options) {}

void BatchNorm::set_momentum(std::optional<double> momentum) {
  ag::detail::refuse_in_trace("set_momentum() of a batch norm", "call it outside");
  check_momentum(kBatch[axes_ - 1], momentum);
  if (options_.momentum != momentum) ag::invalidate_recordings();
  options_.momentum = momentum;
}

namespace {

// By the statistics over all parts of a batch, of which x is one.
ag::Tensor by_all_parts(const RunningNorm& norm, const ag::Tensor& x, const SumOverParts& sum,
                        const BatchNormOptions& options) {
  ag::Axes axes{0};
  ag::Shape along{1, x.size(1)};
  for (int i = 2; i < x.ndim(); ++i) axes.push_back(i), along.push_back(1);
  std::int64_t each = 1;
  for (const std::int64_t axis : axes) each *= x.size(axis);
  const auto own = static_cast<double>(each);
  const double n = sum(ag::tensor(own)).item();
  if (n < 2)
    ag::fail("batch_norm", "training needs more than one value per channel, got {} in all shards",
             n);
  const ag::Tensor mean = sum(ag::sum(x, axes)) / n;
  const ag::Tensor centred = x - ag::reshape(mean, along);
  const ag::Tensor var = sum(ag::sum(centred * centred, axes)) / n;
  ag::detail::update_running_statistics(norm.running_mean, norm.running_var,
                                        norm.num_batches_tracked, mean, var,
                                        static_cast<std::int64_t>(n), options.momentum);
  ag::Tensor y = centred / ag::reshape(ag::sqrt(var + options.eps), along);
  if (norm.weight.defined()) y = y * ag::reshape(norm.weight, along);
  return norm.bias.defined() ? y + ag::reshape(norm.bias, along) : y;
}

}  // namespace

ag::Tensor BatchNorm::forward(const ag::Tensor& x) const {
  check(x, axes_ == 1 ? 2 : axes_ + 2);
  if (const auto* sum = sum_over_parts(); sum && is_training())
    return by_all_parts(*this, x, *sum, options_);
  if (!is_training() || !running_mean.defined())
    return ag::batch_norm(x, running_mean, running_var, weight, bias,
                          {.training = !running_mean.defined(), .eps = options_.eps});
  return ag::batch_norm(x, running_mean, running_var, weight, bias,
                        {.training = true,
                         .momentum = options_.momentum,
                         .eps = options_.eps,
                         .num_batches_tracked = num_batches_tracked});
}

InstanceNorm::InstanceNorm(int axes, std::int64_t num_features, const InstanceNormOptions& options)
    : RunningNorm(kInstance[axes - 1], axes, num_features, as_batch(options)) {}

ag::Tensor InstanceNorm::forward(const ag::Tensor& x) const {
  check(x, axes_ + 1);
  const bool unbatched = x.ndim() == axes_ + 1;
  const ag::Tensor y = ag::instance_norm(
      unbatched ? ag::unsqueeze(x, 0) : x, running_mean, running_var, weight, bias,
      {.use_input_stats = is_training() || !running_mean.defined(),
       .momentum = *options_.momentum,
       .eps = options_.eps});
  return unbatched ? ag::squeeze(y, 0) : y;
}

}  // namespace nn::detail
