#include "nn/distributed/internal/reduce.hpp"

#include <algorithm>
#include <functional>

#include "autograd/core/cpu.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/rows.hpp"
#include "nn/distributed/internal/bucket_sum.hpp"

namespace nn::distributed::detail {
namespace {

constexpr int kTag = 8;  // of what is not summed up early

// Adding -0 changes no number, not even -0.
constexpr float kNothing = -0.0f;

template <class F>
void for_elements(std::int64_t n, F&& f) {
  ag::parallel_for(n, 4096, 0.2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  });
}

// The elements that a tensor keeps become those that would travel.
void round_elements(ag::Tensor& t, Wire wire) {
  if (!t.defined() || wire == Wire::full || t.dtype() != ag::float32) return;
  with_element(t.dtype(), wire, [&](auto zero) {
    using E = decltype(zero);
    if constexpr (sizeof(E) == 2) {
      const auto round = [](float* p, std::int64_t n) {
        for_elements(n, [p](std::int64_t i) { p[i] = value(nearest<E>(p[i])); });
      };
      if (!ag::is_rows(t)) return round(t.mutable_data<float>(), t.numel());
      const auto rows = ag::detail::rows_to_change(t);
      round(static_cast<float*>(rows.values), rows.count * rows.width);
      ag::detail::rows_changed(t);
    }
  });
}

ag::Tensor add_rows(const ag::Tensor& left, const ag::Tensor& right) {
  // A row of both is the sum from 0 on, of the left one first.
  return ag::from_rows(left.shape(), ag::concat({ag::row_indices(left), ag::row_indices(right)}, 0),
                       ag::concat({ag::row_values(left), ag::row_values(right)}, 0));
}

}  // namespace

void AddTensors::operator()(ag::Tensor& a, ag::Tensor&& b) const {
  const ag::Tensor right = std::move(b);
  if (!right.defined()) return;
  if (!a.defined()) {
    a = right;
  } else if (ag::is_rows(a) && ag::is_rows(right)) {
    a = add_rows(a, right);
    round_elements(a, wire);
  } else {
    with_element(a.dtype(), wire, [&](auto zero) {
      using E = decltype(zero);
      using T = Value<E>;
      T* to = a.mutable_data<T>();
      const T* from = right.data<T>();
      for_elements(a.numel(), [=](std::int64_t i) { to[i] = value(nearest<E>(to[i] + from[i])); });
    });
  }
}

void TensorSum::push(std::int64_t shard, ag::Tensor t) {
  round_elements(t, wire);
  tree.push({shard, 1, std::move(t)});
}

Kind kind_of(const TensorSum& sum) {
  Kind most = none;
  for (const auto& node : sum.tree.nodes())
    if (node.sum.defined()) most = std::max(most, ag::is_rows(node.sum) ? rows : full);
  return most;
}

template <class E>
void fill(E* to, const ag::Tensor& t, std::int64_t n) {
  using T = Value<E>;
  if (!t.defined()) return std::fill_n(to, n, nearest<E>(T{kNothing})), void();
  const T* from = t.data<T>();
  for_elements(n, [=](std::int64_t i) { to[i] = nearest<E>(from[i]); });
}

template <class E>
void add_left(E* to, const ag::Tensor& left, std::int64_t n) {
  if (!left.defined()) return;
  const auto* from = left.data<Value<E>>();
  for_elements(n, [=](std::int64_t i) { to[i] = nearest<E>(from[i] + value(to[i])); });
}

template <class E>
ag::Tensor tensor_of(const E* from, const TensorSum& like) {
  ag::Tensor t = ag::empty(like.shape, like.dtype);
  auto* to = t.mutable_data<Value<E>>();
  for_elements(t.numel(), [=](std::int64_t i) { to[i] = value(from[i]); });
  return t;
}

#define INSTANTIATE(E)                                         \
  template void fill(E*, const ag::Tensor&, std::int64_t);     \
  template void add_left(E*, const ag::Tensor&, std::int64_t); \
  template ag::Tensor tensor_of(const E*, const TensorSum&);
INSTANTIATE(float)
INSTANTIATE(double)
INSTANTIATE(Float16)
INSTANTIATE(BFloat16)
#undef INSTANTIATE

namespace {

// The dense tensors that travel as E, one after another.
template <class E>
void reduce_dense(const World& world, const Shares& shares, const std::vector<TensorSum>& sums,
                  const std::vector<std::size_t>& which, ag::TensorList& out) {
  std::int64_t n = 0;
  for (const std::size_t i : which) n += sums[i].numel();
  if (n == 0) return;
  BucketSum<E> bucket(world, shares, kTag, n);
  for (std::size_t k = 0; k < bucket.parts(); ++k) {
    E* to = bucket.part(k);
    for (const std::size_t i : which) {
      fill(to, sums[i].tree.nodes()[k].sum, sums[i].numel());
      to += sums[i].numel();
    }
  }
  bucket.start();
  bucket.finish();
  const E* from = bucket.sum();
  for (const std::size_t i : which) {
    out[i] = tensor_of(from, sums[i]);
    from += sums[i].numel();
  }
}

// Places and values of the rows of all nodes of one rank, as a message.
template <class E>
struct Rows {
  std::vector<std::int64_t> counts, places;  // counts by node
  std::vector<E> values;

  void append(const ag::Tensor& t) {
    if (!t.defined()) return counts.push_back(0);
    const auto rows = ag::detail::rows_of(t);
    counts.push_back(rows.count);
    places.insert(places.end(), rows.places, rows.places + rows.count);
    const auto* from = static_cast<const Value<E>*>(rows.values);
    for (std::int64_t i = 0; i < rows.count * rows.width; ++i)
      values.push_back(nearest<E>(from[i]));
  }
  // The rows of the next node, from row `at` on.
  ag::Tensor node(std::size_t k, std::int64_t& at, const TensorSum& like) const {
    const std::int64_t n = counts[k];
    if (n == 0) return {};
    ag::Shape shape = like.shape;
    shape[0] = n;
    ag::Tensor indices = ag::empty({n}, ag::int64), rows = ag::empty(shape, like.dtype);
    std::copy_n(places.begin() + at, n, indices.mutable_data<std::int64_t>());
    const std::int64_t width = rows.numel() / n;
    auto* to = rows.mutable_data<Value<E>>();
    for (std::int64_t i = 0; i < rows.numel(); ++i)
      to[i] = value(values[static_cast<std::size_t>(at * width + i)]);
    at += n;
    return ag::from_rows(like.shape, indices, rows);
  }
};

// Every rank gets the rows of all nodes and adds them up.
template <class E>
ag::Tensor reduce_rows(const World& world, const Shares& shares, const TensorSum& sum) {
  const int size = world.size(), me = world.rank();
  std::vector<Rows<E>> all(static_cast<std::size_t>(size));
  Rows<E>& mine = all[static_cast<std::size_t>(me)];
  for (const auto& node : sum.tree.nodes()) mine.append(node.sum);
  std::size_t most = 0;
  for (int r = 0; r < size; ++r) most = std::max(most, shares.nodes(r).size());
  std::vector<std::int64_t> counts = mine.counts;
  counts.resize(most);
  const auto gathered = world.gather(counts);
  const std::int64_t width = sum.numel() / std::max<std::int64_t>(sum.shape[0], 1);
  for (int d = 1; d < size; ++d) {
    const int to = (me + d) % size, from = (me - d + size) % size;
    Rows<E>& other = all[static_cast<std::size_t>(from)];
    other.counts = gathered[static_cast<std::size_t>(from)];
    std::int64_t n = 0;
    for (const std::int64_t count : other.counts) n += count;
    other.places.resize(static_cast<std::size_t>(n));
    other.values.resize(static_cast<std::size_t>(n * width));
    world.exchange(mine.places.data(), mine.places.size() * sizeof(std::int64_t), to,
                   other.places.data(), other.places.size() * sizeof(std::int64_t), from);
    world.exchange(mine.values.data(), mine.values.size() * sizeof(E), to, other.values.data(),
                   other.values.size() * sizeof(E), from);
  }
  Tree<ag::Tensor, AddTensors> tree(AddTensors{sum.wire});
  for (int r = 0; r < size; ++r) {
    std::int64_t at = 0;
    std::size_t k = 0;
    for (const auto& [first, count] : shares.nodes(r))
      tree.push({first, count, all[static_cast<std::size_t>(r)].node(k++, at, sum)});
  }
  return tree.nodes().front().sum;
}

}  // namespace

void reduce(const World& world, const Shares& shares, const std::vector<TensorSum>& sums,
            const std::vector<Kind>& kinds, ag::TensorList& out) {
  std::vector<std::size_t> single, twice, wired;  // by what they travel as
  Wire wire = Wire::full;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (kinds[i] == rows)
      out[i] = with_element(sums[i].dtype, sums[i].wire, [&](auto zero) {
        return reduce_rows<decltype(zero)>(world, shares, sums[i]);
      });
    if (kinds[i] < full) continue;
    if (sums[i].dtype == ag::float64)
      twice.push_back(i);
    else if (sums[i].wire == Wire::full)
      single.push_back(i);
    else
      wired.push_back(i), wire = sums[i].wire;
  }
  reduce_dense<float>(world, shares, sums, single, out);
  reduce_dense<double>(world, shares, sums, twice, out);
  with_element(ag::float32, wire,
               [&](auto zero) { reduce_dense<decltype(zero)>(world, shares, sums, wired, out); });
}

}  // namespace nn::distributed::detail
