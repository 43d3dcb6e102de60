// usage: mpirun -n 2 scaling [GFLOPS]   What a step of `DataParallel` takes on 1 to 4,096 ranks, by a model of
// latency, bandwidth and computation. Both are measured here by a ping-pong of messages between two ranks;
// the messages are those of the library's own schedule, run on clocks in place of machines. As JSON. Also
// for links with the latency and bandwidth of a cluster's.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "nn/distributed.hpp"
#include "nn/distributed/internal/schedule.hpp"

namespace {

using nn::distributed::World;
using nn::distributed::detail::halving_and_doubling;

struct Link {
  const char* name;
  double latency, byte;  // seconds
};

// Bytes of gradients, and operations of one sample forward and backward.
struct Model {
  const char* name;
  double bytes, operations;
  std::int64_t batch;
};

// Seconds of a message there and back, half of it, the least of some.
double ping(const World& world, std::size_t bytes) {
  std::vector<char> out(bytes), in(bytes);
  double least = 1e9;
  for (int i = 0; i < 50; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const int other = 1 - world.rank();
    for (int j = 0; j < 10; ++j) world.exchange(out.data(), bytes, other, in.data(), bytes, other);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    least = std::min(least, time.count() / 10);
  }
  return least;
}

Link measure(const World& world) {
  const double small = ping(world, 8), large = ping(world, std::size_t{4} << 20);
  return {"measured", small, (large - small) / double(std::size_t{4} << 20)};
}

// Each rank has a clock; a message starts when both ends are ready.
double communication(int ranks, double bytes, const Link& link) {
  std::vector<double> clock(std::size_t(ranks), 0.0);
  std::vector<decltype(halving_and_doubling(0, 1, 0))> all;
  for (int r = 0; r < ranks; ++r)
    all.push_back(halving_and_doubling(r, ranks, static_cast<std::int64_t>(bytes / 4)));
  for (std::size_t i = 0; i < all[0].size(); ++i) {
    const std::vector<double> before = clock;
    for (std::size_t r = 0; r < all.size(); ++r) {
      const auto& m = all[r][i];
      const double sent = double(std::max(m.give.bytes(4), m.take.bytes(4)));
      clock[r] =
          std::max(before[r], before[std::size_t(m.partner)]) + link.latency + sent * link.byte;
    }
  }
  return *std::max_element(clock.begin(), clock.end());
}

double formula(int ranks, double bytes, const Link& link) {
  return 2 * std::log2(ranks) * link.latency + 2 * bytes * (1 - 1.0 / ranks) * link.byte;
}

}  // namespace

int main(int argc, char** argv) {
  const World world(argc, argv);
  if (world.size() != 2) return fmt::print(stderr, "usage: mpirun -n 2 scaling [GFLOPS]\n"), 2;
  const double rate = (argc > 1 ? std::stod(argv[1]) : 50.0) * 1e9;
  const std::vector<Link> links{measure(world),
                                {"10 Gbit/s, 20 us", 20e-6, 1 / 1.25e9},
                                {"100 Gbit/s, 2 us", 2e-6, 1 / 12.5e9}};
  if (world.rank() != 0) return 0;
  // Batches of 4,096 samples are cut into as many shards, those of tokens into sequences.
  const std::vector<Model> models{
      {"MLP 784-256-128-10", 4 * 235146.0, 6 * 235146.0, 4096},
      {"CNN 1-32-64-fc", 4 * 421642.0, 3 * 2 * 4.2e6, 4096},
      {"transformer, 100M parameters, 512 tokens a sample", 4e8, 6e8 * 512, 4096}};
  fmt::print("{{\"operations_per_second\": {:.3g}, \"rows\": [", rate);
  const char* comma = "\n";
  for (const Link& link : links)
    for (const Model& m : models) {
      const double alone = m.operations * double(m.batch) / rate;
      for (int ranks = 1; ranks <= 4096; ranks *= 4) {
        const double sent = ranks == 1 ? 0 : communication(ranks, m.bytes, link);
        const double step = alone / ranks + sent;
        fmt::print(
            "{}{{\"link\": \"{}\", \"model\": \"{}\", \"ranks\": {}, \"step_ms\": {:.4g}, "
            "\"communication_ms\": {:.4g}, \"by_formula_ms\": {:.4g}, \"speedup\": {:.4g}}}",
            comma, link.name, m.name, ranks, step * 1e3, sent * 1e3,
            ranks == 1 ? 0 : formula(ranks, m.bytes, link) * 1e3, alone / step);
        comma = ",\n";
      }
    }
  fmt::print("\n], \"latency_us\": {:.3g}, \"GB_per_second\": {:.3g}}}\n", links[0].latency * 1e6,
             1e-9 / links[0].byte);
}
