#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>

#include "autograd/kernels/codegen/machine.hpp"
#include "tests/catch.hpp"

namespace kernels = autograd::kernels;
using autograd::simd::Code;
using autograd::simd::Op;

namespace {

// Draws operations, most of them on values of late, so that some wait for long.
class Drawn {
 public:
  Drawn(kernels::Listing& listing, unsigned seed) : listing_(listing), engine_(seed) {
    for (unsigned k = 1 + below(6); k > 0; --k) values_.push_back(listing.input(below(3) == 0));
    for (int k = 0; k < 4; ++k) values_.push_back(listing.code.constant(0.25 * below(17) - 2));
    for (unsigned k = 20 + below(160); k > 0; --k) add();
    listing.output(values_.back());
  }
  unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }

 private:
  std::uint32_t value() {
    const auto n = static_cast<unsigned>(values_.size());
    return values_[below(3) ? n - 1 - below(std::min(n, 30u)) : below(n)];
  }
  std::uint32_t mask() { return masks_[below(static_cast<unsigned>(masks_.size()))]; }
  void add() {
    static constexpr Op plain[] = {Op::add,    Op::sub,     Op::mul,   Op::div,  Op::bit_and,
                                   Op::bit_or, Op::bit_xor, Op::equal, Op::less, Op::less_equal};
    const unsigned kind = below(masks_.empty() ? 16 : 22);
    Code::Node n{plain[kind % std::size(plain)], value(), value()};
    if (kind == 10) n = {Op::sqrt, value()};
    if (kind == 11) n = {Op::round, value(), 0, 0, below(4)};
    if (kind == 12) n = {Op::shift, value(), 0, 0, std::uint64_t{below(9)} - 4};
    if (kind >= 13) n = {Op::fma, value(), value(), value()};
    if (kind == 16) n = {Op::mask_not, mask()};
    if (kind == 17) n = {below(2) ? Op::mask_and : Op::mask_or, mask(), mask()};
    if (kind >= 18) n = {Op::select, mask(), value(), value()};
    const std::uint32_t made = listing_.code.add(n);
    (is_mask(n.op) ? masks_ : values_).push_back(made);
    if (!is_mask(n.op) && below(25) == 0) listing_.output(made);
  }

  kernels::Listing& listing_;
  std::mt19937 engine_;
  std::vector<std::uint32_t> values_, masks_;
};

template <class T>
T by_bits(Op op, T a, T b, std::int64_t places) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const auto x = std::bit_cast<Bits>(a), y = std::bit_cast<Bits>(b);
  return std::bit_cast<T>(op == Op::bit_and  ? x & y
                          : op == Op::bit_or ? x | y
                          : op == Op::shift  ? (places < 0 ? x >> -places : x << places)
                                             : x ^ y);
}

// All values for one element; none if there is a NaN among them, whose bits nobody promises.
template <class T>
std::optional<std::vector<T>> plainly(const kernels::Listing& listing, const std::vector<T>& in) {
  std::vector<T> x(listing.code.size());
  for (std::size_t k = 0; k < in.size(); ++k) x[listing.inputs[k]] = in[k];
  for (std::uint32_t v = 1; v < x.size(); ++v) {
    const Code::Node& n = listing.code[v];
    const T a = x[n.a], b = x[n.b], c = x[n.c];
    T& y = x[v];
    switch (n.op) {
      case Op::input:
        break;
      case Op::constant:
        std::memcpy(&y, &n.bits, sizeof y);
        break;
      case Op::add:
        y = a + b;
        break;
      case Op::sub:
        y = a - b;
        break;
      case Op::mul:
        y = a * b;
        break;
      case Op::div:
        y = a / b;
        break;
      case Op::sqrt:
        y = std::sqrt(a);
        break;
      case Op::fma:
        y = std::fma(a, b, c);
        break;
      case Op::min:
        y = a < b ? a : b;
        break;
      case Op::max:
        y = a > b ? a : b;
        break;
      case Op::scale:
        y = std::ldexp(a, static_cast<int>(b));
        break;
      case Op::round:
        y = n.bits == 0   ? std::nearbyint(a)
            : n.bits == 1 ? std::floor(a)
            : n.bits == 2 ? std::ceil(a)
                          : std::trunc(a);
        break;
      case Op::equal:
        y = a == b;
        break;
      case Op::less:
        y = a < b;
        break;
      case Op::less_equal:
        y = a <= b;
        break;
      case Op::mask_and:
        y = a != 0 && b != 0;
        break;
      case Op::mask_or:
        y = a != 0 || b != 0;
        break;
      case Op::mask_not:
        y = a == 0;
        break;
      case Op::select:
        y = a != 0 ? b : c;
        break;
      default:
        y = by_bits(n.op, a, b, static_cast<std::int64_t>(n.bits));
    }
    if (std::isnan(y)) return {};
  }
  return x;
}

template <class T>
void check(unsigned seed) {
  kernels::Listing listing(sizeof(T) == 8);
  Drawn drawn(listing, seed);
  const auto code = kernels::MachineCode::of(listing);
  REQUIRE(code);
  const std::size_t n = 1 + drawn.below(100), ins = listing.inputs.size();
  std::vector<std::vector<T>> memory(ins + listing.outputs.size(), std::vector<T>(n));
  std::vector<char*> pointers;
  for (std::size_t k = 0; k < memory.size(); ++k) {
    if (k < ins)
      for (T& x : memory[k]) x = T(drawn.below(4001)) / 500 - 4;
    pointers.push_back(reinterpret_cast<char*>(memory[k].data()));
  }
  code->run(pointers.data(), static_cast<std::int64_t>(n));
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<T> in(ins);
    for (std::size_t k = 0; k < ins; ++k) in[k] = memory[k][listing.single[k] ? 0 : i];
    const auto want = plainly(listing, in);
    for (std::size_t k = 0; want && k < listing.outputs.size(); ++k) {
      const T a = (*want)[listing.outputs[k].value], b = memory[ins + k][i];
      if (std::memcmp(&a, &b, sizeof a) == 0) continue;
      INFO("seed " << seed << ", " << sizeof(T) << " bytes, element " << i << " of output " << k);
      CHECK(a == b);
      return;
    }
  }
}

}  // namespace

TEST_CASE("machine code of drawn operations gives what they give one by one", "[jit]") {
  if (!kernels::MachineCode::available()) return;
  for (unsigned seed = 0; seed < 1500; ++seed) check<float>(seed), check<double>(seed);
}
