// Trains the network of fashion_mnist on several processes, which end with the same bits as one does:
//   bash examples/run distributed --ranks 2        or        mpirun -n 2 distributed
#include <CLI/CLI.hpp>
#include <autograd/autograd.hpp>
#include <chrono>
#include <nn/distributed.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;

struct Settings {
  std::string data = "/usr/share/datasets/fashion-mnist", save;
  std::int64_t epochs = 1, batch = 256, steps = 0, shards = 16;
  int threads = 1;
};

int train(const Settings& s, const nn::distributed::World& world) {
  ag::manual_seed(1), ag::set_num_threads(s.threads);
  const auto [train, test] = nn::data::load_mnist(s.data);
  nn::Sequential model(nn::Conv2d(1, 32, 3, {.padding = 1}), nn::BatchNorm2d(32), nn::ReLU(),
                       nn::MaxPool2d(2), nn::Conv2d(32, 64, 3, {.padding = 1}), nn::BatchNorm2d(64),
                       nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(), nn::Dropout(0.3),
                       nn::MLP(64 * 7 * 7, {128}, 10, {.dropout = 0.3}));
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 2e-3});
  nn::distributed::DataParallel parallel(model, world, {.shards = s.shards});
  nn::distributed::DataLoader loader(
      parallel, train, {.batch_size = s.batch, .shuffle = true, .seed = 1, .drop_last = true});
  const std::int64_t steps = s.steps > 0 ? s.steps : s.epochs * loader.size();
  const auto start = std::chrono::steady_clock::now();
  double loss = 0;
  for (std::int64_t step = 0; step < steps;)
    for (const auto& batch : loader) {  // the shards of this rank
      optimizer.zero_grad();
      loss = parallel.backward(batch, [&](const ag::Tensor& images, const ag::Tensor& labels) {
        return nn::cross_entropy(model(images), labels, {.reduction = nn::Reduction::sum}) /
               double(batch.rows);
      });
      optimizer.step();
      if (++step % 50 == 0 && world.rank() == 0) fmt::print("step {} loss {:.4f}\n", step, loss);
      if (step == steps) break;
    }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  if (world.rank() != 0) return 0;
  const ag::Tensor logits = nn::predict(model, test.images);
  fmt::print("{}: {} steps in {:.1f} s, {:.1f} MB sent by this one\n", world.str(), steps,
             time.count(), static_cast<double>(world.bytes_sent()) / 1e6);
  fmt::print("test accuracy {:.4f}, weights {:016x}\n", nn::accuracy(logits, test.labels),
             nn::fingerprint(model));
  if (!s.save.empty()) nn::save(model, s.save);
  return 0;
}

int main(int argc, char** argv) try {
  Settings s;
  CLI::App app("Trains a convolutional network on several processes.");
  app.option_defaults()->always_capture_default();
  const CLI::Range positive(1, 1 << 30), natural(0, 1 << 30);
  app.add_option("--data", s.data, "directory of {train,t10k}-{images,labels}-..-ubyte[.gz]");
  app.add_option("--epochs", s.epochs, "passes over the images")->check(positive);
  app.add_option("--steps", s.steps, "instead of epochs, if above 0")->check(natural);
  app.add_option("--batch-size", s.batch, "images per step, of all processes")->check(positive);
  app.add_option("--shards", s.shards, "parts of a batch, a power of two")->check(positive);
  app.add_option("--threads", s.threads, "of each process")->check(positive);
  app.add_option("--save", s.save, "file for the model");
  CLI11_PARSE(app, argc, argv);
  const nn::distributed::World world(argc, argv);
  return train(s, world);
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
