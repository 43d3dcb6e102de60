#!/usr/bin/env bash
# onnx 1.23.2 and onnxruntime 1.32.0: Resize by scales with align_corners is two functions. onnx (evaluator and test data:
#   test_resize_downsample_scales_linear_align_corners, 2 by 4 pixels, scales 0.6) wants 3.142857 at the right end of
#   the result, onnxruntime gives 4, the corner of the input.
# Behaviour: onnx divides by the unrounded size scale * length - 1 (here 1.4), onnxruntime by the size of the result - 1
#   (here 1). Where scale * length is whole, both agree; cubic has the same difference.
# The wrong guess: that align_corners maps the last pixel to the last pixel, as its name and PyTorch have it, and that the
#   published data of an operator is what the most used engine computes.
# Why it matters: an importer that is written against onnx's data is wrong on models that run everywhere else, by a third
#   of the value here; one that follows onnxruntime fails these tests.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
x = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)


def resized(scale):
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="align_corners")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
                              [onnx.numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "s")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    theirs = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    return ReferenceEvaluator(model).run(None, {"x": x})[0].flatten(), theirs.flatten()


for scale in (0.6, 0.5, 2.0):
    wanted, got = resized(scale)
    print("scales", scale, "onnx", wanted.tolist(), "onnxruntime", got.tolist())
    if scale == 0.6:
        assert abs(wanted[1] - 22 / 7) < 1e-5 and got[1] == 4, "changed"
    else:
        assert np.allclose(wanted, got, atol=1e-5), "changed"
print("as described: they differ where scale * length is no whole number")
PYTHON
