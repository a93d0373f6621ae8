#!/usr/bin/env bash
# ink generate: a tiny checkpoint writes on, the same with guesses, and wrong requests are named.
# usage: generate_program.sh INK_GENERATE SOURCE_DIR
set -euo pipefail
program=$1 golden=$2/tests/golden/language_models
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$golden"/gpt2/config.json "$golden"/gpt2/model.safetensors "$folder"
cp "$golden"/bpe_gpt2/tokenizer.json "$folder"
fail() { echo "generate_program: $*"; exit 1; }

# The tiny model knows the first tokens of that tokenizer alone, which are signs and letters.
plain=$("$program" --model "$folder" --prompt '!"#' --tokens 20 2>"$folder/said")
[ "${#plain}" -ge 23 ] || fail "too short: $plain"
grep -q '20 tokens' "$folder/said" || fail "no summary"
for guess in "--lookup 4" "--draft $folder"; do
  # shellcheck disable=SC2086
  [ "$("$program" --model "$folder" --prompt '!"#' --tokens 20 $guess 2>/dev/null)" = "$plain" ] || fail "another text with $guess"
done
drawn() { "$program" --model "$folder" --prompt '!"#' --tokens 20 --temperature 1 --seed "$1" 2>/dev/null; }
[ "$(drawn 1)" = "$(drawn 1)" ] || fail "one seed, two texts"
[ "$(drawn 1)" != "$(drawn 2)" ] || fail "two seeds, one text"

refused() { # EXIT_CODE TEXT arguments..
  local code=$1 text=$2 got=0
  shift 2
  "$program" "$@" >"$folder/out" 2>&1 || got=$?
  [ "$got" = "$code" ] && grep -q -- "$text" "$folder/out" || fail "wanted $code, '$text'; got $got: $(cat "$folder/out")"
}
refused 2 "--model FOLDER is needed"
refused 2 "unknown option --modell" --modell x
refused 1 "temperature" --model "$folder" --temperature -1
refused 2 "hint: --temperature 1" --model "$folder" --top-p 0
refused 1 "empty" --model "$folder" --prompt ""
rm "$folder/model.safetensors"
refused 1 "model.safetensors" --model "$folder"
echo "generate_program: all held"
