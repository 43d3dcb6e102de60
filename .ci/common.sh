# Shared by examples/run, tests/run, tests/benchmarks/run and .ci/run, which source it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)

# By names that Debian 12, 13 and sid, and Ubuntu, know alike: those of libraries carry version numbers.
needed=(g++ cmake make libxtensor-dev libxtensor-blas-dev libxsimd-dev libopenblas-dev libdnnl-dev libfmt-dev
  nlohmann-json3-dev zlib1g-dev libutf8proc-dev libpng-dev libjpeg-dev libzip-dev
  libeigen3-dev libcli11-dev catch2 dataset-fashion-mnist)
[[ $(uname -m) != x86_64 ]] || needed+=(libxbyak-dev)
components=(libonnx-dev libonnx-testdata libprotobuf-dev protobuf-compiler libopenmpi-dev openmpi-bin)  # xgrad::onnx, ::distributed
word_lists=(wamerican wfrench witalian wngerman wspanish)  # for examples/languages
wordnet=(wordnet-base)                                     # for examples/word2vec

# Compiled objects are found again where ccache is installed.
if [[ -z ${CMAKE_CXX_COMPILER_LAUNCHER:-} ]] && command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi

# install_missing PACKAGE…: with apt-get, what is missing of them.
install_missing() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Not a Debian system: make sure that the equivalents of these packages are installed: $*"
    return
  fi
  local package missing=() sudo=()
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null |
      grep -qx installed || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "Missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
      exit 1
    }
    sudo=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    "${missing[@]}"
}

# build PRESET [CMAKE-OPTION…] [-- TARGET…]: configures and builds in build/PRESET; all targets by default.
build() {
  local preset=$1 options=() targets=()
  shift
  while (($#)) && [[ $1 != -- ]]; do options+=("$1"); shift; done
  if (($#)); then shift; targets=(--target "$@"); fi
  mkdir -p "$root/build"
  if ! cmake -S "$root" --preset "$preset" "${options[@]}" >"$root/build/$preset.log"; then
    cat "$root/build/$preset.log"
    exit 1
  fi
  # Make also names each target that is up to date.
  cmake --build "$root/build/$preset" --parallel "$jobs" "${targets[@]}" |
    { grep --line-buffered -v '^\[ *[0-9]*%\] Built target ' || true; }
}
