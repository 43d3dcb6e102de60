// usage: ranks MODEL STEPS [CHECKPOINT]   trains on made-up data and prints a fingerprint of all that
// came of it, which must not depend on the number of ranks; or says what a wrong call is told.
#include <fmt/core.h>

#include <mpi.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>

#include "nn/distributed/internal/wire.hpp"
#include "tests/distributed/ranks.hpp"

using nn::distributed::Wire;

namespace {

// What stands in for an MPI without threads, and for rank 1 with a library of another version.
bool without_threads = false, of_other_version = false;

}  // namespace

extern "C" int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  const int code = PMPI_Init_thread(argc, argv, required, provided);
  if (without_threads) *provided = MPI_THREAD_SINGLE;
  return code;
}

std::string_view autograd::version() noexcept {
  int rank = 0;
  if (of_other_version) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank == 1 ? "0.0.1" : "0.1.0";
}

namespace {

// Numbers of 16 bits: ties to even, the smallest and the largest, what is beyond, and NaN.
namespace wire = nn::distributed::detail;
constexpr bool half_is(float x, unsigned bits) {
  return wire::nearest<wire::Float16>(x).bits == bits;
}
constexpr bool brain_is(float x, unsigned bits) {
  return wire::nearest<wire::BFloat16>(x).bits == bits;
}
static_assert(half_is(1 + 0x1p-11f, 0x3C00) && half_is(1 + 0x3p-11f, 0x3C02));
static_assert(half_is(0x1p-25f, 0) && half_is(0x1.8p-25f, 1) && half_is(-0x1p-24f, 0x8001));
static_assert(half_is(65519, 0x7BFF) && half_is(65520, 0x7C00) && half_is(-0.0f, 0x8000));
static_assert(brain_is(1 + 0x1p-8f, 0x3F80) && brain_is(1 + 0x3p-8f, 0x3F82));
static_assert(brain_is(std::numeric_limits<float>::max(), 0x7F80) && brain_is(-0.0f, 0x8000));
static_assert(wire::value(wire::Float16{0x0001}) == 0x1p-24f);
static_assert(wire::value(wire::Float16{0xFBFF}) == -65504);

// Random numbers, running statistics, and gradients that only some shards or none have.
struct Images : nn::Module {
  nn::Conv2d conv{1, 4, 3};
  nn::BatchNorm2d norm{4, {.momentum = std::nullopt}};  // by the count of batches
  nn::Dropout dropout{0.3};
  nn::Linear output{4 * 6 * 6, kClasses};
  nn::Parameter unused{ag::ones({3})}, sometimes{ag::ones({kClasses})};
  bool branches = true, apart = false;  // some shards go another way, and without batch norm
  NN_MODULE(conv, norm, dropout, output, unused, sometimes)
  ag::Tensor forward(const ag::Tensor& x) const {
    const bool other = (branches || apart) && ag::flatten(x)[0].item() < 0.3;
    const ag::Tensor h = conv(x), normal = other && apart ? h : norm(h);
    const ag::Tensor y = output(dropout(ag::flatten(ag::relu(normal), 1)));
    return other ? y * sometimes : y;
  }
};

struct Words : nn::Module {
  nn::Embedding table{50, 6, {.sparse = true}};
  nn::Linear output{6, kClasses};
  NN_MODULE(table, output)
  ag::Tensor forward(const ag::Tensor& x) const { return output(ag::mean(table(x), 1)); }
};

template <class M, class Batch>
void train(const World& world, M model, ag::DType dtype, int steps, Batch&& batch,
           const nn::distributed::DataParallelOptions& options = {}, bool compiled = false) {
  model.to(dtype);
  DataParallel parallel(model, world, options);
  const auto loss_of = [&](const ag::Tensor& in, const ag::Tensor& target) {
    return nn::cross_entropy(model(in), target, {.reduction = nn::Reduction::sum}) / double(kBatch);
  };
  std::optional<decltype(parallel.compile(loss_of))> replayed;
  if (compiled) replayed.emplace(parallel.compile(loss_of));
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  ag::Generator data(3);
  double loss = 0;
  for (int i = 0; i < steps; ++i) {
    optimizer.zero_grad();
    const ag::Tensor x = batch(data), y = ag::randint(0, kClasses, {kBatch}, data);
    for (int twice = 0; twice < 2; ++twice)  // gradients add up
      loss = replayed ? (*replayed)(x, y) : parallel.backward(x, y, loss_of);
    optimizer.step();
    // A hook that comes after those of the buckets has the last word.
    if (i == 1) model.output.weight.register_hook([](const ag::Tensor& g) { return g * 0.5; });
  }
  if (replayed && replayed->stats().replays == 0) throw ag::Error("shards must be replayed");
  const auto all = world.gather(static_cast<std::int64_t>(nn::fingerprint(model)));
  for (const auto f : all)
    if (f != all[0]) throw ag::Error("ranks ended with different weights");
  if (world.rank() == 0)
    fmt::print("loss {:a} weights {:016x} random {:a}\n", loss, nn::fingerprint(model),
               ag::rand({}, ag::float64).item());
}

// Counts of all ranks; what differs in shape is refused by each.
void counts(const World& world) {
  const std::int64_t n = world.size();
  const std::vector<std::int64_t> own{1, world.rank()}, all{n, n * (n - 1) / 2};
  if (world.sum(ag::tensor(own)).to_vector<std::int64_t>() != all)
    throw ag::Error("counts must be those of all ranks");
  try {
    world.sum(ag::zeros({1, world.rank() + 1}));
  } catch (const ag::Error& error) {
    const std::string_view text = error.what();
    if (text.find("got float32 (1, 1) on rank 0 and float32 (1, 2) on rank 1") != text.npos) return;
  }
  throw ag::Error("tensors of other shapes must be refused");
}

// Batch norm over the whole batch gives what it gives where the batch is not cut.
void together(const World& world) {
  Images model;
  model.branches = false;
  model.dropout = nn::Dropout(0.0);
  Images same = model;
  DataParallel parallel(model, world,
                        {.batch_statistics = nn::distributed::BatchStatistics::whole});
  same.load_state_dict(model.state_dict());
  const ag::Tensor x = ag::randn({kBatch, 1, 8, 8}), y = ag::randint(0, kClasses, {kBatch});
  const auto loss_of = [&](const Images& of, const ag::Tensor& in, const ag::Tensor& target) {
    return nn::cross_entropy(of(in), target, {.reduction = nn::Reduction::sum}) / double(kBatch);
  };
  for (int i = 0; i < 2; ++i) {
    const double loss = parallel.backward(
        x, y,
        [&](const ag::Tensor& in, const ag::Tensor& target) { return loss_of(model, in, target); });
    const ag::Tensor whole = loss_of(same, x, y);
    whole.backward();
    if (std::abs(loss - whole.item()) > 1e-5) throw ag::Error("the loss must be that of the batch");
  }
  const auto state = model.state_dict(), expected = same.state_dict();
  for (std::size_t i = 0; i < state.size(); ++i)
    if (!ag::allclose(state[i].tensor.to(ag::float64), expected[i].tensor.to(ag::float64), 1e-4,
                      1e-5))
      throw ag::Error(state[i].name + " must be that of the batch");
  const auto p = model.parameters(), q = same.parameters();
  for (std::size_t i = 0; i < p.size(); ++i)
    if (p[i].grad().defined() && !ag::allclose(p[i].grad(), q[i].grad(), 1e-3, 1e-5))
      throw ag::Error("gradients must be those of the batch");
  nn::StateDict all = state;
  for (const ag::Tensor& t : p)
    if (t.grad().defined()) all.push_back({"", t.grad()});
  world.check_same("what came of it", nn::fingerprint(all));
  if (world.rank() == 0) fmt::print("loss and all {:016x}\n", nn::fingerprint(all));
}

std::int64_t bytes_of(const nn::StateDict& state) {
  std::int64_t bytes = 0;
  for (const auto& [name, t] : state)
    if (name.starts_with("state.")) bytes += t.numel() * std::int64_t(ag::size_of(t.dtype()));
  return bytes;
}

// Goes on from the checkpoint, if there is one, with the state of Adam shared out or whole. The last
// rank is killed in the middle of a model that says so.
void go_on(const World& world, std::string_view model, int steps, const std::string& path) {
  Images images;
  nn::optim::AdamW adam(images.parameters(), {.lr = 0.01});
  nn::distributed::ShardedOptimizer optimizer(adam, world);
  DataParallel parallel(images, world, {.shards = model == "other shards" ? 8 : 16});
  ag::Generator data(3);
  nn::distributed::Checkpoint checkpoint(
      parallel, {{"model", images}, {"optimizer", optimizer}, {"data", data}});
  if (std::filesystem::exists(path)) checkpoint.load(path);
  if (world.rank() == 0) fmt::print(stderr, "from step {}\n", checkpoint.step);
  while (checkpoint.step < steps) {
    optimizer.zero_grad();
    const ag::Tensor x = ag::randn({kBatch, 1, 8, 8}, ag::float32, data);
    const ag::Tensor y = ag::randint(0, kClasses, {kBatch}, data);
    parallel.backward(x, y, [&](const ag::Tensor& in, const ag::Tensor& target) {
      return nn::cross_entropy(images(in), target, {.reduction = nn::Reduction::sum}) /
             double(kBatch);
    });
    model == "whole" ? adam.step() : optimizer.step();
    ++checkpoint.step;
    if (!path.empty()) checkpoint.save(path);
    if (model == "killed" && checkpoint.step == steps / 2) {
      checkpoint.wait();
      world.barrier();  // all know where it is
      if (world.rank() == world.size() - 1) std::raise(SIGKILL);
    }
  }
  checkpoint.wait();
  const auto own = world.gather(bytes_of(adam.state_dict()));
  const nn::StateDict state = optimizer.state_dict();
  const std::int64_t expected = world.rank() == 0
                                    ? std::accumulate(own.begin(), own.end(), std::int64_t{0})
                                    : own[static_cast<std::size_t>(world.rank())];
  if (model == "sharded" && bytes_of(state) != expected)
    throw ag::Error("the ranks must remember each parameter once, and rank 0 alone gather that");
  const std::uint64_t weights = nn::fingerprint(images);
  world.check_same("the weights", weights);
  if (world.rank() == 0)
    fmt::print("weights {:016x} state {:016x}\n", weights, nn::fingerprint(state));
}

// What a rank holds and sends while a state of 16 tensors, shared out, is saved and loaded.
void memory(const World& world, const std::string& path) {
  nn::MLP model(128, {128, 128, 128, 128, 128, 128, 128}, 128);
  nn::optim::AdamW adam(model.parameters(), {.lr = 0.01});
  nn::distributed::ShardedOptimizer optimizer(adam, world);
  nn::distributed::Checkpoint checkpoint(world, {{"model", model}, {"optimizer", optimizer}});
  ag::sum(model(ag::ones({1, 128}))).backward();
  optimizer.step(), optimizer.zero_grad();
  const std::int64_t one = 128 * 128 * 4, weights = 8 * one, own = bytes_of(adam.state_dict());
  if (own > 16 * one / world.size() + one / 2)
    throw ag::Error("a rank must remember its part alone");
  const auto taken = [](auto&& work) {
    ag::reset_peak_memory();
    const std::int64_t start = ag::memory_stats().in_use;
    work();
    return ag::memory_stats().peak - start;
  };
  const auto check = [&](const char* what, std::int64_t got, std::int64_t most) {
    if (got > most)
      throw ag::Error(
          fmt::format("{}: {} must take at most {} bytes, got {}", world.str(), what, most, got));
  };
  const std::int64_t sent = world.bytes_sent();
  const bool first = world.rank() == 0;
  check("a state", taken([&] { optimizer.state_dict(); }), (first ? 16 * one - own : 0) + one / 2);
  check("sending a state", world.bytes_sent() - sent, (first ? 0 : own) + one / 2);
  checkpoint.save(path), checkpoint.wait();
  // What is read, what was there before, and what becomes of it.
  check("loading", taken([&] { checkpoint.load(path); }), 2 * weights + 3 * own + one);
  try {
    checkpoint.load(world.rank() == 1 ? path + ".other" : path);
  } catch (const ag::Error&) {
    return;  // on every rank, where others would wait
  }
  throw ag::Error("a file that one rank cannot read must be an error on all");
}

// What one rank does alone is an error on all, after which they go on together.
void alone(const World& world, std::string_view model) {
  const bool last = world.rank() == world.size() - 1;
  nn::Linear linear(3, 2);
  DataParallel parallel(linear, world);
  const ag::Tensor x = ag::randn({kBatch, 3});
  bool throws = false;
  const auto step = [&](const ag::Tensor& in) {
    return parallel.backward(in, in, [&](const ag::Tensor& part, const ag::Tensor&) {
      if (throws) throw std::runtime_error("this loss has had enough");
      return ag::sum(linear(part));
    });
  };
  const double loss = step(x);
  if (model == "rows") step(ag::narrow(x, 0, 0, last ? kBatch : kBatch - 1));
  if (model == "frozen") linear.bias.requires_grad_(!last), step(x);
  throws = last;
  try {
    step(x);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
  }
  throws = false;
  if (step(x) != loss) throw ag::Error("the ranks must go on together");
  throw ag::Error("after that the ranks went on together");
}

// Ranks whose optimizers have options of their own.
void rates(const World& world) {
  nn::Linear linear(2, 2);
  DataParallel parallel(linear, world);
  nn::optim::SGD optimizer(linear.parameters(), {.lr = 0.1 * (world.rank() + 1)});
  const ag::Tensor x = ag::randn({kBatch, 2});
  for (int i = 0; i < 2; ++i) {
    parallel.backward(x, x,
                      [&](const ag::Tensor& in, const ag::Tensor&) { return ag::sum(linear(in)); });
    optimizer.step();
  }
}

// What is refused when it begins, or in the first step.
void refuse(const World& world, std::string_view model) {
  nn::Linear linear(2, 2);
  const bool other = model == "shards" && world.rank() == world.size() - 1;
  DataParallel parallel(linear, world, {.shards = model == "twelve" ? 12 : other ? 8 : 16});
  const ag::Tensor x = ag::randn({15, 2});
  parallel.backward(x, x,
                    [&](const ag::Tensor& in, const ag::Tensor&) { return ag::sum(linear(in)); });
}

// Two ranks: each sends its half of what is dense twice, and a number for each check and each tensor.
// The first step plans the next ones, also where shards are replayed: rank 0 tells an order of two
// parameters.
void bytes(const World& world) {
  const ag::Tensor x = ag::randn({kBatch, 8});
  const std::int64_t dense = (8 * 4 + 4) * 4 + 8, checks = 4 + 2 + 1;
  for (const bool compiled : {false, true}) {
    nn::Linear linear(8, 4);
    DataParallel parallel(linear, world, {.bucket_bytes = 100});
    const auto loss = [&](const ag::Tensor& in, const ag::Tensor&) { return ag::sum(linear(in)); };
    auto replayed = parallel.compile(loss);
    for (int step = 0; step < 4; ++step) {
      const std::int64_t before = world.bytes_sent();
      compiled ? replayed(x, x) : parallel.backward(x, x, loss);
      const std::int64_t sent = world.bytes_sent() - before;
      const std::int64_t plan = step == 0 && world.rank() == 0 ? 2 * 8 : 0;
      if (sent != dense + checks * 8 + plan)
        throw ag::Error(fmt::format("step {} must send {} bytes, got {}", step,
                                    dense + checks * 8 + plan, sent));
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 4) return 2;
  const std::string_view model = argv[1];
  without_threads = model == "threads", of_other_version = model == "version";
  World world(argc, argv);
  const int steps = std::stoi(argv[2]);
  ag::manual_seed(model == "seeds" ? world.rank() : 1);  // the weights of rank 0 go to all
  ag::set_num_threads((world.rank() + world.size()) % 3 + 1);
  const auto images = [](ag::Generator& g) { return ag::randn({kBatch, 1, 8, 8}, ag::float32, g); };
  const auto words = [](ag::Generator& g) { return ag::randint(0, 50, {kBatch, 7}, g); };
  if (model == "images" || model == "seeds")
    train(world, Images(), ag::float32, steps, images, {.bucket_bytes = 100});
  if (model == "later") train(world, Images(), ag::float32, steps, images, {.bucket_bytes = 0});
  if (model == "half") train(world, Images(), ag::float32, steps, images, {.wire = Wire::float16});
  if (model == "together") together(world);
  if (model == "apart") {
    Images apart;
    apart.apart = true;
    train(world, apart, ag::float32, 1, images,
          {.batch_statistics = nn::distributed::BatchStatistics::whole});
  }
  if (model == "straight" || model == "compiled") {
    Images straight;
    straight.branches = false;
    train(world, straight, ag::float32, steps, images, {}, model == "compiled");
  }
  if (model == "double")
    train(world, Images(), ag::float64, steps, [](ag::Generator& g) {
      return ag::randn({kBatch, 1, 8, 8}, ag::float64, g);
    });
  if (model == "words") train(world, Words(), ag::float32, steps, words);
  if (model == "short") train(world, Words(), ag::float32, steps, words, {.wire = Wire::bfloat16});
  if (model == "whole" || model == "sharded" || model == "killed" || model == "other shards")
    go_on(world, model, steps, argc == 4 ? argv[3] : "");
  for (const auto* loads : {"noisy", "whole batches", "shards of them", "whole sampled", "sampled",
                            "collated", "few", "fewer", "others", "ahead"})
    if (model == loads) load(world, model, steps, argc == 4 ? argv[3] : "");
  if (model == "data") {  // ranks with data of their own
    ag::Generator own(static_cast<std::uint64_t>(world.rank()));
    train(world, Words(), ag::float32, 1, [&](ag::Generator&) {
      return ag::randint(0, 50, {kBatch, 7}, own);
    });
  }
  if (model == "options") {
    counts(world);
    nn::Linear linear(2, 2);
    const auto over = nn::distributed::BatchStatistics(world.rank() % 2);
    DataParallel(linear, world, {.batch_statistics = over});
  }
  if (model == "shards" || model == "twelve" || model == "small") refuse(world, model);
  if (model == "rates") rates(world);
  if (model == "memory") memory(world, argv[3]);
  if (model == "bytes") bytes(world);
  if (model == "rows" || model == "frozen" || model == "throws") alone(world, model);
  if (model == "fails" && world.rank() == world.size() - 1)
    throw ag::Error("this rank has had enough");
  if (model == "fails") world.barrier();
} catch (const ag::Error& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
