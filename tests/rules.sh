#!/usr/bin/env bash
# usage: rules.sh COMPILER   the rules of the layout; prints each breach and fails if there is one
set -euo pipefail
shopt -s nullglob globstar
cd "$(dirname "${BASH_SOURCE[0]}")/.."

breaches=0
breach() { echo "$1"; breaches=$((breaches + 1)); }
# includes FILE: the headers of this project that it includes.
includes() { sed -nE 's/^#include "(.+\.hpp)"/\1/p' "$1"; }

# Folders are rooms. A file includes only what is of its own room or of one before it in these lists; what stands in no
# room comes last. So no arrow leads up.
rooms=(core formulas kernels tape elementwise ops ir '' module layers losses optim io data training onnx distributed)
room_of() {  # FILE: its place in the list, -1 if it is not there
  local room=${1#*/} i
  [[ $room == */* ]] && room=${room%%/*} || room=''
  [[ ! $1 =~ ^nn/(nn|onnx|distributed).hpp$ ]] || { echo "${#rooms[@]}"; return; }
  for i in "${!rooms[@]}"; do [[ ${rooms[i]} != "$room" ]] || { echo "$i"; return; }; done
  echo -1
}
for file in {autograd,nn}/**/*.{hpp,cpp}; do
  own=$(room_of "$file")
  ((own >= 0)) || breach "$file: its folder is not among the rooms of tests/rules.sh"
  for included in $(includes "$file"); do
    (($(room_of "$included") <= own)) || breach "$file: must not include $included"
  done
done

# Headers do not include each other in a circle.
for file in {autograd,nn}/**/*.hpp; do includes "$file" | sed "s#^#$file #"; done | tsort >/dev/null ||
  breach "headers include each other in a circle"

# autograd knows nothing of nn; nn and the examples use only what is installed.
internal='(internal|kernels|ir|isa)/'
for file in autograd/**/*.{hpp,cpp}; do
  ! grep -Hn '#include "nn/' "$file" || breach "$file: autograd must not include nn"
done
for file in nn/**/*.{hpp,cpp} examples/*.cpp; do
  ! grep -HnE "#include [\"<]autograd/(.+/)?$internal" "$file" || breach "$file: uses internals of autograd"
done

# Of the public headers only the door brings in xtensor.
public=()
for file in {autograd,nn}/**/*.hpp; do [[ $file =~ /$internal ]] || public+=("$file"); done
for file in "${public[@]}"; do
  [[ $file =~ ^autograd/(array|xtensor|core/xtensor_fix).hpp$ ]] || ! grep -HnE '#include <(xtensor|xtl)' "$file" ||
    breach "$file: includes xtensor"
done

# What a public header declares is exported, and nothing else; xtensor's names are not ours.
for file in {autograd,nn}/**/*.hpp; do
  grep -qE '^namespace (autograd|nn)' "$file" || continue
  pushes=$(grep -cE '^#pragma GCC visibility push\(default\)$' "$file" || true)
  pops=$(grep -cE '^#pragma GCC visibility pop$' "$file" || true)
  if [[ $file =~ /$internal ]]; then
    ((pushes == 0)) || breach "$file: is internal, so it must not have #pragma GCC visibility push(default)"
  else
    ((pushes == 1 && pops == 1)) ||
      breach "$file: needs #pragma GCC visibility push(default) before its namespace, and pop at its end"
  fi
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
for umbrella in autograd/autograd.hpp nn/{nn,onnx,distributed}.hpp; do
  reached[$umbrella]=1
  [[ ! -f $umbrella ]] || reach "$umbrella"
done
for header in "${public[@]}"; do
  [[ ! $header =~ ^autograd/(catch2|eigen|xtensor|core/kernel(_call)?).hpp$ ]] || continue  # asked for by name
  [[ -n ${reached[$header]:-} ]] || breach "$header: no umbrella header includes it"
done

# The tests look for operations in the headers that ops.hpp names; draws are none.
for header in "${public[@]}"; do
  [[ ! $header =~ ^autograd/ops/ || $header =~ /(ops|choice).hpp$ ]] ||
    grep -qF "#include \"$header\"" autograd/ops/ops.hpp ||
    breach "$header: ops.hpp must include it itself, or the tests do not see its operations"
done

# A public class says what it may be asked by threads, how long it and what it refers to must live, or that it is a value;
# those with a base say what they add to it.
unsaid() {
  awk '/^namespace (.*::)?detail \{/ { inside = 1 } /^}  \/\/ namespace .*detail/ { inside = 0 }
    /^\/\/\// { text = text " " tolower($0); next }
    /^(template|requires)/ { next }
    /^class [^:;]*\{$/ && !inside && text !~ /thread|live|valid |copies|copied|handle|refer|keeps|holds|share| value[.,: ]/ {
      print $2 }
    { text = "" }' "$1"
}
for file in "${public[@]}"; do
  for class in $(unsaid "$file"); do
    breach "$file: $class says nothing of threads and lifetime (or that it is a value)"
  done
done

# Files that fit in a head.
for file in {autograd,nn,tests}/**/*.{hpp,cpp}; do
  (($(wc -l <"$file") <= 500)) || breach "$file: longer than 500 lines"
done
for file in examples/*.cpp; do
  (($(wc -l <"$file") <= 110)) || breach "$file: an example longer than 110 lines"
done

# Who follows the README leaves the directories of the presets alone, and no tests are no success.
while read -r directory; do
  ! grep -qE "\"name\": \"${directory#build/}\"" CMakePresets.json ||
    breach "README.md: $directory is a preset's; install from another"
done < <(sed -nE 's/.*cmake .*-B ([^ ]+).*/\1/p' README.md)
for file in tests/run .ci/run; do
  ! grep -E '^ *ctest ' "$file" | grep -v -e --no-tests=error || breach "$file: ctest without --no-tests=error"
done

# Tests use the names of Catch2 3, which tests/catch.hpp gives to version 2.
while read -r line; do
  breach "$line: Catch2 3 has that in Catch::Matchers"
done < <(grep -rnoE 'Catch::(Contains|StartsWith|EndsWith|Matches|Equals|Message|WithinAbs|WithinRel|WithinULP)\b' tests '--include=*.?pp' |
  grep -v ^tests/catch.hpp)
while read -r line; do
  breach "$line: Catch2 3 has Catch::Approx and ContainsSubstring"
done < <(grep -rnoE '(^|[^:A-Za-z_])(Approx|Contains)\(' tests '--include=*.?pp' | grep -v ^tests/catch.hpp)

# fmt 11 has join in that header only.
while read -r file; do
  grep -q '^#include <fmt/ranges.h>' "$file" || breach "$file: fmt::join needs <fmt/ranges.h>"
done < <(grep -rl '--include=*.?pp' 'fmt::join' autograd nn tests examples findings)

# Every public header compiles by itself, without a warning; the door to Eigen where that is.
[[ -d /usr/include/eigen3 ]] || public=("${public[@]/#autograd\/eigen.hpp/autograd/array.hpp}")
printf '%s\n' "${public[@]}" | xargs -P "$(nproc)" -I{} \
  "$1" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I. -include {} -x c++ /dev/null ||
  breach "a public header does not compile by itself"

((breaches == 0)) || exit 1
echo "${#public[@]} public headers, all rules hold"
