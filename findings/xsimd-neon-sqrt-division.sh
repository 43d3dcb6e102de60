#!/usr/bin/env bash
# xsimd 8.1.0 (Debian 12), sqrt(x) and x / y on batch<float> for NEON on aarch64.
# Behaviour: both go by estimates of the reciprocal with Newton steps, although aarch64 has instructions for them:
#   sqrt(inf) is NaN, and quotients differ from x / y in C++ in last bits and for some special values.
# The wrong guess: that operators of a batch are the operations of IEEE 754, lane by lane, as they are on x86-64.
# Why it matters: activations and norms that are right on x86-64 give NaN on ARM only. Use vsqrtq_f32 and vdivq_f32.
# Runs an ARM program by qemu; installs Debian's cross-compiler and qemu-user-static where they are missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64-static; } >/dev/null ||
  apt-get install -q -y g++-aarch64-linux-gnu qemu-user-static >/dev/null
apt-get download -q libxsimd-dev=8.1.0-7 >/dev/null
dpkg-deb -x libxsimd-dev_*.deb package
cat >probe.cpp <<'CPP'
#include <cmath>
#include <cstdio>
#include <limits>
#include <xsimd/xsimd.hpp>
int main() {
  using Batch = xsimd::batch<float>;
  float lanes[4];
  volatile float infinity = std::numeric_limits<float>::infinity();
  xsimd::sqrt(Batch(infinity)).store_unaligned(lanes);
  std::printf("sqrt(inf) %s\n", std::isnan(lanes[0]) ? "NaN" : "inf");
  int other = 0;
  for (int i = 1; i <= 1000; ++i) {
    volatile float x = 1, y = 0.1f * i;
    (Batch(x) / Batch(y)).store_unaligned(lanes);
    other += lanes[0] != x / y;
  }
  std::printf("of 1000 quotients %s\n", other ? "some have other bits" : "all have the right bits");
  std::fprintf(stderr, "(%d of them)\n", other);
}
CPP
aarch64-linux-gnu-g++ -std=c++17 -O2 -static -Ipackage/usr/include probe.cpp -o probe
echo "libxsimd-dev 8.1.0-7, $(aarch64-linux-gnu-g++ --version | head -1)"
seen=$(qemu-aarch64-static ./probe)
echo "$seen"
[[ $seen == $'sqrt(inf) NaN\nof 1000 quotients some have other bits' ]] || { echo "changed"; exit 1; }
echo "as described: estimates in place of the instructions"
