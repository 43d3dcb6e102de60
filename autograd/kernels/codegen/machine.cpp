#include "autograd/kernels/codegen/machine.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "autograd/core/cpu.hpp"
#include "autograd/core/errors.hpp"

namespace autograd::kernels {
namespace {

constexpr std::size_t kWidest = 64;  // bytes of a register

bool wanted() {
  const char* text = std::getenv("XGRAD_JIT");
  if (!text || !*text) return true;
  const std::string_view setting(text);
  if (setting != "on" && setting != "off")
    fail("XGRAD_JIT", "the variable must be on or off, got '{}'", quoted(setting));
  return setting == "on";
}

}  // namespace

Listing::Listing(bool wide) : code(wide, simd_level() == SimdLevel::avx512) {}

std::uint32_t Listing::input(bool one_for_all) {
  inputs.push_back(code.input());
  single.push_back(one_for_all);
  return inputs.back();
}

std::uint32_t Listing::input(Element place) {
  from.push_back(place);
  return input(false);
}

bool MachineCode::available() {
#if defined(XGRAD_HAVE_XBYAK)
  static const bool answer = wanted() && simd_level() != SimdLevel::baseline;
#else
  static const bool answer = wanted() && false;
#endif
  return answer;
}

#if !defined(XGRAD_HAVE_XBYAK)
std::unique_ptr<MachineCode> MachineCode::of(const Listing&) { return nullptr; }
#endif

MachineCode::MachineCode(const Listing& listing, std::int64_t register_bytes)
    : element_(listing.code.wide() ? 8 : 4),
      register_(register_bytes),
      single_(listing.single),
      once_(listing.once()),
      operands_(listing.inputs.size() + listing.outputs.size()) {}

void MachineCode::run(char* const* operands, std::int64_t n) const {
  if (once_) return function_(operands, 0);
  const std::int64_t bytes = n * element_, whole = bytes / register_ * register_;
  if (whole > 0) function_(operands, whole);
  if (whole == bytes) return;
  if (whole == 0) return run_rest(operands, n);
  char* rest[kMost];
  for (std::size_t k = 0; k < operands_; ++k)
    rest[k] = operands[k] + (k < single_.size() && single_[k] ? 0 : whole);
  run_rest(rest, (bytes - whole) / element_);
}

// The last, partial register: of copies, in which the last element is there for those that lack.
void MachineCode::run_rest(char* const* operands, std::int64_t n) const {
  alignas(kWidest) char room[kMost][kWidest];
  char* at[kMost] = {};
  const auto element = static_cast<std::size_t>(element_),
             bytes = static_cast<std::size_t>(n) * element;
  for (std::size_t k = 0; k < operands_; ++k) {
    at[k] = room[k];
    if (k >= single_.size()) continue;
    if (single_[k]) {
      at[k] = operands[k];
      continue;
    }
    std::memcpy(room[k], operands[k], bytes);
    for (std::size_t i = bytes; i < static_cast<std::size_t>(register_); i += element)
      std::memcpy(room[k] + i, room[k] + bytes - element, element);
  }
  function_(at, register_);
  for (std::size_t k = single_.size(); k < operands_; ++k) std::memcpy(operands[k], room[k], bytes);
}

}  // namespace autograd::kernels
