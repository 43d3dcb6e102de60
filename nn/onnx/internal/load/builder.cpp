#include "nn/onnx/internal/load/builder.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "nn/onnx/internal/load/elements.hpp"
#include "nn/onnx/internal/load/scope.hpp"
#include "nn/onnx/internal/load/tensor_proto.hpp"

namespace nn::interpreter {
namespace {

using onnx::AttributeProto;
constexpr std::int64_t kNewestOpset = 28, kNewestIr = 14;
constexpr int kDeepest = 32;                 // graphs and functions in each other
constexpr std::size_t kMostSteps = 300'000;  // with the bodies of functions

using Attributes = std::map<std::string, const AttributeProto*, std::less<>>;

bool is_standard(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

std::map<std::string, std::int64_t> opsets_of(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
  std::map<std::string, std::int64_t> opsets;
  for (const auto& import : imports) {
    const std::string domain = is_standard(import.domain()) ? "" : import.domain();
    if (domain.empty() && (import.version() < 1 || import.version() > kNewestOpset))
      ag::fail("opset", "must be in [1, {}], got {}", kNewestOpset, import.version());
    opsets[domain] = import.version();
  }
  return opsets;
}

// f(text) for each field of text, or of a message, with that number, which these messages do not know.
template <class Fields, class F>
void for_unknown(const Fields& fields, int number, F&& f) {
  for (int i = 0; i < fields.field_count(); ++i)
    if (const auto& field = fields.field(i);
        field.number() == number && field.type() == field.TYPE_LENGTH_DELIMITED)
      f(field.length_delimited());
}

// What newer messages know as overload; `number` is its field.
template <class Proto>
std::string overload_of(const Proto& proto, int number) {
  if constexpr (requires { proto.overload(); }) {
    return proto.overload();
  } else {
    std::string overload;
    for_unknown(proto.unknown_fields(), number, [&](const std::string& text) { overload = text; });
    return overload;
  }
}

// Attributes of a function that have a default, likewise.
template <class Proto>
std::vector<AttributeProto> defaults_of(const Proto& proto) {
  std::vector<AttributeProto> defaults;
  if constexpr (requires { proto.attribute_proto(); }) {
    defaults.assign(proto.attribute_proto().begin(), proto.attribute_proto().end());
  } else {
    for_unknown(proto.unknown_fields(), 11, [&](const std::string& text) {
      if (!defaults.emplace_back().ParseFromString(text))
        ag::fail("function", "attributes must be whole, got one that is not");
    });
  }
  return defaults;
}

// A function with the defaults of its attributes.
struct Function {
  const onnx::FunctionProto* proto;
  std::map<std::string, std::int64_t> opsets;
  std::vector<AttributeProto> defaults;
};

class Builder {
 public:
  Builder(const onnx::ModelProto& model, const std::filesystem::path& directory,
          const Roles::Choice& choice)
      : model_(model),
        directory_(directory),
        roles_(model.graph(), choice),
        opsets_(opsets_of(model.opset_import())) {
    for (const auto& f : model.functions()) add_function(f);
  }

  Built build() {
    if (model_.ir_version() > kNewestIr)
      ag::fail("ir_version", "must be at most {}, got {}", kNewestIr, model_.ir_version());
    Frame frame;
    Scope scope{.opsets = &opsets_};
    const auto& g = model_.graph();
    Built built;
    for (const auto& input : g.input()) built.inputs.push_back(port(input));
    add_initializers(g, frame, scope, true);
    for (std::size_t i = 0; i < built.inputs.size(); ++i) {
      Port& p = built.inputs[i];
      const auto known = scope.names.find(p.name);
      p.required = known == scope.names.end();
      frame.graph.inputs.push_back(p.required ? define(scope, p.name, frame) : known->second);
    }
    add_nodes(g.node(), frame, scope);
    for (const auto& output : g.output()) {
      built.outputs.push_back(port(output));
      frame.graph.outputs.push_back(resolve(scope, output.name(), frame));
    }
    if (built.outputs.empty()) ag::fail("graph", "must have outputs, got none");
    for (const auto& [name, slot] : scope.names) frame.graph.names.emplace(name, slot);
    built.graph = finished(std::move(frame));
    built.held = std::move(held_);
    return built;
  }

 private:
  // ---------------------------------------------------------------- functions

  void add_function(const onnx::FunctionProto& proto) {
    functions_[key(proto.domain(), proto.name(), overload_of(proto, 13))] = {
        &proto, opsets_of(proto.opset_import()), defaults_of(proto)};
  }
  static std::string key(std::string_view domain, std::string_view name,
                         std::string_view overload) {
    return fmt::format("{}\n{}\n{}", is_standard(domain) ? "" : domain, name, overload);
  }

  void add_call(const onnx::NodeProto& proto, const Function& f, Frame& frame, Scope& scope) {
    const onnx::FunctionProto& body = *f.proto;
    if (proto.input_size() > body.input_size() || proto.output_size() > body.output_size())
      ag::fail(place(proto, scope),
               "inputs and outputs must be those of its function, got {} and {}",
               proto.input_size(), proto.output_size());
    Scope inner{
        .opsets = &f.opsets, .prefix = name_of(proto, scope) + '/', .depth = deeper(scope.depth)};
    Attributes attributes;
    for (const auto& a : f.defaults) attributes[a.name()] = &a;
    for (const auto& a : proto.attribute()) attributes[a.name()] = referred(a, scope);
    inner.attributes = &attributes;
    for (int i = 0; i < body.input_size(); ++i)
      inner.names[body.input(i)] = i < proto.input_size() && !proto.input(i).empty()
                                       ? resolve(scope, proto.input(i), frame)
                                       : -1;
    add_nodes(body.node(), frame, inner);
    for (int i = 0; i < proto.output_size(); ++i)
      if (!proto.output(i).empty())
        put(scope, proto.output(i), resolve(inner, body.output(i), frame));
  }

  // ---------------------------------------------------------------- names

  static int deeper(int depth) {
    if (depth >= kDeepest)
      ag::fail("graph", "graphs and functions must be at most {} deep in each other", kDeepest);
    return depth + 1;
  }
  static std::string name_of(const onnx::NodeProto& node, const Scope& scope) {
    const bool unnamed = node.name().empty() && node.output_size() > 0;
    return scope.prefix + (unnamed ? node.output(0) : node.name());
  }
  static std::string place(const onnx::NodeProto& node, const Scope& scope) {
    return fmt::format("node \"{}\" ({})", ag::quoted(name_of(node, scope)),
                       ag::quoted(node.op_type()));
  }
  static void put(Scope& scope, const std::string& name, int slot) {
    if (!scope.names.emplace(name, slot).second)
      ag::fail("graph", "each value must be made once, got \"{}\" twice", ag::quoted(name));
  }
  static int define(Scope& scope, const std::string& name, Frame& frame) {
    const int slot = frame.slot();
    put(scope, name, slot);
    return slot;
  }
  // The slot of a name, which a graph inside another one takes from around itself.
  static int resolve(Scope& scope, const std::string& name, Frame& frame) {
    if (const auto found = scope.names.find(name); found != scope.names.end()) return found->second;
    if (!frame.outer)
      ag::fail("graph", "each value must be made, got \"{}\", which is not", ag::quoted(name));
    const int outside = resolve(*frame.outer_scope, name, *frame.outer);
    const int slot = frame.slot();
    frame.captured.push_back(outside);
    frame.graph.captures.push_back(slot);
    scope.names.emplace(name, slot);
    return slot;
  }

  // ---------------------------------------------------------------- initializers

  Tensor decoded(const onnx::TensorProto& proto) const {
    try {
      return tensor_of(proto, directory_);
    } catch (const ag::Error& e) {
      ag::fail(fmt::format("tensor \"{}\"", ag::quoted(proto.name())), "{}", e.what());
    }
  }

  void add_initializers(const onnx::GraphProto& g, Frame& frame, Scope& scope, bool outermost) {
    if (g.sparse_initializer_size() > 0)
      ag::fail("graph", "tensors must be dense, got a sparse initializer");
    for (const auto& proto : g.initializer()) {
      if (proto.name().empty()) ag::fail("graph", "initializers must have names, got one without");
      const Tensor values = decoded(proto);
      const int slot = define(scope, proto.name(), frame);
      if (outermost)
        hold(proto.name(), values, slot, frame);
      else
        frame.graph.constants.emplace_back(slot, Value(values, true));
    }
  }

  void hold(const std::string& name, const Tensor& values, int slot, Frame& frame) {
    const auto parts = roles_.parts(name, values);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Roles::Part& part = parts[i];
      const int own = i == 0 ? slot : frame.slot();
      if (i > 0)
        for (const Use& use : part.uses) instead_[use] = own;
      if (part.role == Roles::Role::constant) {
        frame.graph.constants.emplace_back(own, Value(values, true));
        continue;
      }
      frame.graph.weights.emplace_back(own, held_.size());
      held_.push_back({part.name, values, part.role == Roles::Role::parameter});
      if (part.role == Roles::Role::statistic)
        for (const Use& use : part.uses) statistics_.insert(use);
    }
  }

  // ---------------------------------------------------------------- ports

  static Port port(const onnx::ValueInfoProto& info) {
    Port p{.name = info.name()};
    if (p.name.empty()) ag::fail("graph", "inputs and outputs must have names, got one without");
    if (!info.has_type() || info.type().value_case() == onnx::TypeProto::VALUE_NOT_SET) return p;
    if (!info.type().has_tensor_type())
      ag::fail(fmt::format("value \"{}\"", ag::quoted(p.name)),
               "must be a tensor, got a sequence, an optional or a map");
    const auto& type = info.type().tensor_type();
    if (type.elem_type() != 0)
      p.dtype = dtype_of_type(fmt::format("value \"{}\"", ag::quoted(p.name)), type.elem_type());
    if (!type.has_shape()) return p;
    p.sizes.emplace();
    for (const auto& d : type.shape().dim())
      p.sizes->push_back(d.has_dim_value() ? d.dim_value() : -1);
    return p;
  }

  // ---------------------------------------------------------------- nodes

  void add_nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes, Frame& frame,
                 Scope& scope) {
    for (const onnx::NodeProto* node : in_order(nodes)) add_node(*node, frame, scope);
  }

  void add_node(const onnx::NodeProto& proto, Frame& frame, Scope& scope) {
    if (++steps_ > kMostSteps) ag::fail("graph", "there must be at most {} nodes", kMostSteps);
    const auto function =
        functions_.find(key(proto.domain(), proto.op_type(), overload_of(proto, 8)));
    if (function != functions_.end()) return add_call(proto, function->second, frame, scope);
    const Operator* op = is_standard(proto.domain()) ? find_operator(proto.op_type()) : nullptr;
    if (!op) refuse(proto, scope);
    const auto opset = scope.opsets->find("");
    if (opset == scope.opsets->end())
      ag::fail(place(proto, scope), "the opset of its domain must be imported, got none");
    Step step;
    step.name = name_of(proto, scope);
    step.op = proto.op_type();
    step.kind = op->kind;
    Node node;
    node.op = proto.op_type();
    node.name = step.name;
    node.opset = opset->second;
    add_inputs(proto, frame, scope, step, node);
    for (const std::string& output : proto.output()) node.outputs.push_back(!output.empty());
    node.arity(op->least, op->most);
    for (const auto& attribute : proto.attribute())
      add_attribute(attribute, frame, scope, step, node);
    step.run = op->bind(node);
    if (const std::string unknown = node.unknown(); !unknown.empty())
      node.refuse("attributes must be known ones, got {}", ag::quoted(unknown));
    for (const std::string& output : proto.output())
      step.outputs.push_back(output.empty() ? -1 : define(scope, output, frame));
    frame.graph.steps.push_back(std::move(step));
  }

  [[noreturn]] static void refuse(const onnx::NodeProto& proto, const Scope& scope) {
    if (!is_standard(proto.domain()))
      ag::fail(place(proto, scope),
               "operators must be of the domain ai.onnx or functions of the model, got domain {}",
               ag::quoted(proto.domain()));
    const std::string_view why = why_not(proto.op_type());
    ag::fail(place(proto, scope), "this operator is not supported{}{}", why.empty() ? "" : "; ",
             why);
  }

  void add_inputs(const onnx::NodeProto& proto, Frame& frame, Scope& scope, Step& step,
                  Node& node) {
    int n = proto.input_size();
    while (n > 0 && proto.input(n - 1).empty()) --n;
    for (int i = 0; i < n; ++i) {
      const Use use{&proto, i};
      const auto own = instead_.find(use);
      const int slot = proto.input(i).empty()  ? -1
                       : own != instead_.end() ? captured_instead(own->second, frame)
                                               : resolve(scope, proto.input(i), frame);
      step.inputs.push_back(slot);
      node.inputs.push_back(slot >= 0);
      node.statistics.push_back(statistics_.contains(use));
    }
  }
  // A tensor of its own for a node deep inside: by the way of a capture in each graph.
  static int captured_instead(int slot, Frame& frame) {
    if (!frame.outer) return slot;
    frame.captured.push_back(captured_instead(slot, *frame.outer));
    frame.graph.captures.push_back(frame.slot());
    return frame.graph.captures.back();
  }

  // ---------------------------------------------------------------- attributes

  // An attribute of a function's body may stand for one of the call.
  static const AttributeProto* referred(const AttributeProto& a, const Scope& scope) {
    if (a.ref_attr_name().empty()) return &a;
    if (!scope.attributes)
      ag::fail("attribute", "references must be inside of functions, got {}", ag::quoted(a.name()));
    const auto found = scope.attributes->find(a.ref_attr_name());
    return found == scope.attributes->end() ? nullptr : found->second;
  }

  void add_attribute(const AttributeProto& named, Frame& frame, Scope& scope, Step& step,
                     Node& node) {
    const AttributeProto* a = referred(named, scope);
    if (!a) return;  // the call leaves it out
    if (node.attributes.contains(named.name()))
      node.refuse("attributes must be there once, got {} twice", ag::quoted(named.name()));
    node.attributes.emplace(named.name(), a->has_g()
                                              ? Attribute(subgraph(a->g(), frame, scope, step))
                                              : value_of(*a, node));
  }

  // Bodies of functions come again and again.
  Tensor constant_of(const onnx::TensorProto& proto) {
    Tensor& known = constants_[&proto];
    if (!known.defined()) known = tensor_of(proto, directory_);
    return known;
  }

  Attribute value_of(const AttributeProto& a, const Node& node) {
    switch (a.type()) {
      case AttributeProto::INT:
        return a.i();
      case AttributeProto::FLOAT:
        return static_cast<double>(a.f());
      case AttributeProto::STRING:
        return a.s();
      case AttributeProto::INTS:
        return Integers(a.ints().begin(), a.ints().end());
      case AttributeProto::FLOATS:
        return std::vector<double>(a.floats().begin(), a.floats().end());
      case AttributeProto::STRINGS:
        return std::vector<std::string>(a.strings().begin(), a.strings().end());
      case AttributeProto::TENSOR:
        return constant_of(a.t());
      case AttributeProto::TYPE_PROTO:
        return std::string();
      default:
        node.refuse(
            "attribute {} must be a number, a text, a tensor, a graph, or a list of numbers or "
            "texts",
            ag::quoted(a.name()));
    }
  }

  Subgraph subgraph(const onnx::GraphProto& g, Frame& outer, Scope& outer_scope, Step& step) {
    Frame frame{.outer = &outer, .outer_scope = &outer_scope};
    Scope scope{.attributes = outer_scope.attributes,
                .opsets = outer_scope.opsets,
                .prefix = step.name + '/',
                .depth = deeper(outer_scope.depth)};
    add_initializers(g, frame, scope, false);
    for (const auto& input : g.input())
      frame.graph.inputs.push_back(define(scope, input.name(), frame));
    add_nodes(g.node(), frame, scope);
    for (const auto& output : g.output())
      frame.graph.outputs.push_back(resolve(scope, output.name(), frame));
    const Subgraph result{nullptr, step.inputs.size()};
    step.inputs.insert(step.inputs.end(), frame.captured.begin(), frame.captured.end());
    return {finished(std::move(frame)), result.first_capture};
  }

  // With what each step is the last to read.
  static std::shared_ptr<const Graph> finished(Frame frame) {
    Graph& g = frame.graph;
    std::vector<int> last(static_cast<std::size_t>(g.slots), -1);
    for (std::size_t i = 0; i < g.steps.size(); ++i)
      for (const auto* slots : {&g.steps[i].inputs, &g.steps[i].outputs})
        for (const int slot : *slots)
          if (slot >= 0) last[static_cast<std::size_t>(slot)] = static_cast<int>(i);
    for (std::size_t slot = 0; slot < last.size(); ++slot)
      if (last[slot] >= 0)
        g.steps[static_cast<std::size_t>(last[slot])].dies.push_back(static_cast<int>(slot));
    return std::make_shared<const Graph>(std::move(g));
  }

  const onnx::ModelProto& model_;
  const std::filesystem::path& directory_;
  Roles roles_;
  std::map<std::string, std::int64_t> opsets_;
  std::unordered_map<std::string, Function> functions_;
  std::vector<Held> held_;
  std::map<Use, int> instead_;
  std::set<Use> statistics_;
  std::unordered_map<const onnx::TensorProto*, Tensor> constants_;
  std::size_t steps_ = 0;
};

}  // namespace

Built build(const onnx::ModelProto& model, const std::filesystem::path& directory,
            const Roles::Choice& choice) {
  return Builder(model, directory, choice).build();
}

}  // namespace nn::interpreter
