"""Small models of each family of layers and losses, trained for 50 steps."""

import copy
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from cases import CONSTANT, INT, case, const, r
from more_losses import focal

STEPS, BATCHES = 50, 3


def descend(model, batches, call, make):
    """The losses, and parameters and buffers at the end. The batches come in turn. What is no loss
    yet is to become 0.3."""
    optimizers, losses = make(list(model.parameters())), []
    for step in range(STEPS):
        y = call(model, *(x[step % BATCHES] for x in batches))
        loss = y if y.ndim == 0 else (y - 0.3).square().mean()
        model.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.detach())
    return [torch.stack(losses), *(p.detach() for p in model.parameters()), *model.buffers()]


def start(value):
    """Buffers of zeros or ones stay as they are."""
    if value.dtype == torch.int64:
        return lambda g: (INT, value.numpy())
    if (value == value.flatten()[0]).all():
        return lambda g: (CONSTANT, value.numpy())
    return const(r(*value.shape, lo=-0.7, hi=0.7))


def momentum(parameters):
    return [optim.SGD(parameters, lr=0.05, momentum=0.9)]


def trained(name, model, *batches, call=lambda model, x: model(x), make=momentum):
    """Inputs are the batches, along the first axis of each, and every entry of the state dict."""
    model = model.double()
    state = model.state_dict()
    buffers = [key for key, _ in model.named_buffers()]
    draws = [start(v) if k in buffers
             else const(r(*v.shape, lo=0.5, hi=1.5) if (v == 1).all()
                        else r(*v.shape, lo=-0.7, hi=0.7)) for k, v in state.items()]

    def f(*x):
        mine = copy.deepcopy(model).train().to(x[-1 - len(buffers)].dtype)
        mine.load_state_dict(dict(zip(state, x[-len(state):])))
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            return descend(mine, x[:-len(state)], call, make)

    case(f"{name} 50 steps", f, [*batches, *draws], orders=0, names=" ".join(state))


def x(*shape, **range):
    """Numbers, for each batch."""
    return const(r(BATCHES, *shape, **range))


def whole(*batches):
    """Integers, for each batch."""
    return lambda g: (INT, np.array(batches, dtype=np.int64))


def chain(name, *layers, of):
    trained(name, nn.Sequential(*layers), x(*of))


# --- convolutions, and what goes with them

tanh, linear = nn.Tanh(), nn.Linear
chain("Conv1d", nn.Conv1d(2, 3, 3, stride=2, padding=1), tanh, nn.Conv1d(3, 2, 2, dilation=2),
      of=(2, 2, 8))
chain("Conv2d", nn.Conv2d(2, 4, 3, padding=1, groups=2), tanh,
      nn.Conv2d(4, 2, (2, 1), padding="same", padding_mode="reflect", bias=False), of=(2, 2, 4, 3))
chain("Conv3d", nn.Conv3d(1, 2, 2, padding=1), tanh,
      nn.Conv3d(2, 1, (1, 2, 2), padding=(0, 1, 1), padding_mode="circular"), of=(2, 1, 2, 3, 2))
chain("ConvTranspose1d", nn.ConvTranspose1d(2, 3, 3, 2, 1, 1), tanh, nn.Conv1d(3, 1, 1),
      of=(2, 2, 4))
chain("ConvTranspose2d", nn.ConvTranspose2d(2, 2, 2, 2, groups=2), tanh,
      nn.ConvTranspose2d(2, 1, (2, 1), dilation=2, bias=False), of=(2, 2, 2, 3))
chain("ConvTranspose3d", nn.ConvTranspose3d(1, 2, 2), tanh,
      nn.ConvTranspose3d(2, 1, 1, (2, 1, 1)), of=(2, 1, 2, 2, 1))

conv1, conv2, conv3 = nn.Conv1d(2, 2, 2), nn.Conv2d(2, 2, 2), nn.Conv3d(1, 2, 2)
line, image, volume = (2, 2, 7), (2, 2, 5, 6), (2, 1, 3, 5, 3)
chain("MaxPool1d", conv1, nn.MaxPool1d(3, 2, 1), tanh, of=line)
chain("MaxPool2d", conv2, nn.MaxPool2d(2, ceil_mode=True), tanh, of=image)
chain("MaxPool3d", conv3, nn.MaxPool3d((1, 2, 2), 1), tanh, of=volume)
chain("AvgPool1d", conv1, nn.AvgPool1d(3, 2, 1), tanh, of=line)
chain("AvgPool2d", conv2, nn.AvgPool2d(3, 2, 1, True, False), tanh, of=image)
chain("AvgPool3d", conv3, nn.AvgPool3d((1, 2, 2), divisor_override=3), tanh, of=volume)
chain("AdaptiveAvgPool1d", conv1, nn.AdaptiveAvgPool1d(4), tanh, of=line)
chain("AdaptiveAvgPool2d", conv2, nn.AdaptiveAvgPool2d((3, 2)), tanh, of=image)
chain("AdaptiveAvgPool3d", conv3, nn.AdaptiveAvgPool3d(1), tanh, of=volume)
chain("AdaptiveMaxPool1d", conv1, nn.AdaptiveMaxPool1d(4), tanh, of=line)
chain("AdaptiveMaxPool2d", conv2, nn.AdaptiveMaxPool2d((3, 2)), tanh, of=image)
chain("AdaptiveMaxPool3d", conv3, nn.AdaptiveMaxPool3d((1, 2, 1)), tanh, of=volume)
chain("LPPool1d", conv1, nn.Softplus(), nn.LPPool1d(2, 3, 2), of=line)
chain("LPPool2d", conv2, nn.Softplus(), nn.LPPool2d(3, 2), of=image)
trained("MaxUnpool2d", conv2, x(2, 2, 5, 5),
        call=lambda m, x: F.max_unpool2d(*F.max_pool2d(m(x), 2, return_indices=True), 2))
chain("Upsample", conv2, tanh, nn.Upsample(scale_factor=1.5, mode="bilinear"),
      nn.Conv2d(2, 1, 2), of=(2, 2, 3, 4))
chain("Upsample bicubic", conv2, tanh, nn.Upsample((3, 5), mode="bicubic", align_corners=True),
      of=(2, 2, 3, 4))
chain("Upsample nearest", conv1, tanh, nn.Upsample(7), nn.Conv1d(2, 1, 2), of=(2, 2, 5))
chain("PixelShuffle", nn.Conv2d(1, 4, 2), nn.PixelShuffle(2), tanh, of=(2, 1, 3, 3))
chain("Unfold", conv2, nn.Unfold(2), tanh, linear(3, 2), of=(2, 2, 3, 5))
chain("Fold", nn.Conv1d(4, 4, 1), nn.Fold((3, 4), 2), tanh, of=(2, 4, 6))

# --- norms

chain("BatchNorm1d", linear(3, 4), nn.BatchNorm1d(4), tanh, linear(4, 2), of=(6, 3))
chain("BatchNorm2d", conv2, nn.BatchNorm2d(2, momentum=None), tanh, of=(2, 2, 3, 4))
chain("BatchNorm3d", conv3, nn.BatchNorm3d(2, eps=0.1, momentum=0.3, affine=False), tanh,
      nn.Flatten(), linear(8, 1), of=(2, 1, 2, 3, 3))
chain("InstanceNorm1d", conv1, nn.InstanceNorm1d(2), tanh, nn.Conv1d(2, 1, 2), of=line)
chain("InstanceNorm2d", conv2, nn.InstanceNorm2d(2, affine=True, track_running_stats=True), tanh,
      of=(2, 2, 3, 4))
chain("InstanceNorm3d", conv3, nn.InstanceNorm3d(2, affine=True), tanh, of=(2, 1, 2, 3, 3))
chain("GroupNorm", nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4), tanh, of=(2, 2, 5))
chain("LayerNorm", linear(3, 5), nn.LayerNorm(5), tanh, linear(5, 2), of=(4, 3))
chain("RMSNorm", linear(3, 5), nn.RMSNorm(5), tanh, linear(5, 2), of=(4, 3))
chain("LocalResponseNorm", nn.Conv1d(2, 4, 2), nn.LocalResponseNorm(3, 0.3), tanh, of=(2, 2, 5))
weight_norm, spectral_norm = parametrizations.weight_norm, parametrizations.spectral_norm
chain("WeightNorm", weight_norm(linear(3, 4)), tanh, weight_norm(linear(4, 2), dim=None),
      of=(4, 3))
chain("WeightNorm Conv2d", weight_norm(nn.Conv2d(2, 2, 2)), tanh, of=(2, 2, 3, 3))
trained("SpectralNorm", spectral_norm(linear(3, 4)), x(4, 3))
trained("SpectralNorm Conv1d", spectral_norm(nn.Conv1d(2, 3, 2), n_power_iterations=2), x(2, 2, 4))

# --- tables of vectors

places = whole([[0, 3, 1], [3, 3, 6]], [[2, 1, 5], [0, 1, 1]], [[6, 5, 4], [3, 0, 1]])


class MeanOfPlaces(nn.Module):
    def forward(self, x):
        return x.mean(1) if x.ndim == 3 else x


def looked_up(name, table, make):
    trained(name, nn.Sequential(table, MeanOfPlaces(), linear(3, 2), tanh), places, make=make)


plain = lambda p: [optim.SGD(p, lr=0.2)]
lazy = lambda p: [optim.SparseAdam(p[:1], lr=0.05), optim.Adam(p[1:], lr=0.05)]
looked_up("Embedding", nn.Embedding(7, 3, padding_idx=1), momentum)
looked_up("Embedding sparse", nn.Embedding(7, 3, padding_idx=1, sparse=True), plain)
looked_up("Embedding sparse Adagrad", nn.Embedding(7, 3, scale_grad_by_freq=True),
          lambda p: [optim.Adagrad(p, lr=0.1)])
looked_up("Embedding SparseAdam", nn.Embedding(7, 3, padding_idx=1, sparse=True), lazy)
looked_up("Embedding max_norm", nn.Embedding(7, 3, max_norm=0.8), plain)
looked_up("EmbeddingBag", nn.EmbeddingBag(7, 3, mode="mean", padding_idx=1), momentum)
looked_up("EmbeddingBag sparse", nn.EmbeddingBag(7, 3, mode="sum", sparse=True), plain)
looked_up("EmbeddingBag SparseAdam", nn.EmbeddingBag(7, 3, mode="sum", sparse=True), lazy)
looked_up("EmbeddingBag max", nn.EmbeddingBag(7, 3, mode="max"), momentum)

# --- recurrent layers; attention


def sequence(name, model, steps=5, lengths=None):
    def call(m, x):
        if lengths is None:
            return m(x)[0]
        packed = pack_padded_sequence(x, torch.tensor(lengths), m.batch_first, False)
        return pad_packed_sequence(m(packed)[0], m.batch_first)[0]

    trained(name, model, x(2, steps, 2) if model.batch_first else x(steps, 2, 2), call=call)


sequence("RNN", nn.RNN(2, 3))
sequence("RNN relu bidirectional num_layers=2",
         nn.RNN(2, 2, 2, "relu", bidirectional=True, batch_first=True))
sequence("LSTM", nn.LSTM(2, 3))
sequence("LSTM bidirectional num_layers=2 lengths", nn.LSTM(2, 2, 2, bidirectional=True),
         lengths=[3, 5])
sequence("LSTM bidirectional proj_size", nn.LSTM(2, 3, proj_size=2, bidirectional=True))
sequence("GRU", nn.GRU(2, 3))
sequence("GRU bidirectional num_layers=2 lengths",
         nn.GRU(2, 2, 2, bidirectional=True, batch_first=True), lengths=[5, 2])
for cell in (nn.RNNCell, nn.GRUCell):  # two steps
    trained(cell.__name__, cell(2, 3), x(4, 2), call=lambda m, x: m(x, m(x)))
trained("LSTMCell", nn.LSTMCell(2, 3), x(4, 2), call=lambda m, x: m(x, m(x))[0])

X = x(2, 3, 4)  # (n, l, e)
trained("MultiheadAttention", nn.MultiheadAttention(4, 2, batch_first=True), X,
        call=lambda m, x: m(x, x, x)[0])
trained("MultiheadAttention kdim vdim", nn.MultiheadAttention(4, 2, kdim=3, vdim=2, bias=False),
        x(3, 2, 4), x(5, 2, 3), x(5, 2, 2), call=lambda m, q, k, v: m(q, k, v)[0])
trained("MultiheadAttention add_bias_kv add_zero_attn",
        nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True), x(3, 2, 4),
        call=lambda m, x: m(x, x, x)[0])
LAYER = dict(dim_feedforward=5, dropout=0.0, activation="gelu", batch_first=True)
LATER = torch.tensor([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)
trained("TransformerEncoderLayer", nn.TransformerEncoderLayer(4, 2, **LAYER), X)
trained("TransformerEncoderLayer norm_first causal",
        nn.TransformerEncoderLayer(4, 2, norm_first=True, bias=False, **LAYER), X,
        call=lambda m, x: m(x, LATER, is_causal=True))
trained("TransformerDecoderLayer", nn.TransformerDecoderLayer(4, 2, **LAYER), X, x(2, 5, 4),
        call=lambda m, x, memory: m(x, memory, LATER))
with warnings.catch_warnings(action="ignore"):  # that it takes no nested tensors
    transformer = nn.Transformer(4, 2, 1, 1, norm_first=True, **LAYER)
trained("Transformer", transformer, x(2, 2, 4), X, call=lambda m, s, t: m(s, t))

# --- others

trained("Bilinear", nn.Bilinear(3, 2, 2), x(4, 3), x(4, 2), call=lambda m, a, b: m(a, b))
chain("PReLU", linear(3, 4), nn.PReLU(4), linear(4, 2), of=(4, 3))
chain("GLU", linear(3, 4), nn.GLU(), linear(2, 2), of=(4, 3))
trained("CosineSimilarity", linear(3, 4), x(4, 3), x(4, 3),
        call=lambda m, a, b: F.cosine_similarity(m(a), m(b)))
trained("PairwiseDistance", linear(3, 4), x(4, 3), x(4, 3),
        call=lambda m, a, b: F.pairwise_distance(m(a), m(b)))

# --- losses, of a linear layer


def loss(name, f, *targets):
    trained(name, linear(3, 4), x(5, 3), *targets, call=lambda m, x, *t: f(m(x), *t))


classes = whole([0, 3, 1, 2, 2], [1, 1, 0, 3, 2], [3, 0, 0, 2, 1])
sign = lambda *shape: (lambda g: (CONSTANT, g.integers(0, 2, (BATCHES, *shape)) * 2.0 - 1))
chance = x(5, 4, lo=0.05, hi=0.95)
loss("cross_entropy", lambda y, t: F.cross_entropy(y, t, label_smoothing=0.1, ignore_index=2),
     classes)
loss("nll_loss", lambda y, t: F.nll_loss(F.log_softmax(y, 1), t), classes)
loss("kl_div", lambda y, t: F.kl_div(F.log_softmax(y, 1), t, reduction="mean"), chance)
for f in (F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss):
    loss(f.__name__, f, x(5, 4))
loss("binary_cross_entropy", lambda y, t: F.binary_cross_entropy(torch.sigmoid(y), t), chance)
loss("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, chance)
loss("soft_margin_loss", F.soft_margin_loss, sign(5, 4))
loss("hinge_embedding_loss", F.hinge_embedding_loss, sign(5, 4))
loss("multi_margin_loss", F.multi_margin_loss, classes)
loss("multilabel_margin_loss", F.multilabel_margin_loss, whole(
    [[3, 0, -1, 1], [-1, 2, 2, 2], [0, 1, 2, 3], [1, -1, 0, 0], [2, 1, 0, -1]],
    [[0, -1, 1, 1], [1, 2, -1, 2], [3, -1, 2, 3], [1, 3, -1, 0], [2, -1, 0, -1]],
    [[2, 3, -1, 1], [0, -1, 2, 2], [1, 0, -1, 3], [3, -1, 0, 0], [0, 1, -1, -1]]))
loss("multilabel_soft_margin_loss", F.multilabel_soft_margin_loss, chance)
loss("sigmoid_focal_loss", lambda y, t: focal(y, t, reduction="mean"), chance)
loss("poisson_nll_loss", F.poisson_nll_loss, x(5, 4, lo=0.0, hi=4.0))
loss("gaussian_nll_loss", lambda y, t, v: F.gaussian_nll_loss(y, t, v), x(5, 4),
     x(5, 4, lo=0.3, hi=1.5))
loss("margin_ranking_loss", lambda y, other, t: F.margin_ranking_loss(y, other, t, 0.5), x(5, 4),
     sign(5, 4))
loss("cosine_embedding_loss", lambda y, other, t: F.cosine_embedding_loss(y, other, t, 0.2),
     x(5, 4), sign(5))
loss("triplet_margin_loss", lambda y, a, b: F.triplet_margin_loss(y, a, b, swap=True), x(5, 4),
     x(5, 4))
trained("ctc_loss", linear(2, 4), x(6, 2, 2),
        whole([[1, 2, 2], [3, 1, 1]], [[2, 1, 3], [1, 1, 2]], [[3, 3, 1], [2, 1, 2]]),
        whole([6, 4], [5, 6], [6, 6]), whole([3, 1], [2, 3], [3, 2]),
        call=lambda m, x, t, i, n: F.ctc_loss(m(x).log_softmax(-1), t, i, n))
