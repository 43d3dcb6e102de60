#include "autograd/tape/graph.hpp"

#include <fmt/format.h>

#include <map>
#include <unordered_map>

#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

constexpr std::int64_t kSmall = 8;  // elements of a tensor whose values are shown

std::string escape(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string line(std::string_view what, const Tensor& t) {
  if (!t.defined() || t.numel() > kSmall) return "";
  return fmt::format("\n{} {}", what, to_string(t, is_floating(t.dtype()) ? ".4g" : ""));
}

// The nodes that lead to `last`, inputs before what uses them.
std::vector<const Node*> in_order(const Node* last) {
  std::vector<const Node*> order;
  std::unordered_map<const Node*, bool> seen{{last, true}};
  std::vector<std::pair<const Node*, std::size_t>> stack{{last, 0}};
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (node->released())
      fail("to_dot",
           "the graph must be whole, but a walk released it (at '{}'); call it before backward(), "
           "or pass "
           "{{.retain_graph = true}} there",
           quoted(node->name()));
    if (next == node->edges().size()) {
      order.push_back(node);
      stack.pop_back();
    } else if (const Node* input = node->edges()[next++].node();
               input && seen.emplace(input, true).second) {
      stack.emplace_back(input, 0);
    }
  }
  return order;
}

class Drawing {
 public:
  Drawing(const Tensor& output, const std::vector<std::pair<std::string, Tensor>>& names) {
    for (const auto& [name, t] : names) {
      if (!t.defined())
        fail("to_dot", "named tensors must be defined, got undefined '{}'", quoted(name));
      know(t);
      if (t.impl()->node)
        names_[{t.impl()->node.get(), t.impl()->index}] = name;
      else
        constant_names_[t.impl()] = name;
    }
    know(output);
    nodes_ = in_order(output.impl()->node.get());
    for (const Node* node : nodes_) {
      if (const Tensor t = node->saved_output(); t.defined()) values_.emplace(Key{node, 0}, t);
      for (const Edge& e : node->edges()) know(e.saved().unchecked());
    }
  }

  std::string text() {
    text_ =
        "digraph {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", "
        "fontname=\"sans-serif\", fillcolor=\"#eef3fb\"];\n";
    for (const Node* node : nodes_) draw(*node);
    return text_ + "}\n";
  }

 private:
  using Key = std::pair<const Node*, std::uint32_t>;  // one output of a node

  void know(const Tensor& t) {
    if (t.defined() && t.impl()->node)
      values_.emplace(Key{t.impl()->node.get(), t.impl()->index}, t);
  }

  std::string title(const Node& node, std::uint32_t output) const {
    const auto known = names_.find({&node, output});
    const std::string name = known != names_.end() ? known->second : "";
    if (node.is_leaf()) return name.empty() ? "leaf" : name;
    return fmt::format("{}{}{}", name, name.empty() ? "" : " = ", call_text(node));
  }

  void draw(const Node& node) {
    const std::size_t id = ids_.size();
    ids_[&node] = id;
    std::string label;
    for (std::uint32_t i = 0; i < node.outputs().size(); ++i) {
      const auto value = values_.find({&node, i});
      label += fmt::format("{}{}  {}", i > 0 ? "\n" : "", title(node, i), node.outputs()[i].shape);
      if (value != values_.end()) label += line("value", value->second);
      label += line("grad", node.kept_grad(i));
    }
    text_ += fmt::format("  n{} [label=\"{}\"{}];\n", id, escape(label),
                         node.is_leaf() ? ", fillcolor=\"#fdf3d8\"" : "");
    for (const Edge& e : node.edges()) {
      const Node* input = e.node();
      if (!input) {
        text_ += fmt::format("  {} -> n{};\n", constant(e.saved().unchecked()), id);
        continue;
      }
      text_ += fmt::format("  n{} -> n{};\n", ids_[input], id);
      text_ += fmt::format("  n{} -> n{} [style=dashed, color=grey, constraint=false];\n", id,
                           ids_[input]);
    }
  }

  // The name of the box of an input that needs no gradient, which it draws at its first use.
  std::string constant(const Tensor& t) {
    const void* key = t.defined() ? t.impl() : nullptr;
    const auto known = key ? constants_.find(key) : constants_.end();
    if (known != constants_.end()) return known->second;
    const std::string id = fmt::format("c{}", constant_count_++);
    if (key) constants_[key] = id;
    std::string label = "constant";
    if (const auto name = constant_names_.find(key); key && name != constant_names_.end())
      label = name->second;
    if (t.defined()) label += fmt::format("  {}{}", t.shape(), line("value", t));
    text_ += fmt::format("  {} [label=\"{}\", fillcolor=white];\n", id, escape(label));
    return id;
  }

  std::vector<const Node*> nodes_;
  std::map<Key, Tensor> values_;
  std::map<Key, std::string> names_;
  std::unordered_map<const Node*, std::size_t> ids_;
  std::unordered_map<const void*, std::string> constants_, constant_names_;
  std::size_t constant_count_ = 0;
  std::string text_;
};

}  // namespace

std::string to_dot(const Tensor& output, const std::vector<std::pair<std::string, Tensor>>& names) {
  internal::check_defined("to_dot", output);
  if (!output.requires_grad())
    fail("to_dot", "the tensor must be on the tape, got one that requires no gradient{}",
         internal::why_unrecorded(output));
  return Drawing(output, names).text();
}

}  // namespace autograd
