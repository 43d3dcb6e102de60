#!/usr/bin/env bash
# usage: report_page.sh CHROMIUM REPORT-PROGRAM
# A browser draws the report, at the width of a phone and of a desk, with JavaScript and without.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$2" "$scratch/report.html"
# What the page measures of itself, where the dump shows it.
cat "$scratch/report.html" - >"$scratch/measured.html" <<'HTML'
<script>
const wide = document.documentElement.scrollWidth, curves = document.querySelectorAll('svg path.curve');
let drawn = 0;
curves.forEach(c => { if (c.getTotalLength() > 100) ++drawn; });
document.querySelector('.tools input').click();  // on a logarithmic axis curves are drawn as well
document.querySelectorAll('svg path.curve').forEach(c => { if (c.getTotalLength() <= 100) --drawn; });
const box = document.querySelector('.plot svg').getBoundingClientRect();
document.body.dataset.measured = `overflow ${wide - innerWidth} curves ${curves.length} drawn ${drawn} ` +
  `figure ${box.width > 250 && box.width <= innerWidth}`;
</script>
HTML
browse() {
  timeout 100 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$scratch/profile" \
    --virtual-time-budget=5000 --dump-dom "$@" 2>"$scratch/browser.log"
}
browser=$1
for width in 500 1400; do  # no window of it is narrower than 500
  dom=$(browse --window-size=$width,1000 "file://$scratch/measured.html")
  grep -oE 'data-measured="[^"]*"' <<<"$dom" | tee "$scratch/measured"
  grep -qE 'overflow (0|-[0-9]+) curves 3 drawn 3 figure true' "$scratch/measured" || { echo "at width $width"; exit 1; }
done
# Without JavaScript the curves are there all the same.
grep -c '<path class="curve"' "$scratch/report.html" | grep -qvx 0
