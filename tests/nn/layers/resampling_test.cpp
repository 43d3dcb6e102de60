#include <cmath>

#include "autograd/core/random.hpp"
#include "autograd/ops/neural/interpolate.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/fold.hpp"
#include "nn/layers/pooling.hpp"
#include "nn/layers/upsample.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using Catch::Matchers::Equals;

TEST_CASE("resampling, folding and unpooling layers print as PyTorch's") {
  using ag::InterpolateMode;
  CHECK(nn::Upsample({.scale_factor = 2, .mode = InterpolateMode::bilinear}).str() ==
        "Upsample(scale_factor=2.0, mode='bilinear')");
  CHECK(nn::Upsample({.size = {3, 4}, .mode = InterpolateMode::nearest_exact}).str() ==
        "Upsample(size=(3, 4), mode='nearest-exact')");
  CHECK(nn::UpsamplingNearest2d({.scale_factor = {2, 3}}).str() ==
        "UpsamplingNearest2d(scale_factor=(2.0, 3.0), mode='nearest')");
  CHECK(nn::UpsamplingBilinear2d({.size = 4}).str() ==
        "UpsamplingBilinear2d(size=4, mode='bilinear')");
  CHECK(nn::Fold({4, 5}, {2, 2}, {.padding = 1}).str() ==
        "Fold(output_size=(4, 5), kernel_size=(2, 2), dilation=1, padding=1, stride=1)");
  CHECK(nn::Unfold(2, {.stride = 2}).str() ==
        "Unfold(kernel_size=2, dilation=1, padding=0, stride=2)");
  CHECK(nn::MaxUnpool2d(2, {.stride = 2}).str() ==
        "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))");
  CHECK(nn::MaxUnpool1d(3).str() == "MaxUnpool1d(kernel_size=(3,), stride=(3,), padding=(0,))");
  CHECK(nn::LPPool2d(2, 3, {.stride = 2}).str() ==
        "LPPool2d(norm_type=2, kernel_size=3, stride=2, ceil_mode=False)");
  CHECK(nn::LPPool2d(1.5, {3, 2}, {.ceil_mode = true}).str() ==
        "LPPool2d(norm_type=1.5, kernel_size=(3, 2), stride=None, ceil_mode=True)");
}

TEST_CASE("an Upsample needs a size or a factor") {
  CHECK_THROWS_WITH(nn::Upsample({}),
                    Equals("Upsample: needs either size or scale_factor, got neither"));
  CHECK_THROWS_WITH(nn::Upsample({.size = 2, .scale_factor = 2}),
                    Equals("Upsample: needs either size or scale_factor, got both"));
}

TEST_CASE("max pooling and MaxUnpool2d keep the largest elements in their places") {
  const ag::Tensor x = ag::randn({2, 3, 5, 7});
  const auto [values, indices] = ag::max_pool2d_with_indices(x, 2);
  const ag::Tensor y = nn::MaxUnpool2d(2)(values, indices, {5, 7});
  CHECK(y.shape() == x.shape());
  CHECK(ag::all((y == x) | (y == 0.0)).item() != 0);
  CHECK(ag::max_pool2d(y, 2).shape() == values.shape());
  CHECK(ag::sum(y != 0.0).item() == static_cast<double>(values.numel()));
}

TEST_CASE("a convolution is the product of its weight with the columns of Unfold") {
  const ag::Tensor x = ag::randn({2, 3, 6, 5}, ag::float64),
                   w = ag::randn({4, 3, 3, 2}, ag::float64);
  const ag::Tensor columns = nn::Unfold({3, 2}, {.padding = 1, .stride = 2})(x);
  const ag::Tensor y = ag::conv2d(x, w, {}, {.stride = 2, .padding = 1});
  const ag::Tensor product = ag::reshape(ag::matmul(ag::flatten(w, 1), columns), y.shape());
  CHECK(ag::max(ag::abs(product - y)).item() < 1e-12);
}

TEST_CASE("Fold adds what Unfold took, as often as windows hold it") {
  const ag::Tensor x = ag::randn({1, 2, 4, 4});
  const nn::Unfold unfold(2);
  const nn::Fold fold(4, 2);
  const ag::Tensor often = fold(unfold(ag::ones({1, 1, 4, 4})));
  CHECK(often.to_vector<float>() ==
        std::vector<float>{1, 2, 2, 1, 2, 4, 4, 2, 2, 4, 4, 2, 1, 2, 2, 1});
  CHECK(ag::max(ag::abs(fold(unfold(x)) - often * x)).item() < 1e-6);
}

TEST_CASE("max pooling layers give the places too, for MaxUnpool to undo them") {
  const ag::Tensor x = ag::randn({2, 3, 6, 4});
  const nn::MaxPool2d pool(2, {.stride = 2});
  const auto [values, places] = pool.with_indices(x);
  CHECK(same_bits(values, pool(x)));
  CHECK(places.dtype() == ag::int64);
  CHECK(same_bits(pool(nn::MaxUnpool2d(2)(values, places)), ag::relu(values)));
  const auto adaptive = nn::AdaptiveMaxPool2d({3, 2}).with_indices(x);
  CHECK(same_bits(adaptive.values, values));
  CHECK(same_bits(adaptive.indices, places));
  CHECK(nn::MaxPool1d(3).with_indices(ag::ones({2, 6})).indices.to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 3, 0, 3});
  CHECK(nn::MaxPool3d(2).with_indices(ag::ones({1, 2, 2, 2})).values.numel() == 1);
  CHECK(nn::AdaptiveMaxPool1d(2).with_indices(ag::ones({1, 4})).values.shape() == ag::Shape(1, 2));
  CHECK(nn::AdaptiveMaxPool3d(1).with_indices(ag::ones({1, 2, 2, 2})).indices.numel() == 1);
}

TEST_CASE("hooks see values and places of a pooling") {
  nn::MaxPool2d pool(2);
  std::size_t seen = 0;
  const auto hook =
      pool.register_forward_hook([&](const nn::Module&, const ag::TensorList&,
                                     const ag::TensorList& outputs) { seen += outputs.size(); });
  (void)pool.with_indices(ag::ones({1, 2, 2}));
  (void)pool(ag::ones({1, 2, 2}));
  CHECK(seen == 3);
  CHECK_THROWS_WITH(pool.with_indices(ag::ones({2})),
                    Catch::Matchers::StartsWith("max_pool2d_with_indices: x must have 4 axes"));
}

TEST_CASE("within a Sequential pooling with places is a function, and MaxUnpool alone is refused") {
  const nn::MaxPool2d pool(2);
  const nn::MaxUnpool2d unpool(2);
  const nn::Sequential both([=](const ag::Tensor& x) { return pool.with_indices(x); },
                            [=](const ag::MaxPooled& p) { return unpool(p.values, p.indices); });
  CHECK(both(ag::ones({1, 4, 4})).shape() == ag::Shape(1, 4, 4));
  CHECK_THROWS_WITH(nn::Sequential(pool, unpool)(ag::ones({1, 4, 4})),
                    Catch::Matchers::ContainsSubstring("MaxUnpool2d"));
}
