#!/usr/bin/env bash
# torch 2.15.0: torch.unique(x, dim=0) returns rows without any NaN more than once, if rows with NaN stand between them:
#   of [[1, nan], [1, 2], [1, nan], [1, 2]] four rows come back, [1, 2] twice.
# Behaviour: float32 and float64 on a CPU, with return_counts too, which then says 1 for each. A comparison with NaN is
#   false both ways, so the sort of the rows leaves equal ones apart, and only neighbours are merged.
# The wrong guess: that at worst the rows with NaN are not merged with each other (as numpy.unique(axis=0) does it), and
#   that what comes back for all other rows is right.
# Why it matters: tables with gaps are where rows are counted and made unique; the counts are wrong for rows that have
#   nothing to do with the gaps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch

print("torch", torch.__version__, "numpy", np.__version__)
nan = float("nan")
for dtype in (torch.float32, torch.float64):
    x = torch.tensor([[1, nan], [1, 2], [1, nan], [1, 2]], dtype=dtype)
    rows, counts = torch.unique(x, dim=0, return_counts=True)
    theirs, numbers = np.unique(x.numpy(), axis=0, return_counts=True)
    print(dtype, "torch", rows.tolist(), counts.tolist(), "numpy", theirs.tolist(), numbers.tolist())
    assert rows.shape[0] == 4 and (rows == torch.tensor([1, 2], dtype=dtype)).all(1).sum() == 2, "changed"
    assert (theirs == [1, 2]).all(1).sum() == 1 and 2 in numbers, "changed"
print("as described: a row without NaN comes back twice")
PYTHON
