"""From a DICOM file to a mammogram, or to the plain stored pixels of a mask."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from aunet.errors import DicomReadError
from aunet.io.breast_side import chest_wall_side
from aunet.io.damage import DAMAGE
from aunet.io.dicom_header import Stated, check_is_one_grey_frame, check_is_one_mammogram, stated
from aunet.io.dicom_lookup import polarity_contradicts_itself, presentation_table, stored_range
from aunet.io.dicom_pixels import StoredPixels, declared_size, read_header, read_stored_pixels
from aunet.io.images import holds_two_values
from aunet.io.silence import silent_libraries
from aunet.sample import Image, Mammogram, Shape

logger = logging.getLogger(__name__)


def read_dicom(path: Path, *, allow_for_processing: bool = False) -> Mammogram:
    """The mammogram in a DICOM file, in presentation sense: modality look-up, window and polarity each applied once.

    Args:
        path: A DICOM file with one two-dimensional mammogram, a detector's or a digitised film.
        allow_for_processing: Let a FOR PROCESSING image through, marked as such.

    Returns:
        Pixels on the source grid, with side, view and spacing as the elements state them; each contradiction, with one
        another or with the pixels, is a note.
    """
    with _reading(path):
        return _read(path, allow_for_processing=allow_for_processing)


def read_dicom_size(path: Path) -> Shape:
    """(rows, columns) that the header declares; no pixel is read."""
    with _reading(path):
        return declared_size(read_header(path))


def read_dicom_mask(path: Path) -> tuple[StoredPixels, int]:
    """The stored values of a mask kept as DICOM (any modality), and the highest one possible."""
    with _reading(path):
        header = read_header(path)
        check_is_one_grey_frame(header)
        return read_stored_pixels(path, header), stored_range(header)[1]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A block in which pydicom is silent, and whose errors are ours and name the file.

    Raises:
        DicomReadError: Something in the block could not be read.
    """
    try:
        with silent_libraries():
            yield
    except DicomReadError as error:
        msg = f"{path}: {error}"
        raise DicomReadError(msg) from error
    except DAMAGE:
        msg = f"{path}: the file is damaged; get an undamaged copy of it"
        raise DicomReadError(msg) from None  # pydicom's own error may quote values of the file


def _read(path: Path, *, allow_for_processing: bool) -> Mammogram:
    header = read_header(path)
    check_is_one_mammogram(header)
    says = stated(header)
    if says.is_for_processing and not allow_for_processing:
        msg = (
            "a FOR PROCESSING image: its grey values look nothing like those of a mammogram to be read; give the "
            "FOR PRESENTATION image of the same view, or allow FOR PROCESSING"
        )
        raise DicomReadError(msg)
    lowest, highest = stored_range(header)
    if highest - lowest < 2**8 - 1:
        msg = f"BitsStored is {header.BitsStored}, expected 8 to 16; a mask belongs in the column `mask`"
        raise DicomReadError(msg)
    image = _presented(header, read_stored_pixels(path, header))
    logger.debug("%s: %d x %d pixels", path, *image.shape)
    return Mammogram(
        image=image,
        source=path,
        bits_stored=int(header.BitsStored),
        laterality=says.laterality,
        view=says.view,
        spacing_mm=says.spacing_mm,
        spacing_source=says.spacing_source,
        sop_instance_uid=says.sop_instance_uid,
        is_for_processing=says.is_for_processing,
        notes=_notes(header, says, image),
    )


def _presented(header: FileDataset, stored: StoredPixels) -> Image:
    """Presentation values of the stored ones.

    Raises:
        DicomReadError: They are all the same, or a mask's.
    """
    least, most = int(stored.min()), int(stored.max())
    if least == most:
        msg = f"a constant image: every pixel is {least}; get the original file, or leave it out"
        raise DicomReadError(msg)
    if holds_two_values(stored, least, most):
        msg = f"every pixel is {least} or {most}, so it is a mask and no mammogram; leave it out"
        raise DicomReadError(msg)
    lowest, highest = stored_range(header)
    table = presentation_table(header, lowest_stored=lowest, highest_stored=highest)
    image: Image = table[stored if lowest == 0 else stored.astype(np.int32) - lowest]
    if float(image.min()) == float(image.max()):
        msg = "a constant image after its window and look-up tables; correct the window, or remove it from the file"
        raise DicomReadError(msg)
    return image


def _notes(header: FileDataset, says: Stated, image: Image) -> tuple[str, ...]:
    notes = list(says.notes)
    if says.is_for_processing:
        notes.append("a FOR PROCESSING image, let through by an option")
    if polarity_contradicts_itself(header):
        notes.append("PresentationLUTShape contradicts PhotometricInterpretation, which is used")
    seen = None if says.is_for_processing else chest_wall_side(image)
    if seen is not None and says.chest_wall is not None and seen != says.chest_wall:
        notes.append(
            f"the chest wall lies on the {seen} of the picture, but the elements put it on the {says.chest_wall} "
            f"(laterality {says.laterality or 'unknown'}): mirrored, or the wrong side is stated"
        )
    return tuple(notes)
