#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "autograd/recording.hpp"

/// A function as it is for every batch size: the same steps, recorded at some sizes, and what
/// differs between them. Internal.
namespace nn::onnx_out {

namespace ag = autograd;

/// A number that may depend on the batch size n: each · n + fixed, or in some other way.
template <class T>
struct Varying {
  T fixed{}, each{};
  bool linear = true;

  bool constant() const { return linear && each == T{}; }
  bool operator==(const Varying&) const = default;
};
using Dim = Varying<std::int64_t>;
using Dims = std::vector<Dim>;

bool is_constant(const Dims& dims);
/// "(2n + 1, 4)", for errors.
std::string text(const Dims& dims);
Dims dims(const ag::Shape& shape);
/// The sizes, all of which are constant.
std::vector<std::int64_t> sizes(const Dims& dims);

/// An attribute of an operation.
using Attribute = std::variant<std::monostate, bool, Dim, Varying<double>, std::string, ag::DType,
                               Dims, std::vector<bool>>;
using Attributes = std::map<std::string, Attribute, std::less<>>;

struct Value {
  ag::Recording::Source source;
  ag::DType dtype;
  Dims shape;
  std::size_t from = 0;
  std::vector<ag::Tensor> elements{};  // captured: one; constant: at each batch size, or one
  std::string name{};                  // of a parameter or buffer
  std::string kind{};                  // of a tensor of a module; see Graph::initializer
};
struct Operand {
  std::size_t value;
  Dims shape;
};
struct Step {
  std::vector<std::shared_ptr<const ag::detail::Instruction>> operation;  // at each batch size
  std::string name;
  Attributes attributes;
  std::vector<Operand> in;
  std::vector<std::size_t> out;
};

struct Traced {
  std::vector<std::int64_t> batches;  // that were recorded; one number without a batch
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Operand> results;

  /// The number that is seen[i] at batch size i.
  Dim dim(const std::vector<std::int64_t>& seen) const;
  Varying<double> number(const std::vector<double>& seen) const;
  std::int64_t at(const Dim& d, std::size_t i) const { return d.each * batches[i] + d.fixed; }
};

/// Where the batch is in each argument: an axis, or -1 for none.
using BatchAxes = std::vector<std::int64_t>;

/// Records `f` of the examples, cut or repeated to some batch sizes where there is a batch axis.
/// Throws where the steps depend on it, write tensors of the program, or read elements.
Traced trace(const ag::Recording::Function& f, const ag::TensorList& examples,
             const BatchAxes& axes);

}  // namespace nn::onnx_out
