#include "nn/data/dataloader.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <thread>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/operation.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;
using Rows = std::vector<std::int64_t>;

namespace {

data::TensorDataset numbered(std::int64_t n) {
  return data::TensorDataset(ag::reshape(ag::arange(2 * n, ag::float64), {n, 2}), ag::arange(n));
}

// The rows that one loop hands out, batch after batch.
std::vector<Rows> epoch_of(data::DataLoader<>& loader) {
  std::vector<Rows> batches;
  for (const auto& [x, y] : loader) {
    REQUIRE(x.size(0) == y.size(0));
    batches.push_back(y.to_vector<std::int64_t>());
    for (std::size_t i = 0; i < batches.back().size(); ++i)
      REQUIRE(x.data<double>()[2 * i + 1] == 2.0 * static_cast<double>(batches.back()[i]) + 1);
  }
  return batches;
}

Rows joined(const std::vector<Rows>& batches) {
  Rows all;
  for (const auto& b : batches) all.insert(all.end(), b.begin(), b.end());
  return all;
}

Rows sorted(Rows rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

TEST_CASE("a loader hands out batches in order, the last one smaller") {
  data::DataLoader loader(numbered(7), {.batch_size = 3});
  CHECK(loader.size() == 3);
  CHECK(epoch_of(loader) == std::vector<Rows>{{0, 1, 2}, {3, 4, 5}, {6}});
  CHECK(epoch_of(loader) == std::vector<Rows>{{0, 1, 2}, {3, 4, 5}, {6}});
}

TEST_CASE("drop_last leaves out a smaller last batch only") {
  data::DataLoader seven(numbered(7), {.batch_size = 3, .drop_last = true});
  CHECK(seven.size() == 2);
  CHECK(epoch_of(seven) == std::vector<Rows>{{0, 1, 2}, {3, 4, 5}});
  data::DataLoader six(numbered(6), {.batch_size = 3, .drop_last = true});
  CHECK(epoch_of(six).size() == 2);
  data::DataLoader none(numbered(2), {.batch_size = 3, .drop_last = true, .prefetch = 2});
  CHECK(none.size() == 0);
  CHECK(epoch_of(none).empty());
}

TEST_CASE("a batch larger than the data set holds all of it") {
  data::DataLoader loader(numbered(2), {.batch_size = std::numeric_limits<std::int64_t>::max()});
  CHECK(loader.size() == 1);
  CHECK(epoch_of(loader) == std::vector<Rows>{{0, 1}});
}

TEST_CASE("shuffling gives each epoch an order of its own that depends on seed and epoch alone") {
  data::DataLoader loader(numbered(100), {.batch_size = 16, .shuffle = true, .seed = 5});
  data::DataLoader same(numbered(100), {.batch_size = 7, .shuffle = true, .seed = 5});
  data::DataLoader other(numbered(100), {.batch_size = 16, .shuffle = true, .seed = 6});
  const Rows first = joined(epoch_of(loader)), second = joined(epoch_of(loader));
  CHECK(sorted(first) == ag::arange(100).to_vector<std::int64_t>());
  CHECK(sorted(second) == sorted(first));
  CHECK(first != sorted(first));
  CHECK(first != second);
  CHECK(joined(epoch_of(same)) == first);
  CHECK(joined(epoch_of(other)) != first);
  ag::manual_seed(99);
  loader.set_epoch(0);
  CHECK(joined(epoch_of(loader)) == first);
  CHECK(joined(epoch_of(loader)) == second);
}

TEST_CASE("batches are copies, of any dtype, with or without targets") {
  Tensor x = ag::tensor({true, false, true}), weights = ag::ones({3, 2}).requires_grad_();
  data::DataLoader loader(data::TensorDataset(x), {.batch_size = 2});
  for (const auto& [a, none] : loader) {
    CHECK(a.dtype() == ag::boolean);
    CHECK_FALSE(none.defined());
  }
  data::DataLoader tracked(data::TensorDataset(weights), {.batch_size = 2});
  for (auto [a, none] : tracked) {
    CHECK_FALSE(a.requires_grad());
    a.mutable_data<float>()[0] = 9;
  }
  CHECK(weights.data<float>()[0] == 1);
  data::DataLoader empty_rows(data::TensorDataset(ag::zeros({3, 0})), {.batch_size = 2});
  CHECK((*empty_rows.begin()).x.shape() == ag::Shape(2, 0));
}

TEST_CASE("a loader counts epochs and batches") {
  data::DataLoader loader(numbered(6), {.batch_size = 2});
  CHECK(loader.epoch() == 0);
  CHECK(loader.batch() == 0);
  std::int64_t n = 0;
  for ([[maybe_unused]] const auto& batch : loader) {
    CHECK(loader.epoch() == 0);
    CHECK(loader.batch() == ++n);
  }
  CHECK(loader.epoch() == 1);
  CHECK(loader.batch() == 0);
  for ([[maybe_unused]] const auto& batch : loader) break;
  CHECK(loader.epoch() == 1);
  CHECK(loader.batch() == 1);
  (void)loader.begin();
  CHECK(loader.epoch() == 2);
}

TEST_CASE("a resumed loader goes on where the first one was left") {
  const data::DataLoaderOptions<> options{
      .batch_size = 4, .shuffle = true, .seed = 2, .prefetch = 3};
  data::DataLoader whole(numbered(30), options);
  epoch_of(whole);
  const auto second = epoch_of(whole), third = epoch_of(whole);

  data::DataLoader first(numbered(30), options);
  epoch_of(first);
  for ([[maybe_unused]] const auto& batch : first)
    if (first.batch() == 3) break;
  data::DataLoader resumed(numbered(30), options);
  resumed.load_state_dict(first.state_dict());
  CHECK(resumed.epoch() == 1);
  CHECK(epoch_of(resumed) == std::vector<Rows>(second.begin() + 3, second.end()));
  CHECK(epoch_of(resumed) == third);

  resumed.set_epoch(1, resumed.size());
  CHECK(epoch_of(resumed).empty());
  CHECK(epoch_of(resumed) == third);
}

TEST_CASE("a position is saved at the end of an epoch as the begin of the next") {
  data::DataLoader loader(numbered(4), {.batch_size = 2, .shuffle = true});
  data::DataLoader resumed(numbered(4), {.batch_size = 2, .shuffle = true});
  epoch_of(loader);
  resumed.load_state_dict(loader.state_dict());
  CHECK(epoch_of(resumed) == epoch_of(loader));
}

TEST_CASE("a position of another run is refused and changes nothing") {
  const data::DataLoaderOptions<> options{.batch_size = 4, .shuffle = true, .seed = 2};
  data::DataLoader loader(numbered(10), options);
  epoch_of(loader);
  const auto load = [&](std::int64_t rows, std::int64_t batch_size, bool shuffle,
                        std::uint64_t seed) {
    data::DataLoader other(numbered(rows),
                           {.batch_size = batch_size, .shuffle = shuffle, .seed = seed});
    loader.load_state_dict(other.state_dict());
  };
  CHECK_THROWS_WITH(load(9, 4, true, 2),
                    Equals("DataLoader: the number of rows must be 9 as in the saved run, got 10"));
  CHECK_THROWS_WITH(load(10, 5, true, 2),
                    Equals("DataLoader: batch_size must be 5 as in the saved run, got 4"));
  CHECK_THROWS_WITH(load(10, 4, false, 2),
                    Equals("DataLoader: shuffle must be false as in the saved run, got true"));
  CHECK_THROWS_WITH(
      load(10, 4, true, ~0ull),
      Equals("DataLoader: seed must be 18446744073709551615 as in the saved run, got 2"));
  CHECK(loader.epoch() == 1);
  load(10, 4, true, 2);
  CHECK(loader.epoch() == 0);
}

TEST_CASE("a loader refuses what it cannot loop over") {
  CHECK_THROWS_WITH(
      data::DataLoader(numbered(0)),
      Equals("DataLoader: the data set must hold at least one row, got shape (0, 2)"));
  CHECK_THROWS_WITH(
      data::DataLoader(data::TensorDataset()),
      Equals("DataLoader: the data set must hold at least one row, got an undefined x"));
  CHECK_THROWS_WITH(data::DataLoader(numbered(1), {.batch_size = 0}),
                    Equals("DataLoader: batch_size must be at least 1, got 0"));
  CHECK_THROWS_WITH(data::DataLoader(numbered(1), {.prefetch = -1}),
                    Equals("DataLoader: prefetch must be at least 0, got -1"));
  data::DataLoader loader(numbered(5), {.batch_size = 2});
  CHECK_THROWS_WITH(loader.set_epoch(-1),
                    Equals("set_epoch: the epoch must be in [0, 4611686018427387903], got -1"));
  CHECK_THROWS_WITH(loader.set_epoch(0, 4),
                    Equals("set_epoch: the first batch must be in [0, 3], got 4"));
  CHECK_THROWS_WITH(loader.set_epoch(0, -1),
                    Equals("set_epoch: the first batch must be in [0, 3], got -1"));
}

TEST_CASE("a step beyond the end of a loop is refused") {
  data::DataLoader loader(numbered(1), {});
  auto it = loader.begin();
  ++it;
  CHECK(it == loader.end());
  CHECK_THROWS_WITH(++it, Equals("DataLoader: a loop must end at its end, got a step beyond it"));
  data::DataLoader<>::Iterator none;
  CHECK_THROWS_WITH(++none, Equals("DataLoader: a loop must end at its end, got a step beyond it"));
}

TEST_CASE("a loop within a loop over the same loader is refused and changes nothing") {
  data::DataLoader loader(numbered(5), {.batch_size = 2});
  const std::string message =
      "DataLoader: one loop at a time may run over a loader, got another one; make a second loader";
  Rows seen;
  for (const auto& [x, y] : loader) {
    CHECK_THROWS_WITH(loader.begin(), Equals(message));
    auto copy = loader;
    CHECK(epoch_of(copy).size() == 3);
    for (const auto row : y.to_vector<std::int64_t>()) seen.push_back(row);
  }
  CHECK(seen == Rows{0, 1, 2, 3, 4});
  CHECK(loader.epoch() == 1);
  for (const auto& batch : loader)
    if (batch.x.defined()) break;
  CHECK(epoch_of(loader).size() == 3);
  CHECK(loader.epoch() == 3);
}

TEST_CASE("a transform that gives a batch without an x is refused") {
  data::DataLoader loader(numbered(4),
                          {.batch_size = 2, .transform = [](data::Batch batch, ag::Generator&) {
                             return data::Batch{{}, batch.y};
                           }});
  CHECK_THROWS_WITH(
      loader.begin(),
      Equals(
          "DataLoader: transform must give a batch whose x is defined, got an undefined tensor"));
}

TEST_CASE("batches may be as large as numbers go") {
  constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
  data::DataLoader loader(numbered(3), {.batch_size = kLargest, .prefetch = kLargest});
  CHECK(loader.size() == 1);
  CHECK(epoch_of(loader) == std::vector<Rows>{{0, 1, 2}});
}

TEST_CASE("a transform sees each batch with random numbers of its own", "[threads]") {
  const auto jitter = [](data::Batch b, ag::Generator& g) {
    return data::Batch{ag::mul(b.x, ag::rand(b.x.shape(), ag::float64, g)), b.y};
  };
  const auto sums = [&](std::int64_t prefetch, std::int64_t epoch, std::int64_t first) {
    data::DataLoader loader(
        numbered(20),
        {.batch_size = 3, .shuffle = true, .seed = 8, .prefetch = prefetch, .transform = jitter});
    loader.set_epoch(epoch, first);
    std::vector<double> list;
    for (const auto& [x, y] : loader) list.push_back(ag::sum(x).item<double>());
    return list;
  };
  const auto all = sums(0, 0, 0);
  CHECK(all.size() == 7);
  for (const std::int64_t prefetch : {1, 2, 50}) CHECK(sums(prefetch, 0, 0) == all);
  CHECK(sums(2, 1, 0) != all);
  CHECK(sums(2, 0, 4) == std::vector<double>(all.begin() + 4, all.end()));
}

TEST_CASE("nothing in a transform is recorded", "[threads]") {
  const Tensor w = ag::ones({2}, ag::float64).requires_grad_();
  for (const std::int64_t prefetch : {0, 2}) {
    data::DataLoader loader(numbered(4),
                            {.prefetch = prefetch, .transform = [&](data::Batch b, ag::Generator&) {
                               return data::Batch{ag::mul(b.x, w), b.y};
                             }});
    for (const auto& [x, y] : loader) CHECK_FALSE(x.requires_grad());
    CHECK(ag::mul(w, w).requires_grad());
  }
}

TEST_CASE("prefetching gives the same batches", "[threads]") {
  data::DataLoader plain(numbered(101), {.batch_size = 4, .shuffle = true, .seed = 3});
  const auto first = epoch_of(plain), second = epoch_of(plain);
  for (const std::int64_t prefetch : {1, 2, 5, 1000}) {
    data::DataLoader ahead(numbered(101),
                           {.batch_size = 4, .shuffle = true, .seed = 3, .prefetch = prefetch});
    CHECK(epoch_of(ahead) == first);
    CHECK(epoch_of(ahead) == second);
  }
}

TEST_CASE("prefetching works ahead on another thread, and only as far as asked", "[threads]") {
  std::atomic<int> made = 0;
  std::thread::id maker;
  data::DataLoader loader(numbered(100),
                          {.prefetch = 3, .transform = [&](data::Batch b, ag::Generator&) {
                             maker = std::this_thread::get_id();
                             ++made;
                             return b;
                           }});
  int seen = 0;
  for ([[maybe_unused]] const auto& batch : loader) {
    ++seen;
    CHECK(made >= seen);
    CHECK(made <= seen + 3);
    if (seen == 1)
      while (made < 4) std::this_thread::yield();
  }
  CHECK(made == 100);
  CHECK(maker != std::this_thread::get_id());
}

TEST_CASE("a loop over prefetched batches may be left early", "[threads]") {
  data::DataLoader loader(numbered(1000), {.batch_size = 2, .shuffle = true, .prefetch = 4});
  for (int i = 0; i < 20; ++i) {
    for ([[maybe_unused]] const auto& batch : loader)
      if (loader.batch() > i) break;
    CHECK(loader.epoch() == i);
  }
  Tensor kept;
  for (const auto& [x, y] : loader) {
    kept = y;
    break;
  }
  CHECK(kept.numel() == 2);
}

TEST_CASE("what a transform throws is thrown in the loop, after the batches before it",
          "[threads]") {
  for (const std::int64_t prefetch : {0, 1, 8}) {
    data::DataLoader loader(
        numbered(10),
        {.batch_size = 2, .prefetch = prefetch, .transform = [](data::Batch b, ag::Generator&) {
           if (b.y.data<std::int64_t>()[0] == 4) throw std::runtime_error("no such picture");
           return b;
         }});
    int seen = 0;
    const auto loop = [&] {
      for ([[maybe_unused]] const auto& batch : loader) ++seen;
    };
    CHECK_THROWS_WITH(loop(), Equals("no such picture"));
    CHECK(seen == 2);
    CHECK(loader.batch() == 2);
    loader.set_epoch(0, 3);
    CHECK_NOTHROW(loop());
    CHECK(seen == 4);
  }
}

TEST_CASE("an epoch whose batch failed is over", "[threads]") {
  data::DataLoader loader(numbered(3),
                          {.prefetch = 1, .transform = [](data::Batch b, ag::Generator&) {
                             if (b.y.data<std::int64_t>()[0] == 1)
                               throw std::runtime_error("broken");
                             return b;
                           }});
  auto it = loader.begin();
  CHECK_FALSE(it == loader.end());
  CHECK_THROWS_WITH(++it, Equals("broken"));
  CHECK(it == loader.end());
}

TEST_CASE("two loaders may share one data set on two threads", "[threads]") {
  const auto shared = numbered(200);
  const auto total = [&](std::int64_t* out) {
    data::DataLoader loader(shared, {.batch_size = 8, .shuffle = true, .prefetch = 2});
    for (const auto& [x, y] : loader) *out += ag::sum(y).item<std::int64_t>();
  };
  std::int64_t a = 0, b = 0;
  std::thread other(total, &a);
  total(&b);
  other.join();
  CHECK(a == 19900);
  CHECK(b == 19900);
}

TEST_CASE("where no thread can be started, the loop makes its batches itself") {
#if defined(__SANITIZE_ADDRESS__)
  WARN("a sanitizer needs the addresses that this test takes away");
#else
  data::DataLoader loader(numbered(200), {.batch_size = 8, .prefetch = 2});
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlimit space{pages * 4096 + (1 << 20), RLIM_INFINITY};  // less than a stack
    if (setrlimit(RLIMIT_AS, &space)) _exit(2);
    std::int64_t total = 0;
    for (const auto& [x, y] : loader) total += ag::sum(y).item<std::int64_t>();
    _exit(total == 19900 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
#endif
}
