"""Outlines drawn in OsiriX (and in Horos): from a list of regions in XML to the mask they enclose."""

import codecs
import math
import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
from jaxtyping import Int32

from aunet.errors import ReadError
from aunet.io.damage import DAMAGE
from aunet.io.dicom_pixels import MAX_PIXELS
from aunet.sample import Instances, Mask, Shape

_MARKS = (b"<?xml", b"<!doctype plist", b"<plist", b"<\0?\0x\0m\0l\0", b"\0<\0?\0x\0m\0l")
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MOST_BYTES = 1 << 26
_MOST_POINTS = 200_000
# Far beyond any detector, and small enough for exact arithmetic.
_FARTHEST_PX = 1e6
_MOST_REGIONS = int(np.iinfo(np.uint8).max)
_SMALLEST_GAP_PX = 20.0
_GAP_STEPS = 3.0
_NUMBER = r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity))\s*"
_POINT = re.compile(rf"\s*\({_NUMBER},{_NUMBER}\)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Region:
    """One outline of a list of regions."""

    name: str
    """What the reader called it ("Mass"), without surrounding blanks; "" where it has no name."""
    points: tuple[tuple[float, float], ...]
    """(row, column) on the source grid, in pixels; whole numbers are the centres of pixels."""
    stated_points: int | None = None
    """Number of points that the file says there are; None where it says nothing."""


def is_contours(path: Path) -> bool:
    """Whether the file begins like XML, as lists of regions do; its name does not count."""
    with path.open("rb") as file:
        start = file.read(64)
    for mark in _BYTE_ORDER_MARKS:
        start = start.removeprefix(mark)
    return start.lstrip().lower().startswith(_MARKS)


def read_regions(path: Path) -> tuple[Region, ...]:
    """The regions in a list that OsiriX wrote as XML, whatever their names.

    Args:
        path: A property list: `Images`, each with `ROIs`, each with `Name` and `Point_px`, texts "(x, y)".

    Returns:
        The regions in the file's order, none where the list is empty.

    Raises:
        ReadError: The file is damaged, is no such list, or describes regions on several images.
    """
    try:
        found = _regions(_images(_property_list(path)))
    except ReadError as error:
        msg = f"{path}: {error}"
        raise ReadError(msg) from error
    points = sum(len(region.points) for region in found)
    if points > _MOST_POINTS:
        msg = f"{path}: {points} points, expected at most {_MOST_POINTS}; check the file"
        raise ReadError(msg)
    return found


def named_regions(regions: Sequence[Region], names: Sequence[str]) -> tuple[Region, ...]:
    """The regions that bear one of the names; capitals and blanks don't count.

    Args:
        regions: Regions of one file.
        names: The names wanted; none for all regions.
    """
    wanted = {_plain(name) for name in names}
    return tuple(region for region in regions if not wanted or _plain(region.name) in wanted)


def fill_regions(regions: Sequence[Region], shape: Shape) -> Mask:
    """The pixels that the regions enclose.

    A pixel belongs to a region when its centre, at whole (row, column), lies inside the closed outline. A centre on the
    outline belongs to it where the region lies below or to the right of it (a top or left border), and does not where
    the region lies above or to the left: two regions that share a border share no pixel and leave none out, and a
    rectangle from 2 to 5 has three rows.

    Inside is what the outline winds around, in whichever sense and however often (the non-zero rule). A hand that
    closes an outline often runs on over its beginning; by the even-odd rule that overlap would be a hole in the mass.

    An outline need not end where it begins: it is closed by a straight line, with a note where that line is long (over
    20 pixels and three times the longest step between neighbouring points). Parts outside the image are cut off, with a
    note. A region of one or two points encloses nothing and adds nothing, with a note; a mark is no outline, and a
    circle drawn around it would be invented.

    Args:
        regions: Outlines on the source grid; none for an empty mask.
        shape: (rows, columns) of the image they were drawn on.

    Returns:
        The union, each region numbered from 1 in `instances`; where regions overlap, the first of them counts.

    Raises:
        ReadError: None of the regions encloses a pixel, a coordinate is no finite number, or image or number of regions
            are absurdly large.
    """
    _check(regions, shape)
    instances: Instances = np.zeros(shape, dtype=np.uint8)
    notes: list[str] = []
    for number, region in enumerate(regions, start=1):
        remarks = _remarks(region, shape)
        if len(region.points) > 2 and not _fill(region, number, instances):
            remarks.append("encloses no pixel that is not another region's and adds none")
        notes += [f"region {number} of {len(regions)} {remark}" for remark in remarks]
    if regions and not instances.any():
        msg = (
            f"none of {len(regions)} regions encloses a pixel of the {shape[0]} x {shape[1]} image "
            f"({'; '.join(notes)}); draw the outline on this image, or leave it out"
        )
        raise ReadError(msg)
    return Mask(instances > 0, tuple(notes), instances)


def _property_list(path: Path) -> object:
    """The file's content; entities are refused by `plistlib` itself, so no bomb goes off.

    Raises:
        ReadError: It can't be read or taken apart.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            msg = f"{size / 1e6:.0f} MB, expected at most {_MOST_BYTES / 1e6:.0f} MB; check the file"
            raise ReadError(msg)
        content = path.read_bytes()
    except OSError as error:
        msg = f"can't be opened ({error.strerror}); check path and permissions"
        raise ReadError(msg) from error
    try:
        found: object = plistlib.loads(content, fmt=plistlib.FMT_XML)
    except (*DAMAGE, ExpatError):
        msg = "no sound property list in XML: damaged, cut off, or another kind of file; get an undamaged copy of it"
        raise ReadError(msg) from None  # the parser's own error may quote the file
    return found


def _images(content: object) -> list[object]:
    images = content.get("Images") if isinstance(content, Mapping) else None
    if not isinstance(images, list):
        msg = "a property list without the array Images, expected a list of regions as OsiriX exports it"
        raise ReadError(msg)
    return images


def _regions(images: Sequence[object]) -> tuple[Region, ...]:
    """The regions of the one image that has some.

    Raises:
        ReadError: Several images have.
    """
    with_regions = [regions for regions in map(_rois, images) if regions]
    if len(with_regions) > 1:
        msg = f"regions on {len(with_regions)} images, expected one image; export each image's regions by themselves"
        raise ReadError(msg)
    return tuple(_region(roi, number) for regions in with_regions for number, roi in enumerate(regions, start=1))


def _rois(image: object) -> list[object]:
    regions = image.get("ROIs") if isinstance(image, Mapping) else None
    if not isinstance(regions, list):
        msg = "an image without the array ROIs, expected a list of regions as OsiriX exports it"
        raise ReadError(msg)
    return regions


def _region(roi: object, number: int) -> Region:
    points = roi.get("Point_px") if isinstance(roi, Mapping) else None
    if not isinstance(roi, Mapping) or not isinstance(points, list):
        msg = f"region {number} is without the array Point_px; export it as an outline in pixels"
        raise ReadError(msg)
    name, stated = roi.get("Name", ""), roi.get("NumberOfPoints")
    return Region(
        name=" ".join(name.split()) if isinstance(name, str) else "",
        points=tuple(_point(point, number) for point in points),
        stated_points=stated if isinstance(stated, int) else None,
    )


def _point(text: object, number: int) -> tuple[float, float]:
    """(row, column) of a text "(x, y)".

    Raises:
        ReadError: It is none.
    """
    found = _POINT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        msg = f'region {number} holds a point that is none, expected a text "(x, y)"; get an undamaged copy of the file'
        raise ReadError(msg)
    point = float(found[2]), float(found[1])
    _check_point(point, number)
    return point


def _check_point(point: tuple[float, float], number: int) -> None:
    # NaN fails the comparison as well.
    if not all(abs(one) <= _FARTHEST_PX for one in point):
        msg = f"region {number} holds a coordinate that is not finite or absurdly large; draw the region again"
        raise ReadError(msg)


def _check(regions: Sequence[Region], shape: Shape) -> None:
    if len(regions) > _MOST_REGIONS:
        msg = f"{len(regions)} regions, expected at most {_MOST_REGIONS}; choose them by name"
        raise ReadError(msg)
    if min(shape) < 1 or shape[0] * shape[1] > MAX_PIXELS:
        msg = (
            f"an image of {shape[0]} x {shape[1]} pixels, expected 1 to {MAX_PIXELS / 1e6:g} megapixels; check its file"
        )
        raise ReadError(msg)
    for number, region in enumerate(regions, start=1):
        for point in region.points:
            _check_point(point, number)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _remarks(region: Region, shape: Shape) -> list[str]:
    """What there is to say of a region, each to be read after "region 1 of 2"."""
    remarks = []
    count = len(region.points)
    if region.stated_points is not None and region.stated_points != count:
        remarks.append(f"holds {count} points, its file says {region.stated_points}")
    if count < 3:
        remarks.append(f"is a mark of {count} points, no outline, and adds no pixel")
    outside = sum(
        not all(-0.5 <= one <= size - 0.5 for one, size in zip(point, shape, strict=True)) for point in region.points
    )
    if outside:
        remarks.append(f"has {outside} of its {count} points outside the {shape[0]} x {shape[1]} image; cut off there")
    if count > 2:
        steps = [math.dist(a, b) for a, b in zip(region.points, region.points[1:], strict=False)]
        gap = math.dist(region.points[0], region.points[-1])
        if gap > max(_SMALLEST_GAP_PX, _GAP_STEPS * max(steps)):
            remarks.append(f"is open: its ends are {gap:.0f} pixels apart; closed by a straight line")
    return remarks


def _fill(region: Region, number: int, instances: Instances) -> bool:
    """Write the number into the pixels that the region encloses and that are still free; whether there were any."""
    box = [
        (max(0, math.ceil(min(axis))), min(size, math.floor(max(axis)) + 1))
        for axis, size in zip(zip(*region.points, strict=True), instances.shape, strict=True)
    ]
    (top, bottom), (left, right) = box
    if top >= bottom or left >= right:
        return False
    # The winding number of a pixel is the sum of the crossings at it and to its left: down counts +1, up counts -1.
    crossings: Int32[np.ndarray, "rows columns"] = np.zeros((bottom - top, right - left + 1), dtype=np.int32)
    for start, end in zip(region.points, (*region.points[1:], region.points[0]), strict=True):
        _cross(start, end, crossings, (top, left))
    view = instances[top:bottom, left:right]
    free = (np.cumsum(crossings, axis=1, dtype=np.int32)[:, :-1] != 0) & (view == 0)
    view[free] = number
    return bool(free.any())


def _cross(
    start: tuple[float, float],
    end: tuple[float, float],
    crossings: Int32[np.ndarray, "rows columns"],
    corner: tuple[int, int],
) -> None:
    """Count where one side of an outline crosses the rows of a box, at the first pixel on or to the right of it."""
    sign = 1 if start[0] < end[0] else -1
    # From top to bottom always, so that both regions along a border compute the same crossing to the last bit.
    (upper_row, upper_column), (lower_row, lower_column) = (start, end) if sign == 1 else (end, start)
    first = max(corner[0], math.ceil(upper_row))
    last = min(corner[0] + crossings.shape[0], math.ceil(lower_row))
    if first >= last:
        return
    rows = np.arange(first, last)
    share = (rows - upper_row) / (lower_row - upper_row)
    columns = np.ceil(upper_column + share * (lower_column - upper_column)).astype(np.int64) - corner[1]
    # Each row once: one side crosses a row at most once, so no index repeats.
    crossings[rows - corner[0], np.clip(columns, 0, crossings.shape[1] - 1)] += sign
