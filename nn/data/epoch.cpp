#include "nn/data/epoch.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace nn::data::detail {
namespace {

// The `index`-th of the generators that belong to a seed.
ag::Generator stream(std::uint64_t seed, std::int64_t index) {
  ag::Generator source(seed);
  source.set_state({seed, 4 * static_cast<std::uint64_t>(index)});
  return ag::Generator(source.next_u64());
}

}  // namespace

ag::Generator EpochPlan::begin(std::uint64_t seed, std::int64_t epoch) {
  ag::Generator generator = stream(seed, epoch);
  transform_seed_ = generator.next_u64();
  ag::Generator others(~transform_seed_);
  batch_seed_ = others.next_u64();
  sample_seed_ = others.next_u64();
  return generator;
}

EpochPlan::EpochPlan(std::uint64_t seed, std::int64_t epoch, std::int64_t samples,
                     std::int64_t batch_size, bool shuffle)
    : batch_size_(batch_size) {
  ag::Generator generator = begin(seed, epoch);
  order_ = shuffle ? ag::randperm(samples, generator) : ag::arange(samples);
}

EpochPlan::EpochPlan(std::uint64_t seed, std::int64_t epoch, std::int64_t from,
                     std::int64_t batch_size, const Sampler& sampler)
    : batch_size_(batch_size), sampled_(true) {
  ag::Generator generator = begin(seed, epoch);
  order_ = sampler.draw(generator);
  if (!order_.defined() || order_.dtype() != ag::int64 || order_.shape() != ag::Shape{sampler.size})
    ag::fail("DataLoader", "the sampler must draw int64 {}, got {}", ag::Shape{sampler.size},
             order_.defined() ? fmt::format("{} {}", name(order_.dtype()), order_.shape())
                              : "an undefined tensor");
  for (const std::int64_t place : order_.to_vector<std::int64_t>())
    if (place < 0 || place >= from)
      ag::fail("DataLoader", "the sampler must draw places in [0, {}), got {}", from, place);
}

std::span<const std::int64_t> EpochPlan::samples(std::int64_t batch) const {
  const std::int64_t from = batch * batch_size_;
  const std::int64_t n = std::min(batch_size_, order_.numel() - from);
  return {order_.data<std::int64_t>() + from, static_cast<std::size_t>(n)};
}

ag::Generator EpochPlan::for_transform(std::int64_t batch) const {
  return stream(transform_seed_, batch);
}
ag::Generator EpochPlan::for_batch(std::int64_t batch) const { return stream(batch_seed_, batch); }
ag::Generator EpochPlan::for_sample(std::int64_t sample, std::int64_t place) const {
  return stream(sample_seed_, sampled_ ? place : sample);
}

// Batches are ordered ahead and taken by whichever thread is free; they are handed out in the order
// in which they were ordered.
class EpochRun::Threads {
 public:
  explicit Threads(const Make& make) : make_(make) {}
  ~Threads() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  // As many as the system gives; returns whether there is one.
  bool start(std::int64_t n) {
    used_.resize(static_cast<std::size_t>(n));
    try {
      for (std::size_t i = 0; i < used_.size(); ++i) threads_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
    }
    return !threads_.empty();
  }

  // Sees to it that batches up to `next` + `ahead` are ordered.
  void order(std::int64_t& next, std::int64_t end, std::int64_t ahead) {
    const std::lock_guard lock(mutex_);
    for (; next < end && static_cast<std::int64_t>(jobs_.size()) < ahead; wake_.notify_one())
      jobs_.push_back({next++, nullptr, nullptr, false});
  }

  std::unique_ptr<MadeBatch> take() {
    std::unique_lock lock(mutex_);
    if (jobs_.empty()) return nullptr;
    done_.wait(lock, [this] { return jobs_.front().done; });
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    --begun_;
    lock.unlock();
    if (job.error) std::rethrow_exception(job.error);
    return std::move(job.batch);
  }

  void give_back(std::unique_ptr<MadeBatch> used) {
    const std::lock_guard lock(mutex_);
    used_[used->maker].push_back(std::move(used));
  }

 private:
  struct Job {
    std::int64_t index;
    std::unique_ptr<MadeBatch> batch;
    std::exception_ptr error;
    bool done;
  };

  void work(std::size_t me) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || begun_ < jobs_.size(); });
      std::vector<std::unique_ptr<MadeBatch>> used = std::move(used_[me]);
      used_[me].clear();
      if (stop_)
        for (Job& job : jobs_)
          if (job.done && job.batch && job.batch->maker == me) job.batch.reset();
      Job* const job = stop_ ? nullptr : &jobs_[begun_++];  // a deque leaves it in place
      lock.unlock();
      used.clear();
      if (!job) return;
      make(*job, me);
      lock.lock();
      job->done = true;
      done_.notify_one();
    }
  }

  void make(Job& job, std::size_t me) const {
    try {
      job.batch = make_(job.index);
      job.batch->maker = me;
    } catch (...) {
      job.error = std::current_exception();
    }
  }

  const Make& make_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Job> jobs_;  // in order; the first `begun_` of them have a thread
  std::size_t begun_ = 0;
  std::vector<std::vector<std::unique_ptr<MadeBatch>>> used_;  // by the thread that made them
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

EpochRun::EpochRun(std::int64_t first, std::int64_t end, std::int64_t threads, std::int64_t ahead,
                   Make make)
    : next_(first), end_(end), ahead_(ahead), make_(std::move(make)) {
  if (threads == 0 || first >= end) return;
  threads_ = std::make_unique<Threads>(make_);
  if (threads_->start(std::min(threads, end - first)))
    threads_->order(next_, end_, ahead_);
  else
    threads_.reset();  // where none can be started, the batches are the same
}

EpochRun::~EpochRun() = default;

std::unique_ptr<MadeBatch> EpochRun::next() {
  if (!threads_) return next_ < end_ ? make_(next_++) : nullptr;
  std::unique_ptr<MadeBatch> batch = threads_->take();
  threads_->order(next_, end_, ahead_);
  return batch;
}

void EpochRun::give_back(std::unique_ptr<MadeBatch> used) {
  if (threads_ && used) threads_->give_back(std::move(used));
}

}  // namespace nn::data::detail
