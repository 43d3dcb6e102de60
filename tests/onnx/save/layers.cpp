#include "tests/onnx/save/cases.hpp"

// Every layer with its options. Batches are of 4.
namespace cases {
namespace {

ag::Tensor x(const ag::Shape& shape) {
  static ag::Generator g(3);
  return ag::randn(shape, ag::float32, g);
}
ag::Tensor tokens(const ag::Shape& shape, std::int64_t below) {
  static ag::Generator g(4);
  return ag::floor(ag::rand(shape, ag::float32, g) * static_cast<double>(below)).to(ag::int64);
}

void add_activations(std::vector<Case>& all) {
  const auto add = [&]<class M>(const char* name, M m) {
    all.push_back(module(name, m, {x({4, 6}) * 3.0}));
  };
  add("ReLU", nn::ReLU()), add("Tanh", nn::Tanh()), add("Sigmoid", nn::Sigmoid());
  add("SiLU", nn::SiLU()), add("GELU", nn::GELU()),
      add("GELU tanh", nn::GELU(nn::GELU::Approximate::tanh));
  add("Softplus", nn::Softplus()), add("Softplus beta", nn::Softplus(2, 3));
  add("ReLU6", nn::ReLU6()), add("LeakyReLU", nn::LeakyReLU(0.2)), add("PReLU", nn::PReLU(6));
  add("ELU", nn::ELU(0.7)), add("SELU", nn::SELU()), add("CELU", nn::CELU(0.6));
  add("Mish", nn::Mish()), add("Hardsigmoid", nn::Hardsigmoid());
  add("Hardswish", nn::Hardswish()), add("Hardtanh", nn::Hardtanh(-0.5, 2));
  add("Softsign", nn::Softsign()), add("Softshrink", nn::Softshrink(0.4));
  add("Hardshrink", nn::Hardshrink(0.4)), add("Tanhshrink", nn::Tanhshrink());
  add("LogSigmoid", nn::LogSigmoid()), add("Threshold", nn::Threshold(0.3, 2));
  add("GLU", nn::GLU()), add("Softmax", nn::Softmax()), add("LogSoftmax", nn::LogSoftmax());
  add("Softmin", nn::Softmin()), add("RReLU", nn::RReLU()), add("Identity", nn::Identity());
  all.push_back(module("Softmax axis 1", nn::Softmax(1), {x({4, 5, 3})}));
  all.push_back(module("Softmax2d", nn::Softmax2d(), {x({4, 5, 3, 2})}));
  add("Dropout", nn::Dropout()), add("AlphaDropout", nn::AlphaDropout());
  add("FeatureAlphaDropout", nn::FeatureAlphaDropout());
  all.push_back(module("Dropout1d", nn::Dropout1d(), {x({4, 5, 3})}));
  all.push_back(module("Dropout2d", nn::Dropout2d(), {x({4, 5, 3, 2})}));
  all.push_back(module("Dropout3d", nn::Dropout3d(), {x({4, 5, 3, 2, 2})}));
}

void add_linear(std::vector<Case>& all) {
  all.push_back(module("Linear", nn::Linear(6, 5), {x({4, 6})}));
  all.push_back(module("Linear without bias", nn::Linear(6, 5, false), {x({4, 6})}));
  all.push_back(module("Linear of three axes", nn::Linear(6, 5), {x({4, 3, 6})}));
  all.push_back(module("Linear unbatched", nn::Linear(6, 5), {x({6})}, {.dynamic = false}));
  all.push_back(module("Bilinear", nn::Bilinear(3, 4, 5), {x({4, 3}), x({4, 4})}));
  all.push_back(module("CosineSimilarity", nn::CosineSimilarity(), {x({4, 6}), x({4, 6})}));
  all.push_back(module("PairwiseDistance", nn::PairwiseDistance(), {x({4, 6}), x({4, 6})}));
  all.push_back(module("Flatten", nn::Flatten(), {x({4, 3, 2})}));
  all.push_back(module("Unflatten", nn::Unflatten(1, {3, 2}), {x({4, 6})}));
  all.push_back(module("PixelShuffle", nn::PixelShuffle(2), {x({4, 8, 3, 3})}));
  all.push_back(module("PixelUnshuffle", nn::PixelUnshuffle(2), {x({4, 2, 6, 4})}));
  all.push_back(module("ChannelShuffle", nn::ChannelShuffle(2), {x({4, 6, 3, 3})}));
  all.push_back(module("MLP", nn::MLP(6, {8, 8}, 3), {x({4, 6})}));
  all.push_back(module(
      "Sequential", nn::Sequential{nn::Linear(6, 8), nn::ReLU(), nn::Dropout(), nn::Linear(8, 2)},
      {x({4, 6})}));
}

void add_convolutions(std::vector<Case>& all) {
  all.push_back(module("Conv1d", nn::Conv1d(3, 4, 3, {.padding = 1}), {x({4, 3, 9})}));
  all.push_back(
      module("Conv2d",
             nn::Conv2d(4, 6, {3, 2},
                        {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2}),
             {x({4, 4, 9, 8})}));
  all.push_back(
      module("Conv2d same", nn::Conv2d(3, 4, {4, 3}, {.padding = "same"}), {x({4, 3, 8, 7})}));
  all.push_back(
      module("Conv2d circular",
             nn::Conv2d(3, 4, 3, {.padding = 1, .padding_mode = nn::PaddingMode::circular}),
             {x({4, 3, 8, 7})}));
  all.push_back(module("Conv2d depthwise",
                       nn::Conv2d(4, 4, 3, {.stride = 3, .groups = 4, .bias = false}),
                       {x({4, 4, 9, 8})}));
  all.push_back(module("Conv3d", nn::Conv3d(2, 3, 2), {x({4, 2, 4, 3, 5})}));
  all.push_back(
      module("ConvTranspose1d", nn::ConvTranspose1d(3, 4, 3, {.stride = 2}), {x({4, 3, 5})}));
  all.push_back(module(
      "ConvTranspose2d",
      nn::ConvTranspose2d(4, 6, 3, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2}),
      {x({4, 4, 5, 4})}));
  all.push_back(module("ConvTranspose3d", nn::ConvTranspose3d(2, 3, 2, {.dilation = 2}),
                       {x({4, 2, 3, 3, 2})}));
  all.push_back(module("Unfold", nn::Unfold({2, 3}, {.padding = 1}), {x({4, 2, 5, 6})}));
  all.push_back(module("Fold", nn::Fold({4, 5}, {2, 2}), {x({4, 12, 12})}));
  all.push_back(module("Upsample nearest",
                       nn::Upsample({.scale_factor = 2, .mode = ag::InterpolateMode::nearest}),
                       {x({4, 2, 3, 4})}));
  all.push_back(module("Upsample bilinear",
                       nn::Upsample({.size = {5, 7}, .mode = ag::InterpolateMode::bilinear}),
                       {x({4, 2, 3, 4})}));
  all.push_back(module(
      "Upsample bicubic",
      nn::Upsample({.size = {5, 7}, .mode = ag::InterpolateMode::bicubic, .align_corners = true}),
      {x({4, 2, 3, 4})}));
  all.push_back(module("UpsamplingNearest2d", nn::UpsamplingNearest2d({.scale_factor = 2}),
                       {x({4, 2, 3, 4})}));
  all.push_back(module("UpsamplingBilinear2d", nn::UpsamplingBilinear2d({.scale_factor = 2}),
                       {x({4, 2, 3, 4})}));
}

void add_pads(std::vector<Case>& all) {
  const auto lines = x({4, 2, 6}), planes = x({4, 2, 6, 5}), solids = x({4, 2, 4, 3, 4});
  const auto add = [&]<class M>(const char* name, M m, const ag::Tensor& in) {
    all.push_back(module(name, m, {in}));
  };
  add("ZeroPad1d", nn::ZeroPad1d({1, 2}), lines),
      add("ZeroPad2d", nn::ZeroPad2d({1, 2, -1, 3}), planes);
  add("ZeroPad3d", nn::ZeroPad3d(1), solids),
      add("ConstantPad1d", nn::ConstantPad1d(2, 0.5), lines);
  add("ConstantPad2d", nn::ConstantPad2d(1, -3), planes),
      add("ConstantPad3d", nn::ConstantPad3d(1, 2), solids);
  add("ReflectionPad1d", nn::ReflectionPad1d(2), lines),
      add("ReflectionPad2d", nn::ReflectionPad2d({1, 2, 0, 1}), planes);
  add("ReflectionPad3d", nn::ReflectionPad3d(1), solids),
      add("ReplicationPad1d", nn::ReplicationPad1d(2), lines);
  add("ReplicationPad2d", nn::ReplicationPad2d({1, 2, 0, 1}), planes),
      add("ReplicationPad3d", nn::ReplicationPad3d(1), solids);
  add("CircularPad1d", nn::CircularPad1d(2), lines),
      add("CircularPad2d", nn::CircularPad2d({1, 2, 0, 1}), planes);
  add("CircularPad3d", nn::CircularPad3d(1), solids);
}

void add_pools(std::vector<Case>& all) {
  const auto lines = x({4, 2, 9}), planes = x({4, 2, 9, 8}), solids = x({4, 2, 6, 5, 4});
  const auto add = [&]<class M>(const char* name, M m, const ag::Tensor& in) {
    all.push_back(module(name, m, {in}));
  };
  add("MaxPool1d", nn::MaxPool1d(3), lines);
  add("MaxPool2d", nn::MaxPool2d({3, 2}, {.stride = 2, .padding = 1, .ceil_mode = true}), planes);
  add("MaxPool2d dilated", nn::MaxPool2d(2, {.stride = 1, .dilation = 2}), planes);
  add("MaxPool3d", nn::MaxPool3d(2), solids),
      add("AvgPool1d", nn::AvgPool1d(3, {.padding = 1}), lines);
  add("AvgPool2d",
      nn::AvgPool2d(3, {.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}),
      planes);
  add("AvgPool2d ceil", nn::AvgPool2d(3, {.stride = 2, .padding = 1, .ceil_mode = true}), planes);
  add("AvgPool2d divisor", nn::AvgPool2d(2, {.divisor_override = 3}), planes);
  add("AvgPool3d", nn::AvgPool3d(2), solids),
      add("AdaptiveAvgPool1d", nn::AdaptiveAvgPool1d(4), lines);
  add("AdaptiveAvgPool2d", nn::AdaptiveAvgPool2d({3, 4}), planes),
      add("AdaptiveAvgPool3d", nn::AdaptiveAvgPool3d({2, 3, 1}), solids);
  add("AdaptiveMaxPool1d", nn::AdaptiveMaxPool1d(4), lines),
      add("AdaptiveMaxPool2d", nn::AdaptiveMaxPool2d({3, 4}), planes);
  add("AdaptiveMaxPool3d", nn::AdaptiveMaxPool3d({2, 5, 1}), solids);
  add("LPPool1d", nn::LPPool1d(2, 3), lines), add("LPPool2d", nn::LPPool2d(3, 2), ag::abs(planes)),
      add("LPPool3d", nn::LPPool3d(2, 2), solids);
  const auto unpool = [&](const char* name, auto pool, auto layer, const ag::Tensor& in) {
    all.push_back(function(name,
                           [=](const ag::TensorList& t) {
                             const auto p = pool(t[0]);
                             return layer(p.values, p.indices);
                           },
                           {in}));
  };
  unpool(
      "MaxUnpool1d", [](const ag::Tensor& t) { return ag::max_pool1d_with_indices(t, 3); },
      nn::MaxUnpool1d(3), lines);
  unpool(
      "MaxUnpool2d", [](const ag::Tensor& t) { return ag::max_pool2d_with_indices(t, 2); },
      nn::MaxUnpool2d(2), x({4, 2, 8, 6}));
  unpool(
      "MaxUnpool3d", [](const ag::Tensor& t) { return ag::max_pool3d_with_indices(t, 2); },
      nn::MaxUnpool3d(2), x({4, 2, 4, 4, 4}));
}

void add_norms(std::vector<Case>& all) {
  all.push_back(module("BatchNorm1d", nn::BatchNorm1d(6), {x({4, 6})}));
  all.push_back(module("BatchNorm1d of three axes", nn::BatchNorm1d(6), {x({4, 6, 5})}));
  all.push_back(module("BatchNorm2d", nn::BatchNorm2d(3, {.eps = 1e-3}), {x({4, 3, 5, 4})}));
  all.push_back(
      module("BatchNorm2d plain", nn::BatchNorm2d(3, {.affine = false}), {x({4, 3, 5, 4})}));
  all.push_back(module("BatchNorm3d", nn::BatchNorm3d(3), {x({4, 3, 2, 3, 2})}));
  all.push_back(module("InstanceNorm1d", nn::InstanceNorm1d(3), {x({4, 3, 9})}));
  all.push_back(
      module("InstanceNorm2d", nn::InstanceNorm2d(3, {.affine = true}), {x({4, 3, 5, 4})}));
  all.push_back(module("InstanceNorm2d tracked",
                       nn::InstanceNorm2d(3, {.affine = true, .track_running_stats = true}),
                       {x({4, 3, 5, 4})}));
  all.push_back(module("InstanceNorm3d", nn::InstanceNorm3d(3), {x({4, 3, 2, 3, 2})}));
  all.push_back(module("LayerNorm", nn::LayerNorm({6}), {x({4, 3, 6})}));
  all.push_back(module("LayerNorm of two axes",
                       nn::LayerNorm({3, 6}, {.elementwise_affine = false}), {x({4, 3, 6})}));
  all.push_back(module("GroupNorm", nn::GroupNorm(2, 6), {x({4, 6, 5, 4})}));
  all.push_back(module("GroupNorm of few", nn::GroupNorm(3, 6), {x({4, 6})}));
  all.push_back(module("RMSNorm", nn::RMSNorm({6}), {x({4, 3, 6})}));
  all.push_back(module("LocalResponseNorm", nn::LocalResponseNorm(3), {x({4, 6, 5, 4})}));
  all.push_back(module("WeightNorm", nn::WeightNorm(nn::Linear(6, 5)), {x({4, 6})}));
  all.push_back(module("SpectralNorm", nn::SpectralNorm(nn::Linear(6, 5)), {x({4, 6})}));
}

void add_lookups(std::vector<Case>& all) {
  all.push_back(
      module("Embedding", nn::Embedding(10, 3, {.padding_idx = 0}), {tokens({4, 5}, 10)}));
  all.push_back(module("EmbeddingBag", nn::EmbeddingBag(10, 3), {tokens({4, 5}, 10)}));
  all.push_back(module("EmbeddingBag sum",
                       nn::EmbeddingBag(10, 3, {.mode = ag::BagMode::sum, .padding_idx = 2}),
                       {tokens({4, 5}, 10)}));
  all.push_back(module("EmbeddingBag max", nn::EmbeddingBag(10, 3, {.mode = ag::BagMode::max}),
                       {tokens({4, 5}, 10)}));
  all.push_back(module("EmbeddingBag offsets", nn::EmbeddingBag(10, 3),
                       {tokens({9}, 10), ag::tensor({0, 2, 2, 7})}, {.dynamic = false}));
  all.push_back(module("PositionalEncoding", nn::PositionalEncoding(6, {.batch_first = true}),
                       {x({4, 5, 6})}));
}

void add_recurrent(std::vector<Case>& all) {
  const Also second{.batch_axes = {1}};
  all.push_back(module("RNN", nn::RNN(3, 5), {x({6, 4, 3})}, second));
  all.push_back(module(
      "RNN relu",
      nn::RNN(3, 5, {.nonlinearity = nn::RNNOptions::Nonlinearity::relu, .batch_first = true}),
      {x({4, 6, 3})}));
  all.push_back(
      module("LSTM", nn::LSTM(3, 5, {.num_layers = 2, .batch_first = true, .bidirectional = true}),
             {x({4, 6, 3})}));
  all.push_back(
      module("LSTM without bias", nn::LSTM(3, 5, {.bias = false}), {x({6, 4, 3})}, second));
  all.push_back(module("LSTM projected",
                       nn::LSTM(3, 5, {.batch_first = true, .bidirectional = true, .proj_size = 2}),
                       {x({4, 6, 3})}));
  all.push_back(module("LSTM unbatched", nn::LSTM(3, 5), {x({6, 3})}, {.dynamic = false}));
  all.push_back(module("GRU",
                       nn::GRU(3, 5, {.num_layers = 2, .batch_first = true, .bidirectional = true}),
                       {x({4, 6, 3})}));
  const auto lstm =
      std::make_shared<nn::LSTM>(3, 5, nn::LSTMOptions{.batch_first = true, .bidirectional = true});
  all.push_back(
      function("LSTM lengths",
               [lstm](const ag::TensorList& in) { return (*lstm)(in[0], {.lengths = in[1]}); },
               {x({4, 6, 3}), ag::tensor({6, 2, 1, 4})}));
  all.push_back(function("LSTM states",
                         [lstm](const ag::TensorList& in) {
                           return (*lstm)(in[0], nn::LSTMState{in[1], in[2]});
                         },
                         {x({4, 6, 3}), x({2, 4, 5}), x({2, 4, 5})}, {.batch_axes = {0, 1, 1}}));
  const nn::RNNCell rnn(3, 5);
  const nn::LSTMCell cell(3, 5);
  const nn::GRUCell gru(3, 5);
  all.push_back(function("RNNCell", [rnn](const ag::TensorList& in) { return rnn(in[0], in[1]); },
                         {x({4, 3}), x({4, 5})}));
  all.push_back(function("LSTMCell",
                         [cell](const ag::TensorList& in) {
                           return cell(in[0], {in[1], in[2]});
                         },
                         {x({4, 3}), x({4, 5}), x({4, 5})}));
  all.push_back(function("GRUCell", [gru](const ag::TensorList& in) { return gru(in[0], in[1]); },
                         {x({4, 3}), x({4, 5})}));
}

void add_transformers(std::vector<Case>& all) {
  const auto mha = std::make_shared<nn::MultiheadAttention>(
      6, 2, nn::MultiheadAttentionOptions{.batch_first = true});
  mha->eval();
  const auto qkv = ag::TensorList{x({4, 5, 6}), x({4, 3, 6}), x({4, 3, 6})};
  all.push_back(function(
      "MultiheadAttention",
      [mha](const ag::TensorList& in) {
        return (*mha)(in[0], in[1], in[2], {.need_weights = false});
      },
      qkv));
  all.push_back(function(
      "MultiheadAttention weights",
      [mha](const ag::TensorList& in) { return (*mha)(in[0], in[1], in[2]); }, qkv));
  all.push_back(function(
      "MultiheadAttention padding",
      [mha](const ag::TensorList& in) {
        return (*mha)(in[0], in[1], in[2], {.key_padding_mask = in[3], .need_weights = false});
      },
      {qkv[0], qkv[1], qkv[2],
       ag::reshape(ag::tensor({0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0}).to(ag::boolean), {4, 3})}));
  all.push_back(function("MultiheadAttention causal",
                         [mha](const ag::TensorList& in) {
                           return (*mha)(in[0], in[0], in[0],
                                         {.need_weights = false, .is_causal = true});
                         },
                         {qkv[0]}));
  const auto sequence = std::make_shared<nn::MultiheadAttention>(
      6, 3,
      nn::MultiheadAttentionOptions{
          .add_bias_kv = true, .add_zero_attn = true, .kdim = 4, .vdim = 5});
  sequence->eval();
  all.push_back(function("MultiheadAttention other sizes",
                         [sequence](const ag::TensorList& in) {
                           return (*sequence)(in[0], in[1], in[2], {.need_weights = false});
                         },
                         {x({5, 4, 6}), x({3, 4, 4}), x({3, 4, 5})}, {.batch_axes = {1, 1, 1}}));
  const nn::TransformerEncoderLayer encoder(6, 2, {.dim_feedforward = 8, .batch_first = true});
  const nn::TransformerDecoderLayer decoder(6, 2, {.dim_feedforward = 8, .batch_first = true});
  all.push_back(module("TransformerEncoderLayer", encoder, {x({4, 5, 6})}));
  all.push_back(module("TransformerEncoder", nn::TransformerEncoder(encoder, 2), {x({4, 5, 6})}));
  all.push_back(module("TransformerDecoderLayer", decoder, {x({4, 5, 6}), x({4, 3, 6})}));
  all.push_back(module("TransformerDecoder", nn::TransformerDecoder(decoder, 2),
                       {x({4, 5, 6}), x({4, 3, 6})}));
  all.push_back(
      module("Transformer",
             nn::Transformer(
                 6, 2, {.num_encoder_layers = 1, .num_decoder_layers = 1, .dim_feedforward = 8}),
             {x({5, 4, 6}), x({3, 4, 6})}, {.batch_axes = {1, 1}}));
}

}  // namespace

std::vector<Case> layers() {
  ag::manual_seed(7);
  std::vector<Case> all;
  for (const auto add : {add_activations, add_linear, add_convolutions, add_pads, add_pools,
                         add_norms, add_lookups, add_recurrent, add_transformers})
    add(all);
  return all;
}

ag::TensorList with_batch(const Case& c, std::int64_t n) {
  ag::TensorList out;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const ag::Tensor& t = c.inputs[i];
    const auto axis = c.batch_axes.empty() ? std::optional<std::int64_t>(0) : c.batch_axes[i];
    if (!axis) {
      out.push_back(t);
      continue;
    }
    std::vector<std::int64_t> rows;
    for (std::int64_t k = 0; k < n; ++k) rows.push_back(k * 3 % t.size(*axis));
    ag::Tensor y = ag::index_select(t, *axis, ag::tensor(rows));
    if (ag::is_floating(t.dtype())) {
      ag::Shape along;
      along.resize(t.shape().size(), 1);
      along[static_cast<std::size_t>(*axis)] = n;
      y = y * ag::reshape(ag::linspace(0.5, 1.5, n, t.dtype()), along);
    }
    out.push_back(y);
  }
  return out;
}

}  // namespace cases
