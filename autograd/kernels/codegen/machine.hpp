#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "autograd/formulas/code.hpp"

#pragma GCC visibility push(default)  // for the tests

namespace autograd::kernels {

/// An output of a code: which value, and how long the list was when it became one. It is stored
/// there, and not before: memory may serve an input until then.
struct Outlet {
  std::uint32_t value = 0, position = 0;
};

/// An element of an operand: which pointer, and how many bytes behind it.
struct Element {
  std::uint32_t operand = 0, offset = 0;
};

/// What a code is, for a machine: the operands in the order of pointers, inputs first. Or one that
/// runs once, on single elements, of which a pointer leads to several.
struct Listing {
  explicit Listing(bool wide);
  /// A new operand of one element for each, or of a single one for all.
  std::uint32_t input(bool single);
  std::uint32_t input(Element from);
  /// The value that `add` returns, which adds operations to `Code::current()`.
  template <class F>
  std::uint32_t record(F&& add) {
    struct Recording {
      simd::Code* const before = std::exchange(simd::Code::current(), nullptr);
      ~Recording() { simd::Code::current() = before; }
    } const recording;
    simd::Code::current() = &code;
    return add();
  }
  void output(std::uint32_t value) {
    outputs.push_back({value, static_cast<std::uint32_t>(code.size())});
  }
  void output(std::uint32_t value, Element place) {
    output(value);
    to.push_back(place);
  }
  bool once() const { return !to.empty(); }

  simd::Code code;
  std::vector<std::uint32_t> inputs{};
  std::vector<bool> single{};
  std::vector<Outlet> outputs{};
  std::vector<Element> from{}, to{};  // where single elements are
};

/// Code that runs on this CPU, over arrays, with all that lies between inputs and outputs in
/// registers. It gives the bits that the kernels of the operations give. Threads may run it at once.
class MachineCode {
 public:
  /// Operands of one code.
  static constexpr std::size_t kMost = 40;

  /// Whether code can be made here: the build has xbyak, the CPU AVX2, and the environment variable
  /// XGRAD_JIT is not `off`. Throws if the variable is neither `on` nor `off`.
  static bool available();
  /// Null if the listing is too long, or the system has no memory for code.
  static std::unique_ptr<MachineCode> of(const Listing& listing);

  virtual ~MachineCode() = default;
  /// For n elements from the pointers on, of which there is one for each operand; once if it is a
  /// code of single elements.
  void run(char* const* operands, std::int64_t n) const;

 protected:
  using Function = void (*)(char* const* operands, std::int64_t bytes);
  MachineCode(const Listing& listing, std::int64_t register_bytes);
  Function function_ = nullptr;  // over whole registers

 private:
  void run_rest(char* const* operands, std::int64_t n) const;

  std::int64_t element_, register_;  // bytes
  std::vector<bool> single_;         // of inputs
  bool once_;
  std::size_t operands_;
};

}  // namespace autograd::kernels

#pragma GCC visibility pop
