#!/usr/bin/env bash
# xsimd 8.1.0 (Debian 12), sin, cos and tan on batch<float> and batch<double>, AVX2. 13.2 and 14.3 have the same branches.
# Behaviour: an angle is reduced in one of several ways, and all lanes go the way of the largest. So the last bits of a lane
#   depend on the others: sin(x) beside 1000, or beside NaN, is another float than sin(x) beside x.
# The wrong guess: that a function on registers gives each lane what it would give it anywhere, as arithmetic does.
# Why it matters: results change with the batch, the width of registers and what a loop's rest is filled with, so "the
#   same bits" fails where one large angle comes in. Call it once for the lanes of each way (up to 20 pi, up to mediumpi,
#   beyond), with 0 in the others.
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
T beside(T x, T other) {
  using Batch = xsimd::batch<T>;
  T lanes[Batch::size];
  for (T& lane : lanes) lane = other;
  lanes[0] = x;
  xsimd::sin(Batch::load_unaligned(lanes)).store_unaligned(lanes);
  return lanes[0];
}
template <class T>
void show(const char* what, T most, T other) {
  int differ = 0;
  for (int i = 0; i < 10000; ++i) {
    const T x = most * (i + T(0.5)) / 10000;
    differ += beside(x, x) != beside(x, other);
  }
  std::printf("%s: %d of 10000 differ\n", what, differ);
}
int main() {
  show("float up to 60 beside 1000", 60.f, 1000.f);
  show("float up to 60 beside NaN", 60.f, std::nanf(""));
  show("float up to 60 beside 1", 60.f, 1.f);
  show("double up to 10000 beside 1e10", 1e4, 1e10);
}
CPP
g++ -std=c++17 -O2 -ffp-contract=off -mavx2 -mfma -Ipackage/usr/include probe.cpp -o probe
echo "libxsimd-dev 8.1.0-7, $(g++ --version | head -1)"
seen=$(./probe)
echo "$seen"
(($(grep -vc ": 0 of" <<<"$seen") == 3)) && grep -q "beside 1: 0 of" <<<"$seen" || { echo "changed"; exit 1; }
echo "as described: lanes depend on their neighbours"
