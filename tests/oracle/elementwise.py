"""The operations on each element by itself."""

import numpy as np
import torch
import torch.nn.functional as F

from cases import at, binary, bools, case, const, ints, r, unary

inf, nan = np.inf, np.nan

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
unary("tan", torch.tan, lo=-1.2, hi=1.2)
unary("asin", torch.asin, lo=-0.9, hi=0.9)
unary("acos", torch.acos, lo=-0.9, hi=0.9)
unary("atan", torch.atan)
unary("sinh", torch.sinh)
unary("cosh", torch.cosh)
unary("asinh", torch.asinh)
unary("acosh", torch.acosh, lo=1.2, hi=4, kinks=(1.0, 2.0))
unary("atanh", torch.atanh, lo=-0.9, hi=0.9)
unary("exp2", torch.exp2)
unary("log2", torch.log2, lo=0.1, hi=4)
unary("log10", torch.log10, lo=0.1, hi=4)
unary("rsqrt", torch.rsqrt, lo=0.2, hi=4)
unary("reciprocal", torch.reciprocal, lo=0.2, hi=4)
case("cbrt", lambda x: x.sign() * x.abs() ** (1 / 3), [r(19)], [r()], [r(2, 0, 3)])  # no torch.cbrt
unary("erfc", torch.erfc)
unary("erfinv", torch.erfinv, lo=-0.9, hi=0.9)
# Its derivatives of digamma are good to 1e-9.
unary("lgamma", torch.lgamma, lo=0.3, hi=5, kinks=(-2.5, -0.5, 1.0, 2.0), tolerance=3e-9)
unary("digamma", torch.digamma, lo=0.3, hi=5, kinks=(-2.5, -0.5, 1.0, 2.0),
      far=(0.0, -0.0, 30, inf, nan), tolerance=3e-9)
for n in (1, 2):
    case(f"polygamma n={n}", lambda x, n=n: torch.polygamma(n, x), [r(7, lo=0.3, hi=5)],
         tolerance=3e-9)
for name in ("floor", "ceil", "trunc", "round"):
    unary(name, getattr(torch, name), kinks=(-1.5, -0.5, -0.0, 0.5, 1.5, 2.5, 3.0))
unary("silu", F.silu)
unary("mish", F.mish)
unary("logsigmoid", F.logsigmoid)
unary("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"))
unary("relu6", F.relu6, lo=-3, hi=9, kinks=(0.0, 6.0))
unary("selu", F.selu)
# 1/6 is a float in its gradient.
unary("hardsigmoid", F.hardsigmoid, lo=-5, hi=5, kinks=(-3.0, 3.0), orders=1, tolerance=1e-8)
unary("hardswish", F.hardswish, lo=-5, hi=5, kinks=(-3.0, 3.0), far=(-30.0, 30.0))
unary("hardtanh", F.hardtanh)
unary("softsign", F.softsign, kinks=(-1.0, 1.0), far=(-30.0, 30.0))
unary("tanhshrink", F.tanhshrink, far=(-30.0, 30.0))
unary("softshrink", F.softshrink, kinks=(-0.5, 0.0, 0.5))
unary("hardshrink", F.hardshrink, kinks=(-0.5, 0.0, 0.5))
unary("leaky_relu", F.leaky_relu)
unary("elu", F.elu)
unary("celu", F.celu)
case("hardtanh low=-2 high=0.5", lambda x: F.hardtanh(x, -2, 0.5), [r(19, lo=-3, hi=3)])
case("softshrink lambda=0.25", lambda x: F.softshrink(x, 0.25), [r(19)])
case("hardshrink lambda=0.25", lambda x: F.hardshrink(x, 0.25), [r(19)])
case("leaky_relu slope=0.2", lambda x: F.leaky_relu(x, 0.2), [r(19)])
case("elu alpha=1.5", lambda x: F.elu(x, 1.5), [r(19)])
case("celu alpha=1.5", lambda x: F.celu(x, 1.5), [r(19)])
case("prelu", F.prelu, [r(3, 4), r(4)], [r(2, 3, 2), r(3)], [r(3, 4), r(1)])
case("threshold", lambda x: F.threshold(x, 0.5, -1), [r(19)], [at(0, 0.5, 1), 1])
case("glu", F.glu, [r(3, 6)], [r(4)])
case("glu axis=0", lambda x: F.glu(x, 0), [r(4, 3)])
case("nan_to_num", lambda x: torch.nan_to_num(x, posinf=2.0, neginf=-3.0),
     [at(nan, inf, -inf, 1), 1], [r(5)])
case("nan_to_num nan=1", lambda x: torch.nan_to_num(x, 1.0), [at(nan, 0, 1), 1])
for name in ("isnan", "isinf", "isfinite"):
    case(name, getattr(torch, name), [const(at(nan, inf, -inf, 0, 1))])
for name in ("logical_and", "logical_or", "logical_xor"):
    case(name, getattr(torch, name), [bools(3, 5), bools(5)], [ints(7), ints(7)],
         [const(at(nan, 0, 1, 2)), const(at(0, 0, 1, 0))])
case("logical_not", torch.logical_not, [bools(7)], [const(at(nan, 0, 1))])

binary("add", torch.add)
binary("sub", torch.sub)
binary("mul", torch.mul)
binary("div", torch.div, b=(0.4, 2))
binary("pow", torch.pow, a=(0.2, 2), b=(-2, 3))
binary("maximum", torch.maximum, kinks=((-1, 0, 1, 2), (-1, 0, 1, 1)))
binary("minimum", torch.minimum, kinks=((-1, 0, 1, 2), (-1, 0, 1, 1)))
binary("fmod", torch.fmod, a=(-5, 5), b=(0.6, 2))
binary("remainder", torch.remainder, a=(-5, 5), b=(0.6, 2))
for name, f in {"fmod": torch.fmod, "remainder": torch.remainder}.items():
    case(name + " negative", f, [r(17, lo=-5, hi=5), r(17, lo=-2, hi=-0.6)],
         [const(at(1, inf, 1, nan, -3, 3)), const(at(0, 1, inf, 1, 3, -3))])
    case(name + " b=-1.25", lambda x, f=f: f(x, -1.25), [r(17, lo=-5, hi=5)])
binary("atan2", torch.atan2)
case("atan2 special", torch.atan2,
     [const(at(0, -0.0, 0, -0.0, 1, -1, inf, inf, nan)),
      const(at(1, 1, -1, -1, 0, 0, inf, -inf, 1))])
binary("hypot", torch.hypot, kinks=((3, 0), (0, -4)))  # the gradient at (0, 0) is NaN
binary("logaddexp", torch.logaddexp, kinks=((0, 1, 500), (0, -1, -500)))
case("logaddexp special", torch.logaddexp, [const(at(inf, -inf, -inf, nan, inf)),
                                            const(at(inf, -inf, 1, 1, -inf))])
binary("xlogy", torch.xlogy, b=(0.2, 2))
case("xlogy special", torch.xlogy,
     [const(at(0, 0, 0, 1, nan, 2)), const(at(0, inf, nan, 0, 1, -1))])
case("lerp", torch.lerp, [r(3, 5), r(3, 5), r(3, 5)], [r(2, 1, 3), r(4, 1), r(3, lo=0, hi=1)])
case("lerp weight=0.75", lambda a, b: torch.lerp(a, b, 0.75), [r(3, 5), r(5)])
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
case("clamp low=-1 high=0.5", lambda x: x.clamp(-1, 0.5), [r(19)],
     [const(at(-1, 0.5, -inf, inf, nan))])
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
