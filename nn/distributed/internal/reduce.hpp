#pragma once

#include <cstdint>
#include <vector>

#include "nn/distributed/data_parallel.hpp"
#include "nn/distributed/internal/tree.hpp"
#include "nn/distributed/internal/wire.hpp"

namespace nn::distributed::detail {

/// f(E{}) with what elements of a dtype travel as.
template <class F>
decltype(auto) with_element(ag::DType dtype, Wire wire, F&& f) {
  if (dtype == ag::float64) return f(double{});
  if (wire == Wire::float16) return f(Float16{});
  if (wire == Wire::bfloat16) return f(BFloat16{});
  return f(float{});
}

/// left += right, rounded as it travels. Rows stay rows where both are; undefined is a sum of nothing.
struct AddTensors {
  Wire wire;
  void operator()(ag::Tensor& left, ag::Tensor&& right) const;
};

/// One tensor that is added up over the shards, and the nodes of this rank's so far.
struct TensorSum {
  ag::Shape shape;
  ag::DType dtype;
  Wire wire;
  Tree<ag::Tensor, AddTensors> tree;

  TensorSum(const ag::Tensor& like, Wire w)
      : shape(like.shape()), dtype(like.dtype()), wire(w), tree(AddTensors{w}) {}
  void push(std::int64_t shard, ag::Tensor t);
  std::int64_t numel() const { return shape.numel(); }
};

/// What a tensor is, on any rank, and so how it travels. `early`: dense, and seen by `EarlySums`.
enum Kind : std::int64_t { none = 0, rows = 1, full = 2, early = 3 };
/// The most that a node of this rank is.
Kind kind_of(const TensorSum& sum);

/// Where the elements of a node go: to[i] = t[i], or nothing where t is undefined.
template <class E>
void fill(E* to, const ag::Tensor& t, std::int64_t n);
/// to = left + to.
template <class E>
void add_left(E* to, const ag::Tensor& left, std::int64_t n);
/// The tensor of such elements.
template <class E>
ag::Tensor tensor_of(const E* from, const TensorSum& like);

/// The sums over all shards, on every rank, of those tensors whose kind is not `none`, into `out`:
/// always by the same additions.
void reduce(const World& world, const Shares& shares, const std::vector<TensorSum>& sums,
            const std::vector<Kind>& kinds, ag::TensorList& out);

}  // namespace nn::distributed::detail
