// Photographs: a convolutional network with batch normalisation, on augmented images.
// usage: cifar [DIRECTORY [EPOCHS]]   a directory with data_batch_*.bin and test_batch.bin of CIFAR-10
// (or your own pictures in that form). Without one it takes 6,000 pictures of Fashion-MNIST, padded to
// 32 × 32 pixels, so that there is something to run.
#include <autograd/autograd.hpp>
#include <cstdlib>
#include <nn/nn.hpp>
#include <thread>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

// Two convolutions, each normalised, and what went in added to what comes out (He et al. 2016).
struct Residual : nn::Module {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d norm1, norm2;
  explicit Residual(std::int64_t channels)
      : conv1(channels, channels, 3, {.padding = 1, .bias = false}),
        conv2(channels, channels, 3, {.padding = 1, .bias = false}),
        norm1(channels),
        norm2(channels) {}
  NN_MODULE(conv1, norm1, conv2, norm2)
  Tensor forward(const Tensor& x) const {
    return ag::relu(x + norm2(conv2(ag::relu(norm1(conv1(x))))));
  }
};

nn::Sequential stage(std::int64_t in, std::int64_t out) {
  return nn::Sequential(nn::Conv2d(in, out, 3, {.padding = 1, .bias = false}), nn::BatchNorm2d(out),
                        nn::ReLU(), nn::MaxPool2d(2), Residual(out));
}

// Pictures that are none of CIFAR's, in its form.
data::LabelledImages as_photographs(const data::LabelledImages& set, std::int64_t n) {
  const Tensor grey = ag::pad(ag::narrow(set.images, 0, 0, n), {2, 2, 2, 2});
  return {ag::concat({grey, grey, grey}, 1), ag::narrow(set.labels, 0, 0, n)};
}

int main(int argc, char** argv) try {
  const std::int64_t epochs = argc > 2 ? std::atoi(argv[2]) : argc > 1 ? 10 : 2;
  ag::manual_seed(1);
  ag::set_num_threads(
      std::thread::hardware_concurrency());  // the result is the same for any number
  data::LabelledImages train, test;
  if (argc > 1) {
    data::Cifar cifar = data::load_cifar10(argv[1]);
    train = cifar.train, test = cifar.test;
  } else {
    const auto fashion = data::load_mnist("/usr/share/datasets/fashion-mnist");
    train = as_photographs(fashion.train, 6000), test = as_photographs(fashion.test, 1000);
  }
  nn::Sequential model(data::Normalize::fit(train.images), stage(3, 16), stage(16, 32),
                       stage(32, 64), nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(64, 10));
  fmt::print("{}\n{}\n", train.images.shape(), nn::summary(model, {1, 3, 32, 32}));
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 2e-3, .weight_decay = 5e-2});
  data::DataLoader loader(train, {.batch_size = 64,
                                  .shuffle = true,
                                  .seed = 1,
                                  .drop_last = true,
                                  .prefetch = 2,
                                  .transform = [](data::Batch batch, ag::Generator& generator) {
                                    batch.x =
                                        data::random_crop(batch.x, 32, {.padding = 4}, generator);
                                    batch.x = data::random_horizontal_flip(batch.x, generator);
                                    return batch;
                                  }});
  nn::optim::OneCycleLR schedule(optimizer,
                                 {.max_lr = 6e-3, .total_steps = epochs * loader.size()});
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = nn::cross_entropy(model(x), y, {.label_smoothing = 0.05});
    loss.backward();
    optimizer.step();
    schedule.step();
    return loss;
  });
  double accuracy = 0;
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    nn::Progress bar(fmt::format("epoch {}/{}", epoch, epochs), loader.size());
    for (const auto& [x, y] : loader) bar.step(y.numel(), step(x, y).item());
    accuracy = nn::accuracy(nn::predict(model, test.images), test.labels);
    fmt::print("  test accuracy {:.4f}\n", accuracy);
  }
  nn::save(model, "cifar.safetensors");
  return accuracy > 0.3 ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
