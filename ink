#!/usr/bin/env bash
# ink - the one script: sets up the machine, builds, and runs lessons, tests and benchmarks. See `./ink --help`.
set -euo pipefail
cd "$(dirname "$0")"
# An inherited core type can halve every matrix product; the library chooses for itself (INK_BLAS_CORETYPE overrides).
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

# What the library and the lessons need (md4c, KaTeX and Graphviz for their pages); what tests and the simulator of CUDA devices need besides.
packages=(cmake g++ ninja-build ccache libopenblas0-pthread libfmt-dev zlib1g-dev libpcre2-dev nlohmann-json3-dev libmd4c-dev libjs-katex graphviz)
test_packages=(catch2 libboost-context-dev pkg-config)
simulator_packages=(libboost-context-dev)

usage() {
  cat <<'TEXT'
ink - learn deep learning by stepping through it

  ./ink demo [flags]        build and run every lesson with --quick, one after the other, and write the gallery out/index.html
  ./ink test [preset]       build and run all tests (sanitize: with AddressSanitizer and UBSan; cuda: on a GPU); fuzz: every reader with
                            hostile files, 60 s each, with sanitizers
  ./ink list                the lessons, one line each
  ./ink run NAME [flags]    build and run one lesson; `./ink run NAME --help` lists its flags
  ./ink site                write the pages of the lessons that were run, and the gallery, anew: after an edit in docs/notes
  ./ink exercise [NAME]     the exercises and what is solved of them; with a name: builds yours and checks it. --hint shows the next hint,
                            --solution one solution, --reset starts anew (yours is kept), --path FOLDER keeps your copies there
  ./ink bench [flags]       time ops and training steps, beside PyTorch with --peer python3
  ./ink generate [flags]    a checkpoint in a folder writes on: --model FOLDER --prompt TEXT (docs/pretrained.md); --help lists the rest
  ./ink docs                run the lessons and fill their figures into docs/notes/
  ./ink doctor              what this machine offers, with advice
  ./ink build [preset]      only build: default (kernels for this CPU), release (for every CPU), sanitize, debug, cuda;
                            `./ink build simulator`: the simulator of CUDA devices, for lessons with --device cuda
  ./ink --help              this text

Set-up is part of every command: missing packages are installed by apt (as root or with sudo), then CMake and Ninja build in
build/<preset>, by the compiler in CXX if it is set. INK_NUM_THREADS sets the number of threads, INK_JOBS the number of compiler processes.
Kernels for NVIDIA GPUs run in a simulator on any machine (`--device cuda`); with a GPU and nvcc, `./ink build cuda` builds for it, and
tests/gpu.sh tests and times it.
TEXT
}

say() { if [ -t 2 ]; then printf '\033[2m%s\033[0m\n' "$*" >&2; else printf '%s\n' "$*" >&2; fi; }
die() { printf 'ink: %s\n' "$*" >&2; exit 2; }

# Installs what is missing of the packages named; without root or sudo it prints the line to type and stops.
setup() {
  local missing=() p
  if ! command -v dpkg-query >/dev/null; then
    command -v cmake >/dev/null && command -v c++ >/dev/null || die "needs cmake, ninja, a C++20 compiler, OpenBLAS, fmt, zlib (md4c, KaTeX, Graphviz for pages); for tests Catch2 and Boost.Context; install them with your package manager"
    return 0
  fi
  for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as_root=(env DEBIAN_FRONTEND=noninteractive)
  local install=(apt-get install -y --no-install-recommends "${missing[@]}")
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then as_root=(sudo "${as_root[@]}")
    else die "packages are missing; as root, run: apt-get update && ${install[*]}"; fi
  fi
  say "installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" "${install[@]}" -qq >&2
}

# configure PRESET [lessons|simulator|tests]: what a build folder holds grows with what is asked of it; what is built stays built.
configure() {
  local preset=$1 wants=${2:-tests} dir=build/$1 options=() fresh=()
  case "$wants" in
    lessons) setup "${packages[@]}" ;;
    simulator) setup "${packages[@]}" "${simulator_packages[@]}" ;;
    tests) setup "${packages[@]}" "${test_packages[@]}" ;;
  esac
  local cpu was_cxx="" was_cpu=""
  cpu=$(grep -m1 '^flags' /proc/cpuinfo 2>/dev/null | cksum)
  if [ -f "$dir/build.ninja" ]; then
    [ -f "$dir/ink.configured" ] && { read -r was_cxx; read -r was_cpu; } < "$dir/ink.configured"
    if [ "${was_cxx:-CXX=${CXX:-}}" != "CXX=${CXX:-}" ]; then
      say "the compiler is another than last time: $dir is configured anew"
      fresh=(--fresh)
    else
      # Only what is missing is switched on.
      [ "$wants" = tests ] && grep -q '^INK_BUILD_TESTS:BOOL=OFF' "$dir/CMakeCache.txt" && options+=(-DINK_BUILD_TESTS=ON)
      [ "$wants" != lessons ] && grep -q '^INK_CUDA:STRING=OFF' "$dir/CMakeCache.txt" && options+=(-DINK_CUDA=SIM)
      [ ${#options[@]} -eq 0 ] && [ "$was_cpu" = "$cpu" ] && return 0
      cmake "$dir" "${options[@]}" >&2
      printf 'CXX=%s\n%s\n' "${CXX:-}" "$cpu" > "$dir/ink.configured"
      return 0
    fi
  fi
  if [ "$preset" = default ]; then
    [ "$wants" = lessons ] && options=(-DINK_BUILD_TESTS=OFF -DINK_CUDA=OFF)
    [ "$wants" = simulator ] && options=(-DINK_BUILD_TESTS=OFF)
  fi
  cmake "${fresh[@]}" --preset "$preset" "${options[@]}" >&2
  printf 'CXX=%s\n%s\n' "${CXX:-}" "$cpu" > "$dir/ink.configured"
}

# build PRESET WANTS [TARGET...]
build() {
  local preset=$1 wants=$2; shift 2
  configure "$preset" "$wants"
  cmake --build "build/$preset" -j "${INK_JOBS:-$(nproc)}" ${1:+--target "$@"} >&2
}

# Reads a build's output: how far it is and how long it will take, on one line of a terminal or in a line every 10 s. What went wrong is
# printed at its end.
progress() {
  local label=$1 line now shown=$SECONDS begin=$SECONDS log=()
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      local at=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
      now=$SECONDS
      if [ -t 2 ]; then printf '\r\033[K\033[2m%s: building, %d of %d, about %d s left\033[0m' "$label" "$at" "$all" $(((now - begin) * (all - at) / at)) >&2
      elif [ $((now - shown)) -ge 10 ]; then printf '%s: building, %d of %d, about %d s left\n' "$label" "$at" "$all" $(((now - begin) * (all - at) / at)) >&2; shown=$now; fi
      [[ $line == *FAILED* ]] && log+=("$line")
    else
      log+=("$line")
    fi
  done
  [ -t 2 ] && printf '\r\033[K' >&2
  failed=("${log[@]}")
}

# The lessons in the order of the README's table, and what is said of each there.
lessons() { sed -n 's/^| `\([0-9][0-9a-z_]*\)` | .* |$/\1/p' README.md; }
about() { sed -n "s/^| \`$1\` | \(.*\) |\$/\1/p" README.md | tr -d '*\`'; }  # as text: without Markdown's signs

# What a lesson's flags ask of the build.
wants_of() {
  local flag
  for flag in "$@"; do [[ $flag == cuda* || $flag == --device=cuda* ]] && { echo simulator; return; }; done
  [[ ${INK_DEVICE:-} == cuda* ]] && echo simulator || echo lessons
}
with_simulator() { [ "$1" = simulator ] && grep -q '^INK_CUDA:STRING=SIM' build/default/CMakeCache.txt && echo inkstone_sim || true; }

# demo FLAGS...: every lesson is built and run before the next one is.
demo() {
  local wants names=() name count=0 broken=() status
  wants=$(wants_of "$@")
  configure default "$wants"
  mapfile -t names < <(lessons)
  for name in "${names[@]}"; do
    count=$((count + 1))
    local left=""
    # The first lesson waits for the library; the later ones are alike.
    [ $count -eq 2 ] && first=$SECONDS
    [ $count -gt 2 ] && left=", about $(((SECONDS - first) * (${#names[@]} - count + 1) / (count - 2))) s to go"
    say "lesson $count of ${#names[@]}: $name, $SECONDS s so far$left"
    failed=()
    status=0
    set +e
    # shellcheck disable=SC2046
    progress "$name" < <(cmake --build build/default -j "${INK_JOBS:-$(nproc)}" --target "$name" $(with_simulator "$wants") 2>&1; echo "ink-status $?")
    set -e
    [[ ${failed[-1]:-} == "ink-status 0" ]] || { printf '%s\n' "${failed[@]}" >&2; die "$name was not built"; }
    "build/default/$name" --quick "$@" || broken+=("$name")
  done
  cmake --build build/default --target ink_site >/dev/null
  build/default/ink_site --out out
  if [ ${#broken[@]} -gt 0 ]; then printf 'lessons whose claims failed: %s\n' "${broken[*]}" >&2; fi
  printf 'gallery: %s\n' "$PWD/out/index.html"
  say "$SECONDS s in all"
  [ ${#broken[@]} -eq 0 ]
}

# ---- exercises: the originals in examples/exercises/, a reader's copies in build/default/exercises, what was shown and solved in .state there.
originals=examples/exercises
copies=build/default/exercises
original() { printf "%s/%s/%s.cpp" "$originals" "${1%%_*}" "$1"; }
# Their names in the order of the notes, and of their second lines: "// Note: docs/notes/04_flash_attention.md, exercise 1".
exercises() {
  awk 'FNR == 2 { name = FILENAME; sub(/.*\//, "", name); sub(/\.cpp$/, "", name); print $3, $5, name }' "$originals"/*/*.cpp | sort -k1,1 -k2,2n | cut -d' ' -f3
}
# region NAME KIND [N]: the Nth part of an exercise between `//[ KIND` and `//]`; part N of none is empty.
region() {
  awk -v kind="$2" -v wanted="${3:-1}" '/^\/\/\]/ { inside = 0 } inside { print } $1 == "//[" && $2 == kind && ++n == wanted { inside = 1 }' \
    "$(original "$1")"
}
sum_of() { cksum < "$copies/$1.cpp"; }
state_of() {
  [ -f "$copies/$1.cpp" ] || { echo new; return; }
  if [ -f "$copies/.state/$1.solved" ] && [ "$(sum_of "$1")" = "$(cat "$copies/.state/$1.solved")" ]; then echo solved; else echo begun; fi
}

list_exercises() {
  local name note last="" heading state all=0 solved=0
  for name in $(exercises); do
    note=$(sed -n '2s|^// Note: \(.*\), .*|\1|p' "$(original "$name")")
    heading=$(head -n 1 "$note")
    [ "$heading" = "$last" ] || printf '%s\n' "${last:+
}${heading#\# }"
    last=$heading
    state=$(state_of "$name") all=$((all + 1))
    [ "$state" != solved ] || solved=$((solved + 1))
    printf '  %-7s %-24s %s\n' "$state" "$name" "$(sed -n '1s|^// Exercise: \(.*\)\.$|\1|p' "$(original "$name")")"
  done
  printf '\n%d of %d solved\n' "$solved" "$all"
}

# The names of exercises that are nearest to a word: those that contain it, or else those that few changes of letters turn into it.
nearest() {
  exercises | awk -v word="$1" '
    function distance(a, b,   i, j, cost, row, before, diagonal) {
      for (j = 0; j <= length(b); ++j) row[j] = j
      for (i = 1; i <= length(a); ++i) {
        diagonal = row[0]; row[0] = i
        for (j = 1; j <= length(b); ++j) {
          before = row[j]
          cost = diagonal + (substr(a, i, 1) != substr(b, j, 1))
          if (row[j] + 1 < cost) cost = row[j] + 1
          if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1
          row[j] = cost; diagonal = before
        }
      }
      return row[length(b)]
    }
    { short = $0; sub(/^[0-9]*_/, "", short)
      d = distance(word, $0); e = distance(word, short)
      print (index($0, word) ? 0 : (d < e ? d : e)) " " $0 }' | sort -n -k1,1 -s |
    awk 'NR == 1 { least = $1 } $1 == 0 || (least > 0 && NR <= 3) { printf "%s%s", (NR > 1 ? ", " : ""), $2 }'
}

# The reader's copy, made once and never written again: the statement and the function without its body.
copy_exercise() {
  mkdir -p "$copies/.state"
  [ -f "$copies/$1.cpp" ] && return 0
  sed -f "$originals/copy.sed" "$(original "$1")" > "$copies/$1.cpp"
  say "your copy: $copies/$1.cpp"
}

# keep_in FOLDER: from now on the copies stand there; build/default/exercises is a link to it. What it held moves along.
keep_in() {
  local folder f
  [ -d "$copies" ] || rm -f "$copies"  # a link to a folder that is gone
  mkdir -p "$1" 2>/dev/null || die "--path: cannot make the folder $1"
  folder=$(cd "$1" && pwd)
  mkdir -p "$copies/.state" "$folder/.state"
  [ "$(cd "$copies" && pwd -P)" = "$(cd "$folder" && pwd -P)" ] && return 0
  if [ ! -L "$copies" ]; then
    for f in "$copies"/*.cpp* "$copies"/.state/*; do
      [ -f "$f" ] || continue
      local to=$folder/${f#"$copies"/}
      [ ! -e "$to" ] || die "$to and $PWD/$f both exist; move one of them away first"
    done
    for f in "$copies"/*.cpp* "$copies"/.state/*; do [ ! -f "$f" ] || mv "$f" "$folder/${f#"$copies"/}"; done
    rmdir "$copies/.state" "$copies"
  fi
  ln -sfn "$folder" "$copies"
  say "your copies stand in $folder"
}

# Starts an exercise anew; what was written is kept beside it under the next free number.
reset_exercise() {
  local i=1
  [ -f "$copies/$1.cpp" ] || { say "$1 was not begun"; copy_exercise "$1"; return; }
  while [ -e "$copies/$1.cpp.$i" ]; do i=$((i + 1)); done
  mv "$copies/$1.cpp" "$copies/$1.cpp.$i"
  rm -f "$copies/.state/$1.hints" "$copies/.state/$1.solved"
  say "what you wrote is kept in $copies/$1.cpp.$i"
  copy_exercise "$1"
}

# Each call shows one hint more; after the last it begins again.
show_hint() {
  local shown=0 all
  mkdir -p "$copies/.state"
  all=$(grep -c '^//\[ hint' "$(original "$1")")
  [ -f "$copies/.state/$1.hints" ] && shown=$(cat "$copies/.state/$1.hints")
  shown=$((shown % all + 1))
  printf 'hint %d of %d\n' "$shown" "$all"
  region "$1" hint "$shown" | sed 's|^// \{0,1\}||'
  echo "$shown" > "$copies/.state/$1.hints"
  [ "$shown" -lt "$all" ] || say "that was the last one; ./ink exercise $1 --solution shows a solution"
}

# After one is solved: the next one of its note, else the first one that is not solved.
next_exercise() {
  local name
  for name in $(exercises | grep "^${1%%_*}_") $(exercises); do
    [ "$(state_of "$name")" = solved ] || { printf '\n  next      ./ink exercise %s\n' "$name"; return 0; }
  done
}

# Builds the copy with the checks and runs them.
check_exercise() {
  local name=$1 failed=()
  copy_exercise "$name"
  configure default lessons
  progress "$name" < <(cmake --build build/default -j "${INK_JOBS:-$(nproc)}" --target "exercise_$name" 2>&1; echo "ink-status $?")
  # Of what the build said, only what the compiler says.
  printf '%s\n' "${failed[@]}" | grep -vE '^(ninja|FAILED|ink-status|\[|--)|^[^ ]*(cmake|ccache|\+\+)[^ ]* .* -c ' >&2 || true
  [[ ${failed[-1]:-} == "ink-status 0" ]] || die "$copies/$name.cpp does not compile"
  if "build/default/exercise_$name"; then
    sum_of "$name" > "$copies/.state/$name.solved"
    next_exercise "$name"
  else
    rm -f "$copies/.state/$name.solved"
    printf '\n  yours     %s\n  hint      ./ink exercise %s --hint\n' "$copies/$name.cpp" "$name"
    return 1
  fi
}

# exercise [NAME] [--hint | --solution | --reset] [--path FOLDER]
exercise() {
  local name="" what=check
  while [ $# -gt 0 ]; do
    case "$1" in
      --hint|--solution|--reset) what=${1#--} ;;
      --path)
        [ $# -gt 1 ] || die "--path needs a folder"
        case "$2" in /*) keep_in "$2" ;; *) keep_in "$OLDPWD/$2" ;; esac  # this script has left the folder it was called from
        shift ;;
      -*) die "exercise: unknown flag '$1'; there are --hint, --solution, --reset and --path FOLDER" ;;
      *) [ -z "$name" ] || die "exercise: one name at a time"; name=$1 ;;
    esac
    shift
  done
  [ ! -L "$copies" ] || [ -d "$copies" ] || die "the folder of your copies is gone: $(readlink "$copies"); name another by --path"
  if [ -z "$name" ]; then
    [ "$what" = check ] || die "--$what of which exercise? \`./ink exercise\` lists them"
    list_exercises
    return
  fi
  [ -f "$(original "$name")" ] || die "no exercise '$name'; the nearest: $(nearest "$name")"
  case "$what" in
    check) check_exercise "$name" ;;
    hint) show_hint "$name" ;;
    solution) region "$name" solution ;;
    reset) reset_exercise "$name" ;;
  esac
}

command=${1:-}
[ $# -gt 0 ] && shift
case "$command" in
  ''|-h|--help|help) usage ;;
  build)
    if [ "${1:-}" = simulator ]; then build default simulator inkstone_sim; else build "${1:-default}" tests; fi ;;
  configure) configure "${1:-default}" tests ;;  # what build does first
  test)
    preset=${1:-default}
    if [ "$preset" = fuzz ]; then
      build sanitize tests fuzz_read
      exec build/sanitize/fuzz_read "${2:-60}"
    fi
    build "$preset" tests
    ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" ;;
  list)
    for name in $(lessons); do printf '%-24s %s\n' "$name" "$(about "$name")"; done ;;
  run)
    [ $# -gt 0 ] || die "run what? \`./ink list\` shows the lessons"
    name=$1; shift
    [ -f "examples/$name/main.cpp" ] || die "no lesson '$name'; \`./ink list\` shows them"
    wants=$(wants_of "$@")
    configure default "$wants"
    # shellcheck disable=SC2046
    build default "$wants" "$name" $(with_simulator "$wants")
    exec "build/default/$name" "$@" ;;
  demo) demo "$@" ;;
  site)
    build default lessons ink_site
    build/default/ink_site --out out "$@"
    printf 'gallery: %s\n' "$PWD/out/index.html" ;;
  exercise) exercise "$@" ;;
  bench) build default tests ink_bench; exec build/default/ink_bench "$@" ;;
  docs)
    names=$(lessons)
    # shellcheck disable=SC2086
    build default lessons $names ink_docs
    for name in $names; do "build/default/$name" --quick "$@"; done
    build/default/ink_docs docs/notes out ;;
  generate) build default lessons ink_generate; exec build/default/ink_generate "$@" ;;
  doctor) build default lessons ink_doctor; exec build/default/ink_doctor "$@" ;;
  *) usage >&2; die "unknown command '$command'" ;;
esac
