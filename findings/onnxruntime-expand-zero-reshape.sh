#!/usr/bin/env bash
# onnxruntime 1.32.0: a valid model with Reshape [1, 2], Expand to [0, 2] and Reshape to [0] (allowzero = 1) runs without
#   graph optimisation and gives an empty result; with the optimisation that is on by default it is refused at run time.
# Behaviour: the session is made; run() then says that the shape {0} does not fit an input of shape {1, 2}: the Expand
#   between the two Reshape nodes is gone.
# The wrong guess: that optimisation levels change speed and last bits, never whether a model runs.
# Why it matters: empty batches are where exporters and tests of empty inputs go; a file that onnx.checker accepts and
#   that is right without optimisation fails in production with the default options.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
constants = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("a", [1, 2]), ("b", [0, 2]), ("c", [0]))]
nodes = [helper.make_node("Reshape", ["x", "a"], ["r"]), helper.make_node("Expand", ["r", "b"], ["e"]),
         helper.make_node("Reshape", ["e", "c"], ["y"], allowzero=1)]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [0])], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
x = {"x": np.zeros(2, np.float32)}
options = ort.SessionOptions()
options.log_severity_level = 4
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
plain = ort.InferenceSession(model.SerializeToString(), options).run(None, x)[0]
print("without optimisation", plain.shape)
assert plain.shape == (0,), "changed"
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
session = ort.InferenceSession(model.SerializeToString(), options)
try:
    print("with optimisation", session.run(None, x)[0].shape)
except Exception as e:
    print("with optimisation", str(e).splitlines()[0][:200])
else:
    raise SystemExit("changed")
print("as described: the default optimisation refuses what runs without it")
PYTHON
