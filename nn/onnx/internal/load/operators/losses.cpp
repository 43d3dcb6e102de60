#include "nn/losses/losses.hpp"

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

NLLLossOptions options_of(Node& node) {
  using enum ag::Reduction;
  NLLLossOptions options;
  options.reduction = choice<ag::Reduction>(
      node, "reduction", node.text("reduction", "mean"),
      {{"mean", ag::Reduction::mean}, {"sum", ag::Reduction::sum}, {"none", none}});
  options.ignore_index = node.integer("ignore_index", options.ignore_index);
  return options;
}

Tensor loss_of(const Call& call, const Tensor& log_probabilities, NLLLossOptions options) {
  if (call.has(2)) options.weight = call[2];
  return nll_loss(log_probabilities, call[1], options);
}

Run negative_log_likelihood(Node& node) {
  return [options = options_of(node)](const Call& call) {
    return one(loss_of(call, call[0], options));
  };
}
Run softmax_cross_entropy(Node& node) {
  return [options = options_of(node)](const Call& call) {
    const Tensor log_probabilities = ag::log_softmax(call[0], 1);
    return several(loss_of(call, log_probabilities, options), log_probabilities);
  };
}

constexpr Operator kOperators[] = {
    {"NegativeLogLikelihoodLoss", negative_log_likelihood, 2, 3},
    {"SoftmaxCrossEntropyLoss", softmax_cross_entropy, 2, 3},
};

}  // namespace

std::span<const Operator> loss_operators() { return kOperators; }

}  // namespace nn::interpreter
