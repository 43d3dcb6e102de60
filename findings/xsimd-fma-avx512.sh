#!/usr/bin/env bash
# xsimd 8.1.0 (Debian 12), fma(x, y, z) on batches for AVX-512.
# Behaviour: for AVX2 with FMA it is the fused instruction; for AVX-512, where the instruction is a part of the
#   instruction set, there is no version of its own, and the generic one multiplies and adds, with two roundings.
#   (A compiler that may contract makes one instruction of them again, of whichever product it likes.)
# The wrong guess: that the wider instruction set does what the narrower one does, and that fma is fused where the
#   machine has it.
# Why it matters: the same formula has other last digits on another machine, and code that relies on one rounding
#   (error-free products, argument reduction) is wrong on the newer one only. Use the intrinsic there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q libxsimd-dev=8.1.0-7 >/dev/null
dpkg-deb -x libxsimd-dev_*.deb package
cat >fma.cpp <<'CPP'
#include <xsimd/xsimd.hpp>
using Batch = xsimd::batch<float, ARCH>;
Batch f(Batch x, Batch y, Batch z) { return xsimd::fma(x, y, z); }
CPP
# The arithmetic instructions of f, for an architecture, with these flags.
instructions() {
  g++ -std=c++17 -O2 -ffp-contract=off -Ipackage/usr/include "-DARCH=$1" "${@:2}" -S fma.cpp -o - |
    grep -oE '\bv(fn?m(add|sub)|mul|add)[0-9]*ps\b' | sed -E 's/(vfmadd)[0-9]+/\1/' | paste -sd ' '
}
avx2=$(instructions 'xsimd::fma3<xsimd::avx2>' -mavx2 -mfma)
avx512=$(instructions xsimd::avx512f -mavx512f -mavx512bw -mavx512dq -mavx512cd -mfma)
echo "libxsimd-dev 8.1.0-7, $(g++ --version | head -1)"
echo "fma for AVX2 with FMA: $avx2"
echo "fma for AVX-512:       $avx512"
[[ $avx2 == vfmaddps && $avx512 == "vmulps vaddps" ]] || { echo "changed"; exit 1; }
echo "as described: two roundings on AVX-512"
