// Trains a classifier of images in IDX files (Fashion-MNIST, MNIST, your own), tests and saves it.
// Ctrl-C stops it after the step at hand; with --resume it goes on and ends with the same bits.
#include <CLI/CLI.hpp>
#include <autograd/autograd.hpp>
#include <cmath>
#include <nn/nn.hpp>
#include <thread>
namespace ag = autograd;

struct Settings {
  std::string data = "/usr/share/datasets/fashion-mnist", save = "fashion_mnist.safetensors";
  std::string model = "cnn", resume, report;
  std::int64_t epochs = 10, batch = 64, threads = std::thread::hardware_concurrency();
  std::uint64_t seed = 1;
  double lr = 2e-3;
};

nn::Sequential make_model(bool cnn, const ag::Shape& image, std::int64_t classes) {
  if (!cnn) return nn::Sequential(nn::Flatten(), nn::MLP(image.numel(), {256, 128}, classes));
  const std::int64_t features = 64 * (image[1] / 4) * (image[2] / 4);
  return nn::Sequential(nn::Conv2d(image[0], 32, 3, {.padding = 1}), nn::BatchNorm2d(32),
                        nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(32, 64, 3, {.padding = 1}),
                        nn::BatchNorm2d(64), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                        nn::Dropout(0.3), nn::MLP(features, {128}, classes, {.dropout = 0.3}));
}

int train(const Settings& s) {
  const nn::Interrupt interrupt;  // SIGINT and SIGTERM
  const std::string file = s.save + ".checkpoint";
  nn::check_writable(s.save), nn::check_writable(file);
  ag::manual_seed(s.seed), ag::set_num_threads(s.threads);
  const auto [images, test] = nn::data::load_mnist(s.data);
  const auto [training, validation] = nn::data::split(images, {0.9, 0.1}, s.seed);
  nn::data::DataLoader loader(training, {.batch_size = s.batch, .shuffle = true, .seed = s.seed});
  const std::int64_t classes = ag::max(images.labels).item<std::int64_t>() + 1;
  nn::Sequential model = make_model(s.model == "cnn", test.images[0].shape(), classes);
  fmt::print("{} images to train, {} to validate\n{}\n", training.size(), validation.size(), model);
  nn::optim::AdamW optimizer(model.parameters(), {.lr = s.lr});
  nn::optim::CosineAnnealingLR schedule(optimizer, {.T_max = s.epochs * loader.size()});
  auto update = ag::compile([&](const ag::Tensor& x, const ag::Tensor& y) {
    optimizer.zero_grad();
    const ag::Tensor loss = nn::cross_entropy(model(x), y);
    loss.backward(), optimizer.step(), schedule.step();
    return loss;
  });
  nn::Checkpoint run{{"model", model}, {"adamw", optimizer}, {"lr", schedule}, {"data", loader}};
  const auto text = [](auto x) { return fmt::format("{}", x); };
  run.options = {{"--seed", text(s.seed)}, {"--lr", text(s.lr)}, {"--batch-size", text(s.batch)}};
  run.options.insert({{"--model", s.model}, {"--epochs", text(s.epochs)}});
  if (!s.resume.empty()) run.load(s.resume);
  nn::TrainingReport page("Images in " + s.data);
  page.add_options(run.options);
  page.add_text("Model", nn::summary(model, ag::narrow(test.images, 0, 0, 1).shape()).str());
  if (!s.report.empty()) page.live(s.report);
  std::int64_t step = loader.epoch() * loader.size() + loader.batch();
  while (loader.epoch() < s.epochs) {
    const std::int64_t epoch = loader.epoch() + 1;
    nn::Progress bar(fmt::format("epoch {}/{}", epoch, s.epochs), loader.size(), loader.batch());
    bar.expect((s.epochs - epoch) * loader.size());
    for (const auto& [x, y] : loader) {
      const double loss = update(x, y).item();
      page.add_scalar("learning rate", optimizer.lr(), step);
      bar.step(y.numel(), loss), page.add_scalar("loss/training", loss, step++);
      if (interrupt)
        return run.save(file), fmt::print("\ngo on by --resume {}\n", file), interrupt.exit_code();
    }
    const ag::Tensor logits = nn::predict(model, validation.x);
    const double loss = nn::cross_entropy(logits, validation.y).item();
    const double accuracy = nn::accuracy(logits, validation.y);
    fmt::print("  validated: {:.4f}, accuracy {:.4f}\n", loss, accuracy);
    page.add_scalar("loss/validation", loss, step), page.add_scalar("accuracy", accuracy, step);
    page.add_gradients(model, step), run.save(file);
  }
  const ag::Tensor logits = nn::predict(model, test.images);
  if (!std::isfinite(nn::cross_entropy(logits, test.labels).item()))
    throw ag::Error("nothing was learnt, nothing is saved; lower --lr");
  const ag::Tensor confusion = nn::confusion_matrix(logits, test.labels);
  std::vector<std::string> names;
  if (s.data.find("fashion") != s.data.npos)
    names = {"top", "trouser", "jumper", "dress", "coat", "sandal", "shirt", "shoe", "bag", "boot"};
  page.add_confusion("Test images", confusion, names);
  page.add_mistakes("Most wrong", test.images, logits, test.labels, names);
  const auto result = nn::classification_report(confusion);
  fmt::print("\n{}\nconfusion (row: label, column: prediction)\n{}\ntest accuracy {:.4f}\n",
             result.str(names), confusion, result.accuracy);
  return nn::save(model, s.save), fmt::print("saved {}\n", s.save), 0;
}

int main(int argc, char** argv) try {
  Settings s;
  CLI::App app("Trains a classifier of images in IDX files.");
  app.option_defaults()->always_capture_default();
  const CLI::Range positive(1, 1 << 30), rate(1e-9, 1e3);
  app.add_option("--data", s.data, "directory of {train,t10k}-{images,labels}-..-ubyte[.gz]");
  app.add_option("--epochs", s.epochs, "passes over the images")->check(positive);
  app.add_option("--batch-size", s.batch, "images per step")->check(positive);
  app.add_option("--lr", s.lr, "first learning rate")->check(rate);
  app.add_option("--model", s.model, "convolutional or not")->check(CLI::IsMember({"cnn", "mlp"}));
  app.add_option("--seed", s.seed, "of weights and order")->check(CLI::NonNegativeNumber);
  app.add_option("--threads", s.threads, "to share the work")->check(positive);
  app.add_option("--save", s.save, "file for the model; a checkpoint is kept beside it");
  app.add_option("--report", s.report, "file for a page on the run, live in a browser");
  app.add_option("--resume", s.resume, "checkpoint of an interrupted run with the same options");
  CLI11_PARSE(app, argc, argv);
  return train(s);
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
