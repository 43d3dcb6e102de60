"""Products and linear algebra."""

import numpy as np
import torch
import torch.nn.functional as F

from cases import case, const, r, spd, well

case("matmul", torch.matmul, [r(3, 4), r(4, 5)], [r(4), r(4)], [r(4), r(4, 5)], [r(3, 4), r(4)],
     [r(2, 3, 4), r(4, 2)], [r(2, 1, 3, 4), r(3, 4, 2)], [r(4), r(2, 4, 3)], [r(2, 3, 4), r(4)],
     [r(0, 4), r(4, 2)], [r(3, 0), r(0, 2)])
case("linear", F.linear, [r(3, 4), r(5, 4), r(5)], [r(2, 3, 4), r(5, 4), r(5)],
     [r(4), r(5, 4), r(5)])
case("linear without bias", F.linear, [r(3, 4), r(5, 4)])
case("dot", torch.dot, [r(5), r(5)])
case("vdot", torch.vdot, [r(5), r(5)])
case("inner", torch.inner, [r(2, 3), r(4, 3)], [r(3), r(3)], [r(), r(3)])
case("outer", torch.outer, [r(3), r(4)])
case("kron", torch.kron, [r(2, 3), r(3, 2)], [r(3), r(2, 2)])
case("cross", torch.linalg.cross, [r(2, 3), r(2, 3)], [r(4, 1, 3), r(1, 2, 3)])
case("cross axis=0", lambda a, b: torch.linalg.cross(a, b, dim=0), [r(3, 2), r(3, 2)])
case("trace", lambda x: x.diagonal(0, -2, -1).sum(-1), [r(3, 4)], [r(2, 3, 3)])
case("multi_dot", lambda *x: torch.linalg.multi_dot(x), [r(2, 3), r(3, 4), r(4, 2)],
     [r(3), r(3, 4), r(4)])
case("tensordot", torch.tensordot, [r(2, 3, 4), r(3, 4, 2)])
case("tensordot axes", lambda a, b: torch.tensordot(a, b, ([0, 2], [1, 0])),
     [r(2, 3, 4), r(4, 2, 3)])
for equation, shapes in {
    "ij,jk->ik": [(2, 3), (3, 4)], "ij,jk": [(2, 3), (3, 4)],
    "bij,bjk->bik": [(2, 2, 3), (2, 3, 4)], "ii->i": [(3, 3)], "ii": [(3, 3)], "ij->ji": [(2, 3)],
    "ij->": [(2, 3)], "i,j->ij": [(2,), (3,)],
    "...ij,...jk->...ik": [(2, 1, 2, 3), (4, 3, 2)], "bn,anm,bm->ba": [(2, 3), (2, 3, 4), (2, 4)],
    "ij,ij->i": [(2, 3), (2, 3)], "ij,kl->jl": [(2, 3), (3, 2)],
}.items():
    case("einsum " + equation, lambda *x, e=equation: torch.einsum(e, *x), [r(*s) for s in shapes])

L = torch.linalg
case("solve", L.solve, [well(3), r(3, 2)], [well(3), r(3)], [well(3, 2), r(2, 3, 2)],
     [well(3), r(2, 3, 2)])
case("inv", L.inv, [well(3)], [well(2, 3)])
case("det", L.det, [well(3)], [r(2, 2, 2)], [r(1, 1)])
case("slogdet", lambda x: tuple(L.slogdet(x)), [well(3)], [r(2, 2, 2)])
triangle = lambda f: (lambda g: (0, f(well(3)(g)[1])))
case("solve_triangular", lambda a, b: L.solve_triangular(a, b, upper=False),
     [triangle(np.tril), r(3, 2)])
case("solve_triangular upper", lambda a, b: L.solve_triangular(a, b, upper=True),
     [triangle(np.triu), r(3, 2)])
case("solve_triangular right unitriangular",
     lambda a, b: L.solve_triangular(a, b, upper=False, left=False, unitriangular=True),
     [triangle(lambda x: np.tril(x, -1) + np.eye(3)), r(2, 3)])
# PyTorch gives the other triangle of the factor a gradient, though it is not read.
case("cholesky_solve", lambda b, a: torch.cholesky_solve(b, a.tril()), [r(3, 2), triangle(np.tril)])
case("cholesky", L.cholesky, [spd(3)], [spd(2, 3)])
case("cholesky upper", lambda a: L.cholesky(a, upper=True), [spd(3)])
case("qr", lambda a: tuple(L.qr(a)), [r(3, 3)], [r(4, 2)], [r(2, 3, 2)])
case("qr wide", lambda a: tuple(L.qr(a)), [r(2, 3)])

def svd(a):
    """Free of the signs of the vectors."""
    u, s, vh = L.svd(a, full_matrices=False)
    return u.square(), s, vh.square(), (u * s.unsqueeze(-2).exp()) @ vh

def eigh(a):
    values, vectors = L.eigh((a + a.mT) / 2)
    return values, vectors.square(), (vectors * values.unsqueeze(-2).exp()) @ vectors.mT

case("svd", svd, [r(3, 3)], [r(4, 2)], [r(2, 2, 3)])
case("svdvals", L.svdvals, [r(3, 4)], [r(2, 2, 3)])
case("eigh", eigh, [r(3, 3)], [r(2, 2, 2)])
case("eigvalsh", lambda a: L.eigvalsh((a + a.mT) / 2), [r(3, 3)])
case("lstsq", lambda a, b: L.lstsq(a, b).solution, [r(4, 2), r(4, 3)], [r(3, 3), r(3, 1)])
case("pinv", L.pinv, [r(4, 2)], [r(2, 3)], [r(2, 3, 2)])
case("matrix_exp", torch.matrix_exp, [r(3, 3)], [r(2, 2, 2)])
for n in (-2, 0, 1, 3):
    case(f"matrix_power n={n}", lambda a, n=n: L.matrix_power(a, n), [well(3)])
case("matrix_norm", L.matrix_norm, [r(3, 4)], [r(2, 3, 3)])
for p in ("nuc", 1, -1, 2, -2, np.inf, -np.inf):
    case(f"matrix_norm ord={p}", lambda a, p=p: L.matrix_norm(a, p), [r(3, 4)], [r(2, 3, 3)])
case("matrix_norm keepdims", lambda a: L.matrix_norm(a, keepdim=True), [r(2, 3, 3)])
case("cond", L.cond, [well(3)])
case("matrix_rank", L.matrix_rank, [const(r(3, 4))], [lambda g: (1, np.ones((3, 3)))])
