#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

/// The binary tree over shards in which everything is added: a node covers the shards
/// [first, first + size), size a power of two and first a multiple of it, and is the sum of its two
/// halves, the left one first.
namespace nn::distributed::detail {

template <class T>
struct Node {
  std::int64_t first = 0, size = 1;
  T sum;
};

/// Nodes of neighbouring shards, from left to right, added up as far as the tree allows.
/// `add(left, right)` adds in place.
template <class T, class Add>
class Tree {
 public:
  explicit Tree(Add add) : add_(std::move(add)) {}
  void push(Node<T> node) {
    nodes_.push_back(std::move(node));
    while (nodes_.size() > 1) {
      Node<T>&left = nodes_[nodes_.size() - 2], &right = nodes_.back();
      if (left.size != right.size || left.first % (2 * left.size) != 0) break;
      add_(left.sum, std::move(right.sum));
      left.size *= 2;
      nodes_.pop_back();
    }
  }
  std::vector<Node<T>>& nodes() { return nodes_; }

 private:
  std::vector<Node<T>> nodes_;
  Add add_;
};

/// The nodes that are left of the shards [first, last): first shards and sizes.
inline std::vector<std::pair<std::int64_t, std::int64_t>> cover(std::int64_t first,
                                                                std::int64_t last) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  while (first < last) {
    auto size = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(last - first)));
    if (first != 0) size = std::min(size, first & -first);
    out.emplace_back(first, size);
    first += size;
  }
  return out;
}

}  // namespace nn::distributed::detail
