#include "autograd/ops/neural/pooling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

struct Windows {
  std::int64_t height, width, kernel, stride, padding;
};

// One window after the other: of equal elements the first, of NaNs the last.
template <class T>
void check_planes(const Tensor& x, const ag::MaxPooled& pooled, const Windows& w) {
  const auto *from = x.data<T>(), *values = pooled.values.data<T>();
  const auto* indices = pooled.indices.data<std::int64_t>();
  const std::int64_t rows = pooled.values.size(2), columns = pooled.values.size(3);
  for (std::int64_t i = 0; i < pooled.values.numel(); ++i) {
    const T* plane = from + i / (rows * columns) * w.height * w.width;
    const std::int64_t top = i / columns % rows * w.stride - w.padding,
                       left = i % columns * w.stride - w.padding;
    std::int64_t best = -1;
    for (std::int64_t r = std::max<std::int64_t>(top, 0); r < std::min(top + w.kernel, w.height);
         ++r)
      for (std::int64_t c = std::max<std::int64_t>(left, 0); c < std::min(left + w.kernel, w.width);
           ++c) {
        const T v = plane[r * w.width + c];
        if (best < 0 || v > plane[best] || std::isnan(v)) best = r * w.width + c;
      }
    REQUIRE(indices[i] == best);
    REQUIRE((values[i] == plane[best] || (std::isnan(values[i]) && std::isnan(plane[best]))));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("max pooling finds the largest of each window, at any width", "", float,
                   double) {
  for (const Windows& w : {Windows{4, 1, 1, 1, 0}, Windows{6, 7, 3, 2, 1}, Windows{24, 24, 2, 2, 0},
                           Windows{9, 37, 2, 2, 1}, Windows{11, 70, 3, 1, 1},
                           Windows{8, 67, 3, 3, 0}, Windows{33, 66, 4, 2, 2}}) {
    INFO(w.height << " by " << w.width << ", kernel " << w.kernel << ", stride " << w.stride);
    Tensor x = ag::floor(4.0 * ag::rand({3, 2, w.height, w.width}, ag::dtype_of<TestType>));
    x.template mutable_data<TestType>()[w.height * w.width - 1] =
        std::numeric_limits<TestType>::quiet_NaN();
    const ag::MaxPoolOptions options{.stride = w.stride, .padding = w.padding};
    check_planes<TestType>(x, ag::max_pool2d_with_indices(x, w.kernel, options), w);
  }
}

TEST_CASE("the gradient of max pooling has the same bits for any number of threads") {
  Tensor x = ag::randn({6, 16, 40, 40}).requires_grad_();
  const auto gradient = [&] {
    x.zero_grad();
    ag::sum(ag::square(ag::max_pool2d(x, 3, {.stride = 1}))).backward();
    return x.grad().clone();
  };
  const Tensor one = gradient();
  ag::set_num_threads(3);
  const Tensor three = gradient();
  ag::set_num_threads(1);
  CHECK(ag::all(one == three).item<bool>());
}
