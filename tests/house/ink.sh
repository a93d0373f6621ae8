#!/usr/bin/env bash
# What the script `ink` says without building anything: its lists are whole, its words have no escape codes in a pipe, wrong words end with 2.
set -uo pipefail
cd "$(dirname "$0")/../.."
wrong=0
expect() {  # WHAT CONDITION...
  local what=$1; shift
  "$@" || { echo "ink: $what"; wrong=1; }
}
plain() { ! grep -q $'\033' <<<"$1"; }
ends_with() { "${@:2}" >/dev/null 2>&1; [ $? -eq "$1" ]; }

list=$(./ink list)
expect "list has escape codes" plain "$list"
for folder in examples/[0-9]*/; do
  name=$(basename "$folder")
  row=$(grep -F "| \`$name\` |" README.md)
  expect "the README has no row for $name" test -n "$row"
  about=$(tr -d '*`' <<<"${row#*| \`$name\` | }")  # the list has no Markdown
  expect "list cuts or lacks what the README says of $name" grep -qF -- "${about% |}" <<<"$list"
done
help=$(./ink --help)
expect "help has escape codes" plain "$help"
for word in demo test list run exercise bench docs doctor build; do expect "help does not name $word" grep -q "./ink $word" <<<"$help"; done
expect "an unknown command ends with another code than 2" ends_with 2 ./ink nonsense
expect "an unknown lesson ends with another code than 2" ends_with 2 ./ink run nothing
expect "run without a lesson ends with another code than 2" ends_with 2 ./ink run

exercises=$(./ink exercise)
expect "the list of exercises has escape codes" plain "$exercises"
for file in examples/exercises/*/*.cpp; do
  name=$(basename "$file" .cpp)
  expect "exercise does not list $name" grep -qE "^  (new|begun|solved) +$name +[^ ]" <<<"$exercises"
  note=$(sed -n '2s|^// Note: \(docs/notes/.*\.md\), exercise [1-9]$|\1|p' "$file")
  expect "line 2 of $file names no note and place" test -f "${note:-none}"
  expect "$name and its note have different numbers" test "${name%%_*}" = "$(basename "$note" | cut -d_ -f1 | tr -d a-z)"
  hints=$(grep -c '^//\[ hint$' "$file") lines=$(sed -n '/^\/\/\[ solution$/,/^\/\/]$/p' "$file" | grep -vcE '^//|^$')
  expect "$name has $hints hints; expected 2 or 3" test "$hints" -ge 2 -a "$hints" -le 3
  expect "the solution of $name has $lines lines; expected 5 to 40" test "$lines" -ge 5 -a "$lines" -le 40
  statement=$(sed -n '/^\/\/ What the checks look at:/,/^#/p' "$file" | sed 's|^// ||' | tr '\n' ' ')
  while read -r property; do
    expect "the statement of $name does not name '$property'" grep -qF -- "$property" <<<"$statement"
  done < <(grep -oE '\<(on|compare|by_differences)\("[^"]+"' "$file" | sed 's/.*("\(.*\)"/\1/' | sort -u)
done
expect "two exercises have one place in a note" test -z "$(sed -sn 2p examples/exercises/*/*.cpp | sort | uniq -d)"
expect "an unknown exercise ends with another code than 2" ends_with 2 ./ink exercise nothing
expect "an unknown flag of exercise ends with another code than 2" ends_with 2 ./ink exercise --nothing
expect "an unknown exercise does not name the nearest" grep -q "the nearest: 01_deque$" <<<"$(./ink exercise deque 2>&1)"
exit $wrong
