#!/usr/bin/env bash
# torch 2.15.0: interpolate with antialias=True to a result of one column repeats its first row: every row of
#   F.interpolate(x, (h, 1), mode="bilinear" or "bicubic", antialias=True) is row 0 of the right answer.
# Behaviour: for contiguous images whose result is one pixel wide and whose height changes, float32 and float64, on a
#   CPU. Results of one row, of two columns, without antialias, and channels_last images of several channels are right.
# The wrong guess: that a resize is separable, so that a column comes out the same alone and beside another one.
# Why it matters: signals kept as (n, c, length, 1), a common trick to resample one axis with a 2-d operation, lose all
#   but their beginning, without a warning and with a plausible range of values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
import torch.nn.functional as F

print("torch", torch.__version__)
x = torch.arange(7.0).reshape(1, 1, 7, 1)
for mode in ("bilinear", "bicubic"):
    alone = F.interpolate(x, (3, 1), mode=mode, antialias=True).flatten()
    beside = F.interpolate(x.expand(1, 1, 7, 2).contiguous(), (3, 2), mode=mode, antialias=True)[0, 0, :, 0]
    print(mode, "alone", alone.tolist(), "beside another column", beside.tolist())
    assert alone[0] == alone[1] == alone[2] and abs(beside[1] - 3) < 1e-5, "changed"
    several = x.expand(1, 2, 7, 1).contiguous(memory_format=torch.channels_last)
    last = F.interpolate(several, (3, 1), mode=mode, antialias=True)[0, 0].flatten()
    assert torch.allclose(last, beside), "changed"
print("as described: the rows of a result of one column are all its first")
PYTHON
