// Runs over loaders of ranks: what they load, and where they differ.
#include <filesystem>

#include "tests/distributed/ranks.hpp"

namespace {

// Random numbers of each sample, and images that a loader makes on threads.
struct Noisy {
  ag::Tensor x, y;
  std::int64_t size() const { return x.size(0); }
  std::pair<ag::Tensor, ag::Tensor> get(std::int64_t i, ag::Generator& g) const {
    return {x[i] + ag::rand({6}, ag::float32, g), y[i]};
  }
};

// Texts of some length, which collate() makes as long as the longest of their shard, with a mark.
struct Texts {
  ag::Tensor x, y;
  std::int64_t size() const { return x.size(0); }
  ag::TensorList get(std::int64_t i) const { return {ag::narrow(x[i], 0, 0, i % 5 + 1), y[i]}; }
  std::pair<ag::Tensor, ag::Tensor> collate(const std::vector<ag::TensorList>& samples) const {
    std::int64_t longest = 0;
    for (const auto& s : samples) longest = std::max(longest, s[0].size(0));
    ag::TensorList rows, classes;
    for (const auto& s : samples) {
      const std::int64_t missing = longest - s[0].size(0);
      const ag::Tensor row = ag::pad(s[0], {0, missing}, ag::PadMode::constant, 1);
      rows.push_back(ag::pad(row, {0, 6 - longest}));
      classes.push_back(s[1]);
    }
    return {ag::stack(rows, 0), ag::stack(classes, 0)};
  }
};

// One step after another over the batches of a loader, from the checkpoint on if there is one.
template <class Loader, class Step>
double go_over(const World& world, Loader& loader, int steps, const std::string& path, Step step,
               nn::Module& model) {
  nn::distributed::Checkpoint checkpoint(world, {{"model", model}, {"loader", loader}});
  if (std::filesystem::exists(path)) checkpoint.load(path);
  double loss = 0;
  while (checkpoint.step < steps)
    for (const auto& batch : loader) {
      loss = step(batch);
      if (++checkpoint.step == steps) break;
    }
  if (!path.empty()) checkpoint.save(path);
  return loss;
}

// Some of 100 samples, in two batches; what is left of them is too few for the shards.
template <class Options>
void sampled(Options& options) {
  options.shuffle = false, options.drop_last = true;
  options.sampler =
      nn::data::Sampler{80, [](ag::Generator& g) { return ag::randint(0, 100, {80}, g); }};
}

}  // namespace

// Batches of 37, 37 and 26: `whole` on each rank, or its shards of them.
void load(const World& world, std::string_view model, int steps, const std::string& path) {
  nn::Sequential network(nn::Linear(6, 8), nn::Dropout(0.2), nn::Linear(8, kClasses));
  nn::optim::SGD optimizer(network.parameters(), {.lr = 0.1});
  DataParallel parallel(network, world, {.bucket_bytes = 100});
  ag::Generator data(world.rank() == 1 && model == "others" ? 4 : 3);
  const std::int64_t samples = model == "few"                          ? 80
                               : model == "fewer" && world.rank() == 1 ? 5
                                                                       : 100;
  const ag::Tensor x = ag::randn({samples, 6}, ag::float32, data);
  const ag::Tensor y = ag::randint(0, kClasses, {x.size(0)}, data);
  const auto loss_of = [&](const ag::Tensor& in, const ag::Tensor& target) {
    return nn::cross_entropy(network(in), target, {.reduction = nn::Reduction::sum}) /
           double(kBatch);
  };
  auto replayed = parallel.compile(loss_of);
  const auto step = [&](const auto&... batch) {
    optimizer.zero_grad();
    const double loss =
        model == "noisy" ? replayed(batch...) : parallel.backward(batch..., loss_of);
    optimizer.step();
    return loss;
  };
  double loss = 0;
  if (model == "noisy") {
    const auto noise = [](auto batch, ag::Generator& g) {
      batch.first = batch.first + ag::rand({}, ag::float32, g);
      return batch;
    };
    nn::distributed::DataLoader loader(
        parallel, Noisy{x, y},
        {.batch_size = kBatch, .shuffle = true, .seed = 5, .workers = 2, .transform = noise});
    loss = go_over(world, loader, steps, path, step, network);
  } else if (model == "whole batches" || model == "whole sampled") {
    nn::data::DataLoaderOptions<> options{.batch_size = kBatch, .shuffle = true, .seed = 5};
    if (model == "whole sampled") sampled(options);
    nn::data::DataLoader loader(nn::data::TensorDataset(x, y), options);
    loss = go_over(
        world, loader, steps, path, [&](const auto& batch) { return step(batch.x, batch.y); },
        network);
  } else if (model == "sampled") {
    nn::data::DataLoaderOptions<> options{.batch_size = kBatch, .seed = 5};
    sampled(options);
    nn::distributed::DataLoader loader(parallel, nn::data::TensorDataset(x, y), options);
    loss = go_over(world, loader, steps, path, step, network);
  } else if (model == "collated") {
    nn::distributed::DataLoader loader(parallel, Texts{x, y},
                                       {.batch_size = kBatch, .shuffle = true, .drop_last = true});
    loss = go_over(world, loader, steps, path, step, network);
  } else {
    nn::distributed::DataLoader loader(parallel, nn::data::LabelledImages{x, y},
                                       {.batch_size = kBatch, .shuffle = true, .seed = 5});
    if (model == "ahead" && world.rank() == 1) loader.set_epoch(0, 1);
    loss = go_over(world, loader, steps, path, step, network);
  }
  if (world.rank() == 0) fmt::print("loss {:a} weights {:016x}\n", loss, nn::fingerprint(network));
}
