#!/usr/bin/env bash
# torch 2.15.0, CPU: the second derivative of weight normalisation by the direction v is wrong for dim 0, the
#   default, and fails torch's own gradgradcheck.
# Behaviour: torch._weight_norm(v, g, 0), on which nn.utils.parametrizations.weight_norm stands, passes gradcheck, in
#   float64; its second derivatives differ from differences. The same formula written out, g v / |v|, passes both.
# The wrong guess: that a built-in operation with a derivative formula of its own has right second derivatives, or
#   says that it has none.
# Why it matters: gradient penalties, Hessian-vector products and meta-learning through weight-normalised layers
#   (WaveNet-like models have them everywhere) train on wrong numbers without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch

print("torch", torch.__version__)
torch.manual_seed(0)
v = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
g = (torch.rand(3, 1, dtype=torch.float64) + 0.5).requires_grad_()


def built_in(v, g):
    return torch._weight_norm(v, g, 0)


def written_out(v, g):
    return g * v / v.norm(dim=1, keepdim=True)


def holds(check, f):
    return check(f, (v, g), raise_exception=False)


seen = {}
for f in (built_in, written_out):
    seen[f.__name__] = (holds(torch.autograd.gradcheck, f), holds(torch.autograd.gradgradcheck, f))
    print(f"{f.__name__}: gradcheck {seen[f.__name__][0]}, gradgradcheck {seen[f.__name__][1]}")
apart = (built_in(v, g) - written_out(v, g)).abs().max().item()
print(f"their values are apart by {apart:.1e}")
assert apart < 1e-12 and seen == {"built_in": (True, False), "written_out": (True, True)}, "changed"
print("as described: equal values and first derivatives, wrong second ones")
PYTHON
