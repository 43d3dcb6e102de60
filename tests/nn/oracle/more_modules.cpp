#include "nn/layers/activation.hpp"
#include "nn/layers/distance.hpp"
#include "nn/layers/padding.hpp"
#include "nn/layers/rearrange.hpp"
#include "nn/module/init_patterns.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using ag::Tensor;

/// A layer of two inputs, with its parameters after them.
template <class M>
Call pair(const M& model) {
  return [=](const TensorList& in) {
    M mine = model;
    mine.to(in[0].dtype());
    TensorList leaves{in[0], in[1]};
    for (Tensor p : mine.parameters()) {
      p.copy_(in[leaves.size()].detach());
      leaves.push_back(p);
    }
    return Answer{{mine(in[0], in[1])}, leaves};
  };
}

TensorList eyes(const Question& q) {
  const Tensor wide = ag::ones({2, 3}, q.dtype), high = ag::ones({3, 2}, q.dtype);
  nn::init::eye_(wide);
  nn::init::eye_(high);
  return {wide, high};
}

TensorList diracs(const Question& q) {
  TensorList all;
  for (const auto& [shape, groups] : {std::pair{ag::Shape{2, 3, 3}, 1},
                                      {{3, 2, 2, 3}, 1},
                                      {{4, 1, 3, 2}, 2},
                                      {{1, 2, 1, 2, 3}, 1}}) {
    all.push_back(ag::ones(shape, q.dtype));
    nn::init::dirac_(all.back(), groups);
  }
  return all;
}

std::vector<Row> pads() {
  return {
      {"ZeroPad1d", layer(nn::ZeroPad1d({1, 2}))},
      {"ZeroPad2d", layer(nn::ZeroPad2d({1, -1, 2, 0}))},
      {"ZeroPad3d", layer(nn::ZeroPad3d(1))},
      {"ConstantPad1d", layer(nn::ConstantPad1d(2, 0.5))},
      {"ConstantPad2d", layer(nn::ConstantPad2d({1, 2, 0, 1}, -1.5))},
      {"ConstantPad3d", layer(nn::ConstantPad3d({0, 1, 1, 0, 2, 0}, 2))},
      {"ReflectionPad1d", layer(nn::ReflectionPad1d({2, 1}))},
      {"ReflectionPad2d", layer(nn::ReflectionPad2d(2))},
      {"ReflectionPad3d", layer(nn::ReflectionPad3d({1, 0, 0, 1, 1, 1}))},
      {"ReplicationPad1d", layer(nn::ReplicationPad1d({2, 1}))},
      {"ReplicationPad2d", layer(nn::ReplicationPad2d({1, 2, 3, 0}))},
      {"ReplicationPad3d", layer(nn::ReplicationPad3d(1))},
      {"CircularPad1d", layer(nn::CircularPad1d({2, 1}))},
      {"CircularPad2d", layer(nn::CircularPad2d({1, 2, 0, 1}))},
      {"CircularPad3d", layer(nn::CircularPad3d(1))},
  };
}

std::vector<Row> others() {
  return {
      {"Softmin", layer(nn::Softmin())},
      {"Softmin axis=0", layer(nn::Softmin(0))},
      {"Softmax2d", layer(nn::Softmax2d())},
      {"RReLU evaluation", layer(nn::RReLU(0.1, 0.4))},
      {"RReLU lower=upper training", layer(nn::RReLU(0.2, 0.2), true)},
      {"Unflatten", layer(nn::Unflatten(1, {2, 3}))},
      {"Unflatten axis=-1", layer(nn::Unflatten(-1, {2, -1}))},
      {"PixelShuffle", layer(nn::PixelShuffle(2))},
      {"PixelUnshuffle", layer(nn::PixelUnshuffle(2))},
      {"ChannelShuffle", layer(nn::ChannelShuffle(3))},
      {"Bilinear", pair(nn::Bilinear(3, 2, 4))},
      {"Bilinear without bias", pair(nn::Bilinear(3, 2, 4, false))},
      {"CosineSimilarity", pair(nn::CosineSimilarity())},
      {"CosineSimilarity axis=-1", pair(nn::CosineSimilarity(-1, 0.1))},
      {"PairwiseDistance", pair(nn::PairwiseDistance())},
      {"PairwiseDistance p=1 keepdim", pair(nn::PairwiseDistance(1, 0.1, true))},
      {"eye_", eyes},
      {"dirac_", diracs},
  };
}

}  // namespace

namespace oracle {

void add_more_modules(std::vector<Row>& rows) {
  for (const auto& table : {pads(), others()}) rows.insert(rows.end(), table.begin(), table.end());
}

const Cases more_modules_cases(add_more_modules);

}  // namespace oracle
