#!/usr/bin/env bash
# usage: expect.sh PATTERN… -- PROGRAM ARGS…
# Runs the program; it must succeed, and its output must hold each pattern (an extended regular expression).
set -euo pipefail

patterns=()
while [[ $1 != -- ]]; do patterns+=("$1"); shift; done
shift
output=$("$@" 2>&1) || { status=$?; echo "$output"; echo "$1: exit code $status"; exit 1; }
echo "$output"
for pattern in "${patterns[@]}"; do
  grep -qE -- "$pattern" <<<"$output" || { echo "$1: no line matches '$pattern'"; exit 1; }
done
