"""What a network loses when images are not like those it was trained on, and what it finds where there is no mass.

    python benchmarks/robustness.py WEIGHTS... [--data DATA [--splits FILE] [--split validation]] [--out TABLE.md|.csv]

Three tables. First, images of a data set, each changed in one way before the segmenter sees it: grey values, noise,
sharpness, size, position, what lies beside the breast, polarity. The reference mask moves with its image, and every
fall is that of the same images against themselves unchanged. Second, images without a mass: blank ones, noise, and
phantoms of normal breasts. Third, phantoms of each acquisition and size with their masses; a network that was trained
on real mammograms has never seen one, so their scores say what changes from one to the other, not how good it is.

Every image goes the whole way from its pixels to masses on its own grid, and is scored there. WEIGHTS are checkpoints
or bundles; several are an ensemble.
"""

import argparse
import csv
import io
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import isnan, nan
from pathlib import Path

import numpy as np
from scipy import ndimage

from aunet.datasets.opening import open_dataset
from aunet.datasets.splits import samples_of
from aunet.evaluation.stats import Ratio, estimate, ratio_of_sums
from aunet.inference.ensemble import load_segmenter
from aunet.inference.segmenter import Segmenter
from aunet.io.dicom_writing import MammogramHeader, Photometric, write_mammogram
from aunet.io.files import read_mammogram, read_sample
from aunet.metrics.detection import ImageDetections, detect, label_masses
from aunet.metrics.overlap import dice
from aunet.metrics.scores import Outcome, outcome_of
from aunet.phantom.acquisition import Acquisition
from aunet.phantom.film_marks import mark_film
from aunet.phantom.layouts import PlannedImage, draw, plan
from aunet.preprocessing.breast import find_breast, has_chest_wall_on_right
from aunet.preprocessing.grid import Resize
from aunet.preprocessing.mass_transfer import without_masses
from aunet.sample import Image, Laterality, Mammogram, Mask2D, Sample, Shape

Changed = tuple[Image, Mask2D]
Change = Callable[[Image, Mask2D], Changed]
SEED = 2020
FULL_ROWS = 3328
"""Rows of a full-field digital mammogram."""
PHANTOM_ROWS = (1024, FULL_ROWS, 4084)
UNCHANGED = "unchanged"
STEEPNESS = 8.0
"""Slope at the middle of the s-shaped table times the range: a sigmoid window of half the range, in DICOM's words."""
BLANK_SHAPE = (FULL_ROWS, 2560)
NOISE_IMAGES = 5
WORKERS = 2
LEGEND = (
    "Intervals: 95 %, bootstrap over patients. Fall: DSC of the same images unchanged minus changed, + is a loss. "
    "Missed: images in which nothing was found; elsewhere: something, and nothing of the mass. False positives: "
    "regions that find no mass at an IoU of 0.2; beside the mass: those of them that touch none."
)


def generator_of(image: Image) -> np.random.Generator:
    """A generator seeded by the pixels: a change with randomness stays a function of its image."""
    return np.random.default_rng([SEED, zlib.crc32(np.ascontiguousarray(image).tobytes())])


def to_unit(image: Image) -> Image:
    """The image from 0 to 1; 0 where it is constant."""
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) / ((high - low) or 1.0), dtype=np.float32)


def from_unit(unit: Image, like: Image) -> Image:
    """The way back from `to_unit`, cut at the range of `like`."""
    low, high = float(like.min()), float(like.max())
    return np.asarray(low + (high - low) * np.clip(unit, 0, 1), dtype=np.float32)


def middle_grey(image: Image) -> float:
    """The median within the breast, in the range of `to_unit`; that of the image where no breast is found."""
    unit, breast = to_unit(image), find_breast(image)
    return float(np.median(unit[breast] if breast.any() else unit))


def unchanged(image: Image, mask: Mask2D) -> Changed:
    return image, mask


def contrast(image: Image, mask: Mask2D, *, factor: float) -> Changed:
    """Steeper or flatter about the breast's middle grey, as a window does it: what leaves the range is cut."""
    middle = middle_grey(image)
    return from_unit(middle + np.float32(factor) * (to_unit(image) - middle), image), mask


def gamma(image: Image, mask: Mask2D, *, power: float) -> Changed:
    return from_unit(to_unit(image) ** np.float32(power), image), mask


def s_shaped(image: Image, mask: Mask2D) -> Changed:
    """A display's look-up table: steep at the breast's middle grey, flat in the dark and in the bright."""
    middle = middle_grey(image)
    low, high, values = (1 / (1 + np.exp(-STEEPNESS * (part - middle))) for part in (0.0, 1.0, to_unit(image)))
    return from_unit(np.asarray((values - low) / (high - low), dtype=np.float32), image), mask


def noisy(image: Image, mask: Mask2D, *, sd: float) -> Changed:
    """White noise on every pixel, `sd` a share of the range."""
    noise = generator_of(image).standard_normal(image.shape, dtype=np.float32)
    return from_unit(to_unit(image) + np.float32(sd) * noise, image), mask


def blurred(image: Image, mask: Mask2D, *, sd_px: float) -> Changed:
    return np.asarray(ndimage.gaussian_filter(image, sd_px), dtype=np.float32), mask


def eight_bits(image: Image, mask: Mask2D) -> Changed:
    return np.round(255 * to_unit(image)), mask


def halved(image: Image, mask: Mask2D) -> Changed:
    """Half the rows and columns and back: the size stays, the detail is lost."""
    shape = image.shape[0], image.shape[1]
    half = max(1, shape[0] // 2), max(1, shape[1] // 2)
    return Resize(half, shape).apply_image(Resize(shape, half).apply_image(image)), mask


def enlarged(image: Image, mask: Mask2D, *, is_cubic: bool, rows: int = FULL_ROWS) -> Changed:
    """The size of a full-field image, proportions kept; an image of as many rows stays as it is."""
    shape = image.shape[0], image.shape[1]
    factor = max(1.0, rows / shape[0])
    resize = Resize(shape, (round(factor * shape[0]), round(factor * shape[1])))
    larger = _cubic(image, resize.after) if is_cubic else resize.apply_image(image)
    return larger, resize.apply_mask(mask)


def _cubic(image: Image, shape: Shape) -> Image:
    """Cubic splines along rows and columns, pixel centres at halves as on every grid here."""
    # Interpolating is linear, one axis after the other: the weights are what becomes of an identity matrix.
    rows, columns = (
        ndimage.zoom(np.eye(before, dtype=np.float32), (after / before, 1), order=3, mode="nearest", grid_mode=True)
        for before, after in zip(image.shape, shape, strict=True)
    )
    return np.asarray(rows @ image @ columns.T, dtype=np.float32)


def rotated(image: Image, mask: Mask2D, *, degrees: float) -> Changed:
    """Turned about its middle on a grid that holds all of it; the new corners are background."""
    turned = ndimage.rotate(image, degrees, order=1, cval=float(image.min()))
    return np.asarray(turned, dtype=np.float32), np.asarray(ndimage.rotate(mask.astype(np.uint8), degrees, order=0) > 0)


def mirrored(image: Image, mask: Mask2D) -> Changed:
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])


def inverted(image: Image, mask: Mask2D) -> Changed:
    """Dense tissue dark, and nothing that says so: a picture made from MONOCHROME1 pixels."""
    return image.max() + image.min() - image, mask


def through_dicom(image: Image, mask: Mask2D, *, photometric: Photometric) -> Changed:
    """Written to a DICOM file and read from it."""
    header = MammogramHeader(
        laterality="L",
        view="CC",
        bits_stored=16,
        patient_id="robustness",
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        sop_instance_uid="2.25.3",
        sop_class="secondary capture",
        photometric=photometric,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        write_mammogram(path, np.round(np.clip(image, 0, 65535)).astype(np.uint16), header)
        return read_mammogram(path).image, mask


def marked(image: Image, mask: Mask2D) -> Changed:
    """Letters of lead beside the breast and, on some films, tape, a clip and bright borders."""
    pixels = np.round(65535 * to_unit(image)).astype(np.uint16)
    laterality: Laterality = "R" if has_chest_wall_on_right(image) else "L"
    film = mark_film(generator_of(image), pixels, find_breast(image), laterality=laterality, view="CC")
    return film.astype(np.float32), mask


def framed(image: Image, mask: Mask2D, *, share: float, is_bright: bool) -> Changed:
    """A border of one value around the image, `share` of its sides wide."""
    width = [(round(share * side),) * 2 for side in image.shape]
    value = float(image.max() if is_bright else image.min())
    return np.pad(image, width, constant_values=value), np.pad(mask, width)


CONDITIONS: Mapping[str, Change] = {
    UNCHANGED: unchanged,
    "contrast x0.5": partial(contrast, factor=0.5),
    "contrast x1.5": partial(contrast, factor=1.5),
    "gamma 0.5": partial(gamma, power=0.5),
    "gamma 2": partial(gamma, power=2.0),
    "s-shaped look-up table": s_shaped,
    "noise, sd 0.02 of the range": partial(noisy, sd=0.02),
    "noise, sd 0.05 of the range": partial(noisy, sd=0.05),
    "8 bits": eight_bits,
    "blur, sd 1 px": partial(blurred, sd_px=1.0),
    "blur, sd 2 px": partial(blurred, sd_px=2.0),
    "resolution halved": halved,
    f"{FULL_ROWS} rows, bilinear": partial(enlarged, is_cubic=False),
    f"{FULL_ROWS} rows, cubic": partial(enlarged, is_cubic=True),
    "turned by 5 degrees": partial(rotated, degrees=5.0),
    "turned by 10 degrees": partial(rotated, degrees=10.0),
    "turned by 20 degrees": partial(rotated, degrees=20.0),
    "mirrored": mirrored,
    "letters and film marks": marked,
    "bright border of 1 %": partial(framed, share=0.01, is_bright=True),
    "bright border of 2 %": partial(framed, share=0.02, is_bright=True),
    "black margin of 25 %": partial(framed, share=0.25, is_bright=False),
    "MONOCHROME2 in DICOM": partial(through_dicom, photometric="MONOCHROME2"),
    "MONOCHROME1 in DICOM": partial(through_dicom, photometric="MONOCHROME1"),
    "polarity inverted, not said": inverted,
}
"""Each takes an image and its reference mask and gives both changed, the same for the same image."""


@dataclass(frozen=True, slots=True)
class Score:
    """One image's masks against its reference, on its own grid."""

    patient: int
    outcome: Outcome
    dsc: float
    """NaN without a mass."""
    detections: ImageDetections
    beside: int
    """Predicted regions that touch no mass."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: a set of images."""

    table: str
    name: str
    scores: tuple[Score, ...]
    of_unchanged: tuple[Score, ...] = ()
    """The same images' scores unchanged, in the same order; empty where there are none."""

    def cells(self) -> dict[str, str]:
        """What stands in the line, by column; "" where it says nothing."""
        patients = np.array([score.patient for score in self.scores], dtype=np.int64)
        dsc = np.array([score.dsc for score in self.scores], dtype=np.float64)
        before = np.array([score.dsc for score in self.of_unchanged] or [nan] * dsc.size, dtype=np.float64)
        mean, fall = estimate(dsc, patients), estimate(before - dsc, patients)
        found = np.array([len(score.detections.hit_scores) for score in self.scores], dtype=np.float64)
        masses = np.array([score.detections.n_masses for score in self.scores], dtype=np.float64)
        false = np.array([len(score.detections.false_scores) for score in self.scores], dtype=np.float64)
        beside = np.array([score.beside for score in self.scores], dtype=np.float64)
        has_mass = bool(masses.sum())
        return {
            "images": self.name,
            "n": str(len(self.scores)),
            "patients": str(np.unique(patients).size),
            "mean DSC": _shown(Ratio(mean.mean, mean.ci95)),
            "fall": _shown(Ratio(fall.mean, fall.ci95), sign="+"),
            "largest fall": "" if np.isnan(before - dsc).all() else f"{np.nanmax(before - dsc):+.3f}",
            "missed": str(sum(score.outcome == "missed" for score in self.scores)) if has_mass else "",
            "elsewhere": str(sum(score.outcome == "scored" and score.dsc == 0 for score in self.scores))
            if has_mass
            else "",
            "mass sensitivity": _shown(ratio_of_sums(found, masses, patients)),
            "false positives an image": _shown(ratio_of_sums(false, np.ones_like(false), patients)),
            "beside the mass an image": f"{beside.mean():.3f}",
        }


def _shown(ratio: Ratio, *, sign: str = "") -> str:
    """A value with its interval; "" where there is none."""
    if isnan(ratio.value):
        return ""
    low, high = ratio.ci95
    interval = "" if isnan(low) else f" ({low:{sign}.3f} to {high:{sign}.3f})"
    return f"{ratio.value:{sign}.3f}{interval}"


def score(mammogram: Mammogram, reference: Mask2D, segmenter: Segmenter, *, patient: int) -> Score:
    """Segment an image and compare.

    Args:
        mammogram: The image as the segmenter sees it.
        reference: Its masses, on its grid.
        segmenter: What is tested.
        patient: Number of its patient.

    Returns:
        The comparison.
    """
    found = segmenter.segment(mammogram).mask
    regions = label_masses(found)
    touching = np.unique(regions[found & reference]).size
    return Score(
        patient=patient,
        outcome=outcome_of(found, reference),
        dsc=dice(found, reference) if reference.any() else nan,
        detections=detect(found, reference),
        beside=int(regions.max(initial=0)) - touching,
    )


def mammogram_of(image: Image) -> Mammogram:
    """An image of which nothing is known but its pixels."""
    return Mammogram(image=image, source=Path("robustness"), bits_stored=16)


def chosen(samples: Sequence[Sample], *, limit: int) -> tuple[Sample, ...]:
    """At most so many samples, drawn by the seed, in the order given."""
    drawn = np.random.default_rng(SEED).permutation(len(samples))[:limit]
    return tuple(samples[int(position)] for position in np.sort(drawn))


def scores_of(sample: Sample, segmenter: Segmenter, conditions: Mapping[str, Change], *, patient: int) -> list[Score]:
    """One image's scores under each condition."""
    mammogram, mask = read_sample(sample)
    changed = (change(mammogram.image, mask.pixels) for change in conditions.values())
    return [score(mammogram_of(image), reference, segmenter, patient=patient) for image, reference in changed]


def changed_images(
    samples: Sequence[Sample], segmenter: Segmenter, *, conditions: Mapping[str, Change] = CONDITIONS
) -> list[Line]:
    """One line a condition, of the same images each.

    Args:
        samples: Images of a data set.
        segmenter: What is tested.
        conditions: What is done to the images; `UNCHANGED` is among them.

    Returns:
        The lines, in the order of the conditions.
    """
    columns = scores_by_condition(samples, segmenter, conditions)
    before = columns[UNCHANGED]
    return [
        Line("changed images", name, scores, () if name == UNCHANGED else before) for name, scores in columns.items()
    ]


def scores_by_condition(
    samples: Sequence[Sample], segmenter: Segmenter, conditions: Mapping[str, Change]
) -> dict[str, tuple[Score, ...]]:
    """The images' scores, in their order, by the name of the condition."""
    numbers = {patient: number for number, patient in enumerate(dict.fromkeys(one.patient_id for one in samples))}
    found: list[list[Score]] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        tasks = [
            pool.submit(scores_of, sample, segmenter, conditions, patient=numbers[sample.patient_id])
            for sample in samples
        ]
        for task in tasks:
            found.append(task.result())
            _say(f"images under {len(conditions)} conditions", len(found), len(samples))
    return dict(zip(conditions, zip(*found, strict=True), strict=True))


def healed(image: Image, mask: Mask2D) -> Changed:
    """The breast without its masses, which is as near to a normal one as images with a mass can come."""
    return without_masses(image, mask, generator_of(image)), np.zeros_like(mask)


def healed_line(samples: Sequence[Sample], segmenter: Segmenter) -> Line:
    """What is found where the masses have been taken out."""
    name = "the images above, masses taken out"
    return Line("no mass", name, scores_by_condition(samples, segmenter, {name: healed})[name])


def blank_images() -> Iterator[tuple[str, list[Image]]]:
    """Images that show nothing, by what they are."""
    rng = np.random.default_rng(SEED)
    yield "all zero", [np.zeros(BLANK_SHAPE, dtype=np.float32)]
    yield "constant", [np.full(BLANK_SHAPE, 30000, dtype=np.float32)]
    yield "noise only", [rng.uniform(0, 65535, BLANK_SHAPE).astype(np.float32) for _ in range(NOISE_IMAGES)]


def blank_lines(segmenter: Segmenter) -> list[Line]:
    """What is found in images that show nothing."""
    lines = []
    for name, images in blank_images():
        nothing = np.zeros(BLANK_SHAPE, dtype=bool)
        scores = [score(mammogram_of(image), nothing, segmenter, patient=n) for n, image in enumerate(images)]
        lines.append(Line("no mass", f"{name}, {BLANK_SHAPE[0]} x {BLANK_SHAPE[1]}", tuple(scores)))
    return lines


def phantom_score(planned: PlannedImage, segmenter: Segmenter, *, rows: int) -> Score:
    """What is found in one phantom."""
    drawn = draw(planned, rows=rows)
    mammogram = Mammogram(
        image=drawn.image.astype(np.float32),
        source=Path(planned.image),
        bits_stored=drawn.bits_stored,
        laterality=drawn.laterality,
        view=drawn.view,
        spacing_mm=drawn.spacing_mm,
    )
    return score(mammogram, drawn.mask, segmenter, patient=planned.patient)


def phantom_line(segmenter: Segmenter, acquisition: Acquisition, *, rows: int, n: int, is_normal: bool) -> Line:
    """What is found in one image each of n patients.

    The breasts are the same whatever the other arguments; their tissue is drawn anew for each size and acquisition.
    """
    planned = plan(patients=n, seed=SEED, acquisition=acquisition, normal_fraction=float(is_normal))
    one_each = list({image.patient: image for image in planned}.values())
    name = f"{acquisition} phantoms, {rows} rows"
    scores: list[Score] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for found in pool.map(partial(phantom_score, segmenter=segmenter, rows=rows), one_each):
            scores.append(found)
            _say(f"{'normal ' if is_normal else ''}{name}", len(scores), n)
    return Line("no mass" if is_normal else "phantoms with masses", name, tuple(scores))


def _say(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def as_markdown(lines: Iterable[Line], *, about: str) -> str:
    """The tables, one below the other, each with the columns that say something there."""
    tables: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        tables.setdefault(line.table, []).append(line.cells())
    text = [about, "", LEGEND]
    for title, rows in tables.items():
        columns = [column for column in rows[0] if any(row[column] for row in rows)]
        text += ["", f"### {title.capitalize()}", "", _row(columns), _row("---" for _ in columns)]
        text += [_row(row[column] for column in columns) for row in rows]
    return "\n".join(text) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_csv(lines: Sequence[Line]) -> str:
    """One row a line, every column."""
    text = io.StringIO(newline="")
    rows = [{"table": line.table, **line.cells()} for line in lines]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+", help="checkpoints or bundles; several are an ensemble")
    parser.add_argument("--data", help="folder:PATH, cbis-ddsm:PATH or inbreast:PATH; none for phantoms alone")
    parser.add_argument("--splits", type=Path, help="a file of splits that holds instead of the data set's own")
    parser.add_argument("--split", default="validation", choices=["train", "validation", "test", "all"])
    parser.add_argument("--limit", type=int, default=60, help="images of the data set, drawn by a fixed seed")
    parser.add_argument("--phantoms", type=int, default=6, help="phantoms of each acquisition and size; 0 for none")
    parser.add_argument("--match-intensity", action="store_true", help="match grey values to the training images")
    parser.add_argument(
        "--flips", choices=["none", "vertical", "horizontal", "both"], help="as the card says by default"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="a table to write as well, .md or .csv")
    asked = parser.parse_args()
    if asked.out and asked.out.suffix not in {".md", ".csv"}:
        parser.error(f"--out is {asked.out}; expected a name that ends in .md or .csv")
    return asked


def main() -> None:
    """Print the tables."""
    asked = _asked()
    begin = time.perf_counter()
    segmenter = load_segmenter(asked.weights, device=asked.device, flips=asked.flips)
    segmenter = segmenter.matching_intensity() if asked.match_intensity else segmenter
    files = "; ".join(f"{file.name}, SHA-256 {file.sha256}" for file in segmenter.files)
    about = [f"Weights: {files}; flips {segmenter.flips}{', grey values matched' if asked.match_intensity else ''}."]
    lines: list[Line] = []
    if asked.data:
        all_samples = samples_of(open_dataset(asked.data, splits=asked.splits), asked.split)
        if not all_samples:
            sys.exit(f"{asked.data}: no image is in the split {asked.split!r}; name another one, or a file of --splits")
        samples = chosen(all_samples, limit=asked.limit)
        about.append(f"Data: {asked.data}, split {asked.split}, {len(samples)} of {len(all_samples)} images.")
        lines += [*changed_images(samples, segmenter), healed_line(samples, segmenter)]
    lines += blank_lines(segmenter)
    kinds: tuple[Acquisition, ...] = ("film", "detector")
    if asked.phantoms:
        about.append(f"Phantoms: seed {SEED}.")
        draws = partial(phantom_line, segmenter, n=asked.phantoms)
        lines += [draws(kind, rows=FULL_ROWS, is_normal=True) for kind in kinds]
        lines += [draws(kind, rows=rows, is_normal=False) for kind in kinds for rows in PHANTOM_ROWS]
    print(as_markdown(lines, about=" ".join(about)))
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    if asked.out:
        text = as_csv(lines) if asked.out.suffix == ".csv" else as_markdown(lines, about=" ".join(about))
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
