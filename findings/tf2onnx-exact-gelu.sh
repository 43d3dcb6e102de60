#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0 and tf2onnx 1.17.0: model.export(format="onnx") of a layer with the exact GELU
#   succeeds and writes a node "Erfc", which ONNX does not have.
# Behaviour: a line on stderr says that the operator is not supported; the file is written all the same, and export()
#   returns. onnx.checker then finds no such operator, and no run-time can load the file.
# The wrong guess: that an exporter that returns has written a valid model, or that GELU, the activation of BERT and ViT,
#   is exported in its exact form as in its approximate one (which is right).
# Why it matters: who exports in a script and does not read its stderr finds out at deployment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-cpu==2.21.0 keras==3.15.1 tf2onnx==1.17.0 onnx==1.23.2 numpy==2.1.3
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= \
  "$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import keras
import numpy as np
import onnx
import tensorflow
import tf2onnx

print("keras", keras.__version__, "tensorflow", tensorflow.__version__, "tf2onnx", tf2onnx.__version__)
valid = {}
for approximate in (True, False):
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(3, activation=lambda x: keras.activations.gelu(x, approximate=approximate))])
    model(np.zeros((1, 4), "float32"))
    path = f"{sys.argv[1]}/{approximate}.onnx"
    model.export(path, format="onnx", verbose=False)
    exported = onnx.load(path)
    print("approximate" if approximate else "exact", [node.op_type for node in exported.graph.node])
    try:
        onnx.checker.check_model(exported)
        valid[approximate] = True
    except onnx.checker.ValidationError as error:
        print("checker:", str(error).splitlines()[0])
        valid[approximate] = False
assert valid == {True: True, False: False}, "changed"
print("as described: the exact GELU is exported as an operator that ONNX does not have")
PYTHON
