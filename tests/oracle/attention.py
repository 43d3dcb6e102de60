"""Attention, and the layers that are made of it. By PyTorch's MATH back end, which has second
derivatives and gives 0 for a row of masked keys."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from cases import BOOL, VARIABLE, case, const, r

torch.backends.mha.set_fastpath_enabled(False)


def math(f):
    def run(*x):
        with sdpa_kernel(SDPBackend.MATH):
            return f(*x)

    return run


def mask(*rows):
    return lambda g: (BOOL, torch.tensor(rows, dtype=torch.bool).numpy())


def attention(name, q, k, v, *mask, tolerance=0.0, **options):
    def f(q, k, v, mask=None):
        return F.scaled_dot_product_attention(q, k, v, mask, **options)

    case("scaled_dot_product_attention" + name, math(f), [q, k, v, *mask], tolerance=tolerance)


HOLES = mask([1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 1])
Q, K, V = r(2, 2, 3, 4), r(2, 2, 4, 4), r(2, 2, 4, 2)
attention("", Q, K, V)
attention(" 2-d", r(3, 4), r(5, 4), r(5, 2))
attention(" scale=0.3", Q, K, V, scale=0.3)
attention(" causal more keys", Q, K, V, is_causal=True)
attention(" causal fewer keys", r(1, 5, 3), r(1, 3, 3), r(1, 3, 2), is_causal=True)
attention(" bool mask with a row without keys", Q, K, V, HOLES)
attention(" mask", Q, K, V, r(3, 4))
attention(" mask of heads", Q, K, V, r(2, 1, 4))
attention(" enable_gqa", r(1, 4, 3, 2), r(1, 2, 4, 2), r(1, 2, 4, 3), enable_gqa=True)
attention(" empty batch", r(0, 2, 3, 4), r(0, 2, 4, 4), r(0, 2, 4, 2))
attention(" 70 queries", r(70, 2), r(70, 2), r(70, 3), is_causal=True)
case("attention_weights", lambda q, k: torch.softmax(q @ k.mT / 2, -1), [Q, K])


def packed(heads, qkv):
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, -1))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


case("packed_attention", math(lambda x: packed(2, x)), [r(2, 3, 12)])


def module(name, make, inputs, call=lambda model, *x: model(*x), orders=2):
    """Inputs are those of the call, then every entry of the state dict."""
    model = make().double().eval()
    state = model.state_dict()
    draws = []
    for key, value in state.items():
        draws.append(r(*value.shape, lo=0.5, hi=1.5) if "norm" in key and "weight" in key
                     else r(*value.shape, lo=-0.7, hi=0.7))

    def f(*x):
        count = len(x) - len(state)

        class Called(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, *x):
                return call(self.model, *x)

        values = {"model." + k: v for k, v in zip(state, x[count:])}
        return functional_call(Called(), values, x[:count])

    case(name, math(f), [*inputs, *draws], orders=orders, names=" ".join(state))


X = r(3, 2, 4)  # (l, n, e)
M = "MultiheadAttention"
attend = lambda **options: lambda m, q, k, v: m(q, k, v, **options)
self_attend = lambda **options: lambda m, x: m(x, x, x, **options)
module(M, lambda: nn.MultiheadAttention(4, 2), [X], self_attend())
module(M + " weights of heads", lambda: nn.MultiheadAttention(4, 2), [X],
       self_attend(average_attn_weights=False))
module(M + " without weights", lambda: nn.MultiheadAttention(4, 2), [X],
       lambda m, x: m(x, x, x, need_weights=False)[0])
module(M + " batch_first without bias",
       lambda: nn.MultiheadAttention(4, 2, bias=False, batch_first=True), [X],
       lambda m, x: m(x, x, x, need_weights=False)[0])
module(M + " key is value", lambda: nn.MultiheadAttention(4, 2), [X, r(5, 2, 4)],
       lambda m, q, k: m(q, k, k, need_weights=False)[0])
module(M + " kdim vdim", lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
       [X, r(5, 2, 3), r(5, 2, 5)], attend())
module(M + " add_bias_kv add_zero_attn",
       lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True), [X],
       self_attend())
module(M + " unbatched", lambda: nn.MultiheadAttention(4, 2), [r(3, 4), r(5, 4), r(5, 4)],
       attend())
PADDING = mask([0, 0, 1], [0, 0, 0])
LATER = mask([0, 1, 1], [0, 0, 1], [0, 0, 0])
module(M + " masks", lambda: nn.MultiheadAttention(4, 2), [X, PADDING, LATER],
       lambda m, x, p, a: m(x, x, x, key_padding_mask=p, attn_mask=a))
module(M + " mask of heads", lambda: nn.MultiheadAttention(4, 2, batch_first=True),
       [r(2, 3, 4), r(4, 3, 3)], lambda m, x, a: m(x, x, x, attn_mask=a, need_weights=False)[0])

BATCH = r(2, 3, 4)
LAYER = dict(dim_feedforward=5, batch_first=True)
E = "TransformerEncoderLayer"
module(E, lambda: nn.TransformerEncoderLayer(4, 2, 5, activation=nn.Tanh()), [X])
module(E + " norm_first gelu", lambda: nn.TransformerEncoderLayer(
    4, 2, activation="gelu", norm_first=True, **LAYER), [BATCH])
module(E + " without bias", lambda: nn.TransformerEncoderLayer(
    4, 2, activation=nn.Tanh(), bias=False, layer_norm_eps=0.1, **LAYER), [BATCH])
module(E + " unbatched", lambda: nn.TransformerEncoderLayer(4, 2, activation=nn.Tanh(), **LAYER),
       [r(3, 4)])
CAUSAL = nn.Transformer.generate_square_subsequent_mask(3)
module("TransformerEncoder", lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(
    4, 2, activation="gelu", norm_first=True, **LAYER), 2, nn.LayerNorm(4),
    enable_nested_tensor=False), [BATCH, PADDING],
       lambda m, x, p: m(x, CAUSAL.to(x), p, True))
D = "TransformerDecoderLayer"
module(D, lambda: nn.TransformerDecoderLayer(4, 2, 5, activation=nn.Tanh()), [X, r(5, 2, 4)])
module(D + " norm_first gelu", lambda: nn.TransformerDecoderLayer(
    4, 2, activation="gelu", norm_first=True, **LAYER), [BATCH, r(2, 5, 4), LATER],
       lambda m, x, memory, a: m(x, memory, tgt_mask=a))
# Copies of a decoder layer whose activation is a module take ReLU instead of it (2.15).
module("TransformerDecoder", lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(
    4, 2, activation="gelu", **LAYER), 2), [BATCH, r(2, 3, 4), PADDING],
       lambda m, x, memory, p: m(x, memory, memory_key_padding_mask=p))
module("Transformer", lambda: nn.Transformer(4, 2, 1, 1, activation="gelu", **LAYER),
       [r(2, 5, 4), BATCH], lambda m, s, t: m(s, t, tgt_mask=CAUSAL.to(t)))
