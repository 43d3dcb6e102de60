#include <algorithm>
#include <cmath>

#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::Lines;

// The order of values: NaN counts as the largest.
template <class T>
bool precedes(T a, T b) {
  return a < b || (a == a && b != b);
}

// Positions of the elements with the ranks first … first + count - 1 of each line; of equal
// elements the earlier ranks first, in either direction.
struct Ranked {
  std::string_view op;
  std::int64_t axis, first, count;
  bool descending = false;
  bool by_position = false;  // the result in order of position, not of rank
  bool nan_wins = false;     // in a line with NaN, its first NaN in place of every rank
  XGRAD_ATTRIBUTES(op, axis, first, count, descending, by_position, nan_wins)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const {
    return {internal::with_size(in[0].shape(), axis, count), int64};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(in[0].shape(), axis);
    dispatch(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* x = static_cast<const T*>(in[0].raw());
      auto* y = static_cast<std::int64_t*>(out.raw_mutable());
      detail::PooledVector<Item<T>> line(static_cast<std::size_t>(s.n));
      for (std::int64_t r = 0; r < s.outer * s.inner; ++r) {
        const std::int64_t o = r / s.inner, i = r % s.inner;
        for (std::int64_t k = 0; k < s.n; ++k)
          line[static_cast<std::size_t>(k)] = {x[(o * s.n + k) * s.inner + i], k};
        const auto* ranks = rank(line);
        for (std::int64_t k = 0; k < count; ++k)
          y[(o * count + k) * s.inner + i] = ranks[k].position;
      }
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    Ranked all = *this;
    ++all.axis;
    return in.call(all, {in[0]});
  }

 private:
  template <class T>
  struct Item {
    T value;
    std::int64_t position;
  };
  template <class T>
  const Item<T>* rank(detail::PooledVector<Item<T>>& line) const {
    if (nan_wins) {
      const auto nan =
          std::find_if(line.begin(), line.end(), [](const auto& e) { return e.value != e.value; });
      if (nan != line.end()) return &*nan;
    }
    const auto before = [this](const Item<T>& a, const Item<T>& b) {
      const bool less = precedes(a.value, b.value), more = precedes(b.value, a.value);
      return less == more ? a.position < b.position : less != descending;
    };
    const auto from = line.begin() + first, to = from + count;
    if (from != line.begin() && from != line.end())
      std::nth_element(line.begin(), from, line.end(), before);
    if (to != line.end()) std::nth_element(from, to, line.end(), before);
    if (by_position)
      std::sort(from, to, [](const auto& a, const auto& b) { return a.position < b.position; });
    else
      std::sort(from, to, before);
    return line.data() + first;
  }
};

// Size of an axis; a 0-d tensor has one of size 1.
std::int64_t extent(const Tensor& x, std::int64_t axis) { return Lines(x.shape(), axis).n; }

struct SearchSorted {
  bool right;
  XGRAD_ATTRIBUTES(right)

  std::string_view name() const { return "searchsorted"; }
  TensorSpec infer(const Inputs& in) const {
    const Shape &sorted = in[0].shape(), &values = in[1].shape();
    internal::check_same_dtype(name(), in[0], in[1]);
    bool fits = sorted.size() == 1 || (!sorted.empty() && sorted.size() == values.size());
    for (std::size_t i = 0; fits && sorted.size() > 1 && i + 1 < sorted.size(); ++i)
      fits = sorted[i] == values[i];
    if (!fits)
      fail(name(),
           "the sorted tensor must be 1-d or agree with the values but for the last axis, "
           "got {} and {}",
           sorted, values);
    return {values, int64};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (out.numel() == 0) return;
    const std::int64_t n = in[0].size(-1);
    const std::int64_t per_row = in[0].ndim() == 1 ? out.numel() : in[1].size(-1);
    dispatch(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* row = static_cast<const T*>(in[0].raw());
      const auto* v = static_cast<const T*>(in[1].raw());
      auto* y = static_cast<std::int64_t*>(out.raw_mutable());
      for (std::int64_t i = 0; i < out.numel(); ++i) {
        const T* start = row + i / per_row * n;
        y[i] = (right ? std::upper_bound(start, start + n, v[i], precedes<T>)
                      : std::lower_bound(start, start + n, v[i], precedes<T>)) -
               start;
      }
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (!in.differs(0) && in.shape(0).size() == 1) return in.call(*this, {in[0], in[1]});
    if (in.shape(0).size() != in.shape(1).size()) return {};
    return in.call(*this, {in.whole(0), in.whole(1)});
  }
};

// One quantile of sorted lines, with the axis of size 1.
Tensor sorted_quantile(const Tensor& sorted, std::int64_t axis, double q, Interpolation mode) {
  if (!(q >= 0 && q <= 1)) fail("quantile", "q must be in [0, 1], got {}", q);
  const std::int64_t n = sorted.size(axis);
  const double at = q * static_cast<double>(n - 1);
  double low = std::floor(at), high = std::ceil(at);
  if (mode == Interpolation::lower) high = low;
  if (mode == Interpolation::higher) low = high;
  if (mode == Interpolation::nearest) low = high = std::nearbyint(at);
  Tensor y = narrow(sorted, axis, static_cast<std::int64_t>(low), 1);
  if (low != high) {
    const Tensor a = y, b = narrow(sorted, axis, static_cast<std::int64_t>(high), 1);
    const double t = mode == Interpolation::midpoint ? 0.5 : at - low;
    const Tensor step = b - a;
    // Beside infinities the difference says nothing.
    y = where(abs(step) < HUGE_VAL, a + t * step, (1 - t) * a + t * b);
  }
  const Tensor last = narrow(sorted, axis, n - 1, 1);
  return where(last != last, last, y);
}

Tensor sorted_lines(const internal::Joined& lines) {
  internal::check_floating("quantile", lines.x);
  if (lines.x.size(lines.axis) == 0)
    fail("quantile", "the reduced axes must not be empty, got shape {}", lines.x.shape());
  return sort(lines.x, lines.axis).values;
}

}  // namespace

Tensor argsort(const Tensor& x, std::int64_t axis, bool descending) {
  const detail::Named as("argsort");
  axis = shapes::axis("argsort", axis, x.shape());
  return apply(Ranked{"argsort", axis, 0, extent(x, axis), descending}, x);
}

ValuesAndIndices sort(const Tensor& x, std::int64_t axis, bool descending) {
  const detail::Named as("sort");
  axis = shapes::axis("sort", axis, x.shape());
  const Tensor indices = argsort(x, axis, descending);
  return {gather(x, axis, indices), indices};
}

ValuesAndIndices topk(const Tensor& x, std::int64_t k, std::int64_t axis, bool largest,
                      bool sorted) {
  const detail::Named as("topk");
  axis = shapes::axis("topk", axis, x.shape());
  const std::int64_t n = extent(x, axis), least = x.ndim() == 0 ? 1 : 0;
  if (k < least || k > n)
    fail("topk", "k must be in [{}, {}] for axis {} of {}, got {}", least, n, axis, x.shape(), k);
  const Tensor indices = apply(Ranked{"topk", axis, 0, k, largest, !sorted}, x);
  return {gather(x, axis, indices), indices};
}

ValuesAndIndices kthvalue(const Tensor& x, std::int64_t k, std::int64_t axis, bool keepdims) {
  const detail::Named as("kthvalue");
  axis = shapes::axis("kthvalue", axis, x.shape());
  const std::int64_t n = extent(x, axis);
  if (k < 1 || k > n)
    fail("kthvalue", "k must be in [1, {}] for axis {} of {}, got {}", n, axis, x.shape(), k);
  const Tensor indices = apply(Ranked{"kthvalue", axis, k - 1, 1}, x);
  const Tensor values = gather(x, axis, indices);
  if (keepdims) return {values, indices};
  return {squeeze(values, axis), squeeze(indices, axis)};
}

Tensor median(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("median");
  const internal::Joined lines("median", x, axes, keepdims);
  const std::int64_t n = lines.x.size(lines.axis);
  if (n == 0) fail("median", "the reduced axes must not be empty, got shape {}", x.shape());
  Ranked op{"median", lines.axis, (n - 1) / 2, 1};
  op.nan_wins = true;
  return reshape(gather(lines.x, lines.axis, apply(op, lines.x)), lines.result);
}

Tensor quantile(const Tensor& x, double q, const Axes& axes, bool keepdims, Interpolation mode) {
  const detail::Named as("quantile");
  const internal::Joined lines("quantile", x, axes, keepdims);
  return reshape(sorted_quantile(sorted_lines(lines), lines.axis, q, mode), lines.result);
}

Tensor quantile(const Tensor& x, const Tensor& q, const Axes& axes, bool keepdims,
                Interpolation mode) {
  const detail::Named as("quantile");
  if (q.ndim() > 1) fail("quantile", "q must be 0-d or 1-d, got shape {}", q.shape());
  internal::check_floating("quantile", q);
  const internal::Joined lines("quantile", x, axes, keepdims);
  const Tensor sorted = sorted_lines(lines);
  TensorList each;
  for (const double value : q.detach().to(float64).to_vector<double>())
    each.push_back(reshape(sorted_quantile(sorted, lines.axis, value, mode), lines.result));
  if (q.ndim() == 0) return each[0];
  if (!each.empty()) return stack(each);
  Shape none{0};
  for (const auto n : lines.result) none.push_back(n);
  return empty(none, x.dtype());
}

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right) {
  const detail::Named as("searchsorted");
  return apply(SearchSorted{right}, sorted, values);
}

}  // namespace autograd
