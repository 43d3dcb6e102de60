"""Optimizers, learning-rate schedules, clipping, initial values."""

import math

import torch
from torch import optim
from torch.nn import init, utils
from torch.optim import lr_scheduler as schedulers

from cases import case, const, r


def descend(w, b, x, t, make):
    """50 steps on a small network whose loss is not convex; the parameters at some of the steps."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(w.dtype)  # in which NAdam keeps a number
    try:
        return steps(w, b, x, t, make)
    finally:
        torch.set_default_dtype(before)


def steps(w, b, x, t, make):
    parameters = [w.clone().requires_grad_(), b.clone().requires_grad_()]
    optimizer = make(parameters)
    found = []
    for step in range(1, 51):
        optimizer.zero_grad()
        v, c = parameters
        y = torch.tanh(x @ v + c).sum(1)
        loss = (y - t).square().mean() + 0.1 * torch.sin(3 * v).sum()
        loss.backward()
        optimizer.step()
        if step in (1, 2, 3, 10, 25, 50):
            found += [v.detach().clone(), c.detach().clone()]
    return found


def optimizer(name, make):
    case(name, lambda w, b, x, t: descend(w, b, x, t, make),
         [const(r(3, 4)), const(r(4)), const(r(8, 3)), const(r(8))])


optimizer("SGD", lambda p: optim.SGD(p, lr=0.05))
optimizer("SGD momentum", lambda p: optim.SGD(p, lr=0.05, momentum=0.9))
optimizer("SGD nesterov", lambda p: optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True))
optimizer("SGD dampening weight_decay",
          lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1))
optimizer("SGD maximize", lambda p: optim.SGD(p, lr=0.02, momentum=0.5, maximize=True,
                                              weight_decay=0.1))
for name in ("Adam", "AdamW"):
    Adam = getattr(optim, name)
    optimizer(name, lambda p, Adam=Adam: Adam(p, lr=0.05))
    optimizer(name + " defaults", lambda p, Adam=Adam: Adam(p))
    optimizer(name + " betas eps weight_decay",
              lambda p, Adam=Adam: Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1))
    optimizer(name + " amsgrad", lambda p, Adam=Adam: Adam(p, lr=0.1, betas=(0.9, 0.9),
                                                           amsgrad=True))
    optimizer(name + " maximize", lambda p, Adam=Adam: Adam(p, lr=0.02, maximize=True,
                                                            weight_decay=0.1))
optimizer("RMSprop", lambda p: optim.RMSprop(p, lr=0.02))
optimizer("RMSprop momentum", lambda p: optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.9))
optimizer("RMSprop centered", lambda p: optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-3,
                                                      centered=True))
optimizer("RMSprop centered momentum weight_decay",
          lambda p: optim.RMSprop(p, lr=0.005, alpha=0.9, eps=1e-3, centered=True, momentum=0.5,
                                  weight_decay=0.1))
optimizer("RMSprop maximize", lambda p: optim.RMSprop(p, lr=0.01, maximize=True))
optimizer("Adagrad", lambda p: optim.Adagrad(p, lr=0.1))
optimizer("Adagrad lr_decay weight_decay",
          lambda p: optim.Adagrad(p, lr=0.2, lr_decay=0.1, weight_decay=0.1))
optimizer("Adagrad initial_accumulator_value",
          lambda p: optim.Adagrad(p, lr=0.2, initial_accumulator_value=0.5, eps=1e-3))
optimizer("Adagrad maximize", lambda p: optim.Adagrad(p, lr=0.1, maximize=True))
optimizer("Adamax", lambda p: optim.Adamax(p, lr=0.05, weight_decay=0.1))
optimizer("Adamax defaults", lambda p: optim.Adamax(p))
optimizer("Adamax betas eps maximize",
          lambda p: optim.Adamax(p, lr=0.02, betas=(0.8, 0.9), eps=0.1, maximize=True))
optimizer("NAdam", lambda p: optim.NAdam(p, lr=0.05, weight_decay=0.1))
optimizer("NAdam defaults", lambda p: optim.NAdam(p))
optimizer("NAdam momentum_decay decoupled_weight_decay",
          lambda p: optim.NAdam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1,
                                momentum_decay=0.1, decoupled_weight_decay=True))
optimizer("NAdam maximize", lambda p: optim.NAdam(p, lr=0.02, maximize=True))
optimizer("RAdam", lambda p: optim.RAdam(p, lr=0.05, weight_decay=0.1))
optimizer("RAdam defaults", lambda p: optim.RAdam(p))
optimizer("RAdam betas decoupled_weight_decay",
          lambda p: optim.RAdam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1,
                                decoupled_weight_decay=True))
optimizer("RAdam maximize", lambda p: optim.RAdam(p, lr=0.02, maximize=True))
optimizer("Adadelta", lambda p: optim.Adadelta(p, lr=1.0, weight_decay=0.1))
optimizer("Adadelta defaults", lambda p: optim.Adadelta(p))
optimizer("Adadelta rho eps maximize",
          lambda p: optim.Adadelta(p, lr=0.5, rho=0.7, eps=1e-3, maximize=True))


def descend_rows(table, t, make):
    """50 steps on rows of a table; the table at some of the steps."""
    parameter = table.clone().requires_grad_()
    optimizer = make([parameter])
    found = []
    for step in range(1, 51):
        optimizer.zero_grad()
        places = torch.tensor([step % 7, step * step % 7, 3, 5 * step % 11 % 7])
        y = torch.tanh(torch.nn.functional.embedding(places, parameter, sparse=True)).sum(1)
        (y - t).square().mean().backward()
        optimizer.step()
        if step in (1, 2, 3, 10, 25, 50):
            found.append(parameter.detach().clone())
    return found


def rows(name, make):
    case(name, lambda table, t: descend_rows(table, t, make), [const(r(7, 3)), const(r(4))])


rows("SGD rows", lambda p: optim.SGD(p, lr=0.05))
rows("Adagrad rows", lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1))
rows("SparseAdam", lambda p: optim.SparseAdam(p, lr=0.05))
rows("SparseAdam betas eps", lambda p: optim.SparseAdam(p, lr=0.1, betas=(0.7, 0.8), eps=1e-3))
rows("SparseAdam maximize", lambda p: optim.SparseAdam(p, lr=0.02, maximize=True))


def schedule(name, make, metrics=None):
    """The learning rates of 30 steps from 0.1."""

    def f():
        adam = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler, rates = make(adam), []
        for t in range(30):
            rates.append(adam.param_groups[0]["lr"])
            adam.step()
            scheduler.step(*([] if metrics is None else [metrics(t)]))
        return torch.tensor(rates, dtype=torch.float64)

    case(name, f, [])


schedule("StepLR", lambda o: schedulers.StepLR(o, 7, 0.5))
schedule("MultiStepLR", lambda o: schedulers.MultiStepLR(o, [4, 11, 11, 20], 0.3))
schedule("ExponentialLR", lambda o: schedulers.ExponentialLR(o, 0.9))
schedule("CosineAnnealingLR", lambda o: schedulers.CosineAnnealingLR(o, 20, 0.01))
schedule("LinearLR", lambda o: schedulers.LinearLR(o))
schedule("LinearLR whole", lambda o: schedulers.LinearLR(o, 0.25, 0.5, 12))
schedule("LambdaLR", lambda o: schedulers.LambdaLR(o, lambda t: 1 / (1 + t)))
schedule("SequentialLR", lambda o: schedulers.SequentialLR(
    o, [schedulers.LinearLR(o, 0.5, 1.0, 5), schedulers.ExponentialLR(o, 0.9)], [5]))
schedule("LinearWarmup", lambda o: schedulers.SequentialLR(
    o, [schedulers.LinearLR(o, 0.2, 1.0, 6), schedulers.CosineAnnealingLR(o, 20)], [6]))
metric = lambda t: math.floor(100 / (1 + t)) / 100
plateau = schedulers.ReduceLROnPlateau
schedule("ReduceLROnPlateau", lambda o: plateau(o, patience=2), metric)
schedule("ReduceLROnPlateau cooldown min_lr",
         lambda o: plateau(o, factor=0.5, patience=1, cooldown=2, min_lr=0.01, threshold=0.02,
                           threshold_mode="abs"), metric)
schedule("ReduceLROnPlateau max", lambda o: plateau(o, mode="max", patience=3), metric)


def clip(name, f):
    def call(*gradients):
        parameters = [torch.zeros_like(g, requires_grad=True) for g in gradients]
        for p, g in zip(parameters, gradients):
            p.grad = g.clone()
        total = f(parameters)
        clipped = [p.grad for p in parameters]
        return clipped if total is None else [total, *clipped]

    case(name, call, [const(r(3, 4)), const(r(5))])


clip("clip_grad_norm_", lambda p: utils.clip_grad_norm_(p, 1.0))
clip("clip_grad_norm_ small", lambda p: utils.clip_grad_norm_(p, 100.0))
clip("clip_grad_norm_ norm_type=1", lambda p: utils.clip_grad_norm_(p, 2.0, 1.0))
clip("clip_grad_norm_ norm_type=inf", lambda p: utils.clip_grad_norm_(p, 0.5, math.inf))
clip("clip_grad_value_", lambda p: utils.clip_grad_value_(p, 0.75))


def initial(name, draw):
    """Moments of 60,000 numbers times the root of 300, to 2 percent."""

    def call():
        t = draw(torch.empty(200, 300, dtype=torch.float64)) * math.sqrt(300)
        return torch.stack([t.mean(), t.std(), t.abs().mean(), t.pow(4).mean().sqrt().sqrt()])

    case(name, call, [], tolerance=0.02)


def largest(name, draw):
    """The largest number of each of some tensors times the root of 300, to 1 percent."""
    case(name, lambda: torch.stack([t.abs().max() * math.sqrt(300) for t in draw()]).double(), [],
         tolerance=0.01)


largest("Linear range", lambda: torch.nn.Linear(300, 2000).parameters())
initial("uniform_", lambda t: init.uniform_(t, -0.1, 0.05))
initial("normal_", lambda t: init.normal_(t, 0.02, 0.05))
initial("trunc_normal_", lambda t: init.trunc_normal_(t, 0.0, 0.05, -0.06, 0.1))
initial("xavier_uniform_", lambda t: init.xavier_uniform_(t, 0.5))
initial("xavier_normal_", lambda t: init.xavier_normal_(t, 0.5))
initial("kaiming_uniform_", lambda t: init.kaiming_uniform_(t, 0.2))
initial("kaiming_normal_ fan_out relu",
        lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"))
initial("orthogonal_", lambda t: init.orthogonal_(t, 0.5))
gains = [("linear",), ("sigmoid",), ("tanh",), ("relu",), ("leaky_relu", 0.2), ("selu",)]
case("calculate_gain",
     lambda: torch.tensor([init.calculate_gain(*g) for g in gains], dtype=torch.float64), [])
