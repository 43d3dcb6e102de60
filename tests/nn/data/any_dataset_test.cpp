#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "autograd/core/memory.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/data/subset.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;
using Names = std::vector<std::string>;

namespace {

// A data set of items made by a function of the index, and perhaps of a generator.
template <class F>
struct Items {
  std::int64_t n;
  F make;
  std::int64_t size() const { return n; }
  auto get(std::int64_t i) const requires std::invocable<F, std::int64_t> { return make(i); }
  auto get(std::int64_t i,
           ag::Generator& g) const requires std::invocable<F, std::int64_t, ag::Generator&> {
    return make(i, g);
  }
};
template <class F>
Items(int, F) -> Items<F>;

// The only batch of two items.
template <class F>
auto batch_of_two(F make) {
  data::DataLoader loader(Items{2, make}, {.batch_size = 2});
  return *loader.begin();
}

struct Sentence {
  std::string text;
  std::vector<std::int64_t> words;
};
// What the data set below makes of sentences.
struct Padded {
  Tensor tokens, lengths;
  Names texts;
};
struct Sentences {
  std::vector<Sentence> list;
  std::int64_t size() const { return static_cast<std::int64_t>(list.size()); }
  Sentence get(std::int64_t i) const { return list[static_cast<std::size_t>(i)]; }
  Padded collate(std::vector<Sentence> batch) const {
    std::size_t longest = 0;
    for (const Sentence& s : batch) longest = std::max(longest, s.words.size());
    Padded out{
        ag::zeros({batch.size(), longest}, ag::int64), ag::zeros({batch.size()}, ag::int64), {}};
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::copy(batch[i].words.begin(), batch[i].words.end(),
                out.tokens.mutable_data<std::int64_t>() + i * longest);
      out.lengths.mutable_data<std::int64_t>()[i] =
          static_cast<std::int64_t>(batch[i].words.size());
      out.texts.push_back(batch[i].text);
    }
    return out;
  }
};
Sentences sentences() { return {{{"a b", {1, 2}}, {"c", {3}}, {"d e f", {4, 5, 6}}}}; }

// Whole batches by their indices, and the rows that were asked for.
struct Squares {
  std::int64_t n = 10;
  std::int64_t size() const { return n; }
  std::map<std::int64_t, std::int64_t> get(std::span<const std::int64_t> indices) const {
    std::map<std::int64_t, std::int64_t> batch;
    for (const std::int64_t i : indices) batch[i] = i * i;
    return batch;
  }
};

// Noise of its own for each item; some take longer than others, by work: on a loaded machine who
// yields waits for everybody.
auto noisy(std::int64_t n) {
  return Items{int(n), [](std::int64_t i, ag::Generator& g) {
                 volatile std::int64_t work = 0;
                 for (std::int64_t k = 0; k < 5000 * (i * 7919 % 5); ++k) work = work + k;
                 return std::pair(ag::randn({3}, ag::float64, g), i);
               }};
}
template <class L>
std::vector<double> numbers(L& loader) {
  std::vector<double> all;
  for (const auto& [noise, index] : loader) {
    for (const double x : noise.template to_vector<double>()) all.push_back(x);
    for (const auto i : index.template to_vector<std::int64_t>()) all.push_back(double(i));
  }
  return all;
}

}  // namespace

TEST_CASE("samples become batches by their type") {
  const Tensor x = batch_of_two([](std::int64_t i) { return ag::full({2}, double(i)); });
  CHECK(x.to_vector<float>() == std::vector<float>{0, 0, 1, 1});
  CHECK(x.shape() == ag::Shape(2, 2));
  CHECK(batch_of_two([](std::int64_t i) { return i; }).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 1});
  CHECK(batch_of_two([](std::int64_t i) { return int(i) * 2; }).dtype() == ag::int64);
  CHECK(batch_of_two([](std::int64_t) { return 0.5f; }).dtype() == ag::float32);
  CHECK(batch_of_two([](std::int64_t) { return 0.5; }).dtype() == ag::float64);
  CHECK(batch_of_two([](std::int64_t i) { return i == 1; }).to_vector<bool>() ==
        std::vector<bool>{false, true});
  CHECK(batch_of_two([](std::int64_t i) { return std::to_string(i); }) == Names{"0", "1"});

  const auto [image, name, label] = batch_of_two([](std::int64_t i) {
    return std::tuple(ag::zeros({1, 2}), "file " + std::to_string(i), 3.0);
  });
  CHECK(image.shape() == ag::Shape(2, 1, 2));
  CHECK(name == Names{"file 0", "file 1"});
  CHECK(label.to_vector<double>() == std::vector<double>{3, 3});

  struct Inner {
    Tensor a, b;
  };
  struct Outer {
    Inner inner;
    Tensor c;
  };
  const Outer batch = batch_of_two([](std::int64_t i) {
    return Outer{{ag::ones({1}), {}}, ag::tensor(i)};
  });
  CHECK(batch.inner.a.shape() == ag::Shape(2, 1));
  CHECK_FALSE(batch.inner.b.defined());
  CHECK(batch.c.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1});
}

TEST_CASE("samples that make no batch are refused, and the advice is a collate()") {
  CHECK_THROWS_WITH(
      batch_of_two([](std::int64_t i) { return ag::ones({i + 1}); }),
      Equals("DataLoader: samples must have one shape and dtype to make a batch, got float32 (1,) "
             "and float32 (2,); pad them, or give the data set a collate()"));
  CHECK_THROWS_WITH(batch_of_two([](std::int64_t i) { return i == 0 ? Tensor() : ag::ones({1}); }),
                    Equals("DataLoader: samples must have the same tensors to make a batch, got "
                           "one that is undefined in some"));
}

TEST_CASE("a data set makes its batches itself by a collate()") {
  data::DataLoader loader(sentences(), {.batch_size = 2});
  std::vector<Padded> batches;
  for (const auto& [tokens, lengths, texts] : loader) batches.push_back({tokens, lengths, texts});
  REQUIRE(batches.size() == 2);
  CHECK(batches[0].tokens.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2, 3, 0});
  CHECK(batches[0].lengths.to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 1});
  CHECK(batches[1].texts == Names{"d e f"});
}

TEST_CASE("a data set may give whole batches, of any type") {
  data::DataLoader loader(Squares{5}, {.batch_size = 2, .workers = 2});
  std::vector<std::map<std::int64_t, std::int64_t>> batches;
  for (const auto& batch : loader) batches.push_back(batch);
  CHECK(batches == std::vector<std::map<std::int64_t, std::int64_t>>{
                       {{0, 0}, {1, 1}}, {{2, 4}, {3, 9}}, {{4, 16}}});
}

TEST_CASE("a transform sees batches of the data set's own type") {
  data::DataLoader loader(sentences(), {.batch_size = 3, .transform = [](Padded b, ag::Generator&) {
                                          b.texts.push_back("seen");
                                          return b;
                                        }});
  CHECK((*loader.begin()).texts == Names{"a b", "c", "d e f", "seen"});
}

TEST_CASE("items have the same random numbers whoever makes them, and however fast", "[threads]") {
  const auto all = [](std::int64_t workers, std::int64_t prefetch) {
    data::DataLoader loader(
        noisy(57),
        {.batch_size = 4, .shuffle = true, .seed = 3, .prefetch = prefetch, .workers = workers});
    auto list = numbers(loader);
    for (const double x : numbers(loader)) list.push_back(x);
    return list;
  };
  const auto alone = all(0, 0);
  CHECK(alone.size() == 2 * 57 * 4);
  CHECK(std::vector(alone.begin(), alone.begin() + 228) !=
        std::vector(alone.begin() + 228, alone.end()));
  for (const auto& [workers, prefetch] :
       std::vector<std::pair<int, int>>{{0, 3}, {1, 0}, {2, 0}, {3, 1}, {7, 50}, {64, 0}})
    CHECK(all(workers, prefetch) == alone);
}

TEST_CASE("the random numbers of an item depend on seed, epoch and item alone") {
  const auto noise_of = [](std::int64_t batch_size, std::uint64_t seed, std::int64_t epoch) {
    data::DataLoader loader(noisy(10), {.batch_size = batch_size, .shuffle = true, .seed = seed});
    loader.set_epoch(epoch);
    std::map<std::int64_t, std::vector<double>> noise;
    for (const auto& [x, index] : loader)
      for (std::int64_t k = 0; k < index.numel(); ++k)
        noise[index.template data<std::int64_t>()[k]] = x[k].template to_vector<double>();
    return noise;
  };
  const auto first = noise_of(3, 1, 0);
  CHECK(noise_of(4, 1, 0) == first);
  for (const auto& other : {noise_of(3, 2, 0), noise_of(3, 1, 1)})
    for (const auto& [item, noise] : other) CHECK(noise != first.at(item));
}

TEST_CASE("several workers make batches at once", "[threads]") {
  // Item 0 is ready only when another thread has come to item 1.
  std::atomic<bool> met = false;
  data::DataLoader loader(Items{2,
                                [&](std::int64_t i) {
                                  if (i == 1) met = true;
                                  while (!met) std::this_thread::yield();
                                  return i;
                                }},
                          {.workers = 2});
  std::vector<std::int64_t> seen;
  for (const Tensor& i : loader) seen.push_back(i.item<std::int64_t>());
  CHECK(seen == std::vector<std::int64_t>{0, 1});
}

TEST_CASE("what a worker throws is thrown in the loop, after the batches before it", "[threads]") {
  for (const std::int64_t workers : {0, 1, 4}) {
    data::DataLoader loader(Items{20,
                                  [](std::int64_t i) {
                                    if (i % 8 == 6)
                                      throw std::runtime_error("no picture " + std::to_string(i));
                                    return i;
                                  }},
                            {.batch_size = 2, .workers = workers});
    int seen = 0;
    const auto loop = [&] {
      for ([[maybe_unused]] const auto& batch : loader) ++seen;
    };
    CHECK_THROWS_WITH(loop(), Equals("no picture 6"));
    CHECK(seen == 3);
    loader.set_epoch(0, 4);
    CHECK_THROWS_WITH(loop(), Equals("no picture 14"));
    CHECK(seen == 6);
  }
}

TEST_CASE("a loop over workers may be left early, and resumed", "[threads]") {
  const data::DataLoaderOptions<std::pair<Tensor, Tensor>> options{
      .batch_size = 3, .shuffle = true, .workers = 3};
  data::DataLoader whole(noisy(40), options), first(noisy(40), options);
  const auto all = numbers(whole);
  std::vector<double> seen;
  for (const auto& [noise, index] : first) {
    for (const double x : noise.to_vector<double>()) seen.push_back(x);
    for (const auto i : index.to_vector<std::int64_t>()) seen.push_back(double(i));
    if (first.batch() == 5) break;
  }
  data::DataLoader resumed(noisy(40), {.batch_size = 3, .shuffle = true});
  resumed.load_state_dict(first.state_dict());
  for (const double x : numbers(resumed)) seen.push_back(x);
  CHECK(seen == all);
}

TEST_CASE("batches made on other threads leave nothing with the one that loops", "[threads]") {
  data::DataLoader loader(Items{400, [](std::int64_t) { return ag::ones({10'000}); }},
                          {.batch_size = 4, .workers = 2});
  std::optional<ag::MemoryStats> early;
  for (int epoch = 0; epoch < 3; ++epoch)
    for (const auto& batch : loader) {
      CHECK(batch.numel() == 40'000);
      if (!early && loader.batch() == 3) early = ag::memory_stats();
    }
  // Of each epoch one batch at most.
  CHECK(ag::memory_stats().kept <= early->kept + 3 * 4 * 40'000 * 2);
}

TEST_CASE("a data set may be moved in that cannot be copied") {
  struct Owner {
    std::unique_ptr<int> value = std::make_unique<int>(7);
    std::int64_t size() const { return 1; }
    int get(std::int64_t) const { return *value; }
  };
  data::DataLoader loader(Owner{});
  CHECK((*loader.begin()).item<std::int64_t>() == 7);
  CHECK(*loader.dataset().value == 7);
}

TEST_CASE("a loader refuses data sets and transforms that do not add up") {
  CHECK_THROWS_WITH(data::DataLoader(Squares{0}),
                    Equals("DataLoader: the data set must hold at least one sample, got 0"));
  CHECK_THROWS_WITH(data::DataLoader(Squares{-3}),
                    Equals("DataLoader: the data set must hold at least one sample, got -3"));
  for (const std::int64_t workers : {-1, 1025})
    CHECK_THROWS_WITH(
        data::DataLoader(Squares{}, {.workers = workers}),
        Equals("DataLoader: workers must be in [0, 1024], got " + std::to_string(workers)));

  const auto message = "DataLoader: transform must give one row for each of the 4 samples, got ";
  data::DataLoader rows(data::TensorDataset(ag::ones({4, 2}), ag::arange(4)),
                        {.batch_size = 4, .transform = [](data::Batch b, ag::Generator&) {
                           return data::Batch{ag::narrow(b.x, 0, 0, 3), b.y};
                         }});
  CHECK_THROWS_WITH(rows.begin(), Equals(std::string(message) + "3"));
  data::DataLoader flat(data::TensorDataset(ag::ones({4})),
                        {.batch_size = 4, .transform = [](data::Batch b, ag::Generator&) {
                           return data::Batch{ag::sum(b.x), b.y};
                         }});
  CHECK_THROWS_WITH(flat.begin(), Equals(std::string(message) + "0"));
  data::DataLoader names(Items{4, [](std::int64_t) { return std::string("x"); }},
                         {.batch_size = 4, .transform = [](Names b, ag::Generator&) {
                            b.push_back("y");
                            return b;
                          }});
  CHECK_THROWS_WITH(names.begin(), Equals(std::string(message) + "5"));

  struct Short {
    std::int64_t size() const { return 4; }
    data::Batch get(std::span<const std::int64_t>) const { return {ag::ones({1}), {}}; }
  };
  data::DataLoader wrong(Short{}, {.batch_size = 4});
  CHECK_THROWS_WITH(wrong.begin(),
                    Equals("DataLoader: get must give one row for each of the 4 samples, got 1"));
}

TEST_CASE("a data set in memory gives rows, and refuses an index that is none") {
  const data::TensorDataset rows(ag::arange(6), ag::arange(6));
  const std::vector<std::int64_t> some{5, 0, 5}, none{}, bad{0, 6};
  CHECK(rows.get(some).y.to_vector<std::int64_t>() == some);
  CHECK(rows.get(none).x.shape() == ag::Shape(0));
  CHECK_THROWS_WITH(rows.get(bad), Equals("TensorDataset: indices must be in [0, 6), got 6"));
}

TEST_CASE("a data set of any kind is split, as one in memory to the same parts") {
  const auto [a, b] = data::split(Squares{10}, {7, 3}, 1);
  const auto [c, d] = data::split(data::TensorDataset(ag::arange(10)), {7, 3}, 1);
  CHECK(a.indices() == c.x.to_vector<std::int64_t>());
  CHECK(b.indices() == d.x.to_vector<std::int64_t>());
  CHECK(&a.dataset() == &b.dataset());
  CHECK(data::split(sentences(), {0.4, 0.6})[0].size() == 2);

  // Parts of parts, in batches, with the collate() of the data set.
  const auto last = data::subset(data::subset(sentences(), {2, 0}), {1});
  data::DataLoader loader(last, {.batch_size = 1});
  CHECK((*loader.begin()).texts == Names{"a b"});
  data::DataLoader squares(b, {.batch_size = 3});
  for (const std::int64_t i : b.indices()) CHECK((*squares.begin()).at(i) == i * i);
  data::DataLoader noise(data::subset(noisy(5), {4, 1}), {.batch_size = 2});
  CHECK((*noise.begin()).second.to_vector<std::int64_t>() == std::vector<std::int64_t>{4, 1});

  CHECK_THROWS_WITH(data::subset(Squares{3}, {0, 3}),
                    Equals("subset: indices must be in [0, 3), got 3"));
  ag::Generator g;
  CHECK_THROWS_WITH(last.get(1, g), Equals("Subset: indices must be in [0, 1), got 1"));
  CHECK_THROWS_WITH(data::split(Squares{10}, {7, 2}),
                    Equals("split: lengths must add up to the 10 rows of the data set, got 9"));
}

TEST_CASE("batches() goes once through a data set in its order") {
  const data::LabelledImages images{ag::zeros({5, 1, 2, 2}), ag::arange(5)};
  std::vector<std::int64_t> sizes, labels;
  for (const auto& [x, y] : data::batches(images, 2)) {
    sizes.push_back(x.size(0));
    for (const auto label : y.to_vector<std::int64_t>()) labels.push_back(label);
  }
  CHECK(sizes == std::vector<std::int64_t>{2, 2, 1});
  CHECK(labels == std::vector<std::int64_t>{0, 1, 2, 3, 4});
}
