// An autoencoder: pictures of clothes through a bottleneck of 16 numbers and back, by convolutions and
// transposed convolutions. Beside it, the best that any linear code of 16 numbers can do (PCA).
// usage: autoencoder [DIRECTORY]   of IDX files; writes autoencoder.png: originals above what came back
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

constexpr std::int64_t kCode = 16;

struct Autoencoder : nn::Module {
  nn::Sequential encoder{nn::Conv2d(1, 16, 3, {.stride = 2, .padding = 1}),
                         nn::ReLU(),
                         nn::Conv2d(16, 32, 3, {.stride = 2, .padding = 1}),
                         nn::ReLU(),
                         nn::Flatten(),
                         nn::Linear(32 * 7 * 7, kCode)};
  nn::Sequential decoder{
      nn::Linear(kCode, 32 * 7 * 7),
      nn::ReLU(),
      [](const Tensor& x) {
        return ag::reshape(x, {-1, 32, 7, 7});
      },
      nn::ConvTranspose2d(32, 16, 3, {.stride = 2, .padding = 1, .output_padding = 1}),
      nn::ReLU(),
      nn::ConvTranspose2d(16, 1, 3, {.stride = 2, .padding = 1, .output_padding = 1}),
      nn::Sigmoid()};
  NN_MODULE(encoder, decoder)
  Tensor forward(const Tensor& x) const { return decoder(encoder(x)); }
};

// The mean squared error of the images rebuilt from their 16 principal components.
double pca_error(const Tensor& training, const Tensor& test) {
  const Tensor x = ag::flatten(training, 1), mean = ag::mean(x, 0, true);
  const Tensor centred = x - mean, covariance = ag::matmul(ag::transpose(centred), centred);
  const auto [values, vectors] = ag::eigh(covariance);  // ascending
  const Tensor axes = ag::narrow(vectors, 1, vectors.size(1) - kCode, kCode);
  const Tensor y = ag::flatten(test, 1) - mean;
  return nn::mse_loss(ag::matmul(ag::matmul(y, axes), ag::transpose(axes)), y).item();
}

int main(int argc, char** argv) try {
  ag::manual_seed(1);
  const auto [all, test] =
      data::load_mnist(argc > 1 ? argv[1] : "/usr/share/datasets/fashion-mnist");
  const Tensor images =
      ag::narrow(all.images, 0, 0, std::min<std::int64_t>(20000, all.images.size(0)));
  Autoencoder model;
  nn::optim::Adam optimizer(model.parameters(), {.lr = 2e-3});
  data::DataLoader loader(data::TensorDataset(images, images),
                          {.batch_size = 64, .shuffle = true, .seed = 1});
  auto step = ag::compile([&](const Tensor& x) {
    optimizer.zero_grad();
    const Tensor loss = nn::mse_loss(model(x), x);
    loss.backward();
    optimizer.step();
    return loss;
  });
  for (int epoch = 1; epoch <= 3; ++epoch) {
    double loss = 0;
    for (const auto& [x, y] : loader) loss += step(x).item() / double(loader.size());
    fmt::print("epoch {}  loss {:.4f}\n", epoch, loss);
  }
  const Tensor back = nn::predict(model, test.images);
  const double error = nn::mse_loss(back, test.images).item();
  const double linear = pca_error(images, test.images);
  fmt::print("test error {:.4f}, of 16 principal components {:.4f}\n", error, linear);
  ag::TensorList columns;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(16, back.size(0)); ++i)
    columns.push_back(ag::concat({test.images[i], back[i]}, 1));
  data::write_png("autoencoder.png", ag::concat(columns, 2));
  return error < linear ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
