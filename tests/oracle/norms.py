"""Norms and kinds of dropout: operations, and layers with the buffers that they leave."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from cases import case, const, index, r
from modules import module

# --- operations

positive = lambda n: r(n, lo=0.2)  # noqa: E731
case("batch_norm", lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
     [r(4, 3, 5), positive(3), r(3)], [r(6, 3), positive(3), r(3)], [r(2, 3, 2, 7), r(3), r(3)])
case("batch_norm eps=0.1 without affine", lambda x: F.batch_norm(x, None, None, training=True, eps=0.1),
     [r(4, 3, 5)], [r(0, 3, 4)])
case("batch_norm by running statistics", lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b),
     [r(4, 3, 5), const(r(3)), const(positive(3)), r(3), r(3)])
case("instance_norm", lambda x, w, b: F.instance_norm(x, None, None, w, b),
     [r(2, 3, 5), positive(3), r(3)], [r(2, 3, 2, 4), positive(3), r(3)])
case("instance_norm without affine eps=0.1", lambda x: F.instance_norm(x, eps=0.1), [r(2, 3, 9)])
case("group_norm", lambda x, w, b: F.group_norm(x, 2, w, b), [r(3, 4, 5), r(4), r(4)],
     [r(3, 4), r(4), r(4)], [r(2, 6, 2, 3), r(6), r(6)])
case("group_norm without affine eps=0.1", lambda x: F.group_norm(x, 3, eps=0.1), [r(2, 6, 4)])
case("rms_norm", lambda x, w: F.rms_norm(x, (5,), w), [r(3, 5), r(5)], [r(2, 3, 5), r(5)])
case("rms_norm two axes eps=0.1", lambda x: F.rms_norm(x, (3, 5), eps=0.1), [r(2, 3, 5)])
case("local_response_norm", lambda x: F.local_response_norm(x, 3), [r(2, 4, 3)], [r(1, 2, 2, 2)])
case("local_response_norm size=4",
     lambda x: F.local_response_norm(x, 4, alpha=0.3, beta=0.6, k=1.5), [r(2, 6, 2)])


# --- layers


def tracking(name, model, *inputs, train=True):
    """Outputs are y and the buffers after the call."""
    model = model.train(train).double()
    state = model.state_dict()
    buffers = [key for key, _ in model.named_buffers()]
    draws = []
    for key, value in state.items():
        if value.dtype == torch.int64:
            draws.append(lambda g: index(7)(g)[:1] + (index(7)(g)[1].reshape(()),))
        else:
            draw = r(*value.shape, lo=0.2) if (value == 1).all() else r(*value.shape)
            draws.append(const(draw) if key in buffers else draw)

    def f(x, *values):
        mine = {k: v.clone() if k in buffers else v for k, v in zip(state, values)}
        y = functional_call(model, mine, (x,))
        return (y, *[mine[key] for key in buffers])

    case(name, f, *[[x, *draws] for x in inputs], names=" ".join(state))


tracking("BatchNorm1d", nn.BatchNorm1d(3), r(6, 3), r(4, 3, 5))
tracking("BatchNorm1d evaluation", nn.BatchNorm1d(3), r(6, 3), r(4, 3, 5), train=False)
tracking("BatchNorm1d momentum=None", nn.BatchNorm1d(3, momentum=None), r(4, 3, 5))
tracking("BatchNorm2d", nn.BatchNorm2d(3), r(2, 3, 3, 4), r(0, 3, 2, 2))
tracking("BatchNorm2d eps=0.1 momentum=0.3 without affine",
         nn.BatchNorm2d(3, eps=0.1, momentum=0.3, affine=False), r(2, 3, 3, 4))
tracking("BatchNorm2d without running statistics", nn.BatchNorm2d(3, track_running_stats=False),
         r(2, 3, 3, 4), train=False)
tracking("BatchNorm3d without bias", nn.BatchNorm3d(2, bias=False), r(2, 2, 2, 3, 2))
tracking("BatchNorm3d evaluation", nn.BatchNorm3d(2), r(2, 2, 2, 3, 2), train=False)
tracking("InstanceNorm1d", nn.InstanceNorm1d(3), r(4, 3, 5), r(3, 5))
tracking("InstanceNorm1d affine running",
         nn.InstanceNorm1d(3, affine=True, track_running_stats=True), r(4, 3, 5), r(3, 5))
tracking("InstanceNorm2d affine running evaluation",
         nn.InstanceNorm2d(3, affine=True, track_running_stats=True), r(2, 3, 3, 4), train=False)
tracking("InstanceNorm2d eps=0.1 affine", nn.InstanceNorm2d(3, eps=0.1, affine=True),
         r(2, 3, 3, 4), train=False)
tracking("InstanceNorm3d running momentum=0.3",
         nn.InstanceNorm3d(2, momentum=0.3, track_running_stats=True), r(2, 2, 2, 3, 2))
module("GroupNorm", nn.GroupNorm(2, 4), r(3, 4, 5), r(2, 4, 2, 2))
module("GroupNorm eps=0.1 without affine", nn.GroupNorm(3, 6, eps=0.1, affine=False), r(2, 6, 3))
module("RMSNorm", nn.RMSNorm(5), r(3, 5))
module("RMSNorm two axes eps=0.1", nn.RMSNorm((3, 5), eps=0.1), r(2, 3, 5))
module("RMSNorm without affine", nn.RMSNorm(5, elementwise_affine=False), r(3, 5))
module("LocalResponseNorm", nn.LocalResponseNorm(3), r(2, 4, 3))
module("LocalResponseNorm size=4", nn.LocalResponseNorm(4, alpha=0.3, beta=0.6, k=1.5), r(2, 6, 2))
weight_norm, spectral_norm = parametrizations.weight_norm, parametrizations.spectral_norm
# PyTorch's second derivative fails its own gradgradcheck where the axis is the first.
module("WeightNorm Linear", weight_norm(nn.Linear(4, 3)), [r(5, 4), 1])
module("WeightNorm Conv2d dim=1 without bias",
       weight_norm(nn.Conv2d(2, 3, 2, padding=1, bias=False), dim=1), r(1, 2, 3, 3))
module("WeightNorm ConvTranspose1d dim=None", weight_norm(nn.ConvTranspose1d(2, 3, 2), dim=None),
       r(2, 2, 4))
tracking("SpectralNorm Linear", spectral_norm(nn.Linear(4, 3)), r(5, 4))
tracking("SpectralNorm Linear evaluation", spectral_norm(nn.Linear(4, 3)), r(5, 4), train=False)
tracking("SpectralNorm Conv2d n_power_iterations=2",
         spectral_norm(nn.Conv2d(2, 3, 2), n_power_iterations=2), r(1, 2, 3, 3))
tracking("SpectralNorm ConvTranspose1d", spectral_norm(nn.ConvTranspose1d(2, 3, 2)), r(2, 2, 4))
module("Dropout1d evaluation", nn.Dropout1d(), r(2, 3, 4))
module("Dropout2d evaluation", nn.Dropout2d(), r(2, 3, 4, 2))
module("Dropout3d evaluation", nn.Dropout3d(), r(2, 3, 2, 2, 2))
module("AlphaDropout p=0 training", nn.AlphaDropout(0), r(2, 3), train=True)
module("FeatureAlphaDropout evaluation", nn.FeatureAlphaDropout(), r(2, 3, 2))
module("Conv2d BatchNorm2d network", nn.Sequential(
    nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2, track_running_stats=False),
    nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)), r(2, 1, 6, 6), train=True)
