#!/usr/bin/env python3
"""usage: newest_cases.py DIRECTORY   writes the node cases of the installed onnx package there

In the layout of Debian's libonnx-testdata, for build/release/tests/onnx_node_report. Newer packages
bring no files: their cases are computed. Those whose values are no tensors are left out.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def message(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return numpy_helper.from_array(np.asarray(value))
    return value if isinstance(value, onnx.TensorProto) else None


def write(case, directory):
    for model, sets in [(case.model, case.data_sets or [])]:
        (directory / "model.onnx").write_bytes(model.SerializeToString())
        for n, (inputs, outputs) in enumerate(sets):
            folder = directory / f"test_data_set_{n}"
            folder.mkdir()
            for kind, values in (("input", inputs), ("output", outputs)):
                for i, value in enumerate(values):
                    if (proto := message(value)) is not None:
                        (folder / f"{kind}_{i}.pb").write_bytes(proto.SerializeToString())


root = pathlib.Path(sys.argv[1])
count = 0
for case in collect_testcases(None):
    directory = root / case.name
    directory.mkdir(parents=True)
    write(case, directory)
    count += 1
print(count, "cases of onnx", onnx.__version__)
