"""usage: peers.py REGEX   rows of xgrad.cpp in libraries for Python, those that are there.

Prints lines "ROW CPU-TIME WALL-CLOCK-TIME" in us."""

import os
import re
import sys
import time
import warnings

warnings.filterwarnings("ignore")  # of torch's exporter
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def onnx_session(layers, sample):
    """onnxruntime's session of a Sequential, and what it is called with."""
    import io

    import onnxruntime
    import torch

    file = io.BytesIO()
    torch.onnx.export(torch.nn.Sequential(*layers).eval(), torch.rand(sample), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(file.getvalue(), options,
                                           providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: torch.rand(sample).numpy()}
    return lambda: session.run(None, inputs)


def infer_mlp():
    from torch.nn import Linear, ReLU

    return onnx_session([Linear(784, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 10)],
                        (1, 784))


def infer_cnn():
    from torch.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU

    return onnx_session([Conv2d(1, 32, 3), ReLU(), Conv2d(32, 64, 3), ReLU(), MaxPool2d(2),
                         Flatten(), Linear(9216, 128), ReLU(), Linear(128, 10)], (1, 1, 28, 28))


def embedding_sparse_adam():
    import torch

    torch.set_num_threads(THREADS)
    table, head = torch.nn.Embedding(50000, 128, sparse=True), torch.nn.Linear(128, 10)
    optimizers = [torch.optim.SparseAdam(table.parameters(), lr=1e-5),
                  torch.optim.Adam(head.parameters(), lr=1e-5, fused=True)]
    x, y = torch.randint(0, 50000, (64, 50)), torch.randint(0, 10, (64,))

    def step():
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(table(x).mean(1)), y).backward()
        for optimizer in optimizers:
            optimizer.step()

    return step


def word2vec():
    from gensim.models import Word2Vec

    state, sentences = 1, []
    for _ in range(100000 // 20):
        sentence = []
        for _ in range(20):
            state = state * 48271 % 2147483647
            sentence.append(f"w{int(5000 ** (state / 2147483647))}")
        sentences.append(sentence)
    return lambda: Word2Vec(sentences, sg=1, vector_size=100, window=5, min_count=5, negative=5,
                            epochs=1, workers=THREADS)


def measure(f, seconds=0.07):
    """CPU and wall-clock time of a call in us: the mean of some."""
    f()
    f()
    cpu, wall, calls = time.process_time(), time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - wall < seconds:
        f()
        calls += 1
    scale = 1e6 / calls
    return (time.process_time() - cpu) * scale, (time.perf_counter() - wall) * scale


rows = {"embedding_sparse_adam": embedding_sparse_adam, "infer_mlp": infer_mlp,
        "infer_cnn": infer_cnn, "word2vec/100000": word2vec}
for name, make in rows.items():
    if not re.search(sys.argv[1], name):
        continue
    try:
        step = make()
    except ImportError as missing:
        print(f"peers.py: {name} is left out, {missing}", file=sys.stderr)
        continue
    print(name, *measure(step))
