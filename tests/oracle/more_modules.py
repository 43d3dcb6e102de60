"""Padding, rearranging and comparing layers; patterns of initial values."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import init

from cases import case, r
from modules import module

module("Softmin", nn.Softmin(-1), r(3, 5))
module("Softmin axis=0", nn.Softmin(0), r(3, 5))
module("Softmax2d", nn.Softmax2d(), r(2, 3, 2, 2), r(3, 1, 2))
module("RReLU evaluation", nn.RReLU(0.1, 0.4), r(19))
module("RReLU lower=upper training", nn.RReLU(0.2, 0.2), r(19), train=True)
module("Unflatten", nn.Unflatten(1, (2, 3)), r(2, 6, 2))
module("Unflatten axis=-1", nn.Unflatten(-1, (2, -1)), r(2, 4))
module("PixelShuffle", nn.PixelShuffle(2), r(2, 8, 2, 3), r(4, 1, 2), [r(0, 4, 1, 2), 0])
module("PixelUnshuffle", nn.PixelUnshuffle(2), r(2, 2, 4, 2), r(1, 2, 2))
module("ChannelShuffle", nn.ChannelShuffle(3), r(2, 6, 2, 2), r(1, 3, 4))
module("ZeroPad1d", nn.ZeroPad1d((1, 2)), r(2, 3, 4), r(3, 4))
module("ZeroPad2d", nn.ZeroPad2d((1, -1, 2, 0)), r(2, 3, 4, 3))
module("ZeroPad3d", nn.ZeroPad3d(1), r(1, 2, 1, 2, 2))
module("ConstantPad1d", nn.ConstantPad1d(2, 0.5), r(2, 3, 4), r(4))
module("ConstantPad2d", nn.ConstantPad2d((1, 2, 0, 1), -1.5), r(2, 3, 2))
module("ConstantPad3d", nn.ConstantPad3d((0, 1, 1, 0, 2, 0), 2.0), r(1, 1, 2, 1, 2))
module("ReflectionPad1d", nn.ReflectionPad1d((2, 1)), r(2, 3, 4), r(3, 4))
module("ReflectionPad2d", nn.ReflectionPad2d(2), r(1, 2, 4, 3), r(2, 4, 3))
module("ReflectionPad3d", nn.ReflectionPad3d((1, 0, 0, 1, 1, 1)), r(1, 1, 2, 3, 2))
module("ReplicationPad1d", nn.ReplicationPad1d((2, 1)), r(2, 3, 2), r(3, 4))
module("ReplicationPad2d", nn.ReplicationPad2d((1, 2, 3, 0)), r(1, 2, 2, 3))
module("ReplicationPad3d", nn.ReplicationPad3d(1), r(1, 1, 2, 1, 2))
module("CircularPad1d", nn.CircularPad1d((2, 1)), r(2, 3, 4), r(3, 4))
module("CircularPad2d", nn.CircularPad2d((1, 2, 0, 1)), r(1, 2, 2, 3))
module("CircularPad3d", nn.CircularPad3d(1), r(1, 1, 2, 1, 2))


def pair(name, model, *samples):
    """Of two inputs, with its parameters after them."""
    model = model.double()
    state = model.state_dict()
    case(name, lambda a, b, *values: functional_call(model, dict(zip(state, values)), (a, b)),
         *[[*inputs, *[r(*v.shape) for v in state.values()]] for inputs in samples])


pair("Bilinear", nn.Bilinear(3, 2, 4), [r(5, 3), r(5, 2)], [r(3), r(2)], [r(2, 3, 3), r(2, 3, 2)])
pair("Bilinear without bias", nn.Bilinear(3, 2, 4, bias=False), [r(5, 3), r(5, 2)])
pair("CosineSimilarity", nn.CosineSimilarity(), [r(3, 4), r(3, 4)], [r(3, 4), r(1, 4)])
pair("CosineSimilarity axis=-1", nn.CosineSimilarity(-1, 0.1), [r(2, 3, 4), r(2, 3, 4)])
pair("PairwiseDistance", nn.PairwiseDistance(), [r(3, 4), r(3, 4)])
pair("PairwiseDistance p=1 keepdim", nn.PairwiseDistance(1.0, 0.1, True), [r(3, 4), r(3, 4)])
case("eye_", lambda: [init.eye_(torch.ones(s, dtype=torch.float64)) for s in ((2, 3), (3, 2))], [])
case("dirac_", lambda: [init.dirac_(torch.ones(s, dtype=torch.float64), g) for s, g in (
    ((2, 3, 3), 1), ((3, 2, 2, 3), 1), ((4, 1, 3, 2), 2), ((1, 2, 1, 2, 3), 1))], [])
