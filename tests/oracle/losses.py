"""Fused operations and losses."""

import numpy as np
import torch
import torch.nn.functional as F

from cases import at, case, const, ints, probabilities, r

inf, nan = np.inf, np.nan

for name, f in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
    case(name, lambda x, f=f: f(x, -1), [r(3, 17)], [r(2, 3, 4)], [at(1000, 999, -1000)],
         [const(at(-inf, 0, 1))], [const(at(-inf, nan, 1))])
    case(name + " axis=0", lambda x, f=f: f(x, 0), [r(3, 5)], [r(4)])
    case(name + " axis=1", lambda x, f=f: f(x, 1), [r(2, 3, 4)])
case("layer_norm", lambda x: F.layer_norm(x, x.shape[-1:]), [r(3, 5)], [r(2, 3, 17)])
case("layer_norm affine", lambda x, w, b: F.layer_norm(x, w.shape, w, b),
     [r(3, 5), r(5), r(5)], [r(2, 3, 4), r(3, 4), r(3, 4)])
case("layer_norm eps=0.1", lambda x, w: F.layer_norm(x, w.shape, w, None, 0.1), [r(3, 5), r(5)])

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
