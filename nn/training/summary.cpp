#include "nn/training/summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <utility>

#include "autograd/core/trace.hpp"
#include "nn/layers/attention.hpp"
#include "nn/module/internal/evaluating.hpp"

namespace nn {
namespace {

constexpr int kLayer = 42, kShape = 26, kNumber = 14;

// 1234567 as 1,234,567.
std::string grouped(std::int64_t n) {
  std::string text = std::to_string(n);
  for (std::int64_t at = static_cast<std::int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.2f}", static_cast<double>(bytes) / 1e6);
}

std::int64_t bytes_of(const ag::Tensor& t) {
  return t.numel() * static_cast<std::int64_t>(ag::size_of(t.dtype()));
}

std::string shapes_text(const std::vector<ag::Shape>& shapes) {
  std::vector<std::string> texts;
  for (const ag::Shape& s : shapes) texts.push_back(fmt::format("[{}]", fmt::join(s, ", ")));
  return fmt::format("{}", fmt::join(texts, ", "));
}

// What hangs at the module itself, not at its children.
std::vector<NamedTensor> own_parameters(Module& module) {
  std::vector<NamedTensor> own = module.named_parameters();
  for (const NamedModule& child : module.children())
    std::erase_if(own, [&](const NamedTensor& p) { return p.name.starts_with(child.name + '.'); });
  return own;
}

std::int64_t rows_of(const ag::Tensor& x) { return x.numel() == 0 ? 0 : x.numel() / x.size(-1); }

// The projections of what goes in, and the two products of each query with each key. The last
// projection is a layer of its own.
std::int64_t multiplications(const MultiheadAttention& layer, const ag::TensorList& in) {
  const ag::Tensor &query = in[0], &key = in[1], &value = in[2];
  const std::int64_t batch = query.ndim() < 3 ? 1 : query.size(layer.batch_first() ? 0 : 1);
  if (query.numel() == 0 || key.numel() == 0) return 0;
  const std::int64_t bias = layer.in_proj_bias.defined() ? 1 : 0, width = layer.embed_dim();
  std::int64_t total = 2 * rows_of(query) * (rows_of(key) / batch) * width;
  for (const ag::Tensor& x : {query, key, value}) total += rows_of(x) * width * (x.size(-1) + bias);
  return total;
}

// A vector is multiplied with each element of the result, but for the gates' of recurrent layers;
// those, and a matrix or kernel, are used as a whole at each place of the result.
std::int64_t multiplications(const std::string& type, const std::vector<NamedTensor>& own,
                             const ag::Tensor& out) {
  if (out.numel() == 0 || type.starts_with("Embedding")) return 0;
  std::int64_t total = 0;
  for (const auto& [name, p] : own) {
    const bool whole = p.ndim() >= 2 || name.starts_with("bias_");
    if (!whole || out.ndim() == 0) {
      total += out.numel();
      continue;
    }
    const bool kernel = type.starts_with("Conv") && p.ndim() > 2 && out.ndim() >= p.ndim() - 1;
    total += out.numel() / out.size(kernel ? out.ndim() - p.ndim() + 1 : -1) * p.numel();
  }
  return total;
}

std::string line(const std::string& layer, const std::string& shape, const std::string& parameters,
                 const std::string& multiplied) {
  return fmt::format("{:<{}} {:<{}} {:>{}} {:>{}}\n", layer, kLayer, shape, kShape, parameters,
                     kNumber, multiplied, kNumber);
}

std::string rule() { return std::string(kLayer + kShape + 2 * kNumber + 3, '=') + '\n'; }

std::string title(const LayerSummary& layer) {
  std::string text;
  for (std::int64_t d = 1; d < layer.depth; ++d) text += "│    ";
  if (layer.depth > 0) text += "├─";
  text += layer.type;
  if (!layer.name.empty()) text += fmt::format(" ({})", layer.name);
  if (layer.depth > 0) text += fmt::format(": {}-{}", layer.depth, layer.index);
  return text;
}

}  // namespace

struct detail::SummaryWatch::Log {
  explicit Log(Module& watched) : model(watched) {}

  Module& model;
  std::optional<Evaluating> evaluating{};
  std::vector<HookHandle> hooks{};
  Summary summary{};
  std::vector<std::size_t> open{};               // places of the calls under way
  std::map<std::int64_t, std::int64_t> calls{};  // by depth
  std::set<const Module*> seen{};

  void enter(const std::string& name, Module& module) {
    const auto depth = static_cast<std::int64_t>(open.size());
    open.push_back(summary.layers.size());
    summary.layers.push_back({.name = name.substr(name.rfind('.') + 1),
                              .type = module.type_name(),
                              .depth = depth,
                              .index = ++calls[depth],
                              .leaf = module.children().empty(),
                              .again = !seen.insert(&module).second});
  }
  void leave(Module& module, const ag::TensorList& inputs, const ag::TensorList& outputs) {
    LayerSummary& layer = summary.layers[open.back()];
    open.pop_back();
    const std::vector<NamedTensor> own = own_parameters(module);
    for (const auto& [name, p] : own) layer.parameters += p.numel();
    std::int64_t bytes = 0;
    for (const ag::Tensor& out : outputs) {
      if (!out.defined()) continue;
      if (layer.outputs.empty()) {
        const auto* attention = dynamic_cast<const MultiheadAttention*>(&module);
        layer.multiplications =
            attention ? multiplications(*attention, inputs) : multiplications(layer.type, own, out);
      }
      layer.outputs.push_back(out.shape());
      bytes += bytes_of(out);
    }
    summary.total_mult_adds += layer.multiplications;
    if (layer.leaf || !own.empty()) summary.pass_bytes += 2 * bytes;
  }
};

detail::SummaryWatch::SummaryWatch(Module& model) : log_(std::make_shared<Log>(model)) {
  ag::detail::refuse_in_trace("summary()", "call it outside");
  for (const auto& [name, module] : model.named_modules()) {
    Module* const watched = &module;
    log_->hooks.push_back(module.register_forward_pre_hook(
        [log = log_.get(), name = name, watched](const Module&, ag::TensorList&) {
          log->enter(name, *watched);
        }));
    log_->hooks.push_back(module.register_forward_hook(
        [log = log_.get(), watched](const Module&, const ag::TensorList& inputs,
                                    const ag::TensorList& outputs) {
          log->leave(*watched, inputs, outputs);
        }));
  }
  log_->evaluating.emplace(&model);
}

detail::SummaryWatch::~SummaryWatch() {
  for (HookHandle& hook : log_->hooks) hook.remove();
}

Summary detail::SummaryWatch::finish(const ag::TensorList& inputs) {
  Summary summary = std::move(log_->summary);
  summary.total_params = log_->model.num_parameters();
  summary.trainable_params = log_->model.num_parameters(true);
  for (const ag::Tensor& p : log_->model.parameters()) summary.param_bytes += bytes_of(p);
  for (const ag::Tensor& in : inputs) summary.input_bytes += bytes_of(in);
  return summary;
}

std::string Summary::str() const {
  std::string text = rule() +
                     line("Layer (type (name):depth-idx)", "Output Shape", "Param #", "Mult-Adds") +
                     rule();
  for (const LayerSummary& layer : layers) {
    const auto number = [](std::int64_t n) { return n > 0 ? grouped(n) : std::string("--"); };
    text +=
        line(title(layer), shapes_text(layer.outputs),
             layer.again ? "(recursive)" : number(layer.parameters), number(layer.multiplications));
  }
  const std::int64_t total = input_bytes + pass_bytes + param_bytes;
  return text + rule() +
         fmt::format(
             "Total params: {}\nTrainable params: {}\nNon-trainable params: {}\nTotal mult-adds: "
             "{}\n{}Input size (MB): {}\nForward/backward pass size (MB): {}\nParams size (MB): "
             "{}\nEstimated Total Size (MB): {}\n{}",
             grouped(total_params), grouped(trainable_params),
             grouped(total_params - trainable_params), grouped(total_mult_adds), rule(),
             megabytes(input_bytes), megabytes(pass_bytes), megabytes(param_bytes),
             megabytes(total), rule());
}

std::ostream& operator<<(std::ostream& os, const Summary& summary) { return os << summary.str(); }

}  // namespace nn
