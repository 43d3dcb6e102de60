#pragma once

#include <functional>
#include <map>
#include <span>

#include "nn/io/internal/cpp/program.hpp"
#include "nn/io/internal/cpp/text.hpp"
#include "nn/io/internal/kept_attributes.hpp"

/// Steps as statements on arrays. Internal.
namespace nn {
struct CppOptions;
}
namespace nn::cpp_out {

/// A function that statements call, written once, after those that it needs.
struct Kernel {
  std::string_view text;
  std::vector<const Kernel*> needs{};
};

/// A name that C++ takes and that no other has.
class Identifiers {
 public:
  std::string make(std::string_view wish);

 private:
  std::set<std::string, std::less<>> taken_;
};

/// Where elements are while the function runs.
struct Array {
  enum Kind { input, constant, output, memory };
  Kind kind;
  std::string name;
  ag::DType dtype;
  Sizes shape;
  std::size_t first = 0, last = 0;  // steps between which memory is needed
  std::size_t place_of = 0;         // another array whose memory it takes, or itself
  std::int64_t place = 0;
};

class Call;
struct Table;

class Writer {
 public:
  /// With names for values: of arguments, results, and constants that have one.
  Writer(const Program& program, const std::vector<std::string>& names,
         std::span<const std::string> inputs, std::span<const std::string> outputs,
         const CppOptions& options);
  /// Translates all steps, and finds places for arrays.
  void run();

  /// What inputs and outputs are called, which may be other than was wished.
  std::vector<std::string> inputs() const { return array_names(0, inputs_); }
  std::vector<std::string> outputs() const { return array_names(inputs_, outputs_.size()); }
  /// What is declared before the function.
  std::string kernels() const;
  const std::string& constants() const { return constants_; }
  std::string body() const;
  /// Elements of memory of a dtype.
  std::int64_t memory(ag::DType dtype) const { return memory_.at(dtype); }

 private:
  friend class Call;
  struct Statement {
    std::string comment, text;
  };
  std::size_t array(Array::Kind kind, std::string_view wish, ag::DType dtype, const Sizes& shape);
  std::string constant(const ag::Tensor& elements, std::string_view wish, const Sizes& shape,
                       std::string_view note);
  std::string name(const Operand& o);
  void use(const Kernel& kernel);
  void find_layouts(const Table& table);
  void copy_results();
  void find_places();

  const Program& program_;
  const std::vector<std::string>& names_;
  const CppOptions& options_;
  Identifiers identifiers_;
  std::vector<Array> arrays_;
  std::vector<std::optional<std::size_t>> array_of_;  // by value
  std::vector<bool> last_;                            // values that stand channels last
  std::vector<std::string> array_names(std::size_t first, std::size_t count) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back(arrays_[first + i].name);
    return names;
  }
  std::size_t inputs_ = 0;            // the first arrays, then the outputs
  std::vector<std::size_t> outputs_;  // arrays
  std::vector<Statement> statements_;
  std::vector<const Kernel*> kernels_;
  std::string constants_;
  std::map<std::pair<const void*, std::string>, std::string> tables_;
  std::map<ag::DType, std::int64_t> memory_;
};

/// One step while it becomes statements.
class Call {
 public:
  Call(Writer& all, const Step& step);

  const std::string& name() const { return name_; }
  const CppOptions& options() const { return all_.options_; }
  std::size_t inputs() const { return step_.in.size(); }
  Sizes shape(std::size_t i) const { return sizes_of(step_.in[i].shape); }
  /// Of the value that input i is a view of.
  Sizes stored_shape(std::size_t i) const {
    return sizes_of(all_.program_.values[step_.in[i].value].shape);
  }
  ag::DType dtype(std::size_t i) const { return all_.program_.values[step_.in[i].value].dtype; }
  /// The array of input i.
  std::string in(std::size_t i) const { return all_.name(step_.in[i]); }
  bool is_constant(std::size_t i) const { return all_.program_.is_constant(step_.in[i]); }
  ag::Tensor elements(std::size_t i) const { return all_.program_.elements(step_.in[i]); }
  /// Whether input i, or the result, stands channels last: (images, places, channels).
  bool in_last(std::size_t i) const { return all_.last_[step_.in[i].value]; }
  bool out_last() const { return all_.last_[step_.out[0]]; }
  /// Whether images and channels of input i are those of the value that it is a view of.
  bool is_whole(std::size_t i) const;
  /// The number that input i is, if it is one.
  std::optional<Text> number(std::size_t i) const;
  Text element(std::size_t i, const std::string& index) const;

  Sizes result_shape(std::size_t k = 0) const {
    return sizes_of(all_.program_.values[step_.out[k]].shape);
  }
  ag::DType result_dtype(std::size_t k = 0) const {
    return all_.program_.values[step_.out[k]].dtype;
  }
  bool wanted(std::size_t k) const { return all_.program_.wanted[step_.out[k]]; }
  /// The array of result k, or memory for nobody.
  std::string out(std::size_t k = 0) const;
  /// Result k is input i as it is.
  void same(std::size_t k, std::size_t i) const;
  /// Result k may stand where input i does, if nobody needs that any more.
  void may_replace(std::size_t k, std::size_t i) const;
  std::string scratch(ag::DType dtype, const Sizes& shape) const;
  /// Constants that are made of input i, or of nothing; `note` says how.
  std::string table(std::size_t i, const ag::Tensor& elements, std::string_view note) const;
  std::string table(const ag::Tensor& elements, std::string_view wish, std::string_view note) const;
  /// Declares sizes by that name, which is made unique.
  std::string sizes(std::string_view wish,
                    const std::vector<std::pair<std::string, std::int64_t>>& members) const;

  void line(std::string_view text) const;
  void use(const Kernel& kernel) const { all_.use(kernel); }

  bool has(std::string_view attribute) const { return attributes_.contains(attribute); }
  bool flag(std::string_view attribute) const { return get<bool>(attribute); }
  std::int64_t integer(std::string_view attribute) const { return get<std::int64_t>(attribute); }
  double real(std::string_view attribute) const { return get<double>(attribute); }
  const Sizes& list(std::string_view attribute) const { return get<Sizes>(attribute); }
  const std::vector<bool>& flags(std::string_view attribute) const {
    return get<std::vector<bool>>(attribute);
  }
  /// Runs the operation on other elements.
  ag::Tensor run(const ag::Tensor& in, const ag::Shape& out) const;
  [[noreturn]] void refuse(std::string_view why) const;

 private:
  template <class T>
  const T& get(std::string_view attribute) const {
    const auto at = attributes_.find(attribute);
    if (at == attributes_.end() || !std::holds_alternative<T>(at->second))
      refuse(std::string("an attribute ") + std::string(attribute) + " that is not as expected");
    return std::get<T>(at->second);
  }
  Writer& all_;
  const Step& step_;
  std::string name_;
  detail::KeptAttributes attributes_;
};

/// Loops over `sizes` in which each operand goes on by its strides; axes along which all of them
/// go on alike are one.
class Loops {
 public:
  Loops(const Sizes& sizes, const std::vector<Sizes>& strides);
  /// Where operand k is.
  std::string index(std::size_t k, std::int64_t start = 0) const;
  void around(const Call& call, const std::string& statement) const;

 private:
  Sizes sizes_;
  std::vector<Sizes> strides_;
};
/// Strides of a tensor that is broadcast to a shape.
Sizes broadcast(const Sizes& shape, const Sizes& to);

/// What a rule can do with tensors (images, channels, …) whose channels stand last.
struct Layout {
  bool reads = false;   // the first input, whatever the result does
  bool writes = false;  // the first result
  bool alike = false;   // its result and all inputs that are computed, or none of them
};

using Rule = std::function<void(const Call&)>;
/// By name; those of operations that lend their name to others by an attribute that only they have.
struct Table {
  std::map<std::string, Rule, std::less<>> by_name;
  std::vector<std::pair<std::string, Rule>> by_attribute;  // the first that fits counts
  std::map<std::string, std::function<Layout(const Call&)>, std::less<>> layouts{};
};

// Each family adds its rules; they stand in nn/io/internal/cpp/operations/.
void add_elementwise(Table& t);
void add_movement(Table& t);
void add_indexing(Table& t);
void add_reductions(Table& t);
void add_scans(Table& t);
void add_products(Table& t);
void add_convolution(Table& t);
void add_pooling(Table& t);
void add_norms(Table& t);
void add_recurrent(Table& t);
void add_attention(Table& t);

}  // namespace nn::cpp_out
