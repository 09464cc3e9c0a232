"""Seconds a phantom, single-threaded: `OMP_NUM_THREADS=1 python benchmarks/phantom.py [--rows 1024] [--number 24]`.

Printed are processor time and wall time of drawing (no file written) and of drawing with writing, by kind of image.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from aunet.phantom.acquisition import Acquisition
from aunet.phantom.layouts import write_folder
from aunet.phantom.mammogram import make_phantom
from aunet.sample import View


def seconds_of_drawing(
    view: View, acquisition: Acquisition, *, rows: int, number: int
) -> tuple[list[float], list[float]]:
    """Processor and wall seconds of each of `number` images."""
    processor, wall = [], []
    for seed in range(number):
        started = time.process_time(), time.perf_counter()
        make_phantom(np.random.default_rng(seed), rows=rows, view=view, acquisition=acquisition)
        processor.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
    return processor, wall


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--number", type=int, default=24)
    arguments = parser.parse_args()
    make_phantom(np.random.default_rng(0), rows=arguments.rows)
    print(
        f"{arguments.rows} rows, {arguments.number} images each     processor median   max     wall median   max  [s]"
    )
    kinds: list[tuple[View, Acquisition]] = [("CC", "film"), ("MLO", "film"), ("CC", "detector"), ("MLO", "detector")]
    for view, acquisition in kinds:
        processor, wall = seconds_of_drawing(view, acquisition, rows=arguments.rows, number=arguments.number)
        print(
            f"{view:4} {acquisition:34} {np.median(processor):8.3f} {max(processor):8.3f}"
            f" {np.median(wall):12.3f} {max(wall):8.3f}"
        )
    with tempfile.TemporaryDirectory() as folder:
        totals: list[int] = []
        started = time.perf_counter()
        write_folder(
            Path(folder) / "set",
            patients=8,
            seed=1,
            rows=arguments.rows,
            on_progress=lambda _, total: totals.append(total),
        )
        print(f"written as a folder: {(time.perf_counter() - started) / totals[-1]:.3f} s an image, files included")


if __name__ == "__main__":
    main()
