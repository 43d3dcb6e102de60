#!/usr/bin/env bash
# usage: playground.sh CHROMIUM PLAYGROUND-PROGRAM
# A browser opens the page at the widths of a phone and of a desk, and presses its buttons.
set -euo pipefail
scratch=$(mktemp -d)
"$2" >"$scratch/address" &
server=$!
trap 'kill $server; rm -rf "$scratch"' EXIT
until grep -q http "$scratch/address"; do kill -0 $server; sleep 0.1; done
address=$(<"$scratch/address")
measured() {  # WIDTH QUERY: what the page says of itself
  timeout 100 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$scratch/profile" \
    --virtual-time-budget=10000 --window-size="$1,1000" --dump-dom "$address$2" 2>"$scratch/browser.log" |
    grep -oE 'data-measured="[^"]*"'
}
browser=$1
expect() {  # WIDTH QUERY PATTERN
  local text
  text=$(measured "$1" "$2") || true
  grep -qE "$3" <<<"$text" || { echo "$2 at width $1: '$text', not '$3'"; exit 1; }
}
fits="overflow (0|-[0-9]+) error ''"
expect 500 "" "loss 0[.]0905 curves 1 gradients 1 $fits"
expect 1400 "?press=step" "loss 0[.]08[0-9]+ curves 2 gradients 1 $fits"
expect 500 "?network=1&press=many,many,many,many,many,many" "loss 0[.]12[0-9]+ curves 2 gradients 1 $fits"
expect 500 "?network=3&press=forward" "loss 0[.][0-9]+ curves 1 gradients 0 $fits"
