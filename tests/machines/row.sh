# Sourced by the scripts that run on a machine.

version() { dpkg-query --show --showformat='${Version}' "$1" | sed -E 's/^[0-9]+://; s/[+~-].*//'; }

# row NAME CLANG PASSED MINUTES [ARCHITECTURE]: the machine's row of the README's table
row() {
  local package versions=()
  for package in libxtensor-dev libxsimd-dev libfmt-dev catch2 libdnnl-dev libopenblas-dev; do
    versions+=("$(version "$package" 2>/dev/null || version "$package:${5:-}" 2>/dev/null || echo -)")
  done
  printf '| %s ' "$1" "$(g++ -dumpfullversion)" "$2" "${versions[@]}" "$3" "$4"
  echo '|'
}
