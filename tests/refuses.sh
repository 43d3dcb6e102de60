#!/usr/bin/env bash
# usage: refuses.sh TEXT COMPILER ARGS…   the compiler must fail, and its first error must hold the text
set -euo pipefail

text=$1
shift
errors=$("$@" 2>&1) && { echo "compiles: $*"; exit 1; }
first=$(grep -m1 'error:' <<<"$errors")
[[ $first == *"$text"* ]] || { echo "the first error is: $first"; exit 1; }
