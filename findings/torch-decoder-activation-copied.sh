#!/usr/bin/env bash
# torch 2.15.0: a TransformerDecoderLayer whose activation is a module, such as nn.Tanh(), computes with ReLU once
#   it is copied, and nn.TransformerDecoder(layer, n) consists of copies.
# Behaviour: deepcopy goes through __setstate__, which looks for the activation among the attributes of the state;
#   a module is not there but among the submodules, so relu is put in, and found before the submodule. The encoder's
#   layer, with the same argument, keeps its Tanh. state_dict, repr of the module's children and training look right.
# The wrong guess: that a model assembled from a layer computes what the layer computes, or that encoder and decoder
#   treat one argument alike.
# Why it matters: ports and exports that take the activation from the arguments differ from the trained model in
#   every decoder layer, by much more than rounding; functions (F.gelu) and strings ("gelu") are not affected.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torch import nn

print("torch", torch.__version__)
torch.manual_seed(0)
x, memory = torch.randn(3, 1, 8), torch.randn(4, 1, 8)
options = dict(d_model=8, nhead=2, dim_feedforward=16, dropout=0.0)

encoder_layer = nn.TransformerEncoderLayer(**options, activation=nn.Tanh())
encoder = nn.TransformerEncoder(encoder_layer, 1, enable_nested_tensor=False)
apart = (encoder(x) - encoder_layer(x)).abs().max().item()
print(f"encoder: {encoder.layers[0].activation}, apart from its layer by {apart:.3f}")
assert apart == 0

layer = nn.TransformerDecoderLayer(**options, activation=nn.Tanh())
decoder = nn.TransformerDecoder(layer, 1)
apart = (decoder(x, memory) - layer(x, memory)).abs().max().item()
print(f"decoder: {decoder.layers[0].activation.__name__}, apart from its layer by {apart:.3f}")
assert decoder.layers[0].activation is nn.functional.relu and apart > 0.01, "changed"

named = nn.TransformerDecoderLayer(**options, activation="gelu")
assert nn.TransformerDecoder(named, 1).layers[0].activation is nn.functional.gelu
print("as described: the copy of a layer with Tanh() computes with ReLU, that of one with \"gelu\" with GELU")
PYTHON
