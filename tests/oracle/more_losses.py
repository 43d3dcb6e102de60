"""Losses with margins, likelihoods, focal and CTC; distances."""

import numpy as np
import torch
import torch.nn.functional as F

from cases import at, case, const, index, ints, r

signs = lambda *shape: (lambda g: (1, g.integers(0, 2, shape) * 2.0 - 1))
chance = lambda *s: r(*s, lo=0.05, hi=0.95)


def focal(x, t, alpha=0.25, gamma=2.0, reduction="none"):
    """torchvision's."""
    p = torch.sigmoid(x)
    loss = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = loss * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def labels(*rows):
    return lambda g: (2, np.array(rows if len(rows) > 1 else rows[0], dtype=np.int64))



def thrice(name, f, *samples):
    """By all reductions."""
    case(name, lambda *x: [f(*x, how) for how in ("mean", "sum", "none")], *samples)


thrice("margin_ranking_loss margin=0.5",
       lambda a, b, t, how: F.margin_ranking_loss(a, b, t, 0.5, reduction=how),
       [r(3, 5), r(3, 5), signs(3, 5)])
thrice("cosine_embedding_loss margin=0.2",
       lambda a, b, t, how: F.cosine_embedding_loss(a, b, t, 0.2, reduction=how),
       [r(7, 3), r(7, 3), signs(7)], [r(4), r(4), signs()])
thrice("hinge_embedding_loss margin=0.7",
       lambda x, t, how: F.hinge_embedding_loss(x, t, 0.7, reduction=how),
       [r(3, 5), signs(3, 5)])
thrice("triplet_margin_loss",
       lambda a, p, n, how: F.triplet_margin_loss(a, p, n, reduction=how),
       [r(4, 3), r(4, 3), r(4, 3)])
thrice("multi_margin_loss",
       lambda x, t, how: F.multi_margin_loss(x, t, reduction=how),
       [r(4, 3), ints(4), 1], [r(5), ints(hi=5), 1])
thrice("multi_margin_loss p=2 weight",
       lambda x, t, w, how: F.multi_margin_loss(x, t, 2, 0.7, w, reduction=how),
       [r(4, 3), ints(4), const(r(3, lo=0.2)), 1])
thrice("multilabel_margin_loss",
       lambda x, t, how: F.multilabel_margin_loss(x, t, reduction=how),
       [r(3, 4), labels([3, 0, -1, 1], [-1, 2, 2, 2], [0, 1, 2, 3]), 1],
     [r(4), index(1, 1, -1, 0), 1])
thrice("soft_margin_loss",
       lambda x, t, how: F.soft_margin_loss(x, t, reduction=how),
       [r(3, 5), signs(3, 5)])
thrice("multilabel_soft_margin_loss",
       lambda x, t, w, how: F.multilabel_soft_margin_loss(x, t, w, reduction=how),
       [r(3, 5), chance(3, 5), const(r(5, lo=0.2))])
thrice("poisson_nll_loss",
       lambda x, t, how: F.poisson_nll_loss(x, t, reduction=how),
       [r(3, 5), r(3, 5, lo=0.1, hi=4.0)])
thrice("gaussian_nll_loss",
       lambda x, t, v, how: F.gaussian_nll_loss(x, t, v, reduction=how),
       [r(3, 5), r(3, 5), r(3, 5, lo=0.1)], [r(3, 5), r(3, 5), r(3, 1, lo=0.1)],
     [r(3, 5), r(3, 5), r(3, lo=0.1)])
thrice("sigmoid_focal_loss",
     lambda x, t, how: focal(x, t, reduction=how), [r(3, 5), chance(3, 5)])
case("margin_ranking_loss met", lambda a, b, t: F.margin_ranking_loss(a, b, t),
     [at(1, 2, 3), at(1, 1, 4), const(at(1, 1, -1)), 1])
case("hinge_embedding_loss met", lambda x, t: F.hinge_embedding_loss(x, t),
     [at(1, 1, 2), const(at(1, -1, 0.5)), 1])
case("cosine_embedding_loss zero", F.cosine_embedding_loss,
     [at(0, 0), at(1, 2), lambda g: (1, np.asarray(-1.0)), 1])
case("triplet_margin_loss p=1 swap",
     lambda a, p, n: F.triplet_margin_loss(a, p, n, 3.0, 1, swap=True),
     [r(6, 3), r(6, 3), r(6, 3)], [r(3), r(3), r(3)])
case("triplet_margin_loss eps=0 equal",
     lambda a, p, n: F.triplet_margin_loss(a, p, n, 9.0, eps=0.0),
     [at(1, 2), at(1, 2), at(2, 4), 1])
case("multi_margin_loss met", F.multi_margin_loss, [at(1, 0, 2), labels(0), 1])
case("poisson_nll_loss full", lambda x, t: F.poisson_nll_loss(x, t, full=True),
     [r(3, 5), const(r(3, 5, lo=0.1, hi=4.0))], [r(3), const(at(0, 1, 2))])
case("poisson_nll_loss log_input=false",
     lambda x, t: F.poisson_nll_loss(x, t, log_input=False, eps=1e-3),
     [r(3, 5, lo=0.1), r(3, 5, lo=0.1)])
case("gaussian_nll_loss full eps=0.5",
     lambda x, t, v: F.gaussian_nll_loss(x, t, v, full=True, eps=0.5),
     [r(3, 5), r(3, 5), r(3, 5, lo=0.1)])
case("sigmoid_focal_loss alpha=-1 gamma=1.5",
     lambda x, t: focal(x, t, -1, 1.5), [r(3, 5), chance(3, 5)])
case("sigmoid_focal_loss gamma=0", lambda x, t: focal(x, t, 0.7, 0.0), [r(3, 5), chance(3, 5)])

lengths = (labels(5, 3, 4), labels(3, 1, 2))
both = [labels([1, 2, 2], [2, 1, 1], [1, 3, 1]), *lengths, 1]
thrice("ctc_loss",
       lambda x, t, i, n, how: F.ctc_loss(x.log_softmax(-1), t, i, n, reduction=how),
       [r(5, 3, 4), *both], [r(5, 3, 4), labels(1, 2, 2, 2, 1, 3), *lengths, 1],
       [r(5, 3, 4), labels([1, 2, 2], [2, 1, 1], [1, 3, 1]), labels(5, 0, 4), labels(0, 0, 1), 1])
thrice("ctc_loss blank=3 zero_infinity",
       lambda x, t, i, n, how: F.ctc_loss(x.log_softmax(-1), t, i, n, 3, how, True),
       [r(5, 3, 4), labels([1, 1, 2], [2, 1, 1], [1, 2, 1]), labels(5, 3, 2), labels(3, 1, 3), 1])
case("ctc_loss one sample",
     lambda x, t, i, n: F.ctc_loss(x.log_softmax(-1), t, i, n),
     [r(6, 3), labels(2, 2, 1), lambda g: (2, np.asarray(6)), lambda g: (2, np.asarray(3)), 1])
case("pairwise_distance", lambda a, b: F.pairwise_distance(a, b),
     [r(4, 3), r(4, 3)], [r(4, 3), r(1, 3)], [r(3), r(3)])
case("pairwise_distance p=3 eps=0.1 keepdim", lambda a, b: F.pairwise_distance(a, b, 3, 0.1, True),
     [r(4, 3), r(4, 3)])
case("pairwise_distance eps=0 equal", lambda a, b: F.pairwise_distance(a, b, eps=0),
     [at(1, 2), at(1, 2), 1])
exact = "donot_use_mm_for_euclid_dist"  # which cancels
case("cdist", lambda a, b: torch.cdist(a, b, compute_mode=exact),
     [r(4, 3), r(5, 3), 1], [r(2, 4, 3), r(1, 2, 3), 1], [r(0, 3), r(2, 3), 1])
for p in (0, 1, 1.5, 3):
    case(f"cdist p={p}", lambda a, b, p=p: torch.cdist(a, b, p), [r(4, 3), r(5, 3), 1])
case("cdist p=inf", lambda a, b: torch.cdist(a, b, np.inf), [r(4, 3), r(5, 3), 1])
case("cdist equal", lambda a, b: torch.cdist(a, b, compute_mode=exact),
     [lambda g: (0, np.array([[1.0, 2.0], [3.0, 4.0]])), lambda g: (0, np.array([[1.0, 2.0]])), 1])
