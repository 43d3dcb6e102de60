#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nn/onnx/internal/save/expression.hpp"
#include "nn/onnx/internal/save/traced.hpp"

/// Which nodes an operation becomes. Internal.
namespace nn::onnx_out {

/// The graph of a traced function, step by step.
class Translation;

/// One step while it becomes nodes.
class Call {
 public:
  Call(Translation& all, const Step& step);
  Graph& graph;
  const Step& step;

  std::size_t inputs() const { return step.in.size(); }
  /// Input i as a tensor of its shape.
  Name in(std::size_t i) const;
  Expr expr(std::size_t i) const { return {graph, in(i), dtype(i)}; }
  const Dims& shape(std::size_t i) const { return step.in[i].shape; }
  std::int64_t rank(std::size_t i) const { return static_cast<std::int64_t>(shape(i).size()); }
  ag::DType dtype(std::size_t i) const;
  /// The number of a constant input that has but one, or nothing.
  std::optional<double> number(std::size_t i) const;
  /// The step that makes input i, or null.
  const Step* maker(std::size_t i) const;
  /// Some other value.
  Name of(const Operand& o) const;

  const Dims& result_shape(std::size_t k = 0) const;
  ag::DType result_dtype(std::size_t k = 0) const;
  /// Whether anything uses result k.
  bool wanted(std::size_t k) const;
  void result(std::size_t k, const Name& name) const;
  void result(const Name& name) const { result(0, name); }
  void result(const Expr& e) const { result(0, e.name); }

  bool has(std::string_view attribute) const { return step.attributes.contains(attribute); }
  bool flag(std::string_view attribute) const { return get<bool>(attribute); }
  /// An integer that does not depend on the batch size.
  std::int64_t integer(std::string_view attribute) const;
  const Dim& dim(std::string_view attribute) const { return get<Dim>(attribute); }
  const Varying<double>& real(std::string_view attribute) const {
    return get<Varying<double>>(attribute);
  }
  /// A number that does not depend on the batch size.
  double fixed(std::string_view attribute) const;
  const std::string& word(std::string_view attribute) const { return get<std::string>(attribute); }
  const Dims& list(std::string_view attribute) const { return get<Dims>(attribute); }
  std::vector<std::int64_t> integers(std::string_view attribute) const {
    return sizes(list(attribute));
  }
  ag::DType type(std::string_view attribute) const { return get<ag::DType>(attribute); }
  /// The axes that a list of flags names.
  std::vector<std::int64_t> flagged(std::string_view attribute) const;

  /// "save_onnx: <what> …": what ONNX cannot express of this operation.
  [[noreturn]] void refuse(std::string_view why) const;
  const Translation& all() const { return all_; }

 private:
  template <class T>
  const T& get(std::string_view attribute) const {
    const auto at = step.attributes.find(attribute);
    if (at == step.attributes.end() || !std::holds_alternative<T>(at->second))
      refuse(std::string("an attribute ") + std::string(attribute) + " that is not as expected");
    return std::get<T>(at->second);
  }
  Translation& all_;
};

using Rule = std::function<void(const Call&)>;

/// The rules, by name; those of operations that lend their name to others by an attribute that only
/// they have.
struct Table {
  std::map<std::string, Rule, std::less<>> by_name;
  std::vector<std::pair<std::string, Rule>> by_attribute;  // the first that fits counts
  /// Null if there is none.
  const Rule* find(const Step& step) const;
};
const Table& table();

// Each family adds its rules; they stand in nn/onnx/internal/save/operations/.
void add_elementwise(Table& t);
void add_movement(Table& t);
void add_indexing(Table& t);
void add_reductions(Table& t);
void add_scans(Table& t);
void add_products(Table& t);
void add_spatial(Table& t);
void add_norms(Table& t);
void add_losses(Table& t);
void add_recurrent(Table& t);
void add_attention(Table& t);

class Translation {
 public:
  Translation(Graph& graph, const Traced& traced);
  /// Of an argument, which is an input of the graph by now.
  void name_argument(std::size_t i, const Name& name) { names_[i] = name; }
  /// All steps that a result needs.
  void run();
  /// A value as a tensor of that shape.
  Name operand(const Operand& o);
  /// The step that makes a value, or null; the number that a constant is.
  const Step* maker(const Operand& o) const { return makers_[o.value]; }
  std::optional<double> number(const Operand& o) const;
  const Traced& traced() const { return traced_; }

 private:
  friend class Call;
  Name of_constant(const Value& v);
  Graph& graph_;
  const Traced& traced_;
  std::vector<Name> names_;
  std::vector<const Step*> makers_;
  std::vector<bool> wanted_;
  std::map<std::pair<std::size_t, std::string>, Name> views_;
};

}  // namespace nn::onnx_out
