#include "nn/layers/embedding.hpp"

#include <cmath>

#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"
#include "autograd/tape/rows.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "nn/losses/losses.hpp"
#include "nn/optim/optim.hpp"
#include "nn/training/clip.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Classifier : nn::Module {
  nn::Embedding words;
  nn::EmbeddingBag pairs;
  nn::Linear head;
  explicit Classifier(std::int64_t rows = 40)
      : words(rows, 6, {.padding_idx = 0}),
        pairs(rows, 6, {.mode = nn::BagMode::max, .padding_idx = 0}),
        head(12, 3) {}
  NN_MODULE(words, pairs, head)
  Tensor forward(const Tensor& tokens) const {
    return head(ag::concat({ag::mean(words(tokens), 1), pairs(tokens)}, -1));
  }
};

// Losses of some steps on other tokens each, then the parameters.
ag::TensorList trained(bool compiled, bool checkpointed = false) {
  ag::manual_seed(3);
  Classifier model;
  nn::optim::SGD tables({model.words.weight, model.pairs.weight}, {.lr = 0.5});
  nn::optim::Adam head(model.head.parameters(), {.lr = 1e-2});
  ag::Generator g(1);
  const std::function<Tensor(const Tensor&, const Tensor&)> step = [&](const Tensor& x,
                                                                       const Tensor& y) {
    tables.zero_grad(), head.zero_grad();
    const Tensor z =
        checkpointed ? ag::checkpoint([&](const Tensor& t) { return model(t); }, x) : model(x);
    const Tensor loss = nn::cross_entropy(z, y);
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 0.5);
    tables.step(), head.step();
    return loss;
  };
  auto run = ag::compile(step);
  ag::TensorList results;
  for (int i = 0; i < 5; ++i) {
    const Tensor x = ag::randint(0, 40, {30, 50}, g), y = ag::randint(0, 3, {30}, g);
    results.push_back((compiled ? run(x, y) : step(x, y)).detach().clone());
  }
  for (const Tensor& p : model.parameters()) results.push_back(p.detach());
  return results;
}

void check_same(const ag::TensorList& a, const ag::TensorList& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(same_bits(a[i], b[i]));
}

double norm_of_row(const Tensor& t, std::int64_t row) { return ag::norm(t.detach()[{row}]).item(); }

}  // namespace

TEST_CASE("embeddings print as in PyTorch") {
  CHECK(nn::Embedding(5, 3).str() == "Embedding(5, 3)");
  CHECK(nn::Embedding(5, 3,
                      {.padding_idx = -1,
                       .max_norm = 1,
                       .norm_type = 1,
                       .scale_grad_by_freq = true,
                       .sparse = true})
            .str() ==
        "Embedding(5, 3, padding_idx=4, max_norm=1.0, norm_type=1.0, scale_grad_by_freq=True, "
        "sparse=True)");
  CHECK(nn::EmbeddingBag(5, 3).str() == "EmbeddingBag(5, 3, mode='mean')");
  CHECK(nn::EmbeddingBag(5, 3,
                         {.max_norm = 2.5,
                          .norm_type = 3,
                          .scale_grad_by_freq = true,
                          .mode = nn::BagMode::sum,
                          .padding_idx = 1})
            .str() ==
        "EmbeddingBag(5, 3, max_norm=2.5, norm_type=3.0, scale_grad_by_freq=True, mode='sum', "
        "padding_idx=1)");
}

TEST_CASE("an embedding starts normal, with zeros at padding_idx") {
  ag::manual_seed(1);
  const nn::Embedding layer(400, 50, {.padding_idx = 7});
  CHECK(std::abs(ag::mean(layer.weight).item()) < 0.02);
  CHECK(std::abs(ag::std(layer.weight).item() - 1) < 0.02);
  CHECK(norm_of_row(layer.weight, 7) == 0);
  CHECK(norm_of_row(layer.weight, 6) > 0);
  CHECK(norm_of_row(nn::EmbeddingBag(4, 3, {.padding_idx = -1}).weight, 3) == 0);
}

TEST_CASE("from_pretrained keeps values, and freezes unless told otherwise") {
  const Tensor values = ag::tensor({{1.0, 2.0}, {3.0, 4.0}});
  const nn::Embedding frozen = nn::Embedding::from_pretrained(values, true, {.padding_idx = 0});
  CHECK_FALSE(frozen.weight.requires_grad());
  CHECK(frozen.weight.dtype() == ag::float64);
  CHECK(same_bits(frozen(ag::tensor({0, 1})), values));
  CHECK(nn::EmbeddingBag::from_pretrained(values, false).weight.requires_grad());
  CHECK_THROWS_WITH(nn::Embedding::from_pretrained(ag::ones({3})),
                    "embedding: the weight must have 2 axes, got shape (3,)");
}

TEST_CASE("embeddings refuse options and indices that do not fit") {
  CHECK_THROWS_WITH(nn::Embedding(-1, 3), ContainsSubstring("must be at least 0, got -1 and 3"));
  CHECK_THROWS_WITH(nn::Embedding(5, 3, {.padding_idx = 5}),
                    "embedding: padding_idx must be in [-5, 5) for a table of 5 rows, got 5");
  CHECK_THROWS_WITH(nn::Embedding(5, 3, {.max_norm = -1}),
                    "embedding: max_norm must be above 0, got -1");
  CHECK_THROWS_WITH(nn::EmbeddingBag(5, 3, {.scale_grad_by_freq = true, .mode = nn::BagMode::max}),
                    ContainsSubstring("got mode max"));
  const Classifier model;
  CHECK_THROWS_WITH(
      model(ag::tensor({{1, 40}})),
      "words (Embedding): embedding: indices must be in [0, 40) for a table of 40 rows, got 40");
  CHECK_THROWS_WITH(model.pairs(ag::tensor({{1, -1}})),
                    ContainsSubstring("indices must be in [0, 40) for a table of 40 rows, got -1"));
}

TEST_CASE("the gradient of an embedding is the rows that were looked up") {
  for (const bool sparse : {false, true}) {
    const nn::Embedding layer(50, 3, {.padding_idx = 2, .sparse = sparse});
    ag::sum(layer(ag::tensor({{7, 2, 7}, {9, 2, 2}}))).backward();
    const Tensor g = layer.weight.grad();
    REQUIRE(ag::is_rows(g));
    CHECK(ag::row_indices(g).to_vector<std::int64_t>() == std::vector<std::int64_t>{7, 9});
    CHECK(ag::row_values(g).to_vector<float>() == std::vector<float>{2, 2, 2, 1, 1, 1});
    CHECK(ag::sum(g).item() == 9);  // who asks for elements finds all of them
  }
}

TEST_CASE("the gradients of bags are the rows that were looked up, for each mode") {
  const Tensor tokens = ag::tensor({{7, 2, 7}, {9, 2, 2}});
  for (const auto mode : {nn::BagMode::sum, nn::BagMode::mean, nn::BagMode::max}) {
    const nn::EmbeddingBag layer(50, 3, {.mode = mode, .padding_idx = 2});
    ag::sum(layer(tokens)).backward();
    const Tensor g = layer.weight.grad();
    REQUIRE(ag::is_rows(g));
    CHECK(ag::row_indices(g).to_vector<std::int64_t>() == std::vector<std::int64_t>{7, 9});
    const float first = mode == nn::BagMode::sum ? 2 : 1;
    CHECK(ag::row_values(g).to_vector<float>() == std::vector<float>{first, first, first, 1, 1, 1});
  }
}

TEST_CASE("a batch of padding alone has no rows") {
  const nn::Embedding words(9, 3, {.padding_idx = 0});
  const nn::EmbeddingBag pairs(9, 3, {.mode = nn::BagMode::max, .padding_idx = 0});
  const Tensor tokens = ag::zeros({2, 4}, ag::int64);
  (ag::sum(words(tokens)) + ag::sum(pairs(tokens))).backward();
  for (const Tensor& t : {Tensor(words.weight), Tensor(pairs.weight)})
    CHECK(ag::row_indices(t.grad()).numel() == 0);
  CHECK(ag::sum(ag::abs(pairs(tokens))).item() == 0);
}

TEST_CASE("embeddings learn to the same bits compiled, and with any number of threads") {
  const ag::TensorList eager = trained(false);
  check_same(eager, trained(true));
  check_same(eager, trained(false, true));
  ag::set_num_threads(3);
  const ag::TensorList threads = trained(false);
  ag::set_num_threads(1);
  check_same(eager, threads);
}

TEST_CASE("lookups and bags of many rows have the same bits with any number of threads") {
  ag::Generator g(2);
  const Tensor tokens = ag::randint(0, 300, {90, 60}, g);
  const Tensor table = ag::randn({300, 40}, ag::float32, g).requires_grad_();
  const Tensor factors = ag::randn({90, 60}, ag::float32, g).requires_grad_();
  const auto results = [&] {
    ag::TensorList list;
    const auto add = [&](const Tensor& y, const ag::TensorList& leaves) {
      for (const Tensor& t : ag::grad({ag::sum(ag::sin(y))}, leaves)) list.push_back(t);
      list.push_back(y.detach());
    };
    add(ag::embedding(tokens, table, {.padding_idx = 3, .scale_grad_by_freq = true}), {table});
    for (const auto mode : {ag::BagMode::mean, ag::BagMode::max})
      add(ag::embedding_bag(tokens, table, {}, {.mode = mode, .padding_idx = 3}), {table});
    add(ag::embedding_bag(tokens, table, {},
                          {.mode = ag::BagMode::sum, .per_sample_weights = factors}),
        {table, factors});
    return list;
  };
  const ag::TensorList one = results();
  for (const int n : {2, 5}) {
    ag::set_num_threads(n);
    const ag::TensorList many = results();
    ag::set_num_threads(1);
    check_same(one, many);
  }
}

TEST_CASE("max_norm scales the rows that are looked up in place, also compiled") {
  const Tensor tokens = ag::tensor({1, 3, 1}), others = ag::tensor({0, 0, 3});
  for (const bool compiled : {false, true}) {
    nn::Embedding layer =
        nn::Embedding::from_pretrained(ag::full({5, 4}, 3.0), false, {.max_norm = 2});
    auto run = ag::compile([&](const Tensor& t) { return layer(t).detach(); });
    const auto call = [&](const Tensor& t) { return compiled ? run(t) : layer(t); };
    const Tensor y = call(tokens);
    CHECK(std::abs(ag::norm(y[{0}]).item() - 2) < 1e-5);
    CHECK(std::abs(norm_of_row(layer.weight, 1) - 2) < 1e-5);
    CHECK(norm_of_row(layer.weight, 0) == 6);
    call(others);
    CHECK(std::abs(norm_of_row(layer.weight, 0) - 2) < 1e-5);
    CHECK(norm_of_row(layer.weight, 2) == 6);
    CHECK_THROWS_WITH(call(ag::tensor({0, 1, 5})), ContainsSubstring("[0, 5)"));
  }
}

TEST_CASE("max_norm refuses a weight that cannot be changed in place, and changes count") {
  const Tensor w = ag::ones({3, 4}).requires_grad_(), tokens = ag::tensor({1, 2});
  CHECK_THROWS_WITH(ag::embedding(tokens, w * 2, {.max_norm = 1}),
                    "embedding: max_norm changes the weight in place, so it must be a leaf, got "
                    "the result of 'mul'");
  const Tensor y = ag::sum(w * w);  // keeps w
  ag::embedding(tokens, w, {.max_norm = 1});
  CHECK_THROWS_WITH(y.backward(), ContainsSubstring("values saved by 'mul' must not change"));
}

TEST_CASE("derivatives of per_sample_weights leave out the padding") {
  const Tensor w = ag::tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}}).requires_grad_();
  const Tensor p = ag::tensor({{0.5, 2.0, 1.0}}).requires_grad_();
  const Tensor y =
      ag::embedding_bag(ag::tensor({{1, 0, 2}}), w, {},
                        {.mode = ag::BagMode::sum, .per_sample_weights = p, .padding_idx = 0});
  ag::sum(y).backward();
  CHECK(y.to_vector<double>() == std::vector<double>{6.5, 8});
  CHECK(p.grad().to_vector<double>() == std::vector<double>{7, 0, 11});
  CHECK(w.grad().to_vector<double>() == std::vector<double>{0, 0, 0.5, 0.5, 1, 1});
}

TEST_CASE("of equal maxima in a bag the first row gets the gradient, and a NaN is the maximum") {
  const Tensor w = ag::tensor({{1.0, 5.0}, {1.0, std::nan("")}, {0.0, 7.0}}).requires_grad_();
  const Tensor y = ag::embedding_bag(ag::tensor({{1, 0, 2}}), w, {}, {.mode = ag::BagMode::max});
  CHECK(y.to_vector<double>()[0] == 1);
  CHECK(std::isnan(y.to_vector<double>()[1]));
  ag::sum(y).backward();
  CHECK(w.grad().to_vector<double>() == std::vector<double>{0, 0, 1, 1, 0, 0});
}

TEST_CASE("tied weights of an embedding and a linear layer have one dense gradient") {
  nn::Embedding words(5, 3);
  nn::Linear head(3, 5, false);
  head.weight.tie(words.weight);
  ag::sum(head(words(ag::tensor({1, 1, 4})))).backward();
  const Tensor g = words.weight.grad();
  CHECK_FALSE(ag::is_rows(g));
  CHECK(same_bits(g, head.weight.grad()));
}

TEST_CASE("an embedding goes into a Sequential and a state dict") {
  ag::manual_seed(2);
  nn::Sequential model(nn::Embedding(9, 4), nn::Flatten(), nn::Linear(8, 2));
  CHECK(model(ag::tensor({{1, 2}, {3, 8}})).shape() == ag::Shape{2, 2});
  CHECK(model.state_dict().front().name == "0.weight");
  nn::Sequential copy = model;
  CHECK(same_bits(copy(ag::tensor({{1, 2}})), model(ag::tensor({{1, 2}}))));
}

TEST_CASE("a row that max_norm has brought to the norm is not written again") {
  for (const double max_norm : {0.5, 1.0, 2.0, 10.0}) {
    ag::manual_seed(3);
    nn::Embedding words(1000, 32, {.max_norm = max_norm});
    {
      const ag::NoGrad no_grad;
      words.weight.copy_(50 * ag::randn({1000, 32}));
    }
    const Tensor all = ag::arange(1000), first = words(all);
    CHECK(same_bits(first, words(all)));
    CHECK(ag::max(ag::norm(words.weight.detach().to(ag::float64), 2, {1})).item() <= max_norm);
  }
}

TEST_CASE("bags of a fixed length are weighted without offsets") {
  nn::EmbeddingBag bag(5, 3, {.mode = nn::BagMode::sum});
  const Tensor places = ag::tensor({{0, 3}, {4, 1}}),
               weights = ag::tensor({{1.0f, 2.0f}, {0.5f, 0.0f}});
  const Tensor y = bag(places, {}, weights);
  const Tensor rows = ag::embedding(places, bag.weight) * ag::unsqueeze(weights, -1);
  CHECK(ag::allclose(y, ag::sum(rows, 1)));
  std::size_t inputs = 0;
  const auto hook = bag.register_forward_pre_hook(
      [&](const nn::Module&, ag::TensorList& in) { inputs = in.size(); });
  CHECK(same_bits(bag(places, {}, weights), y));
  CHECK(inputs == 2);
  CHECK(same_bits(bag(places, {.per_sample_weights = weights}), y));
  const Tensor flat = ag::flatten(places), starts = ag::tensor({0, 2});
  CHECK(same_bits(bag(flat, starts, ag::flatten(weights)), y));
  CHECK(inputs == 3);
}
