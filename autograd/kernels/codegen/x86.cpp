#if defined(XGRAD_HAVE_XBYAK)

#include "autograd/core/cpu.hpp"
#include "autograd/kernels/codegen/assembler.hpp"

namespace autograd::kernels {
namespace {

constexpr std::size_t kLongest = 3000;  // operations

class X86Code final : public MachineCode {
 public:
  X86Code(const Listing& listing, bool wide, std::size_t bytes)
      : MachineCode(listing, wide ? 64 : 32), assembler_(listing, wide, bytes) {
    function_ = reinterpret_cast<Function>(const_cast<std::uint8_t*>(assembler_.entry()));
  }
  bool fits() const { return assembler_.fits(); }

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
    auto code = std::make_unique<X86Code>(listing, simd_level() == SimdLevel::avx512,
                                          (1024 + 256 * length) / 4096 * 4096 + 4096);
    if (code->fits()) return code;
  } catch (const Xbyak::Error&) {  // no memory for code, or not to be executed
  }
  return nullptr;
}

}  // namespace autograd::kernels

#endif
