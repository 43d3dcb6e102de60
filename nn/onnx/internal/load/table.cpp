#include <algorithm>
#include <unordered_map>

#include "nn/onnx/internal/load/interpreter.hpp"

namespace nn::interpreter {

const Operator* find_operator(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const Operator*> all;
    for (const auto family :
         {elementwise_operators(), logic_operators(), reduction_operators(), movement_operators(),
          indexing_operators(), product_operators(), convolution_operators(), pooling_operators(),
          norm_operators(), resize_operators(), sampling_operators(), recurrent_operators(),
          attention_operators(), control_operators(), creation_operators(), loss_operators()})
      for (const Operator& op : family) all.emplace(op.name, &op);
    return all;
  }();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

std::string_view why_not(std::string_view name) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv",
          "QLinearMatMul", "ConvInteger", "MatMulInteger"}))
    return "quantised models are not trained; export the model in float32";
  if (is({"StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"}))
    return "there are no tensors of strings; do that before the model";
  if (is({"BitwiseNot", "BitCast"})) return "its result depends on narrower integers than int64";
  if (is({"DFT", "STFT", "MelWeightMatrix"})) return "there are no complex numbers";
  return {};
}

}  // namespace nn::interpreter
