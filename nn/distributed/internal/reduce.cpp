#include "nn/distributed/internal/reduce.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "autograd/core/cpu.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/rows.hpp"
#include "nn/distributed/internal/schedule.hpp"

namespace nn::distributed::detail {

namespace {

// Adding -0 changes no number, not even -0.
constexpr double kNothing = -0.0;

template <class T>
void add_elements(T* to, const T* from, std::int64_t n) {
  ag::parallel_for(n, 4096, 0.2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

ag::Tensor add_rows(const ag::Tensor& left, const ag::Tensor& right) {
  // A row of both is the sum from 0 on, of the left one first.
  return ag::from_rows(left.shape(), ag::concat({ag::row_indices(left), ag::row_indices(right)}, 0),
                       ag::concat({ag::row_values(left), ag::row_values(right)}, 0));
}

}  // namespace

void add_sums(Sums& left, Sums&& right) {
  for (std::size_t i = 0; i < left.size(); ++i) {
    ag::Tensor &a = left[i], &b = right[i];
    if (!b.defined()) continue;
    if (!a.defined()) {
      a = std::move(b);
    } else if (ag::is_rows(a) && ag::is_rows(b)) {
      a = add_rows(a, b);
    } else {
      const ag::Tensor& other = b;
      ag::dispatch_floating("DataParallel", a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        add_elements(a.mutable_data<T>(), other.data<T>(), a.numel());
      });
    }
    b = {};
  }
}

namespace {

// What a tensor of the sums is, on any rank: how it travels.
enum Kind : std::int64_t { none = 0, rows = 1, full = 2 };

// Of each tensor the most that a node of any rank has: dense where one of them is.
std::vector<Kind> kinds(const World& world, const std::vector<Node<Sums>>& nodes, std::size_t n) {
  ag::Tensor mine = ag::zeros({static_cast<std::int64_t>(n)}, ag::int64);
  auto* p = mine.mutable_data<std::int64_t>();
  for (const auto& node : nodes)
    for (std::size_t i = 0; i < n; ++i) {
      const ag::Tensor& t = node.sum[i];
      p[i] = std::max<std::int64_t>(p[i], !t.defined() ? none : ag::is_rows(t) ? rows : full);
    }
  std::vector<Kind> most(n, none);
  for (const ag::Tensor& t : world.gather(mine))
    for (std::size_t i = 0; i < n; ++i)
      most[i] = std::max(most[i], static_cast<Kind>(t.data<std::int64_t>()[i]));
  return most;
}

// The elements of the dense tensors of one dtype, one after another.
template <class T>
struct Flat {
  std::vector<T> elements;

  void append(const ag::Tensor& t, std::int64_t n) {
    if (!t.defined())
      elements.insert(elements.end(), static_cast<std::size_t>(n), static_cast<T>(kNothing));
    else
      elements.insert(elements.end(), t.data<T>(), t.data<T>() + n);
  }
};

// Each rank has one node and all are alike.
template <class T>
void halve_and_double(const World& world, std::vector<T>& x) {
  std::vector<T> received;
  for (const Message& m :
       halving_and_doubling(world.rank(), world.size(), static_cast<std::int64_t>(x.size()))) {
    T* to = x.data() + m.take.begin;
    if (m.adds) {
      received.resize(static_cast<std::size_t>(m.take.size()));
      to = received.data();
    }
    world.exchange(x.data() + m.give.begin, m.give.bytes(sizeof(T)), m.partner, to,
                   m.take.bytes(sizeof(T)), m.partner);
    if (m.adds) add_elements(x.data() + m.take.begin, to, m.take.size());
  }
}

// Any numbers of nodes: each rank adds up a part of the elements, over the nodes of all ranks, and
// gives the sums to all. `parts[k]` are the elements of this rank's node k.
template <class T>
std::vector<T> collect(const World& world, std::vector<std::vector<T>>&& parts, std::int64_t n,
                       const std::function<std::pair<std::int64_t, std::int64_t>(int)>& range) {
  const int size = world.size(), me = world.rank();
  const auto part = [&](int rank) { return Range{n * rank / size, n * (rank + 1) / size}; };
  const Range mine = part(me);
  const auto width = static_cast<std::size_t>(mine.end - mine.begin);
  const auto add = [](std::vector<T>& a, std::vector<T>&& b) {
    add_elements(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
  };
  // The messages come in the order of distance, the tree wants that of ranks.
  std::vector<std::vector<T>> of_rank(static_cast<std::size_t>(size));
  for (int d = 0; d < size; ++d) {
    const int to = (me + d) % size, from = (me - d + size) % size;
    const Range theirs = part(to);
    std::vector<T> send;
    for (const auto& p : parts)
      send.insert(send.end(), p.begin() + theirs.begin, p.begin() + theirs.end);
    if (d == 0) {
      of_rank[static_cast<std::size_t>(me)] = std::move(send);
      continue;
    }
    const auto [first, last] = range(from);
    auto& receive = of_rank[static_cast<std::size_t>(from)];
    receive.resize(cover(first, last).size() * width);
    world.exchange(send.data(), send.size() * sizeof(T), to, receive.data(),
                   receive.size() * sizeof(T), from);
  }
  Tree<std::vector<T>, decltype(add)> tree(add);
  for (int r = 0; r < size; ++r) {
    const auto [first, last] = range(r);
    auto from = of_rank[static_cast<std::size_t>(r)].begin();
    for (const auto& [at, count] : cover(first, last)) {
      tree.push({at, count, std::vector<T>(from, from + static_cast<std::ptrdiff_t>(width))});
      from += static_cast<std::ptrdiff_t>(width);
    }
  }
  std::vector<T> out(static_cast<std::size_t>(n));
  const std::vector<T>& sum = tree.nodes().front().sum;
  std::copy(sum.begin(), sum.end(), out.begin() + mine.begin);
  for (int d = 1; d < size; ++d) {
    const int to = (me + d) % size, from = (me - d + size) % size;
    const Range theirs = part(from);
    world.exchange(sum.data(), mine.bytes(sizeof(T)), to, out.data() + theirs.begin,
                   theirs.bytes(sizeof(T)), from);
  }
  return out;
}

using Ranges = std::function<std::pair<std::int64_t, std::int64_t>(int)>;

// The tensors of one dtype that are dense on any rank.
template <class T>
void reduce_dense(const World& world, const std::vector<Node<Sums>>& nodes, const Sums& like,
                  const std::vector<Kind>& kind, std::int64_t shards, const Ranges& range,
                  Sums& out) {
  std::vector<std::vector<T>> parts;
  for (const auto& node : nodes) {
    Flat<T> flat;
    for (std::size_t i = 0; i < like.size(); ++i)
      if (kind[i] == full && like[i].dtype() == ag::dtype_of<T>)
        flat.append(node.sum[i], like[i].numel());
    parts.push_back(std::move(flat.elements));
  }
  if (parts.front().empty()) return;
  std::vector<T> sums;
  if (std::has_single_bit(static_cast<unsigned>(world.size())) && shards % world.size() == 0) {
    sums = std::move(parts.front());
    halve_and_double(world, sums);
  } else {
    const auto n = static_cast<std::int64_t>(parts.front().size());
    sums = collect(world, std::move(parts), n, range);
  }
  const T* from = sums.data();
  for (std::size_t i = 0; i < like.size(); ++i) {
    if (kind[i] != full || like[i].dtype() != ag::dtype_of<T>) continue;
    out[i] = ag::empty(like[i].shape(), ag::dtype_of<T>);
    std::copy_n(from, like[i].numel(), out[i].mutable_data<T>());
    from += like[i].numel();
  }
}

// Every rank gets the rows of all nodes and adds them up.
ag::Tensor reduce_rows(const World& world, const std::vector<Node<Sums>>& nodes, std::size_t i,
                       const ag::Tensor& like, const Ranges& range) {
  ag::Shape none_of_it = like.shape();
  none_of_it[0] = 0;
  const auto nodes_of = [&](int rank) {
    const auto [first, last] = range(rank);
    return cover(first, last);
  };
  std::size_t most = 0;
  for (int r = 0; r < world.size(); ++r) most = std::max(most, nodes_of(r).size());
  std::vector<std::vector<ag::Tensor>> places, values;  // of each node of each rank
  for (std::size_t k = 0; k < most; ++k) {
    const bool have = k < nodes.size() && nodes[k].sum[i].defined();
    places.push_back(
        world.gather(have ? ag::row_indices(nodes[k].sum[i]) : ag::zeros({0}, ag::int64)));
    values.push_back(
        world.gather(have ? ag::row_values(nodes[k].sum[i]) : ag::zeros(none_of_it, like.dtype())));
  }
  Tree<Sums, void (*)(Sums&, Sums &&)> tree(add_sums);
  for (int r = 0; r < world.size(); ++r) {
    const auto rank = static_cast<std::size_t>(r);
    std::size_t k = 0;
    for (const auto& [first, size] : nodes_of(r)) {
      const ag::Tensor &at = places[k][rank], &rows_at = values[k][rank];
      ++k;
      tree.push({first,
                 size,
                 {at.numel() > 0 ? ag::from_rows(like.shape(), at, rows_at) : ag::Tensor()}});
    }
  }
  return tree.nodes().front().sum[0];
}

}  // namespace

Sums reduce(const World& world, std::vector<Node<Sums>> nodes, const Sums& like,
            std::int64_t shards, const Ranges& range) {
  if (world.size() == 1) return std::move(nodes.front().sum);
  const std::vector<Kind> kind = kinds(world, nodes, like.size());
  Sums out(like.size());
  reduce_dense<float>(world, nodes, like, kind, shards, range, out);
  reduce_dense<double>(world, nodes, like, kind, shards, range, out);
  for (std::size_t i = 0; i < like.size(); ++i)
    if (kind[i] == rows) out[i] = reduce_rows(world, nodes, i, like[i], range);
  return out;
}

}  // namespace nn::distributed::detail
