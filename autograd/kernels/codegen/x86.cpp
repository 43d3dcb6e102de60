#if defined(XGRAD_HAVE_XBYAK)

#include "autograd/core/cpu.hpp"
#include "autograd/kernels/codegen/assembler.hpp"

namespace autograd::kernels {
namespace {

constexpr std::size_t kLongest = 3000;  // operations

class X86Code final : public MachineCode {
 public:
  X86Code(const Listing& listing, bool wide, int copies, std::size_t bytes)
      : MachineCode(listing, wide ? 64 : 32), assembler_(listing, wide, copies, bytes) {
    function_ = reinterpret_cast<Function>(const_cast<std::uint8_t*>(assembler_.entry()));
  }
  bool fits() const { return assembler_.fits(); }
  int spills() const { return assembler_.spills(); }

 private:
  Assembler assembler_;
};

}  // namespace

std::unique_ptr<MachineCode> MachineCode::of(const Listing& listing) {
  const std::size_t length = listing.code.size();
  if (!available() || listing.code.failed() || length > kLongest ||
      (!listing.once() && listing.inputs.size() + listing.outputs.size() > kMost))
    return nullptr;
  try {
    const bool wide = simd_level() == SimdLevel::avx512;
    const std::size_t bytes = (1024 + 256 * length) / 4096 * 4096 + 4096;
    // More copies at once than two hide more of what operations wait for, if all have registers.
    auto code = std::make_unique<X86Code>(listing, wide, wide ? 4 : 2, bytes);
    if (wide && code->spills() > 8) code = std::make_unique<X86Code>(listing, wide, 2, bytes);
    if (code->fits()) return code;
  } catch (const Xbyak::Error&) {  // no memory for code, or not to be executed
  }
  return nullptr;
}

}  // namespace autograd::kernels

#endif
