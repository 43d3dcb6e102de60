#include "nn/layers/recurrent.hpp"

#include <cmath>
#include <limits>

#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/io/save.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/recurrent_cell.hpp"
#include "nn/losses/losses.hpp"
#include "nn/optim/adam.hpp"
#include "nn/training/clip.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

TensorList all_of(const nn::RecurrentOutput& r) { return {r.output, r.h}; }
TensorList all_of(const nn::LSTMOutput& r) { return {r.output, r.state.h, r.state.c}; }
TensorList all_of(const nn::LSTMState& s) { return {s.h, s.c}; }
TensorList all_of(const Tensor& h) { return {h}; }

void check_near(const Tensor& a, const Tensor& b, double tolerance = 1e-12) {
  REQUIRE(a.shape() == b.shape());
  if (a.numel() > 0) CHECK(ag::max(ag::abs(a - b)).item() <= tolerance);
}
void check_near(const TensorList& a, const TensorList& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) check_near(a[i], b[i]);
}

// f(layer) of one of each kind, in float64, with layers and directions.
template <class F>
void for_each_layer(F&& f) {
  ag::manual_seed(5);
  nn::LSTM lstm(3, 5, {.num_layers = 2, .bidirectional = true, .proj_size = 2});
  nn::GRU gru(3, 5, {.num_layers = 2, .bidirectional = true});
  nn::RNN rnn(3, 5, {.bidirectional = true});
  lstm.to(ag::float64), gru.to(ag::float64), rnn.to(ag::float64);
  f(lstm), f(gru), f(rnn);
}

template <class F>
void for_each_cell(F&& f) {
  ag::manual_seed(6);
  f(nn::RNNCell(3, 4), nn::RNN(3, 4));
  f(nn::LSTMCell(3, 4), nn::LSTM(3, 4));
  f(nn::GRUCell(3, 4), nn::GRU(3, 4));
}

// Σ of all results, each number with a factor of its own.
Tensor loss_of(const TensorList& results) {
  Tensor loss = ag::zeros({}, ag::float64);
  for (const Tensor& t : results)
    loss = loss + ag::sum(t * ag::sin(ag::reshape(ag::arange(t.numel()), t.shape()).to(t.dtype())));
  return loss;
}

// Losses of some steps over a padded batch, then the parameters.
TensorList trained(bool compiled) {
  ag::manual_seed(3);
  struct Model : nn::Module {
    nn::LSTM lstm{6, 40, {.num_layers = 2, .bidirectional = true}};
    nn::GRU gru{80, 24};
    nn::Linear head{24, 1};
    void visit_members(nn::Visitor& v) override { v.each("lstm, gru, head", lstm, gru, head); }
    Tensor forward(const Tensor& x, const Tensor& lengths) const {
      const auto [output, state] = lstm(x, {.lengths = lengths});
      return head(gru(output, {.lengths = lengths}).h[0]);
    }
  } model;
  const TensorList parameters = model.parameters();
  nn::optim::Adam optimizer(parameters, {.lr = 1e-2});
  ag::Generator g(1);
  const Tensor x = ag::randn({12, 33, 6}, ag::float32, g), y = ag::randn({33, 1}, ag::float32, g),
               lengths = ag::randint(1, 13, {33}, g);
  const std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)> step =
      [&](const Tensor& a, const Tensor& b, const Tensor& n) {
        optimizer.zero_grad();
        const Tensor loss = nn::mse_loss(model.forward(a, n), b);
        loss.backward();
        nn::clip_grad_norm_(parameters, 1.0);
        optimizer.step();
        return loss;
      };
  auto run = ag::compile(step);
  TensorList results;
  for (int i = 0; i < 5; ++i)
    results.push_back((compiled ? run(x, y, lengths) : step(x, y, lengths)).detach().clone());
  for (const Tensor& p : parameters) results.push_back(p.detach());
  return results;
}

}  // namespace

TEST_CASE("recurrent layers print as in PyTorch") {
  CHECK(nn::LSTM(3, 4).str() == "LSTM(3, 4)");
  CHECK(nn::LSTM(3, 4,
                 {.num_layers = 2,
                  .bias = false,
                  .dropout = 0.1,
                  .batch_first = true,
                  .bidirectional = true,
                  .proj_size = 2})
            .str() ==
        "LSTM(3, 4, proj_size=2, num_layers=2, bias=False, batch_first=True, dropout=0.1, "
        "bidirectional=True)");
  CHECK(nn::RNN(3, 4, {.nonlinearity = nn::RNN::Nonlinearity::relu}).str() == "RNN(3, 4)");
  CHECK(nn::GRU(3, 4, {.num_layers = 2, .dropout = 0.5}).str() ==
        "GRU(3, 4, num_layers=2, dropout=0.5)");
  CHECK(nn::RNNCell(3, 4, {.bias = false, .nonlinearity = nn::RNN::Nonlinearity::relu}).str() ==
        "RNNCell(3, 4, bias=False, nonlinearity=relu)");
  CHECK(nn::LSTMCell(3, 4).str() == "LSTMCell(3, 4)");
  CHECK(nn::GRUCell(3, 4, {.bias = false}).str() == "GRUCell(3, 4, bias=False)");
}

TEST_CASE("weights of recurrent layers start within one by the root of hidden") {
  ag::manual_seed(1);
  nn::LSTM lstm(6, 25, {.bidirectional = true, .proj_size = 4});
  CHECK(lstm.parameters().size() == 10);
  for (const auto& [name, p] : lstm.named_parameters()) {
    INFO(name);
    const double largest = ag::max(ag::abs(p)).item();
    CHECK(largest <= 0.2);
    CHECK(largest > 0.17);
  }
  CHECK(lstm.parameters_of(0, true).weight_hr.shape() == ag::Shape{4, 25});
  CHECK_THROWS_WITH(lstm.parameters_of(1),
                    "lstm: there must be such a layer, got 1 of 1 in both directions");
}

TEST_CASE("a padded batch is each sequence alone, in values and gradients") {
  for_each_layer([](auto& layer) {
    ag::Generator g(2);
    const std::vector<std::int64_t> lengths{4, 1, 6, 3};
    Tensor x = ag::randn({6, 4, 3}, ag::float64, g);
    // What is beyond the lengths may be anything.
    for (std::int64_t i = 0; i < 4; ++i)
      for (std::int64_t t = lengths[static_cast<std::size_t>(i)]; t < 6; ++t)
        x[{t, i}] = std::numeric_limits<double>::quiet_NaN();
    x.requires_grad_();
    const TensorList all = all_of(layer(x, {.lengths = ag::tensor({4, 1, 6, 3})}));
    loss_of({all[0] * all[0], all[1]}).backward();
    TensorList gradients{x.grad()};
    for (const Tensor& p : layer.parameters()) gradients.push_back(p.grad());
    layer.zero_grad();
    x.zero_grad();
    // The cotangents of the batch, of the steps that there are.
    const Tensor output = all[0].detach(), h = all[1].detach();
    const auto factors = [](const Tensor& t) {
      return ag::sin(ag::reshape(ag::arange(t.numel()), t.shape()).to(t.dtype()));
    };
    const Tensor of_output = factors(output), of_h = factors(h);
    for (std::int64_t i = 0; i < 4; ++i) {
      const std::int64_t n = lengths[static_cast<std::size_t>(i)];
      const auto part = [&](const Tensor& t) {
        return ag::narrow(ag::narrow(t, 0, 0, n), 1, i, 1);
      };
      const TensorList alone = all_of(layer(part(x)));
      check_near(alone[0].detach(), part(output));
      for (std::size_t k = 1; k < alone.size(); ++k)
        check_near(alone[k].detach(), ag::narrow(all[k].detach(), 1, i, 1));
      (ag::sum(alone[0] * alone[0] * part(of_output)) +
       ag::sum(alone[1] * ag::narrow(of_h, 1, i, 1)))
          .backward();
      if (n < 6)
        CHECK(ag::max(ag::abs(ag::narrow(ag::narrow(output, 0, n, 6 - n), 1, i, 1))).item() == 0);
    }
    check_near(gradients[0], x.grad());
    std::size_t k = 1;
    for (const Tensor& p : layer.parameters()) check_near(gradients[k++], p.grad());
  });
}

TEST_CASE("a packed sequence gives what lengths give") {
  for_each_layer([](auto& layer) {
    ag::Generator g(2);
    const Tensor x = ag::randn({5, 3, 3}, ag::float64, g), lengths = ag::tensor({2, 5, 3});
    const auto wanted = layer(x, {.lengths = lengths});
    const auto packed = nn::pack_padded_sequence(x, lengths, {.enforce_sorted = false});
    CHECK(packed.batch_sizes.to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 3, 2, 1, 1});
    CHECK(packed.sorted_indices.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2, 0});
    const auto got = layer(packed);
    const auto [output, n] = nn::pad_packed_sequence(got.output);
    check_near(output, wanted.output);
    CHECK(same_bits(n, lengths));
    CHECK_THROWS_WITH(layer(packed, {.lengths = lengths}),
                      ContainsSubstring("a packed sequence has lengths of its own, got others"));
  });
}

TEST_CASE("packing keeps what is within the lengths, and padding puts it back") {
  const Tensor x = ag::reshape(ag::arange(12).to(ag::float64), {2, 3, 2}).requires_grad_();
  const auto packed = nn::pack_padded_sequence(x, ag::tensor({3, 1}), {.batch_first = true});
  CHECK(packed.data.to_vector<double>() == std::vector<double>{0, 1, 6, 7, 2, 3, 4, 5});
  const auto [output, lengths] = nn::pad_packed_sequence(
      packed, {.batch_first = true, .padding_value = -1, .total_length = 4});
  CHECK(output.shape() == ag::Shape{2, 4, 2});
  CHECK(output.to_vector<double>() ==
        std::vector<double>{0, 1, 2, 3, 4, 5, -1, -1, 6, 7, -1, -1, -1, -1, -1, -1});
  CHECK(lengths.to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 1});
  ag::sum(output).backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0});

  CHECK_THROWS_WITH(nn::pack_padded_sequence(x, ag::tensor({1, 3}), {.batch_first = true}),
                    "pack_padded_sequence: lengths must not rise, got 3 after 1; set "
                    "enforce_sorted to false");
  CHECK_THROWS_WITH(nn::pack_padded_sequence(x, ag::tensor({4, 1}), {.batch_first = true}),
                    "pack_padded_sequence: lengths must be in [1, 3], the steps of x, got 4 at 0");
  CHECK_THROWS_WITH(nn::pack_padded_sequence(x, ag::tensor({1.0, 1.0})),
                    ContainsSubstring("lengths must be int64 with one axis, got float64"));
  CHECK_THROWS_WITH(nn::pad_packed_sequence(packed, {.total_length = 2}),
                    "pad_packed_sequence: total_length must be at least 3, the longest sequence, "
                    "got 2");
  nn::PackedSequence damaged = packed;
  damaged.batch_sizes = ag::tensor({2, 1, 2});
  CHECK_THROWS_WITH(nn::pad_packed_sequence(damaged),
                    "pad_packed_sequence: batch_sizes must be in [1, 1] here, and not rise, got 2");
  damaged.batch_sizes = ag::tensor({2, 1});
  CHECK_THROWS_WITH(nn::pad_packed_sequence(damaged),
                    ContainsSubstring("data must have 3 rows for these batch_sizes"));
  damaged = packed;
  damaged.unsorted_indices = ag::tensor({1, 1});
  CHECK_THROWS_WITH(nn::pad_packed_sequence(damaged), ContainsSubstring("must undo one another"));
}

TEST_CASE("a recurrent network learns to the same bits compiled, and with any number of threads") {
  const TensorList eager = trained(false);
  CHECK(eager[4].item() < eager[0].item());
  const TensorList compiled = trained(true);
  for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], compiled[i]));
  for (const int n : {2, 3}) {
    ag::set_num_threads(n);
    const TensorList threads = trained(false);
    ag::set_num_threads(1);
    for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], threads[i]));
  }
}

TEST_CASE("compiled recurrent layers check lengths whenever they run") {
  nn::GRU gru(2, 3);
  auto f = ag::compile([&](const Tensor& x, const Tensor& n) {
    return ag::sum(gru(x, {.lengths = n}).output).detach();
  });
  const Tensor x = ag::ones({3, 2, 2});
  f(x, ag::tensor({3, 1}));
  CHECK(f(x, ag::tensor({1, 1})).item() ==
        ag::sum(gru(x, {.lengths = ag::tensor({1, 1})}).output).item());
  CHECK_THROWS_WITH(f(x, ag::tensor({1, 4})),
                    ContainsSubstring("lengths must be in [1, 3], the steps of x, got 4 at 1"));
}

// A batch multiplies step by step what one sequence multiplies at once, and adds up the gradients of
// weights in blocks of rows.
TEST_CASE("a batch has the results and gradients of its sequences alone, padded or not") {
  constexpr std::int64_t steps = 33, batch = 11;
  const Tensor lengths = steps - ag::arange(batch) * std::int64_t{3};
  for (const bool padded : {false, true})
    for_each_layer([&](auto& layer) {
      const Tensor x = ag::randn({steps, batch, 3}, ag::float64);
      const auto gradients = [&](const auto& run) {
        layer.zero_grad();
        run();
        TensorList g;
        for (const auto& [name, parameter] : layer.named_parameters())
          g.push_back(parameter.grad());
        return g;
      };
      const auto together = [&] {
        const auto r = padded ? layer(x, {.lengths = lengths}) : layer(x);
        ag::sum(ag::square(r.output)).backward();
        return r.output;
      };
      const auto alone = [&] {
        TensorList outputs;
        for (std::int64_t i = 0; i < batch; ++i) {
          const std::int64_t n = padded ? steps - 3 * i : steps;
          const Tensor y = layer(ag::narrow(ag::narrow(x, 1, i, 1), 0, 0, n)).output;
          ag::sum(ag::square(y)).backward();
          outputs.push_back(ag::pad(y, {0, 0, 0, 0, 0, steps - n}));
        }
        return ag::concat(outputs, 1);
      };
      Tensor a, b;
      const TensorList whole = gradients([&] { a = together(); }),
                       pieces = gradients([&] { b = alone(); });
      check_near(a, b);
      for (std::size_t i = 0; i < whole.size(); ++i) check_near(whole[i], pieces[i], 1e-10);
    });
}

TEST_CASE("recurrent layers take one sequence without a batch axis, and batches first") {
  for_each_layer([](auto& layer) {
    ag::Generator g(2);
    const Tensor x = ag::randn({4, 3}, ag::float64, g);
    const TensorList single = all_of(layer(x)), batch = all_of(layer(ag::unsqueeze(x, 1)));
    for (std::size_t i = 0; i < single.size(); ++i) check_near(single[i], ag::squeeze(batch[i], 1));
    CHECK_THROWS_WITH(layer(x, {.lengths = ag::tensor({4})}),
                      ContainsSubstring("lengths are for a batch, got them for x of shape (4, 3)"));
  });
  ag::manual_seed(1);
  const nn::GRU steps_first(3, 4);
  ag::manual_seed(1);
  const nn::GRU batch_first(3, 4, {.batch_first = true});
  const Tensor x = ag::randn({2, 5, 3});
  const auto [output, h] = batch_first(x);
  const auto wanted = steps_first(ag::swapaxes(x, 0, 1));
  CHECK(same_bits(output, ag::swapaxes(wanted.output, 0, 1)));
  CHECK(same_bits(h, wanted.h));
}

TEST_CASE("a cell in a loop is the layer") {
  for_each_cell([](auto cell, auto layer) {
    cell.to(ag::float64), layer.to(ag::float64);
    auto& p = layer.parameters_of(0);
    p.weight_ih = cell.weight_ih, p.weight_hh = cell.weight_hh;
    p.bias_ih = cell.bias_ih, p.bias_hh = cell.bias_hh;
    const Tensor x = ag::randn({3, 2, 3}, ag::float64);
    auto state = cell(x[0]);
    for (int t : {1, 2}) state = cell(x[t], state);
    TensorList wanted = all_of(layer(x)), got = all_of(state);
    for (std::size_t i = 0; i < got.size(); ++i) check_near(got[i], ag::squeeze(wanted[i + 1], 0));
    // Without a batch axis.
    auto single = cell(x[{0, 1}]);
    single = cell(x[{1, 1}], single);
    single = cell(x[{2, 1}], single);
    for (std::size_t i = 0; i < got.size(); ++i) check_near(all_of(single)[i], got[i][1]);
    CHECK_THROWS_WITH(cell(x), ContainsSubstring("_cell: x must be (batch, in) or (in) with 3"));
    CHECK_THROWS_WITH(
        cell(x[0], cell(x[{0, 1}])),
        ContainsSubstring("_cell: h must be (batch, hidden), (2, 4), got shape (4,)"));
  });
}

TEST_CASE("dropout is between the layers, in training alone") {
  ag::manual_seed(4);
  nn::GRU gru(3, 4, {.num_layers = 2, .dropout = 1});
  const Tensor x = ag::randn({5, 2, 3}), other = ag::randn({5, 2, 3});
  CHECK(same_bits(gru(x).output, gru(other).output));  // the second layer sees zeros
  CHECK_FALSE(same_bits(gru(x).h, gru(other).h));      // the first one does not
  gru.eval();
  CHECK_FALSE(same_bits(gru(x).output, gru(other).output));
}

TEST_CASE("recurrent layers are copied, saved and loaded with all of their weights") {
  const Scratch scratch;
  for_each_layer([&](auto& layer) {
    const Tensor x = ag::randn({4, 2, 3}, ag::float64);
    const TensorList wanted = all_of(layer(x));
    auto copy = nn::clone(layer);
    check_near(all_of(copy(x)), wanted);
    const auto path = scratch / "layer.safetensors";
    nn::save(layer, path);
    copy.reset_parameters();
    CHECK_FALSE(same_bits(copy(x).output, wanted[0]));
    check_near(all_of(layer(x)), wanted);
    nn::load(copy, path);
    check_near(all_of(copy(x)), wanted);
  });
}

TEST_CASE("hooks see x, states and lengths go into recurrent layers, and results come out") {
  nn::LSTM lstm(3, 4);
  const Tensor x = ag::randn({5, 2, 3}), h = ag::randn({1, 2, 4}), c = ag::randn({1, 2, 4}),
               lengths = ag::tensor({5, 2});
  std::vector<ag::Shape> seen;
  auto look = lstm.register_forward_hook(
      [&](const nn::Module&, const TensorList& in, const TensorList& out) {
        for (const auto* list : {&in, &out})
          for (const Tensor& t : *list) seen.push_back(t.shape());
      });
  const auto [output, state] = lstm(x, {.h = h, .c = c, .lengths = lengths});
  const std::vector<ag::Shape> results{{5, 2, 4}, {1, 2, 4}, {1, 2, 4}};
  std::vector<ag::Shape> wanted{{5, 2, 3}, {1, 2, 4}, {1, 2, 4}, {2}};
  wanted.insert(wanted.end(), results.begin(), results.end());
  CHECK(seen == wanted);
  seen.clear();
  lstm(x, state);
  CHECK(seen.size() == 6);
  seen.clear();
  lstm(x, {h, c});
  CHECK(seen.size() == 6);
  seen.clear();
  lstm(nn::pack_padded_sequence(x, lengths));
  CHECK(seen.size() == 4 + 4 + 2);
}

TEST_CASE("a recurrent layer stands in a chain before what takes its results") {
  nn::Sequential model(
      nn::GRU(3, 4), [](const nn::RecurrentOutput& r) { return r.h[0]; }, nn::Linear(4, 2));
  CHECK(model(ag::randn({5, 2, 3})).shape() == ag::Shape{2, 2});
}

TEST_CASE("recurrent layers refuse what does not fit, in one line") {
  CHECK_THROWS_WITH(nn::LSTM(0, 4),
                    "lstm: input_size and hidden_size must be at least 1, got 0 and 4");
  CHECK_THROWS_WITH(nn::GRU(3, 4, {.num_layers = 0}),
                    "gru: num_layers must be in [1, 65536], got 0");
  CHECK_THROWS_WITH(nn::LSTM(3, 4, {.proj_size = 4}),
                    "lstm: proj_size must be 0 or less than hidden_size, got 4 for 4");
  CHECK_THROWS_WITH(nn::RNN(3, 4, {.dropout = 1.5}), "rnn: dropout must be in [0, 1], got 1.5");
  CHECK_THROWS_WITH(nn::LSTMCell(3, 0),
                    "lstm_cell: input_size and hidden_size must be at least 1, got 3 and 0");
  const nn::LSTM lstm(3, 4, {.batch_first = true});
  CHECK_THROWS_WITH(lstm(ag::ones({2, 5, 4})),
                    ContainsSubstring("lstm: x must be (batch, steps, in) or (steps, in) with 3 "
                                      "for in, got shape (2, 5, 4)"));
  CHECK_THROWS_WITH(lstm(ag::ones({2, 0, 3})), ContainsSubstring("with at least one step"));
  CHECK_THROWS_WITH(lstm(ag::ones({2, 5, 3}), {.h = ag::ones({2, 2, 4})}),
                    ContainsSubstring("lstm: h must be (layers · directions, batch, size), (1, 2, "
                                      "4), got shape (2, 2, 4)"));
  CHECK_THROWS_WITH(lstm(ag::ones({2, 5, 3}), {.lengths = ag::tensor({6, 1})}),
                    ContainsSubstring("lstm: lengths must be in [1, 5], the steps of x, got 6"));
}

TEST_CASE("a call of a recurrent layer leaves what is recorded alone") {
  const nn::LSTM lstm(3, 2, {.num_layers = 2, .dropout = 0.5});
  const Tensor x = ag::rand({4, 1, 3});
  auto twice = ag::compile([](const Tensor& t) { return t * 2; });
  for (int i = 0; i < 3; ++i) {
    twice(x);
    lstm(x);
  }
  CHECK(twice.recordings() == 1);
}
