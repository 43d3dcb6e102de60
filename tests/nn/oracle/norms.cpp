#include "autograd/ops/neural/norms.hpp"
#include "nn/layers/batch_norm.hpp"
#include "nn/layers/feature_dropout.hpp"
#include "nn/layers/norms.hpp"
#include "nn/layers/parametrized.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;

Call trained(const nn::AnyModule& model) { return layer(model, true); }
Call evaluated(const nn::AnyModule& model) { return layer(model, false); }

const ag::BatchNormOptions kTraining{.training = true};

std::vector<Row> operations() {
  return {
      {"batch_norm", [](T x, T w, T b) { return ag::batch_norm(x, {}, {}, w, b, kTraining); }},
      {"batch_norm eps=0.1 without affine",
       [](T x) { return ag::batch_norm(x, {}, {}, {}, {}, {.training = true, .eps = 0.1}); }},
      {"batch_norm by running statistics",
       [](T x, T m, T v, T w, T b) { return ag::batch_norm(x, m, v, w, b); }},
      {"instance_norm", [](T x, T w, T b) { return ag::instance_norm(x, {}, {}, w, b); }},
      {"instance_norm without affine eps=0.1",
       [](T x) { return ag::instance_norm(x, {}, {}, {}, {}, {.eps = 0.1}); }},
      {"group_norm", [](T x, T w, T b) { return ag::group_norm(x, 2, w, b); }},
      {"group_norm without affine eps=0.1", [](T x) { return ag::group_norm(x, 3, {}, {}, 0.1); }},
      {"rms_norm", [](T x, T w) { return ag::rms_norm(x, {5}, w); }},
      {"rms_norm two axes eps=0.1",
       [](T x) {
         return ag::rms_norm(x, {3, 5}, {}, 0.1);
       }},
      {"local_response_norm", [](T x) { return ag::local_response_norm(x, 3); }},
      {"local_response_norm size=4",
       [](T x) { return ag::local_response_norm(x, 4, 0.3, 0.6, 1.5); }},
  };
}

std::vector<Row> layers() {
  const nn::BatchNormOptions plain{.eps = 0.1, .momentum = 0.3, .affine = false};
  const nn::InstanceNormOptions both{.affine = true, .track_running_stats = true};
  return {
      {"BatchNorm1d", trained(nn::BatchNorm1d(3))},
      {"BatchNorm1d evaluation", evaluated(nn::BatchNorm1d(3))},
      {"BatchNorm1d momentum=None", trained(nn::BatchNorm1d(3, {.momentum = std::nullopt}))},
      {"BatchNorm2d", trained(nn::BatchNorm2d(3))},
      {"BatchNorm2d eps=0.1 momentum=0.3 without affine", trained(nn::BatchNorm2d(3, plain))},
      {"BatchNorm2d without running statistics",
       evaluated(nn::BatchNorm2d(3, {.track_running_stats = false}))},
      {"BatchNorm3d without bias", trained(nn::BatchNorm3d(2, {.bias = false}))},
      {"BatchNorm3d evaluation", evaluated(nn::BatchNorm3d(2))},
      {"InstanceNorm1d", trained(nn::InstanceNorm1d(3))},
      {"InstanceNorm1d affine running", trained(nn::InstanceNorm1d(3, both))},
      {"InstanceNorm2d affine running evaluation", evaluated(nn::InstanceNorm2d(3, both))},
      {"InstanceNorm2d eps=0.1 affine",
       evaluated(nn::InstanceNorm2d(3, {.eps = 0.1, .affine = true}))},
      {"InstanceNorm3d running momentum=0.3",
       trained(nn::InstanceNorm3d(2, {.momentum = 0.3, .track_running_stats = true}))},
      {"GroupNorm", evaluated(nn::GroupNorm(2, 4))},
      {"GroupNorm eps=0.1 without affine",
       evaluated(nn::GroupNorm(3, 6, {.eps = 0.1, .affine = false}))},
      {"RMSNorm", evaluated(nn::RMSNorm(5))},
      {"RMSNorm two axes eps=0.1", evaluated(nn::RMSNorm({3, 5}, {.eps = 0.1}))},
      {"RMSNorm without affine", evaluated(nn::RMSNorm(5, {.elementwise_affine = false}))},
      {"LocalResponseNorm", evaluated(nn::LocalResponseNorm(3))},
      {"LocalResponseNorm size=4",
       evaluated(nn::LocalResponseNorm(4, {.alpha = 0.3, .beta = 0.6, .k = 1.5}))},
      {"WeightNorm Linear", evaluated(nn::WeightNorm(nn::Linear(4, 3)))},
      {"WeightNorm Conv2d dim=1 without bias",
       evaluated(nn::WeightNorm(nn::Conv2d(2, 3, 2, {.padding = 1, .bias = false}), {.dim = 1}))},
      {"WeightNorm ConvTranspose1d dim=None",
       evaluated(nn::WeightNorm(nn::ConvTranspose1d(2, 3, 2), {.dim = std::nullopt}))},
      {"SpectralNorm Linear", trained(nn::SpectralNorm(nn::Linear(4, 3)))},
      {"SpectralNorm Linear evaluation", evaluated(nn::SpectralNorm(nn::Linear(4, 3)))},
      {"SpectralNorm Conv2d n_power_iterations=2",
       trained(nn::SpectralNorm(nn::Conv2d(2, 3, 2), {.n_power_iterations = 2}))},
      {"SpectralNorm ConvTranspose1d", trained(nn::SpectralNorm(nn::ConvTranspose1d(2, 3, 2)))},
      {"Dropout1d evaluation", evaluated(nn::Dropout1d())},
      {"Dropout2d evaluation", evaluated(nn::Dropout2d())},
      {"Dropout3d evaluation", evaluated(nn::Dropout3d())},
      {"AlphaDropout p=0 training", trained(nn::AlphaDropout(0))},
      {"FeatureAlphaDropout evaluation", evaluated(nn::FeatureAlphaDropout())},
      {"Conv2d BatchNorm2d network",
       trained(nn::Sequential(nn::Conv2d(1, 2, 3, {.padding = 1, .bias = false}),
                              nn::BatchNorm2d(2, {.track_running_stats = false}), nn::Tanh(),
                              nn::MaxPool2d(2), nn::Flatten(), nn::Linear(18, 2)))},
  };
}

}  // namespace

namespace oracle {

void add_norms(std::vector<Row>& rows) {
  for (const auto& table : {operations(), layers()})
    rows.insert(rows.end(), table.begin(), table.end());
}

const Cases norms_cases(add_norms);

}  // namespace oracle
