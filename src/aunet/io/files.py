"""Mammograms, masks and samples from whatever kind of file they are in."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from scipy import ndimage

from aunet.errors import DicomReadError, ImageReadError, ReadError
from aunet.io.contours import fill_regions, is_contours, named_regions, read_regions
from aunet.io.damage import DAMAGE
from aunet.io.dicom import read_dicom, read_dicom_mask, read_dicom_size
from aunet.io.dicom_elements import integer
from aunet.io.dicom_header import check_is_one_mammogram, stated
from aunet.io.dicom_pixels import declared_size, read_header
from aunet.io.images import holds_two_values, load_picture, read_picture_size
from aunet.io.silence import silent_libraries
from aunet.sample import Instances, Laterality, Mammogram, Mask, Mask2D, Sample, Shape, Spacing, View

_ASPECT_TOLERANCE = 0.01
_SPACING_TOLERANCE = 0.01
# Grey masks reach far higher.
_MOST_LABELS = 31
_MOST_INSTANCES = int(np.iinfo(np.uint8).max)


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the header of a mammogram in DICOM states; nothing of the patient."""

    shape: Shape
    bits_stored: int | None
    laterality: Laterality | None
    view: View | None
    spacing_mm: Spacing | None
    notes: tuple[str, ...]


def is_dicom(path: Path) -> bool:
    """Whether the file bears the mark of DICOM; its name does not count."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_mammogram(path: Path, *, allow_for_processing: bool = False) -> Mammogram:
    """The mammogram in a file, DICOM or a picture, told apart by content.

    Args:
        path: DICOM, PNG, TIFF, JPEG or PGM. A picture is taken in presentation sense, with its values as they are.
        allow_for_processing: Let a FOR PROCESSING image through, marked as such.

    Returns:
        Pixels on the source grid; a picture states no side, no view and no spacing.

    Raises:
        ImageReadError: The picture is constant, or a mask.
    """
    if _opens_as_dicom(path):
        return _looked_at(read_dicom(path, allow_for_processing=allow_for_processing))
    picture = load_picture(path)
    lowest, highest = int(picture.pixels.min()), int(picture.pixels.max())
    if lowest == highest:
        msg = f"{path}: a constant picture, every pixel is {lowest}; get the original, or leave it out"
        raise ImageReadError(msg)
    if holds_two_values(picture.pixels, lowest, highest):
        msg = f"{path}: every pixel is {lowest} or {highest}, so it is a mask and no mammogram; leave it out"
        raise ImageReadError(msg)
    return _looked_at(
        Mammogram(image=picture.pixels.astype(np.float32), source=path, bits_stored=picture.bits, notes=picture.notes)
    )


def _looked_at(mammogram: Mammogram) -> Mammogram:
    """The mammogram with a note where it is so bright that its polarity or its window can hardly be right."""
    image = mammogram.image
    low, high = float(image.min()), float(image.max())
    white = np.count_nonzero(image >= high - _NEAR * (high - low)) / image.size
    black = np.count_nonzero(image <= low + _NEAR * (high - low)) / image.size
    if white < _MUCH_WHITE or white < black:
        return mammogram
    note = (
        f"{white:.0%} of the pixels are nearly white and {black:.0%} nearly black, where a mammogram's background is "
        "dark: look whether it is inverted, or its window too narrow"
    )
    return dataclasses.replace(mammogram, notes=(*mammogram.notes, note))


def read_size(path: Path) -> Shape:
    """(rows, columns) that the file declares; no pixel is read.

    Args:
        path: DICOM, PNG, TIFF, JPEG or PGM.
    """
    return read_dicom_size(path) if _opens_as_dicom(path) else read_picture_size(path)


def read_header_facts(path: Path) -> HeaderFacts:
    """What the header of a mammogram in DICOM states; no pixel is read.

    Args:
        path: A DICOM file.

    Raises:
        DicomReadError: The file is damaged, or no mammogram.
    """
    try:
        with silent_libraries():
            header = read_header(path)
            check_is_one_mammogram(header)
            says = stated(header)
            return HeaderFacts(
                declared_size(header),
                integer(header, "BitsStored"),
                says.laterality,
                says.view,
                says.spacing_mm,
                says.notes,
            )
    except DicomReadError as error:
        msg = f"{path}: {error}"
        raise DicomReadError(msg) from error
    except DAMAGE:
        msg = f"{path}: the file is damaged; get an undamaged copy of it"
        raise DicomReadError(msg) from None  # pydicom's own error may quote values of the file


def read_mask(path: Path) -> Mask:
    """The mask in a file, DICOM or a picture.

    Args:
        path: Values 0 and 1, or 0 and the highest, are plain. Anything else is grey: what lies above half of its
            maximum is mass, and a note says so.

    Raises:
        ReadError: The mask numbers its masses or its tissues: nobody can tell which of the two. Or the file is a list
            of outlines, which only `read_reference` can fill, since it knows the image's size.
    """
    if _opens_as_contours(path):
        msg = f"{path}: a list of outlines, expected pixels; outlines can be filled only together with their image"
        raise ReadError(msg)
    notes: tuple[str, ...] = ()
    if _opens_as_dicom(path):
        pixels, highest = read_dicom_mask(path)
    else:
        picture = load_picture(path)
        pixels, highest, notes = picture.pixels, 2**picture.bits - 1, picture.notes
    maximum = int(pixels.max())
    mask: Mask2D = pixels > maximum / 2
    has_two_values = bool(np.all((pixels == 0) | (pixels == maximum)))
    if maximum <= _MOST_LABELS and not has_two_values:
        msg = f"{path}: a mask with values 0 to {maximum}, as labels have; write 255 for each mass and 0 for the rest"
        raise ReadError(msg)
    if not has_two_values or maximum not in {0, 1, 255, highest}:
        notes = (*notes, f"the mask is grey (up to {maximum}); what lies above half of its maximum is mass")
    return Mask(mask, notes)


def read_sample(sample: Sample, *, allow_for_processing: bool = False) -> tuple[Mammogram, Mask]:
    """A sample's mammogram and its mask on the same grid.

    Args:
        sample: The row of a data set; without a mask path its mask is empty.
        allow_for_processing: Let a FOR PROCESSING image through, marked as such.

    Returns:
        The mammogram, completed by the table's side, view and spacing where its file states none, and the mask, brought
        to the mammogram's size where only its size differs; a note for each contradiction and repair. A file that
        can't be read, or a mask of another shape, is a ReadError.
    """
    mammogram = _completed(read_mammogram(sample.image_path, allow_for_processing=allow_for_processing), sample)
    return mammogram, read_reference(sample, mammogram.shape)


_NEAR = 0.1
"""Share of the range within which a value is nearly its end,"""
_MUCH_WHITE = 0.25
"""and the share of nearly white pixels that is worth a note; of 1,231 films of CBIS-DDSM none has more than 0.17."""
UNREADABLE = (ReadError, OSError, ValueError)
"""What reading one sample ends with where the sample is to blame; a `WriteError` of the cache is no such error."""


def reason_for(sample: Sample, error: Exception) -> str:
    """Why a sample can't be used, in words that may be logged and written down.

    Args:
        sample: The sample.
        error: What reading it ended with.

    Returns:
        The error's message with the case in place of the image's path: the name of a file may hold a patient's code
        (INbreast's do), and a case never does.
    """
    said = f"{sample.case}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
    return said.replace(str(sample.image_path), sample.case)


def read_reference(sample: Sample, shape: Shape) -> Mask:
    """A sample's reference mask: the union of its masses.

    Args:
        sample: The row of a data set; without mask paths its mask is empty. A mask file may be DICOM, a picture, or
            a list of outlines in XML (told by content), of which the regions named in `region_names` count.
        shape: (rows, columns) of the mammogram, to which masks of another size are brought.

    Returns:
        The mask, with the masses told apart where each has a file or an outline of its own. A file that can't be
        read, a mask of another shape, or outlines that enclose nothing are a ReadError.
    """
    masks = [
        _filled(shape, path, sample.region_names) if _opens_as_contours(path) else _brought_to(shape, path)
        for path in sample.mask_paths
    ]
    return masks[0] if len(masks) == 1 else _joined(masks, shape)


def _joined(masks: Sequence[Mask], shape: Shape) -> Mask:
    """Their union, with the masses of the first mask numbered first, and a file that doesn't tell them apart one mass.

    Raises:
        ReadError: There are more masses than numbers.
    """
    instances: Instances = np.zeros(shape, dtype=np.uint8)
    used = 0
    for mask in masks:
        numbers: Instances = mask.pixels.astype(np.uint8) if mask.instances is None else mask.instances
        count = max(1, int(numbers.max()))
        if used + count > _MOST_INSTANCES:
            msg = f"more than {_MOST_INSTANCES} masses on one image; check the masks"
            raise ReadError(msg)
        free = mask.pixels & (instances == 0)
        instances[free] = numbers[free] + np.uint8(used)
        used += count
    notes = tuple(dict.fromkeys(note for mask in masks for note in mask.notes))
    return Mask(instances > 0, notes, instances)


def _filled(shape: Shape, path: Path, names: Sequence[str]) -> Mask:
    """What the regions of these names enclose.

    Raises:
        ReadError: They can't be read, or enclose nothing.
    """
    regions = named_regions(read_regions(path), names)
    try:
        return fill_regions(regions, shape)
    except ReadError as error:
        msg = f"{path}: {error}"
        raise ReadError(msg) from error


def count_masses(sample: Sample) -> int:
    """How many masses a sample's mask files hold, by the files alone: its image may be unreadable.

    Args:
        sample: The row of a data set.

    Returns:
        Regions of its masks, named outlines of its lists; a file that can't be read counts for one.
    """
    return sum(_count_in(path, sample.region_names) for path in sample.mask_paths)


def _count_in(path: Path, names: Sequence[str]) -> int:
    try:
        if _opens_as_contours(path):
            return len(named_regions(read_regions(path), names))
        return int(ndimage.label(read_mask(path).pixels, structure=np.ones((3, 3)))[1])
    except UNREADABLE:
        return 1


def _brought_to(shape: Shape, path: Path) -> Mask:
    """The mask in a file, resized where it is another size of the same grid.

    Raises:
        ReadError: It has another shape and can't be of that grid, or a region of it would vanish.
    """
    mask = read_mask(path)
    if mask.pixels.shape == shape:
        return mask
    try:
        note = resizing(mask.pixels.shape, shape)
    except ReadError as error:
        msg = f"{path}: {error}"
        raise ReadError(msg) from error
    regions, count = ndimage.label(mask.pixels, structure=np.ones((3, 3)))
    resized = _resized(regions, shape)
    lost = count - np.count_nonzero(np.unique(resized))
    if lost:
        msg = (
            f"{path}: {lost} of {count} regions would be smaller than a pixel if the mask were brought to the "
            f"{shape[0]} x {shape[1]} pixels of the image; draw the mask on the image's own pixels"
        )
        raise ReadError(msg)
    return Mask(resized > 0, (*mask.notes, note))


def resizing(mask: Shape, image: Shape) -> str:
    """What there is to say of a mask that is brought to the size of its mammogram.

    Args:
        mask: (rows, columns) of the mask.
        image: (rows, columns) of the mammogram.

    Returns:
        One sentence, a note.

    Raises:
        ReadError: The two are no larger and smaller copy of one grid.
    """
    if abs(mask[0] * image[1] / (mask[1] * image[0]) - 1) > _ASPECT_TOLERANCE:
        msg = (
            f"the mask has {mask[0]} x {mask[1]} pixels, the image {image[0]} x {image[1]}, another shape; "
            "draw the mask on the image's own pixels"
        )
        raise ReadError(msg)
    return f"the mask has {mask[0]} x {mask[1]} pixels; resized to {image[0]} x {image[1]} of the mammogram"


def _opens_as_contours(path: Path) -> bool:
    """Whether the file holds outlines.

    Raises:
        ReadError: It can't be opened.
    """
    if _opens_as_dicom(path):
        return False
    try:
        return is_contours(path)
    except OSError as error:
        msg = f"{path}: can't be opened ({error.strerror}); check path and permissions"
        raise ReadError(msg) from error


def _opens_as_dicom(path: Path) -> bool:
    """Whether the file is DICOM.

    Raises:
        ReadError: It can't be opened.
    """
    try:
        return is_dicom(path)
    except OSError as error:
        msg = f"{path}: can't be opened ({error.strerror}); check path and permissions"
        raise ReadError(msg) from error


def _resized(regions: Integer[np.ndarray, "h w"], shape: Shape) -> Integer[np.ndarray, "rows columns"]:
    """Numbered regions on another grid over the same picture, each pixel from the nearest one."""
    rows, columns = (
        ((np.arange(size) + 0.5) * (before / size)).astype(np.int64)
        for size, before in zip(shape, regions.shape, strict=True)
    )
    resized: Integer[np.ndarray, "rows columns"] = regions[np.ix_(rows, columns)]
    return resized


def _completed(mammogram: Mammogram, sample: Sample) -> Mammogram:
    """The mammogram with what the table states and the file does not."""
    notes = list(mammogram.notes)
    for name in ("laterality", "view"):
        in_file, in_table = getattr(mammogram, name), getattr(sample, name)
        if in_file is not None and in_table is not None and in_file != in_table:
            notes.append(f"{name} is {in_file} in the file and {in_table} in the table; the file's is used")
    spacing_mm, spacing_source = mammogram.spacing_mm, mammogram.spacing_source
    if spacing_mm is None and sample.spacing_mm is not None:
        spacing_mm, spacing_source = sample.spacing_mm, "table"
    elif spacing_mm is not None and sample.spacing_mm is not None:
        ratios = [ours / theirs for ours, theirs in zip(spacing_mm, sample.spacing_mm, strict=True)]
        if any(abs(ratio - 1) > _SPACING_TOLERANCE for ratio in ratios):
            notes.append(
                f"spacing is {spacing_mm} mm in the file and {sample.spacing_mm} in the table; the file's is used"
            )
    return dataclasses.replace(
        mammogram,
        laterality=mammogram.laterality or sample.laterality,
        view=mammogram.view or sample.view,
        spacing_mm=spacing_mm,
        spacing_source=spacing_source,
        notes=tuple(notes),
    )
