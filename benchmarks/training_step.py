"""A training step on the CPU: plain PyTorch, channels_last, that with freed memory kept, and that in bfloat16.

Each way runs in a process of its own, since the allocator can't be put back; the ways take turns, so that a busy
machine slows all of them. The median over the rounds is printed. `aunet train` takes the last way where the processor
has units for bfloat16 (Intel AMX), else the one before.

    python benchmarks/training_step.py [--rounds 3] [--steps 4] [--width 16] [--batch 8] [--pixels 256]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch

from aunet.models.card import NetworkSettings
from aunet.models.factory import build_network
from aunet.training.losses import segmentation_loss
from aunet.training.memory import keep_freed_memory

WAYS = ("plain", "channels_last", "channels_last, memory kept", "channels_last, memory kept, bfloat16")
GOAL = 2.5


def seconds_per_image(way: str, *, steps: int, width: int, batch: int, pixels: int) -> float:
    """Time of one image in a training step, the median of `steps` after one to warm up."""
    if "memory kept" in way:
        keep_freed_memory()
    memory_format = torch.contiguous_format if way == "plain" else torch.channels_last
    generator = torch.Generator().manual_seed(0)
    network = build_network(NetworkSettings(width=width), generator=generator)
    network = network.to(memory_format=memory_format)  # type: ignore[call-overload]  # not in its stub
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, amsgrad=True, fused=way != "plain")
    images = torch.rand(batch, 3, pixels, pixels, generator=generator).to(memory_format=memory_format)
    masks = torch.rand(batch, pixels, pixels, generator=generator) < 0.05
    times = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in way):
            outputs = network(images)
        torch.autograd.backward(segmentation_loss(outputs, masks).total)
        optimizer.step()
        times.append((time.perf_counter() - started) / batch)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 3), ("steps", 4), ("width", 16), ("batch", 8), ("pixels", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--way", choices=WAYS, help="measure one way in this process")
    options = parser.parse_args()
    size = {"steps": options.steps, "width": options.width, "batch": options.batch, "pixels": options.pixels}
    if options.way:
        print(json.dumps(seconds_per_image(options.way, **size)))
        return
    arguments = [f"--{name}={value}" for name, value in size.items()]
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, f"--way={way}", *arguments]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            times[way].append(float(json.loads(answer.stdout)))
    plain = statistics.median(times["plain"])
    print(f"AUNet of width {options.width}, batch {options.batch}, {options.pixels} x {options.pixels}, ", end="")
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    for way, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{way:36s} {median:6.3f} s/image   {plain / median:4.2f} times plain")
    print(f"goal: {GOAL} times plain")


if __name__ == "__main__":
    main()
