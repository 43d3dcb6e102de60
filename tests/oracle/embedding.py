"""Tables of vectors: lookups, bags, and what optimizers make of their gradients."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.func import functional_call

from cases import INT, case, const, distinct, index, ints, r


def layer(name, model, *samples, **options):
    """A sample: the inputs of the call, then the weight."""
    model = model.double()
    case(name, lambda *x: functional_call(model, {"weight": x[-1]}, tuple(x[:-1])), *samples,
         names="weight", **options)


layer("Embedding", nn.Embedding(5, 3), [index(0, 3, 1, 3), r(5, 3)], [ints(2, 3, hi=5), r(5, 3)],
      [ints(0, hi=5), r(5, 3)])
layer("Embedding padding_idx=3", nn.Embedding(5, 3, padding_idx=3), [index(0, 3, 1, 3), r(5, 3)])
layer("Embedding padding_idx=-5", nn.Embedding(5, 3, padding_idx=-5), [ints(2, 4, hi=5), r(5, 3)])
layer("Embedding scale_grad_by_freq", nn.Embedding(5, 3, scale_grad_by_freq=True, padding_idx=1),
      [index(0, 3, 1, 3, 3, 1), r(5, 3), 1])
layer("Embedding max_norm=1", nn.Embedding(5, 3, max_norm=1.0), [index(0, 3, 1, 3), r(5, 3)])
layer("Embedding max_norm=1 norm_type=1", nn.Embedding(5, 3, max_norm=1.0, norm_type=1.0),
      [index(0, 3, 1, 3), r(5, 3)])
layer("Embedding max_norm=1 norm_type=inf",
      nn.Embedding(5, 3, max_norm=1.0, norm_type=float("inf")), [index(0, 3, 1, 3), r(5, 3)])

case("embedding tanh", lambda i, w: torch.tanh(F.embedding(i, w, padding_idx=1)),
     [ints(2, 3, hi=5), r(5, 3)])

offsets = index(0, 2, 2, 5)
seven = index(0, 3, 1, 4, 3, 3, 2)
for mode, draw in (("sum", r), ("mean", r), ("max", distinct)):
    layer(f"EmbeddingBag mode={mode}", nn.EmbeddingBag(5, 3, mode=mode),
          [ints(2, 4, hi=5), draw(5, 3)], orders=1)
    layer(f"EmbeddingBag mode={mode} padding_idx=3 offsets",
          nn.EmbeddingBag(5, 3, mode=mode, padding_idx=3), [seven, offsets, draw(5, 3)], orders=1)
layer("EmbeddingBag include_last_offset", nn.EmbeddingBag(5, 3, include_last_offset=True),
      [seven, index(0, 2, 2, 7), r(5, 3)], orders=1)
layer("EmbeddingBag scale_grad_by_freq", nn.EmbeddingBag(5, 3, scale_grad_by_freq=True),
      [seven, offsets, r(5, 3)], orders=1)
layer("EmbeddingBag max_norm=1", nn.EmbeddingBag(5, 3, max_norm=1.0, mode="sum"),
      [seven, offsets, r(5, 3)], orders=1)
case("embedding_bag per_sample_weights padding_idx=1",
     lambda i, o, w, p: F.embedding_bag(i, w, o, mode="sum", per_sample_weights=p, padding_idx=1),
     [seven, offsets, r(5, 3), r(7)], orders=1)


def composed(i, w, p, padding):
    """torch has no second derivatives of bags, but of this."""
    rows = F.embedding(i, w) * p[..., None] * (i != padding)[..., None]
    return torch.tanh(rows.sum(1))


case("embedding_bag per_sample_weights tanh", lambda i, w, p: composed(i, w, p, 1),
     [ints(3, 4, hi=5), r(5, 3), r(3, 4)])
case("embedding_bag mean tanh", lambda i, w: torch.tanh(F.embedding(i, w).mean(1)),
     [ints(3, 4, hi=5), r(5, 3)])
case("embedding_bag max tanh", lambda i, w: torch.tanh(F.embedding(i, w).max(1)[0]),
     [lambda g: (INT, np.array([[0, 3, 1], [4, 2, 0]])), distinct(5, 3)])


def train(table, v, make_layer, make_optimizers):
    """30 steps on a table and a linear layer behind it; both at some of the steps."""
    model = make_layer().to(table.dtype)
    with torch.no_grad():
        model.weight.copy_(table)
    v = v.clone().requires_grad_()
    optimizers = make_optimizers(model.weight, v)
    found = []
    for step in range(1, 31):
        for o in optimizers:
            o.zero_grad()
        places = torch.tensor([[step % 7, 1, step * step % 7], [3, 5 * step % 11 % 7, 1]])
        x = model(places)
        x = x if x.ndim == 2 else x.mean(1)
        (torch.tanh(x @ v) - 0.3).square().mean().backward()
        for o in optimizers:
            o.step()
        if step in (1, 2, 3, 10, 30):
            found += [model.weight.detach().clone(), v.detach().clone()]
    return found


def trained(name, make_layer, make_optimizers):
    case(name, lambda table, v: train(table, v, make_layer, make_optimizers),
         [const(r(7, 3)), const(r(3, 2))])


both = lambda make: lambda w, v: [make([w, v])]
sparse = dict(padding_idx=1, sparse=True)
trained("SGD Embedding sparse", lambda: nn.Embedding(7, 3, **sparse),
        both(lambda p: optim.SGD(p, lr=0.1)))
trained("SGD momentum Embedding sparse", lambda: nn.Embedding(7, 3, **sparse),
        both(lambda p: optim.SGD(p, lr=0.05, momentum=0.9)))
trained("Adagrad Embedding sparse", lambda: nn.Embedding(7, 3, **sparse),
        both(lambda p: optim.Adagrad(p, lr=0.1)))
trained("Adam Embedding", lambda: nn.Embedding(7, 3, padding_idx=1),
        both(lambda p: optim.Adam(p, lr=0.05)))
trained("AdamW Embedding scale_grad_by_freq",
        lambda: nn.Embedding(7, 3, padding_idx=1, scale_grad_by_freq=True),
        both(lambda p: optim.AdamW(p, lr=0.05)))
trained("SparseAdam Embedding sparse", lambda: nn.Embedding(7, 3, **sparse),
        lambda w, v: [optim.SparseAdam([w], lr=0.05), optim.Adam([v], lr=0.05)])
trained("SGD EmbeddingBag sparse", lambda: nn.EmbeddingBag(7, 3, **sparse),
        both(lambda p: optim.SGD(p, lr=0.1)))
trained("Adam EmbeddingBag max", lambda: nn.EmbeddingBag(7, 3, mode="max", padding_idx=1),
        both(lambda p: optim.Adam(p, lr=0.05)))
trained("SGD Embedding max_norm=1", lambda: nn.Embedding(7, 3, max_norm=1.0),
        both(lambda p: optim.SGD(p, lr=0.1)))
