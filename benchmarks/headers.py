"""What `aunet inspect --quick` takes for a tree of DICOM files, beside reading the headers of the same files alone.

    aunet phantom tree --layout cbis-ddsm --patients 190 --rows 128
    python benchmarks/headers.py cbis-ddsm:tree

Three ways in turn, `--rounds` times: pydicom reads each header up to the pixels, one after the other; the same in as
many threads as inspection uses; and the data set is opened, its tables, roles and ledger included. All in one warm
process, since importing pydicom costs the same in each.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom

from aunet.datasets.opening import open_dataset

THREADS = 4


def read_one_by_one(files: list[Path]) -> None:
    for file in files:
        pydicom.dcmread(file, stop_before_pixels=True)


def read_in_threads(files: list[Path]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda file: pydicom.dcmread(file, stop_before_pixels=True), files))


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="cbis-ddsm:PATH or inbreast:PATH")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    files = sorted(Path(arguments.data.partition(":")[2]).rglob("*.dcm"))
    jobs: dict[str, Callable[[], object]] = {
        "headers alone, one by one": lambda: read_one_by_one(files),
        f"headers alone, {THREADS} threads": lambda: read_in_threads(files),
        "the data set opened": lambda: open_dataset(arguments.data),
    }
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(arguments.rounds):
        for name, job in jobs.items():
            taken[name].append(seconds(job))
    alone = statistics.median(taken["headers alone, one by one"])
    print(f"{len(files)} DICOM files, {arguments.rounds} rounds")
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:28} {median:6.2f} s median, {min(times):.2f} to {max(times):.2f}; {median / alone:.2f} times")


if __name__ == "__main__":
    main()
