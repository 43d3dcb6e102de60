"""Elementwise operations, reductions, movement, indexing, products, losses."""

import numpy as np
import torch
import torch.nn.functional as F

from cases import at, binary, bools, case, const, distinct, index, ints, probabilities, r, unary

inf, nan = np.inf, np.nan

# --- elementwise

unary("neg", torch.neg)
unary("abs", torch.abs)
unary("sign", torch.sign, far=(-inf, inf))  # ours keeps NaN
unary("square", torch.square)
unary("sqrt", torch.sqrt, lo=0.1, hi=4)
unary("exp", torch.exp)
unary("expm1", torch.expm1)
unary("log", torch.log, lo=0.1, hi=4)
unary("log1p", torch.log1p, lo=-0.9, hi=3, kinks=(0.0, 1.0))
unary("sin", torch.sin)
unary("cos", torch.cos)
unary("tanh", torch.tanh)
unary("erf", torch.erf)
unary("sigmoid", torch.sigmoid)
unary("relu", torch.relu)
unary("gelu", F.gelu)
unary("softplus", F.softplus)

binary("add", torch.add)
binary("sub", torch.sub)
binary("mul", torch.mul)
binary("div", torch.div, b=(0.4, 2))
binary("pow", torch.pow, a=(0.2, 2), b=(-2, 3))
binary("maximum", torch.maximum, kinks=((-1, 0, 1, 2), (-1, 0, 1, 1)))
binary("minimum", torch.minimum, kinks=((-1, 0, 1, 2), (-1, 0, 1, 1)))
case("add b=1.5", lambda x: x + 1.5, [r(7)])
case("sub a=1.5", lambda x: 1.5 - x, [r(7)])
case("mul b=1.5", lambda x: x * 1.5, [r(7)])
case("div b=1.5", lambda x: x / 1.5, [r(7)])
case("div a=1.5", lambda x: 1.5 / x, [r(7, lo=0.4)])
case("pow b=2.5", lambda x: x**2.5, [r(7, lo=0.2)], [const(at(-1, 0, inf, nan))])
case("pow b=2", lambda x: x**2, [r(7)], [at(-1, 0, 1), 1])
case("pow b=3", lambda x: x**3, [r(7)], [at(-1, 0, 1), 1])
case("pow b=-1", lambda x: x**-1, [r(7, lo=0.4)])
case("pow b=0", lambda x: x**0, [r(7)], [at(-1, 0, 1), 1])
case("pow a=1.5", lambda x: 1.5**x, [r(7)])
case("pow special", torch.pow, [
    const(at(0, 0, 0, 1, 1, -1, -2, -2, -2, inf, -inf, -inf, nan, nan, 2)),
    const(at(0, -1, 2, nan, inf, inf, 3, -2, 0.5, -1, 3, 2, 0, 1, -inf))])
case("maximum b=0.5", lambda x: torch.maximum(x, torch.tensor(0.5, dtype=x.dtype)), [r(7)])
case("minimum b=0.5", lambda x: torch.minimum(x, torch.tensor(0.5, dtype=x.dtype)), [r(7)])
case("clamp low=-1 high=0.5", lambda x: x.clamp(-1, 0.5), [r(19)], [const(at(-1, 0.5, -inf, inf, nan))])
case("clamp low=-1", lambda x: x.clamp(-1), [r(19)])
case("clamp", torch.clamp, [r(3, 5), r(5, lo=-2, hi=-1), r(lo=1, hi=2)],
     [r(4), r(3, 1, lo=-1, hi=0), r(3, 4, lo=0, hi=2)])
case("where", torch.where, [bools(3, 5), r(3, 5), r(3, 5)], [bools(4, 1), r(3), r()])
case("where b=0", lambda c, x: torch.where(c, x, 0.0), [bools(3, 5), r(3, 5)])
for name, f in {"==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt,
                ">=": torch.ge}.items():
    case("operator" + name, f, [at(-1, 0, 1, nan, inf), at(-1, 1, 0, nan, inf)],
         [ints(3, 5), ints(5)])
for name, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum,
                "minimum": torch.minimum}.items():
    case(name + " int64", f, [ints(3, 5, lo=-4, hi=5), ints(5, lo=-4, hi=5)])
for name, f in {"neg": torch.neg, "abs": torch.abs, "sign": torch.sign,
                "square": torch.square}.items():
    case(name + " int64", f, [ints(7, lo=-4, hi=5)])
case("clamp int64", lambda x: x.clamp(-2, 3), [ints(7, lo=-5, hi=6)])

# --- reductions


def reduction(name, f, draw=r, axes=((0,), (-1,), (0, 2)), whole=True):
    """f(x, axes, keepdims)"""
    if whole:
        every = lambda x: f(x, tuple(range(x.ndim)), False)
        case(name, every, [draw(3, 5)], [draw(2, 3, 4)])
    for a in axes:
        text = ",".join(map(str, a))
        case(f"{name} axes={text}", lambda x, a=a: f(x, a, False), [draw(2, 3, 4)])
        case(f"{name} axes={text} keepdims", lambda x, a=a: f(x, a, True), [draw(2, 3, 4)])


reduction("sum", torch.sum)
reduction("mean", torch.mean)
reduction("max", torch.amax, distinct)
reduction("min", torch.amin, distinct)
reduction("var", lambda x, a, k: torch.var(x, a, keepdim=k))
reduction("logsumexp", torch.logsumexp)
case("sum 0-d", lambda x: x.sum(), [r()])
case("sum empty", lambda x: x.sum(1), [r(3, 0)])
case("sum int64", lambda x: x.sum(), [ints(3, 5), ], [bools(7)])
case("mean empty", lambda x: x.mean(1), [r(3, 0)])
case("max ties", lambda x: x.amax(1), [lambda g: (0, np.array([[1.0, 3, 3], [2, 2, 2]])), 1])
case("min ties", lambda x: x.amin(1), [lambda g: (0, np.array([[1.0, 1, 3], [2, 2, 2]])), 1])
case("max nan", lambda x: x.amax(), [const(at(1, nan, 3))])
case("max int64", lambda x: x.amax(0), [ints(4, 3, lo=-9, hi=9)])
case("var correction=0", lambda x: x.var(correction=0), [r(3, 5)])
case("var correction=2 axes=1", lambda x: x.var(1, correction=2), [r(3, 5)])
case("var of one", lambda x: x.var(1), [const(r(3, 1))])
case("logsumexp infinite", lambda x: x.logsumexp(0),
     [const(at(-inf, -inf))], [const(at(-inf, 1, 2))], [const(at(inf, 1))], [const(at(nan, 1))])
case("logsumexp large", lambda x: x.logsumexp(0), [at(1000, 1000.5, 999)])
case("logsumexp empty", lambda x: x.logsumexp(1), [const(r(2, 0))])
case("argmax axis=0", lambda x: x.argmax(0), [distinct(3, 5)])
case("argmax keepdims", lambda x: x.argmax(-1, True), [distinct(2, 3, 4)])
case("argmax nan", lambda x: x.argmax(0), [const(at(1, nan, 3, nan))])

# --- movement

case("reshape", lambda x: x.reshape(4, -1), [r(2, 3, 4)])
case("flatten", lambda x: x.flatten(), [r(2, 3)], [r()])
case("flatten start=1", lambda x: x.flatten(1), [r(2, 3, 4)])
case("squeeze", lambda x: x.squeeze(), [r(1, 3, 1)])
case("squeeze axes=0", lambda x: x.squeeze(0), [r(1, 3, 1)], [r(2, 3)])
case("unsqueeze axis=-1", lambda x: x.unsqueeze(-1), [r(2, 3)])
case("unsqueeze axis=1", lambda x: x.unsqueeze(1), [r(2, 3)])
case("permute order=2,0,1", lambda x: x.permute(2, 0, 1), [r(2, 3, 4)])
case("transpose", lambda x: x.mT, [r(2, 3, 4)])
case("transpose 0 1", lambda x: x.transpose(0, 1), [r(2, 3, 4)])
case("expand", lambda x: x.expand(2, 3, -1), [r(3, 1)], [r(1, 4)])
case("sum_to", lambda x: x.sum_to_size(3, 1), [r(2, 3, 4)])
case("concat axis=1", lambda *x: torch.cat(x, 1), [r(2, 3), r(2, 1), r(2, 0)])
case("concat", lambda *x: torch.cat(x), [r(2, 3), r(1, 3)])
case("stack axis=-1", lambda *x: torch.stack(x, -1), [r(2, 3), r(2, 3)])
case("stack", lambda *x: torch.stack(x), [r(), r(), r()])

# --- indexing

case("narrow", lambda x: x.narrow(1, 1, 2), [r(2, 4)])
case("slice", lambda x: x[:, 1:-1], [r(2, 5)])
case("slice step=2", lambda x: x[1::2], [r(6, 2)])
case("select", lambda x: x.select(1, -2), [r(2, 4, 3)])
case("index_select", lambda x, i: x.index_select(1, i), [r(2, 4, 3), index(3, 0, 3)])
case("gather axis=0", lambda x, i: x.gather(0, i), [r(3, 4), ints(2, 4)], [r(3, 4), ints(5, 2)])
case("gather axis=-1", lambda x, i: x.gather(-1, i), [r(2, 3, 4), ints(2, 3, 2, hi=4)])
case("scatter_add_zeros", lambda i, x: torch.zeros(3, 4, dtype=x.dtype).scatter_add(0, i, x),
     [ints(5, 4), r(5, 4)])

# --- products

case("matmul", torch.matmul, [r(3, 4), r(4, 5)], [r(4), r(4)], [r(4), r(4, 5)], [r(3, 4), r(4)],
     [r(2, 3, 4), r(4, 2)], [r(2, 1, 3, 4), r(3, 4, 2)], [r(4), r(2, 4, 3)], [r(2, 3, 4), r(4)],
     [r(0, 4), r(4, 2)], [r(3, 0), r(0, 2)])
case("linear", F.linear, [r(3, 4), r(5, 4), r(5)], [r(2, 3, 4), r(5, 4), r(5)],
     [r(4), r(5, 4), r(5)])
case("linear without bias", F.linear, [r(3, 4), r(5, 4)])

# --- fused

for name, f in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
    case(name, lambda x, f=f: f(x, -1), [r(3, 17)], [r(2, 3, 4)], [at(1000, 999, -1000)],
         [const(at(-inf, 0, 1))], [const(at(-inf, nan, 1))])
    case(name + " axis=0", lambda x, f=f: f(x, 0), [r(3, 5)], [r(4)])
    case(name + " axis=1", lambda x, f=f: f(x, 1), [r(2, 3, 4)])
case("layer_norm", lambda x: F.layer_norm(x, x.shape[-1:]), [r(3, 5)], [r(2, 3, 17)])
case("layer_norm affine", lambda x, w, b: F.layer_norm(x, w.shape, w, b),
     [r(3, 5), r(5), r(5)], [r(2, 3, 4), r(3, 4), r(3, 4)])
case("layer_norm eps=0.1", lambda x, w: F.layer_norm(x, w.shape, w, None, 0.1), [r(3, 5), r(5)])

# --- losses

reductions = {"": "mean", " reduction=sum": "sum", " reduction=none": "none"}
labels = lambda *values: (lambda g: (2, np.array(values)))
for text, how in reductions.items():
    case("cross_entropy" + text, lambda x, t, how=how: F.cross_entropy(x, t, reduction=how),
         [r(4, 3), ints(4)], [r(2, 3, 4), ints(2, 4)], [r(5), ints(hi=5)],
         [r(4, 3), labels(0, -100, 2, 1)], [r(2, 3, 2, 2), ints(2, 2, 2)])
    case("cross_entropy weight smoothing=0.2" + text,
         lambda x, t, w, how=how: F.cross_entropy(x, t, w, reduction=how, label_smoothing=0.2),
         [r(4, 3), labels(0, -100, 2, 1), const(r(3, lo=0.2))],
         [r(2, 3, 4), ints(2, 4), const(r(3, lo=0.2))])
    case("cross_entropy weight" + text,
         lambda x, t, w, how=how: F.cross_entropy(x, t, w, reduction=how),
         [r(4, 3), labels(0, -100, 2, 1), const(r(3, lo=0.2))],
         [r(2, 3, 4), ints(2, 4), const(r(3, lo=0.2))])
    case("cross_entropy smoothing=0.1" + text,
         lambda x, t, how=how: F.cross_entropy(x, t, reduction=how, label_smoothing=0.1),
         [r(4, 3), ints(4)], [r(5), ints(hi=5)])
    case("cross_entropy probabilities" + text,
         lambda x, t, how=how: F.cross_entropy(x, t, reduction=how),
         [r(4, 3), probabilities(4, 3)], [r(2, 3, 4), probabilities(2, 3, 4, axis=1)],
         [r(3), probabilities(3)])
    case("cross_entropy probabilities weight smoothing=0.1" + text,
         lambda x, t, w, how=how: F.cross_entropy(x, t, w, reduction=how, label_smoothing=0.1),
         [r(4, 3), const(probabilities(4, 3)), const(r(3, lo=0.2))],
         [r(2, 3, 4), const(probabilities(2, 3, 4, axis=1)), const(r(3, lo=0.2))])
    case("nll_loss" + text, lambda x, t, how=how: F.nll_loss(x, t, reduction=how),
         [r(4, 3), ints(4)], [r(2, 3, 4), ints(2, 4)], [r(5), ints(hi=5)])
    case("nll_loss weight ignore_index=1" + text,
         lambda x, t, w, how=how: F.nll_loss(x, t, w, reduction=how, ignore_index=1),
         [r(5, 3), labels(0, 1, 2, 2, 1), const(r(3, lo=0.2))],
         [r(2, 3, 4), ints(2, 4), const(r(3, lo=0.2))])
    pair = [[r(3, 5), r(3, 5)], [r(), r()]]
    for name, f in {"mse_loss": F.mse_loss, "l1_loss": F.l1_loss, "huber_loss": F.huber_loss,
                    "smooth_l1_loss": F.smooth_l1_loss}.items():
        case(name + text, lambda x, t, f=f, how=how: f(x, t, reduction=how), *pair)
    case("huber_loss delta=0.5" + text,
         lambda x, t, how=how: F.huber_loss(x, t, reduction=how, delta=0.5), *pair)
    case("smooth_l1_loss beta=0.5" + text,
         lambda x, t, how=how: F.smooth_l1_loss(x, t, reduction=how, beta=0.5), *pair)
    chance = lambda *s: r(*s, lo=0.05, hi=0.95)
    case("binary_cross_entropy" + text,
         lambda x, t, how=how: F.binary_cross_entropy(x, t, reduction=how),
         [chance(3, 5), chance(3, 5)])
    case("binary_cross_entropy weight" + text,
         lambda x, t, w, how=how: F.binary_cross_entropy(x, t, w, reduction=how),
         [chance(3, 5), const(chance(3, 5)), const(chance(5))])
    logits = F.binary_cross_entropy_with_logits
    case("binary_cross_entropy_with_logits" + text,
         lambda x, t, how=how: logits(x, t, reduction=how), [r(3, 5), chance(3, 5)])
    case("binary_cross_entropy_with_logits weight pos_weight" + text,
         lambda x, t, w, p, how=how: logits(x, t, w, reduction=how, pos_weight=p),
         [r(3, 5), chance(3, 5), const(chance(5)), const(r(5, lo=0.2))])
    case("kl_div" + text, lambda x, t, how=how: F.kl_div(x, t, reduction=how),
         [r(3, 5), probabilities(3, 5)])
    case("kl_div log_target" + text,
         lambda x, t, how=how: F.kl_div(x, t, reduction=how, log_target=True), [r(3, 5), r(3, 5)])
case("cross_entropy ignore_index=2", lambda x, t: F.cross_entropy(x, t, ignore_index=2),
     [r(4, 3), labels(0, 2, 2, 1)])
case("cross_entropy all ignored", F.cross_entropy, [const(r(2, 3)), labels(-100, -100)])
case("mse_loss equal", F.mse_loss, [at(1, 2), at(1, 3), 1])
case("l1_loss equal", F.l1_loss, [at(1, 2), at(1, 3), 1])
case("huber_loss at delta", F.huber_loss, [at(1, 2, 1), at(2, 1, 1), 1])
case("smooth_l1_loss beta=0", lambda x, t: F.smooth_l1_loss(x, t, beta=0.0), [r(5), r(5)])
case("binary_cross_entropy certain", F.binary_cross_entropy,
     [at(0, 1, 0, 1), const(at(0, 1, 1, 0)), 1], tolerance=1e-8)  # 1e-12 is a float there
case("binary_cross_entropy_with_logits large", logits,
     [at(-1000, 1000, -1000, 1000), const(at(0, 1, 1, 0))])
case("kl_div zero target", F.kl_div, [r(3), at(0, 0.5, 0.5), 0])
