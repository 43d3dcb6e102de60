#include "nn/distributed/internal/early.hpp"

#include <algorithm>

#include "autograd/core/trace.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/rows.hpp"

namespace nn::distributed::detail {
namespace {

constexpr int kTag = 16;  // of the first bucket

const void* elements_of(const ag::Tensor& t) {
  return ag::dispatch_floating("DataParallel", t.dtype(),
                               [&](auto zero) -> const void* { return t.data<decltype(zero)>(); });
}

}  // namespace

EarlySums::EarlySums(const World& world, const Shares& shares, ag::TensorList parameters,
                     std::int64_t bucket_bytes)
    : world_(world),
      shares_(shares),
      parameters_(std::move(parameters)),
      bucket_bytes_(bucket_bytes),
      hooks_(parameters_.size()),
      refused_(parameters_.size()) {}

EarlySums::~EarlySums() {
  for (std::size_t i = 0; i < hooks_.size(); ++i) parameters_[i].remove_hook(hooks_[i]);
}

// The hooks stay, because recordings of functions that use the parameters end when they change. Those
// of a shard have what they do as an instruction.
void EarlySums::watch() {
  watching_ = true;
  walker_ = std::this_thread::get_id();
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (hooks_[i] == 0 && parameters_[i].requires_grad())
      hooks_[i] = parameters_[i].register_hook([this, i](const ag::Tensor& gradient) {
        if (watching_ && std::this_thread::get_id() == walker_)
          ag::perform("send_gradient", {gradient}, {},
                      [this, i](const ag::TensorList& now, const ag::TensorList&) {
                        if (sums_) show(i, now[0]);
                      });
        return ag::Tensor();
      });
}

void EarlySums::begin(const std::vector<TensorSum>& sums) {
  seen_.assign(parameters_.size(), {});
  order_.clear();
  for (Bucket& b : buckets_) b.missing = b.members.size();
  begun_ = 0;
  sums_ = &sums;
}

void EarlySums::show(std::size_t i, const ag::Tensor& gradient) {
  Seen& seen = seen_[i];
  const auto& nodes = (*sums_)[i].tree.nodes();
  const auto rows = [](const auto& node) { return node.sum.defined() && ag::is_rows(node.sum); };
  if (++seen.times > 1 || ag::is_rows(gradient) || std::any_of(nodes.begin(), nodes.end(), rows))
    return;
  seen.elements = elements_of(gradient);
  seen.version = gradient.version();
  order_.push_back(i);
  if (!planned(i)) return;
  give(i, gradient);
  --buckets_[static_cast<std::size_t>(places_[i].bucket)].missing;
  begin_ready(false);
  for (std::size_t k = 0; k < begun_; ++k) buckets_[k].sum->advance();
}

// The nodes of this rank for parameter i, of which `gradient` is the last shard's, become its part of
// the bucket.
void EarlySums::give(std::size_t i, const ag::Tensor& gradient) {
  const TensorSum& sum = (*sums_)[i];
  const auto& nodes = sum.tree.nodes();
  const std::int64_t offset = places_[i].offset, n = sum.numel();
  with_element(sum.dtype, sum.wire, [&](auto zero) {
    using E = decltype(zero);
    auto& bucket = sum_of<E>(buckets_[static_cast<std::size_t>(places_[i].bucket)]);
    std::size_t left = nodes.size();
    E* const last = bucket.part(bucket.parts() - 1) + offset;
    fill(last, gradient, n);
    for (std::int64_t size = 1; left > 0 && nodes[left - 1].joins(size); size *= 2)
      add_left(last, nodes[--left].sum, n);
    for (std::size_t k = 0; k < left; ++k) fill(bucket.part(k) + offset, nodes[k].sum, n);
  });
}

void EarlySums::begin_ready(bool all) {
  for (; begun_ < buckets_.size() && (all || buckets_[begun_].missing == 0); ++begun_)
    buckets_[begun_].sum->start();
}

void EarlySums::end() {
  if (!sums_) seen_.assign(parameters_.size(), {}), order_.clear(), begun_ = 0;
  sums_ = nullptr;
  watching_ = false;
  begin_ready(true);
  for (Bucket& b : buckets_) b.sum->finish();
}

bool EarlySums::has_seen(std::size_t i, const ag::Tensor& gradient) const {
  if (i >= seen_.size()) return false;  // no parameter
  const Seen& seen = seen_[i];
  return seen.times == 1 && seen.elements && gradient.defined() && !ag::is_rows(gradient) &&
         elements_of(gradient) == seen.elements && gradient.version() == seen.version;
}

void EarlySums::take(const std::vector<TensorSum>& sums, ag::TensorList& out) const {
  for (const Bucket& b : buckets_)
    for (const std::size_t i : b.members)
      out[i] = with_element(sums[i].dtype, sums[i].wire, [&](auto zero) {
        return tensor_of(sum_of<decltype(zero)>(b).sum() + places_[i].offset, sums[i]);
      });
}

void EarlySums::plan(const std::vector<TensorSum>& sums, const std::vector<Kind>& kinds) {
  bool same = true;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    refused_[i] = refused_[i] || (planned(i) && kinds[i] != early);
    same = same && planned(i) == (kinds[i] == early && !refused_[i]);
  }
  if (same) return;
  ag::Tensor order = ag::zeros({static_cast<std::int64_t>(parameters_.size())}, ag::int64);
  auto* p = order.mutable_data<std::int64_t>();
  for (std::size_t k = 0; k < order_.size(); ++k) p[k] = static_cast<std::int64_t>(order_[k]) + 1;
  world_.broadcast(order);
  buckets_.clear();
  places_.assign(parameters_.size(), {});
  ag::DType dtype = ag::float32;
  for (std::int64_t k = 0; k < order.numel() && p[k] > 0; ++k) {
    const auto i = static_cast<std::size_t>(p[k] - 1);
    if (kinds[i] != early || refused_[i]) continue;
    const auto bytes = [&] {
      return buckets_.back().size * static_cast<std::int64_t>(ag::size_of(dtype));
    };
    if (buckets_.empty() || sums[i].dtype != dtype || bytes() >= bucket_bytes_)
      buckets_.emplace_back();
    dtype = sums[i].dtype;
    places_[i] = {static_cast<int>(buckets_.size()) - 1, buckets_.back().size};
    buckets_.back().size += sums[i].numel();
    buckets_.back().members.push_back(i);
  }
  for (std::size_t k = 0; k < buckets_.size(); ++k) {
    const TensorSum& first = sums[buckets_[k].members.front()];
    with_element(first.dtype, first.wire, [&](auto zero) {
      buckets_[k].sum = std::make_unique<BucketSum<decltype(zero)>>(
          world_, shares_, kTag + static_cast<int>(k), buckets_[k].size);
    });
  }
}

}  // namespace nn::distributed::detail
