"""Recurrent layers: their inputs are x, every entry of the state dict, by PyTorch's names, and the
first states."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from cases import case, r


def flat(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for part in result for t in flat(part)]


def layer(name, model, x, *states, lengths=None):
    """`lengths`: of the sequences, by packing. Outputs, then last states."""
    model = model.double()
    state = model.state_dict()
    packed = getattr(model, "batch_first", False)

    def f(x, *values):
        given = values[len(state):]
        arguments = (x,) if not given else (x, tuple(given) if len(given) > 1 else given[0])
        if lengths is not None:
            arguments = (pack_padded_sequence(x, torch.tensor(lengths), packed, False),
                         *arguments[1:])
        with torch.backends.mkldnn.flags(enabled=False):
            result = functional_call(model, dict(zip(state, values)), arguments)
        if lengths is not None:
            result = (pad_packed_sequence(result[0], packed)[0], *result[1:])
        return flat(result)

    case(name, f, [r(*x, lo=-1, hi=1), *[r(*v.shape, lo=-1, hi=1) for v in state.values()],
                   *[r(*s, lo=-1, hi=1) for s in states]], names=" ".join(state))


layer("RNN", nn.RNN(3, 4), (5, 2, 3))
layer("RNN relu num_layers=2 batch_first states",
      nn.RNN(3, 4, 2, "relu", batch_first=True), (2, 3, 3), (2, 2, 4))
layer("RNN bidirectional without bias lengths", nn.RNN(3, 4, bias=False, bidirectional=True),
      (4, 3, 3), lengths=[2, 4, 1])
layer("LSTM", nn.LSTM(3, 4), (4, 2, 3))
layer("LSTM states", nn.LSTM(3, 4), (3, 2, 3), (1, 2, 4), (1, 2, 4))
layer("LSTM unbatched bidirectional states", nn.LSTM(2, 3, bidirectional=True), (3, 2), (2, 3),
      (2, 3))
layer("LSTM num_layers=2 bidirectional batch_first lengths",
      nn.LSTM(2, 3, 2, batch_first=True, bidirectional=True), (3, 4, 2), lengths=[3, 1, 4])
layer("LSTM proj_size=2 states", nn.LSTM(3, 4, proj_size=2), (3, 2, 3), (1, 2, 2), (1, 2, 4))
layer("LSTM num_layers=2 bidirectional proj_size=1 lengths without bias",
      nn.LSTM(2, 3, 2, bias=False, bidirectional=True, proj_size=1), (3, 3, 2), lengths=[2, 3, 1])
layer("LSTM hidden=9", nn.LSTM(2, 9), (3, 2, 2))
layer("GRU", nn.GRU(3, 4), (4, 2, 3))
layer("GRU hidden=17", nn.GRU(2, 17), (2, 2, 2))
layer("GRU unbatched states", nn.GRU(3, 4), (4, 3), (1, 4))
layer("GRU num_layers=2 bidirectional lengths states", nn.GRU(2, 3, 2, bidirectional=True),
      (4, 3, 2), (4, 3, 3), lengths=[1, 4, 3])
layer("GRU batch_first without bias", nn.GRU(2, 3, bias=False, batch_first=True), (2, 3, 2))
layer("GRU empty batch", nn.GRU(2, 3), (2, 0, 2))
layer("RNNCell", nn.RNNCell(3, 4), (2, 3), (2, 4))
layer("RNNCell relu without bias", nn.RNNCell(3, 4, False, "relu"), (2, 3), (2, 4))
layer("LSTMCell", nn.LSTMCell(3, 4), (2, 3), (2, 4), (2, 4))
layer("LSTMCell without states", nn.LSTMCell(3, 4), (2, 3))
layer("LSTMCell unbatched without bias", nn.LSTMCell(3, 4, False), (3,), (4,), (4,))
layer("GRUCell", nn.GRUCell(3, 4), (2, 3), (2, 4))
layer("GRUCell without bias and states", nn.GRUCell(3, 4, False), (2, 3))


def operation(name, f, gates, cell=False, reverse=False):
    """x, h, c of an lstm, and the four weights of a layer."""

    def g(x, *rest):
        states, weights = rest[:-4], rest[-4:]
        x = x.flip(0) if reverse else x
        hx = states[0] if len(states) == 1 else states
        with torch.backends.mkldnn.flags(enabled=False):
            output, *last = f(x, hx, weights, True, 1, 0.0, False, False, False)
        return flat([output.flip(0) if reverse else output, last])

    n = 3 * gates
    state = [r(1, 2, 3)] * (2 if cell else 1)
    case(name, g, [r(4, 2, 2), *state, r(n, 2), r(n, 3), r(n), r(n)])


operation("rnn_tanh", torch.rnn_tanh, 1)
operation("rnn_relu reverse", torch.rnn_relu, 1, reverse=True)
operation("lstm", torch.lstm, 4, cell=True)
operation("lstm reverse", torch.lstm, 4, cell=True, reverse=True)
operation("gru", torch.gru, 3)
operation("gru reverse", torch.gru, 3, reverse=True)
