#!/usr/bin/env python3
"""usage: keras_fixtures.py tensorflow|torch [NAME…]   writes tests/onnx/fixtures/keras_NAME_BACKEND.{onnx,safetensors}

Small models of Keras 3 with random weights: of its back end TensorFlow by tf2onnx (channels last, with
transposes around convolutions; recurrent layers as loops), of PyTorch by `model.export(format="onnx")`.
Beside each stands what Keras computes, as fixtures.py writes it: input, output, and the gradients of
sum(out²)/2 for those weights of the file that are Keras', or the same in ONNX's order of axes or gates.
Needs keras, onnx, safetensors; tensorflow and tf2onnx, or torch and onnxscript.
"""
import os
import pathlib
import sys
import tempfile

backend = sys.argv[1]
assert backend in ("tensorflow", "torch"), __doc__
os.environ |= {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

import keras
import numpy as np
import onnx
from keras import layers as L
from onnx import numpy_helper
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent / "fixtures"


def gelu(x):
    return keras.ops.gelu(x, approximate=True)  # the exact one tf2onnx writes as Erfc, which is no operator


def mlp():
    x = keras.Input((5,))
    y = L.Dropout(0.2)(L.Dense(8, activation="relu")(x))
    y = L.LeakyReLU()(L.Dense(7, activation=gelu)(y))
    return keras.Model(x, L.Dense(3, activation="softmax")(y))


def cnn():
    x = keras.Input((12, 12, 3))
    y = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    y = L.ReLU(max_value=6)(L.BatchNormalization()(y))
    z = L.DepthwiseConv2D(3, padding="same")(y)
    z = L.BatchNormalization()(L.Conv2D(6, 1, activation="swish")(z))
    y = L.MaxPooling2D(2, padding="same")(L.Add()([y, z]))
    y = L.Conv2DTranspose(4, 3, strides=2, padding="same")(L.ZeroPadding2D(1)(y))
    y = L.Concatenate()([L.AveragePooling2D(2)(y), L.SeparableConv2D(3, 2, strides=2)(y)])
    return keras.Model(x, L.Dense(4)(L.Flatten()(L.GroupNormalization(7)(y))))


def recurrent():
    x = keras.Input((3, 5))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    y = L.GRU(5, return_sequences=True)(y)
    return keras.Model(x, L.Dense(3)(L.LSTM(4)(L.SimpleRNN(5, return_sequences=True)(y))))


def text():
    ids = keras.Input((8,), dtype="int32")
    y = L.Embedding(20, 6)(ids)
    y = L.Add()([y, L.MultiHeadAttention(2, 3)(y, y)])
    if backend == "tensorflow":  # from PyTorch Keras' layer norm does not export for every batch size
        y = L.LayerNormalization()(y)
    y = L.Conv1D(8, 3, padding="causal", activation="tanh")(y)
    return keras.Model(ids, L.Dense(2, activation="sigmoid")(L.GlobalMaxPooling1D()(y)))


random = np.random.default_rng(7)
MODELS = {
    "mlp": (mlp, (3, 5)),
    "cnn": (cnn, (2, 12, 12, 3)),
    "recurrent": (recurrent, (2, 3, 5)),
    "text": (text, (3, 8)),
}


def example(name):
    shape = MODELS[name][1]
    return random.integers(0, 20, shape) if name == "text" else random.normal(size=shape).astype("float32")


def run(model, x):
    """The output, and the gradient of each trainable weight."""
    weights = [w.value for w in model.trainable_weights]
    if backend == "torch":
        y = model(x)
        (y**2).sum().div(2).backward()
        return y.detach().numpy(), [w.grad.numpy() for w in weights]
    import tensorflow as tf
    with tf.GradientTape() as tape:
        y = model(x)
        loss = tf.reduce_sum(y**2) / 2
    return y.numpy(), [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, weights)]


def gates(w, order):
    return np.concatenate([np.split(w, len(order), -1)[g] for g in order], -1)


def orders(w):
    """A weight in the orders of axes and gates that ONNX has, for the gradient likewise."""
    yield w
    if w.ndim == 2:
        yield w.T
        if w.shape[1] % 4 == 0:  # LSTM: Keras' i f c o as i o f c
            yield gates(w, (0, 3, 1, 2)).T
    if w.ndim == 3:
        yield from (w.transpose(2, 1, 0), w.reshape(-1, w.shape[2]).T)
    if w.ndim == 4:
        yield from (w.transpose(3, 2, 0, 1), w.transpose(2, 3, 0, 1))


def lstm_bias(b, second):
    """ONNX has two biases, of which Keras has the first; their gradients are the same."""
    b = gates(b, (0, 3, 1, 2))
    return np.concatenate([b, second * b])


def forms(w, g):
    """Pairs of a weight and its gradient, in one order, as lists of numbers."""
    pairs = list(zip(orders(w), orders(g)))
    if w.ndim == 1 and w.size % 4 == 0:
        pairs.append((lstm_bias(w, 0), lstm_bias(g, 1)))
    return [np.stack([a.ravel(), b.ravel()]) for a, b in pairs]


def gradients(model, grads, proto):
    gradient = {id(w): forms(keras.ops.convert_to_numpy(w.value), g) for w, g in zip(model.trainable_weights, grads)}
    known = [form for f in gradient.values() for form in f]
    for layer in model.layers:
        if isinstance(layer, L.Bidirectional):  # both directions are one tensor
            for a, b in zip(layer.forward_layer.trainable_weights, layer.backward_layer.trainable_weights):
                known += [np.concatenate(p, 1) for p in zip(gradient[id(a)], gradient[id(b)])]
    found = {}
    for initializer in proto.graph.initializer:
        values = numpy_helper.to_array(initializer)
        same = [g for w, g in known if np.array_equal(w, values.ravel())]
        if values.dtype == np.float32 and values.size > 1 and same:
            found["grad." + initializer.name] = same[0].reshape(values.shape)
    return found


def strip(path):
    """Without what says where nodes come from."""
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for info in [*proto.graph.input, *proto.graph.output]:
        del info.metadata_props[:]
    del proto.graph.value_info[:], proto.graph.metadata_props[:], proto.metadata_props[:]
    return proto


def write(name):
    keras.utils.set_random_seed(7)
    model, x = MODELS[name][0](), example(name)
    for w in model.weights:  # statistics, scales and biases that are not all alike
        if w.ndim <= 1 or w.path.endswith("bias"):
            w.assign(random.uniform(0.5, 1.5, w.shape))
    y, grads = run(model, x)
    stem = here / f"keras_{name}_{backend}"
    with tempfile.TemporaryDirectory() as scratch:
        path = scratch + "/model.onnx"
        model.export(path, format="onnx", verbose=False)
        proto = strip(path)
        onnx.save(proto, str(stem) + ".onnx")
        found = gradients(model, grads, proto)
    assert found, name
    save_file({"in.0": x, "out.0": y, **found}, str(stem) + ".safetensors")
    operators = sorted({n.op_type for n in proto.graph.node})
    print(stem.name, os.path.getsize(f"{stem}.onnx"), len(found), "gradients of", len(grads), *operators)


here.mkdir(exist_ok=True)
for name in sys.argv[2:] or MODELS:
    try:
        write(name)
    except Exception as e:
        print(name, type(e).__name__, str(e)[:300])
