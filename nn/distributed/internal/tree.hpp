#pragma once

#include <algorithm>
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

  /// Whether they are the two halves of a node.
  bool joins(std::int64_t next_size) const { return size == next_size && first % (2 * size) == 0; }
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
      if (!left.joins(right.size)) break;
      add_(left.sum, std::move(right.sum));
      left.size *= 2;
      nodes_.pop_back();
    }
  }
  std::vector<Node<T>>& nodes() { return nodes_; }
  const std::vector<Node<T>>& nodes() const { return nodes_; }

 private:
  std::vector<Node<T>> nodes_;
  Add add_;
};

/// How shards are shared out over ranks: in order, as evenly as can be.
struct Shares {
  std::int64_t shards;
  int ranks;

  std::int64_t first(int rank) const { return shards * rank / ranks; }
  std::int64_t last(int rank) const { return first(rank + 1); }
  /// Whether each rank ends with one node, and all are alike.
  bool even() const { return std::has_single_bit(static_cast<unsigned>(ranks)); }
  /// The nodes that are left of the shards of a rank: first shards and sizes.
  std::vector<std::pair<std::int64_t, std::int64_t>> nodes(int rank) const {
    std::vector<std::pair<std::int64_t, std::int64_t>> out;
    for (std::int64_t at = first(rank), end = last(rank); at < end; at += out.back().second) {
      auto size = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(end - at)));
      if (at != 0) size = std::min(size, at & -at);
      out.emplace_back(at, size);
    }
    return out;
  }
};

}  // namespace nn::distributed::detail
