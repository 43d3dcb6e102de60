#include "nn/distributed/data_parallel.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <utility>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/distributed/internal/failure.hpp"
#include "nn/distributed/internal/lockstep.hpp"
#include "nn/distributed/internal/reducer.hpp"
#include "nn/layers/parts.hpp"
#include "nn/module/fingerprint.hpp"
#include "nn/module/state_reader.hpp"

namespace nn::distributed {

namespace {

using detail::Reducer, detail::TensorSum;

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  return fingerprint(ag::tensor({static_cast<std::int64_t>(a), static_cast<std::int64_t>(b)}));
}

// Names, shapes and dtypes.
std::uint64_t kind_of(const Module& model) {
  StateDict kinds;
  for (const auto& [name, tensor] : model.state_dict()) {
    ag::Tensor sizes = ag::zeros({tensor.ndim() + 1}, ag::int64);
    auto* p = sizes.mutable_data<std::int64_t>();
    for (int i = 0; i < tensor.ndim(); ++i) p[i] = tensor.size(i);
    p[tensor.ndim()] = static_cast<std::int64_t>(tensor.dtype());
    kinds.push_back({name, sizes});
  }
  return fingerprint(kinds);
}

std::uint64_t fingerprint_of(const DataParallelOptions& options) {
  return fingerprint(
      ag::tensor({options.shards, static_cast<std::int64_t>(options.wire),
                  static_cast<std::int64_t>(options.batch_statistics), options.bucket_bytes}));
}

// What ranks must agree on in each step: the rows of the batch, and who gets a gradient.
std::uint64_t kind_of_step(const ag::TensorList& parameters, std::int64_t rows) {
  std::vector<std::int64_t> all{rows};
  for (const ag::Tensor& p : parameters) all.push_back(p.requires_grad());
  return fingerprint(ag::tensor(all));
}

std::uint64_t fingerprint_of(const ag::TensorList& batch) {
  std::uint64_t all = 0;
  for (const ag::Tensor& t : batch) all = mixed(all, fingerprint(t));
  return all;
}

// The elements of tensors now, to put them back.
class Kept {
 public:
  explicit Kept(const ag::TensorList& tensors) : tensors_(tensors) {
    for (const ag::Tensor& t : tensors)
      copies_.push_back(t.clone()), versions_.push_back(t.version());
  }
  bool changed(std::size_t i) const { return tensors_[i].version() != versions_[i]; }
  void put_back() {
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (changed(i)) write(i, copies_[i]);
  }
  // What has changed, and back to it.
  ag::TensorList changes() const {
    ag::TensorList all(tensors_.size(), ag::Tensor());
    for (std::size_t i = 0; i < all.size(); ++i)
      if (changed(i)) all[i] = tensors_[i].clone();
    return all;
  }
  void change(const ag::TensorList& to) {
    for (std::size_t i = 0; i < to.size(); ++i)
      if (to[i].defined()) tensors_[i].copy_(to[i]);
  }
  // As if it had been so.
  void write(std::size_t i, const ag::Tensor& from) {
    tensors_[i].copy_(from);
    versions_[i] = tensors_[i].version();
  }

 private:
  ag::TensorList tensors_, copies_;
  std::vector<std::uint32_t> versions_;
};

std::int64_t rows_of(const ag::TensorList& batch) {
  if (batch.empty()) ag::fail("DataParallel::backward", "a batch must have a tensor, got none");
  for (const ag::Tensor& t : batch)
    if (!t.defined() || t.ndim() == 0 || t.size(0) != batch[0].size(0))
      ag::fail("DataParallel::backward",
               "the tensors of a batch must have one number of rows, got {}{}",
               t.defined() ? "shape " : "an undefined one",
               t.defined() ? fmt::format("{} beside {}", t.shape(), batch[0].shape()) : "");
  return batch[0].size(0);
}

std::string_view name_of(Wire wire) {
  return wire == Wire::full       ? "full"
         : wire == Wire::float16  ? "float16"
         : wire == Wire::bfloat16 ? "bfloat16"
                                  : "unknown";
}

std::string_view name_of_statistics(bool together) { return together ? "whole" : "shard"; }

void check_rows(std::int64_t rows, std::int64_t shards) {
  if (rows < shards)
    ag::fail(
        "DataParallel::backward",
        "a batch must have a row for each shard, got {} rows for {} shards; make batches larger, "
        "or shards fewer",
        rows, shards);
}

}  // namespace

DataParallel::DataParallel(Module& model, const World& world, const DataParallelOptions& options)
    : model_(model),
      world_(world),
      shards_(options.shards),
      together_(options.batch_statistics == BatchStatistics::whole) {
  if (options.bucket_bytes < 0)
    ag::fail("DataParallel", "bucket_bytes must be at least 0, got {}", options.bucket_bytes);
  if (shards_ < 1 || !std::has_single_bit(static_cast<std::uint64_t>(shards_)))
    ag::fail("DataParallel", "shards must be a power of two, got {}", shards_);
  if (shards_ < world.size())
    ag::fail("DataParallel",
             "there must be a shard for each rank, got {} for {} ranks; set shards to "
             "a larger power of two",
             shards_, world.size());
  world.check_same("the options of DataParallel", fingerprint_of(options));
  world.check_same("the names, shapes and dtypes of a model", kind_of(model));
  world.broadcast(model);
  const ag::Generator::State state = ag::default_generator().state();
  ag::Tensor same = ag::tensor(
      {static_cast<std::int64_t>(state.seed), static_cast<std::int64_t>(state.position)});
  world.broadcast(same);
  const auto* p = same.data<std::int64_t>();
  ag::default_generator().set_state(
      {static_cast<std::uint64_t>(p[0]), static_cast<std::uint64_t>(p[1])});
  reducer_ = std::make_unique<Reducer>(model, world, options);
}

namespace {

// What a step changes while it goes over its shards, put back at its end: all of it if it fails.
struct Step {
  ag::TensorList parameters, before;  // with the gradients that were there
  ag::TensorList floating, counted;   // buffers
  Kept statistics, counts;
  ag::Generator::State random = ag::default_generator().state();

  Step(const Module& model, ag::TensorList f, ag::TensorList c)
      : parameters(model.parameters()),
        before(parameters.size()),
        floating(std::move(f)),
        counted(std::move(c)),
        statistics(floating),
        counts(counted) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (parameters[i].requires_grad())
        before[i] = parameters[i].grad(), parameters[i].zero_grad();
  }
  void undo() {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (parameters[i].requires_grad()) parameters[i].set_grad(before[i]);
    statistics.put_back(), counts.put_back();
    ag::default_generator().set_state(random);
  }
  // Of a shard: the gradients, the floating buffers where it changed them, and as numbers its loss and
  // which buffers those are.
  ag::TensorList take(double loss) {
    ag::TensorList all;
    for (ag::Tensor& p : parameters) {
      all.push_back(p.requires_grad() ? p.grad() : ag::Tensor());
      if (p.requires_grad()) p.zero_grad();
    }
    ag::Tensor numbers = no_numbers();
    auto* to = numbers.mutable_data<double>();
    *to++ = loss;
    for (std::size_t i = 0; i < floating.size(); ++i) {
      const bool changed = statistics.changed(i);
      *to++ = changed;
      all.push_back(changed ? floating[i].clone() : ag::Tensor());
    }
    all.push_back(numbers);
    statistics.put_back();
    return all;
  }
  // What a shard has so far, while another has its turn.
  struct Turn {
    ag::TensorList gradients, floating, counted;
  };
  Turn leave() {
    Turn turn{{}, statistics.changes(), counts.changes()};
    for (ag::Tensor& p : parameters) {
      turn.gradients.push_back(p.requires_grad() ? p.grad() : ag::Tensor());
      if (p.requires_grad()) p.zero_grad();
    }
    statistics.put_back(), counts.put_back();
    return turn;
  }
  void enter(Turn turn) {
    for (std::size_t i = 0; i < turn.gradients.size(); ++i)
      if (parameters[i].requires_grad()) parameters[i].set_grad(turn.gradients[i]);
    statistics.change(turn.floating), counts.change(turn.counted);
  }
  // What take() gives is added up so.
  std::vector<TensorSum> sums(Wire wire) const {
    std::vector<TensorSum> all;
    for (const ag::Tensor& p : parameters) all.emplace_back(p, wire);
    for (const ag::Tensor& b : floating) all.emplace_back(b, Wire::full);
    all.emplace_back(no_numbers(), Wire::full);
    return all;
  }
  ag::Tensor no_numbers() const {
    return ag::zeros({1 + static_cast<std::int64_t>(floating.size())}, ag::float64);
  }
  // Returns the loss.
  double finish(const ag::TensorList& total) {
    const ag::NoGrad no_grad;
    const std::size_t n = parameters.size();
    for (std::size_t i = 0; i < n; ++i) {
      if (!parameters[i].requires_grad()) continue;
      ag::Tensor sum = before[i].defined() ? before[i].clone() : ag::Tensor();
      detail::AddTensors{Wire::full}(sum, ag::Tensor(total[i]));
      parameters[i].set_grad(sum);
    }
    for (std::size_t i = 0; i < floating.size(); ++i)
      if (total[n + i].defined())
        statistics.write(i, total[n + i] / total.back().data<double>()[1 + i]);
    return total.back().data<double>()[0];
  }
};

}  // namespace

namespace {

// body(shard) for each shard of this rank: one after another, or together from one sum over all
// shards to the next.
void for_shards(const World& world, const detail::Shares& shares, bool together, Step& step,
                const std::function<void(std::int64_t)>& body) {
  const std::int64_t begin = shares.first(world.rank()), end = shares.last(world.rank());
  if (!together) {
    for (std::int64_t s = begin; s < end; ++s) body(s);
    return;
  }
  std::vector<Step::Turn> turns(static_cast<std::size_t>(end - begin));
  detail::Lockstep lockstep(
      world, shares, [&](std::size_t k) { step.enter(std::move(turns[k])); },
      [&](std::size_t k) { turns[k] = step.leave(); });
  const nn::detail::SumOverParts sum = [&](const ag::Tensor& t) { return lockstep.sum(t); };
  lockstep.run([&](std::int64_t s) {
    const nn::detail::PartOfBatch part(sum);
    body(s);
  });
}

}  // namespace

DataParallel::~DataParallel() = default;

void DataParallel::check_replays() const {
  if (together_)
    ag::fail("DataParallel::compile",
             "statistics must be those of shards, got those of whole batches; call backward()");
}

void DataParallel::check_own(std::size_t shards) const {
  const std::int64_t own = last_shard(world_.rank()) - first_shard(world_.rank());
  if (static_cast<std::int64_t>(shards) != own)
    ag::fail("DataParallel::backward",
             "a batch must have the {} shards of this rank, got {}; make its loader with this "
             "DataParallel",
             own, shards);
}

StateDict DataParallel::state_dict() const {
  return {named_scalar("shards", shards_),
          named_scalar("wire", static_cast<std::int64_t>(reducer_->wire())),
          named_scalar("whole_batch_statistics", together_)};
}

void DataParallel::load_state_dict(const StateDict& state) {
  StateReader reader("DataParallel", state);
  const std::int64_t shards = reader.integer("shards"), wire = reader.integer("wire");
  const bool together = reader.flag("whole_batch_statistics");
  reader.finish();
  const auto check = [](const char* option, const auto& saved, const auto& own) {
    if (saved != own)
      ag::fail("DataParallel", "{} must be {} as in the saved run, got {}", option, saved, own);
  };
  check("shards", shards, shards_);
  check("wire", name_of(static_cast<Wire>(wire)), name_of(reducer_->wire()));
  check("batch_statistics", name_of_statistics(together), name_of_statistics(together_));
}

void DataParallel::begin_walk(bool last) {
  if (last && !together_) reducer_->begin_walk();
}

ag::Tensor DataParallel::walk(const ag::Tensor& loss, bool last) {
  begin_walk(last);
  loss.backward();
  return loss.detach();
}

double DataParallel::backward(const ag::TensorList& batch,
                              const std::function<ag::Tensor(const ag::TensorList&)>& loss) {
  return run(batch, [&](const ag::TensorList& rows, bool last) { return walk(loss(rows), last); });
}

// A batch that all ranks have: compared once.
double DataParallel::run(const ag::TensorList& batch, const Shard<ag::TensorList>& shard) {
  std::int64_t rows = 0;
  const auto whole = [&] {
    rows = rows_of(batch);
    return std::pair(rows, steps_ > 0 ? 0 : fingerprint_of(batch));
  };
  return run(whole, [&](std::int64_t s, bool last) {
    const auto [begin, end] = detail::rows_of_shard(s, shards_, rows);
    ag::TensorList part;
    for (const ag::Tensor& t : batch) part.push_back(ag::narrow(t, 0, begin, end - begin));
    return shard(part, last);
  });
}

double DataParallel::run(const Whole& whole, const Shard<std::int64_t>& shard) {
  ag::detail::refuse_in_trace("DataParallel::backward", "compile what the loss calls");
  ag::TensorList floating, counted;
  for (const ag::Tensor& b : model_.buffers())
    (ag::is_floating(b.dtype()) ? floating : counted).push_back(b);
  Step step(model_, std::move(floating), std::move(counted));
  const std::int64_t begin = first_shard(world_.rank()), end = last_shard(world_.rank());
  reducer_->begin(step.sums(reducer_->wire()));
  ag::TensorList counted_once;  // integer buffers after the first shard
  ag::Generator::State after;
  std::int64_t rows = 0, seen = 0, weights = 0;
  std::exception_ptr failure;
  try {
    const auto [all, number] = whole();
    check_rows(all, shards_);
    rows = all, seen = static_cast<std::int64_t>(number);
    if (steps_ == 0 || std::has_single_bit(steps_))
      weights = static_cast<std::int64_t>(fingerprint_of(step.parameters));
    const std::uint64_t seed = ag::default_generator().next_u64();
    after = ag::default_generator().state();
    for_shards(world_, {shards_, world_.size()}, together_, step, [&](std::int64_t s) {
      ag::default_generator().set_state({mixed(seed, static_cast<std::uint64_t>(s)), 0});
      const ag::Tensor value = shard(s, s + 1 == end);
      reducer_->push(s, step.take(value.to(ag::float64).item()));
      if (s == begin)
        for (const ag::Tensor& t : step.counted) counted_once.push_back(t.clone());
      step.counts.put_back();
    });
  } catch (...) {
    failure = std::current_exception();
  }
  ag::TensorList total;
  try {
    const auto kind = static_cast<std::int64_t>(kind_of_step(step.parameters, rows));
    const auto all = reducer_->agree({failure != nullptr, seen, kind, weights});
    detail::throw_failures(world_, "compute its part of the batch", failure, all[0]);
    detail::check_same(steps_ > 0 ? "the samples of a batch" : "the first batch", all[1]);
    detail::check_same("the rows of a batch and which parameters require gradients", all[2]);
    detail::check_same("the weights", all[3]);
    ++steps_;
    total = reducer_->finish();
  } catch (...) {
    step.undo();
    throw;
  }
  ag::default_generator().set_state(after);
  const double loss = step.finish(total);
  for (std::size_t i = 0; i < step.counted.size(); ++i) {
    step.counts.write(i, counted_once[i]);
    world_.broadcast(step.counted[i]);
  }
  return loss;
}

}  // namespace nn::distributed
