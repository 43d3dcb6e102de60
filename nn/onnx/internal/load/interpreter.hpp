#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "autograd/core/tensor.hpp"
#include "autograd/core/trace.hpp"

/// ONNX graphs as steps that run one after the other. Nothing here knows of protobuf: the loader
/// makes these, the operators are bound to them.
namespace nn::interpreter {

namespace ag = autograd;
using ag::Tensor;
using Integers = std::vector<std::int64_t>;

/// What goes from step to step: a tensor, a sequence, or nothing (an optional one that is absent).
struct Value {
  Value() = default;
  Value(Tensor t, bool is_fixed = false) : tensor(std::move(t)), fixed(is_fixed) {}  // NOLINT
  bool present() const { return tensor.defined() || sequence; }

  Tensor tensor{};
  std::shared_ptr<const std::vector<Value>> sequence{};
  /// It follows from shapes and from constants of the model alone. So it may be read while
  /// `compile()` records, for another shape is another recording.
  bool fixed = false;
};
using Values = std::vector<Value>;

/// How a model runs.
struct Mode {
  bool training = false;
  /// The dtype of the file's weights, and that which they have now: all else is computed in it too.
  ag::DType file_floats = ag::float32, floats = ag::float32;

  ag::DType dtype(ag::DType in_file) const { return in_file == file_floats ? floats : in_file; }
  Tensor converted(const Tensor& t) const {
    return t.defined() && dtype(t.dtype()) != t.dtype() ? t.to(floats) : t;
  }
};

/// A call of one step: its inputs, in the order of the node.
struct Call {
  Values& inputs;
  Mode mode;
  std::span<const Tensor> weights;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i].present(); }
  std::size_t size() const { return inputs.size(); }
  /// Throws unless there is a tensor.
  const Tensor& operator[](std::size_t i) const;
  const std::vector<Value>& sequence(std::size_t i) const;
  bool fixed(std::size_t i) const { return has(i) && inputs[i].fixed; }
  /// The elements of an input, in row-major order, whatever its dtype.
  Integers integers(std::size_t i) const;
  std::vector<double> numbers(std::size_t i) const;
  /// The one element of an input.
  std::int64_t integer(std::size_t i) const;
  double number(std::size_t i) const;
};
using Run = std::function<Values(const Call&)>;

/// One node, bound.
struct Step {
  std::string name, op;
  Run run;
  std::vector<int> inputs;   ///< slots; -1: absent
  std::vector<int> outputs;  ///< slots; -1: nobody wants it
  std::vector<int> dies;     ///< slots that no later step reads
  enum class Kind { pure, shape, random, graph } kind = Kind::pure;
};

/// Steps in an order in which they can run, and the slots between them.
struct Graph {
  int slots = 0;
  std::vector<Step> steps;
  std::vector<int> inputs, outputs, captures;
  std::vector<std::pair<int, Value>> constants;
  std::vector<std::pair<int, std::size_t>> weights;  ///< slot, place among the tensors of the model
  std::map<std::string, int, std::less<>> names;

  /// What of a run is of interest: `wanted` slots, in that order.
  Values run(const Values& inputs, const Values& captured, std::span<const Tensor> weights,
             const Mode& mode, const std::vector<int>& wanted) const;
};

/// A graph inside a node. What it takes from around itself stands behind the node's own inputs.
struct Subgraph {
  std::shared_ptr<const Graph> graph;
  std::size_t first_capture = 0;
  Values operator()(const Call& call, const Values& inputs) const;
};

using Attribute = std::variant<std::int64_t, double, std::string, Integers, std::vector<double>,
                               std::vector<std::string>, Tensor, Subgraph>;

/// A node while it is bound: what it says of itself. Reading an attribute marks it as known; those
/// that an operator never asks for are refused.
class Node {
 public:
  std::string op, name;
  std::int64_t opset = 0;
  std::vector<bool> inputs;      ///< whether each is given
  std::vector<bool> outputs;     ///< whether each is wanted
  std::vector<bool> statistics;  ///< whether each is a buffer of the model
  std::map<std::string, Attribute, std::less<>> attributes;

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i]; }
  bool wants(std::size_t i) const { return i < outputs.size() && outputs[i]; }
  bool has(std::string_view attribute) const { return attributes.contains(attribute); }
  std::int64_t integer(std::string_view attribute, std::optional<std::int64_t> fallback = {});
  bool flag(std::string_view attribute, bool fallback = false) {
    return integer(attribute, fallback) != 0;
  }
  double number(std::string_view attribute, std::optional<double> fallback = {});
  std::string text(std::string_view attribute, std::optional<std::string> fallback = {});
  std::optional<Integers> integers(std::string_view attribute);
  std::optional<std::vector<double>> numbers(std::string_view attribute);
  std::vector<std::string> texts(std::string_view attribute);
  Tensor tensor(std::string_view attribute);
  Subgraph graph(std::string_view attribute);
  /// An attribute that says nothing about values, or is told by shapes.
  void ignore(std::string_view attribute) { (void)find(attribute); }
  /// Throws unless the number of inputs is in these bounds.
  void arity(std::size_t least, std::size_t most) const;
  /// The attribute that nothing has asked for, or none.
  std::string unknown() const;
  std::string place() const;  ///< node "name" (Op)

  template <class... A>
  [[noreturn]] void refuse(fmt::format_string<A...> message, A&&... arguments) const {
    ag::fail(place(), "{}", fmt::format(message, std::forward<A>(arguments)...));
  }

 private:
  const Attribute* find(std::string_view attribute);
  template <class T>
  const T* get(std::string_view attribute, std::string_view kind);
  std::vector<std::string> asked_;
};

/// One operator of ONNX.
struct Operator {
  std::string_view name;
  Run (*bind)(Node&);
  std::size_t least, most;  ///< inputs
  Step::Kind kind = Step::Kind::pure;
};
inline constexpr std::size_t kAny = 1'000'000;

/// The operator of that name of the domain ai.onnx, or null.
const Operator* find_operator(std::string_view name);

/// Why an operator that onnx has is not here; empty where there is nothing to say.
std::string_view why_not(std::string_view name);

// The families of the table.
std::span<const Operator> elementwise_operators();
std::span<const Operator> logic_operators();
std::span<const Operator> reduction_operators();
std::span<const Operator> movement_operators();
std::span<const Operator> indexing_operators();
std::span<const Operator> product_operators();
std::span<const Operator> convolution_operators();
std::span<const Operator> pooling_operators();
std::span<const Operator> norm_operators();
std::span<const Operator> resize_operators();
std::span<const Operator> sampling_operators();
std::span<const Operator> recurrent_operators();
std::span<const Operator> attention_operators();
std::span<const Operator> control_operators();
std::span<const Operator> creation_operators();
std::span<const Operator> loss_operators();

}  // namespace nn::interpreter
