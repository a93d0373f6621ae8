#!/usr/bin/env bash
# browser.sh OUT: opens the gallery and every page below OUT in a headless Chromium, as narrow as a phone and as wide as a screen: no script
# error, nothing wider than its box, every player moves, equations and code mark each other, every image loads. Exit code 77 without Chromium.
# browser.sh --build DIR: the same for the pages of short runs of the lessons built in DIR.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
browser=""
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && { browser=$name; break; }
done
[ -n "$browser" ] || { echo "no Chromium: pages are not opened here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

out=${1:-out}
if [ "$out" = --build ]; then
  out=$work/out
  for lesson in "$2"/[0-9][0-9]*_*; do
    [ -x "$lesson" ] && [ -f "$lesson" ] || continue
    "$lesson" --tiny --out "$out" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  done
  "$2/ink_site" --out "$out"
fi

cp -r "$out" "$work/site"
pages=("$work"/site/index.html "$work"/site/*/index.html)
for page in "${pages[@]}"; do  # errors are caught from the first script on; the check runs last
  sed -i 's|<head>|<head><script>window.inkErrors = []; window.addEventListener("error", e => inkErrors.push(e.message \|\| "not loaded: " + (e.target.src \|\| e.target.href)), true);</script>|' "$page"
  { echo '<script>'; cat "$here/browser_check.js"; echo '</script>'; } >> "$page"
done
# Every page in frames of both widths: a window itself cannot be as narrow as a phone. Each frame sends its verdict.
{
  echo '<!doctype html><title>verdicts</title><pre id="verdicts"></pre><script>'
  echo 'addEventListener("message", ({data}) => document.getElementById("verdicts").append(`${data.page} at ${data.width}: ${data.wrong.join(" | ") || "fine"}\n`));'
  echo '</script>'
  for page in "${pages[@]}"; do
    for width in 360 1200; do printf '<iframe src="file://%s" style="border:0;width:%dpx;height:900px"></iframe>\n' "$page" "$width"; done
  done
} > "$work/frames.html"
"$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" --virtual-time-budget=60000 --timeout=120000 --window-size=1300,900 \
  --dump-dom "file://$work/frames.html" > "$work/dom" 2> "$work/errors" || { cat "$work/errors"; exit 1; }
verdicts=$(sed -n '/id="verdicts">/,/<\/pre>/p' "$work/dom" | sed 's/.*id="verdicts">//; s/<\/pre>.*//; /^$/d' | sed "s|$work/site/||")
bad=$(grep -v ': fine$' <<< "$verdicts" || true)
count=$(grep -c . <<< "$verdicts" || true)
[ -z "$bad" ] || { echo "$bad"; exit 1; }
[ "$count" -eq $((2 * ${#pages[@]})) ] || { echo "$count verdicts of $((2 * ${#pages[@]})) pages"; echo "$verdicts"; exit 1; }
echo "${#pages[@]} pages, each 360 and 1200 pixels wide: fine"
