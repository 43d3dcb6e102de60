"""Runs what `onnx_tests "[.write]"` has written through onnx.checker and onnxruntime and compares.

usage: XGRAD_ONNX_DIR=DIRECTORY build/release/tests/onnx_tests "[.write]"; python3 check.py DIRECTORY
Needs onnx, onnxruntime and numpy.
"""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
import onnxruntime

DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "BOOL": np.bool_}
# The largest difference relative to max(1, |value|).
TOLERANCE = {"float32": 1e-5, "float64": 1e-9}


def read(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, t in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + o for o in t["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[t["dtype"]]).reshape(t["shape"])
    return tensors


def difference(got, wanted):
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return np.inf
    if got.size == 0:
        return 0.0
    if got.dtype.kind != "f":
        return float((got != wanted).any())
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    with np.errstate(all="ignore"):
        apart = np.abs(got - wanted) / np.maximum(1, np.abs(wanted))
    apart = np.where(same, 0, np.where(np.isnan(apart), np.inf, apart))
    return float(apart.max())


def check(directory, stem):
    path = directory / (stem + ".onnx")
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.load(str(path), load_external_data=False).graph
    empty = any(d.dim_value == 0 and not d.dim_param for i in graph.input for d in i.type.tensor_type.shape.dim)
    if empty and {n.op_type for n in graph.node} & {"LSTM", "GRU", "RNN"}:
        raise NotImplementedError("NOT_IMPLEMENTED: recurrent nodes end the process on an empty batch")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst = {}
    for tensors in sorted(directory.glob(stem + ".*.safetensors")):
        t = read(tensors)
        inputs = [t[n] for n in sorted(t) if n.startswith("in.")]
        outputs = [t[n] for n in sorted(t) if n.startswith("out.")]
        names = [i.name for i in session.get_inputs()]
        for got, wanted in zip(session.run(None, dict(zip(names, inputs))), outputs, strict=True):
            kind = "float64" if wanted.dtype == np.float64 else "float32"
            worst[kind] = max(worst.get(kind, 0.0), difference(got, wanted))
    return worst


def main():
    directory = pathlib.Path(sys.argv[1])
    lines = [line.split("\t") for line in (directory / "list.tsv").read_text().splitlines()]
    failed, unsupported, largest = [], [], {}
    for name, stem in lines:
        if len(sys.argv) > 2:
            print(stem, file=sys.stderr, flush=True)  # the last one is what a crash comes from
        try:
            worst = check(directory, stem)
        except Exception as e:  # noqa: BLE001: whatever the tools say is what is asked
            text = str(e).strip().replace("\n", " ")[:300]
            known = "NOT_IMPLEMENTED" in text
            (unsupported if known else failed).append(name)
            print("onnxruntime has not" if known else "FAILED", f"{name} ({stem}): {text}", flush=True)
            continue
        for kind, d in worst.items():
            if d > TOLERANCE[kind]:
                failed.append(name)
                print("FAILED", f"{name} ({stem}): {d:.3g} apart in {kind}", flush=True)
            elif d > largest.get(kind, (0.0,))[0]:
                largest[kind] = (d, name)
    print(f"{len(lines)} files, {len(failed)} failed, {len(unsupported)} not in onnxruntime; largest: {largest}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
