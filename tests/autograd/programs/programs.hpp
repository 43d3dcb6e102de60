#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/registered.hpp"

/// Random programs: drawn over a registry of operations, checked against differences, shrunk to the
/// smallest that fails, and printed as C++.
namespace programs {

using autograd::Axes;
using autograd::Shape;
using autograd::Tensor;
using autograd::TensorList;

/// What one call gets: its operands, and arguments drawn to fit the first of them.
struct Arguments {
  TensorList in;
  std::int64_t axis = 0, other = 0, start = 0, length = 0, step = 1, entry = 0;
  bool flag = false;
  double number = 0;
  Shape shape;         // as many elements as in[0]
  Axes order;          // a permutation of the axes of in[0]
  Tensor index, grid;  // for index_select and gather
};

/// One operation. Its text is C++ in the names of the macro below, for printing.
struct Op {
  std::string text;
  std::size_t operands;
  bool (*fits)(const Arguments&);
  Tensor (*call)(const Arguments&);
  bool constant = false;  // what differences must not move: detach
};

/// A line of a registry: operands (1 to 3), when it may be called, the call. Both may use the
/// operands a, b, c and the arguments by name.
#define PROGRAM_OP(operands, condition, ...)                                    \
  ::programs::Op({#__VA_ARGS__, operands,                                       \
                  [](const ::programs::Arguments& args) -> bool {               \
                    PROGRAM_NAMES(args) return condition;                       \
                  },                                                            \
                  [](const ::programs::Arguments& args) -> ::autograd::Tensor { \
                    PROGRAM_NAMES(args) return __VA_ARGS__;                     \
                  }})
#define PROGRAM_NAMES(x)                                                                          \
  [[maybe_unused]] const auto& [in, axis, other, start, length, step, entry, flag, number, shape, \
                                order, index, grid] = x;                                          \
  [[maybe_unused]] const ::autograd::Tensor &a = in[0], &b = in[in.size() > 1 ? 1 : 0],           \
                                            &c = in[in.size() > 2 ? 2 : 0];

/// The lines of a file, which may be that of the operation's row: `const Family ctc_lines(ctc);`.
using Family = Registered<std::vector<Op> (*)()>;
/// An operation that is in no line, and why: `const LeftOut unique({"unique", "…"});`.
struct Reason {
  std::string operation, why;
};
using LeftOut = Registered<Reason>;

/// The operations of the library. A public one is called by some line of it, or `left_out` says why
/// not.
const std::vector<Op>& registry();
const std::map<std::string, std::string>& left_out();

// Conditions.
bool above(const Tensor& x, double low);           // every element
bool away(const Tensor& x, double point);          // no element near the point
bool distinct(const Tensor& x);                    // no two elements near one another
bool apart(const Tensor& x, const Tensor& y);      // they broadcast, and no pair is near
bool broadcast(const Tensor& x, const Tensor& y);  // they broadcast
bool multiply(const Tensor& x, const Tensor& y);   // matmul takes them
bool off_steps(const Tensor& x, double offset);    // no element near an integer plus offset
bool regular(const Tensor& x);  // a matrix of full rank with separate singular values
bool simple(const Tensor& x);   // square, x + xᵀ with separate eigenvalues
bool uncorrelated(const Tensor& x, const Tensor& y);  // alike in shape, each varying in its own way
inline bool has_axes(const Tensor& x) { return x.ndim() > 0; }
inline bool filled(const Tensor& x) { return x.numel() > 0; }
inline bool is_square(const Tensor& x) { return x.ndim() == 2 && x.size(0) == x.size(1); }
inline bool same_shape(const Tensor& x, const Tensor& y) { return x.shape() == y.shape(); }

/// Value i is input i, or else the result of step i - inputs.size(). The loss is the weighted sum
/// of all values that no step uses.
struct Step {
  std::size_t op;                     // in the registry
  std::vector<std::size_t> operands;  // values
  std::uint64_t choice;               // seeds the arguments, which then follow from the shapes
};
struct Program {
  std::vector<Tensor> inputs;  // float64
  std::vector<Step> steps;
};

struct Failure {
  std::string text;
};
/// Nothing where the program cannot be run: a condition does not hold, or values grow too large.
struct Verdict {
  bool valid = false;
  std::optional<Failure> failure{};
};

/// The same program for the same seed.
Program generate(const std::vector<Op>& ops, std::uint64_t seed, std::size_t steps);
/// Reverse gradient against differences in a random direction, the same for the gradient of the
/// gradient, recorded against unrecorded gradients, and two runs bit for bit.
Verdict check(const std::vector<Op>& ops, const Program& program);
/// The smallest program found for which `fails` still holds.
Program shrink(const std::vector<Op>& ops, Program program,
               const std::function<bool(const Program&)>& fails);
/// A program to paste, which checks itself with gradgradcheck.
std::string print(const std::vector<Op>& ops, const Program& program);

namespace detail {
/// The arguments that step number `s` gets for these operands.
Arguments bind(const Step& step, TensorList operands);
/// All values. Without `held`, none where a condition does not hold or a value grows too large;
/// with the values of another run, nothing is asked and constant steps keep theirs.
std::optional<std::vector<Tensor>> run(const std::vector<Op>& ops, const Program& program,
                                       const TensorList& inputs,
                                       const std::vector<Tensor>* held = nullptr);
/// The results of steps that no step uses.
std::vector<std::size_t> heads(const Program& program);
}  // namespace detail

}  // namespace programs
