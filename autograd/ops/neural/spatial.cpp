#include <fmt/format.h>
#include <fmt/ranges.h>

#include "autograd/ops/neural/internal/spatial.hpp"

namespace autograd::internal {

kernels::Extents per_axis(std::string_view op, std::string_view option, const Integers& numbers,
                          int axes, std::int64_t least, std::int64_t fill) {
  const auto n = static_cast<std::size_t>(axes);
  if (numbers.size() != 1 && numbers.size() != n)
    fail(op, "{} must be one number{}, got ({})", option,
         n == 1 ? "" : fmt::format(" or {}, one for each axis", n), fmt::join(numbers, ", "));
  kernels::Extents result{fill, fill, fill};
  for (std::size_t d = 0; d < n; ++d) {
    const std::int64_t number = numbers[numbers.size() == 1 ? 0 : d];
    if (number < least || number > kLargestOption)
      fail(op, "{} must be in [{}, 2^31], got {}", option, least, number);
    result[3 - n + d] = number;
  }
  return result;
}

kernels::Extents spatial_sizes(const Shape& shape, int axes) {
  kernels::Extents result{1, 1, 1};
  for (std::size_t d = 0; d < static_cast<std::size_t>(axes); ++d)
    result[2 - d] = shape[shape.size() - 1 - d];
  return result;
}

Tensor with_batch(std::string_view op, const Tensor& x, int axes, bool& unbatched) {
  if (x.ndim() != axes + 1 && x.ndim() != axes + 2)
    fail(op, "x must have {} axes (batch, channels, …), or {} without a batch, got shape {}",
         axes + 2, axes + 1, x.shape());
  unbatched = x.ndim() == axes + 1;
  return unbatched ? unsqueeze(x, 0) : x;
}

}  // namespace autograd::internal
