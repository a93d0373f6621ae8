#!/usr/bin/env bash
# Everything there is to check and to time on a machine with an NVIDIA GPU, in one run; the table is printed at the end.
#
#   tests/gpu.sh [BUILD]     BUILD: a folder with the programs, e.g. build/cuda-portable carried here from another machine.
#                            Without it, build/cuda is configured and built (nvcc, CMake, and the packages of ./ink).
#
# INK_PEER=python3 names the interpreter whose PyTorch is timed beside. What is written: out/gpu/ (logs, bench.md, bench.json).
set -uo pipefail
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
build=${1:-build/cuda}
out=${OUT:-out/gpu}
mkdir -p "$out"
if [ ! -x "$build/test_cuda" ]; then
  # One architecture is enough for the GPU that is here.
  arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
  cmake --preset cuda -B "$build" -DCMAKE_CUDA_ARCHITECTURES="${arch:-90}" -DINK_CPU_LEVELS="base;v3" && cmake --build "$build" -j "${INK_JOBS:-$(nproc)}" ||
    { echo "gpu.sh: the build failed" >&2; exit 1; }
fi

declare -a rows
failed=0
check() {  # NAME COMMAND...: runs it, keeps its output, notes the verdict
  local name=$1; shift
  local begin=$SECONDS
  if timeout "${INK_TEST_LIMIT:-600}" "$@" >"$out/${name//[^A-Za-z0-9_]/_}.log" 2>&1; then verdict=passed; else verdict="FAILED ($?)"; failed=$((failed + 1)); fi
  rows+=("| $name | $verdict | $((SECONDS - begin)) s |")
  echo "$name: $verdict"
}

check test_cuda "$build/test_cuda"
check test_ops_cuda "$build/test_ops_cuda"
check test_attention_cuda "$build/test_attention_cuda"
# A case that reads the source tree may not find it where the programs were carried.
for name in ops ops_grad nn norm loss rnn gpt optim module resume random_ops inplace autograd conv pool matmul einsum linalg softmax scan fft join shape_ops \
  attention attention_kinds sparse_attention linear_attention performer lsh lowrank reversible gau flash_gau; do
  check "test_$name on the device" env INK_DEVICE=cuda INK_CUDA_SYNC=1 "$build/test_$name" '~every declared op has a row, and every row a declared op' \
    '~every row has cases, and a reference or the test that holds it'
done
for lesson in examples/[0-9]*/; do
  name=$(basename "$lesson")
  check "lesson $name --tiny" env INK_DATA=examples/data "$build/$name" --device cuda --tiny --out "$out/lessons"
done
for kernel in examples/kernels/*.cu; do
  name=$(basename "$kernel" .cu)
  [ -x "$build/kernels_$name" ] && check "kernel ladder $name" "$build/kernels_$name" --out "$out/kernels"
done
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -1)
if [ -n "$sanitizer" ]; then
  for spec in add softmax sum layer_norm cross_entropy matmul conv2d index_select scatter_add sort cumsum scaled_dot_product_attention causal_linear_attention; do
    check "memcheck $spec" env INK_SPEC=$spec "$sanitizer" --tool memcheck --error-exitcode 9 "$build/test_ops_cuda"
  done
  check "racecheck softmax" env INK_SPEC=softmax "$sanitizer" --tool racecheck --error-exitcode 9 "$build/test_ops_cuda"
  check "racecheck sum" env INK_SPEC=sum "$sanitizer" --tool racecheck --error-exitcode 9 "$build/test_ops_cuda"
fi
peer=()
python=${INK_PEER:-python3}
"$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null && peer=(--peer "$python")
[ -x "$build/ink_bench" ] || cmake --build "$build" --target ink_bench >/dev/null 2>&1
[ -x "$build/ink_bench" ] && check benchmark "$build/ink_bench" --device cuda "${peer[@]}" --out "$out"

{
  echo; echo "| check | verdict | time |"; echo "| --- | --- | --- |"
  printf '%s\n' "${rows[@]}"
  echo; [ -f "$out/bench.md" ] && cat "$out/bench.md"
  for f in "$out"/kernel_ladder_*.log; do [ -f "$f" ] && { echo; cat "$f"; }; done
} | tee "$out/table.md"
echo "written: $out/table.md"
[ "$failed" -eq 0 ]
