"""Resampling, windows as columns, unpooling and power pooling; bins, NaN and polynomials."""

import torch
from torch import nn
from torch.nn import functional as F

from cases import at, case, const, distinct, index, ints, r
from modules import module

LINES = {"nearest": (3, 4, 5), "nearest-exact": (3, 4, 5), "area": (3, 4, 5), "linear": (3,),
         "bilinear": (4,), "bicubic": (4,), "trilinear": (5,)}
X = {3: r(2, 2, 6), 4: r(1, 2, 5, 4), 5: r(1, 1, 3, 4, 2)}
SIZE = {3: (9,), 4: (3, 7), 5: (2, 7, 3)}
FACTOR = {3: (0.7,), 4: (1.7, 0.6), 5: (1.5, 0.5, 2.0)}


def resampled(name, x, **options):
    case("interpolate " + name, lambda x: F.interpolate(x, **options), [x])


for mode, ranks in LINES.items():
    for d in ranks:
        at_rank = f"{mode} {d - 2}d"
        resampled(f"{at_rank} size", X[d], size=SIZE[d], mode=mode)
        resampled(f"{at_rank} factor", X[d], scale_factor=FACTOR[d], mode=mode)
        if d == 4:
            resampled(f"{at_rank} factor of sizes", X[d], scale_factor=FACTOR[d], mode=mode,
                      recompute_scale_factor=True)
        if "linear" in mode or "cubic" in mode:
            resampled(f"{at_rank} aligned size", X[d], size=SIZE[d], mode=mode, align_corners=True)
            resampled(f"{at_rank} aligned factor", X[d], scale_factor=FACTOR[d], mode=mode,
                      align_corners=True)
            resampled(f"{at_rank} aligned to one", X[d], size=1, mode=mode, align_corners=True)
        if mode in ("bilinear", "bicubic"):
            for align in (False, True):
                text = f"{at_rank} antialias" + (" aligned" if align else "")
                resampled(f"{text} size", r(1, 2, 7, 5), size=(3, 8), mode=mode, antialias=True,
                          align_corners=align)
                resampled(f"{text} factor", r(1, 1, 7, 6), scale_factor=(0.45, 1.7), mode=mode,
                          antialias=True, align_corners=align)
module("Upsample", nn.Upsample(scale_factor=2), r(1, 2, 3), r(1, 2, 2, 3))
module("Upsample size bicubic", nn.Upsample((4, 5), mode="bicubic"), r(1, 2, 2, 3))
module("UpsamplingNearest2d", nn.UpsamplingNearest2d(scale_factor=(2, 3)), r(1, 2, 2, 3))
module("UpsamplingBilinear2d", nn.UpsamplingBilinear2d(size=4), r(1, 2, 2, 3))

FOLD = dict(dilation=(1, 2), padding=(1, 0), stride=(2, 1))
case("im2col", lambda x: F.unfold(x, 2), [r(2, 2, 3, 4)], [r(2, 3, 2)])
case("im2col options", lambda x: F.unfold(x, (2, 3), **FOLD), [r(1, 2, 4, 6)])
case("fold", lambda x: F.fold(x, (3, 4), 2), [r(2, 8, 6)], [r(4, 6)])
case("fold options", lambda x: F.fold(x, (4, 6), (2, 3), **FOLD), [r(1, 12, 6)])
module("Unfold", nn.Unfold((2, 3), **FOLD), r(1, 2, 4, 6))
module("Fold", nn.Fold((4, 6), (2, 3), **FOLD), r(1, 12, 6))

case("max_unpool1d", lambda x, i: F.max_unpool1d(x, i.reshape(x.shape), 2, 3),
     [r(1, 2, 3), index(0, 3, 7, 1, 2, 6)])
case("max_unpool2d", lambda x, i: F.max_unpool2d(x, i.reshape(x.shape), (3, 2), 2, (1, 0), (6, 5)),
     [r(1, 1, 3, 2), index(6, 3, 10, 19, 20, 29)])
case("max_unpool3d", lambda x, i: F.max_unpool3d(x, i.reshape(x.shape), 2),
     [r(1, 1, 2, 1, 2), index(0, 13, 31, 17)])
UNPOOL = [(nn.MaxUnpool1d, 3, (1, 2, 3)), (nn.MaxUnpool2d, 2, (1, 1, 3, 2)),
          (nn.MaxUnpool3d, 2, (1, 1, 3, 1, 2))]
for layer, kernel, shape in UNPOOL:
    case(layer.__name__, lambda x, i, m=layer(kernel): m(x, i.reshape(x.shape)),
         [r(*shape), index(0, 3, 7, 1, 2, 6)])
for p in (2, 3, 1.5, -2, float("inf")):
    draw = r(2, 2, 8, lo=0.2)
    case(f"lp_pool1d p={p}", lambda x, p=p: F.lp_pool1d(x, p, 3, 2),
         [distinct(2, 2, 8) if p == float("inf") else draw])
case("lp_pool1d zero", lambda x: F.lp_pool1d(x.reshape(1, 1, 4), 2, 2), [at(0, 0, 1, 2), 1])
case("lp_pool2d ceil_mode", lambda x: F.lp_pool2d(x, 2, (3, 2), 2, True), [r(1, 2, 6, 5)])
case("lp_pool3d", lambda x: F.lp_pool3d(x, 2, (2, 1, 2)), [r(1, 1, 2, 2, 4)])
module("LPPool1d", nn.LPPool1d(2, 3, 2), r(2, 2, 8))
module("LPPool2d", nn.LPPool2d(2, 2, ceil_mode=True), r(1, 2, 3, 4))
module("LPPool3d", nn.LPPool3d(2, (2, 1, 2)), r(1, 1, 2, 2, 4))

inf, nan = float("inf"), float("nan")
case("isclose", lambda a, b: torch.isclose(a, b),
     [const(at(1, 1, inf, inf, nan, 0)), const(at(1.000001, 1.1, inf, -inf, nan, 1e-9))])
case("isclose equal_nan", lambda a, b: torch.isclose(a, b, 0.1, 0.5, True),
     [const(at(1, 1, inf, inf, nan, 0)), const(at(1.5, 1.75, inf, 1, nan, -0.75))])
case("bucketize", lambda x, b: torch.bucketize(x, b),
     [const(at(-2, -1, 0, 1, 3)), const(at(-1, 0, 0, 2))])
case("bucketize right", lambda x, b: torch.bucketize(x, b, right=True),
     [const(at(-2, -1, 0, 1, 3)), const(at(-1, 0, 0, 2))])
case("unique", lambda x: torch.unique(x, return_inverse=True, return_counts=True),
     [const(at(3, 1, 3, 2, 1, 3))], [const(at(nan, 1, nan, 1))], [const(r(0))])
for axis in (0, 1):
    case(f"unique axis={axis}",
         lambda x, axis=axis: torch.unique(x, dim=axis, return_inverse=True, return_counts=True),
         [ints(5, 3, hi=2)], [ints(2, 7, 2, hi=2)])
case("histogram", lambda x, w: tuple(torch.histogram(x, 4, weight=w)), [const(r(9)), const(r(9))],
     [const(at(1, 1, 1)), const(r(3))])
case("histogram range density",
     lambda x: tuple(torch.histogram(x, 3, range=(-1.0, 1.5), density=True)), [const(r(19))])
case("histogram edges", lambda x, e: tuple(torch.histogram(x, e)),
     [const(at(0, 0.5, 1, 2, 3)), const(at(0, 1, 2))])
case("histc", lambda x: torch.histc(x, 5), [const(r(19))], [const(at(1, 1))])
case("histc min max", lambda x: torch.histc(x, 4, -1, 2), [const(r(19))])
case("nanvar", lambda x: x[~x.isnan()].var(), [r(7)], [at(nan, 1, 3, nan, -2)])
case("nanstd", lambda x: x[~x.isnan()].std(), [r(7)], [at(nan, 1, 3, nan, -2)])
case("polyval", lambda p, x: sum(c * x ** (3 - k) for k, c in enumerate(p)), [r(4), r(2, 3)])
