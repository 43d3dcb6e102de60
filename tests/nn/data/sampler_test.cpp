#include "nn/data/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;
using Places = std::vector<std::int64_t>;

namespace {

data::TensorDataset numbered(std::int64_t n) { return data::TensorDataset(ag::arange(n)); }

Places epoch_of(data::DataLoader<>& loader) {
  Places seen;
  for (const auto& [x, y] : loader)
    for (const std::int64_t i : x.to_vector<std::int64_t>()) seen.push_back(i);
  return seen;
}

data::DataLoaderOptions<> sampled(const data::Sampler& sampler, std::int64_t workers = 0) {
  return {.batch_size = 8, .seed = 3, .workers = workers, .sampler = sampler};
}

}  // namespace

TEST_CASE("a weighted sampler draws samples by their weights, in place of all of them") {
  const Tensor weights = ag::tensor({0.0, 1.0, 3.0, 0.0});
  data::DataLoader<> loader(numbered(4), sampled(data::WeightedRandomSampler(weights, 8000)));
  CHECK(loader.size() == 1000);
  const Places seen = epoch_of(loader);
  REQUIRE(seen.size() == 8000);
  CHECK(std::set<std::int64_t>(seen.begin(), seen.end()) == std::set<std::int64_t>{1, 2});
  CHECK(std::abs(std::count(seen.begin(), seen.end(), 2) / 8000.0 - 0.75) < 0.02);
}

TEST_CASE("a weighted sampler without replacement draws each sample at most once") {
  const data::WeightedRandomSampler sampler(ag::ones({50}), 20, {.replacement = false});
  data::DataLoader<> loader(numbered(50), sampled(sampler));
  const Places seen = epoch_of(loader);
  CHECK(std::set<std::int64_t>(seen.begin(), seen.end()).size() == 20);
}

TEST_CASE("what a sampler draws is a function of seed and epoch, whoever makes the batches") {
  const data::WeightedRandomSampler sampler(ag::arange(30).to(ag::float32), 30);
  data::DataLoader<> loader(numbered(30), sampled(sampler)),
      threads(numbered(30), sampled(sampler, 3));
  const Places first = epoch_of(loader), second = epoch_of(loader);
  CHECK(first != second);
  CHECK(epoch_of(threads) == first);
  CHECK(epoch_of(threads) == second);
  data::DataLoader<> resumed(numbered(30), sampled(sampler));
  resumed.set_epoch(1, 2);
  CHECK(epoch_of(resumed) == Places(second.begin() + 16, second.end()));
  loader.set_epoch(0);
  CHECK(epoch_of(loader) == first);
}

TEST_CASE("any function may sample, and is refused where it draws something else") {
  const auto loader_of = [](std::int64_t size, std::function<Tensor(ag::Generator&)> draw) {
    return data::DataLoader<>(numbered(4), sampled({size, std::move(draw)}));
  };
  auto loader = loader_of(3, [](ag::Generator&) { return ag::tensor({2, 0, 2}); });
  CHECK(epoch_of(loader) == Places{2, 0, 2});
  auto outside = loader_of(2, [](ag::Generator&) { return ag::tensor({1, 4}); });
  CHECK_THROWS_WITH(epoch_of(outside),
                    Equals("DataLoader: the sampler must draw places in [0, 4), got 4"));
  auto few = loader_of(3, [](ag::Generator&) { return ag::tensor({1, 2}); });
  CHECK_THROWS_WITH(epoch_of(few),
                    Equals("DataLoader: the sampler must draw int64 (3,), got int64 (2,)"));
  CHECK_THROWS_WITH(loader_of(0, [](ag::Generator&) { return ag::arange(0); }),
                    Equals("DataLoader: the sampler must draw at least one sample, got 0"));
  CHECK_THROWS_WITH(loader_of(2, nullptr), Catch::Matchers::StartsWith("DataLoader: "));
  auto both = sampled(data::WeightedRandomSampler(ag::ones({4}), 4));
  both.shuffle = true;
  CHECK_THROWS_WITH(data::DataLoader<>(numbered(4), both),
                    Equals("DataLoader: either shuffle or a sampler sets the order, got both"));
}

TEST_CASE("a sample that comes twice in an epoch gets other random numbers each time") {
  struct Noise {
    std::int64_t size() const { return 3; }
    Tensor get(std::int64_t, ag::Generator& g) const { return ag::rand({1}, ag::float32, g); }
  };
  const data::Sampler twice{4, [](ag::Generator&) { return ag::tensor({1, 1, 1, 2}); }};
  const auto numbers = [&](std::int64_t workers) {
    data::DataLoader<Noise> loader(Noise{},
                                   {.batch_size = 2, .workers = workers, .sampler = twice});
    std::vector<float> all;
    for (const Tensor& x : loader)
      for (const float v : x.to_vector<float>()) all.push_back(v);
    return all;
  };
  const auto all = numbers(0);
  CHECK(std::set<float>(all.begin(), all.end()).size() == 4);
  CHECK(numbers(2) == all);
}

TEST_CASE("a weighted sampler refuses what are no weights at once") {
  using data::WeightedRandomSampler;
  CHECK_THROWS_WITH(WeightedRandomSampler(ag::ones({2, 2}), 1),
                    Equals("WeightedRandomSampler: needs one weight for each sample, got shape "
                           "(2, 2)"));
  CHECK_THROWS_WITH(WeightedRandomSampler(ag::ones({2}), 0),
                    Equals("WeightedRandomSampler: num_samples must be at least 1, got 0"));
  CHECK_THROWS_WITH(WeightedRandomSampler(ag::tensor({1.0, -1.0}), 1),
                    Catch::Matchers::ContainsSubstring("at least 0, got -1 at 1"));
  CHECK_THROWS_WITH(WeightedRandomSampler(ag::ones({2}), 3, {.replacement = false}),
                    Catch::Matchers::ContainsSubstring("without replacement n must be at most 2"));
}
