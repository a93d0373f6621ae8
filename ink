#!/usr/bin/env bash
# ink - the one script: sets up the machine, builds, and runs lessons, tests and benchmarks. See `./ink --help`.
set -euo pipefail
cd "$(dirname "$0")"
# An inherited core type can halve every matrix product; the library chooses for itself (INK_BLAS_CORETYPE overrides).
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

packages=(cmake g++ ninja-build ccache pkg-config libopenblas-dev libfmt-dev zlib1g-dev catch2 libboost-context-dev)

usage() {
  cat <<'TEXT'
ink - learn deep learning by stepping through it

  ./ink demo [flags]        run every lesson with --quick and write the gallery out/index.html
  ./ink test [preset]       build and run all tests (sanitize: with AddressSanitizer and UBSan; cuda: on a GPU)
  ./ink list                the lessons, one line each
  ./ink run NAME [flags]    build and run one lesson; `./ink run NAME --help` lists its flags
  ./ink bench [flags]       time ops and training steps, beside PyTorch with --peer python3
  ./ink docs                run the lessons and fill their figures into docs/notes/
  ./ink doctor              what this machine offers, with advice
  ./ink build [preset]      only build (presets: default, sanitize, debug, cuda)
  ./ink --help              this text

Set-up is part of every command: missing packages are installed by apt (as root or with sudo), then CMake and Ninja build in
build/<preset>. INK_NUM_THREADS sets the number of threads, INK_JOBS the number of compiler processes. Kernels for NVIDIA GPUs run in a simulator on any
machine (`--device cuda`); with a GPU and nvcc, `./ink build cuda` builds for it, and tests/gpu.sh tests and times it.
TEXT
}

say() { printf '\033[2m%s\033[0m\n' "$*" >&2; }
die() { printf 'ink: %s\n' "$*" >&2; exit 2; }

# Installs what is missing; without root or sudo it prints the line to type and stops.
setup() {
  local missing=()
  if ! command -v dpkg-query >/dev/null; then
    command -v cmake >/dev/null && command -v c++ >/dev/null || die "needs cmake, a C++20 compiler, OpenBLAS, fmt, zlib and Catch2; install them with your package manager"
    return 0
  fi
  for p in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local line="apt-get install -y --no-install-recommends ${missing[*]}"
  local sudo=""
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo"; elif command -v sudo >/dev/null && [ -t 0 ]; then sudo="sudo";
    else die "packages are missing; as root, run: apt-get update && $line"; fi
  fi
  say "installing: ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo $line >&2
}

build() {
  local preset=$1; shift
  setup
  local dir=build/$preset
  [ -f "$dir/build.ninja" ] || cmake --preset "$preset" >&2
  cmake --build "$dir" -j "${INK_JOBS:-$(nproc)}" "$@" >&2
}

lessons() { for f in examples/[0-9]*.cpp; do basename "$f" .cpp; done; }

command=${1:-}
[ $# -gt 0 ] && shift
case "$command" in
  ''|-h|--help|help) usage ;;
  build) build "${1:-default}" ;;
  test)
    preset=${1:-default}
    build "$preset"
    ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" ;;
  list)
    for f in examples/[0-9]*.cpp; do printf '%-26s %s\n' "$(basename "$f" .cpp)" "$(sed -n '1s|^// *||p' "$f")"; done ;;
  run)
    [ $# -gt 0 ] || die "run what? \`./ink list\` shows the lessons"
    name=$1; shift
    [ -f "examples/$name.cpp" ] || die "no lesson '$name'; \`./ink list\` shows them"
    build default --target "$name"
    exec "build/default/$name" "$@" ;;
  demo)
    build default
    failed=()
    for name in $(lessons); do "build/default/$name" --quick "$@" || failed+=("$name"); done
    build/default/ink_gallery --out out
    if [ ${#failed[@]} -gt 0 ]; then printf 'lessons whose claims failed: %s\n' "${failed[*]}" >&2; fi
    printf 'gallery: %s\n' "$PWD/out/index.html"
    [ ${#failed[@]} -eq 0 ] ;;
  bench) build default --target ink_bench; exec build/default/ink_bench "$@" ;;
  docs)
    build default
    for name in $(lessons); do "build/default/$name" --quick "$@"; done
    build/default/ink_docs docs/notes out ;;
  doctor) build default --target ink_doctor; exec build/default/ink_doctor "$@" ;;
  *) usage >&2; die "unknown command '$command'" ;;
esac
