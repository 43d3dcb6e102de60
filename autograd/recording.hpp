#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "autograd/core/trace.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// What a function computes, step by step, for whatever reads a function as a whole: exporters,
/// drawings, statistics. Steps stand in the order in which the function made them.
///
///     const ag::Recording recording([&](const ag::TensorList& x) { return ag::TensorList{f(x[0])};
///     }, {x});
///     for (const auto& step : recording.steps()) fmt::print("{}\n", step.operation->name());
///
/// What an operation is called, what its attributes are and how it runs again, its
/// `detail::Instruction` (autograd/core/trace.hpp) tells; there is no list of operations. A constant
/// object may be read by several threads; it keeps the tensors that the function uses alive.
class Recording {
 public:
  using Function = std::function<TensorList(const TensorList&)>;

  /// Where the elements of a value come from.
  enum class Source : std::uint8_t {
    argument,  ///< an argument of the call
    captured,  ///< a tensor of the program that the function uses, such as a parameter
    constant,  ///< made by the function from nothing, the same in each call
    computed,  ///< by a step
  };

  /// Elements, made once and never changed unless a step says that it writes them.
  struct Value {
    Source source;
    DType dtype;
    Shape shape;           ///< as it was made, or as it is first used
    std::size_t from = 0;  ///< which argument, or which step
    Tensor elements{};     ///< of what is captured (sharing its elements) or constant
  };

  /// A value as a tensor: another shape than that of the value is a view of all its elements.
  struct Operand {
    std::size_t value;  ///< its number; `kNone` for an operand that a formula does not use
    Shape shape;
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  struct Step {
    std::shared_ptr<const detail::Instruction> operation;
    std::vector<Operand> in;       ///< those from `operation->first_written()` on are written
    std::vector<std::size_t> out;  ///< values
    bool built_in;                 ///< an operation of the library, not of the program
  };

  /// Runs `f` once on copies of `arguments`, without a tape of its own, and records it. Throws what
  /// `f` throws, where `compile()` would refuse to record, and where a result is undefined.
  Recording(const Function& f, const TensorList& arguments);

  const std::vector<Value>& values() const noexcept { return values_; }
  const std::vector<Step>& steps() const noexcept { return steps_; }
  const std::vector<Operand>& results() const noexcept { return results_; }
  /// Arguments whose elements the function itself has read: with others it may take other steps.
  const std::vector<std::size_t>& arguments_read() const noexcept { return read_; }

 private:
  std::vector<Value> values_;
  std::vector<Step> steps_;
  std::vector<Operand> results_;
  std::vector<std::size_t> read_;
};

}  // namespace autograd

#pragma GCC visibility pop
