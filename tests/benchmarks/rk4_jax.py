"""The rows rk4 of ode.hpp in JAX: milliseconds, least of the rounds, and what compiling takes."""
import time

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
H = 0.01


def rate(y, p):
    return jnp.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])


def following(y, p):
    k1 = rate(y, p)
    k2 = rate(y + H / 2 * k1, p)
    k3 = rate(y + H / 2 * k2, p)
    k4 = rate(y + H * k3, p)
    return y + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def loss(p):
    return jax.lax.scan(lambda y, _: (following(y, p), None), jnp.ones(2), None, length=200)[0].sum()


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


step = jax.jit(jax.grad(loss))
rates = jnp.array([1.5, 1.0, 1.0, 3.0])
first = seconds(lambda: step(rates).block_until_ready())
best = min(seconds(lambda: step(rates).block_until_ready()) for _ in range(300))
print(f"rk4_scan_replay {1e3 * best:.3f} ms, compiled in {1e3 * first:.0f} ms")
