#include "nn/distributed/internal/reducer.hpp"

#include <algorithm>

namespace nn::distributed::detail {

Reducer::Reducer(const Module& model, const World& world, const DataParallelOptions& options)
    : world_(world), shares_{options.shards, world.size()}, wire_(options.wire) {
  if (world.size() > 1 && options.bucket_bytes > 0)
    early_.emplace(world, shares_, model.parameters(), options.bucket_bytes);
}

void Reducer::begin(std::vector<TensorSum> sums) {
  sums_ = std::move(sums);
  last_.clear();
  confirmed_.assign(sums_.size(), false);
  kinds_.assign(sums_.size(), none);
  good_ = true;
  if (early_) early_->watch();
}

void Reducer::begin_walk() {
  if (early_) early_->begin(sums_);
}

void Reducer::push(std::int64_t shard, ag::TensorList tensors) {
  if (shard + 1 == shares_.last(world_.rank())) {
    last_ = std::move(tensors);
    return;
  }
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i].push(shard, std::move(tensors[i]));
}

void Reducer::push_last(bool confirmed) {
  for (std::size_t i = 0; i < last_.size(); ++i)
    if (confirmed_[i] == confirmed)
      sums_[i].push(shares_.last(world_.rank()) - 1, std::move(last_[i]));
}

std::vector<std::vector<std::int64_t>> Reducer::agree(std::vector<std::int64_t> numbers) {
  if (early_) early_->end();
  const std::size_t own = numbers.size();
  std::vector<bool> seen(sums_.size(), false);
  for (std::size_t i = 0; early_ && i < last_.size(); ++i) {
    seen[i] = early_->has_seen(i, last_[i]);
    confirmed_[i] = seen[i] && early_->planned(i);
  }
  push_last(false);
  for (std::size_t i = 0; i < sums_.size(); ++i)
    numbers.push_back(seen[i] ? early : kind_of(sums_[i]));
  std::vector<std::vector<std::int64_t>> all(own);
  std::vector<bool> by_all(sums_.size(), true);
  for (const auto& from : world_.gather(numbers)) {
    for (std::size_t k = 0; k < own; ++k) all[k].push_back(from[k]);
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const auto kind = static_cast<Kind>(from[own + i]);
      by_all[i] = by_all[i] && kind == early;
      kinds_[i] = std::max(kinds_[i], std::min(kind, full));
    }
  }
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (by_all[i]) kinds_[i] = early;
    good_ = good_ && (by_all[i] || !early_ || !early_->planned(i));
  }
  return all;
}

ag::TensorList Reducer::finish() {
  ag::TensorList out(sums_.size(), ag::Tensor());
  if (world_.size() == 1) {
    for (std::size_t i = 0; i < sums_.size(); ++i)
      out[i] = std::move(sums_[i].tree.nodes().front().sum);
    return out;
  }
  std::vector<Kind> rest = kinds_;
  if (early_ && good_) {
    early_->take(sums_, out);
    for (std::size_t i = 0; i < rest.size(); ++i)
      if (early_->planned(i)) rest[i] = none;
  }
  if (!good_) push_last(true);
  reduce(world_, shares_, sums_, rest, out);
  if (early_) early_->plan(sums_, kinds_);
  return out;
}

}  // namespace nn::distributed::detail
