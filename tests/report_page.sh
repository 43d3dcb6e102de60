#!/usr/bin/env bash
# usage: report_page.sh CHROMIUM REPORT-PROGRAM
# A browser draws the report, at the width of a phone and of a desk, dark and light, with JavaScript and without; curves
# are made logarithmic, smoothed and zoomed into.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$2" "$scratch/report.html"
# What the page measures of itself, where the dump shows it.
cat "$scratch/report.html" - >"$scratch/measured.html" <<'HTML'
<script>
{
const wide = document.documentElement.scrollWidth, curves = document.querySelectorAll('svg path.curve');
let drawn = 0;
curves.forEach(c => { if (c.getTotalLength() > 100) ++drawn; });
const [log, smooth] = document.querySelectorAll('.tools input'), svg = document.querySelector('.plot svg');
log.click();  // on a logarithmic axis curves are drawn as well
document.querySelectorAll('svg path.curve').forEach(c => { if (c.getTotalLength() <= 100) --drawn; });
log.click();
const path = () => svg.querySelector('path.curve').getAttribute('d'), plain = path();
smooth.value = 0.9;
smooth.dispatchEvent(new Event('input'));
const smoothed = path() != plain;
smooth.value = 0;
smooth.dispatchEvent(new Event('input'));
const pointer = (name, share) => {
  const r = svg.getBoundingClientRect();
  svg.dispatchEvent(new PointerEvent(name, {clientX: r.left + share * r.width, clientY: r.top + 50}));
};
pointer('pointerdown', 0.3), pointer('pointermove', 0.6), pointer('pointerup', 0.6);
const steps = d => d.split('L').length, zoomed = steps(path()) < steps(plain) / 2 && steps(path()) > 10;
svg.dispatchEvent(new MouseEvent('dblclick'));
const tools = `smoothed ${smoothed} zoomed ${zoomed} whole ${path() == plain}`;
const box = document.querySelector('.plot svg').getBoundingClientRect();
document.body.dataset.measured = `overflow ${wide - innerWidth} curves ${curves.length} drawn ${drawn} ` +
  `figure ${box.width > 250 && box.width <= innerWidth} ${tools} paper ${getComputedStyle(document.body).backgroundColor}`;
}
</script>
HTML
browse() {
  timeout 100 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$scratch/profile" \
    --virtual-time-budget=5000 --dump-dom "$@" 2>"$scratch/browser.log"
}
browser=$1
for width in 500 1400; do  # no window of it is narrower than 500
  for scheme in 0 1; do    # dark and light
    dom=$(browse --window-size=$width,1000 --blink-settings=preferredColorScheme=$scheme "file://$scratch/measured.html")
    grep -oE 'data-measured="[^"]*"' <<<"$dom" | tee "$scratch/measured"
    grep -qE 'overflow (0|-[0-9]+) curves 3 drawn 3 figure true smoothed true zoomed true whole true' "$scratch/measured" ||
      { echo "at width $width"; exit 1; }
    paper[scheme]=$(grep -oE 'paper .*' "$scratch/measured")
  done
done
[[ ${paper[0]} != "${paper[1]}" ]] || { echo "the same in the dark: ${paper[0]}"; exit 1; }
# Without JavaScript the curves are there all the same.
grep -c '<path class="curve"' "$scratch/report.html" | grep -qvx 0
