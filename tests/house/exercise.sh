#!/usr/bin/env bash
# Goes through `./ink exercise` as a reader does, in a tree of its own that holds the exercises and links to the library's sources:
# list, first failure, hints, a mistake in the code, a wrong answer, the solution, reset, another folder.
#   tests/house/exercise.sh LIBRARY     the built shared library
set -uo pipefail
cd "$(dirname "$0")/../.."
library=$1 name=01_deque wrong=0
for p in $(sed -n 's/^packages=(\(.*\))$/\1/p' ink); do
  if command -v dpkg-query >/dev/null && ! dpkg-query -W "$p" >/dev/null 2>&1; then echo "skipped: package $p is not installed"; exit 77; fi
done
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/examples/support"
cp -r ink CMakePresets.json "$tree"
cp -r examples/exercises "$tree/examples"
cp -r examples/support/exercise "$tree/examples/support"
for folder in tensor autograd nn optim include cmake docs README.md; do ln -s "$PWD/$folder" "$tree"; done
cat > "$tree/CMakeLists.txt" <<TEXT
cmake_minimum_required(VERSION 3.22)
project(exercises LANGUAGES CXX)
set(CMAKE_BUILD_TYPE Release)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY \${PROJECT_BINARY_DIR})
set(INK_QUICK_BUILD ON)
find_package(fmt REQUIRED)
include(cmake/flags.cmake)
add_library(inkstone SHARED IMPORTED)
target_compile_features(inkstone INTERFACE cxx_std_20)
target_include_directories(inkstone INTERFACE \${PROJECT_SOURCE_DIR} \${PROJECT_SOURCE_DIR}/include)
set_target_properties(inkstone PROPERTIES IMPORTED_LOCATION $library)
add_subdirectory(examples/exercises)
TEXT
cd "$tree" || exit 1
copy=build/default/exercises/$name.cpp

says() {  # WHAT STATUS PATTERN... -- COMMAND...: the command ends with the status and says all of the patterns
  local what=$1 status=$2 patterns=() said got p
  shift 2
  while [ "$1" != -- ]; do patterns+=("$1"); shift; done
  shift
  said=$("$@" 2>&1)
  got=$?
  [ "$got" = "$status" ] || { echo "exercise: $what: ended with $got, expected $status"; wrong=1; }
  for p in "${patterns[@]}"; do
    grep -qE -- "$p" <<<"$said" || { printf 'exercise: %s: does not say "%s":\n%s\n' "$what" "$p" "$said"; wrong=1; }
  done
}
write() { { sed "/^std::vector<size_t> window_argmax/q" "$copy"; printf '%s\n}\n' "$1"; } > new && mv new "$copy"; }  # a new body

says "the list at first" 0 "new +$name +where" -- ./ink exercise
says "an empty body" 1 "$name: not written yet" "first +values" "x = \[1, 3, 2, 5\]" "$name --hint" -- ./ink exercise $name
says "the list then" 0 "begun +$name" "new +04_online" -- ./ink exercise
grep -qE 'hint|solution|wrong|main' "$copy" && { echo "exercise: the copy holds more than statement and function"; wrong=1; }
says "the first hint" 0 "^hint 1 of 3" "three steps" -- ./ink exercise $name --hint
says "the second hint" 0 "^hint 2 of 3" "unsigned" -- ./ink exercise $name --hint
write '  return nothing;  // mine'
says "a mistake in the code" 2 "$copy:[0-9]+:[0-9]+: error: .*nothing" "does not compile" -- ./ink exercise $name
says "nothing but the compiler's words" 1 -- grep -E 'FAILED|ninja|cmake' <<<"$(./ink exercise $name 2>&1)"
grep -q '// mine' "$copy" || { echo "exercise: the copy was written over"; wrong=1; }
says "starting anew" 0 "kept in $copy.1" -- ./ink exercise $name --reset
grep -q '// mine' "$copy.1" || { echo "exercise: what was written is not kept"; wrong=1; }
write '  std::deque<size_t> none; return {none.front()};'
says "a crash" 1 "crashed" "property +values" "x = \[1, 3, 2, 5\]" -- ./ink exercise $name
write '  return std::vector<size_t>(x.size() - k + 1, 1);'
says "a wrong answer" 1 "$name: not solved yet" "breaks +values" "k = 2" "got +indices = \[1, 1, 1\]" "expected +indices = \[1, 1, 3\]" -- ./ink exercise $name
says "the first hint again" 0 "^hint 1 of 3" -- ./ink exercise $name --hint
says "another folder" 0 "copies stand in $tree/mine" -- ./ink exercise --path mine
[ -f "mine/$name.cpp" ] && [ -f "mine/$name.cpp.1" ] || { echo "exercise: --path left copies behind"; wrong=1; }
{ sed '/^std::vector<size_t> window_argmax/,$d' "$copy"; ./ink exercise $name --solution; } > solved.cpp && mv solved.cpp "mine/$name.cpp"
says "the solution" 0 "$name: solved" "holds +values; old samples leave; ties" "next +./ink exercise 01_" -- ./ink exercise $name
says "the list at last" 0 "solved +$name" -- ./ink exercise
echo "// another line" >> "mine/$name.cpp"
says "the list after a change" 0 "begun +$name" -- ./ink exercise
rm -rf mine
says "a folder that is gone" 2 "is gone: $tree/mine" -- ./ink exercise $name
exit $wrong
