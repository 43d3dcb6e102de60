#!/usr/bin/env bash
# usage: isa_symbols.sh OBJECT…   objects compiled for a newer instruction set than the rest
# Fails if one defines a shared (weak) symbol whose name does not carry the instruction set: the linker may
# keep that copy for the whole program, which then crashes on older CPUs.
set -euo pipefail

(($# > 0)) || { echo "isa_symbols: no objects given"; exit 2; }
shared=$(nm --print-file-name --defined-only "$@" | awk '$(NF-1) ~ /^[WVu]$/' |
  grep -vE ' ([^ ]*(avx2|fma3|avx512)[^ ]*|DW\.ref\..*)$' || true)  # DW.ref: pointers of the C++ runtime
if [[ -n $shared ]]; then
  echo "shared symbols without the name of an instruction set:"
  c++filt <<<"$shared"
  exit 1
fi
echo "$# objects, no shared symbols"
