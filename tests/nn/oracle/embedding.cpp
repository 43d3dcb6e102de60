#include "nn/layers/embedding.hpp"

#include <limits>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/rows.hpp"
#include "nn/optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using namespace nn::optim;
using ag::Tensor;
using nn::BagMode, nn::Embedding, nn::EmbeddingBag;

/// A layer on the inputs but the last, which is its weight, by PyTorch's name.
template <class L>
Call looked_up(const L& model) {
  return [=](const Question& q) {
    L mine = model;
    load_state(mine, q);
    if constexpr (std::same_as<L, EmbeddingBag>)
      if (q.inputs.size() > 2) return Answer{{mine(q.inputs[0], q.inputs[1])}, mine.parameters()};
    return Answer{{mine(q.inputs[0])}, mine.parameters()};
  };
}

/// The optimizers of a table and of the layer behind it, for 30 steps; see embedding.py.
using Steps = std::vector<std::shared_ptr<Optimizer>>;
template <class L>
Call trained(const L& model, std::function<Steps(const Tensor&, const Tensor&)> make) {
  return [=](const Question& q) {
    L mine = model;
    mine.to(q.dtype);
    mine.weight = q.inputs[0].detach();
    const Tensor v = q.inputs[1].clone().requires_grad_();
    const Steps optimizers = make(mine.weight, v);
    TensorList found;
    for (std::int64_t step = 1; step <= 30; ++step) {
      for (const auto& o : optimizers) o->zero_grad();
      const Tensor places = ag::reshape(
          ag::tensor<std::int64_t>({step % 7, 1, step * step % 7, 3, 5 * step % 11 % 7, 1}),
          {2, 3});
      Tensor x = mine(places);
      if (x.ndim() == 3) x = ag::mean(x, 1);
      ag::mean(ag::square(ag::tanh(ag::matmul(x, v)) - 0.3)).backward();
      CHECK(ag::is_rows(mine.weight.grad()));
      for (const auto& o : optimizers) o->step();
      for (const int shown : {1, 2, 3, 10, 30})
        if (step == shown)
          for (const Tensor& t : {Tensor(mine.weight), v}) found.push_back(t.detach().clone());
    }
    return found;
  };
}

template <class O, class Options>
auto both(const Options& options) {
  return [=](const Tensor& w, const Tensor& v) {
    return Steps{std::make_shared<O>(TensorList{w, v}, options)};
  };
}
Steps lazy(const Tensor& w, const Tensor& v) {
  return {std::make_shared<SparseAdam>(TensorList{w}, SparseAdamOptions{.lr = 0.05}),
          std::make_shared<Adam>(TensorList{v}, AdamOptions{.lr = 0.05})};
}

Tensor weighted(T i, T o, T w, T p) {
  return ag::embedding_bag(i, w, o,
                           {.mode = BagMode::sum, .per_sample_weights = p, .padding_idx = 1});
}
Tensor weighted_tanh(T i, T w, T p) {
  return ag::tanh(ag::embedding_bag(
      i, w, {}, {.mode = BagMode::sum, .per_sample_weights = p, .padding_idx = 1}));
}

}  // namespace

namespace oracle {

void add_embedding(std::vector<Row>& rows) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto bag = [](nn::EmbeddingBagOptions options) {
    return looked_up(EmbeddingBag(5, 3, options));
  };
  const nn::EmbeddingOptions sparse{.padding_idx = 1, .sparse = true};
  const std::vector<Row> table{
      {"Embedding", looked_up(Embedding(5, 3))},
      {"Embedding padding_idx=3", looked_up(Embedding(5, 3, {.padding_idx = 3}))},
      {"Embedding padding_idx=-5", looked_up(Embedding(5, 3, {.padding_idx = -5}))},
      {"Embedding scale_grad_by_freq",
       looked_up(Embedding(5, 3, {.padding_idx = 1, .scale_grad_by_freq = true}))},
      {"Embedding max_norm=1", looked_up(Embedding(5, 3, {.max_norm = 1}))},
      {"Embedding max_norm=1 norm_type=1",
       looked_up(Embedding(5, 3, {.max_norm = 1, .norm_type = 1}))},
      {"Embedding max_norm=1 norm_type=inf",
       looked_up(Embedding(5, 3, {.max_norm = 1, .norm_type = inf}))},
      {"embedding tanh",
       [](T i, T w) { return ag::tanh(ag::embedding(i, w, {.padding_idx = 1})); }},
      {"EmbeddingBag mode=sum", bag({.mode = BagMode::sum})},
      {"EmbeddingBag mode=mean", bag({})},
      {"EmbeddingBag mode=max", bag({.mode = BagMode::max})},
      {"EmbeddingBag mode=sum padding_idx=3 offsets",
       bag({.mode = BagMode::sum, .padding_idx = 3})},
      {"EmbeddingBag mode=mean padding_idx=3 offsets", bag({.padding_idx = 3})},
      {"EmbeddingBag mode=max padding_idx=3 offsets",
       bag({.mode = BagMode::max, .padding_idx = 3})},
      {"EmbeddingBag include_last_offset", bag({.include_last_offset = true})},
      {"EmbeddingBag scale_grad_by_freq", bag({.scale_grad_by_freq = true})},
      {"EmbeddingBag max_norm=1", bag({.max_norm = 1, .mode = BagMode::sum})},
      {"embedding_bag per_sample_weights padding_idx=1", weighted},
      {"embedding_bag per_sample_weights tanh", weighted_tanh},
      {"embedding_bag mean tanh", [](T i, T w) { return ag::tanh(ag::embedding_bag(i, w)); }},
      {"embedding_bag max tanh",
       [](T i, T w) { return ag::tanh(ag::embedding_bag(i, w, {}, {.mode = BagMode::max})); }},
      {"SGD Embedding sparse", trained(Embedding(7, 3, sparse), both<SGD>(SGDOptions{.lr = 0.1}))},
      {"SGD momentum Embedding sparse",
       trained(Embedding(7, 3, sparse), both<SGD>(SGDOptions{.lr = 0.05, .momentum = 0.9}))},
      {"Adagrad Embedding sparse",
       trained(Embedding(7, 3, sparse), both<Adagrad>(AdagradOptions{.lr = 0.1}))},
      {"Adam Embedding",
       trained(Embedding(7, 3, {.padding_idx = 1}), both<Adam>(AdamOptions{.lr = 0.05}))},
      {"AdamW Embedding scale_grad_by_freq",
       trained(Embedding(7, 3, {.padding_idx = 1, .scale_grad_by_freq = true}),
               both<AdamW>(AdamWOptions{.lr = 0.05}))},
      {"SparseAdam Embedding sparse", trained(Embedding(7, 3, sparse), lazy)},
      {"SGD EmbeddingBag sparse", trained(EmbeddingBag(7, 3, {.sparse = true, .padding_idx = 1}),
                                          both<SGD>(SGDOptions{.lr = 0.1}))},
      {"Adam EmbeddingBag max",
       trained(EmbeddingBag(7, 3, {.mode = BagMode::max, .padding_idx = 1}),
               both<Adam>(AdamOptions{.lr = 0.05}))},
      {"SGD Embedding max_norm=1",
       trained(Embedding(7, 3, {.max_norm = 1}), both<SGD>(SGDOptions{.lr = 0.1}))},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases embedding_cases(add_embedding);

}  // namespace oracle
