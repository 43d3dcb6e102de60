#include "nn/distributed/dataloader.hpp"

#include <exception>
#include <vector>

#include "nn/distributed/internal/failure.hpp"
#include "nn/module/state_reader.hpp"

namespace nn::distributed::detail {

void check_batches(std::int64_t samples, std::int64_t batch_size, bool drop_last,
                   std::int64_t shards) {
  const std::int64_t rest = samples % batch_size;
  const std::int64_t least = drop_last || rest == 0 ? batch_size : rest;
  if (least < shards)
    ag::fail("DataLoader",
             "each batch must have a row for each shard, got one of {} for {} shards; set "
             "drop_last, make batches larger, or shards fewer",
             least, shards);
}

void check_loaders(const World& world, const std::function<std::uint64_t()>& fingerprint,
                   const std::vector<std::int64_t>& numbers) {
  std::uint64_t data = 0;
  std::exception_ptr failure;
  try {
    data = fingerprint();
  } catch (...) {
    failure = std::current_exception();
  }
  share_failure(world, "read its data", failure);
  world.check_same("the data and options of a DataLoader",
                   data ^ nn::fingerprint(ag::tensor(numbers)));
}

StateDict with_shards(StateDict state, std::int64_t shards) {
  state.push_back(named_scalar("shards", shards));
  return state;
}

StateDict without_shards(StateDict state, std::int64_t shards) {
  StateReader reader("DataLoader", state);
  if (const std::int64_t saved = reader.integer("shards"); saved != shards)
    ag::fail("DataLoader", "shards must be {} as in the saved run, got {}", saved, shards);
  std::erase_if(state, [](const NamedTensor& entry) { return entry.name == "shards"; });
  return state;
}

}  // namespace nn::distributed::detail
