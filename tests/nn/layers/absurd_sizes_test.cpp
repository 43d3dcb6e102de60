// Sizes that nobody means are refused in words, whatever is computed of them first.
#include <cstdint>
#include <limits>

#include "nn/data/word2vec.hpp"
#include "nn/layers/recurrent_cell.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/sanitizers.hpp"

namespace {

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max(), kLarge = kHuge / 4;

}  // namespace

TEST_CASE("layers of absurd sizes are refused") {
  for (const std::int64_t n : {kHuge, kLarge, kLarge / 1024}) {
    INFO(n);
    CHECK_THROWS_AS(nn::Linear(n, 2), nn::ag::Error);
    CHECK_THROWS_AS(nn::Linear(2, n), nn::ag::Error);
    CHECK_THROWS_AS(nn::Bilinear(n, n, 2), nn::ag::Error);
    CHECK_THROWS_AS(nn::Conv2d(n, 1, 3), nn::ag::Error);
    CHECK_THROWS_AS(nn::Conv1d(1, 1, n), nn::ag::Error);
    CHECK_THROWS_AS(nn::Conv3d(1, 2, {n, n, n}), nn::ag::Error);
    CHECK_THROWS_AS(nn::ConvTranspose2d(1, n, 3), nn::ag::Error);
    CHECK_THROWS_AS(nn::Embedding(n, 3), nn::ag::Error);
    CHECK_THROWS_AS(nn::EmbeddingBag(3, n), nn::ag::Error);
    CHECK_THROWS_AS(nn::LayerNorm({n, 2}), nn::ag::Error);
    CHECK_THROWS_AS(nn::RMSNorm({n, 2}), nn::ag::Error);
    CHECK_THROWS_AS(nn::GroupNorm(1, n), nn::ag::Error);
    CHECK_THROWS_AS(nn::BatchNorm2d{n}, nn::ag::Error);
    CHECK_THROWS_AS(nn::InstanceNorm1d(n, {.affine = true}), nn::ag::Error);
    CHECK_THROWS_AS(nn::PReLU(n), nn::ag::Error);
    CHECK_THROWS_AS(nn::RNN(2, n), nn::ag::Error);
    CHECK_THROWS_AS(nn::LSTM(n, 2), nn::ag::Error);
    CHECK_THROWS_AS(nn::LSTM(2, n, {.proj_size = n - 1}), nn::ag::Error);
    CHECK_THROWS_AS(nn::GRU(2, 2, {.num_layers = n}), nn::ag::Error);
    CHECK_THROWS_AS(nn::LSTMCell(2, n), nn::ag::Error);
    CHECK_THROWS_AS(nn::GRUCell(n, 2), nn::ag::Error);
    CHECK_THROWS_AS(nn::MultiheadAttention(n, 1), nn::ag::Error);
    CHECK_THROWS_AS(nn::MultiheadAttention(4, 2, {.kdim = n}), nn::ag::Error);
    CHECK_THROWS_AS(nn::PositionalEncoding{n}, nn::ag::Error);
    CHECK_THROWS_AS(nn::PixelShuffle{n}, nn::ag::Error);
    CHECK_THROWS_AS(nn::PixelUnshuffle{n}, nn::ag::Error);
    CHECK_THROWS_AS(nn::TransformerEncoderLayer(4, 2, {.dim_feedforward = n}), nn::ag::Error);
    CHECK_THROWS_AS(
        nn::TransformerEncoder(nn::TransformerEncoderLayer(4, 2, {.dim_feedforward = 1}), n),
        nn::ag::Error);
    CHECK_THROWS_AS(nn::Transformer(n, 1), nn::ag::Error);
  }
}

TEST_CASE("layers whose options are absurd refuse their inputs") {
  const nn::ag::Tensor x = nn::ag::ones({1, 2, 4, 4});
  for (const std::int64_t n : {kHuge, kLarge}) {
    INFO(n);
    CHECK_THROWS_AS((void)nn::MaxPool2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::MaxPool2d(2, {.dilation = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::MaxPool2d(2, {.padding = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::AvgPool2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::AdaptiveAvgPool2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::AdaptiveMaxPool2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::LPPool2d(2, n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::MaxUnpool2d(2, {.stride = n})(x, nn::ag::zeros_like(x)),
                    nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Unfold(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Unfold(2, {.padding = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Fold(n, 1)(nn::ag::ones({1, 2, 4})), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Upsample({.size = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Upsample({.scale_factor = 1e300})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::ZeroPad2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::ReflectionPad2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::ReplicationPad2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::CircularPad2d(n)(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Conv2d(2, 2, 1, {.padding = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Conv2d(2, 2, 1, {.stride = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::Conv2d(2, 2, 2, {.dilation = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::ConvTranspose2d(2, 2, 1, {.stride = n})(x), nn::ag::Error);
    CHECK_THROWS_AS((void)nn::ChannelShuffle(n)(x), nn::ag::Error);
  }
}

// AddressSanitizer ends the program where operator new finds no memory.
#if !XGRAD_UNDER_ASAN
TEST_CASE("vectors of words that cannot fit in memory are refused") {
  std::vector<std::vector<std::string>> sentences(1);
  for (int i = 0; i < 100'000; ++i) sentences[0].push_back(std::to_string(i));
  CHECK_THROWS_WITH(nn::data::train_word2vec(sentences, {.dim = 1'000'000, .min_count = 1}),
                    Catch::Matchers::Equals("train_word2vec: the vectors must fit in memory, got "
                                            "100000 words of 1000000 numbers; lower dim"));
}
#endif
