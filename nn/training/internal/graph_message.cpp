#include "nn/training/internal/graph_message.hpp"

#include <fmt/format.h>

#include <map>

#include "autograd/tape/grad_mode.hpp"
#include "nn/module/internal/evaluating.hpp"

namespace nn::detail {
namespace {

using Recording = ag::Recording;

// Names in which a slash opens a group, each once.
class Names {
 public:
  std::string make(std::string wish) {
    for (char& c : wish)
      if (c == '.') c = '/';
    const int n = used_[wish]++;
    return n == 0 ? wish : make(fmt::format("{}_{}", wish, n));
  }

 private:
  std::map<std::string, int> used_;
};

Message shape_of(const ag::Shape& shape) {
  Message m;
  for (const std::int64_t size : shape) m.message(2, Message().integer(1, size));
  return m;
}

struct NodeDef {
  Message message{};
  NodeDef(std::string_view name, std::string_view op) { message.bytes(1, name).bytes(2, op); }
  void attribute(std::string_view key, const Message& value) {
    message.message(5, Message().bytes(1, key).message(2, value));
  }
  void shapes(const std::vector<ag::Shape>& all) {
    Message list;
    for (const ag::Shape& s : all) list.message(7, shape_of(s));
    attribute("_output_shapes", Message().message(1, list));
  }
};

class Graph {
 public:
  Graph(const Recording& recording, const StateDict& state)
      : recording_(recording), at_(recording.values().size()) {
    for (const NamedTensor& n : state)
      if (n.tensor.numel() > 0) known_.emplace(n.tensor.raw(), n.name);
  }

  Message message() {
    const auto& values = recording_.values();
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i].source == Recording::Source::argument)
        leaf(i, fmt::format("input_{}", i), "IO Node");
    for (const Recording::Step& s : recording_.steps()) step(s);
    for (std::size_t k = 0; k < recording_.results().size(); ++k) {
      NodeDef node(names_.make(fmt::format("output_{}", k)), "IO Node");
      node.message.bytes(3, operand(recording_.results()[k]));
      add(node);
    }
    return graph_.message(4,
                          Message().integer(1, 22));  // the version of a producer that reads this
  }

 private:
  void add(const NodeDef& node) { graph_.message(1, node.message); }
  void leaf(std::size_t value, const std::string& wish, const char* op) {
    at_[value] = names_.make(wish);
    NodeDef node(at_[value], op);
    node.shapes({recording_.values()[value].shape});
    add(node);
  }
  const std::string& operand(const Recording::Operand& o) {
    const Recording::Value& v = recording_.values()[o.value];
    if (at_[o.value].empty() && v.source == Recording::Source::captured) {
      const auto name = known_.find(v.elements.raw());
      name == known_.end() ? leaf(o.value, "tensor", "Const")
                           : leaf(o.value, name->second, "Parameter");
    } else if (at_[o.value].empty()) {
      leaf(o.value, "constant", "Const");
    }
    return at_[o.value];
  }
  // "fc1." for an operation that uses "fc1.weight".
  std::string layer_of(const Recording::Step& s) const {
    for (const Recording::Operand& o : s.in) {
      if (o.value == Recording::kNone) continue;
      const Recording::Value& v = recording_.values()[o.value];
      if (v.source != Recording::Source::captured || v.elements.numel() == 0) continue;
      const auto name = known_.find(v.elements.raw());
      if (name == known_.end()) continue;
      return name->second.substr(0, name->second.rfind('.') + 1);
    }
    return "";
  }
  void step(const Recording::Step& s) {
    std::vector<std::string> inputs;
    for (const Recording::Operand& o : s.in)
      if (o.value != Recording::kNone) inputs.push_back(operand(o));
    const std::string op(s.operation->name()), name = names_.make(layer_of(s) + op);
    NodeDef node(name, op);
    for (const std::string& i : inputs) node.message.bytes(3, i);
    std::vector<ag::Shape> shapes;
    for (std::size_t k = 0; k < s.out.size(); ++k) {
      shapes.push_back(recording_.values()[s.out[k]].shape);
      at_[s.out[k]] = k == 0 ? name : fmt::format("{}:{}", name, k);
    }
    node.shapes(shapes);
    const std::string call =
        ag::attributes_text([&](ag::AttributeVisitor& v) { s.operation->visit_attributes(v); });
    if (!call.empty()) node.attribute("attributes", Message().bytes(2, call));
    add(node);
  }

  const Recording& recording_;
  std::vector<std::string> at_;  // by value
  std::map<const void*, std::string> known_;
  Names names_;
  Message graph_;
};

}  // namespace

Message graph_message(const ExportedModel& model, const ag::TensorList& examples) {
  const ag::NoGrad off;
  const Evaluating evaluating(model.module);
  const Recording recording(model.forward, examples);
  return Graph(recording, model.state).message();
}

}  // namespace nn::detail
