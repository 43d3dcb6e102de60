// xtensor comes first here: the library must put its temporaries right afterwards too.
#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xarray.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xview.hpp>
#endif

#include "autograd/array.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("the temporaries of xtensor keep their shape where xtensor is included first") {
  const xt::xarray<float> a = xt::ones<float>({20, 30});
  const auto sums = xt::eval(xt::sum(xt::view(a, xt::range(0, 7)), {1}));
  const ag::Tensor t = sums;
  CHECK(t.shape() == ag::Shape{7});
  CHECK(t.to_vector<float>() == std::vector<float>(7, 30));
}
