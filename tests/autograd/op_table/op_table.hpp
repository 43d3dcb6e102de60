#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "tests/points.hpp"
#include "tests/registered.hpp"

/// One record per public operation; every check of op_table_test.cpp runs over all of them.
namespace table {

using autograd::Shape;
using autograd::Tensor;
using autograd::TensorList;

/// A call of the operation on tensors drawn as it needs them; the other arguments are bound.
struct Sample {
  std::string text;   // arguments, for the report
  TensorList inputs;  // float64; those that are not differentiable are not float
  std::function<Tensor(const TensorList&)> call;
  /// The value by a naive loop, in row-major order; null where the elementwise reference or another
  /// operation serves.
  std::function<std::vector<double>(const TensorList&)> naive{};
};

/// A call that must throw, and a part of its text.
struct Mistake {
  std::function<Tensor()> call;
  std::string text;
};

struct Row {
  std::string name;  // as in ops.hpp
  std::vector<Sample> samples;
  std::vector<Mistake> mistakes{};
  bool differentiable = true;
  std::string exempt{};  // why second derivatives are not checked, or why there is no first
  std::string nan{};     // why a NaN may change other elements than into NaN; empty: it may not
  std::string third{};   // why third derivatives are not checked
  std::vector<Point> points{};  // where the numbers are written down
};

const std::vector<Row>& rows();

/// The rows of a file of op_table/: `const Family ctc_rows(add_ctc);`. Each draws its samples from a
/// seed of its own.
using Family = Registered<void (*)(std::vector<Row>&)>;

/// Gives the rows their points.
void add_points(std::vector<Row>& rows);

/// A naive loop: f(index of an element of the result, inputs) for every index within `shape`.
using Place = std::vector<std::int64_t>;
std::function<std::vector<double>(const TensorList&)> loop(
    const Shape& shape, std::function<double(const Place&, const TensorList&)> f);
/// One element of a float64 tensor.
double element(const Tensor& x, const Place& place);

/// Shapes for an operation on one tensor: 0-d, empty, size 1, no multiple of a SIMD register.
const std::vector<Shape>& awkward();
/// Pairs of shapes that broadcast.
const std::vector<std::pair<Shape, Shape>>& broadcasts();
/// A sample with one input.
Sample one(std::string text, Tensor x, std::function<Tensor(const Tensor&)> f);
/// Adds what operations on matrices (square ones) refuse: other shapes, integers.
void matrix_mistakes(Row& row, std::function<Tensor(const Tensor&)> f, bool square);
/// Uniform values in [low, high], the same at every run.
Tensor draw(const Shape& shape, double low, double high);
/// Values at least 0.1 apart from one another, in random order: no ties for max and the like.
Tensor draw_distinct(const Shape& shape);

}  // namespace table
