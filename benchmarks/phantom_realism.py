"""Simple numbers of phantoms beside real mammograms, both at 256 pixels: `python benchmarks/phantom_realism.py REAL`.

REAL is the prepared CBIS-DDSM set (its training split alone is read). Printed, for real images and for film phantoms:
the slope of the power spectrum in the largest square inside the breast, quantiles of the grey values in the breast, of
the masses' area over the breast's, and of the masses' contrast by subtlety (mean inside minus mean of a ring around it,
over the breast's 99th percentile).
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from aunet.phantom.layouts import plan
from aunet.phantom.mammogram import view_of

SIZE = 256
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Reduced:
    """One image at 256 pixels, with its one mass."""

    image: np.ndarray
    mask: np.ndarray
    breast: np.ndarray
    view: str
    density: str
    subtlety: str


def real_images(folder: Path) -> Iterator[Reduced]:
    """All training images with one mass."""
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train" and row["n_masses"] == "1"]
    for row in rows:
        image = np.asarray(Image.open(folder / row["image"]), dtype=np.float64) / 65535
        mask = np.asarray(Image.open(folder / row["mask"])) > 127
        yield Reduced(image, mask, image > 0.02 * image.max(), row["view"], row["breast_density"], row["subtlety"])


def phantom_images(number: int, rows: int) -> Iterator[Reduced]:
    """Film phantoms with one mass, the film around the breast set to zero and reduced as the real images were."""
    images = [image for image in plan(patients=number, seed=2024, acquisition="film") if image.number_of_masses == 1]
    for planned in images[:number]:
        phantom = view_of(
            np.random.default_rng(planned.seed),
            planned.case,
            rows=rows,
            view=planned.view,
            laterality="L",
            acquisition="film",
            number_of_masses=1,
        )
        image = np.where(phantom.breast, phantom.image / 65535, 0)
        reduced = [_reduce(part) for part in (image, phantom.mask, phantom.breast)]
        known = phantom.properties
        breast = (reduced[2] > 0.5) & (reduced[0] > 0.02 * reduced[0].max())
        yield Reduced(reduced[0], reduced[1] > 0.5, breast, planned.view, known.breast_density, known.subtlety)


def _reduce(image: np.ndarray) -> np.ndarray:
    """To 256 rows by averaging, filled up to a square on the right."""
    columns = min(SIZE, round(image.shape[1] * SIZE / image.shape[0]))
    small = np.asarray(Image.fromarray(image.astype(np.float32)).resize((columns, SIZE), Image.Resampling.BOX))
    return np.pad(small, ((0, 0), (0, SIZE - columns)))


def spectrum_slope(item: Reduced, half: int = 24) -> float:
    """Slope of log power over log frequency in a square around the breast's deepest point; NaN where none fits."""
    depth = ndimage.distance_transform_edt(np.pad(item.breast, 1))[1:-1, 1:-1]
    deepest = np.unravel_index(np.argmax(depth), depth.shape)
    row, column = int(deepest[0]), max(int(deepest[1]), half)
    if not (half <= row <= SIZE - half and depth.max() > half):
        return float("nan")
    patch = item.image[row - half : row + half, column - half : column + half]
    window = np.hanning(2 * half)
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window[:, None] * window)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(2 * half), np.fft.fftfreq(2 * half)))
    used = (frequency > 2.5 / (2 * half)) & (frequency < 0.3)
    return float(np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0])


def contrast(item: Reduced) -> float:
    """Mean inside the mass minus the mean of a ring around it, over the breast's 99th percentile."""
    near, far = (ndimage.binary_dilation(item.mask, iterations=width) for width in (1, 6))
    ring = far & ~near & item.breast
    if not (ring.any() and item.mask.any()):
        return float("nan")
    return float((item.image[item.mask].mean() - item.image[ring].mean()) / np.quantile(item.image[item.breast], 0.99))


def report(name: str, items: list[Reduced]) -> None:
    """Print one set's numbers."""

    def line(what: str, values: list[float]) -> None:
        kept = np.array([value for value in values if np.isfinite(value)])
        print(f"{name:8} {what:34} n={len(kept):4d} ", *(f"{value:8.4f}" for value in np.quantile(kept, LEVELS)))

    line("slope of the spectrum", [spectrum_slope(item) for item in items])
    line("mass area / breast area", [item.mask.sum() / item.breast.sum() for item in items])
    for view in ("CC", "MLO"):
        line(f"breast area / image area, {view}", [item.breast.mean() for item in items if item.view == view])
        line(
            f"width / height of the breast, {view}",
            [
                np.ptp(np.flatnonzero(item.breast.any(axis=0))) / np.ptp(np.flatnonzero(item.breast.any(axis=1)))
                for item in items
                if item.view == view
            ],
        )
    by_density = defaultdict(list)
    for item in items:
        by_density[item.density].append(np.quantile(item.image[item.breast], LEVELS))
    for density in "1234":
        values = np.median(by_density[density], axis=0)
        print(
            f"{name:8} {'grey in the breast, density ' + density:34} n={len(by_density[density]):4d} ",
            *(f"{value:8.4f}" for value in values),
        )
    for subtlety in "12345":
        line(f"mass contrast, subtlety {subtlety}", [contrast(item) for item in items if item.subtlety == subtlety])


def main() -> None:
    """Print the numbers of both sets, quantiles 5, 25, 50, 75, 95 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", type=Path, help="the prepared CBIS-DDSM set at 256 pixels")
    parser.add_argument("--number", type=int, default=600, help="phantoms to draw")
    parser.add_argument("--rows", type=int, default=1024)
    arguments = parser.parse_args()
    print(f"{'':52}", *(f"{100 * level:7.0f}%" for level in LEVELS))
    report("real", list(real_images(arguments.real)))
    report("phantom", list(phantom_images(arguments.number, arguments.rows)))


if __name__ == "__main__":
    main()
