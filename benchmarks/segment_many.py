"""Peak memory of `aunet segment` over 100 and over 1,000 small films, and films a second, each in a process of its own.

    python benchmarks/segment_many.py [--counts 100 1000] [--rows 512]

The network is a stand-in that costs nothing: what is measured is reading, preparing, measuring and writing. Memory is
constant if the last line says so: a tenfold number of inputs may add no more than `ALLOWED_GROWTH_MIB`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aunet.inference.batch import segment_files
from aunet.inference.segmenter import Segmenter
from aunet.io.images import write_png
from aunet.models.card import ModelCard, NetworkSettings
from aunet.preprocessing.pipeline import Preprocessing

ALLOWED_GROWTH_MIB = 64


class Bright:
    """A backend that takes brightness for probability."""

    def __init__(self, settings: Preprocessing) -> None:
        """Keep the card."""
        self.card = ModelCard(
            network=NetworkSettings(in_channels=settings.channels),
            preprocessing=settings.to_json(),
            recipe="",
            threshold=0.8,
            versions={},
            licence="none",
            data_source="none",
            trained="2020-01-01",
            notes="",
        )

    def probability(self, images: np.ndarray) -> np.ndarray:
        """The mean over the channels."""
        return np.asarray(images.mean(axis=1), dtype=np.float32)


def write_films(folder: Path, *, count: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    columns = rows * 5 // 8
    row, column = np.mgrid[:rows, :columns]
    breast = np.where((row - rows / 2) ** 2 + column**2 < (0.45 * rows) ** 2, 20_000, 0)
    for number in range(count):
        image = breast + rng.integers(0, 4_000, breast.shape)
        top, left = rng.integers(rows // 3, rows // 2), rng.integers(columns // 8, columns // 4)
        image[top : top + rows // 12, left : left + rows // 15] = 60_000
        write_png(folder / f"{number:05}.png", image.astype(np.uint16))


def measure(folder: Path, out: Path) -> None:
    settings = Preprocessing(rows=256, columns=256)
    start = time.perf_counter()
    report = segment_files([folder], Segmenter.of(Bright(settings)), out)
    seconds = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"failed": len(report.failed), "seconds": seconds, "peak_mib": peak_mib}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    peaks = []
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as scratch:
            films, out = Path(scratch) / "films", Path(scratch) / "out"
            films.mkdir()
            write_films(films, count=count, rows=arguments.rows)
            command = [sys.executable, __file__, "--measure", str(films), str(out)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        peaks.append(found["peak_mib"])
        rate = count / found["seconds"]
        print(f"{count:6} films: peak {found['peak_mib']:.0f} MiB, {rate:.1f} films/s, {found['failed']} failed")
    growth_mib = peaks[-1] - peaks[0]
    verdict = "constant" if growth_mib <= ALLOWED_GROWTH_MIB else "NOT constant"
    print(f"memory is {verdict}: {growth_mib:+.0f} MiB from {arguments.counts[0]} to {arguments.counts[-1]} films")
    if growth_mib > ALLOWED_GROWTH_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
