#!/usr/bin/env python3
"""usage: fixtures.py [NAME…]   writes tests/onnx/fixtures/NAME.{onnx,safetensors}

Small models of PyTorch's, with random weights, by both of its exporters; beside each what PyTorch
computes: the input and the output ("in.0", "out.0"), and the gradients of sum(out²)/2 for those
weights of the file ("grad.NAME") that are PyTorch's, or their transposes, or in ONNX's order of gates.
Needs torch, onnx, onnxscript, safetensors.
"""
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
here = pathlib.Path(__file__).parent / "fixtures"


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 6, 5)
        self.fc1, self.fc2 = nn.Linear(6 * 5 * 5, 10), nn.Linear(10, 10)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    def __init__(self, inp, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inp, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.down = None
        if stride != 1 or inp != out:
            self.down = nn.Sequential(nn.Conv2d(inp, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + (x if self.down is None else self.down(x)))


class ResNet18(nn.Module):
    """The shape of ResNet-18, two channels wide at first."""

    def __init__(self, w=2):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w)
        layers, inp = [], w
        for i in range(4):
            out = w << i // 2
            layers += [Block(inp, out, 1 if i == 0 else 2), Block(out, out, 1)]
            inp = out
        self.layers, self.fc = nn.Sequential(*layers), nn.Linear(inp, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(F.adaptive_avg_pool2d(self.layers(x), 1).flatten(1))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.out = nn.Linear(10, 4)

    def forward(self, ids):
        return self.out(self.lstm(self.embedding(ids))[0])


class GRUTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x):
        return self.out(self.gru(x)[0])


class Attention(nn.Module):
    def __init__(self, e, heads, causal):
        super().__init__()
        self.qkv, self.proj, self.heads, self.causal = nn.Linear(e, 3 * e), nn.Linear(e, e), heads, causal

    def forward(self, x):
        n, l, e = x.shape
        q, k, v = self.qkv(x).view(n, l, 3, self.heads, e // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.proj(y.transpose(1, 2).reshape(n, l, e))


class Layer(nn.Module):
    def __init__(self, e, heads, causal):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(e), nn.LayerNorm(e)
        self.attention = Attention(e, heads, causal)
        self.mlp = nn.Sequential(nn.Linear(e, 2 * e), nn.GELU(approximate="tanh" if causal else "none"),
                                 nn.Linear(2 * e, e))

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT2(nn.Module):
    def __init__(self, e=12):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(25, e), nn.Embedding(16, e)
        self.h, self.ln_f = nn.Sequential(*[Layer(e, 3, True) for _ in range(1)]), nn.LayerNorm(e)
        self.head = nn.Linear(e, 25, bias=False)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        return self.head(self.ln_f(self.h(x)))


class ViT(nn.Module):
    def __init__(self, e=8):
        super().__init__()
        self.patch = nn.Conv2d(3, e, 4, 4)
        self.cls, self.pos = nn.Parameter(torch.randn(1, 1, e)), nn.Parameter(torch.randn(1, 17, e))
        self.blocks, self.norm = nn.Sequential(*[Layer(e, 2, False) for _ in range(1)]), nn.LayerNorm(e)
        self.head = nn.Linear(e, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])


def ids(high, *shape):
    return torch.randint(0, high, shape)


def mlp():
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 7), nn.SiLU(), nn.Linear(7, 3))


MODELS = {
    "mlp": (mlp, lambda: torch.randn(3, 5)),
    "lenet": (LeNet, lambda: torch.randn(2, 1, 28, 28)),
    "resnet18": (ResNet18, lambda: torch.randn(2, 3, 24, 24)),
    "lstm": (Tagger, lambda: ids(20, 3, 7)),
    "gru": (GRUTagger, lambda: torch.randn(3, 7, 6)),
    "gpt2": (GPT2, lambda: ids(25, 3, 9)),
    "vit": (ViT, lambda: torch.randn(2, 3, 16, 16)),
}


GATES = {nn.LSTM: (0, 3, 1, 2), nn.GRU: (1, 0, 2)}  # of ONNX, by PyTorch's places


def recurrent(module):
    """The weights of each layer as ONNX has them, and their gradients."""
    for k in range(module.num_layers):
        ends = ["", "_reverse"][: 1 + module.bidirectional]

        def gates(name, part):
            rows = [getattr(module, f"{name}_l{k}{end}") for end in ends]
            rows = [r.grad if part else r for r in rows]
            return [torch.cat([r.chunk(len(GATES[type(module)]))[g] for g in GATES[type(module)]]) for r in rows]

        for name in ("weight_ih", "weight_hh"):
            yield torch.stack(gates(name, 0)), torch.stack(gates(name, 1))
        yield tuple(torch.stack([torch.cat(p) for p in zip(gates("bias_ih", i), gates("bias_hh", i))]) for i in (0, 1))


def gradients(model, path):
    """Of the initializers that are weights of the model, or transposes of them."""
    known = []
    for p in model.parameters():
        known.append((p, p.grad))
        if p.dim() == 2:
            known.append((p.T, p.grad.T))
    for module in model.modules():
        if type(module) in GATES:
            known += recurrent(module)
    grads = {}
    for initializer in onnx.load(path).graph.initializer:
        values = numpy_helper.to_array(initializer)
        found = [g for p, g in known if p.shape == values.shape and np.array_equal(p.detach().numpy(), values)]
        if values.dtype == np.float32 and len(found) == 1:  # no other has the same values
            grads["grad." + initializer.name] = found[0].clone().contiguous()
    return grads


def strip(proto):
    """Without what says where in PyTorch's source nodes come from."""
    for node in proto.graph.node:
        del node.metadata_props[:]
    for info in [*proto.graph.input, *proto.graph.output]:
        del info.metadata_props[:]
    del proto.graph.value_info[:], proto.graph.metadata_props[:], proto.metadata_props[:]


def write(name, dynamo):
    torch.manual_seed(7)
    make, example = MODELS[name]
    model, x = make(), example()
    for module in model.modules():  # statistics and weights that are not all alike
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            for p in [*module.parameters(), *(b for b in module.buffers() if b.dim())]:
                p.data.uniform_(0.5, 1.5)
    model.eval()
    stem = here / f"{name}_{'dynamo' if dynamo else 'script'}"
    path = stem.with_suffix(".onnx")
    if dynamo:
        program = torch.onnx.export(model, (x,), dynamo=True, verbose=False,
                                    dynamic_shapes=({0: torch.export.Dim("n")},))
        program.save(path, external_data=False)
        proto = onnx.load(path)
        strip(proto)
        onnx.save(proto, path)
    else:
        torch.onnx.export(model, (x,), str(path), dynamo=False, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}}, do_constant_folding=True,
                          training=torch.onnx.TrainingMode.PRESERVE)
    y = model(x)
    (y**2).sum().div(2).backward()
    grads = gradients(model, path)
    assert grads, name
    save_file({"in.0": x, "out.0": y.detach().contiguous(), **grads}, str(stem) + ".safetensors")
    print(stem.name, path.stat().st_size, len(grads), "gradients of", sum(1 for _ in model.parameters()))


here.mkdir(exist_ok=True)
for name in sys.argv[1:] or MODELS:
    for dynamo in (False, True):
        try:
            write(name, dynamo)
        except Exception as e:
            print(name, dynamo, type(e).__name__, str(e)[:300])
