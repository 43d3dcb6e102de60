"""Layers: their inputs are x and every entry of the state dict, by PyTorch's names."""

from torch import nn
from torch.func import functional_call

from cases import at, case, const, distinct, r


def module(name, model, *inputs, train=False, tolerance=0.0):
    """An input may be a list with the order of derivatives. Random parameters; positive ones where
    the layer starts at 1."""
    model = model.train(train).double()
    state = model.state_dict()
    learned = dict(model.named_parameters())
    draws = []
    for key, value in state.items():
        draw = r(*value.shape, lo=0.2) if (value == 1).all() else r(*value.shape)
        draws.append(draw if key in learned else const(draw))

    def f(x, *values):
        values = [v if v.dtype == x.dtype else v.to(x.dtype) for v in values]
        return functional_call(model, dict(zip(state, values)), (x,))

    inputs = [x if isinstance(x, list) else [x] for x in inputs]
    case(name, f, *[[x, *draws, *order] for x, *order in inputs], tolerance=tolerance,
         names=" ".join(state))


module("Linear", nn.Linear(4, 3), r(5, 4), r(4), r(2, 3, 4))
module("Linear without bias", nn.Linear(4, 3, bias=False), r(5, 4))
module("Identity", nn.Identity(), r(3))
module("LayerNorm", nn.LayerNorm(5), r(3, 5))
module("LayerNorm two axes", nn.LayerNorm((3, 5)), r(2, 3, 5))
module("LayerNorm eps=0.1 without bias", nn.LayerNorm(5, eps=0.1, bias=False), r(3, 5))
module("LayerNorm without affine", nn.LayerNorm(5, elementwise_affine=False), r(3, 5))
module("ReLU", nn.ReLU(), r(19), at(-1, 0, 1))
module("Tanh", nn.Tanh(), r(19))
module("Sigmoid", nn.Sigmoid(), r(19))
module("SiLU", nn.SiLU(), r(19), at(-30, 0, 30))
module("GELU", nn.GELU(), r(19))
module("GELU approximate=tanh", nn.GELU(approximate="tanh"), r(19))
module("Softplus", nn.Softplus(), r(19), at(-30, 0, 30))
module("Softplus beta=2 threshold=3", nn.Softplus(2, 3), r(19, lo=-3, hi=3))
module("LeakyReLU", nn.LeakyReLU(), r(19), at(-1, 0, 1))
module("LeakyReLU negative_slope=0.2", nn.LeakyReLU(0.2), r(19))
module("ELU", nn.ELU(), r(19), [at(-30, 0, 30), 1])
module("ELU alpha=1.5", nn.ELU(1.5), r(19))
module("ReLU6", nn.ReLU6(), r(19, lo=-2, hi=8))
module("PReLU", nn.PReLU(), r(3, 2, 4))
module("PReLU num_parameters=3", nn.PReLU(3), r(2, 3, 4))
module("SELU", nn.SELU(), r(19))
module("CELU alpha=1.5", nn.CELU(1.5), r(19))
module("Mish", nn.Mish(), r(19))
module("Hardsigmoid", nn.Hardsigmoid(), [r(19), 1], tolerance=1e-8)
module("Hardswish", nn.Hardswish(), r(19, lo=-2.5, hi=2.5))
module("Hardtanh", nn.Hardtanh(), r(19))
module("Hardtanh min_val=-2 max_val=0.5", nn.Hardtanh(-2, 0.5), r(19))
module("Softsign", nn.Softsign(), r(19))
module("Softshrink", nn.Softshrink(), r(19))
module("Softshrink lambd=0.7", nn.Softshrink(0.7), r(19))
module("Hardshrink", nn.Hardshrink(), r(19))
module("Tanhshrink", nn.Tanhshrink(), r(19))
module("LogSigmoid", nn.LogSigmoid(), r(19))
module("Threshold", nn.Threshold(0.5, -1), r(19))
module("GLU", nn.GLU(), r(3, 6))
module("GLU axis=0", nn.GLU(0), r(4, 3))
module("Softmax axis=0", nn.Softmax(0), r(3, 5))
module("LogSoftmax", nn.LogSoftmax(-1), r(3, 5))
module("Dropout evaluation", nn.Dropout(0.5), r(3, 5))
module("Dropout p=0 training", nn.Dropout(0.0), r(3, 5), train=True)
module("Flatten", nn.Flatten(), r(2, 3, 2))
module("Flatten start=0 end=1", nn.Flatten(0, 1), r(2, 3, 2))
module("Conv1d", nn.Conv1d(2, 3, 3), r(2, 2, 7), r(2, 5))
module("Conv1d replicate", nn.Conv1d(2, 3, 3, padding=2, padding_mode="replicate"), r(2, 2, 5))
module("Conv2d", nn.Conv2d(2, 3, 3), r(2, 2, 5, 4), r(2, 4, 4))
module("Conv2d stride=2 padding=1,2 groups=2 without bias",
       nn.Conv2d(4, 6, (3, 2), 2, (1, 2), groups=2, bias=False), r(2, 4, 5, 4))
module("Conv2d same reflect dilation=2",
       nn.Conv2d(2, 2, (3, 2), padding="same", dilation=2, padding_mode="reflect"), r(1, 2, 5, 6))
module("Conv2d circular", nn.Conv2d(1, 2, 3, padding=(2, 1), padding_mode="circular"), r(2, 1, 4, 5))
module("Conv3d", nn.Conv3d(1, 2, (2, 1, 3), padding=1), r(1, 1, 3, 2, 4))
module("ConvTranspose1d", nn.ConvTranspose1d(2, 3, 3, 2, output_padding=1), r(2, 2, 4))
module("ConvTranspose2d", nn.ConvTranspose2d(2, 3, (3, 2), 2, 1, 1, 1, True, 2), r(2, 2, 3, 3))
module("ConvTranspose2d groups=2 without bias", nn.ConvTranspose2d(4, 2, 2, groups=2, bias=False),
       r(1, 4, 3, 3))
module("ConvTranspose3d", nn.ConvTranspose3d(1, 2, 2, (2, 1, 1)), r(1, 1, 2, 3, 2))
module("MaxPool1d", nn.MaxPool1d(3, 2, 1), distinct(2, 3, 7))
module("MaxPool2d", nn.MaxPool2d(2), distinct(2, 2, 5, 4))
module("MaxPool2d ceil_mode", nn.MaxPool2d((3, 2), ceil_mode=True), distinct(2, 2, 5, 5))
module("MaxPool3d", nn.MaxPool3d(2), distinct(1, 2, 3, 4, 4))
module("AvgPool1d", nn.AvgPool1d(3, 2, 1), r(2, 3, 7))
module("AvgPool2d", nn.AvgPool2d(3, 2, 1, count_include_pad=False), r(2, 2, 5, 4))
module("AvgPool3d", nn.AvgPool3d(2), r(1, 2, 3, 4, 4))
module("AdaptiveAvgPool1d", nn.AdaptiveAvgPool1d(3), r(2, 2, 7))
module("AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d((2, 3)), r(2, 2, 5, 6))
module("AdaptiveAvgPool3d", nn.AdaptiveAvgPool3d(1), r(1, 2, 2, 3, 3))
module("AdaptiveMaxPool1d", nn.AdaptiveMaxPool1d(3), distinct(2, 2, 7))
module("AdaptiveMaxPool2d", nn.AdaptiveMaxPool2d((2, 3)), distinct(2, 2, 5, 6))
module("AdaptiveMaxPool3d", nn.AdaptiveMaxPool3d(2), distinct(1, 2, 3, 3, 4))
module("Conv2d network", nn.Sequential(
    nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2, bias=False),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), r(2, 1, 6, 6))
small = lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
module("Sequential", small(), r(5, 3))
module("Sequential nested", nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(6, 3), nn.GELU()),
                                          nn.LayerNorm(3), nn.Linear(3, 2)), r(4, 2, 3))
module("MLP", nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(),
                            nn.Linear(5, 3)), r(7, 4))
module("MLP tanh layer_norm dropout", nn.Sequential(
    nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Dropout(0.3), nn.Linear(6, 3)), r(7, 4))
