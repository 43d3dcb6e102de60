#!/usr/bin/env bash
# usage: cpp_models.sh PROGRAM COMPILER…
# Models written as C++ compile without exceptions and run-time types, use no heap, and compute what the library does.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch"
cd "$scratch"
for compiler in "${@:2}"; do
  "$compiler" -std=c++17 -O1 -fno-exceptions -fno-rtti -Wall -Wextra -Werror -c main.cpp
  if nm -uC main.o | grep -E 'malloc|calloc|operator (new|delete)|__cxa|_Unwind'; then
    echo "$compiler: uses the heap or exceptions"
    exit 1
  fi
  "$compiler" -o main main.o -lm
  ./main
done
