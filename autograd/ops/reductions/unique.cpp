#include "autograd/ops/reductions/unique.hpp"

#include <algorithm>
#include <numeric>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd {
namespace {

// The order of values: NaN counts as the largest.
template <class T>
bool precedes(T a, T b) {
  return a < b || (a == a && b != b);
}

// The rows of a matrix in ascending order, as places; equal ones in the order in which they stand.
struct OrderOfRows {
  std::string_view name() const { return "unique"; }
  TensorSpec infer(const Inputs& in) const { return {{in[0].size(0)}, int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t width = in[0].size(1);
    auto* order = static_cast<std::int64_t*>(out.raw_mutable());
    std::iota(order, order + out.numel(), std::int64_t{0});
    dispatch(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* x = static_cast<const T*>(in[0].raw());
      std::stable_sort(order, order + out.numel(), [&](std::int64_t a, std::int64_t b) {
        const T *left = x + a * width, *right = x + b * width;
        return std::lexicographical_compare(left, left + width, right, right + width, precedes<T>);
      });
    });
  }
};

}  // namespace

UniqueElements unique(const Tensor& x, std::int64_t axis) {
  const detail::Named as("unique");
  internal::check_defined("unique", x);
  axis = shapes::axis("unique", axis, x.shape());
  const std::int64_t n = x.size(axis);
  const Tensor rows = reshape(movedim(x.detach(), {axis}, {0}), {n, n == 0 ? 0 : x.numel() / n});
  const Tensor order = apply(OrderOfRows{}, rows), sorted = index_select(rows, 0, order);
  Tensor first = ones({n}, boolean);  // of equal ones
  if (n > 1)
    first = concat({narrow(first, 0, 0, 1),
                    any(narrow(sorted, 0, 1, n - 1) != narrow(sorted, 0, 0, n - 1), {1})});
  const Tensor group = cumsum(first, 0) - 1;
  return {index_select(x.detach(), axis, masked_select(order, first)),
          scatter(zeros({n}, int64), 0, order, group), bincount(group)};
}

}  // namespace autograd
