// A forecast of a time series: the CO2 in the air a week from now, by an LSTM that sees the last year.
// usage: co2 [FILE.csv COLUMN]   by default examples/co2.csv: Mauna Loa, 1958 to 2001, weekly, with gaps
// It forecasts the change to the next week. The values themselves rise, so those to come are higher than
// all that a model has seen, and there it loses to "as last week": the second part shows that.
#include <autograd/autograd.hpp>
#include <cmath>
#include <nn/nn.hpp>

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor, ag::indexing::all;

constexpr std::int64_t kSteps = 52;

struct Forecaster : nn::Module {
  data::Standardizer scale;
  nn::LSTM lstm{1, 32, {.batch_first = true}};
  nn::Linear head{32, 1};
  NN_MODULE(scale, lstm, head)

  // (n, steps, 1), in standard units -> (n, 1)
  Tensor forward(const Tensor& x) const { return head(lstm(x).output[{all, -1}]); }
};

double rmse(const Tensor& forecast, const Tensor& y) {
  return std::sqrt(nn::mse_loss(forecast, y).item());
}

struct Errors {
  double model, as_now, as_a_year_ago;
};

// Learns from the first 80 % of a series and forecasts each week of the rest. `as_now` of a series of
// changes is no change.
Errors forecast(const Tensor& series, bool changes, int epochs) {
  const auto [past, future] = data::split_time(ag::unsqueeze(series, 1), {0.8, 0.2}, kSteps);
  Forecaster model;
  model.scale.fit(past);
  const auto training = data::windows(model.scale(past), {.steps = kSteps});
  const auto test = data::windows(model.scale(future), {.steps = kSteps});
  nn::optim::Adam optimizer(model.parameters(), {.lr = 3e-3});
  data::DataLoader loader(training, {.batch_size = 64, .shuffle = true, .seed = 1});
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = nn::mse_loss(model(x), ag::squeeze(y, 1));
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    return loss;
  });
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double loss = 0;
    for (const auto& [x, y] : loader) loss += step(x, y).item() / double(loader.size());
    if (epoch % 5 == 0) fmt::print("  epoch {:2}  loss {:.3f}\n", epoch, loss);
  }
  const auto units = [&](const Tensor& x) { return model.scale.inverse_transform(x); };
  const Tensor y = units(ag::squeeze(test.y, 1)), now = units(test.x[{all, -1}]);
  return {rmse(units(nn::predict(model, test.x)), y), rmse(changes ? ag::zeros_like(y) : now, y),
          rmse(units(test.x[{all, 0}]), y)};
}

int main(int argc, char** argv) try {
  const std::string file = argc > 2 ? argv[1] : XGRAD_EXAMPLES "/co2.csv";
  const std::string column = argc > 2 ? argv[2] : "co2";
  ag::manual_seed(1);
  const data::Table table = data::read_csv(file, {.missing = data::Missing::nan});
  const Tensor gaps = ag::sum(ag::isnan(table[column]).to(ag::int64));
  const Tensor series = data::interpolate(table[column]).to(ag::float32);
  fmt::print("{} weeks, {} gaps filled\nchanges from week to week:\n", series.numel(),
             gaps.item<std::int64_t>());
  const Errors change = forecast(data::difference(series), true, 20);
  fmt::print("rmse {:.3f}, of no change {:.3f}, of the change a year ago {:.3f}\n", change.model,
             change.as_now, change.as_a_year_ago);
  fmt::print("the values themselves:\n");
  const Errors value = forecast(series, false, 20);
  fmt::print("rmse {:.3f}, as last week {:.3f}, as a year ago {:.3f}\n", value.model, value.as_now,
             value.as_a_year_ago);
  return change.model < change.as_now && change.model < change.as_a_year_ago ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
