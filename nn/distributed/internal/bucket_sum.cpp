#include "nn/distributed/internal/bucket_sum.hpp"

#include "autograd/core/cpu.hpp"
#include "nn/distributed/internal/schedule.hpp"
#include "nn/distributed/internal/wire.hpp"

namespace nn::distributed::detail {
namespace {

template <class E>
void add_elements(E* to, const E* from, std::int64_t n) {
  ag::parallel_for(n, 4096, 0.2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = nearest<E>(value(to[i]) + value(from[i]));
  });
}

// The elements that a rank adds up, where ranks have several nodes.
Range part_of(int rank, int ranks, std::int64_t n) {
  return {n * rank / ranks, n * (rank + 1) / ranks};
}

}  // namespace

template <class E>
BucketSum<E>::BucketSum(const World& world, const Shares& shares, int tag, std::int64_t n)
    : Stages(world, tag), world_(world), shares_(shares), n_(n) {
  const auto nodes = shares.nodes(world.rank()).size();
  parts_.assign(nodes, std::vector<E>(static_cast<std::size_t>(n)));
  packed_.resize(static_cast<std::size_t>(world.size()));
  of_rank_.resize(packed_.size());
}

// Each rank has one node and all are alike.
template <class E>
bool BucketSum<E>::halve(std::size_t stage) {
  const auto messages = halving_and_doubling(world_.rank(), world_.size(), n_);
  E* const x = parts_.front().data();
  if (stage > 0)
    if (const Message& m = messages[stage - 1]; m.adds)
      add_elements(x + m.take.begin, received_.data(), m.take.size());
  if (stage == messages.size()) return false;
  const Message& m = messages[stage];
  if (m.adds) received_.resize(static_cast<std::size_t>(m.take.size()));
  transfers_.exchange(x + m.give.begin, m.give.bytes(sizeof(E)), m.partner,
                      m.adds ? received_.data() : x + m.take.begin, m.take.bytes(sizeof(E)),
                      m.partner);
  return true;
}

// Any numbers of nodes: each rank adds up a part of the elements, over the nodes of all ranks, and
// gives the sums to all.
template <class E>
bool BucketSum<E>::collect(std::size_t stage) {
  if (stage == 0) return send_parts(), true;
  if (stage > 1) return false;
  add_parts();
  const int size = world_.size(), me = world_.rank();
  E* const x = parts_.front().data();
  const Range mine = part_of(me, size, n_);
  for (int d = 1; d < size; ++d) {
    const int to = (me + d) % size, from = (me - d + size) % size;
    const Range theirs = part_of(from, size, n_);
    transfers_.exchange(x + mine.begin, mine.bytes(sizeof(E)), to, x + theirs.begin,
                        theirs.bytes(sizeof(E)), from);
  }
  return true;
}

template <class E>
void BucketSum<E>::send_parts() {
  const int size = world_.size(), me = world_.rank();
  const auto width = static_cast<std::size_t>(part_of(me, size, n_).size());
  for (int d = 0; d < size; ++d) {
    const int to = (me + d) % size, from = (me - d + size) % size;
    const Range theirs = part_of(to, size, n_);
    auto& send = packed_[static_cast<std::size_t>(to)];
    send.clear();
    for (const auto& p : parts_)
      send.insert(send.end(), p.begin() + theirs.begin, p.begin() + theirs.end);
    auto& receive = of_rank_[static_cast<std::size_t>(from)];
    receive.resize(shares_.nodes(from).size() * width);
    if (d == 0)
      receive = send;
    else
      transfers_.exchange(send.data(), send.size() * sizeof(E), to, receive.data(),
                          receive.size() * sizeof(E), from);
  }
}

template <class E>
void BucketSum<E>::add_parts() {
  const Range mine = part_of(world_.rank(), world_.size(), n_);
  const auto add = [&](E* left, E* right) { add_elements(left, right, mine.size()); };
  Tree<E*, decltype(add)> tree(add);
  for (int r = 0; r < world_.size(); ++r) {
    E* from = of_rank_[static_cast<std::size_t>(r)].data();
    for (const auto& [first, size] : shares_.nodes(r)) {
      tree.push({first, size, from});
      from += mine.size();
    }
  }
  std::copy_n(tree.nodes().front().sum, mine.size(), parts_.front().data() + mine.begin);
}

template class BucketSum<float>;
template class BucketSum<double>;
template class BucketSum<Float16>;
template class BucketSum<BFloat16>;

}  // namespace nn::distributed::detail
