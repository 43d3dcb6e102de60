"""usage: peers.py REGEX   rows of xgrad.cpp in libraries for Python, those that are there.

Prints lines "ROW CPU-TIME WALL-CLOCK-TIME" in us."""

import os
import re
import sys
import time
import warnings

warnings.filterwarnings("ignore")  # of torch's exporter
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
if hasattr(os, "sched_setaffinity"):  # XLA takes as many threads as there are CPUs
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


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


def jitted(f, *inputs):
    """A call of f, compiled by JAX, that waits for its first result."""
    import jax

    compiled = jax.jit(f)
    first = compiled if hasattr(compiled(*inputs), "block_until_ready") else (
        lambda *inputs: jax.tree_util.tree_leaves(compiled(*inputs))[0])
    return lambda: first(*inputs).block_until_ready()


def million(f):
    """The gradient of sum(f(x)) for a million floats."""
    import jax

    x = jax.random.normal(jax.random.PRNGKey(0), (1000, 1000))
    return jitted(jax.grad(lambda x: f(jax, x).sum()), x)


def gelu_formula(jax, x):
    return 0.5 * x * (1 + jax.numpy.tanh(0.79788456 * (x + 0.044715 * x * x * x)))


def layer_norm(jax, x):
    centred = x - x.mean(1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(1, keepdims=True) + 1e-5)


def hessian():
    import jax

    jax.config.update("jax_enable_x64", True)

    def rosenbrock(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    return jitted(jax.hessian(rosenbrock), jax.numpy.linspace(0.0, 1.0, 100))


def rk4_scan():
    import jax

    jax.config.update("jax_enable_x64", True)
    h = 0.01

    def rate(y, p):
        return jax.numpy.stack([p[0] * y[0] - p[1] * y[0] * y[1],
                                p[2] * y[0] * y[1] - p[3] * y[1]])

    def following(y, p):
        k1 = rate(y, p)
        k2 = rate(y + h / 2 * k1, p)
        k3 = rate(y + h / 2 * k2, p)
        k4 = rate(y + h * k3, p)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def loss(p):
        def step(y, _):
            return following(y, p), None

        return jax.lax.scan(step, jax.numpy.ones(2), None, length=200)[0].sum()

    return jitted(jax.grad(loss), jax.numpy.array([1.5, 1.0, 1.0, 3.0]))


def per_sample_grads():
    import jax

    normal, key = jax.random.normal, jax.random.PRNGKey(0)
    sizes = [784, 256, 128, 10]
    layers = [(0.05 * normal(key, (o, i)), jax.numpy.zeros(o)) for i, o in zip(sizes, sizes[1:])]

    def loss(layers, x, label):
        for k, (weight, bias) in enumerate(layers):
            x = weight @ (jax.nn.relu(x) if k else x) + bias
        return -jax.nn.log_softmax(x)[label]

    grads = jax.vmap(jax.grad(loss), (None, 0, 0))
    return jitted(grads, layers, normal(key, (64, 784)), jax.numpy.zeros(64, int))


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
        "infer_cnn": infer_cnn, "word2vec/100000": word2vec,
        "gelu_composed": lambda: million(gelu_formula),
        "gelu": lambda: million(lambda jax, x: jax.nn.gelu(x, approximate=False)),
        "layer_norm": lambda: million(layer_norm),
        "softmax": lambda: million(lambda jax, x: jax.nn.softmax(x, 1) ** 2),
        "per_sample_grads": per_sample_grads,
        "hessian": hessian, "rk4_scan": rk4_scan}  # these two in float64, which stays switched on
for name, make in rows.items():
    if not re.search(sys.argv[1], name):
        continue
    try:
        step = make()
    except ImportError as missing:
        print(f"peers.py: {name} is left out, {missing}", file=sys.stderr)
        continue
    print(name, *measure(step))
