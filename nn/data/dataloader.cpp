#include "nn/data/dataloader.hpp"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/core/trace.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/module/state_reader.hpp"

namespace nn::data {
namespace {

constexpr std::int64_t kLastEpoch = (std::int64_t{1} << 62) - 1;  // each has a stream of its own

// The `index`-th of the generators that belong to a seed.
ag::Generator stream(std::uint64_t seed, std::int64_t index) {
  ag::Generator source(seed);
  source.set_state({seed, 4 * static_cast<std::uint64_t>(index)});
  return ag::Generator(source.next_u64());
}

}  // namespace

// One epoch: its order, and with prefetch the thread that makes batches ahead. Freed blocks stay
// with the thread that frees them, so each thread frees what it has allocated: the batches that the
// loop gets are allocated by the thread that runs it, and only those of a transform on the
// background thread are copied.
class DataLoader::Iterator::Epoch {
 public:
  Epoch(const DataLoader& loader, std::int64_t epoch, std::int64_t first)
      : data_(loader.data_), options_(loader.options_), next_(first), batches_(loader.size()) {
    ag::Generator generator = stream(options_.seed, epoch);
    batch_seed_ = generator.next_u64();
    order_ = options_.shuffle ? ag::randperm(data_.size(), generator) : ag::arange(data_.size());
    if (options_.prefetch > 0 && next_ < batches_) start();
  }
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;
  ~Epoch() {
    if (!worker_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_worker_.notify_one();
    worker_.join();
  }

  // The next batch; none at the end.
  std::optional<Batch> next() {
    if (worker_.joinable()) return next_made_ahead();
    if (next_ >= batches_) return std::nullopt;
    Job job{next_++, {}, nullptr};
    allocate(job);
    fill(job);
    return std::move(job.batch);
  }

 private:
  struct Job {
    std::int64_t index;
    Batch batch;
    std::exception_ptr error;
  };

  // Without a thread, where none can be started, the batches are the same.
  void start() {
    try {
      worker_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
    }
  }

  std::optional<Batch> next_made_ahead() {
    std::unique_lock lock(mutex_);
    order_ahead();
    if (jobs_.empty()) return std::nullopt;
    batch_ready_.wait(lock, [this] { return done_ > 0; });
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    --done_;
    order_ahead();
    if (job.error) std::rethrow_exception(job.error);
    if (!options_.transform) return std::move(job.batch);
    Batch copied{copy(job.batch.x), copy(job.batch.y)};
    used_.push_back(std::move(job.batch));
    return copied;
  }

  void order_ahead() {
    while (next_ < batches_ && static_cast<std::int64_t>(jobs_.size()) < options_.prefetch) {
      jobs_.push_back({next_++, {}, nullptr});
      if (!options_.transform) allocate(jobs_.back());
    }
    wake_worker_.notify_one();
  }

  // The background thread.
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_worker_.wait(lock, [this] { return stop_ || done_ < jobs_.size(); });
      if (stop_) return;
      used_.clear();
      Job& job = jobs_[done_];  // a deque leaves it in place while others come and go
      lock.unlock();
      try {
        if (options_.transform) allocate(job);
        fill(job);
      } catch (...) {
        job.error = std::current_exception();
      }
      lock.lock();
      ++done_;
      batch_ready_.notify_one();
    }
  }

  std::span<const std::int64_t> rows(std::int64_t index) const {
    const std::int64_t from = index * options_.batch_size;
    const std::int64_t n = std::min(options_.batch_size, data_.size() - from);
    return {order_.data<std::int64_t>() + from, static_cast<std::size_t>(n)};
  }

  void allocate(Job& job) const {
    const auto n = static_cast<std::int64_t>(rows(job.index).size());
    job.batch = {detail::empty_rows(data_.x, n), detail::empty_rows(data_.y, n)};
  }

  void fill(Job& job) const {
    detail::copy_rows(data_.x, rows(job.index), job.batch.x);
    detail::copy_rows(data_.y, rows(job.index), job.batch.y);
    if (!options_.transform) return;
    const ag::NoGrad no_grad;
    ag::Generator generator = stream(batch_seed_, job.index);
    job.batch = options_.transform(std::move(job.batch), generator);
  }

  static ag::Tensor copy(const ag::Tensor& t) { return t.defined() ? t.detach().clone() : t; }

  const TensorDataset data_;
  const DataLoaderOptions options_;
  std::int64_t next_;
  const std::int64_t batches_;
  std::uint64_t batch_seed_ = 0;
  ag::Tensor order_;

  std::mutex mutex_;
  std::condition_variable wake_worker_, batch_ready_;
  std::deque<Job> jobs_;  // in order; the first `done_` of them are ready
  std::size_t done_ = 0;
  std::vector<Batch> used_;  // for the background thread to free
  bool stop_ = false;
  std::thread worker_;
};

DataLoader::DataLoader(TensorDataset data, DataLoaderOptions options)
    : data_(std::move(data)), options_(std::move(options)) {
  if (!data_.x.defined() || data_.size() == 0)
    ag::fail("DataLoader", "the data set must hold at least one row, got {}",
             data_.x.defined() ? fmt::format("shape {}", data_.x.shape()) : "an undefined x");
  if (options_.batch_size < 1)
    ag::fail("DataLoader", "batch_size must be at least 1, got {}", options_.batch_size);
  if (options_.prefetch < 0)
    ag::fail("DataLoader", "prefetch must be at least 0, got {}", options_.prefetch);
}

std::int64_t DataLoader::size() const {
  const std::int64_t n = data_.size(), b = options_.batch_size;
  return n / b + (n % b != 0 && !options_.drop_last);
}

void DataLoader::set_epoch(std::int64_t epoch, std::int64_t first) {
  if (epoch < 0 || epoch > kLastEpoch)
    ag::fail("set_epoch", "the epoch must be in [0, {}], got {}", kLastEpoch, epoch);
  if (first < 0 || first > size())
    ag::fail("set_epoch", "the first batch must be in [0, {}], got {}", size(), first);
  epoch_ = epoch;
  batch_ = first;
  begun_ = false;
}

StateDict DataLoader::state_dict() const {
  return {named_scalar("epoch", epoch_),
          named_scalar("batch", batch_),
          named_scalar("rows", data_.size()),
          named_scalar("batch_size", options_.batch_size),
          named_scalar("shuffle", options_.shuffle),
          named_scalar("seed", std::bit_cast<std::int64_t>(options_.seed))};
}

void DataLoader::load_state_dict(const StateDict& state) {
  StateReader reader("DataLoader", state);
  const auto check = [](const char* what, auto saved, auto own) {
    if (saved != own)
      ag::fail("DataLoader", "{} must be {} as in the saved run, got {}", what, saved, own);
  };
  check("the number of rows", reader.integer("rows"), data_.size());
  check("batch_size", reader.integer("batch_size"), options_.batch_size);
  check("shuffle", reader.flag("shuffle"), options_.shuffle);
  check("seed", std::bit_cast<std::uint64_t>(reader.integer("seed")), options_.seed);
  const std::int64_t epoch = reader.integer("epoch"), first = reader.integer("batch");
  reader.finish();
  set_epoch(epoch, first);
}

DataLoader::Iterator DataLoader::begin() {
  if (begun_) set_epoch(epoch_ + 1);
  begun_ = true;
  return Iterator(*this);
}

DataLoader::Iterator::Iterator(DataLoader& loader)
    : loader_(&loader), epoch_(std::make_unique<Epoch>(loader, loader.epoch_, loader.batch_)) {
  ++*this;
}
DataLoader::Iterator::Iterator() noexcept = default;
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
DataLoader::Iterator& DataLoader::Iterator::operator=(Iterator&&) noexcept = default;
DataLoader::Iterator::~Iterator() = default;

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  if (!epoch_) ag::fail("DataLoader", "a loop must end at its end, got a step beyond it");
  // An epoch that failed is over, also for a caller that catches the error and asks again.
  std::unique_ptr<Epoch> epoch = std::move(epoch_);
  std::optional<Batch> batch = epoch->next();
  current_ = batch ? std::move(*batch) : Batch{};
  if (batch) {
    ++loader_->batch_;
    epoch_ = std::move(epoch);
  } else {
    loader_->set_epoch(loader_->epoch_ + 1);
  }
  return *this;
}

}  // namespace nn::data
