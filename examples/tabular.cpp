// Regression on a table in CSV: read, split, encode and scale by what the training rows say, train,
// keep the best weights, judge on rows never seen. Without arguments on diabetes.csv: 442
// patients, how far the disease went within a year (Efron et al. 2004, "Least angle regression").
#include <CLI/CLI.hpp>
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;

// Answers in the units of the target. Its file holds all that a prediction needs.
struct Regressor : nn::Module {
  data::TableEncoder encoder;
  data::Standardizer output;
  nn::MLP mlp;
  NN_MODULE(encoder, output, mlp)

  Regressor(const data::TableEncoder& fitted, const data::TensorDataset& training)
      : encoder(fitted), mlp(training.x.size(1), {64, 64}, 1, {.dropout = 0.2}) {
    output.fit(training.y);
  }
  ag::Tensor forward(const ag::Tensor& x) const { return output.inverse_transform(mlp(x)); }
};

// R²: the share of the variance that the predictions explain.
double evaluate(Regressor& model, const data::TensorDataset& rows) {
  model.eval();
  const ag::NoGrad no_grad;
  return 1 - nn::mse_loss(model(rows.x), rows.y).item() / ag::var(rows.y, {}, false, 0).item();
}

int train(const std::string& file, const std::string& target, const std::vector<std::string>& text,
          std::uint64_t seed) {
  ag::manual_seed(seed);
  using data::Missing, data::Unknown, data::Impute;
  const auto table = data::read_csv(
      file, {.missing = Missing::nan, .text = text, .missing_in = {{target, Missing::drop}}});
  const auto tables = data::split(table, {0.7, 0.15, 0.15}, seed);
  data::TableEncoder encoder({.unknown = Unknown::ignore,
                              .impute_numbers = Impute::mean,
                              .impute_texts = Impute::category,
                              .standardize = true});
  encoder.fit(tables[0].drop({target}));
  const auto encoded = [&](const data::Table& rows) {
    return data::TensorDataset(encoder.transform(rows).values().to(ag::float32),
                               rows.select({target}).values().to(ag::float32));
  };
  const data::TensorDataset sets[] = {encoded(tables[0]), encoded(tables[1]), encoded(tables[2])};
  const auto& [training, validation, test] = sets;
  fmt::print("{}: {} rows, {} from {} columns\n", file, table.rows(), target, training.x.size(1));
  Regressor model(encoder, training), best = model;
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3, .weight_decay = 1e-2});
  data::DataLoader loader(training, {.batch_size = 32, .shuffle = true, .seed = seed});
  double highest = evaluate(model, validation);
  for (int epoch = 1, waited = 0; epoch <= 200 && waited < 20; ++epoch, ++waited) {
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
    const double r2 = evaluate(model, validation);
    if (r2 > highest) highest = r2, best = model, waited = 0;
    if (epoch % 10 == 0)
      fmt::print("epoch {:3}  loss {:.3f}  validation R² {:.3f}\n", epoch, loss, r2);
  }
  const double r2 = evaluate(best, test);
  fmt::print("test: {} rows, R² {:.3f}\n", test.size(), r2);
  // How much each column says: its mean derivative, per standard deviation (of text, per text).
  const ag::Tensor x = test.x.clone().requires_grad_();
  ag::sum(best(x)).backward();
  const ag::Tensor effect = ag::mean(x.grad(), 0);
  for (std::size_t i = 0; const auto& name : encoder.columns())
    fmt::print("  {:12} {:+8.2f}\n", name, effect.array<float>()(i++));
  nn::save(best, "tabular.safetensors");
  return r2 > 0 ? 0 : 1;
}

int main(int argc, char** argv) try {
  std::string target = "progression";
  std::string file = XGRAD_EXAMPLES "/diabetes.csv";
  std::vector<std::string> text;
  std::uint64_t seed = 1;
  CLI::App app("Predicts one column of a CSV file from the others.");
  app.option_defaults()->always_capture_default();
  app.add_option("file", file, "the table; its first line names the columns");
  app.add_option("--target", target, "the column to predict");
  app.add_option("--text", text, "the columns of text");
  app.add_option("--seed", seed, "of the weights, the split and the order");
  CLI11_PARSE(app, argc, argv);
  return train(file, target, text, seed);
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
