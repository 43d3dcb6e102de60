"""Schedules with momentum, averages of weights, LBFGS, Muon."""

import torch
from torch import optim
from torch.optim import _muon, lr_scheduler as schedulers, swa_utils

from cases import case, const, r


def schedule(name, make, steps=30):
    """Rates and momenta of two groups."""

    def f():
        groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.3)]
        sgd = optim.SGD(groups, momentum=0.5)
        scheduler, found = make(sgd), []
        for t in range(steps):
            found += [g[key] for g in sgd.param_groups for key in ("lr", "momentum")]
            sgd.step()
            if t + 1 < steps:
                scheduler.step()
        return torch.tensor(found, dtype=torch.float64)

    case(name, f, [])


S = schedulers
schedule("OneCycleLR", lambda o: S.OneCycleLR(o, 0.5, 30))
schedule("OneCycleLR linear three_phase",
         lambda o: S.OneCycleLR(o, [0.5, 1.0], 30, pct_start=0.4, anneal_strategy="linear",
                                base_momentum=[0.7, 0.8], max_momentum=0.9, div_factor=10.0,
                                final_div_factor=100.0, three_phase=True))
schedule("OneCycleLR epochs", lambda o: S.OneCycleLR(
    o, 0.5, epochs=6, steps_per_epoch=5, pct_start=0.21, cycle_momentum=False))
schedule("CyclicLR", lambda o: S.CyclicLR(o, 0.1, 0.5, 4))
schedule("CyclicLR triangular2", lambda o: S.CyclicLR(
    o, [0.1, 0.2], 0.5, 3, 5, mode="triangular2", base_momentum=0.6, max_momentum=[0.8, 0.9]))
schedule("CyclicLR exp_range", lambda o: S.CyclicLR(o, 0.1, 0.5, 4, mode="exp_range", gamma=0.9,
                                                    cycle_momentum=False))
schedule("CyclicLR scale_fn", lambda o: S.CyclicLR(o, 0.1, 0.5, 4, 3, scale_fn=lambda x: 1 / (1 + x),
                                                   scale_mode="iterations"))
schedule("CosineAnnealingWarmRestarts", lambda o: S.CosineAnnealingWarmRestarts(o, 4, 2, 0.01))
schedule("CosineAnnealingWarmRestarts even", lambda o: S.CosineAnnealingWarmRestarts(o, 7))
schedule("PolynomialLR", lambda o: S.PolynomialLR(o, 20, 0.7))
schedule("ChainedScheduler", lambda o: S.ChainedScheduler(
    [S.LinearLR(o, 0.2, 1.0, 6), S.ExponentialLR(o, 0.9), S.StepLR(o, 10, 0.5)]))
schedule("SWALR", lambda o: swa_utils.SWALR(o, [0.05, 0.1], anneal_epochs=12))


class Two:
    """Steps of one schedule, then of SWALR, which goes on from the rate of then."""

    def __init__(self, first, then, start):
        self.first, self.then, self.left = first, then, start

    def step(self):
        self.left -= 1
        (self.first if self.left >= 0 else self.then).step()


schedule("SWALR after another", lambda o: Two(
    S.ExponentialLR(o, 0.8), swa_utils.SWALR(o, 0.02, 5, "linear"), 9))


def average(name, make):
    """The averages of a parameter over some values, and of a buffer."""

    def f(values):
        model = torch.nn.BatchNorm1d(3).to(values.dtype)
        averaged = make(model)
        for value in values:
            with torch.no_grad():
                model.weight.copy_(value)
                model.running_mean.copy_(2 * value)
            averaged.update_parameters(model)
        return [averaged.module.weight.detach(), averaged.module.running_mean]

    case(name, f, [const(r(6, 3))])


ema, averaged_model = swa_utils.get_ema_multi_avg_fn, swa_utils.AveragedModel
average("EMA", lambda m: averaged_model(m, multi_avg_fn=ema(0.8)))
average("EMA use_buffers", lambda m: averaged_model(m, multi_avg_fn=ema(0.3), use_buffers=True))
average("SWA", lambda m: averaged_model(m))
average("SWA use_buffers", lambda m: averaged_model(m, use_buffers=True))


def statistics(batches):
    """Of two norms in turn, made anew from some batches."""
    norm, average = torch.nn.BatchNorm1d(3, momentum=0.3), torch.nn.BatchNorm1d(3, momentum=None)
    model = torch.nn.Sequential(norm, torch.nn.Tanh(), average).to(batches.dtype)
    model(batches[0])
    swa_utils.update_bn(list(batches), model)
    model(batches[0])  # with its own momentum again
    return [t for n in (norm, average) for t in (n.running_mean, n.running_var)]


case("update_bn", statistics, [const(r(4, 5, 3))])


def lbfgs(name, steps, **options):
    def valley(start):
        p = start.clone().requires_grad_()
        return descend([p], lambda: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2)

    def network(w, b, x, t):
        v, c = w.clone().requires_grad_(), b.clone().requires_grad_()
        return descend([v, c], lambda: (torch.tanh(x @ v + c).sum(1) - t).square().mean())

    def descend(parameters, loss_of):
        optimizer = optim.LBFGS(parameters, **options)

        def closure():
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            return loss

        found = []
        for _ in range(steps):
            found.append(optimizer.step(closure).detach().clone())
            found += [p.detach().clone() for p in parameters]
        return found

    case(name + " valley", valley, [const(r(2, lo=-1.0, hi=1.0))], tolerance=1e-6)
    # Where a search ends, in float32, depends on the last bits of a loss.
    case(name + " network", network, [const(r(3, 4)), const(r(4)), const(r(8, 3)), const(r(8))],
         tolerance=1e-6, margin=32)


lbfgs("LBFGS", 6, lr=0.1, max_iter=3)
lbfgs("LBFGS history", 8, lr=0.2, max_iter=2, max_eval=3, history_size=2)
lbfgs("LBFGS strong_wolfe", 3, max_iter=5, line_search_fn="strong_wolfe")
lbfgs("LBFGS strong_wolfe lr", 4, lr=0.3, max_iter=4, max_eval=12, history_size=3,
      line_search_fn="strong_wolfe")


def unrounded(g, coefficients, steps, eps):
    """As in _muon, where it rounds to bfloat16."""
    a, b, c = coefficients
    x = g.T if g.size(0) > g.size(1) else g
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if g.size(0) > g.size(1) else x


def muon(name, exact=True, **options):
    def f(start, x, t):
        p = start.clone().requires_grad_()
        optimizer, found = optim.Muon([p], **options), []
        rounded = _muon._zeropower_via_newtonschulz
        if exact:
            _muon._zeropower_via_newtonschulz = unrounded
        for step in range(10):
            optimizer.zero_grad()
            (torch.tanh(x @ p).sum(1) - t).square().mean().backward()
            optimizer.step()
            if step in (0, 1, 9):
                found.append(p.detach().clone())
        _muon._zeropower_via_newtonschulz = rounded
        return found

    case(name, f, [const(r(3, 4)), const(r(8, 3)), const(r(8))],
         [const(r(4, 2)), const(r(8, 4)), const(r(8))], tolerance=0 if exact else 0.03)


muon("Muon", exact=False)
muon("Muon lr", lr=0.05, weight_decay=0.2, momentum=0.8)
muon("Muon options", lr=0.05, nesterov=False, ns_coefficients=(3.0, -3.2, 1.2), ns_steps=3,
     adjust_lr_fn="match_rms_adamw")
muon("Muon spectral_unclamped", lr=0.05, adjust_lr_fn="spectral_unclamped")
case("parameters_to_vector", lambda a, b: torch.nn.utils.parameters_to_vector([a, b]),
     [r(2, 3), r(2)])
