#!/usr/bin/env bash
# onnx 1.20.0 and 1.23.2, Attention of opset 23 with the output of scores (qk_matmul_output_mode = 1) and a mask.
# Behaviour: by the reference evaluator of 1.20.0, and its published node cases, mode 1 is the scores after the mask is
#   added; by that of 1.23.2, and by onnxruntime 1.32.0, it is those before it (after softcap), of the same file.
# The wrong guess: that an opset number fixes what an operator computes, and a released opset never changes.
# Why it matters: a model that returns its attention scores means another tensor by the version of the tool that made it,
#   and nothing in the file says which. Ask for mode 0 or 3, or add the mask by a node of one's own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/probe.py" <<'PYTHON'
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(0)
q, k, v = (rng.standard_normal((1, 1, 2, 4)).astype(np.float32) for _ in range(3))
mask = rng.standard_normal((2, 2)).astype(np.float32)
inputs = {"q": q, "k": k, "v": v, "mask": mask}
node = helper.make_node("Attention", list(inputs), ["y", "", "", "scores"], qk_matmul_output_mode=1)
graph = helper.make_graph(
    [node], "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n, x in inputs.items()],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, q.shape),
     helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 1, 2, 2))])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
onnx.checker.check_model(model)
if len(sys.argv) > 1:
    import onnxruntime
    name, got = "onnxruntime " + onnxruntime.__version__, onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)[1]
else:
    name, got = "onnx " + onnx.__version__, ReferenceEvaluator(model).run(None, inputs)[1]
scores = q @ k.swapaxes(-1, -2) / 2
print(name, "before the mask" if np.allclose(got, scores, atol=1e-5) else
      "after the mask" if np.allclose(got, scores + mask, atol=1e-5) else "something else")
PYTHON
seen=
for version in 1.20.0 1.23.2; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install -q "onnx==$version" onnxruntime==1.32.0 numpy==2.4.6
  seen+=$("$folder/$version/bin/python" -W ignore "$folder/probe.py")$'\n'
done
seen+=$("$folder/1.23.2/bin/python" -W ignore "$folder/probe.py" onnxruntime)
echo "$seen"
[[ $seen == "onnx 1.20.0 after the mask
onnx 1.23.2 before the mask
onnxruntime 1.32.0 before the mask" ]] || { echo "changed"; exit 1; }
echo "as described: one opset, two meanings"
