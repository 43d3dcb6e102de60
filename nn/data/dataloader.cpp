#include "nn/data/dataloader.hpp"

#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

#include "nn/module/state_reader.hpp"

namespace nn::data {
namespace {

constexpr std::int64_t kLastEpoch = (std::int64_t{1} << 62) - 1;  // each has a stream of its own
constexpr std::int64_t kMostWorkers = 1024;

}  // namespace

DataLoaderBase::DataLoaderBase(const Settings& settings) : settings_(settings) {
  if (settings_.samples < 1)
    ag::fail("DataLoader", "the data set must hold at least one sample, got {}", settings_.samples);
  if (settings_.batch_size < 1)
    ag::fail("DataLoader", "batch_size must be at least 1, got {}", settings_.batch_size);
  if (settings_.prefetch < 0)
    ag::fail("DataLoader", "prefetch must be at least 0, got {}", settings_.prefetch);
  if (settings_.workers < 0 || settings_.workers > kMostWorkers)
    ag::fail("DataLoader", "workers must be in [0, {}], got {}", kMostWorkers, settings_.workers);
  if (!settings_.sampler) return;
  ag::check_callable("DataLoader", settings_.sampler->draw);
  if (settings_.shuffle)
    ag::fail("DataLoader", "either shuffle or a sampler sets the order, got both");
  if (settings_.sampler->size < 1)
    ag::fail("DataLoader", "the sampler must draw at least one sample, got {}",
             settings_.sampler->size);
  settings_.samples = settings_.sampler->size;
}

std::int64_t DataLoaderBase::size() const {
  const std::int64_t n = settings_.samples, b = settings_.batch_size;
  return n / b + (n % b != 0 && !settings_.drop_last);
}

void DataLoaderBase::set_epoch(std::int64_t epoch, std::int64_t first) {
  if (epoch < 0 || epoch > kLastEpoch)
    ag::fail("set_epoch", "the epoch must be in [0, {}], got {}", kLastEpoch, epoch);
  if (first < 0 || first > size())
    ag::fail("set_epoch", "the first batch must be in [0, {}], got {}", size(), first);
  epoch_ = epoch;
  batch_ = first;
  begun_ = false;
}

StateDict DataLoaderBase::state_dict() const {
  return {named_scalar("epoch", epoch_),
          named_scalar("batch", batch_),
          named_scalar("rows", settings_.samples),
          named_scalar("batch_size", settings_.batch_size),
          named_scalar("shuffle", settings_.shuffle),
          named_scalar("seed", std::bit_cast<std::int64_t>(settings_.seed))};
}

void DataLoaderBase::load_state_dict(const StateDict& state) {
  StateReader reader("DataLoader", state);
  const auto check = [](const char* what, auto saved, auto own) {
    if (saved != own)
      ag::fail("DataLoader", "{} must be {} as in the saved run, got {}", what, saved, own);
  };
  check("the number of rows", reader.integer("rows"), settings_.samples);
  check("batch_size", reader.integer("batch_size"), settings_.batch_size);
  check("shuffle", reader.flag("shuffle"), settings_.shuffle);
  check("seed", std::bit_cast<std::uint64_t>(reader.integer("seed")), settings_.seed);
  const std::int64_t epoch = reader.integer("epoch"), first = reader.integer("batch");
  reader.finish();
  set_epoch(epoch, first);
}

detail::EpochPlan DataLoaderBase::plan() const {
  const Settings& s = settings_;
  if (s.sampler) return {s.seed, epoch_, s.from, s.batch_size, *s.sampler};
  return {s.seed, epoch_, s.samples, s.batch_size, s.shuffle};
}

std::unique_ptr<detail::EpochRun> DataLoaderBase::begin_epoch(Make make) {
  if (const auto running = running_.lock(); running && *running == this)
    ag::fail("DataLoader",
             "one loop at a time may run over a loader, got another one; make a second loader");
  if (begun_) set_epoch(epoch_ + 1);
  begun_ = true;
  const auto running = std::make_shared<const DataLoaderBase* const>(this);
  running_ = running;
  const Settings& s = settings_;
  const std::int64_t threads = s.workers > 0 ? s.workers : s.prefetch > 0;
  return std::make_unique<detail::EpochRun>(
      batch_, size(), threads, s.prefetch > 0 ? s.prefetch : 2 * threads,
      [make = std::move(make), running, plan = plan()](std::int64_t batch) {
        return make(plan, batch);
      });
}

void DataLoaderBase::refuse_step() {
  ag::fail("DataLoader", "a loop must end at its end, got a step beyond it");
}

}  // namespace nn::data
