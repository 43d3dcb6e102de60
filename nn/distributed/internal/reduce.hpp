#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/distributed/internal/tree.hpp"
#include "nn/distributed/world.hpp"

namespace nn::distributed::detail {

/// What is added up: one tensor for each parameter or buffer; undefined is a sum of nothing.
using Sums = ag::TensorList;

/// left += right, each tensor by itself. Rows stay rows where both are.
void add_sums(Sums& left, Sums&& right);

/// The sum over all shards, on every rank, from the nodes of this one: always by the same additions.
/// `range(rank)` is the shards of a rank.
/// `like` has their shapes and dtypes.
Sums reduce(const World& world, std::vector<Node<Sums>> nodes, const Sums& like,
            std::int64_t shards,
            const std::function<std::pair<std::int64_t, std::int64_t>(int)>& range);

}  // namespace nn::distributed::detail
