#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

namespace autograd::simd {

/// What one operation of a `Code` does; lane by lane, as the register type Vec does it.
enum class Op : std::uint8_t {
  input,     ///< an operand of the code
  constant,  ///< `bits` in every lane
  add,
  sub,
  mul,
  div,
  sqrt,
  fma,  ///< a * b + c, rounded once
  min,  ///< a < b ? a : b
  max,  ///< a > b ? a : b
  bit_and,
  bit_or,
  bit_xor,
  shift,       ///< the bits of a, `bits` places to the left, or to the right if negative
  scale,       ///< a · 2^b for whole b; AVX-512 only
  round,       ///< to a whole number; `bits`: 0 nearest, 1 down, 2 up, 3 towards zero
  equal,       ///< masks from here on: a == b
  less,        ///< a < b
  less_equal,  ///< a <= b
  mask_and,
  mask_or,
  mask_not,
  select,  ///< a (a mask) ? b : c; no mask itself
};

inline bool is_mask(Op op) { return op >= Op::equal && op <= Op::mask_not; }

/// Operations in an order in which they can run, of float32 or float64: what a formula does on
/// registers, as a list. A value is the number of the operation that makes it; 0 is none. Equal
/// operations are there once. Not to be shared between threads while it grows.
class Code {
 public:
  struct Node {
    Op op;
    std::uint32_t a = 0, b = 0, c = 0;
    std::uint64_t bits = 0;
    bool operator==(const Node&) const = default;
  };

  /// `wide`: of float64. `scales`: the machine has `Op::scale`.
  Code(bool wide, bool scales) : wide_(wide), scales_(scales) {}
  bool wide() const { return wide_; }
  bool scales() const { return scales_; }
  std::size_t size() const { return nodes_.size(); }
  const Node& operator[](std::uint32_t value) const { return nodes_[value]; }

  /// A new operand.
  std::uint32_t input();
  std::uint32_t constant(double number);
  /// The value of an operation, which is added unless it or a simpler one of the same bits is there.
  std::uint32_t add(Node node);
  /// There is an operation that has no place in a list.
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }

  /// The list to which Traced numbers of this thread add; null outside of recordings.
  static Code*& current();

 private:
  struct Hash {
    std::size_t operator()(const Node& n) const;
  };
  std::uint32_t append(const Node& node);
  bool is_one(std::uint32_t value) const;

  bool wide_, scales_, failed_ = false;
  std::vector<Node> nodes_{Node{Op::input}};
  std::unordered_map<Node, std::uint32_t, Hash> known_;
};

}  // namespace autograd::simd

#pragma GCC visibility pop
