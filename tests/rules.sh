#!/usr/bin/env bash
# usage: rules.sh COMPILER   the rules of the layout; prints each breach and fails if there is one
set -euo pipefail
shopt -s nullglob globstar
cd "$(dirname "${BASH_SOURCE[0]}")/.."

breaches=0
breach() { echo "$1"; breaches=$((breaches + 1)); }
# includes FILE: the headers of this project that it includes.
includes() { sed -nE 's/^#include "(.+\.hpp)"/\1/p' "$1"; }

# Each header of autograd includes only what stands before it in this list.
layers=(errors memory inline_vector dtype shape storage tensor trace xtensor_fix array random graph grad_mode tape pointwise reductions
  movement indexing linalg fused ops cpu simd special simd_math formulas
  function elementwise functional gradcheck catch2 checkpoint compile autograd)
rank() {
  local i
  for i in "${!layers[@]}"; do [[ autograd/${layers[i]}.hpp != "$1" ]] || { echo "$i"; return; }; done
  echo none
}
for header in autograd/*.hpp; do
  own=$(rank "$header")
  [[ $own != none ]] || { breach "$header: has no place in the layers of tests/rules.sh"; continue; }
  for included in $(includes "$header"); do
    other=$(rank "$included")
    [[ $other != none ]] && ((other < own)) || breach "$header: must not include $included"
  done
done

# autograd knows nothing of nn; nn uses only the public headers of autograd.
for file in autograd/**/*.{hpp,cpp}; do
  ! grep -Hn '#include "nn/' "$file" || breach "$file: autograd must not include nn"
done
for file in nn/**/*.{hpp,cpp} examples/*.cpp; do
  ! grep -HnE '#include ["<]autograd/.+/' "$file" || breach "$file: uses internals of autograd"
done

# Of the public headers only the door brings in xtensor.
public=(autograd/*.hpp)
for file in nn/**/*.hpp; do [[ $file == */isa/* ]] || public+=("$file"); done
for file in "${public[@]}"; do
  [[ $file =~ ^autograd/(array|xtensor_fix).hpp$ ]] || ! grep -HnE '#include <(xtensor|xtl)' "$file" ||
    breach "$file: includes xtensor"
done

# The umbrella headers reach every public header.
declare -A reached
reach() {
  local header
  for header in $(includes "$1"); do
    [[ -n ${reached[$header]:-} ]] && continue
    reached[$header]=1
    [[ ! -f $header ]] || reach "$header"
  done
}
for room in autograd nn; do
  reached[$room/$room.hpp]=1
  [[ ! -f $room/$room.hpp ]] || reach "$room/$room.hpp"
done
for header in "${public[@]}"; do
  [[ $header != autograd/catch2.hpp ]] || continue  # needs Catch2, so it is asked for by name
  [[ -n ${reached[$header]:-} ]] || breach "$header: no umbrella header includes it"
done

# Files that fit in a head.
for file in {autograd,nn,tests}/**/*.{hpp,cpp}; do
  (($(wc -l <"$file") <= 500)) || breach "$file: longer than 500 lines"
done
for file in examples/*.cpp; do
  (($(wc -l <"$file") <= 100)) || breach "$file: an example longer than 100 lines"
done

# Every public header compiles by itself, without a warning.
printf '%s\n' "${public[@]}" | xargs -P "$(nproc)" -I{} \
  "$1" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I. -include {} -x c++ /dev/null ||
  breach "a public header does not compile by itself"

((breaches == 0)) || exit 1
echo "${#public[@]} public headers, all rules hold"
