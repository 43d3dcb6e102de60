#!/usr/bin/env bash
# torch 2.15.0: torch.optim.Adagrad takes initial_accumulator_value in a group of parameters, shows it in param_groups,
#   and does not use it: every sum begins at the value that was given to the constructor.
# Behaviour: lr, lr_decay, weight_decay and eps of a group are used; this one fills the state in the constructor, from its
#   argument; a group that add_param_group adds later begins at 0 as well.
# The wrong guess: that what param_groups shows is what the steps use, as for all other options.
# Why it matters: a group with an initial value steps by lr · sign(g) at first, ten times as far and more; ports that read
#   the groups differ from the trained run from the first step on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch

print("torch", torch.__version__)
a, b = (torch.zeros(1, requires_grad=True) for _ in range(2))
optimizer = torch.optim.Adagrad([{"params": [a], "initial_accumulator_value": 0.5}, {"params": [b]}])
shown = [group["initial_accumulator_value"] for group in optimizer.param_groups]
used = [optimizer.state[p]["sum"].item() for p in (a, b)]
print("groups show", shown, "sums begin at", used)
assert shown == [0.5, 0] and used == [0, 0], "changed"

c = torch.zeros(1, requires_grad=True)
optimizer.add_param_group({"params": [c], "initial_accumulator_value": 0.5})
c.grad = torch.ones(1)
optimizer.step()
print("the sum of a group added later, after a gradient of 1:", optimizer.state[c]["sum"].item())
assert optimizer.state[c]["sum"].item() == 1, "changed"
print("as described: the value of the group counts for nothing")
PYTHON
