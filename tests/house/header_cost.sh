#!/usr/bin/env bash
# What <inkstone/ink.h> costs: a 20-line program with it, against a file that includes only the standard headers such a
# program needs. At most 1.5 times.
#   tests/house/header_cost.sh [compiler] [runs]     user CPU seconds, best of RUNS turns, taken alternately
#   tests/house/header_cost.sh --check [compiler]    memory that g++ allocates while it compiles, which is the same every time
#                                                    and goes with its time; fails above 1.5, 77 with another compiler
set -euo pipefail
check=0
if [ "${1:-}" = --check ]; then check=1; shift; fi
root=$(cd "$(dirname "$0")/../.." && pwd)
cxx=${1:-c++} runs=${2:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$root/tests/outside/train.cpp" "$work/ink.cpp"
cat > "$work/std.cpp" <<'CPP'
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct Layer {
  std::string name;
  std::vector<float> weight;
};
int main() {
  std::vector<std::unique_ptr<Layer>> net;
  for (int i = 0; i < 3; ++i) net.push_back(std::make_unique<Layer>(Layer{"linear" + std::to_string(i), std::vector<float>(32)}));
  double total = 0;
  for (auto& layer : net)
    for (float w : std::span(layer->weight)) total += std::exp(double(w));
  std::printf("%s %.4f\n", net[0]->name.c_str(), total);
}
CPP
compile() { "$cxx" -std=c++20 -O2 -I"$root" -I"$root/include" -c "$1" -o "$work/out.o" "${@:2}" 2> "$work/errors" || { cat "$work/errors" >&2; exit 1; }; }
if [ $check = 1 ]; then
  "$cxx" --version | grep -q 'Free Software Foundation' || exit 77
  megabytes() { compile "$1" -ftime-report; sed -n 's/^ TOTAL .* \([0-9]*\)M.*/\1/p' "$work/errors"; }
  ink=$(megabytes "$work/ink.cpp") std=$(megabytes "$work/std.cpp")
  [ -n "$ink" ] && [ -n "$std" ] || exit 77
  awk -v a="$ink" -v b="$std" 'BEGIN {printf "with ink.h %d MB, standard headers only %d MB, ratio %.2f; at most 1.5\n", a, b, a / b; exit a > 1.5 * b}'
  exit
fi
seconds() {
  local TIMEFORMAT=%U
  { time compile "$1"; } 2>&1
}
ink=999 std=999
for ((i = 0; i < runs; ++i)); do
  t=$(seconds "$work/ink.cpp"); ink=$(awk -v a="$ink" -v b="$t" 'BEGIN {print a < b ? a : b}')
  t=$(seconds "$work/std.cpp"); std=$(awk -v a="$std" -v b="$t" 'BEGIN {print a < b ? a : b}')
done
awk -v a="$ink" -v b="$std" 'BEGIN {printf "with ink.h %.2f s, standard headers only %.2f s, ratio %.2f\n", a, b, a / b}'
