#!/usr/bin/env bash
# usage: rules.sh [COMPILER]   the rules of the layout, and with a compiler that each public header compiles by itself;
# prints each breach and fails if there is one
set -euo pipefail
shopt -s nullglob globstar
cd "$(dirname "${BASH_SOURCE[0]}")/.."

breaches=0
breach() { echo "$1"; breaches=$((breaches + 1)); }
# forbid WHY PATTERN ALLOWED FILE…: but for files of the name ALLOWED, a pattern of grep as PATTERN is.
forbid() {
  local why=$1 pattern=$2 allowed=$3 line
  shift 3
  while read -r line; do breach "$line: $why"; done < <(grep -HnoE -- "$pattern" "$@" | grep -vE "^($allowed):")
}

headers=({autograd,nn}/**/*.hpp)
library=("${headers[@]}" {autograd,nn}/**/*.cpp)
tests=(tests/**/*.{hpp,cpp})
internal='(internal|kernels|ir|isa)/'
public=()
for file in "${headers[@]}"; do [[ $file =~ /$internal ]] || public+=("$file"); done

declare -A includes  # FILE: the headers of this project that it includes
while IFS='"' read -r file header _; do
  includes[${file%%:*}]+=" $header"
done < <(grep -HoE '^#include "[^"]+\.hpp"' "${library[@]}")

# Folders are rooms. A file includes only what is of its own room or of one before it in these lists; what stands in no
# room comes last. So no arrow leads up.
rooms=(core formulas kernels tape elementwise ops ir . module layers losses optim io data training onnx distributed)
declare -A places
for i in "${!rooms[@]}"; do places[${rooms[i]}]=$i; done
place_of() {  # FILE: sets place, to -1 if its folder is no room
  local room=${1#*/}
  [[ $room == */* ]] && room=${room%%/*} || room=.
  place=${places[$room]:--1}
  [[ ! $1 =~ ^nn/(nn|onnx|distributed).hpp$ ]] || place=${#rooms[@]}
}
for file in "${library[@]}"; do
  place_of "$file"
  own=$place
  ((own >= 0)) || breach "$file: its folder is not among the rooms of tests/rules.sh"
  for header in ${includes[$file]:-}; do
    place_of "$header"
    ((place <= own)) || breach "$file: must not include $header"
  done
done

# Headers do not include each other in a circle.
for file in "${headers[@]}"; do
  for header in ${includes[$file]:-}; do echo "$file $header"; done
done | tsort >/dev/null || breach "headers include each other in a circle"

# autograd knows nothing of nn; nn and the examples use only what is installed.
forbid "autograd must not include nn" '#include "nn/.+"' '' autograd/**/*.{hpp,cpp}
forbid "uses internals of autograd" "#include [\"<]autograd/(.+/)?$internal.+" '' nn/**/*.{hpp,cpp} examples/*.cpp

# What design.md gives one place has one.
forbid "xtensor stays at the door" '#include <(xtensor|xtl).+>' 'autograd/(array|xtensor|core/xtensor_fix).hpp' "${library[@]}"
forbid "threads are parallel_for's, autograd/core/cpu.hpp" '#pragma omp' autograd/core/cpu.cpp "${library[@]}"
forbid "BLAS and LAPACK are called in autograd/kernels/{gemm,lapack}.cpp" '\bcblas_|\b[sd](getrf|potrf|gesdd|syevd)_' \
  'autograd/kernels/(gemm|lapack).cpp' "${library[@]}"

# What a public header declares is exported, and nothing else; xtensor's names are not ours.
while read -r file pushes pops; do
  if [[ $file =~ /$internal ]]; then
    ((pushes == 0)) || breach "$file: is internal, so it must not have #pragma GCC visibility push(default)"
  else
    ((pushes == 1 && pops == 1)) ||
      breach "$file: needs #pragma GCC visibility push(default) before its namespace, and pop at its end"
  fi
done < <(awk '
  /^namespace (autograd|nn)/ { named[FILENAME] = 1 }
  /^#pragma GCC visibility push\(default\)$/ { ++pushes[FILENAME] }
  /^#pragma GCC visibility pop$/ { ++pops[FILENAME] }
  END { for (file in named) print file, pushes[file] + 0, pops[file] + 0 }' "${headers[@]}")

# The umbrella headers reach every public header.
declare -A reached
reach() {
  local header
  reached[$1]=1
  for header in ${includes[$1]:-}; do
    [[ -n ${reached[$header]:-} ]] || reach "$header"
  done
}
for umbrella in autograd/autograd.hpp nn/{nn,onnx,distributed}.hpp; do reach "$umbrella"; done
for header in "${public[@]}"; do
  [[ ! $header =~ ^autograd/(catch2|eigen|xtensor|core/kernel(_call)?).hpp$ ]] || continue  # asked for by name
  [[ -n ${reached[$header]:-} ]] || breach "$header: no umbrella header includes it"
done

# The tests look for operations in the headers that ops.hpp names; draws are none.
for header in "${public[@]}"; do
  [[ ! $header =~ ^autograd/ops/ || $header =~ /(ops|choice).hpp$ ]] ||
    [[ " ${includes[autograd/ops/ops.hpp]} " == *" $header "* ]] ||
    breach "$header: ops.hpp must include it itself, or the tests do not see its operations"
done

# A public class says what it may be asked by threads, how long it and what it refers to must live, or that it is a value;
# those with a base say what they add to it.
while read -r line; do
  breach "$line says nothing of threads and lifetime (or that it is a value)"
done < <(awk '
  FNR == 1 { inside = 0; text = "" }
  /^namespace (.*::)?detail \{/ { inside = 1 } /^}  \/\/ namespace .*detail/ { inside = 0 }
  /^\/\/\// { text = text " " tolower($0); next }
  /^(template|requires)/ { next }
  /^class [^:;]*\{$/ && !inside && text !~ /thread|live|valid |copies|copied|handle|refer|keeps|holds|share| value[.,: ]/ {
    print FILENAME ": " $2 }
  { text = "" }' "${public[@]}")

# Files that fit in a head.
while read -r file; do breach "$file: longer than 500 lines"; done < <(awk 'FNR == 501 { print FILENAME }' "${library[@]}" "${tests[@]}")
while read -r file; do
  breach "$file: an example longer than 110 lines"
done < <(awk 'FNR == 111 { print FILENAME }' examples/*.cpp)

# Functions that fit on a screen: from a line that ends with { to the } below its first letter; no tables, no text.
while read -r line; do breach "$line"; done < <(awk '
  FNR == 1 { start = raw = 0 }
  /R"\(/ && !/\)"/ { raw = 1 }
  raw { raw = !/\)"/; next }
  { match($0, /^ */) }
  /\{$/ && !/= \{$/ && (RLENGTH == 0 || RLENGTH == 2) &&
    $1 !~ /^(namespace|struct|class|enum|union|extern|if|for|while|else|do|switch|try|}|\/\/)/ {
    start = FNR; indent = RLENGTH }
  start && /^ *}/ && RLENGTH == indent {
    if (FNR - start >= 50) print FILENAME ":" start ": a function of " FNR - start + 1 " lines, more than 50"
    start = 0 }' "${library[@]}")

# Who follows the README leaves the directories of the presets alone, and no tests are no success.
while read -r directory; do
  ! grep -qE "\"name\": \"${directory#build/}\"" CMakePresets.json ||
    breach "README.md: $directory is a preset's; install from another"
done < <(sed -nE 's/.*cmake .*-B ([^ ]+).*/\1/p' README.md)
for file in tests/run .ci/run; do
  ! grep -E '^ *ctest ' "$file" | grep -v -e --no-tests=error || breach "$file: ctest without --no-tests=error"
done

# What documents name is there: files, below the root or a room, and the tests of CONTRIBUTING.md.
while IFS=: read -r file line path; do
  path=${path//\`/}
  [[ $path == build/* || $path == */FAMILY/* ]] || compgen -G "./$path*" >/dev/null ||
    compgen -G "*/$path" >/dev/null || breach "$file:$line: there is no $path"
done < <(grep -HnoE '`[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+/?`' *.md docs/*.md)
while read -r name; do
  grep -qF -- "$name" "${tests[@]}" tests/CMakeLists.txt || breach "CONTRIBUTING.md: there is no test \"$name\""
done < <(grep '^|' CONTRIBUTING.md | grep -oE '"[^"]{12,}"|`(docs|layout|package): [^`]+`' | tr -d '"`' | sort -u)

# Tests neither wait nor measure time: machines are loaded. They use the names of Catch2 3, which tests/catch.hpp gives to
# version 2.
forbid "tests neither sleep nor ask for the time" '\b(sleep_for|sleep_until|usleep|steady_clock|high_resolution_clock)\b' '' \
  tests/{autograd,nn,onnx}/**/*.{hpp,cpp}
forbid "Catch2 3 has that in Catch::Matchers" \
  'Catch::(Contains|StartsWith|EndsWith|Matches|Equals|Message|WithinAbs|WithinRel|WithinULP)\b' tests/catch.hpp "${tests[@]}"
forbid "Catch2 3 has Catch::Approx and ContainsSubstring" '(^|[^:A-Za-z_])(Approx|Contains)\(' tests/catch.hpp "${tests[@]}"

# fmt 11 has join in that header only.
while read -r file; do
  grep -q '^#include <fmt/ranges.h>' "$file" || breach "$file: fmt::join needs <fmt/ranges.h>"
done < <(grep -rl '--include=*.?pp' 'fmt::join' autograd nn tests examples findings)

# Every public header compiles by itself, without a warning; the door to Eigen where that is.
if (($#)); then
  [[ -d /usr/include/eigen3 ]] || public=("${public[@]/#autograd\/eigen.hpp/autograd/array.hpp}")
  printf '%s\n' "${public[@]}" | xargs -P "$(nproc)" -I{} \
    "$1" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I. -include {} -x c++ /dev/null ||
    breach "a public header does not compile by itself"
fi

((breaches == 0)) || exit 1
echo "${#public[@]} public headers, all rules hold"
