#include "autograd/elementwise/listed.hpp"

#include "autograd/kernels/codegen/machine.hpp"

namespace autograd::detail {
namespace {

// Operations of a value and its derivative, about, from which on to compute the value again costs
// more than to write the derivative and read it.
constexpr std::size_t kWorthwhile = 32;

}  // namespace

// One for each choice of operands that are one element for all.
struct ListedFormula::Made {
  unsigned single;
  std::unique_ptr<kernels::MachineCode> code;
  const Made* next;
};

const ListedFormula::Made& ListedFormula::made(unsigned single) const {
  const auto find = [&]() -> const Made* {
    for (const Made* m = first_.load(std::memory_order_acquire); m; m = m->next)
      if (m->single == single) return m;
    return nullptr;
  };
  if (const Made* m = find()) return *m;
  const std::lock_guard lock(making_);
  if (const Made* m = find()) return *m;
  kernels::Listing listing(wide_);
  std::uint32_t in[kernels::MachineCode::kMost];
  for (int k = 0; k < operands_; ++k) in[k] = listing.input(single >> k & 1);
  listing.output(listing.record([&] { return list_(in); }));
  if (second_) listing.output(listing.record([&] { return second_(in); }));
  const bool wanted = !second_ || listing.code.size() >= kWorthwhile;
  auto* m = new Made{single, wanted ? kernels::MachineCode::of(listing) : nullptr, first_.load()};
  first_.store(m, std::memory_order_release);
  return *m;
}

bool ListedFormula::run(const void* const* in, const std::int64_t* step, void* out, std::int64_t n,
                        void* second) const {
  if (!kernels::MachineCode::available()) return false;
  unsigned single = 0;
  char* operands[kernels::MachineCode::kMost];
  for (int k = 0; k < operands_; ++k) {
    if (step[k] == 0) single |= 1u << k;
    operands[k] = static_cast<char*>(const_cast<void*>(in[k]));  // which code only reads
  }
  operands[operands_] = static_cast<char*>(out);
  operands[operands_ + 1] = static_cast<char*>(second);
  const Made& m = made(single);
  if (m.code && n > 0) m.code->run(operands, n);
  return m.code != nullptr;
}

}  // namespace autograd::detail
