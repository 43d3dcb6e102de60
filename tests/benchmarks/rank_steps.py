"""usage: rank_steps.py RANKS [ROUNDS]   the step of rank_steps.cpp in PyTorch, by DistributedDataParallel with gloo.

Prints a line of JSON: milliseconds of a step, the least of some rounds, one thread for each rank."""

import json
import os
import sys
import time

import torch
from torch import nn

BATCH, STEPS = 256, 5


def network():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, 10))


def run(rank, ranks, rounds):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    os.sched_setaffinity(0, {rank % os.cpu_count()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29517")
    model = network().to(memory_format=torch.channels_last)
    if ranks > 1:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    x = torch.randn(BATCH // ranks, 1, 28, 28).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (BATCH // ranks,))
    loss = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    for _ in range(3):
        step()
    least = 1e9
    for _ in range(rounds):
        if ranks > 1:
            torch.distributed.barrier()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        least = min(least, (time.perf_counter() - start) / STEPS * 1e3)
    if rank == 0:
        print(json.dumps({"what": "torch " + torch.__version__, "ranks": ranks,
                          "step_ms": round(least, 3)}))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    count, times = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if count == 1:
        run(0, 1, times)
    else:
        torch.multiprocessing.spawn(run, (count, times), nprocs=count)
