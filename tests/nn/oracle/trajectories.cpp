#include <memory>

#include "nn/layers/recurrent_cell.hpp"
#include "nn/nn.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using namespace nn::optim;
using ag::Tensor;

constexpr int kSteps = 50;
constexpr std::int64_t kBatches = 3;

using Optimizers = std::vector<std::unique_ptr<Optimizer>>;
using Make = Optimizers (*)(const TensorList& parameters);

template <class O, class Options>
Optimizers one(const TensorList& parameters, const Options& options) {
  Optimizers made;
  made.push_back(std::make_unique<O>(parameters, options));
  return made;
}
Optimizers momentum(const TensorList& p) {
  return one<SGD>(p, SGDOptions{.lr = 0.05, .momentum = 0.9});
}
Optimizers plain(const TensorList& p) { return one<SGD>(p, SGDOptions{.lr = 0.2}); }
Optimizers adagrad(const TensorList& p) { return one<Adagrad>(p, AdagradOptions{.lr = 0.1}); }
Optimizers lazy(const TensorList& p) {
  Optimizers both = one<SparseAdam>({p[0]}, SparseAdamOptions{.lr = 0.05});
  both.push_back(std::make_unique<Adam>(TensorList{p[1], p[2]}, AdamOptions{.lr = 0.05}));
  return both;
}

/// 50 steps of a model that gets PyTorch's state dict: the losses, and parameters and buffers at
/// the end. The inputs are batches, which come in turn. What `call` gives and is no loss yet is to
/// become 0.3.
template <class M, class F>
Call trained(const M& model, F call, Make make = momentum) {
  return [=](const Question& q) {
    M mine = model;
    const std::size_t inputs = q.inputs.size() - load_state(mine, q);
    const Optimizers optimizers = make(mine.parameters());
    TensorList losses, batch(inputs);
    for (int step = 0; step < kSteps; ++step) {
      for (std::size_t i = 0; i < inputs; ++i)
        batch[i] = ag::select(q.inputs[i], 0, step % kBatches);
      const Tensor y = call(mine, batch);
      const Tensor loss = y.ndim() == 0 ? y : ag::mean(ag::square(y - 0.3));
      mine.zero_grad();
      loss.backward();
      for (const auto& o : optimizers) o->step();
      losses.push_back(loss.detach());
    }
    TensorList found{ag::stack(losses)};
    for (const Tensor& p : mine.parameters()) found.push_back(p.detach());
    for (const Tensor& b : mine.buffers()) found.push_back(b);
    return found;
  };
}

/// Layers one after the other.
template <class... L>
Call chain(const L&... layers) {
  return trained(nn::Sequential(layers...),
                 [](const auto& m, const TensorList& x) { return m(x[0]); });
}

/// A layer of one tensor or two.
template <class M>
Call layer_of_all(const M& model) {
  return trained(model, [](const M& m, const TensorList& x) {
    if constexpr (requires { m.forward(x[0], x[1]); })
      return m(x[0], x[1]);
    else
      return m(x[0]);
  });
}

const nn::Tanh tanh;
const nn::Conv1d conv1(2, 2, 2);
const nn::Conv2d conv2(2, 2, 2);
const nn::Conv3d conv3(1, 2, 2);

std::vector<Row> convolutions() {
  return {
      {"Conv1d 50 steps", chain(nn::Conv1d(2, 3, 3, {.stride = 2, .padding = 1}), tanh,
                                nn::Conv1d(3, 2, 2, {.dilation = 2}))},
      {"Conv2d 50 steps",
       chain(nn::Conv2d(2, 4, 3, {.padding = 1, .groups = 2}), tanh,
             nn::Conv2d(
                 4, 2, {2, 1},
                 {.padding = "same", .bias = false, .padding_mode = nn::PaddingMode::reflect}))},
      {"Conv3d 50 steps",
       chain(nn::Conv3d(1, 2, 2, {.padding = 1}), tanh,
             nn::Conv3d(2, 1, {1, 2, 2},
                        {.padding = {0, 1, 1}, .padding_mode = nn::PaddingMode::circular}))},
      {"ConvTranspose1d 50 steps",
       chain(nn::ConvTranspose1d(2, 3, 3, {.stride = 2, .padding = 1, .output_padding = 1}), tanh,
             nn::Conv1d(3, 1, 1))},
      {"ConvTranspose2d 50 steps",
       chain(nn::ConvTranspose2d(2, 2, 2, {.stride = 2, .groups = 2}), tanh,
             nn::ConvTranspose2d(2, 1, {2, 1}, {.bias = false, .dilation = 2}))},
      {"ConvTranspose3d 50 steps", chain(nn::ConvTranspose3d(1, 2, 2), tanh,
                                         nn::ConvTranspose3d(2, 1, 1, {.stride = {2, 1, 1}}))},
  };
}

std::vector<Row> pools() {
  const auto unpooled = [](const nn::Conv2d& m, const TensorList& x) {
    const auto [y, places] = ag::max_pool2d_with_indices(m(x[0]), 2);
    return ag::max_unpool2d(y, places, 2);
  };
  return {
      {"MaxPool1d 50 steps", chain(conv1, nn::MaxPool1d(3, {.stride = 2, .padding = 1}), tanh)},
      {"MaxPool2d 50 steps", chain(conv2, nn::MaxPool2d(2, {.ceil_mode = true}), tanh)},
      {"MaxPool3d 50 steps", chain(conv3, nn::MaxPool3d({1, 2, 2}, {.stride = 1}), tanh)},
      {"AvgPool1d 50 steps", chain(conv1, nn::AvgPool1d(3, {.stride = 2, .padding = 1}), tanh)},
      {"AvgPool2d 50 steps",
       chain(conv2,
             nn::AvgPool2d(
                 3, {.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}),
             tanh)},
      {"AvgPool3d 50 steps", chain(conv3, nn::AvgPool3d({1, 2, 2}, {.divisor_override = 3}), tanh)},
      {"AdaptiveAvgPool1d 50 steps", chain(conv1, nn::AdaptiveAvgPool1d(4), tanh)},
      {"AdaptiveAvgPool2d 50 steps", chain(conv2, nn::AdaptiveAvgPool2d({3, 2}), tanh)},
      {"AdaptiveAvgPool3d 50 steps", chain(conv3, nn::AdaptiveAvgPool3d(1), tanh)},
      {"AdaptiveMaxPool1d 50 steps", chain(conv1, nn::AdaptiveMaxPool1d(4), tanh)},
      {"AdaptiveMaxPool2d 50 steps", chain(conv2, nn::AdaptiveMaxPool2d({3, 2}), tanh)},
      {"AdaptiveMaxPool3d 50 steps", chain(conv3, nn::AdaptiveMaxPool3d({1, 2, 1}), tanh)},
      {"LPPool1d 50 steps", chain(conv1, nn::Softplus(), nn::LPPool1d(2, 3, {.stride = 2}))},
      {"LPPool2d 50 steps", chain(conv2, nn::Softplus(), nn::LPPool2d(3, 2))},
      {"MaxUnpool2d 50 steps", trained(conv2, unpooled)},
  };
}

std::vector<Row> resamplings() {
  using Mode = ag::InterpolateMode;
  return {
      {"Upsample 50 steps",
       chain(conv2, tanh, nn::Upsample({.scale_factor = 1.5, .mode = Mode::bilinear}),
             nn::Conv2d(2, 1, 2))},
      {"Upsample bicubic 50 steps",
       chain(conv2, tanh,
             nn::Upsample({.size = {3, 5}, .mode = Mode::bicubic, .align_corners = true}))},
      {"Upsample nearest 50 steps",
       chain(conv1, tanh, nn::Upsample({.size = 7}), nn::Conv1d(2, 1, 2))},
      {"PixelShuffle 50 steps", chain(nn::Conv2d(1, 4, 2), nn::PixelShuffle(2), tanh)},
      {"Unfold 50 steps", chain(conv2, nn::Unfold(2), tanh, nn::Linear(3, 2))},
      {"Fold 50 steps", chain(nn::Conv1d(4, 4, 1), nn::Fold({3, 4}, 2), tanh)},
  };
}

std::vector<Row> norms() {
  const nn::WeightNormOptions one_length{.dim = std::nullopt};
  return {
      {"BatchNorm1d 50 steps", chain(nn::Linear(3, 4), nn::BatchNorm1d(4), tanh, nn::Linear(4, 2))},
      {"BatchNorm2d 50 steps", chain(conv2, nn::BatchNorm2d(2, {.momentum = std::nullopt}), tanh)},
      {"BatchNorm3d 50 steps",
       chain(conv3, nn::BatchNorm3d(2, {.eps = 0.1, .momentum = 0.3, .affine = false}), tanh,
             nn::Flatten(), nn::Linear(8, 1))},
      {"InstanceNorm1d 50 steps", chain(conv1, nn::InstanceNorm1d(2), tanh, nn::Conv1d(2, 1, 2))},
      {"InstanceNorm2d 50 steps",
       chain(conv2, nn::InstanceNorm2d(2, {.affine = true, .track_running_stats = true}), tanh)},
      {"InstanceNorm3d 50 steps", chain(conv3, nn::InstanceNorm3d(2, {.affine = true}), tanh)},
      {"GroupNorm 50 steps", chain(nn::Conv1d(2, 4, 2), nn::GroupNorm(2, 4), tanh)},
      {"LayerNorm 50 steps", chain(nn::Linear(3, 5), nn::LayerNorm(5), tanh, nn::Linear(5, 2))},
      {"RMSNorm 50 steps", chain(nn::Linear(3, 5), nn::RMSNorm(5), tanh, nn::Linear(5, 2))},
      {"LocalResponseNorm 50 steps",
       chain(nn::Conv1d(2, 4, 2), nn::LocalResponseNorm(3, {.alpha = 0.3}), tanh)},
      {"WeightNorm 50 steps", chain(nn::WeightNorm<nn::Linear>(nn::Linear(3, 4)), tanh,
                                    nn::WeightNorm<nn::Linear>(nn::Linear(4, 2), one_length))},
      {"WeightNorm Conv2d 50 steps", chain(nn::WeightNorm<nn::Conv2d>(conv2), tanh)},
      {"SpectralNorm 50 steps", layer_of_all(nn::SpectralNorm<nn::Linear>(nn::Linear(3, 4)))},
      {"SpectralNorm Conv1d 50 steps",
       layer_of_all(nn::SpectralNorm<nn::Conv1d>(nn::Conv1d(2, 3, 2), {.n_power_iterations = 2}))},
  };
}

/// The mean of the vectors of some places.
template <class L>
Call looked_up(const L& table, Make make) {
  const auto mean = [](const Tensor& x) { return x.ndim() == 3 ? ag::mean(x, 1) : x; };
  return trained(
      nn::Sequential(table, mean, nn::Linear(3, 2), tanh),
      [](const nn::Sequential& m, const TensorList& x) { return m(x[0]); }, make);
}

std::vector<Row> tables() {
  const nn::EmbeddingOptions padded{.padding_idx = 1, .sparse = true};
  const auto table = [](nn::EmbeddingOptions o) { return nn::Embedding(7, 3, o); };
  const auto bag = [](nn::EmbeddingBagOptions o) { return nn::EmbeddingBag(7, 3, o); };
  const nn::EmbeddingBagOptions sum{.mode = nn::BagMode::sum, .sparse = true};
  return {
      {"Embedding 50 steps", looked_up(table({.padding_idx = 1}), momentum)},
      {"Embedding sparse 50 steps", looked_up(table(padded), plain)},
      {"Embedding sparse Adagrad 50 steps",
       looked_up(table({.scale_grad_by_freq = true}), adagrad)},
      {"Embedding SparseAdam 50 steps", looked_up(table(padded), lazy)},
      {"Embedding max_norm 50 steps", looked_up(table({.max_norm = 0.8}), plain)},
      {"EmbeddingBag 50 steps", looked_up(bag({.padding_idx = 1}), momentum)},
      {"EmbeddingBag sparse 50 steps", looked_up(bag(sum), plain)},
      {"EmbeddingBag SparseAdam 50 steps", looked_up(bag(sum), lazy)},
      {"EmbeddingBag max 50 steps", looked_up(bag({.mode = nn::BagMode::max}), momentum)},
  };
}

template <class M>
Call sequence(const M& model, const Tensor& lengths = {}) {
  return trained(
      model, [=](const M& m, const TensorList& x) { return m(x[0], {.lengths = lengths}).output; });
}

/// Two steps with the same input.
template <class M>
Call cell(const M& model) {
  return trained(model, [](const M& m, const TensorList& x) {
    const auto state = m(x[0], m(x[0]));
    if constexpr (requires { state.h; })
      return state.h;
    else
      return state;
  });
}

std::vector<Row> recurrent() {
  const nn::RNNOptions deep{.num_layers = 2,
                            .nonlinearity = nn::RNNOptions::Nonlinearity::relu,
                            .batch_first = true,
                            .bidirectional = true};
  return {
      {"RNN 50 steps", sequence(nn::RNN(2, 3))},
      {"RNN relu bidirectional num_layers=2 50 steps", sequence(nn::RNN(2, 2, deep))},
      {"LSTM 50 steps", sequence(nn::LSTM(2, 3))},
      {"LSTM bidirectional num_layers=2 lengths 50 steps",
       sequence(nn::LSTM(2, 2, {.num_layers = 2, .bidirectional = true}),
                ag::tensor<std::int64_t>({3, 5}))},
      {"LSTM bidirectional proj_size 50 steps",
       sequence(nn::LSTM(2, 3, {.bidirectional = true, .proj_size = 2}))},
      {"GRU 50 steps", sequence(nn::GRU(2, 3))},
      {"GRU bidirectional num_layers=2 lengths 50 steps",
       sequence(nn::GRU(2, 2, {.num_layers = 2, .batch_first = true, .bidirectional = true}),
                ag::tensor<std::int64_t>({5, 2}))},
      {"RNNCell 50 steps", cell(nn::RNNCell(2, 3))},
      {"GRUCell 50 steps", cell(nn::GRUCell(2, 3))},
      {"LSTMCell 50 steps", cell(nn::LSTMCell(2, 3))},
  };
}

Call attention(const nn::MultiheadAttention& model) {
  return trained(model, [](const nn::MultiheadAttention& m, const TensorList& x) {
    return m(x[0], x[x.size() / 2], x.back()).output;
  });
}

std::vector<Row> transformers() {
  const nn::TransformerLayerOptions plain{
      .dim_feedforward = 5, .dropout = 0, .activation = nn::GELU(), .batch_first = true};
  nn::TransformerLayerOptions first = plain;
  first.norm_first = true;
  first.bias = false;
  const nn::TransformerOptions small{.num_encoder_layers = 1,
                                     .num_decoder_layers = 1,
                                     .dim_feedforward = 5,
                                     .dropout = 0,
                                     .activation = nn::GELU(),
                                     .batch_first = true,
                                     .norm_first = true};
  return {
      {"MultiheadAttention 50 steps",
       attention(nn::MultiheadAttention(4, 2, {.batch_first = true}))},
      {"MultiheadAttention kdim vdim 50 steps",
       attention(nn::MultiheadAttention(4, 2, {.bias = false, .kdim = 3, .vdim = 2}))},
      {"MultiheadAttention add_bias_kv add_zero_attn 50 steps",
       attention(nn::MultiheadAttention(4, 2, {.add_bias_kv = true, .add_zero_attn = true}))},
      {"TransformerEncoderLayer 50 steps", layer_of_all(nn::TransformerEncoderLayer(4, 2, plain))},
      {"TransformerEncoderLayer norm_first causal 50 steps",
       trained(nn::TransformerEncoderLayer(4, 2, first),
               [](const auto& m, const TensorList& x) { return m(x[0], {.is_causal = true}); })},
      {"TransformerDecoderLayer 50 steps", trained(nn::TransformerDecoderLayer(4, 2, plain),
                                                   [](const auto& m, const TensorList& x) {
                                                     return m(x[0], x[1], {.tgt_is_causal = true});
                                                   })},
      {"Transformer 50 steps", layer_of_all(nn::Transformer(4, 2, small))},
  };
}

/// A distance between what a layer makes of two inputs.
Call between(Tensor (*distance)(T, T)) {
  return trained(nn::Linear(3, 4), [=](const nn::Linear& m, const TensorList& x) {
    return distance(m(x[0]), m(x[1]));
  });
}

std::vector<Row> others() {
  return {
      {"Bilinear 50 steps", layer_of_all(nn::Bilinear(3, 2, 2))},
      {"PReLU 50 steps", chain(nn::Linear(3, 4), nn::PReLU(4), nn::Linear(4, 2))},
      {"GLU 50 steps", chain(nn::Linear(3, 4), nn::GLU(), nn::Linear(2, 2))},
      {"CosineSimilarity 50 steps", between([](T a, T b) { return nn::CosineSimilarity()(a, b); })},
      {"PairwiseDistance 50 steps", between([](T a, T b) { return nn::PairwiseDistance()(a, b); })},
  };
}

/// A loss of what a linear layer gives and of the other inputs.
template <class F>
Call loss(F f) {
  return trained(nn::Linear(3, 4), [=](const nn::Linear& m, const TensorList& x) -> Tensor {
    if constexpr (requires { f(x[0], x[1]); })
      return f(m(x[0]), x[1]);
    else
      return f(m(x[0]), x[1], x[2]);
  });
}

std::vector<Row> losses() {
  const nn::CrossEntropyOptions smooth{.label_smoothing = 0.1, .ignore_index = 2};
  const nn::SigmoidFocalLossOptions mean{.reduction = nn::Reduction::mean};
  return {
      {"cross_entropy 50 steps", loss([=](T y, T t) { return nn::cross_entropy(y, t, smooth); })},
      {"nll_loss 50 steps", loss([](T y, T t) { return nn::nll_loss(ag::log_softmax(y, 1), t); })},
      {"kl_div 50 steps", loss([](T y, T t) { return nn::kl_div(ag::log_softmax(y, 1), t); })},
      {"mse_loss 50 steps", loss([](T y, T t) { return nn::mse_loss(y, t); })},
      {"l1_loss 50 steps", loss([](T y, T t) { return nn::l1_loss(y, t); })},
      {"huber_loss 50 steps", loss([](T y, T t) { return nn::huber_loss(y, t); })},
      {"smooth_l1_loss 50 steps", loss([](T y, T t) { return nn::smooth_l1_loss(y, t); })},
      {"binary_cross_entropy 50 steps",
       loss([](T y, T t) { return nn::binary_cross_entropy(ag::sigmoid(y), t); })},
      {"binary_cross_entropy_with_logits 50 steps",
       loss([](T y, T t) { return nn::binary_cross_entropy_with_logits(y, t); })},
      {"sigmoid_focal_loss 50 steps",
       loss([=](T y, T t) { return nn::sigmoid_focal_loss(y, t, mean); })},
      {"poisson_nll_loss 50 steps", loss([](T y, T t) { return nn::poisson_nll_loss(y, t); })},
      {"gaussian_nll_loss 50 steps",
       loss([](T y, T t, T v) { return nn::gaussian_nll_loss(y, t, v); })},
      {"ctc_loss 50 steps", trained(nn::Linear(2, 4),
                                    [](const nn::Linear& m, const TensorList& x) {
                                      return nn::ctc_loss(ag::log_softmax(m(x[0])), x[1], x[2],
                                                          x[3]);
                                    })},
  };
}

std::vector<Row> margins() {
  const nn::TripletMarginLossOptions swap{.swap = true};
  return {
      {"soft_margin_loss 50 steps", loss([](T y, T t) { return nn::soft_margin_loss(y, t); })},
      {"hinge_embedding_loss 50 steps",
       loss([](T y, T t) { return nn::hinge_embedding_loss(y, t); })},
      {"multi_margin_loss 50 steps", loss([](T y, T t) { return nn::multi_margin_loss(y, t); })},
      {"multilabel_margin_loss 50 steps",
       loss([](T y, T t) { return nn::multilabel_margin_loss(y, t); })},
      {"multilabel_soft_margin_loss 50 steps",
       loss([](T y, T t) { return nn::multilabel_soft_margin_loss(y, t); })},
      {"margin_ranking_loss 50 steps",
       loss([](T y, T o, T t) { return nn::margin_ranking_loss(y, o, t, {.margin = 0.5}); })},
      {"cosine_embedding_loss 50 steps",
       loss([](T y, T o, T t) { return nn::cosine_embedding_loss(y, o, t, {.margin = 0.2}); })},
      {"triplet_margin_loss 50 steps",
       loss([=](T y, T a, T b) { return nn::triplet_margin_loss(y, a, b, swap); })},
  };
}

void add_trajectories(std::vector<Row>& rows) {
  for (const auto& table : {convolutions(), pools(), resamplings(), norms(), tables(), recurrent(),
                            transformers(), others(), losses(), margins()})
    rows.insert(rows.end(), table.begin(), table.end());
}

const Cases trajectories_cases(add_trajectories);

}  // namespace
