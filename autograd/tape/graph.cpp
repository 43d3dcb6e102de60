#include "autograd/tape/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "autograd/tape/frames.hpp"
#include "autograd/tape/graph_svg.hpp"
#include "autograd/tape/internal/picture.hpp"
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
std::vector<const Node*> in_order(std::string_view op, const Node* last) {
  std::vector<const Node*> order;
  std::unordered_map<const Node*, bool> seen{{last, true}};
  std::vector<std::pair<const Node*, std::size_t>> stack{{last, 0}};
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (node->released())
      fail(op,
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
  Drawing(std::string_view op, const Tensor& output,
          const std::vector<std::pair<std::string, Tensor>>& names) {
    internal::check_defined(op, output);
    if (!output.requires_grad())
      fail(op, "the tensor must be on the tape, got one that requires no gradient{}",
           internal::why_unrecorded(output));
    for (const auto& [name, t] : names) {
      if (!t.defined()) fail(op, "named tensors must be defined, got undefined '{}'", quoted(name));
      know(t);
      if (t.impl()->node)
        names_[{t.impl()->node.get(), t.impl()->index}] = name;
      else
        constant_names_[t.impl()] = name;
    }
    know(output);
    nodes_ = in_order(op, output.impl()->node.get());
    for (const Node* node : nodes_) {
      if (const Tensor t = node->saved_output(); t.defined()) values_.emplace(Key{node, 0}, t);
      for (const Edge& e : node->edges()) know(e.saved().unchecked());
    }
  }

  internal::Picture picture(const std::vector<Frames::Frame>& frames = {}) {
    for (const Node* node : nodes_) draw(*node);
    enclose(frames);
    return std::move(picture_);
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
    std::string label;
    for (std::uint32_t i = 0; i < node.outputs().size(); ++i) {
      const auto value = values_.find({&node, i});
      label += fmt::format("{}{}  {}", i > 0 ? "\n" : "", title(node, i), node.outputs()[i].shape);
      if (value != values_.end()) label += line("value", value->second);
      label += line("grad", node.kept_grad(i));
    }
    std::vector<std::size_t> from;
    for (const Edge& e : node.edges())
      from.push_back(e.node() ? ids_[e.node()] : constant(e.saved().unchecked()));
    const std::size_t id = ids_[&node] = picture_.boxes.size();
    picture_.boxes.push_back({label, node.is_leaf() ? internal::Box::leaf : internal::Box::result});
    for (std::size_t k = 0; k < from.size(); ++k)
      picture_.arrows.push_back({from[k], id, node.edges()[k].node() != nullptr});
  }

  // The box of an input that needs no gradient, which it draws at its first use.
  std::size_t constant(const Tensor& t) {
    const void* key = t.defined() ? t.impl() : nullptr;
    const auto known = key ? constants_.find(key) : constants_.end();
    if (known != constants_.end()) return known->second;
    std::string label = "constant";
    if (const auto name = constant_names_.find(key); key && name != constant_names_.end())
      label = name->second;
    if (t.defined()) label += fmt::format("  {}{}", t.shape(), line("value", t));
    picture_.boxes.push_back({label, internal::Box::constant});
    if (key) constants_[key] = picture_.boxes.size() - 1;
    return picture_.boxes.size() - 1;
  }

  // What was computed stands in the innermost frame, what it is made of in the innermost that has all
  // its uses, but outside of those that take it in.
  void enclose(const std::vector<Frames::Frame>& frames) {
    const auto within = [&](std::uint64_t first, std::uint64_t last, std::size_t before) {
      std::size_t i = before;
      while (i-- > 0)
        if (frames[i].first <= first && last <= frames[i].last) return i;
      return internal::kNoFrame;
    };
    for (std::size_t i = 0; i < frames.size(); ++i)
      picture_.frames.push_back({frames[i].title, within(frames[i].first, frames[i].last, i)});
    for (const Node* node : nodes_)
      if (!node->is_leaf())
        picture_.boxes[ids_[node]].frame =
            within(node->sequence() - 1, node->sequence(), frames.size());
    const auto parent = [&](std::size_t f) { return picture_.frames[f].parent; };
    const auto contains = [&](std::size_t f, std::size_t inner) {
      while (inner != f && inner != internal::kNoFrame) inner = parent(inner);
      return inner == f;
    };
    std::vector<bool> seen(picture_.boxes.size());
    for (const internal::Arrow& a : picture_.arrows) {
      internal::Box &box = picture_.boxes[a.from], &user = picture_.boxes[a.to];
      if (box.kind == internal::Box::result) continue;
      if (!seen[a.from]) box.frame = user.frame;
      seen[a.from] = true;
      while (!contains(box.frame, user.frame)) box.frame = parent(box.frame);
    }
    for (std::size_t f = 0; f < frames.size(); ++f)
      for (const Tensor& t : frames[f].inputs)
        if (const std::size_t b = box_of(t); b != internal::kNoFrame)
          if (internal::Box& box = picture_.boxes[b];
              box.kind != internal::Box::result && contains(f, box.frame))
            box.frame = parent(f);
  }
  std::size_t box_of(const Tensor& t) const {
    if (!t.defined()) return internal::kNoFrame;
    if (const auto at = ids_.find(t.impl()->node.get()); at != ids_.end()) return at->second;
    const auto at = constants_.find(t.impl());
    return at != constants_.end() ? at->second : internal::kNoFrame;
  }

  std::vector<const Node*> nodes_;
  std::map<Key, Tensor> values_;
  std::map<Key, std::string> names_;
  std::unordered_map<const Node*, std::size_t> ids_;
  std::unordered_map<const void*, std::size_t> constants_;
  std::unordered_map<const void*, std::string> constant_names_;
  internal::Picture picture_;
};

}  // namespace

std::string to_dot(const Tensor& output, const std::vector<std::pair<std::string, Tensor>>& names) {
  const internal::Picture picture = Drawing("to_dot", output, names).picture();
  std::string text =
      "digraph {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", "
      "fontname=\"sans-serif\", fillcolor=\"#eef3fb\"];\n";
  constexpr std::string_view fills[] = {"", ", fillcolor=\"#fdf3d8\"", ", fillcolor=white"};
  std::vector<std::string> ids;
  std::size_t constants = 0, arrow = 0;
  for (std::size_t i = 0; i < picture.boxes.size(); ++i) {
    const internal::Box& box = picture.boxes[i];
    ids.push_back(box.kind == internal::Box::constant ? fmt::format("c{}", constants++)
                                                      : fmt::format("n{}", i - constants));
    text += fmt::format("  {} [label=\"{}\"{}];\n", ids[i], escape(box.label), fills[box.kind]);
    for (; arrow < picture.arrows.size() && picture.arrows[arrow].to == i; ++arrow) {
      const std::string &from = ids[picture.arrows[arrow].from], &to = ids[i];
      text += fmt::format("  {} -> {};\n", from, to);
      if (picture.arrows[arrow].back)
        text += fmt::format("  {} -> {} [style=dashed, color=grey, constraint=false];\n", to, from);
    }
  }
  return text + "}\n";
}

std::string to_svg(const Tensor& output, const std::vector<std::pair<std::string, Tensor>>& names) {
  return to_svg(output, names, {});
}

std::string to_svg(const Tensor& output, const std::vector<std::pair<std::string, Tensor>>& names,
                   const Frames& frames) {
  for (const Frames::Frame& f : frames.all())
    if (f.last == Frames::kOpen)
      fail("to_svg", "each frame must have its end, got an open one '{}'; call end()",
           quoted(f.title));
  return internal::svg_of(Drawing("to_svg", output, names).picture(frames.all()));
}

void Frames::begin(std::string title, const TensorList& inputs) {
  frames_.push_back({std::move(title), inputs, internal::last_sequence(), kOpen});
}

void Frames::end() {
  const auto open = std::find_if(frames_.rbegin(), frames_.rend(),
                                 [](const Frame& f) { return f.last == kOpen; });
  if (open == frames_.rend()) fail("Frames", "end() must come after a begin(), got none");
  open->last = internal::last_sequence();
}

}  // namespace autograd
