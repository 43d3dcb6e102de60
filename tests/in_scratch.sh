#!/usr/bin/env bash
# usage: in_scratch.sh PROGRAM   runs it in a new directory, which is removed
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
"$1"
