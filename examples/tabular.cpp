// Regression on a table in CSV: read, standardise, train, keep the best weights, judge on rows
// never seen. Without arguments on diabetes.csv beside this file: 442 patients, how far the disease
// went within a year (Efron, Hastie, Johnstone & Tibshirani 2004, "Least angle regression").
#include <CLI/CLI.hpp>
#include <autograd/autograd.hpp>
#include <filesystem>
#include <nn/nn.hpp>

namespace ag = autograd;

// Takes rows in their own units and answers in those of the target, so that the file it is saved to
// holds all that a prediction needs.
struct Regressor : nn::Module {
  nn::data::Standardizer input, output;
  nn::MLP mlp;
  NN_MODULE(input, output, mlp)

  explicit Regressor(const nn::data::TensorDataset& training)
      : mlp(training.x.size(1), {64, 64}, training.y.size(1), {.dropout = 0.2}) {
    input.fit(training.x);
    output.fit(training.y);
  }
  ag::Tensor forward(const ag::Tensor& x) const {
    return output.inverse_transform(mlp(input.transform(x)));
  }
};

struct Scores {
  double mse, r2;  // r2: the share of the variance that the predictions explain
};

Scores evaluate(Regressor& model, const nn::data::TensorDataset& data) {
  model.eval();
  const ag::NoGrad no_grad;
  const double mse = nn::mse_loss(model(data.x), data.y).item();
  return {mse, 1 - mse / ag::var(data.y, {}, false, 0).item()};
}

int train(const std::string& file, const std::string& target, std::uint64_t seed) {
  ag::manual_seed(seed);
  const auto table = nn::data::read_csv(file, {.missing = nn::data::Missing::mean});
  const auto [training, validation, test] =
      nn::data::split(table.features_and_targets({target}), {0.7, 0.15, 0.15}, seed);
  fmt::print("{}: {} rows, {} from {} columns\n", file, table.rows(), target, training.x.size(1));

  Regressor model(training), best = model;
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3, .weight_decay = 1e-2});
  nn::data::DataLoader loader(training, {.batch_size = 32, .shuffle = true, .seed = seed});
  Scores lowest = evaluate(model, validation);
  for (int epoch = 1, waited = 0; epoch <= 200 && waited < 20; ++epoch, ++waited) {
    loader.set_epoch(epoch);
    model.train();
    double loss = 0;
    for (const auto& [x, y] : loader) {
      optimizer.zero_grad();
      // In standard units, where gradients are of the size that optimizers expect.
      const ag::Tensor error = nn::mse_loss(model.output(model(x)), model.output(y));
      error.backward();
      nn::clip_grad_norm_(model.parameters(), 1.0);
      optimizer.step();
      loss += error.item() / double(loader.size());
    }
    const Scores now = evaluate(model, validation);
    if (now.mse < lowest.mse) lowest = now, best = model, waited = 0;
    if (epoch % 10 == 0)
      fmt::print("epoch {:3}  loss {:.3f}  validation R² {:.3f}\n", epoch, loss, now.r2);
  }

  const Scores scores = evaluate(best, test);
  fmt::print("test: root of the mean squared error {:.1f}, R² {:.3f}\n", std::sqrt(scores.mse),
             scores.r2);
  // How much each column says: the mean size of its derivative, per standard deviation.
  const ag::Tensor x = test.x.clone().requires_grad_();
  ag::sum(best(x)).backward();
  const ag::Tensor effect = ag::mean(x.grad(), 0) * best.input.scale.to(x.dtype());
  const auto names = table.drop({target}).columns();
  for (std::size_t i = 0; i < names.size(); ++i)
    fmt::print("  {:12} {:+8.2f}\n", names[i], effect.array<float>()(i));
  nn::save(best, "tabular.safetensors");
  return scores.r2 > 0 ? 0 : 1;
}

int main(int argc, char** argv) try {
  std::string target = "progression";
  std::string file = std::filesystem::path(__FILE__).replace_filename("diabetes.csv");
  std::uint64_t seed = 1;
  CLI::App app("Predicts one column of a CSV file from the others.");
  app.option_defaults()->always_capture_default();
  app.add_option("file", file, "the table; its first line names the columns");
  app.add_option("--target", target, "the column to predict");
  app.add_option("--seed", seed, "of the weights, the split and the order");
  CLI11_PARSE(app, argc, argv);
  return train(file, target, seed);
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
