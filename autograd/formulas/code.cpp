#include "autograd/formulas/code.hpp"

#include <bit>

namespace autograd::simd {

std::size_t Code::Hash::operator()(const Node& n) const {
  std::uint64_t hash = static_cast<std::uint64_t>(n.op) + 1;
  for (const std::uint64_t part :
       {std::uint64_t{n.a}, std::uint64_t{n.b}, std::uint64_t{n.c}, n.bits})
    hash = (hash ^ part) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

Code*& Code::current() {
  thread_local Code* code = nullptr;
  return code;
}

std::uint32_t Code::append(const Node& node) {
  nodes_.push_back(node);
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

std::uint32_t Code::input() {
  return append({Op::input});  // each is another one
}

std::uint32_t Code::constant(double number) {
  return add({.op = Op::constant,
              .bits = wide_ ? std::bit_cast<std::uint64_t>(number)
                            : std::bit_cast<std::uint32_t>(static_cast<float>(number))});
}

bool Code::is_one(std::uint32_t value) const {
  const Node& n = nodes_[value];
  return n.op == Op::constant &&
         n.bits == (wide_ ? std::bit_cast<std::uint64_t>(1.0) : std::bit_cast<std::uint32_t>(1.0f));
}

std::uint32_t Code::add(Node n) {
  if (n.op == Op::mul && is_one(n.a)) return n.b;
  if (n.op == Op::mul && is_one(n.b)) return n.a;
  if (n.op == Op::select) {
    if (n.b == n.c) return n.b;
    // The machine's minimum and maximum give the second operand where neither is less.
    const Node m = nodes_[n.a];
    if (m.op == Op::less && m.a == n.b && m.b == n.c)
      n = {Op::min, n.b, n.c};
    else if (m.op == Op::less && m.a == n.c && m.b == n.b)
      n = {Op::max, n.b, n.c};
  }
  const auto [at, added] = known_.try_emplace(n, 0);
  if (added) at->second = append(n);
  return at->second;
}

}  // namespace autograd::simd
