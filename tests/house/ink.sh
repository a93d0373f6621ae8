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
  about=${row#*| \`$name\` | }
  expect "list cuts or lacks what the README says of $name" grep -qF -- "${about% |}" <<<"$list"
done
help=$(./ink --help)
expect "help has escape codes" plain "$help"
for word in demo test list run bench docs doctor build; do expect "help does not name $word" grep -q "./ink $word" <<<"$help"; done
expect "an unknown command ends with another code than 2" ends_with 2 ./ink nonsense
expect "an unknown lesson ends with another code than 2" ends_with 2 ./ink run nothing
expect "run without a lesson ends with another code than 2" ends_with 2 ./ink run
exit $wrong
