// usage: trainer FILE [EPOCHS]
// Trains and saves a checkpoint after each epoch, under one name; goes on from it if it is there. At
// the end it prints a hash of all that the run is.
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/fire/bytes.hpp"

namespace ag = autograd;

namespace {

std::uint64_t hash(const std::string& bytes) {
  std::uint64_t h = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

void train(const std::string& file, std::int64_t epochs) {
  ag::manual_seed(1);
  ag::Generator generator(2);
  const ag::Tensor x = ag::randn({64, 8}, ag::float32, generator);
  nn::data::DataLoader loader(nn::data::TensorDataset(x, ag::randint(0, 3, {64}, generator)),
                              {.batch_size = 16, .shuffle = true, .seed = 3});
  nn::Sequential model(nn::Dropout(0.1), nn::MLP(8, {64}, 3));
  nn::optim::Adam optimizer(model.parameters(), {.lr = 0.01});
  nn::Checkpoint run{{"model", model}, {"adam", optimizer}, {"data", loader}};
  if (std::filesystem::exists(file)) run.load(file);
  while (loader.epoch() < epochs) {
    for (const auto& [inputs, labels] : loader) {
      optimizer.zero_grad();
      nn::cross_entropy(model(inputs), labels).backward();
      optimizer.step();
    }
    run.save(file);
  }
  fmt::print("{:016x}\n",
             hash(fire::bytes_of(model.state_dict()) + fire::bytes_of(optimizer.state_dict())));
}

}  // namespace

int main(int argc, char** argv) try {
  train(argc > 1 ? argv[1] : "run.checkpoint", argc > 2 ? std::atoll(argv[2]) : 100);
  return 0;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
