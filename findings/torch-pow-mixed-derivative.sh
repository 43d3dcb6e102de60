#!/usr/bin/env bash
# torch 2.15.0: the second derivative of pow(a, b) by a and then b is 0 where b is 0; by b and then a it is 1 / a, as it
#   should be.
# Behaviour: the gradient for a, b a^(b - 1), is replaced by 0 where b = 0, and so are its own derivatives: the value is
#   right, its derivative for b, a^-1, is lost. float32 and float64; with `create_graph` there is no warning.
# The wrong guess: that mixed derivatives agree in whichever order they are taken, where the function is smooth.
# Why it matters: Hessians of models with learned exponents that begin at 0 are not symmetric.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch

print("torch", torch.__version__)
a = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
b = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
by_a, by_b = torch.autograd.grad(torch.pow(a, b), (a, b), create_graph=True)
(a_then_b,) = torch.autograd.grad(by_a, b, retain_graph=True)
(b_then_a,) = torch.autograd.grad(by_b, a)
print("by a, then b:", a_then_b.item(), "by b, then a:", b_then_a.item(), "expected 1 / a =", 1 / a.item())
assert a_then_b == 0 and b_then_a == 0.5, "changed"
print("as described: one of the two mixed derivatives is lost")
PYTHON
