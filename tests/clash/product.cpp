// A product of the size that oneDNN computes, beside a library that has functions of the same names.
#include <autograd/autograd.hpp>

#include <cmath>
#include <cstdio>

namespace ag = autograd;

extern "C" int clashing_names();

int main() {
  const ag::Tensor a = ag::rand({128, 256}), b = ag::rand({256, 128});
  const ag::Tensor error =
      ag::matmul(a, b).to(ag::float64) - ag::matmul(a.to(ag::float64), b.to(ag::float64));
  const double most = ag::max(ag::abs(error)).item();
  std::printf("%d names, error %g\n", clashing_names(), most);
  return most < 1e-3 ? 0 : 1;
}
