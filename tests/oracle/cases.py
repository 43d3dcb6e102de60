"""How a case is said: a name, a function of torch tensors, and the inputs of its samples.

The first word of a name is the name of our operation, layer or optimizer; the rest says the
attributes. A sample is a list of inputs; a last element that is a number limits the order of the
derivatives that are compared.
"""

import zlib

import numpy as np

VARIABLE, CONSTANT, INT, BOOL = range(4)

cases = {}


class Case:
    def __init__(self, f, samples, orders, tolerance, names, margin):
        self.f, self.samples, self.orders = f, samples, orders
        self.tolerance, self.names, self.margin = tolerance, names, margin


def case(name, f, *samples, orders=2, tolerance=0.0, names="", margin=4):
    """`orders`: of derivatives that PyTorch has. `tolerance`: for results that cannot agree to
    1e-10. `names`: of the inputs after the first. `margin`: in float32, times what PyTorch itself
    loses there."""
    assert name not in cases, name
    cases[name] = Case(f, samples, orders, tolerance, names, margin)


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


# --- inputs: functions of a generator. Odd multiples of 1/1024: exact in float32, never an integer
# or a half, where many functions have a kink.


def r(*shape, lo=-2.0, hi=2.0):
    def draw(g):
        k = g.integers(int(np.floor(lo * 512)), int(np.floor(hi * 512)), shape)
        return VARIABLE, np.asarray((2 * k + 1) / 1024.0)

    return draw


def distinct(*shape):
    """No two within 1/8 of one another."""

    def draw(g):
        n = int(np.prod(shape, dtype=int))
        return VARIABLE, np.asarray((g.permutation(n) - n // 2).reshape(shape) / 8.0 + 1 / 32)

    return draw


def at(*values):
    return lambda g: (VARIABLE, np.asarray(values, dtype=np.float32).astype(np.float64))


def const(draw):
    """An input that is not differentiated."""
    return lambda g: (CONSTANT, draw(g)[1])


def ints(*shape, lo=0, hi=3):
    return lambda g: (INT, np.asarray(g.integers(lo, hi, shape), dtype=np.int64))


def index(*values):
    return lambda g: (INT, np.asarray(values, dtype=np.int64))


def bools(*shape):
    return lambda g: (BOOL, np.asarray(g.integers(0, 2, shape), dtype=bool))


def probabilities(*shape, axis=-1):
    """Positive multiples of 1/1024 that add up to one along an axis."""

    def draw(g):
        x = np.floor(r(*shape, lo=1.0, hi=4.0)(g)[1] * 1024)
        x = np.maximum(np.floor(x / x.sum(axis, keepdims=True) * 1024), 1)
        last = np.take(x, [-1], axis) + 1024 - x.sum(axis, keepdims=True)
        return VARIABLE, np.concatenate([np.delete(x, -1, axis), last], axis) / 1024

    return draw


def spd(n, *batch):
    """A symmetric positive definite matrix, well conditioned."""

    def draw(g):
        a = r(*batch, n, n, lo=-1.0, hi=1.0)(g)[1]
        return VARIABLE, np.round((a @ np.swapaxes(a, -1, -2) + 2 * np.eye(n)) * 256) / 256

    return draw


def well(n, *batch):
    """A square matrix, well conditioned."""

    def draw(g):
        return VARIABLE, r(*batch, n, n, lo=-1.0, hi=1.0)(g)[1] + 3 * np.eye(n)

    return draw


# --- the usual samples


def unary(name, f, lo=-3.0, hi=3.0, kinks=(-1.0, 0.0, 1.0),
          far=(-np.inf, -30.0, 30.0, np.inf, np.nan), **options):
    """Usual shapes, first derivatives at `kinks`, values at `far`."""
    samples = [[r(19, lo=lo, hi=hi)], [r(lo=lo, hi=hi)], [r(2, 0, 3)]]
    if kinks:
        samples.append([at(*kinks), 1])
    if far:
        samples.append([const(at(*far))])
    case(name, f, *samples, **options)


def binary(name, f, a=(-2.0, 2.0), b=(-2.0, 2.0), kinks=()):
    shapes = [((3, 5), (3, 5)), ((2, 1, 3), (4, 1)), ((), (7,)), ((0, 3), (3,))]
    samples = [[r(*s, lo=a[0], hi=a[1]), r(*t, lo=b[0], hi=b[1])] for s, t in shapes]
    if kinks:
        samples.append([at(*kinks[0]), at(*kinks[1]), 1])
    case(name, f, *samples)
