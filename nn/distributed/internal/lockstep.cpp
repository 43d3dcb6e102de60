#include "nn/distributed/internal/lockstep.hpp"

#include <algorithm>

#include "autograd/core/errors.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/grad_mode.hpp"

namespace nn::distributed::detail {
namespace {

thread_local std::size_t own_turn = 0;

}  // namespace

// The gradient of a sum over shards, in each of them, is the sum of their gradients.
struct Lockstep::Total {
  struct Where : ag::Context {
    Lockstep* lockstep = nullptr;
  };
  struct Sum : ag::Function<Sum, Where> {
    static constexpr std::string_view kName = "sum_over_shards";
    static ag::Tensor forward(Where& ctx, const ag::Tensor& x, Lockstep* lockstep) {
      ctx.lockstep = lockstep;
      return lockstep->wait_for_total(x);
    }
    static ag::TensorList backward(Where& ctx, const ag::TensorList& g) {
      return {ctx.lockstep->sum(g[0])};
    }
  };
};

Lockstep::Lockstep(const World& world, const Shares& shares, std::function<void(std::size_t)> enter,
                   std::function<void(std::size_t)> leave)
    : world_(world), shares_(shares), enter_(std::move(enter)), leave_(std::move(leave)) {}

ag::Tensor Lockstep::sum(const ag::Tensor& part) { return Total::Sum::apply(part, this); }

ag::Tensor Lockstep::wait_for_total(const ag::Tensor& part) {
  std::unique_lock lock(mutex_);
  threads_[own_turn].part = part.detach().clone();
  turn_ = threads_.size();
  changed_.notify_all();
  changed_.wait(lock, [&] { return turn_ == own_turn; });
  if (stopped_) throw ag::Error("stopped, because another shard or rank was");
  return total_.clone();
}

void Lockstep::run(const std::function<void(std::int64_t)>& body) {
  const std::int64_t first = shares_.first(world_.rank());
  threads_ = std::vector<Shard>(static_cast<std::size_t>(shares_.last(world_.rank()) - first));
  turn_ = threads_.size();
  try {
    for (std::size_t k = 0; k < threads_.size(); ++k)
      threads_[k].thread = std::thread([this, &body, k, first, anomaly = ag::anomaly_mode()] {
        const ag::AnomalyMode same(anomaly);
        work(k, [&] { body(first + static_cast<std::int64_t>(k)); });
      });
  } catch (...) {
    failure_ = std::current_exception();
    for (Shard& s : threads_) s.done = !s.thread.joinable();
    stopped_ = true;
  }
  for (bool more = true; more; more = next_sum()) try {
      give_turns();
    } catch (...) {
      failure_ = std::current_exception();
    }
  stopped_ = true;  // nothing is kept from here on
  give_turns();
  for (Shard& s : threads_)
    if (s.thread.joinable()) s.thread.join();
  if (failure_) std::rethrow_exception(failure_);
}

void Lockstep::work(std::size_t k, const std::function<void()>& body) {
  own_turn = k;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return turn_ == k; });
  lock.unlock();
  std::exception_ptr failure;
  try {
    if (!stopped_) body();
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  if (!stopped_ && !failure_) failure_ = failure;
  threads_[k].done = true;
  turn_ = threads_.size();
  changed_.notify_all();
}

// To each shard that is not done, until it wants a sum or is done.
void Lockstep::give_turns() {
  for (std::size_t k = 0; k < threads_.size(); ++k) {
    std::unique_lock lock(mutex_);
    if (threads_[k].done) continue;
    if (!stopped_) enter_(k);
    turn_ = k;
    changed_.notify_all();
    changed_.wait(lock, [&] { return turn_ == threads_.size(); });
    if (!stopped_) leave_(k);
  }
}

namespace {
enum : std::int64_t { kDone = 0, kFailed = 1, kWants = 2 };  // and of how many elements
}

std::int64_t Lockstep::state() const {
  const auto all = [&](auto&& is) { return std::all_of(threads_.begin(), threads_.end(), is); };
  if (failure_) return kFailed;
  if (all([](const Shard& s) { return s.done; })) return kDone;
  const ag::Tensor& part = threads_.front().part;
  const bool alike = all([&](const Shard& s) {
    return !s.done && s.part.shape() == part.shape() && s.part.dtype() == part.dtype();
  });
  return alike ? kWants + part.numel() : -1;
}

// Whether there is one, of all ranks.
bool Lockstep::next_sum() {
  const auto all = world_.gather(state());
  const bool same = std::all_of(all.begin(), all.end(), [&](auto s) { return s == all[0]; });
  if (same && all[0] >= kWants) return add_up(), true;
  const bool failed = std::find(all.begin(), all.end(), kFailed) != all.end();
  if (!failed && !(same && all[0] == kDone))
    failure_ = std::make_exception_ptr(ag::Error(
        "DataParallel::backward: all shards must come to the same batch norms, got others; use "
        "statistics of shards"));
  return false;
}

void Lockstep::add_up() {
  std::vector<TensorSum> sums{{threads_.front().part, Wire::full}};
  std::int64_t shard = shares_.first(world_.rank());
  for (Shard& s : threads_) sums[0].push(shard++, std::move(s.part));
  ag::TensorList out{ag::Tensor()};
  if (world_.size() == 1)
    out[0] = sums[0].tree.nodes().front().sum;
  else
    reduce(world_, shares_, sums, {full}, out);
  total_ = out[0];
}

}  // namespace nn::distributed::detail
