#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "autograd/compile.hpp"
#include "nn/distributed/world.hpp"

#pragma GCC visibility push(default)

namespace nn::distributed {

/// How float32 gradients travel between ranks.
enum class Wire : std::uint8_t {
  full,     ///< as they are
  float16,  ///< 11 bits of precision, from 6e-8 to 65504; beyond that infinity
  bfloat16  ///< 8 bits of precision, the range of float32
};

/// Over what batch norm takes its statistics in training.
enum class BatchStatistics : std::uint8_t {
  shard,  ///< the samples of a shard
  whole   ///< all samples of the batch, of all ranks
};

/// What a rank has of a batch that is shared out: see `distributed::DataLoader`.
template <class B>
struct ShardedBatch {
  std::vector<B> shards;    ///< those of this rank, in order
  std::int64_t rows = 0;    ///< samples of the whole batch, on all ranks
  std::uint64_t order = 0;  ///< tells batches apart, the same on all ranks
};

namespace detail {

class Reducer;

/// The rows [first, last) of a batch that are shard s.
inline std::pair<std::int64_t, std::int64_t> rows_of_shard(std::int64_t s, std::int64_t shards,
                                                           std::int64_t rows) {
  return {s * rows / shards, (s + 1) * rows / shards};
}

/// f(part of a batch), or of its tensors one by one.
template <class F, class B>
auto call_with(F& f, const B& part) {
  if constexpr (std::invocable<F&, const B&>)
    return f(part);
  else if constexpr (requires { f(part.x, part.y); })
    return f(part.x, part.y);
  else
    return std::apply(f, part);
}
/// For a function of two tensors or of the list. Throws if there are not two.
template <class F>
auto call_with(F& f, const ag::TensorList& part) {
  if constexpr (std::invocable<F&, const ag::Tensor&, const ag::Tensor&>) {
    if (part.size() != 2)
      ag::fail("DataParallel::backward",
               "a loss of two tensors must get a batch of two, got {}; take a TensorList",
               part.size());
    return f(part[0], part[1]);
  } else {
    return f(part);
  }
}

}  // namespace detail

template <class F>
class CompiledBackward;

/// Options of `DataParallel`.
struct DataParallelOptions {
  /// Into how many parts a batch is cut: a power of two, at least as many as ranks. Another number
  /// gives other bits.
  std::int64_t shards = 16;
  /// Other than `full`: the gradients of each shard and each sum of two of them are rounded to the
  /// nearest such number, ties to even, on one rank too. So the bits are those of this option, for
  /// any number of ranks. float64 gradients, losses and statistics travel as they are.
  Wire wire = Wire::full;
  /// `whole`: the statistics of each batch norm, and their gradients, are summed over the shards in
  /// the same tree, as PyTorch's SyncBatchNorm does. The shards of a rank then go on together, from
  /// one batch norm to the next, each on a thread of its own, of which one works at a time: all must
  /// come to the same batch norms, the memory is that of all of them, `compile` is refused, and
  /// gradients travel after the walk.
  BatchStatistics batch_statistics = BatchStatistics::shard;
  /// Gradients begin to travel while the backward walk of the last shard goes on, in buckets that
  /// are closed at so many bytes; 0: after it. The bits are the same for any number.
  std::int64_t bucket_bytes = 1 << 19;
};

/// Trains one model on the processes of a world: each computes gradients for its share of every
/// batch, and all end with the same sum, in the same bits, for any number of ranks and threads.
///
/// A batch is cut along its first axis into `shards` parts, shared out over the ranks in order; shard
/// s is the rows [s B / shards, (s + 1) B / shards). The gradients of the shards are added in one
/// binary tree over all shards, within a rank first. What a rank computes alone is the same for any
/// number of ranks:
///
/// - random numbers (dropout) belong to the shard: its generator begins anew in each, from a number
///   that the default generator gives for the step;
/// - floating buffers (running statistics of batch norm) begin each shard as they were before the
///   step, and become the mean over the shards; other buffers become those of the first shard. So
///   statistics are those of a shard of B / shards samples, unless the options say otherwise.
///
/// The ranks must run the same program on the same data; the first batch is compared, in each step
/// the number of rows, the samples of a batch that is shared out, and which parameters require
/// gradients, and the weights in steps 0, 1, 2, 4, 8, …: other options of an optimizer on one rank
/// are noticed in the second.
class DataParallel {
 public:
  /// Gives all ranks the parameters, buffers and default generator of rank 0. Throws unless model
  /// and options are alike on all ranks. Model and world must outlive this object.
  DataParallel(Module& model, const World& world, const DataParallelOptions& options = {});
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// Computes the gradients of the model's parameters, adding to those that are there, and returns
  /// the sum of the losses. `loss(x, y)` is called for each shard of this rank with its rows of the
  /// batch; it returns one element, the shard's part of the loss: a sum over its samples divided by
  /// the size of the batch, for the mean over the batch. Throws if the batch has fewer rows than
  /// there are shards. What is thrown on one rank is thrown there and an error that names it on all
  /// others, and each then has the gradients, buffers and generator from before: they may skip the
  /// batch together.
  template <std::invocable<const ag::Tensor&, const ag::Tensor&> F>
  double backward(const ag::Tensor& x, const ag::Tensor& y, F&& loss) {
    return backward({x, y}, [&](const ag::TensorList& rows) { return loss(rows[0], rows[1]); });
  }
  /// The same for batches of any number of tensors.
  double backward(const ag::TensorList& batch,
                  const std::function<ag::Tensor(const ag::TensorList&)>& loss);
  /// The same for a batch of which each rank has its own shards only, by `distributed::DataLoader`:
  /// `loss(shard)`, or its members or elements one by one, as in `loss(x, y)`. Throws unless it has
  /// as many shards as this rank.
  template <class B, class F>
  double backward(const ShardedBatch<B>& batch, F&& loss) {
    return run<B>(batch, [&](const B& shard, bool last) {
      return walk(detail::call_with(loss, shard), last);
    });
  }

  /// A function that is called as `backward` with all but the loss. Forward and backward pass of a
  /// shard are recorded at the first one and replayed, as a function of `ag::compile` is, to the same
  /// bits; what sends the gradients is part of the recording. It must not outlive this object.
  ///
  ///     auto step = parallel.compile([&](const ag::Tensor& x, const ag::Tensor& y) { … });
  ///     const double loss = step(x, y);
  template <class F>
  CompiledBackward<std::decay_t<F>> compile(F&& loss, const ag::CompileOptions& recordings = {}) {
    check_replays();
    return {*this, std::forward<F>(loss), recordings};
  }

  /// The options that bits depend on: shards, wire and batch statistics. `Checkpoint` keeps them.
  StateDict state_dict() const;
  /// Throws unless they are those of the saved run.
  void load_state_dict(const StateDict& state);

  /// Of which this is a rank.
  const World& world() const noexcept { return world_; }
  std::int64_t shards() const noexcept { return shards_; }
  /// The shards [first, last) of a rank.
  std::int64_t first_shard(int rank) const { return shards_ * rank / world_.size(); }
  std::int64_t last_shard(int rank) const { return first_shard(rank + 1); }

 private:
  template <class F>
  friend class CompiledBackward;
  // The rows of a batch on all ranks, and a number that must be the same on them. May throw.
  using Whole = std::function<std::pair<std::int64_t, std::uint64_t>()>;
  // Leaves the gradients of a shard with the parameters and returns its loss; `last` of this rank.
  template <class Part>
  using Shard = std::function<ag::Tensor(const Part& part, bool last)>;
  double run(const Whole& whole, const Shard<std::int64_t>& shard);
  double run(const ag::TensorList& batch, const Shard<ag::TensorList>& shard);
  template <class B>
  double run(const ShardedBatch<B>& batch, const Shard<B>& shard) {
    const auto whole = [&] {
      check_own(batch.shards.size());
      return std::pair(batch.rows, batch.order);
    };
    return run(whole, [&, first = first_shard(world_.rank())](std::int64_t s, bool last) {
      return shard(batch.shards[static_cast<std::size_t>(s - first)], last);
    });
  }
  void check_own(std::size_t shards) const;
  // Before the walk of a shard, and where that is replayed before its forward pass.
  void begin_walk(bool last);
  ag::Tensor walk(const ag::Tensor& loss, bool last);
  void check_replays() const;

  Module& model_;
  const World& world_;
  std::int64_t shards_;
  bool together_;  // shards go on together, from one batch norm to the next
  std::uint64_t steps_ = 0;
  std::unique_ptr<detail::Reducer> reducer_;
};

/// A compiled `DataParallel::backward`. One thread.
template <class F>
class CompiledBackward {
 public:
  double operator()(const ag::Tensor& x, const ag::Tensor& y) { return (*this)({x, y}); }
  /// For a loss of a list.
  double operator()(const ag::TensorList& batch) {
    return parallel_.run(batch, replayed<ag::TensorList>());
  }
  /// For a batch of which each rank has its own shards only, of tensors.
  template <class B>
  requires(ag::TensorStructure<B> || std::same_as<B, ag::TensorList>) double operator()(
      const ShardedBatch<B>& batch) {
    return parallel_.run(batch, replayed<B>());
  }
  ag::CompileStats stats() const { return shard_.stats(); }

 private:
  friend class DataParallel;
  struct WithGradients {
    F loss;
    template <class... A>
    requires std::invocable<F&, const A&...> ag::Tensor operator()(const A&... part) {
      const ag::Tensor value = loss(part...);
      value.backward();
      return value.detach();
    }
  };
  template <class Part>
  DataParallel::Shard<Part> replayed() {
    return [this](const Part& part, bool last) {
      parallel_.begin_walk(last);
      return detail::call_with(shard_, part);
    };
  }
  template <class G>
  CompiledBackward(DataParallel& parallel, G&& loss, const ag::CompileOptions& recordings)
      : parallel_(parallel), shard_(WithGradients{std::forward<G>(loss)}, recordings) {}

  DataParallel& parallel_;
  ag::CompiledFunction<WithGradients> shard_;
};

}  // namespace nn::distributed

#pragma GCC visibility pop
