"""The records that every stage passes on: a mammogram, a mask, and a row of a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

Image = Float32[np.ndarray, "h w"]
Mask2D = Bool[np.ndarray, "h w"]
Instances = UInt8[np.ndarray, "h w"]
Probability = Float32[np.ndarray, "h w"]
Spacing = tuple[float, float]
Shape = tuple[int, int]
Laterality = Literal["L", "R"]
View = Literal["CC", "MLO"]
Split = Literal["train", "validation", "test"]
SpacingSource = Literal["PixelSpacing", "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor", "table"]


@dataclass(frozen=True, slots=True)
class Mammogram:
    """One mammogram's pixels, in presentation sense, with what its file says of it."""

    image: Image
    """Pixels on the source grid; dense tissue is bright, the polarity of the file already undone."""
    source: Path
    """The path the user typed."""
    bits_stored: int
    """Bits a stored pixel used, 8 to 16."""
    laterality: Laterality | None = None
    view: View | None = None
    spacing_mm: Spacing | None = None
    """(row, column) millimetres a pixel in the breast; None where the file gives no trustworthy value."""
    spacing_source: SpacingSource | None = None
    sop_instance_uid: str | None = None
    """None for pictures."""
    is_for_processing: bool = False
    """The file is a FOR PROCESSING image that an option let through."""
    notes: tuple[str, ...] = ()
    """What was repaired or contradicts itself, one sentence each."""

    @property
    def shape(self) -> Shape:
        """(rows, columns) of the source grid."""
        rows, columns = self.image.shape
        return rows, columns


@dataclass(frozen=True, slots=True)
class Mask:
    """The masses of one mammogram on its source grid."""

    pixels: Mask2D
    notes: tuple[str, ...] = ()
    """What was repaired (grey values binarised, size changed), one sentence each."""
    instances: Instances | None = None
    """The number of the mass that each pixel belongs to, 0 for none; where masses overlap, the first of them counts.
    None where the files do not tell the masses apart."""


@dataclass(frozen=True, slots=True)
class MassProperties:
    """What a data set's table says of the masses of one image, as written there; "" where it says nothing.

    Values of several masses are joined by ";", as in CBIS-DDSM's own terms.
    """

    breast_density: str = ""
    birads: str = ""
    pathology: str = ""
    subtlety: str = ""
    mass_shape: str = ""
    mass_margins: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set with its reference mask, not yet read."""

    case: str
    """Name of the image inside its data set: its relative path without the ending, unique there."""
    image_path: Path
    mask_paths: tuple[Path, ...]
    """Files whose union is the reference mask, one a mass where the data set has them so. Empty for an image that is
    known to show no mass: its reference mask is empty."""
    patient_id: str
    split: Split | None = None
    laterality: Laterality | None = None
    view: View | None = None
    spacing_mm: Spacing | None = None
    properties: MassProperties = MassProperties()
    region_names: tuple[str, ...] = ()
    """Names of the regions that count where a mask file is a list of named outlines; empty for all of them."""
