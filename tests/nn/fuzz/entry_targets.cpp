#include <cmath>

#include "autograd/autograd.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;

namespace fuzz {
namespace {

// Text that a program hands in is damaged like a file.
void einsum(const std::string& path, std::uint64_t choice) {
  const ag::Tensor a = ag::ones({2, 3}), b = ag::ones({3, 2}), c = ag::ones({2, 1, 3, 3});
  const std::string equation = read_bytes(path);
  switch (choice % 4) {
    case 0:
      ag::einsum(equation, {a, b});
      return;
    case 1:
      ag::einsum(equation, {c});
      return;
    case 2:
      ag::einsum(equation, {a, b, c});
      return;
    default:
      const ag::Tensor x = ag::ones({2, 3}).requires_grad_();
      if (const ag::Tensor y = ag::einsum(equation, {x, x}); y.requires_grad())
        ag::sum(y).backward();
  }
}

void print(const std::string& path, std::uint64_t choice) {
  const std::string spec = read_bytes(path);
  const ag::Tensor x = ag::tensor({{0.5, -1e300}, {std::nan(""), 3.0}});
  constexpr ag::DType kDTypes[] = {ag::float32, ag::float64, ag::int64, ag::boolean};
  ag::to_string(x.to(kDTypes[choice % 4]), spec);
}

std::vector<Target> entries() {
  return {
      {"einsum",
       {"ij,jk->ik", "ij,jk", "...ii->...i", "ij , kl, nmoo -> jk", "...a,...b->...ab", "bcii->"},
       einsum},
      {"to_string", {".3f", "+010.4e", ">12", "", "#x", "g"}, print}};
}
const Family text_entries(entries);

}  // namespace
}  // namespace fuzz
