"""Reductions, scans, orders."""

import numpy as np
import torch

from cases import at, bools, case, const, distinct, ints, r

inf, nan = np.inf, np.nan

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
reduction("amax", torch.amax, distinct)
reduction("amin", torch.amin, distinct)
reduction("std", lambda x, a, k: torch.std(x, a, keepdim=k))
reduction("nansum", torch.nansum)
reduction("nanmean", torch.nanmean)
reduction("norm", lambda x, a, k: torch.linalg.vector_norm(x, 2, a, k))
for p in (0.5, 1, 3, inf, -inf, 0):
    reduction(f"norm p={p}", lambda x, a, k, p=p: torch.linalg.vector_norm(x, p, a, k),
              axes=((1,), (0, 2)))
case("norm zero", lambda x: torch.linalg.vector_norm(x), [at(0, 0), 1])
case("std correction=0", lambda x: x.std(correction=0), [r(3, 5)])
missing = lambda g: (0, np.array([[1.0, nan, 3], [nan, nan, nan], [1, 2, 0.5]]))
case("nansum missing", lambda x: x.nansum(1), [missing, 1])
case("nanmean missing", lambda x: x.nanmean(0), [missing, 1])


def along(name, f, draw=r, more=()):
    """f(x, axis) on the last axis, and on axis 0."""
    case(name, lambda x: f(x, -1), [draw(7)], [draw(2, 3, 4)], *more)
    case(name + " axis=0", lambda x: f(x, 0), [draw(3, 5)], [draw(2, 3, 4)])


zeros = lambda g: (0, np.array([[1.0, 2, 3, 4], [0, 2, 3, 4], [1, 0, 0, 2]]))
along("prod", torch.prod, more=[[zeros]])
case("prod whole", lambda x: x.prod(), [r(3, 5)], [r()])
case("prod axis=1 keepdims", lambda x: x.prod(1, True), [r(2, 3, 4)])
along("cumsum", torch.cumsum)
along("cumprod", torch.cumprod, more=[[zeros]])
along("logcumsumexp", torch.logcumsumexp, more=[[const(at(-inf, 1, -inf, 2))]])
along("argmin", torch.argmin, distinct)
case("argmin nan", lambda x: x.argmin(0), [const(at(1, nan, -3, nan))])
along("all", torch.all, bools)
along("any", torch.any, bools)
case("all whole", lambda x: x.all(), [bools(3, 5)], [ints(3, lo=1)])
case("any whole", lambda x: x.any(), [bools(3, 5)], [ints(3, hi=1)])
along("sort", lambda x, a: tuple(torch.sort(x, a)), distinct)
along("sort descending", lambda x, a: tuple(torch.sort(x, a, True)), distinct)
along("argsort", torch.argsort, distinct)
along("argsort descending", lambda x, a: torch.argsort(x, a, True), distinct)
along("median", lambda x, a: torch.median(x, a).values, distinct)
case("median whole", lambda x: x.median(), [distinct(3, 5)], [distinct(2, 3, 4)])
for q in (0.0, 0.25, 0.6, 1.0):
    along(f"quantile q={q}", lambda x, a, q=q: torch.quantile(x, q, a), distinct)
case("topk k=2", lambda x: tuple(x.topk(2)), [distinct(7)], [distinct(2, 3, 4)])
case("topk k=2 axis=0", lambda x: tuple(x.topk(2, 0)), [distinct(3, 5)])
case("topk k=2 smallest", lambda x: tuple(x.topk(2, largest=False)), [distinct(2, 3, 4)])
case("median axes=0,2", lambda x: x.movedim(1, 0).reshape(3, 10).median(1).values,
     [distinct(2, 3, 5)])
for how in ("lower", "higher", "midpoint", "nearest"):
    case(f"quantile q=0.37 {how}", lambda x, how=how: torch.quantile(x, 0.37, 1, interpolation=how),
         [distinct(3, 6)])
case("quantile several", lambda x, q: torch.quantile(x, q, 1),
     [distinct(3, 6), const(r(4, lo=0, hi=1))])
case("kthvalue k=2", lambda x: tuple(x.kthvalue(2)), [distinct(7)], [distinct(2, 3, 4)])
case("kthvalue k=3 axis=0", lambda x: tuple(x.kthvalue(3, 0)), [distinct(3, 5)])
reduction("var_mean", lambda x, a, k: torch.var_mean(x, a, keepdim=k), axes=((0, 2),))
case("count_nonzero", lambda x: x.count_nonzero(), [ints(3, 5)])
case("count_nonzero axes=1", lambda x: x.count_nonzero(1), [ints(3, 5)])
case("searchsorted", torch.searchsorted, [const(at(-1, 0, 0, 2)), const(at(-2, -1, 0, 1, 3))])
case("searchsorted right", lambda s, v: torch.searchsorted(s, v, right=True),
     [const(at(-1, 0, 0, 2)), const(at(-2, -1, 0, 1, 3))])
case("bincount", lambda x: x.bincount(), [ints(9, hi=5)])
case("bincount weights", lambda x, w: x.bincount(w, 7), [ints(9, hi=5), const(r(9))])
along("cummax", lambda x, a: tuple(torch.cummax(x, a)), distinct)
along("cummin", lambda x, a: tuple(torch.cummin(x, a)), distinct)
case("diff", torch.diff, [r(7)], [r(2, 4)])
case("diff n=2 axis=0", lambda x: x.diff(2, 0), [r(5, 2)])
case("trapezoid dx=0.5", lambda y: torch.trapezoid(y, dx=0.5), [r(7)], [r(2, 4)])
case("trapezoid", torch.trapezoid, [r(2, 4), distinct(4)])
case("normalize", torch.nn.functional.normalize, [r(2, 3, 4)])
case("normalize p=3 axis=-1", lambda x: torch.nn.functional.normalize(x, 3.0, -1), [r(2, 3)])
case("cosine_similarity", torch.cosine_similarity, [r(3, 5), r(3, 5)], [r(2, 3, 4), r(3, 1)])
case("cov", torch.cov, [r(3, 5)], [r(5)])
case("cov correction=0", lambda x: torch.cov(x, correction=0), [r(3, 5)])
case("corrcoef", torch.corrcoef, [r(3, 5)])
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
