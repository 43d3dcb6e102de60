#!/usr/bin/env bash
# optax 0.2.8, contrib.reduce_on_plateau with its relative threshold and a metric below zero, as a
# log-likelihood or a reward with its sign turned is.
# Behaviour: an epoch counts as better when value < (1 - rtol) * best. For best = -10 and rtol = 0.1 that is
#   value < -9: a metric that stands still, or that has got worse by less than a tenth,
#   is an improvement. The rate is never reduced.
# The wrong guess: that a relative threshold asks for an improvement by a tenth of the best, whatever its sign.
# Why it matters: the same schedule reduces as it should while a loss is positive, and stops doing so on the
#   day when the loss is a negative log-likelihood that crosses zero; nothing says so. Shift the metric, or use
#   atol.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 optax==0.2.8
"$folder/venv/bin/python" - <<'PYTHON'
import jax.numpy as jnp
import optax
from optax.contrib import reduce_on_plateau

def scales(values):
    schedule = reduce_on_plateau(factor=0.5, patience=2, rtol=0.1)
    state, seen = schedule.init({}), []
    for v in values:
        _, state = schedule.update({}, state, value=jnp.float32(v))
        seen.append(float(state.scale))
    return seen

print("optax", optax.__version__)
cases = {
    "10, standing still": [10.0] * 8,
    "-10, standing still": [-10.0] * 8,
    "-10, getting worse": [-10, -9.9, -9.8, -9.7, -9.6, -9.5, -9.4, -9.3],
}
last = {}
for name, values in cases.items():
    seen = scales(values)
    last[name] = seen[-1]
    print(f"{name}: scale of the rate {seen}")
expected = {"10, standing still": 0.125, "-10, standing still": 1.0, "-10, getting worse": 1.0}
assert last == expected, f"changed: {last}"
print("as described: below zero the rate is never reduced")
PYTHON
