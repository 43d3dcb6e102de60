#include "autograd/ops/internal/strided.hpp"

#include <algorithm>
#include <cstring>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/pass.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd::internal {
namespace {

// The same block (or its way back) with the far steps of the result first, all of them forwards,
// and with axes that stay together joined: the result is written in order, in long runs.
Block tidy(const Block& block, bool back) {
  Block b;
  b.from_start = back ? block.to_start : block.from_start;
  b.to_start = back ? block.from_start : block.to_start;
  for (std::size_t d = 0; d < block.sizes.size(); ++d) {
    const std::int64_t n = block.sizes[d];
    if (n == 1) continue;
    std::int64_t from = block.from[d], to = block.to[d];
    if (back) std::swap(from, to);
    if (to < 0) {
      b.from_start += (n - 1) * from;
      b.to_start += (n - 1) * to;
      from = -from;
      to = -to;
    }
    std::size_t at = b.sizes.size();
    while (at > 0 && b.to[at - 1] < to) --at;
    b.sizes.insert(b.sizes.begin() + at, n);
    b.from.insert(b.from.begin() + at, from);
    b.to.insert(b.to.begin() + at, to);
  }
  std::size_t last = 0;
  for (std::size_t d = 1; d < b.sizes.size(); ++d) {
    if (b.from[last] == b.from[d] * b.sizes[d] && b.to[last] == b.to[d] * b.sizes[d]) {
      b.sizes[last] *= b.sizes[d];
    } else {
      b.sizes[++last] = b.sizes[d];
    }
    b.from[last] = b.from[d];
    b.to[last] = b.to[d];
  }
  if (!b.sizes.empty()) {
    b.sizes.resize(last + 1);
    b.from.resize(last + 1);
    b.to.resize(last + 1);
  }
  return b;
}

// Calls f(offset of the operand, offset of the result) for every place of the first `axes` axes.
template <class F>
void for_each_place(const Block& b, std::size_t axes, F&& f) {
  InlineVector<std::int64_t, 8> at(axes, 0);
  for (std::int64_t from = b.from_start, to = b.to_start;;) {
    f(from, to);
    std::size_t d = axes;
    for (;;) {
      if (d == 0) return;
      --d;
      from += b.from[d];
      to += b.to[d];
      if (++at[d] < b.sizes[d]) break;
      from -= b.from[d] * b.sizes[d];
      to -= b.to[d] * b.sizes[d];
      at[d] = 0;
    }
  }
}

template <class T>
void copy_run(const T* in, std::int64_t from, T* out, std::int64_t to, std::int64_t n) {
  if (to == 1 && from == 1)
    std::copy_n(in, n, out);
  else if (to == 1 && from == 0)
    std::fill_n(out, n, *in);
  else if (to == 1 && from == -1)
    for (std::int64_t i = 0; i < n; ++i) out[i] = in[-i];
  else if (to == 1)
    for (std::int64_t i = 0; i < n; ++i) out[i] = in[i * from];
  else
    for (std::int64_t i = 0; i < n; ++i) out[i * to] = in[i * from];
}

template <class T>
void add_run(const T* in, std::int64_t from, T* out, std::int64_t to, std::int64_t n) {
  if (to == 1 && from == 1)
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(out[i] + in[i]);
  else
    for (std::int64_t i = 0; i < n; ++i) out[i * to] = static_cast<T>(out[i * to] + in[i * from]);
}

// A matrix whose rows are read down the columns: a tile at a time, so that both sides stay in
// cache.
template <class T>
void transpose_copy(const T* in, std::int64_t from, T* out, std::int64_t to, std::int64_t n,
                    std::int64_t m) {
  constexpr std::int64_t tile = 16;
  const auto copy = [=](std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t b = j; b < j + columns; ++b)
      for (std::int64_t a = 0; a < rows; ++a) out[b * to + i + a] = in[(i + a) * from + b];
  };
  for (std::int64_t i = 0; i < n; i += tile)
    for (std::int64_t j = 0; j < m; j += tile)
      if (i + tile <= n && j + tile <= m)
        copy(i, j, tile, tile);  // constants, so that the loop is unrolled
      else
        copy(i, j, std::min(tile, n - i), std::min(tile, m - j));
}

template <class T>
void run_tidy(const Block& b, const T* in, T* out, bool adds) {
  const std::size_t axes = b.sizes.size();
  if (axes == 0) {
    T& place = out[b.to_start];
    place = adds ? static_cast<T>(place + in[b.from_start]) : in[b.from_start];
    return;
  }
  const std::int64_t n = b.sizes[axes - 1], from = b.from[axes - 1], to = b.to[axes - 1];
  if (!adds && axes > 1 && to == 1 && from != 1 && b.from[axes - 2] == 1) {
    for_each_place(b, axes - 2, [&](std::int64_t i, std::int64_t o) {
      transpose_copy(in + i, from, out + o, b.to[axes - 2], n, b.sizes[axes - 2]);
    });
  } else {
    for_each_place(b, axes - 1, [&](std::int64_t i, std::int64_t o) {
      adds ? add_run(in + i, from, out + o, to, n) : copy_run(in + i, from, out + o, to, n);
    });
  }
}

// Whether two entries of the first axis never write one place, whatever the other axes do.
bool disjoint(const Block& b) {
  std::int64_t reach = 0;
  for (std::size_t d = 1; d < b.sizes.size(); ++d) reach += (b.sizes[d] - 1) * b.to[d];
  return b.to[0] > reach;
}

// Of at most two axes: few elements are moved as soon as a walk is made ready.
template <class T>
void run_few(const Block& b, bool back, const T* in, T* out, bool adds) {
  in += back ? b.to_start : b.from_start;
  out += back ? b.from_start : b.to_start;
  const std::size_t axes = b.sizes.size();
  const auto last = [axes](const auto& list, std::size_t k, std::int64_t otherwise) {
    return k < axes ? list[axes - 1 - k] : otherwise;
  };
  const Strides &from = back ? b.to : b.from, &to = back ? b.from : b.to;
  const std::int64_t rows = last(b.sizes, 1, 1), n = last(b.sizes, 0, 1);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < n; ++i) {
      const T x = in[r * last(from, 1, 0) + i * last(from, 0, 0)];
      T& place = out[r * last(to, 1, 0) + i * last(to, 0, 0)];
      place = adds ? static_cast<T>(place + x) : x;
    }
}

template <class T>
void run(const Block& block, bool back, const T* in, T* out, bool adds) {
  double elements = 1;
  for (const auto n : block.sizes) elements *= static_cast<double>(n);
  if (elements == 0) return;
  constexpr double kFew = 64;
  if (elements <= kFew && block.sizes.size() <= (adds ? 1 : 2))
    return run_few(block, back, in, out, adds);
  const Block b = tidy(block, back);
  if (b.sizes.empty() || (adds && !disjoint(b))) return run_tidy(b, in, out, adds);
  // Along the axis with the farthest steps of the result, which no two threads then share.
  const auto n = b.sizes[0];
  const double cost = elements / static_cast<double>(n) * 0.1 * sizeof(T);
  parallel_for(n, 1, cost, [&](std::int64_t begin, std::int64_t end) {
    if (end - begin == n) return run_tidy(b, in, out, adds);
    Block piece = b;
    piece.sizes[0] = end - begin;
    run_tidy(piece, in + begin * b.from[0], out + begin * b.to[0], adds);
  });
}

}  // namespace

Strides contiguous(const Shape& shape) {
  Strides s(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) s[i - 1] = s[i] * shape[i];
  return s;
}

void Move::forward(const Inputs& in, Tensor& out) const {
  const bool adds = back && plan->repeats;
  std::int64_t written = 0;
  for (const Block& b : plan->blocks) {
    std::int64_t n = 1;
    for (const auto size : b.sizes) n *= size;
    written += n;
  }
  if (adds || written != out.numel()) {
    if (fill == 0 && !std::signbit(fill))
      std::memset(out.raw_mutable(), 0,
                  static_cast<std::size_t>(out.numel()) * size_of(out.dtype()));
    else
      internal::fill(out, fill);
  }
  dispatch(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (const Block& b : plan->blocks)
      run(b, back, static_cast<const T*>(in[0].raw()), static_cast<T*>(out.raw_mutable()), adds);
  });
}

detail::Pass Move::pass(const Inputs&, const Tensor&) const {
  if ((back && plan->repeats) || fill != 0 || std::signbit(fill)) return {};
  return {.operands = {detail::kMoves}};
}

// The same plan for each sample, one axis more in each block.
TensorList Move::batch(const Batch& in) const {
  auto all = detail::make_pooled<Plan>(*plan);
  for (Block& b : all->blocks) {
    b.sizes.insert(b.sizes.begin(), in.samples());
    b.from.insert(b.from.begin(), plan->from.numel());
    b.to.insert(b.to.begin(), plan->to.numel());
  }
  all->from = with_front(in.samples(), plan->from);
  all->to = with_front(in.samples(), plan->to);
  return in.call(Move{std::move(all), back, fill}, {in[0]});
}

void View::slice(std::size_t axis, std::int64_t first, std::int64_t step, std::int64_t length) {
  start += first * strides[axis];
  if (length > 1) strides[axis] *= step;  // else any step will do, also one that overflows
  sizes[axis] = length;
}

void View::select(std::size_t axis, std::int64_t index) {
  start += index * strides[axis];
  sizes.erase(sizes.begin() + axis);
  strides.erase(strides.begin() + axis);
}

namespace {

std::shared_ptr<const Plan> view_plan(std::string_view name, const Shape& whole, const View& view) {
  auto plan = detail::make_pooled<Plan>(name, whole, view.sizes, view.repeats);
  plan->blocks.emplace_back(view.sizes, view.strides, contiguous(view.sizes), view.start);
  return plan;
}

}  // namespace

Tensor gather_view(std::string_view name, const Tensor& x, const View& view) {
  return apply(Move{view_plan(name, x.shape(), view)}, x);
}

Tensor scatter_view(std::string_view name, const Tensor& x, const View& view, const Shape& whole) {
  return apply(Move{view_plan(name, whole, view), true}, x);
}

Tensor cut_and_paste(std::string_view name, const Tensor& x, const Shape& shape,
                     const detail::PooledVector<detail::PooledVector<Piece>>& pieces, bool repeats,
                     double fill) {
  auto plan = detail::make_pooled<Plan>(name, x.shape(), shape, repeats);
  const Strides from = contiguous(x.shape()), to = contiguous(shape);
  std::size_t count = 1;
  for (const auto& axis : pieces) count *= axis.size();
  for (std::size_t k = 0; k < count; ++k) {
    Block b;
    std::size_t rest = k;  // which piece of each axis: the digits of k
    for (std::size_t d = 0; d < pieces.size(); rest /= pieces[d++].size()) {
      const Piece& p = pieces[d][rest % pieces[d].size()];
      b.sizes.push_back(p.length);
      b.from.push_back(p.step * from[d]);
      b.to.push_back(to[d]);
      b.from_start += p.from * from[d];
      b.to_start += p.to * to[d];
    }
    plan->blocks.push_back(std::move(b));
  }
  return apply(Move{std::move(plan), false, fill}, x);
}

}  // namespace autograd::internal
