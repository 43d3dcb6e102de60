#!/usr/bin/env python3
"""usage: exchange.py PROGRAM   arrays, checkpoints and runs go to xgrad and back, by the real tools

Files of NumPy, PyTorch and safetensors are read by PROGRAM (exchange.cpp), and its own by them and by TensorBoard. What is
not installed is left out; without NumPy the exit code is 77.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy as np
except ImportError:
    print("NumPy is not installed")
    sys.exit(77)


def tool(name):
    try:
        return __import__(name, fromlist=["x"])
    except ImportError:
        print(f"{name} is not installed")
        return None


torch = tool("torch")
safetensors = tool("safetensors.numpy")
tensorboard = tool("tensorboard.backend.event_processing.event_accumulator")


def wide(a):
    """As a tensor of the library holds it."""
    a = np.asarray(a)
    kind = {"f": np.float64 if a.dtype.itemsize == 8 else np.float32, "b": np.bool_}.get(a.dtype.kind, np.int64)
    return a.astype(kind)


def same(what, got, wanted):
    assert list(got) == list(wanted), f"{what}: {list(got)} and not {list(wanted)}"
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype and got[name].shape == array.shape, (
            f"{what}, {name}: {got[name].dtype} {got[name].shape} and not {array.dtype} {array.shape}")
        assert np.array_equal(got[name], array, equal_nan=array.dtype.kind == "f"), f"{what}, {name}: other elements"


# ---------------------------------------------------------------- what comes in


def numbers(rng, dtype, shape):
    d = np.dtype(dtype)
    if d.kind == "b":
        return rng.integers(0, 2, shape).astype(d)
    if d.kind == "f":
        return rng.standard_normal(shape).astype(d)
    limits = np.iinfo(d)
    return rng.integers(limits.min, min(limits.max, 2**63 - 1), shape, dtype=np.int64 if d.kind == "i" else np.uint64,
                        endpoint=True).astype(d)


class Pipe:
    """A file that cannot go back, after whose entries their sizes stand."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def numpy_files(to, expected):
    rng = np.random.default_rng(1)
    arrays = {}
    for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 ?".split():
        for end in "<>":
            for order in "CF":
                for shape in ((), (0, 3), (7,), (2, 3, 4)):
                    name = f"{'le' if end == '<' else 'be'}_{code.replace('?', 'bool')}_{order}_{len(shape)}"
                    arrays[name] = np.asarray(numbers(rng, code, shape), dtype=end + code, order=order)
    arrays["strided"] = rng.standard_normal((8, 9))[::2, ::-3]
    expected["stored.npz"] = expected["deflated.npz"] = {n: wide(a) for n, a in arrays.items()}
    np.savez(to / "stored.npz", **arrays)
    np.savez_compressed(to / "deflated.npz", **arrays)
    for version in (1, 2, 3):
        for i, (name, array) in enumerate(arrays.items()):
            if i % 3 == version - 1:
                with open(to / f"{name}_{version}.npy", "wb") as f:
                    np.lib.format.write_array(f, array, (version, 0))
                expected[f"{name}_{version}.npy"] = {"array": wide(array)}
    # Sizes behind the entries, sizes of 64 bits, entries at any offset, a comment, other methods beside.
    for name, how in ("pipe", 0), ("zip64", 0), ("offsets", 0), ("deflated_pipe", zipfile.ZIP_DEFLATED):
        with open(to / f"{name}.npz", "wb") as f, \
                zipfile.ZipFile(Pipe(f) if "pipe" in name else f, "w", how) as z:
            for i, (key, array) in enumerate(arrays.items()):
                info = zipfile.ZipInfo(key + ".npy")
                info.compress_type = how
                info.extra = b"\xfe\xca" + bytes([i % 61, 0]) + bytes(i % 61) if name == "offsets" else b""
                with z.open(info, "w", force_zip64=name == "zip64") as entry:
                    np.lib.format.write_array(entry, array)
            z.comment = b"a comment"
        expected[f"{name}.npz"] = expected["stored.npz"]
    refused = {"complex": np.zeros(2, np.complex64), "text": np.array(["a"]), "object": np.array([{}]),
               "long": np.zeros(2, np.longdouble), "structure": np.zeros(2, [("x", "f4")]), "time": np.zeros(2, "M8[s]"),
               "large": np.array([2**63], np.uint64)}
    for name, array in refused.items():
        np.save(to / f"refused_{name}.npy", array, allow_pickle=True)
        expected[f"refused_{name}.npy"] = None


def flat(value, name, tensors, numbers, strings):
    """The names that read_torch gives."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else None
    if parts is not None and not isinstance(value, torch.Size):
        for key, part in parts:
            flat(part, f"{name}.{key}" if name else str(key), tensors, numbers, strings)
    elif isinstance(value, torch.Size):
        flat(list(value), name, tensors, numbers, strings)
    elif isinstance(value, torch.Tensor):
        value = value.detach()
        tensors[name] = wide((value.float() if value.dtype == torch.bfloat16 else value).numpy())
    elif isinstance(value, (bool, int, float)):
        numbers[name] = np.asarray(value, {bool: np.bool_, int: np.int64, float: np.float64}[type(value)])
    elif value is not None:
        strings[name] = str(value)


def random_value(r, depth, storages):
    kind = r.randrange(10 if depth < 4 else 7)
    if kind < 4:
        base = r.choice(storages)
        view = base[r.randrange(2):].view(-1)
        form = r.randrange(6)
        if form == 0 and view.numel() >= 6:
            return view[:6].view(2, 3).t()
        if form == 1:
            return view[::2]
        if form == 2 and view.numel():
            return view[0].expand(3, 2)
        if form == 3 and view.is_floating_point():
            return torch.nn.Parameter(view.clone(), requires_grad=r.random() < 0.5)
        return view.clone() if form == 4 else view
    if kind == 4:
        return r.choice([0, 1, -1, 255, 256, 65536, -(2**31), 2**31, -(2**40), 2**62, -(2**63), 1.5, -0.0, 1e300, True, False])
    if kind == 5:
        return r.choice(["", "text", "ü€😀", "x" * 300, None, torch.float16, torch.device("cpu"), torch.Size([2, 3])])
    if kind == 6:
        return None
    parts = [random_value(r, depth + 1, storages) for _ in range(r.randrange(6))]
    if kind == 7:
        return parts
    if kind == 8:
        return tuple(parts)
    return {r.choice([f"key{i}", i]): p for i, p in enumerate(parts)}


def torch_files(to, expected):
    def add(name, value, **options):
        torch.save(value, to / name, **options)
        tensors, numbers, strings = {}, {}, {}
        flat(value, "", tensors, numbers, strings)
        expected[name] = tensors | numbers
        texts[name] = strings

    texts = {}
    torch.manual_seed(1)
    nn = torch.nn
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    model.register_buffer("halves", torch.randn(3).half())
    model.tied = model.layers[0].linear1
    optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 100)
    model(torch.randn(5, 2, 8)).sum().backward()
    optimizer.step()
    schedule.step()
    add("state.pt", model.state_dict())
    add("bfloat16.pt", model.bfloat16().state_dict())
    add("checkpoint.pt", {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                          "losses": [0.5, (0.25, 1)], "name": "run", "nothing": None})
    r = random.Random(1)
    makers = [lambda: torch.randn(9), lambda: torch.randn(9).half(), lambda: torch.randn(9).bfloat16(),
              lambda: torch.randn(9).double(), lambda: torch.randint(-9, 9, (9,)), lambda: torch.randn(9) > 0,
              lambda: torch.randint(0, 255, (9,)).to(torch.uint8), lambda: torch.randint(-9, 9, (9,)).to(torch.int16)]
    for i in range(100):
        storages = [r.choice(makers)() for _ in range(3)]
        add(f"random{i}.pt", {"x": [random_value(r, 0, storages) for _ in range(6)], "w": storages[0]})
    # Files of PyTorch 1.6 have neither an order of bytes nor a number of their own.
    with zipfile.ZipFile(to / "state.pt") as new, zipfile.ZipFile(to / "old.pt", "w") as old:
        for entry in new.namelist():
            if entry.split("/", 1)[1] == "version" or "data" in entry.split("/")[1] and "." != entry.split("/")[1][0]:
                old.writestr(entry, new.read(entry))
    expected["old.pt"], texts["old.pt"] = expected["state.pt"], {}
    for name, value in ("module", nn.Linear(1, 1)), ("complex", torch.zeros(2, dtype=torch.complex64)), \
            ("sparse", torch.eye(2).to_sparse()):
        torch.save({"w": value}, to / f"refused_{name}.pt")
        expected[f"refused_{name}.pt"] = None
    torch.save({"w": torch.ones(2)}, to / "refused_legacy.pt", _use_new_zipfile_serialization=False)
    expected["refused_legacy.pt"] = None
    return texts


def safetensors_files(to, expected):
    rng = np.random.default_rng(2)
    kinds = {k: numbers(rng, k, (3, 4)) for k in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 ?".split()}
    kinds["empty"], kinds["number"] = np.zeros((0, 2), np.float32), np.array(2.5, np.float32)
    safetensors.save_file(kinds, to / "kinds.safetensors", {"format": "np"})
    # The order of the file is by dtype and name.
    order = [k for k in json.loads((to / "kinds.safetensors").read_bytes()[8:].split(b"}}", 1)[0] + b"}}") if k[0] != "_"]
    expected["kinds.safetensors"] = {k: wide(kinds[k]) for k in order}
    shards, weights = {}, {}
    for i in range(3):
        file = f"model-{i + 1:05}-of-00003.safetensors"
        part = {f"layer.{i}.weight": rng.standard_normal((5, 4)).astype("f4"), f"layer.{i}.bias": rng.standard_normal(5)}
        safetensors.save_file(part, to / file)
        shards |= {k: file for k in part}
        weights |= {k: wide(part[k]) for k in sorted(part, key=lambda k: (-part[k].dtype.itemsize, k))}
        expected[file] = {k: v for k, v in weights.items() if shards[k] == file}
    (to / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": shards}))
    expected["model.safetensors.index.json"] = weights


def check_read(out, expected, texts):
    for name, wanted in expected.items():
        error = out / f"{name}.error"
        if wanted is None:
            assert error.exists(), f"{name} must be refused"
            assert "\n" not in error.read_text(), f"{name}: one line, not {error.read_text()}"
            continue
        assert not error.exists(), error.read_text()
        with np.load(out / f"{name}.npz", allow_pickle=False) as got:
            same(name, got, wanted)
        if name in texts:
            lines = (out / f"{name}.txt").read_text().splitlines()
            got = dict(line.split("\t") for line in lines)
            assert got == texts[name], f"{name}: {got} and not {texts[name]}"


# ---------------------------------------------------------------- what goes out


def check_weights(out):
    with np.load(out / "own.npz", allow_pickle=False) as archive:
        own = {n: archive[n] for n in archive.files}
    assert np.array_equal(np.load(out / "own.npy"), own["0.weight"])
    rounded = {"half": lambda t: t.half(), "bfloat16": lambda t: t.bfloat16()}
    if safetensors:
        got = safetensors.load_file(out / "own.safetensors")
        same("own.safetensors", got, {n: own[n] for n in got})
        assert len(got) == len(own)
    if not torch:
        return
    state = torch.load(out / "own.pt", weights_only=True)
    same("own.pt", {n: t.numpy() for n, t in state.items()}, own)
    assert state["tied"].data_ptr() == state["0.weight"].data_ptr() != state["4.weight"].data_ptr()
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    model.load_state_dict({n: t for n, t in state.items() if n[0].isdigit()})
    for name, f in rounded.items():
        files = [torch.load(out / f"{name}.pt", weights_only=True)]
        if tool("safetensors"):
            files.append(tool("safetensors.torch").load_file(out / f"{name}.safetensors"))
        for got in files:
            assert len(got) == len(own) - 1
            for n, t in got.items():
                wanted = torch.from_numpy(np.asarray(own[n]))
                wanted = f(wanted) if wanted.is_floating_point() else wanted
                assert t.dtype == wanted.dtype and torch.equal(t, wanted), f"{name}, {n}"


def check_run(out):
    run = tensorboard.EventAccumulator(str(out / "run"), {"tensors": 0, "scalars": 0, "images": 0, "histograms": 0})
    run.Reload()
    loss = run.Scalars("loss/train")
    values = [e.value for e in loss]
    assert [e.step for e in loss] == list(range(21)) and np.isnan(values[20])
    assert np.array_equal(np.float32(values[:20]), np.float32(1) / np.arange(1, 21, dtype=np.float32))
    histogram, = run.Histograms("weights")
    x = np.arange(1000.0) - 300
    h = histogram.histogram_value
    assert histogram.step == 7 and (h.min, h.max, h.num, h.sum, h.sum_squares) == (x[0], x[-1], 1000, x.sum(), (x * x).sum())
    edges = [-np.inf, *h.bucket_limit]
    assert list(h.bucket) == [np.sum((x > a) & (x <= b)) for a, b in zip(edges, edges[1:])] and sum(h.bucket) == 1000
    image, = run.Images("image")
    assert (image.width, image.height, image.step) == (7, 5, 1) and image.encoded_image_string[1:4] == b"PNG"
    assert run.Images("images")[0].step == 2
    note, = run.Tensors("note/text_summary") if "note/text_summary" in run.Tags()["tensors"] else run.Tensors("note")
    assert note.tensor_proto.string_val == ["a *text* ü".encode()] and note.step == 3
    nodes = run.Graph().node
    names = {n.name for n in nodes}
    assert {"Conv2d", "conv2d"} & {n.op for n in nodes} and len(names) == len(nodes)
    assert all(i.split(":")[0].lstrip("^") in names for n in nodes for i in n.input)
    hparams = tool("tensorboard.plugins.hparams.plugin_data_pb2")
    summaries = run.summary_metadata
    data = {t: hparams.HParamsPluginData.FromString(m.plugin_data.content) for t, m in summaries.items()
            if m.plugin_data.plugin_name == "hparams"}
    start = data["_hparams_/session_start_info"].session_start_info.hparams
    assert start["lr"].number_value == 0.1 and start["nesterov"].bool_value and start["name"].string_value == "sgd"
    assert [m.name.tag for m in data["_hparams_/experiment"].experiment.metric_infos] == ["accuracy"]
    assert run.Scalars("accuracy")[0].value == 0.75


def main():
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        given, out = directory / "in", directory / "out"
        given.mkdir()
        expected, texts = {}, {}
        numpy_files(given, expected)
        if torch:
            texts = torch_files(given, expected)
        if safetensors:
            safetensors_files(given, expected)
        subprocess.run([sys.argv[1], directory], check=True)
        check_read(out, expected, texts)
        check_weights(out)
        if tensorboard:
            check_run(out)
    print(f"{len(expected)} files read as they were written, {sum(e is None for e in expected.values())} of them refused")


if __name__ == "__main__":
    main()
