#!/usr/bin/env bash
# jax 0.10.2: jax.nn.elu and jax.nn.celu with alpha = 1 are one function, x above 0 and exp(x) - 1 below.
# Behaviour: their first derivatives at 0 agree (1.0), their second ones do not: elu gives 1.0, the limit from
#   the left, celu 0.25, which is the limit from neither side (0 from the right). celu is written with
#   maximum(x, 0) and minimum(x, 0), whose gradients are shared at the tie: a half of a half.
# The wrong guess: that two spellings of one activation have the same derivatives, and that at a kink of the
#   first derivative the second one is at least one of the two limits.
# Why it matters: Hessians and gradient penalties at units that are exactly 0 (zero initialisation, padding,
#   after a ReLU) depend on which name was chosen; comparing a port by second derivatives fails there only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PYTHON'
import jax

print("jax", jax.__version__)
seen = {}
for name in ("elu", "celu"):
    f = getattr(jax.nn, name)
    first, second = jax.grad(f), jax.grad(jax.grad(f))
    at = [-1e-6, 0.0, 1e-6]
    seen[name] = (float(first(0.0)), float(second(0.0)))
    print(f"{name}: values {[float(f(x)) for x in at]}, first {[float(first(x)) for x in at]}, "
          f"second {[float(second(x)) for x in at]} at {at}")
assert seen == {"elu": (1.0, 1.0), "celu": (1.0, 0.25)}, f"changed: {seen}"
print("as described: one function, two second derivatives at 0")
PYTHON
