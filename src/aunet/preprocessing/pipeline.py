"""From a mammogram's pixels to the network's input, and the grid that leads back."""

import json
import math
import operator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32

from aunet.preprocessing import intensity as intensities
from aunet.preprocessing.breast import DEFAULT_LEVEL, content_box, find_breast, has_chest_wall_on_right
from aunet.preprocessing.full_size import as_prepared
from aunet.preprocessing.grid import Crop, Grid
from aunet.preprocessing.intensity import IntensityMap
from aunet.preprocessing.patches import patch_around
from aunet.sample import Image, Mask2D

FullSize = Literal["whole", "prepared_cbis_ddsm"]
Fit = Literal["resize", "pad"]
Intensity = Literal["min_max", "z_score", "percentile", "histogram"]
Channels = Literal[1, 3]
Channelled = Float32[np.ndarray, "c rows columns"]
_OPTIONAL_LISTS = frozenset({"reference_quantiles", "channel_mean", "channel_std"})
_CHOICES: dict[str, tuple[str | int, ...]] = {
    "full_size": get_args(FullSize),
    "fit": get_args(Fit),
    "intensity": get_args(Intensity),
    "channels": get_args(Channels),
}


BEYOND_PATCH = "the patch is cut around the largest mass; others count only as far as they lie inside"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to every mammogram before the network sees it; the defaults are the paper's main setting."""

    rows: int = 256
    """Rows of the model grid."""
    columns: int = 256
    """Columns of the model grid."""
    longest_px: int | None = None
    """Reduce the image to so many pixels along its longer side before anything else; None keeps them all, as does an
    image that has no more. A network trained on reduced images then sees no more detail in a full-size one."""
    full_size: FullSize = "whole"
    """How `longest_px` reduces an image: `whole` as it is, `prepared_cbis_ddsm` as CBIS-DDSM's prepared images were
    (see `full_size.as_prepared`), for a network that was trained on those."""
    fit: Fit = "resize"
    """`resize` stretches rows and columns each to its number; `pad` keeps proportions by zeros right or below."""
    crop: bool = True
    """Crop outer rows and columns of negligible maximum."""
    remove_artefacts: bool = True
    """Set everything outside the breast to zero."""
    face_left: bool = True
    """Mirror where needed, so that the chest wall is on the left; the pixels decide."""
    intensity: Intensity = "min_max"
    """How intensities are normalised, each image by itself."""
    percentiles: tuple[float, float] = (1.0, 99.0)
    """The window of `percentile`, of the breast's values."""
    reference_quantiles: tuple[float, ...] | None = None
    """A histogram that the breast's values are matched to before they are normalised: evenly spaced quantiles from
    0 to 1 (see `intensity.breast_quantiles`). `histogram` needs it and does nothing else."""
    channels: Channels = 3
    """1 for grey, 3 for RGB copies of grey."""
    patch_margin: float | None = None
    """For mass-centred patches: gain in area over the smallest rectangle (0.2 in the paper); None for whole images."""
    breast_level: float = DEFAULT_LEVEL
    """Share of the brightest tissue below which a pixel is background, for `remove_artefacts`.

    The default cuts where the prepared CBIS-DDSM images were cut, so that a net trained on them sees the same of a
    user's film; 0.02 keeps the skin."""
    channel_mean: tuple[float, ...] | None = None
    """What is subtracted from each channel of the normalised image, last of all, as encoders pretrained on photographs
    expect it; None leaves the channels as they are."""
    channel_std: tuple[float, ...] | None = None
    """What each channel is divided by after that."""

    def __post_init__(self) -> None:
        """Refuse values that no picture can be prepared with.

        Raises:
            ValueError: A value is outside its range; the message names it.
        """
        for name in _CHOICES:
            _check_choice(name, getattr(self, name))
        if min(self.rows, self.columns) < 1:
            msg = f"the model grid has {self.rows} x {self.columns} pixels; it needs at least 1 x 1"
            raise ValueError(msg)
        if self.longest_px is not None and self.longest_px < 1:
            msg = f"longest_px is {self.longest_px}; at least 1 pixel is needed, or None to keep them all"
            raise ValueError(msg)
        if self.longest_px is not None and self.patch_margin is not None:
            msg = "longest_px reduces whole images, and patch_margin cuts patches of all their detail; leave one out"
            raise ValueError(msg)
        if self.longest_px is None and self.full_size != "whole":
            msg = (
                f"full_size is {self.full_size!r} and longest_px says of no size to reduce to; give one, 256 as a rule"
            )
            raise ValueError(msg)
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            msg = f"percentiles are {self.percentiles}; two ascending numbers from 0 to 100 are needed"
            raise ValueError(msg)
        if not 0 < self.breast_level < 1:
            msg = f"breast_level is {self.breast_level}; it is a share of the brightest tissue, between 0 and 1"
            raise ValueError(msg)
        if self.patch_margin is not None and self.patch_margin < 0:
            msg = f"patch_margin is {self.patch_margin}; it is a gain in area, 0 or more (0.2 in the paper)"
            raise ValueError(msg)
        _check_reference(self.reference_quantiles, is_needed=self.intensity == "histogram")
        _check_statistics(self)

    def grey(self) -> "Preprocessing":
        """The settings that give the image before anything is done to channels: one, in the range of `intensity`."""
        return replace(self, channels=1, channel_mean=None, channel_std=None)

    def to_channels(self, image: Image) -> Channelled:
        """The network's input made from a normalised grey image: its copies, less `channel_mean`, over `channel_std`.

        Args:
            image: Model grid, in the range of `intensity`; augmented or not.

        Returns:
            A new array (c rows columns).
        """
        channels = np.repeat(image[np.newaxis], self.channels, axis=0)
        if self.channel_mean is None or self.channel_std is None:
            return channels
        mean, std = (np.array(values, dtype=np.float32) for values in (self.channel_mean, self.channel_std))
        normalised: Channelled = (channels - mean[:, np.newaxis, np.newaxis]) / std[:, np.newaxis, np.newaxis]
        return normalised

    def to_json(self) -> str:
        """The settings as one line of JSON, every value written out."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """The settings that `to_json` wrote.

        Args:
            text: The JSON; what it leaves out has its default.

        Returns:
            The settings.

        Raises:
            ValueError: A key is unknown, or a value outside its range.
        """
        content = json.loads(text)
        if not isinstance(content, dict):
            msg = f"preprocessing settings are a JSON object, not {text[:40]!r}"
            raise ValueError(msg)  # noqa: TRY004 - a wrong file, not a wrong type in the caller's code
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(content) - known)
        if unknown:
            msg = f"unknown preprocessing setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            raise ValueError(msg)
        return cls(**{name: _from_json_value(name, value) for name, value in content.items()})


@dataclass(frozen=True, slots=True)
class Prepared:
    """One mammogram as the network sees it."""

    image: Channelled
    """Normalised; every channel the same but for `channel_mean` and `channel_std`."""
    grid: Grid
    """How the model grid lies on the source."""
    intensity: IntensityMap
    """How values were normalised."""
    notes: tuple[str, ...] = ()
    """What could not be done as asked, one sentence each."""


def prepare(image: Image, settings: Preprocessing, *, mask: Mask2D | None = None) -> Prepared:
    """The network's input made from one mammogram.

    Args:
        image: The mammogram, source grid, dense tissue bright.
        settings: What to do.
        mask: The reference masses, needed for mass-centred patches only.

    Returns:
        The input and the way back to the source pixels.

    Raises:
        ValueError: Patches are asked for and there is no mask, or it is empty.
    """
    if settings.longest_px is not None and max(image.shape) > settings.longest_px:
        return _prepare_reduced(image, settings, longest_px=settings.longest_px)
    cleaned, notes = _without_artefacts(image, settings) if settings.remove_artefacts else (image, ())
    box = content_box(cleaned) if settings.crop else Crop(0, 0, image.shape[0], image.shape[1])
    is_mirrored = settings.face_left and has_chest_wall_on_right(cleaned)
    if settings.patch_margin is not None:
        if mask is None:
            msg = "mass-centred patches need the reference mask; give one, or leave patch_margin out"
            raise ValueError(msg)
        box = patch_around(mask, margin=settings.patch_margin)
        if np.count_nonzero(box.apply(mask)) < np.count_nonzero(mask):
            notes = (*notes, BEYOND_PATCH)
    grid = Grid.of(
        (image.shape[0], image.shape[1]),
        (settings.rows, settings.columns),
        crop=box,
        is_mirrored=is_mirrored,
        keeps_aspect=settings.fit == "pad",
    )
    reduced = grid.to_model_image(cleaned)
    normalisation = _normalisation(reduced, settings)
    normalised = normalisation.apply(reduced)
    return Prepared(settings.to_channels(normalised), grid, normalisation, notes)


def _prepare_reduced(image: Image, settings: Preprocessing, *, longest_px: int) -> Prepared:
    """The input made from an image of more pixels than the settings allow, by way of one of fewer."""
    if settings.full_size == "prepared_cbis_ddsm":
        reduced, grid = as_prepared(
            image, longest_px=longest_px, cuts_out=settings.remove_artefacts, faces_left=settings.face_left
        )
        # It faces left already, and zeros on its right must stay there.
        settings = replace(settings, face_left=False)
    else:
        factor = longest_px / max(image.shape)
        fewer = (max(1, round(factor * image.shape[0])), max(1, round(factor * image.shape[1])))
        grid = Grid.of((image.shape[0], image.shape[1]), fewer)
        reduced = grid.to_model_image(image)
    prepared = prepare(reduced, settings)
    return replace(prepared, grid=prepared.grid.through(grid))


def breast_pixels(image: Image, settings: Preprocessing) -> Mask2D:
    """The breast on the model grid.

    Args:
        image: The mammogram on the model grid, normalised or not.
        settings: What was done to it.

    Returns:
        Everything but the background where artefacts were removed; else what `find_breast` finds. The whole image
        where there is no breast to be seen.
    """
    found = image > image.min() if settings.remove_artefacts else find_breast(image, level=settings.breast_level)
    return found if found.any() else np.ones_like(found)


def _without_artefacts(image: Image, settings: Preprocessing) -> tuple[Image, tuple[str, ...]]:
    """The image with zero outside the breast; as it is, with a note, where no breast is found."""
    breast = find_breast(image, level=settings.breast_level)
    if not breast.any():
        return image, ("no breast was found in the image, so nothing beside it was removed",)
    return image * breast, ()


def _normalisation(image: Image, settings: Preprocessing) -> IntensityMap:
    """Matching, where a reference is given, and after it the setting's own normalisation."""
    if settings.reference_quantiles is None:
        return _own_normalisation(image, settings)
    matching = intensities.matched_histogram(
        image, reference_quantiles=settings.reference_quantiles, breast=breast_pixels(image, settings)
    )
    return matching.then(_own_normalisation(matching.apply(image), settings))


def _own_normalisation(image: Image, settings: Preprocessing) -> IntensityMap:
    match settings.intensity:
        case "min_max":
            return intensities.min_max(image)
        case "z_score":
            return intensities.z_score(image)
        case "percentile":
            return intensities.percentile_window(image, percentiles=settings.percentiles)
        case "histogram":
            return IntensityMap((0.0, 1.0), (0.0, 1.0), clips=False)  # as matched: nothing more is done


def _check_reference(quantiles: tuple[float, ...] | None, *, is_needed: bool) -> None:
    if quantiles is None:
        if is_needed:
            msg = "intensity is 'histogram', which needs reference_quantiles (see intensity.breast_quantiles)"
            raise ValueError(msg)
    elif len(quantiles) < 2 or list(quantiles) != sorted(quantiles):
        msg = f"reference_quantiles are two or more ascending numbers, not {quantiles}"
        raise ValueError(msg)


def _check_statistics(settings: Preprocessing) -> None:
    mean, std = settings.channel_mean, settings.channel_std
    if mean is None and std is None:
        return
    if mean is None or std is None or not len(mean) == len(std) == settings.channels:
        needed = f"give {settings.channels} numbers for each, or leave both out"
        msg = f"channel_mean is {mean} and channel_std {std}; {needed}"
        raise ValueError(msg)
    if not all(math.isfinite(value) for value in (*mean, *std)) or min(std) <= 0:
        msg = f"channel_mean is {mean} and channel_std {std}; finite numbers are needed, and for channel_std above 0"
        raise ValueError(msg)
    if settings.intensity == "z_score":
        msg = "channel_mean and channel_std are for images in [0, 1], and intensity is 'z_score'; take 'min_max'"
        raise ValueError(msg)


def _check_choice(name: str, value: object) -> None:
    if value not in _CHOICES[name] or isinstance(value, bool):
        msg = f"{name} is {value!r}; it has to be one of {', '.join(map(str, _CHOICES[name]))}"
        raise ValueError(msg)


# A value from JSON is whatever stood there, and goes into a field of any type.
def _from_json_value(name: str, value: Any) -> Any:  # noqa: ANN401  (what JSON holds)
    """A setting of the type of its field.

    Raises:
        ValueError: The value is of another type, or not one of the choices.
    """
    if name in _CHOICES:
        _check_choice(name, value)
        return value
    if value is None and name in {"longest_px", "patch_margin", *_OPTIONAL_LISTS}:
        return None
    try:
        if name in {"percentiles", *_OPTIONAL_LISTS}:
            return tuple(_number(part) for part in value)
        if name in {"rows", "columns", "longest_px"}:
            return operator.index(value)
        if name in {"patch_margin", "breast_level"}:
            return _number(value)
    except TypeError as error:
        msg = f"{name} is {value!r}, which is no number, or no list of numbers, where one is needed"
        raise ValueError(msg) from error
    if not isinstance(value, bool):
        msg = f"{name} is {value!r}; it is either true or false"
        raise ValueError(msg)  # noqa: TRY004 - a wrong file, not a wrong type in the caller's code
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)
