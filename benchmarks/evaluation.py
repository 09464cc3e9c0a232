"""Time and memory of `aunet evaluate` at 1,000 and at 10,000 images, with a segmenter that costs nothing.

    python benchmarks/evaluation.py [--images 1000 10000]

Each size runs in a process of its own, so that its peak memory is its own. Images are prepared beforehand in one small
file that every sample names, and the fake segmenter gives each image of a batch another mass: what is measured is
reading, scoring, statistics and the report.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image as Picture
from scipy.special import expit

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.evaluation.run import evaluate
from aunet.models.card import ModelCard, NetworkSettings
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import MassProperties, Sample

SIDE = 256
PICTURES = 50
IMAGES_A_PATIENT = 4


@dataclass
class Fake:
    """A segmenter that gives one disc an image, each time elsewhere."""

    preprocessing: Preprocessing
    card: ModelCard
    rng: np.random.Generator
    threshold: float = 0.5

    def probability(self, images: Float32[np.ndarray, "b c h w"]) -> Float32[np.ndarray, "b h w"]:
        """A soft disc an image; it can be empty."""
        rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
        centres = self.rng.uniform(90, 150, (len(images), 2)).astype(np.float32)
        radii = self.rng.uniform(0, 30, len(images)).astype(np.float32)
        distance = np.hypot(rows - centres[:, :1, None], columns - centres[:, 1:, None])
        probability: Float32[np.ndarray, "b h w"] = expit((radii[:, None, None] - distance) / 2)
        return probability


def data_set(folder: Path, n: int) -> DataSet:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for number in range(PICTURES):
        image = rng.integers(1000, 60000, (SIDE, SIDE)).astype(np.uint16)
        centre, radius = rng.uniform(100, 140, 2), rng.uniform(4, 25)
        mask = np.hypot(rows - centre[0], columns - centre[1]) < radius
        Picture.fromarray(image).save(folder / f"image-{number}.png")
        Picture.fromarray(mask.astype(np.uint8) * 255).save(folder / f"mask-{number}.png")
    samples = tuple(
        Sample(
            case=f"case-{i:05d}",
            image_path=folder / f"image-{i % PICTURES}.png",
            mask_paths=(folder / f"mask-{i % PICTURES}.png",),
            patient_id=f"patient-{i // IMAGES_A_PATIENT}",
            split="test",
            view="CC" if i % 2 else "MLO",
            properties=MassProperties(*(str(rng.integers(1, 6)) for _ in range(6))),
        )
        for i in range(n)
    )
    return DataSet(name="synthetic", root=folder, samples=samples, ledger=Ledger(()))


def measure(n: int) -> dict[str, float]:
    settings = Preprocessing(crop=False, remove_artefacts=False, face_left=False)
    card = ModelCard(NetworkSettings(), settings.to_json(), "", 0.5, {}, "none", "synthetic", "2020-02-20", "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = data_set(folder, n)
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started, started_cpu = time.perf_counter(), time.process_time()
        fake = Fake(settings, card, np.random.default_rng(1))
        evaluate(fake, dataset, folder / "out", cache=folder / "cache")
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        report_mb = (folder / "out" / "report.html").stat().st_size / 1e6
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "before_mb": before_mb, "peak_mb": peak_mb}
    return found | {"report_mb": report_mb}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of an evaluation.")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--one", type=int, help="Measure one size in this process and print JSON.")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    names = ("seconds", "cpu_seconds", "before_mb", "peak_mb", "report_mb")
    print(f"{'images':>12}", *(f"{name:>12}" for name in names), f"{'cpu ms/image':>12}")
    for n in arguments.images:
        command = [sys.executable, __file__, "--one", str(n)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{n:>12}", *(f"{found[name]:>12.1f}" for name in names), f"{1000 * found['cpu_seconds'] / n:>12.1f}")


if __name__ == "__main__":
    main()
