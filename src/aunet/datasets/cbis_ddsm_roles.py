"""Telling full image, mask and crop apart by size and pixel values: names and folders are often swapped.

A mask has the size of the full image, or at least its shape, and two values. A crop is smaller and grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aunet.datasets.cbis_ddsm_tables import Finding
from aunet.datasets.cbis_ddsm_tree import FoundFile, path_parts
from aunet.errors import ReadError
from aunet.io.aside import digest
from aunet.io.dicom import read_dicom_mask
from aunet.io.files import is_dicom, read_size, resizing
from aunet.io.images import load_picture
from aunet.sample import Shape

# JPEG blurs the border of a mask; a film or a crop has far more grey than that.
_MOST_GREY_IN_PICTURES = 0.01
_NEAR_AN_END = 0.25


@dataclass(frozen=True, slots=True)
class Sized:
    """A file whose header could be read."""

    file: FoundFile
    shape: Shape


@dataclass(frozen=True, slots=True)
class Choice:
    """The file that plays a role, if there is one."""

    chosen: Sized | None = None
    repairs: tuple[str, ...] = ()
    problem: str = ""


def choose_image(root: Path, case: str, files: Sequence[FoundFile]) -> Choice:
    """The full image among the files of its case: the largest, and grey.

    Args:
        root: The data set's folder.
        case: Name of the image.
        files: What lies in its folder.

    Returns:
        The file, or why there is none.
    """
    if not files:
        return Choice(problem=f"the image is missing: no file of {case} was found; download it")
    sized, unreadable = _sizes(root, files)
    if not sized:
        return Choice(problem="; ".join(unreadable))
    largest = max(one.shape[0] * one.shape[1] for one in sized)
    full = [one for one in sized if one.shape[0] * one.shape[1] == largest]
    if len(full) > 1:
        grey, failed = _by_values(root, full, two_valued=False)
        unreadable += failed
        full = _unequal(root, grey)
    if len(full) != 1:
        reason = f"{len(full)} files of {case} could be the image, expected one; keep the one that you trust"
        return Choice(problem="; ".join([reason, *unreadable]))
    return Choice(full[0], _not_needed(unreadable))


def choose_mask(root: Path, finding: Finding, image: Shape, files: Sequence[FoundFile]) -> Choice:
    """The mask among the files of a finding.

    Args:
        root: The data set's folder.
        finding: A row of the table, which says what the file should be called.
        image: (rows, columns) of the full image.
        files: What lies in the finding's folder.

    Returns:
        The file, with a repair where names said otherwise, or why there is none. Its size may differ from the image's.
    """
    what = f"{finding.table.kind} {finding.number}"
    if not files:
        return Choice(problem=f"the mask of {what} is missing: no file of {finding.folder} was found; download it")
    sized, unreadable = _sizes(root, files)
    exact = [one for one in sized if one.shape == image]
    alike = [one for one in sized if one.shape != image and _has_shape_of(one.shape, image)]
    others = [one for one in sized if one not in exact and one not in alike]
    if len(exact) == 1:
        found = exact
    else:
        for group in (exact, alike, others):
            masks, failed = _by_values(root, group, two_valued=True)
            unreadable += failed
            found = _unequal(root, masks)
            if found:
                break
    if not found:
        reason = f"the mask of {what} is missing: {_listed(sized)}, none of them a mask of two values; download it"
        return Choice(problem="; ".join([reason, *unreadable]))
    if len(found) > 1:
        return Choice(problem=f"{len(found)} different files could be the mask of {what}; keep the one that you trust")
    repairs = _not_needed(unreadable)
    if _is_swapped(finding, found[0].file, files):
        repairs += (f"mask and crop of {what} are swapped by name; told apart by size and values",)
    return Choice(found[0], repairs)


def _not_needed(unreadable: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{reason}; not needed" for reason in unreadable)


def _sizes(root: Path, files: Sequence[FoundFile]) -> tuple[list[Sized], list[str]]:
    sized, unreadable = [], []
    for file in files:
        try:
            sized.append(Sized(file, read_size(root / file.path)))
        except ReadError as error:
            unreadable.append(str(error))
    return sized, unreadable


def _by_values(root: Path, files: Sequence[Sized], *, two_valued: bool) -> tuple[list[Sized], list[str]]:
    """The files with two values, or those with more, and what is wrong with the others."""
    kept, unreadable = [], []
    for one in files:
        try:
            if _has_two_values(root / one.file.path) == two_valued:
                kept.append(one)
        except (ReadError, OSError) as error:
            unreadable.append(str(error))
    return kept, unreadable


def _has_two_values(path: Path) -> bool:
    in_dicom = is_dicom(path)
    pixels = read_dicom_mask(path)[0] if in_dicom else load_picture(path).pixels
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest == highest:
        return False
    near = 0.0 if in_dicom else _NEAR_AN_END * (highest - lowest)
    grey = float(np.mean((pixels > lowest + near) & (pixels < highest - near)))
    return grey <= (0.0 if in_dicom else _MOST_GREY_IN_PICTURES)


def _unequal(root: Path, files: Sequence[Sized]) -> list[Sized]:
    """The files without exact copies of one another."""
    if len(files) < 2:
        return list(files)
    return list({digest(root / one.file.path): one for one in reversed(files)}.values())


def _has_shape_of(mask: Shape, image: Shape) -> bool:
    try:
        resizing(mask, image)
    except ReadError:
        return False
    return True


def _is_swapped(finding: Finding, mask: FoundFile, files: Sequence[FoundFile]) -> bool:
    """Whether the table, or the folders' names, call the mask the crop."""
    for other in files:
        if other != mask and "crop" in mask.description.lower() and "mask" in other.description.lower():
            return True
    crop_cell, mask_cell = path_parts(finding.crop_path)[-2:], path_parts(finding.mask_path)[-2:]
    if len(crop_cell) < 2 or len(mask_cell) < 2 or crop_cell == mask_cell:
        return False
    if crop_cell[0] != mask_cell[0]:
        return mask.series == crop_cell[0]
    # Both in one series: only the files' names differ, and other downloads have other names.
    return mask.path.name == crop_cell[1]


def _listed(files: Sequence[Sized]) -> str:
    named = ", ".join(f"{one.file.path.name} ({one.shape[0]} x {one.shape[1]})" for one in files[:4])
    return f"found {named}" if files else "no readable file was found"
