"""From stored pixel values to presentation values: modality, then window, then presentation, each exactly once.

Stored pixels have at most 16 bits, so the whole chain is worked out once for every possible value; the image is then
one look-up.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from pydicom import Dataset

from aunet.errors import DicomReadError
from aunet.io.damage import DAMAGE
from aunet.io.dicom_elements import integer, items, numbers, text

Curve = Float64[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Scale:
    """What every possible stored value has become, and the range these values may take."""

    values: Curve
    lowest: float
    highest: float


def presentation_table(header: Dataset, *, lowest_stored: int, highest_stored: int) -> Float32[np.ndarray, " n"]:
    """The presentation value of each stored value, from the lowest possible one to the highest.

    Args:
        header: Elements of the image; PhotometricInterpretation is MONOCHROME1 or MONOCHROME2.
        lowest_stored: Lowest value the pixels can hold.
        highest_stored: Highest value the pixels can hold.

    Returns:
        Values in which bright means dense, whatever the file's polarity.

    Source:
        DICOM PS3.3, C.11.1 (modality), C.11.2 (window), C.11.6 (presentation), C.7.6.3.1.2 (polarity), C.7.5.1.1.2
        (padding, which takes no part in any of these and is black).
    """
    stored = np.arange(lowest_stored, highest_stored + 1, dtype=np.float64)
    scale = _modality(header, Scale(stored, float(lowest_stored), float(highest_stored)))
    scale = _presentation(header, _window(header, scale))
    return np.where(_is_padding(header, stored), scale.lowest, scale.values).astype(np.float32)


def polarity_contradicts_itself(header: Dataset) -> bool:
    """Whether PresentationLUTShape says another polarity than PhotometricInterpretation, which then holds."""
    expected = "INVERSE" if text(header, "PhotometricInterpretation") == "MONOCHROME1" else "IDENTITY"
    return text(header, "PresentationLUTShape") not in {"", expected}


def _modality(header: Dataset, scale: Scale) -> Scale:
    if tables := items(header, "ModalityLUTSequence"):
        return _looked_up(tables[0], "ModalityLUTSequence", scale.values)
    slope, intercept = numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")
    if not slope or not intercept:
        return scale
    if slope[0] == 0:
        msg = "RescaleSlope is 0, which makes every pixel the same; get the original file"
        raise DicomReadError(msg)
    ends = sorted((slope[0] * scale.lowest + intercept[0], slope[0] * scale.highest + intercept[0]))
    return Scale(slope[0] * scale.values + intercept[0], ends[0], ends[1])


def _window(header: Dataset, scale: Scale) -> Scale:
    if tables := items(header, "VOILUTSequence"):
        return _looked_up(tables[0], "VOILUTSequence", scale.values)
    centres, widths = numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    if not centres or not widths:
        return scale
    centre, width = centres[0], widths[0]
    function = text(header, "VOILUTFunction") or "LINEAR"
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        msg = "VOILUTFunction is none of LINEAR, LINEAR_EXACT, SIGMOID; correct it, or remove it with the window"
        raise DicomReadError(msg)
    if width <= 0 or (function == "LINEAR" and width < 1):
        msg = f"WindowWidth is {width:g}, expected 1 or more; correct it, or remove the window from the file"
        raise DicomReadError(msg)
    if function == "SIGMOID":
        # Beyond +-700 exp overflows, and the sigmoid has long been flat.
        exponent = np.clip(-4.0 * (scale.values - centre) / width, -700.0, 700.0)
        share = 1.0 / (1.0 + np.exp(exponent))
    elif function == "LINEAR" and width == 1:
        share = (scale.values > centre - 0.5).astype(np.float64)
    else:
        shift, narrower = (0.5, 1.0) if function == "LINEAR" else (0.0, 0.0)
        share = np.clip((scale.values - (centre - shift)) / (width - narrower) + 0.5, 0.0, 1.0)
    return Scale(share * (scale.highest - scale.lowest) + scale.lowest, scale.lowest, scale.highest)


def _presentation(header: Dataset, scale: Scale) -> Scale:
    if tables := items(header, "PresentationLUTSequence"):
        # Its output are P-values, in which 0 is black: no polarity is left to undo.
        return _presentation_table(tables[0], scale)
    if text(header, "PhotometricInterpretation") == "MONOCHROME1":
        return Scale(scale.lowest + scale.highest - scale.values, scale.lowest, scale.highest)
    return scale


def _is_padding(header: Dataset, stored: Curve) -> Bool[np.ndarray, " n"]:
    """Which stored values only fill the surroundings of the image."""
    value = integer(header, "PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    limit = integer(header, "PixelPaddingRangeLimit")
    first, last = sorted(_signed(float(end), stored) for end in (value, value if limit is None else limit))
    return (first <= stored) & (stored <= last)


def _presentation_table(item: Dataset, scale: Scale) -> Scale:
    """The table takes 0 to (entries - 1), to which the whole range before it is stretched."""
    entries = len(_entries(item, "PresentationLUTSequence"))
    share = (scale.values - scale.lowest) / (scale.highest - scale.lowest)
    return _looked_up(item, "PresentationLUTSequence", np.rint(share * (entries - 1)))


def _looked_up(item: Dataset, sequence: str, values: Curve) -> Scale:
    """`values` through a look-up table; below its first and above its last entry these two hold."""
    table = _entries(item, sequence)
    descriptor = numbers(item, "LUTDescriptor")
    index = np.clip(np.floor(values - _signed(descriptor[1], values)), 0, len(table) - 1).astype(np.int64)
    return Scale(table[index], 0.0, 2.0 ** int(descriptor[2]) - 1.0)


def _signed(declared: float, values: Curve) -> float:
    """An element that stands for one of `values`; a negative one is sometimes stored as unsigned."""
    return declared - 2**16 if declared >= 2**15 and float(values.min()) < 0 else declared


def _entries(item: Dataset, sequence: str) -> Curve:
    """The entries of a table.

    Raises:
        DicomReadError: They are not what their descriptor says.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3 or not 1 <= descriptor[2] <= 16:
        msg = f"the LUTDescriptor of {sequence} is {descriptor}, expected entries, first value and 1 to 16 bits"
        raise DicomReadError(msg)
    count = int(descriptor[0]) or 2**16
    try:
        data = item.get("LUTData")
        if isinstance(data, bytes):
            order = ">" if item.original_encoding[1] is False else "<"
            one_byte = descriptor[2] <= 8 and len(data) < 2 * count
            table = np.frombuffer(data, dtype="u1" if one_byte else f"{order}u2").astype(np.float64)
        else:
            table = np.atleast_1d(np.asarray(data, dtype=np.float64))
    except DAMAGE as error:
        msg = f"the LUTData of {sequence} can't be read; get an undamaged copy of the file"
        raise DicomReadError(msg) from error
    if not count <= len(table) <= count + 1 or table[:count].max() > 2 ** int(descriptor[2]) - 1:
        msg = f"the LUTData of {sequence} does not hold the {count} entries of {int(descriptor[2])} bits it declares"
        raise DicomReadError(msg)
    return table[:count]


def stored_range(header: Dataset) -> tuple[int, int]:
    """Lowest and highest value the pixels can hold, by BitsStored and PixelRepresentation.

    Raises:
        DicomReadError: One of the two is missing or impossible.
    """
    bits, signed = integer(header, "BitsStored"), integer(header, "PixelRepresentation")
    if bits is None or not 1 <= bits <= 16 or signed not in {0, 1}:
        msg = f"BitsStored is {bits} and PixelRepresentation {signed}, expected 1 to 16 and 0 or 1"
        raise DicomReadError(msg)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
