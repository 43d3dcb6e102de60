// usage: soak [STEPS [THREADS]]
// Many small steps of training on several threads at once (default: a million on 4): models that come and go, compiled
// and not, loaders with workers, checkpoints saved and loaded. Once all is warm the memory must stay as it is.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;

namespace {

constexpr std::int64_t kStepsOfModel = 500;

// Pages of the process that are in memory.
std::int64_t resident() {
  long size = 0, pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  const bool read = file && std::fscanf(file, "%ld %ld", &size, &pages) == 2;
  if (file) std::fclose(file);
  if (!read) throw std::runtime_error("no /proc/self/statm");
  return pages * sysconf(_SC_PAGESIZE);
}

void must(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// One model from its beginning to its end; returns its last loss.
double train(std::int64_t number, const std::string& path) {
  ag::Generator generator(static_cast<std::uint64_t>(number));
  const ag::Tensor x = ag::randn({32, 4}, ag::float32, generator), y = ag::sum(x, 1, true) * 0.5f;
  nn::Sequential model(nn::MLP(4, {8}, 8), nn::LayerNorm({8}), nn::Linear(8, 1));
  nn::optim::Adam optimizer(model.parameters(), {.lr = 0.01});
  nn::Checkpoint checkpoint{{"model", model}, {"adam", optimizer}};
  nn::data::DataLoader loader(nn::data::TensorDataset(x, y),
                              {.batch_size = 8, .shuffle = true, .workers = number % 4 == 0});
  const auto step = [&](const ag::Tensor& inputs, const ag::Tensor& targets) {
    optimizer.zero_grad();
    const ag::Tensor loss = nn::mse_loss(model(inputs), targets);
    loss.backward();
    optimizer.step();
    return loss.detach();
  };
  auto compiled = ag::compile(step);
  double last = 0;
  for (std::int64_t done = 0; done < kStepsOfModel;)
    for (const auto& [inputs, targets] : loader) {
      last = (number % 2 ? step(inputs, targets) : compiled(inputs, targets)).item();
      if (++done % 100 == 0) {
        checkpoint.save(path);
        checkpoint.load(path);
      }
    }
  return last;
}

// Models of one thread, drawn from a common count.
void work(std::atomic<std::int64_t>& models, std::int64_t all, const std::string& path) {
  for (std::int64_t i; (i = models.fetch_add(1)) < all;)
    must(train(i % 8, path) < 1, "a model has not learnt");
}

void soak(std::int64_t steps, std::int64_t threads) {
  const Scratch scratch;
  const auto some = [&](std::int64_t models) {
    std::atomic<std::int64_t> begun = 0;
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(threads));
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < errors.size(); ++t)
      all.emplace_back([&, t] {
        try {
          work(begun, models, scratch / std::to_string(t));
        } catch (...) {
          errors[t] = std::current_exception();
        }
      });
    for (auto& thread : all) thread.join();
    for (const auto& error : errors)
      if (error) std::rethrow_exception(error);
    return models * kStepsOfModel;
  };
  const std::int64_t part = std::max<std::int64_t>(threads, steps / kStepsOfModel / 20);
  std::int64_t done = some(part) + some(part);
  const std::int64_t warm = resident();
  while (done < steps) {
    done += some(part);
    fmt::print("{:8} steps, {:6.1f} MB\n", done, static_cast<double>(resident()) / 1e6);
    std::fflush(stdout);
  }
  const std::int64_t grown = resident() - warm;
  fmt::print("{} steps on {} threads; {:.1f} MB, {:+.1f} since it was warm\n", done, threads,
             static_cast<double>(warm + grown) / 1e6, static_cast<double>(grown) / 1e6);
  // malloc's arenas and the pool are not the same for each order of the threads.
  must(grown < warm / 4, "the memory grows");
}

}  // namespace

int main(int argc, char** argv) try {
  soak(argc > 1 ? std::atoll(argv[1]) : 1'000'000, argc > 2 ? std::atoll(argv[2]) : 4);
  return 0;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
