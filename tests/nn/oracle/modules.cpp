#include <sstream>

#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/nn/oracle/oracle.hpp"

using namespace oracle;

std::size_t oracle::load_state(nn::Module& module, const Question& q,
                               std::optional<std::size_t> at) {
  module.to(q.dtype);
  nn::StateDict state;
  const auto found = file().metadata.find(q.name);
  std::istringstream names(found == file().metadata.end() ? "" : found->second);
  for (std::string name; names >> name;) state.push_back({name, {}});
  const std::size_t first = at.value_or(q.inputs.size() - state.size());
  for (std::size_t i = 0; i < state.size(); ++i) state[i].tensor = q.inputs[first + i].detach();
  module.load_state_dict(state);
  const nn::StateDict own = module.state_dict();
  for (std::size_t i = 0; i < own.size(); ++i) CHECK(own[i].name == state[i].name);
  return state.size();
}

Call oracle::layer(const nn::AnyModule& model, bool train) {
  return [=](const Question& q) {
    nn::AnyModule mine = model;
    nn::Module& module = mine.module();
    module.train(train);
    load_state(module, q, 1);
    TensorList leaves{q.inputs[0]}, outputs{mine(q.inputs[0])};
    for (const ag::Tensor& p : module.parameters()) leaves.push_back(p);
    for (const ag::Tensor& b : module.buffers()) outputs.push_back(b);
    return Answer{outputs, leaves};
  };
}

namespace oracle {

void add_modules(std::vector<Row>& rows) {
  using Approximate = nn::GELU::Approximate;
  const nn::LayerNormOptions weight_only{.eps = 0.1, .bias = false};
  const std::vector<Row> table{
      {"Linear", layer(nn::Linear(4, 3))},
      {"Linear without bias", layer(nn::Linear(4, 3, false))},
      {"Identity", layer(nn::Identity())},
      {"LayerNorm", layer(nn::LayerNorm(5))},
      {"LayerNorm two axes", layer(nn::LayerNorm({3, 5}))},
      {"LayerNorm eps=0.1 without bias", layer(nn::LayerNorm(5, weight_only))},
      {"LayerNorm without affine", layer(nn::LayerNorm(5, {.elementwise_affine = false}))},
      {"ReLU", layer(nn::ReLU())},
      {"Tanh", layer(nn::Tanh())},
      {"Sigmoid", layer(nn::Sigmoid())},
      {"SiLU", layer(nn::SiLU())},
      {"GELU", layer(nn::GELU())},
      {"GELU approximate=tanh", layer(nn::GELU(Approximate::tanh))},
      {"Softplus", layer(nn::Softplus())},
      {"Softplus beta=2 threshold=3", layer(nn::Softplus(2, 3))},
      {"LeakyReLU", layer(nn::LeakyReLU())},
      {"LeakyReLU negative_slope=0.2", layer(nn::LeakyReLU(0.2))},
      {"ELU", layer(nn::ELU())},
      {"ELU alpha=1.5", layer(nn::ELU(1.5))},
      {"ReLU6", layer(nn::ReLU6())},
      {"PReLU", layer(nn::PReLU())},
      {"PReLU num_parameters=3", layer(nn::PReLU(3))},
      {"SELU", layer(nn::SELU())},
      {"CELU alpha=1.5", layer(nn::CELU(1.5))},
      {"Mish", layer(nn::Mish())},
      {"Hardsigmoid", layer(nn::Hardsigmoid())},
      {"Hardswish", layer(nn::Hardswish())},
      {"Hardtanh", layer(nn::Hardtanh())},
      {"Hardtanh min_val=-2 max_val=0.5", layer(nn::Hardtanh(-2, 0.5))},
      {"Softsign", layer(nn::Softsign())},
      {"Softshrink", layer(nn::Softshrink())},
      {"Softshrink lambd=0.7", layer(nn::Softshrink(0.7))},
      {"Hardshrink", layer(nn::Hardshrink())},
      {"Tanhshrink", layer(nn::Tanhshrink())},
      {"LogSigmoid", layer(nn::LogSigmoid())},
      {"Threshold", layer(nn::Threshold(0.5, -1))},
      {"GLU", layer(nn::GLU())},
      {"GLU axis=0", layer(nn::GLU(0))},
      {"Softmax axis=0", layer(nn::Softmax(0))},
      {"LogSoftmax", layer(nn::LogSoftmax())},
      {"Dropout evaluation", layer(nn::Dropout(0.5))},
      {"Dropout p=0 training", layer(nn::Dropout(0), true)},
      {"Flatten", layer(nn::Flatten())},
      {"Flatten start=0 end=1", layer(nn::Flatten(0, 1))},
      {"Conv1d", layer(nn::Conv1d(2, 3, 3))},
      {"Conv1d replicate",
       layer(nn::Conv1d(2, 3, 3, {.padding = 2, .padding_mode = nn::PaddingMode::replicate}))},
      {"Conv2d", layer(nn::Conv2d(2, 3, 3))},
      {"Conv2d stride=2 padding=1,2 groups=2 without bias",
       layer(
           nn::Conv2d(4, 6, {3, 2}, {.stride = 2, .padding = {1, 2}, .groups = 2, .bias = false}))},
      {"Conv2d same reflect dilation=2",
       layer(nn::Conv2d(
           2, 2, {3, 2},
           {.padding = "same", .dilation = 2, .padding_mode = nn::PaddingMode::reflect}))},
      {"Conv2d circular",
       layer(nn::Conv2d(1, 2, 3, {.padding = {2, 1}, .padding_mode = nn::PaddingMode::circular}))},
      {"Conv3d", layer(nn::Conv3d(1, 2, {2, 1, 3}, {.padding = 1}))},
      {"ConvTranspose1d", layer(nn::ConvTranspose1d(2, 3, 3, {.stride = 2, .output_padding = 1}))},
      {"ConvTranspose2d",
       layer(nn::ConvTranspose2d(2, 3, {3, 2},
                                 {.stride = 2, .padding = 1, .output_padding = 1, .dilation = 2}))},
      {"ConvTranspose2d groups=2 without bias",
       layer(nn::ConvTranspose2d(4, 2, 2, {.groups = 2, .bias = false}))},
      {"ConvTranspose3d", layer(nn::ConvTranspose3d(1, 2, 2, {.stride = {2, 1, 1}}))},
      {"MaxPool1d", layer(nn::MaxPool1d(3, {.stride = 2, .padding = 1}))},
      {"MaxPool2d", layer(nn::MaxPool2d(2))},
      {"MaxPool2d ceil_mode", layer(nn::MaxPool2d({3, 2}, {.ceil_mode = true}))},
      {"MaxPool3d", layer(nn::MaxPool3d(2))},
      {"AvgPool1d", layer(nn::AvgPool1d(3, {.stride = 2, .padding = 1}))},
      {"AvgPool2d",
       layer(nn::AvgPool2d(3, {.stride = 2, .padding = 1, .count_include_pad = false}))},
      {"AvgPool3d", layer(nn::AvgPool3d(2))},
      {"AdaptiveAvgPool1d", layer(nn::AdaptiveAvgPool1d(3))},
      {"AdaptiveAvgPool2d", layer(nn::AdaptiveAvgPool2d({2, 3}))},
      {"AdaptiveAvgPool3d", layer(nn::AdaptiveAvgPool3d(1))},
      {"AdaptiveMaxPool1d", layer(nn::AdaptiveMaxPool1d(3))},
      {"AdaptiveMaxPool2d", layer(nn::AdaptiveMaxPool2d({2, 3}))},
      {"AdaptiveMaxPool3d", layer(nn::AdaptiveMaxPool3d(2))},
      {"Conv2d network",
       layer(nn::Sequential(nn::Conv2d(1, 2, 3, {.padding = 1}), nn::Tanh(), nn::MaxPool2d(2),
                            nn::Conv2d(2, 3, 2, {.bias = false}), nn::AdaptiveAvgPool2d(1),
                            nn::Flatten(), nn::Linear(3, 2)))},
      {"Sequential", layer(nn::Sequential(nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)))},
      {"Sequential nested",
       layer(nn::Sequential(nn::Flatten(), nn::Sequential(nn::Linear(6, 3), ag::gelu),
                            nn::LayerNorm(3), nn::Linear(3, 2)))},
      {"MLP", layer(nn::MLP(4, {6, 5}, 3))},
      {"MLP tanh layer_norm dropout",
       layer(nn::MLP(4, {6}, 3, {.activation = nn::Tanh(), .dropout = 0.3, .layer_norm = true}))},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases modules_cases(add_modules);

}  // namespace oracle
