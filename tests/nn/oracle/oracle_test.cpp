#include "tests/nn/oracle/oracle.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <regex>
#include <set>

#include "tests/catch.hpp"
#include "tests/source_dir.hpp"

namespace {

using namespace oracle;
using ag::DType;
using ag::Tensor;

// How the file marks a tensor.
enum Kind { variable, constant, integer, boolean };

/// Reads the numbers of a case; tests/oracle/pytorch.py says how they stand.
class Numbers {
 public:
  explicit Numbers(T numbers)
      : at_(numbers.data<double>()), end_(at_ + numbers.numel()), keep_(numbers) {}
  bool done() const { return at_ == end_; }
  double number() {
    REQUIRE(at_ < end_);
    return *at_++;
  }
  std::int64_t count() { return static_cast<std::int64_t>(number()); }
  /// A tensor of float64, int64 or bool, and its kind.
  std::pair<Tensor, Kind> tensor() {
    const auto kind = static_cast<Kind>(count());
    ag::Shape shape;
    for (std::int64_t rank = count(); rank > 0; --rank) shape.push_back(count());
    REQUIRE(shape.numel() <= end_ - at_);
    const Tensor t = ag::from_data(at_, shape);
    at_ += shape.numel();
    return {t.to(kind == boolean ? ag::boolean : kind == integer ? ag::int64 : ag::float64), kind};
  }
  TensorList tensors() {
    TensorList list;
    for (std::int64_t n = count(); n > 0; --n) list.push_back(tensor().first);
    return list;
  }

 private:
  const double* at_;
  const double* end_;
  Tensor keep_;
};

/// Where `got` differs from `wanted` by more than `tolerance` times the largest finite number of
/// `wanted`, or times 1 if that is larger; empty if nowhere.
std::string difference(T got, T wanted, DType dtype, double tolerance) {
  const bool floating = wanted.dtype() == ag::float64;
  if (got.dtype() != (floating ? dtype : wanted.dtype()))
    return fmt::format("dtype {}", ag::name(got.dtype()));
  if (got.shape() != wanted.shape())
    return fmt::format("shape {}, expected {}", got.shape(), wanted.shape());
  const auto a = got.detach().to(ag::float64).to_vector<double>();
  const auto b = wanted.to(ag::float64).to_vector<double>();
  double scale = 1;
  for (const double y : b)
    if (std::isfinite(y)) scale = std::max(scale, std::abs(y));
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = std::isfinite(b[i]) ? std::abs(a[i] - b[i]) <= tolerance * scale
                      : std::isnan(b[i])  ? std::isnan(a[i])
                                          : a[i] == b[i];
    if (!same)
      return fmt::format("element {} is {}, expected {} (tolerance {:.1g})", i, a[i], b[i],
                         tolerance * scale);
  }
  return "";
}

TensorList cotangents(const TensorList& like) {
  const Tensor& pool = file().tensors.at("cotangents");
  TensorList list;
  for (std::size_t i = 0; i < like.size(); ++i)
    list.push_back(ag::from_data(pool.data<float>() + 16 * i, like[i].shape()).to(like[i].dtype()));
  return list;
}

/// The gradients of Σ y · c by the leaves, zeros where there is none.
TensorList gradients(const TensorList& y, const TensorList& leaves, bool create_graph) {
  TensorList floating, outputs, weights;
  for (const Tensor& t : y)
    if (t.dtype() == ag::float32 || t.dtype() == ag::float64) floating.push_back(t);
  const TensorList c = cotangents(floating);
  for (std::size_t i = 0; i < floating.size(); ++i)
    if (floating[i].requires_grad()) {
      outputs.push_back(floating[i]);
      weights.push_back(c[i]);
    }
  TensorList found;
  if (outputs.size() > 0)
    found = ag::grad(outputs, leaves,
                     {.grad_outputs = weights,
                      .retain_graph = true,
                      .create_graph = create_graph,
                      .allow_unused = true});
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (i == found.size()) found.push_back({});
    if (!found[i].defined()) found[i] = ag::zeros_like(leaves[i]);
  }
  return found;
}

void compare(std::string_view what, const TensorList& got, const TensorList& wanted, DType dtype,
             double tolerance) {
  REQUIRE(got.size() == wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(what << ' ' << i);
    CHECK(difference(got[i], wanted[i], dtype, tolerance) == "");
  }
}

void check_sample(const Row& row, Numbers& numbers, DType dtype) {
  const double in_double = numbers.number(), in_float = numbers.number();
  const double tolerance = dtype == ag::float64 ? in_double : in_float;
  Question question{row.name, dtype, {}};
  TensorList leaves;
  for (std::int64_t n = numbers.count(); n > 0; --n) {
    auto [value, kind] = numbers.tensor();
    if (kind == variable || kind == constant) value = value.to(dtype).detach();
    if (kind == variable) leaves.push_back(value.requires_grad_());
    question.inputs.push_back(value);
  }
  const TensorList wanted = numbers.tensors();
  std::vector<TensorList> derivatives(static_cast<std::size_t>(numbers.count()));
  for (auto& order : derivatives) order = numbers.tensors();

  const Answer answer = row.call(question);
  if (answer.leaves.size() > 0) leaves = answer.leaves;
  compare("output", answer.outputs, wanted, dtype, tolerance);
  if (derivatives.empty()) return;
  compare("gradient", gradients(answer.outputs, leaves, false), derivatives[0], dtype, tolerance);
  const TensorList first = gradients(answer.outputs, leaves, true);
  compare("recorded gradient", first, derivatives[0], dtype, tolerance);
  if (derivatives.size() > 1)
    compare("second derivative", gradients(first, leaves, false), derivatives[1], dtype, tolerance);
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> list;
    for (const auto& [file, families] : Cases::all())
      for (const auto add : families) add(list);
    return list;
  }();
  return all;
}

void check_all(DType dtype) {
  for (const Row& row : rows()) {
    const Tensor* found = file().tensors.find(row.name);
    if (!found) continue;  // another test says so
    Numbers numbers(*found);
    for (int sample = 0; !numbers.done(); ++sample) {
      INFO(row.name << ", sample " << sample);
      try {
        check_sample(row, numbers, dtype);
      } catch (const ag::Error& e) {
        FAIL_CHECK(e.what());
        break;
      }
    }
  }
}

/// The words that `pattern` finds in the lines of a file.
void collect(const std::filesystem::path& path, const char* pattern, std::set<std::string>& words) {
  const std::regex word(pattern);
  std::ifstream file(path);
  REQUIRE(file);
  std::smatch m;
  for (std::string line; std::getline(file, line);)
    if (std::regex_search(line, m, word)) words.insert(m[1]);
}

/// The public operations, losses, layers, optimizers and schedules.
std::set<std::string> public_names() {
  const std::filesystem::path root = XGRAD_SOURCE_DIR;
  std::set<std::string> families, names;
  collect(root / "autograd/ops/ops.hpp", R"(^#include .(.+\.hpp))", families);
  for (const std::string& header : families)
    collect(root / header, R"(^(?:[A-Z]\w*|std::\w+<.*>) (\w+)\()", names);
  for (const auto& [folder, name] : {std::pair{"nn/losses", R"(^ag::Tensor (\w+)\()"},
                                     {"nn/layers", R"(^class (\w+)(?: :|$))"},
                                     {"nn/optim", R"(^class (\w+)(?: :|$))"}})
    for (const auto& entry : std::filesystem::directory_iterator(root / folder))
      if (entry.path().extension() == ".hpp") collect(entry, name, names);
  return names;
}

}  // namespace

const nn::SafeTensors& oracle::file() {
  static const nn::SafeTensors read =
      nn::read_safetensors(XGRAD_SOURCE_DIR "/tests/oracle/pytorch.safetensors");
  return read;
}

// The tolerances are 1e-10 in float64 and 1e-5 in float32 unless the script that made the file says
// why not: random numbers, and results of which float32 itself loses more in PyTorch too.
TEST_CASE("Values and derivatives are PyTorch's in float64") { check_all(ag::float64); }
TEST_CASE("Values and derivatives are PyTorch's in float32") { check_all(ag::float32); }

TEST_CASE("Every case of PyTorch's has a call and every call a case") {
  std::set<std::string> called{"cotangents"};
  for (const Row& row : rows()) {
    INFO(row.name);
    CHECK(called.insert(row.name).second);
    CHECK(file().tensors.find(row.name));
  }
  for (const auto& [name, tensor] : file().tensors) {
    INFO(name);
    CHECK(called.count(name) == 1);
  }
}

TEST_CASE("Every operation, loss, layer and optimizer is compared with PyTorch") {
  // What PyTorch has not, or what is nothing to compare, and why.
  std::map<std::string, std::string> exempt{
      {"Optimizer", "a base class"},
      {"GroupedOptimizer", "a base class"},
      {"MultiTensorOptimizer", "a base class"},
      {"OptionVisitor", "a base class"},
      {"RuleOptimizer", "a base class"},
      {"rotary_embedding", "PyTorch has none; the test of its law is beside its layers"},
      {"sinusoidal_positions", "PyTorch has none"},
      {"PositionalEncoding", "PyTorch has none"},
      {"Lion", "PyTorch has none; compared with the formula of its paper"},
      {"Scheduler", "a base class"},
      {"index_put", "made of scatter and index_add, which are compared"},
  };
  for (const auto& [file, reasons] : NotCompared::all())
    for (const auto& [name, why] : reasons) exempt[name] = why;
  std::set<std::string> compared;
  for (const Row& row : rows()) compared.insert(row.name.substr(0, row.name.find(' ')));
  for (const std::string& name : public_names()) {
    INFO(name << ": add a case and its call, or say why not, as tests/oracle/cases.hpp says");
    CHECK(compared.count(name) + exempt.count(name) == 1);
  }
}
