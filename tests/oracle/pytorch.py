"""Values and derivatives by PyTorch, for tests/nn/oracle/oracle_test.cpp to compare with ours.

To make tests/oracle/pytorch.safetensors again (PyTorch 2.15.0 on a CPU, numpy):

    python3 tests/oracle/pytorch.py

To add a case: a line in a file here, which is found by itself, and a line with the same name in a
table of C++ (tests/oracle/cases.hpp), beside the row of the operation or optimizer, in the test of
the layer, or in tests/nn/oracle/.

A case is written when such a line calls it; the others are listed (with --all they are computed
too, and nothing is written). Each case is one list of float64 numbers: for each
of its samples
    the tolerance in float64 and in float32, relative to the largest number of a tensor, or to 1;
    the inputs; the outputs;
    the number of orders of derivatives (0, 1, 2), and for each order one tensor for each input that
    is differentiated: the gradients of Σ output · c, then those of Σ gradient · c;
a list of tensors as its length and its tensors, a tensor as its kind (see cases.py), rank, sizes and
elements. The c are the numbers of the entry "cotangents": for tensor i of a list those from 16 i on.
"""

import importlib
import json
import pathlib
import re
import struct
import sys
import warnings

import numpy as np
import torch

sys.dont_write_bytecode = True
here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here))
import cases  # noqa: E402

COMMAND = "python3 tests/oracle/pytorch.py"
DOUBLE, FLOAT = 1e-10, 1e-5
cotangents = cases.r(1024, lo=-1.5, hi=1.5)(cases.generator("cotangents"))[1]


def weights(tensors):
    """A fixed cotangent for each tensor."""
    return [
        torch.tensor(cotangents[16 * i : 16 * i + t.numel()].reshape(t.shape)).to(t.dtype)
        for i, t in enumerate(tensors)
    ]


def as_list(x):
    return list(x) if isinstance(x, (tuple, list)) else [x]


def derivatives(outputs, leaves, orders):
    """For each order the gradients of all leaves."""
    found, y = [], outputs
    for order in range(orders):
        y = [t for t in y if t.dtype.is_floating_point]
        pairs = [(t, c) for t, c in zip(y, weights(y)) if t.requires_grad]
        if pairs:
            y = torch.autograd.grad(
                [t for t, _ in pairs],
                leaves,
                [c for _, c in pairs],
                create_graph=order + 1 < orders,
                allow_unused=True,
                materialize_grads=True,
            )
        else:
            y = [torch.zeros_like(t) for t in leaves]
        found.append(list(y))
    return found


def run(case, inputs, orders, dtype):
    leaves, arguments = [], []
    for kind, value in inputs:
        t = torch.tensor(value)
        if kind in (cases.VARIABLE, cases.CONSTANT):
            t = t.to(dtype)
        if kind == cases.VARIABLE:
            leaves.append(t.requires_grad_())
        arguments.append(t)
    torch.manual_seed(0)
    outputs = as_list(case.f(*arguments))
    if not leaves or not any(t.dtype.is_floating_point for t in outputs):
        orders = 0
    found = [outputs, *derivatives(outputs, leaves, orders)]
    return [[t.numpy(force=True) for t in tensors] for tensors in found]


def error(got, wanted):
    """The largest error relative to the largest number of a tensor, or 1."""
    worst = 0.0
    for tensors, references in zip(got, wanted):
        for x, y in zip(tensors, references):
            assert np.array_equal(np.isfinite(x), np.isfinite(y)), "overflows in float32"
            x, y = x[np.isfinite(x)].astype(float), y[np.isfinite(y)].astype(float)
            if x.size:
                worst = max(worst, np.abs(x - y).max() / max(1.0, np.abs(y).max()))
    return worst


def pack(kind, x):
    return [kind, x.ndim, *x.shape, *x.astype(np.float64).ravel()]


def kind_of(x):
    return {"f": cases.VARIABLE, "i": cases.INT, "b": cases.BOOL}[x.dtype.kind]


def pack_list(tensors):
    numbers = [len(tensors)]
    for x in tensors:
        numbers += pack(kind_of(x), x)
    return numbers


def pack_sample(case, sample, g):
    orders = sample[-1] if sample and isinstance(sample[-1], int) else case.orders
    inputs = [draw(g) for draw in sample if not isinstance(draw, int)]
    found = run(case, inputs, orders, torch.float64)
    loss = case.margin * error(run(case, inputs, orders, torch.float32), found)
    numbers = [max(DOUBLE, case.tolerance), max(FLOAT, case.tolerance, loss), len(inputs)]
    for kind, value in inputs:
        numbers += pack(kind, value)
    numbers += [*pack_list(found[0]), len(found) - 1]
    for tensors in found[1:]:
        numbers += pack_list(tensors)
    return numbers, loss


def save(path, entries, metadata):
    """Writes safetensors; by hand, since the package of that name orders the metadata at random."""
    header, data = {"__metadata__": metadata}, b""
    for name, x in entries.items():
        where = [len(data), len(data) + x.nbytes]
        dtype = {"float32": "F32", "float64": "F64"}[x.dtype.name]
        header[name] = {"dtype": dtype, "shape": x.shape, "data_offsets": where}
        data += x.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def texts(sources):
    """What begins a row of a table in C++."""
    return {t for s in sources for t in re.findall(r'\{"([^"]+)",', s.read_text())}


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for source in sorted(here.glob("*.py")):
        if source.stem != "pytorch":
            importlib.import_module(source.stem)
    tests = here.parent
    called = texts(set(tests.glob("nn/oracle/*.cpp")) - {tests / "nn/oracle/oracle_test.cpp"})
    unknown = called - set(cases.cases)
    # Other tests, which may have such tables too, say other texts as well.
    called |= texts(tests.glob("**/*.cpp"))
    if "--all" in sys.argv:
        called = set(cases.cases)
    elif unknown:
        sys.exit("called in C++, but not a case here: " + ", ".join(sorted(unknown)))
    entries = {"cotangents": cotangents.astype(np.float32)}
    metadata = {"torch": torch.__version__.split("+")[0], "made by": COMMAND}
    waiting = []
    for name, case in cases.cases.items():
        if name not in called:
            waiting.append(name)
            continue
        g = cases.generator(name)
        numbers = []
        for i, sample in enumerate(case.samples):
            try:
                more, loss = pack_sample(case, sample, g)
            except Exception as reason:
                sys.exit(f"{name}, sample {i}: {reason}")
            if loss > FLOAT:
                print(f"float32 tolerance {loss:.1g}: {name}, sample {i}")
            numbers += more
        entries[name] = np.array(numbers, dtype=np.float64)
        if case.names:
            metadata[name] = case.names
    if waiting:
        print("without a call in C++:", ", ".join(waiting))
    if "--all" in sys.argv:
        print(sum(x.nbytes for x in entries.values()), "bytes", len(entries), "cases")
        return
    path = here / "pytorch.safetensors"
    save(path, entries, metadata)
    print(len(entries) - 1, "cases,", path.stat().st_size, "bytes")


main()
