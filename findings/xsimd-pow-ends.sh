#!/usr/bin/env bash
# xsimd 8.1.0 (Debian 12), pow(x, y) on batch<float> and batch<double>, AVX2.
# Behaviour: it is exp(y * log(x)) by parts that stop before the ends of the range: a base that is denormal gives another
#   power of ten, a result in the top part of the range is infinite, and one that would be denormal is 0.
# The wrong guess: that pow is within a few units in the last place wherever std::pow is finite and not 0.
# Why it matters: x^2.5 of large activations becomes inf, and its gradient NaN, long before the number overflows. Take
#   exp and log of one's own, or look at both ends by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q libxsimd-dev=8.1.0-7 >/dev/null
dpkg-deb -x libxsimd-dev_*.deb package
cat >probe.cpp <<'CPP'
#include <cmath>
#include <cstdio>
#include <xsimd/xsimd.hpp>
template <class T>
void show(const char* what, T x, T y) {
  using Batch = xsimd::batch<T>;
  T lanes[Batch::size];
  volatile T a = x, b = y;
  xsimd::pow(Batch(a), Batch(b)).store_unaligned(lanes);
  std::printf("%s: pow(%g, %g) %.2g, std::pow %.2g\n", what, double(x), double(y), double(lanes[0]), double(std::pow(a, b)));
}
int main() {
  show("denormal base", 1.24e-308, -0.7);
  show("large result", 2.4e15f, 2.5f);
  show("small result", 1e-20f, 2.1f);
}
CPP
g++ -std=c++17 -O2 -mavx2 -mfma -Ipackage/usr/include probe.cpp -o probe
echo "libxsimd-dev 8.1.0-7, $(g++ --version | head -1)"
seen=$(./probe)
echo "$seen"
[[ $seen == "denormal base: pow(1.24e-308, -0.7) 6.5e+226, std::pow 3.4e+215
large result: pow(2.4e+15, 2.5) inf, std::pow 2.8e+38
small result: pow(1e-20, 2.1) 0, std::pow 1e-42" ]] || { echo "changed"; exit 1; }
echo "as described: wrong at both ends"
