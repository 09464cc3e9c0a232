"""Where the breast is: film borders, letters, tape and clips told apart from it, and the side of the chest wall."""

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy import ndimage

from aunet.preprocessing.grid import Crop, Resize
from aunet.sample import Image, Mask2D, Shape

DEFAULT_LEVEL = 0.11
"""About where the prepared CBIS-DDSM images were cut; the skin of a film goes down to 0.02."""
_FINDING_ROWS = 512
"""The breast is looked for on an image of at most so many rows and columns: an outline needs no more."""
_BORDER_SHARE = 0.06
"""A film border is looked for within this share of the image's rows (top, bottom) or columns (left, right)."""
_WALL_BORDER_SHARE = 0.01
"""The same along the chest wall, where a border lies over the breast and little of it shows beside the breast."""
_FADE_SHARE = 0.01
"""A border at top or bottom fades over this share of the rows more, unseen where it lies over tissue."""
_BORDER_BRIGHTNESS = 0.3
"""A film border is brighter than this share of the brightest tissue; fog at the film's edges is not."""
_THIN_SHARE = 0.025
"""What is narrower than twice this share of the image's longer side is no breast: letters, clips, fog at the edge."""

_EMPTY_LEVEL = 0.02
"""Below this level nothing is shown, not even skin."""
_ROUNDING = 1e-6
"""Differences below this share of the largest value are rounding errors of 32 bits; a step of 16 bits is larger."""
_CUT_LEVEL = 0.08
"""Where nine tenths of the breast's edge are brighter than this, it was cut there: skin fades to the background."""


def find_breast(image: Image, *, level: float = DEFAULT_LEVEL) -> Mask2D:
    """The pixels of the breast (pectoral muscle included), without borders, letters, tape or clips beside it.

    The breast is the largest bright region once film borders and everything thin have been taken away. Its edge is
    where the image falls to `level` of the way from the background to the brightest tissue; holes are filled. An
    image that shows one sharply cut region and nothing else has been through this before: its skin is left as it is.

    Args:
        image: One mammogram, source grid, dense tissue bright.
        level: Share of the brightest tissue, in (0, 1), below which a pixel is background. Lower keeps more of the
            skin, and of a film's fog.

    Returns:
        The breast on the source grid; empty if nothing in the image looks like one.

    Differs:
        The paper only crops rows and columns of negligible maximum; borders and letters of CBIS-DDSM's films would
        keep that from removing anything.
    """
    resize = _to_small(image)
    region = _breast_of_small(resize.apply_image(image), level=level)
    if resize.after == resize.before:
        return region
    return resize.invert_probability(_as_float(region)) >= np.float32(0.5)


def is_cut_out(image: Image) -> bool:
    """Whether somebody has removed everything beside the breast already: one region is left, and its edge is sharp.

    Args:
        image: One mammogram, source grid, dense tissue bright.

    Returns:
        True if so; False too where the image shows nothing, or film borders.
    """
    small = _to_small(image).apply_image(image)
    return not _outer_borders(small, level=DEFAULT_LEVEL).any() and _is_one_sharp_region(small)


def content_box(image: Image, *, negligible: float = 0.01) -> Crop:
    """The rectangle left once outer rows and columns of negligible maximum are cropped.

    Args:
        image: One mammogram, source grid.
        negligible: Rows and columns whose maximum is at most this share of the image's range go.

    Returns:
        The rectangle; the whole image where it is constant.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, section 3.1.
    """
    threshold = image.min() + negligible * (image.max() - image.min())
    rows = np.flatnonzero(image.max(axis=1) > threshold)
    columns = np.flatnonzero(image.max(axis=0) > threshold)
    if not rows.size or not columns.size:
        return Crop(0, 0, image.shape[0], image.shape[1])
    return Crop(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1))


def has_chest_wall_on_right(image: Image) -> bool:
    """Whether the chest wall is on the right: the breast is wide there, and narrow at the nipple.

    Args:
        image: One mammogram with nothing bright beside the breast.

    Returns:
        True if, of the columns that show the breast, the last tenth shows more of it than the first tenth.
    """
    step = max(1, max(image.shape) // _FINDING_ROWS)
    coarse = image[::step, ::step]
    is_breast = coarse > _threshold(coarse, level=DEFAULT_LEVEL)
    rows_shown = np.trim_zeros(np.count_nonzero(is_breast, axis=0))
    tenth = max(1, rows_shown.size // 10)
    return bool(rows_shown[-tenth:].sum() > rows_shown[:tenth].sum())


def _as_float(mask: Mask2D) -> Float32[np.ndarray, "h w"]:
    return mask.astype(np.float32)


def _to_small(image: Image) -> Resize:
    """The way to the small image on which the breast is looked for."""
    shape: Shape = (image.shape[0], image.shape[1])
    factor = max(1.0, max(shape) / _FINDING_ROWS)
    return Resize(shape, (max(1, round(shape[0] / factor)), max(1, round(shape[1] / factor))))


def _breast_of_small(image: Image, *, level: float) -> Mask2D:
    """The breast on the small image."""
    borders = _outer_borders(image, level=level)
    if not borders.any() and _is_one_sharp_region(image):
        # Pixels half covered by the edge may be darker than what counts as shown; rounding makes none of nothing.
        faintest = image.min() + _ROUNDING * np.abs(image).max()
        return _without_thin(ndimage.binary_dilation(_shown(image), iterations=2) & (image > faintest))
    borders |= _film_borders(image.T, level=level, share=_WALL_BORDER_SHARE, least_dark=0.1).T
    # White borders must not set the scale, nor be taken for breast.
    inner = np.where(borders, image.min(), image)
    return _without_thin(inner > _threshold(inner, level=level))


def _without_thin(mask: Mask2D) -> Mask2D:
    """The largest region once everything thin is gone: letters, clips, and fog that goes on along the chest wall."""
    radius = max(1, round(_THIN_SHARE * max(mask.shape)))
    # A thin strip along the edge of the image counts as thin: outside the image nothing is bright.
    core = largest_region(_opened(mask, radius=radius))
    if not core.any():
        return core
    # The opening rounds off the nipple and the corners; they come back, as far as they reach out.
    near_core = ndimage.distance_transform_edt(~core) <= radius
    return without_holes(largest_region(mask & near_core))


def _shown(image: Image) -> Mask2D:
    return image > _threshold(image, level=_EMPTY_LEVEL)


def _is_one_sharp_region(image: Image) -> bool:
    """Whether the small image shows one region whose edge is sharp, and nothing else."""
    shown = _shown(image)
    if not 0.01 < shown.mean() < 0.99 or largest_region(shown).sum() < 0.999 * shown.sum():
        return False
    # The outermost pixels may be half background.
    without_rim = ndimage.binary_erosion(shown, border_value=1)
    rim = image[without_rim & ~ndimage.binary_erosion(without_rim, border_value=1)]
    return bool(rim.size and np.quantile(rim, 0.1) > _threshold(image, level=_CUT_LEVEL))


def _threshold(image: Image, *, level: float) -> float:
    """The value at `level` of the way from the background to the brightest tissue."""
    # Letters and dust take a few pixels only, and in the dark the background outnumbers the skin.
    top = float(np.quantile(image, 0.995))
    dark = image[image < image.min() + 0.25 * (top - image.min())]
    background = float(np.quantile(dark, 0.25)) if dark.size else float(image.min())
    return background + level * (top - background)


def _outer_borders(image: Image, *, level: float) -> Mask2D:
    """Film borders along all four edges."""
    # Above and below, an oblique view's muscle may take most of a row; a column at the chest wall is nearly all breast.
    borders = _film_borders(image, level=level, share=_BORDER_SHARE, least_dark=0.2, fade=_FADE_SHARE)
    borders |= _film_borders(image.T, level=level, share=_BORDER_SHARE, least_dark=0.5).T
    return borders


def _film_borders(image: Image, *, level: float, share: float, least_dark: float, fade: float = 0.0) -> Mask2D:
    """Rows at the upper and lower edge that are bright where the rows further in are dark, and `fade` of the rows more.

    Sought within `share` of the rows, at edges where at least `least_dark` of the row further in is dark.
    """
    threshold = _threshold(image, level=level)
    brightness = _threshold(image, level=_BORDER_BRIGHTNESS)
    borders = np.zeros(image.shape, dtype=bool)
    for rows, marked in ((image, borders), (image[::-1], borders[::-1])):
        further_in = rows[min(len(rows) - 1, round(_BORDER_SHARE * len(rows)))]
        is_dark_inside = further_in <= threshold
        if is_dark_inside.mean() < least_dark:
            continue  # tissue nearly all along: too little to tell a border by
        outer = rows[: max(1, round(share * len(rows)))]
        is_border = np.mean(outer[:, is_dark_inside] > brightness, axis=1) > 0.5
        if is_border.any():
            marked[: _last_true(is_border) + 1 + round(fade * len(rows))] = True
    return borders


def _last_true(flags: Bool[np.ndarray, " n"]) -> int:
    """The index of the last True, -1 where there is none."""
    found: Int[np.ndarray, " m"] = np.flatnonzero(flags)
    return int(found[-1]) if found.size else -1


def _opened(mask: Mask2D, *, radius: int) -> Mask2D:
    """The part of a mask that discs of `radius` pixels inside it can reach; beyond the image nothing is mask."""
    inside: Mask2D = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] > radius
    if not inside.any():
        return inside
    reached: Mask2D = mask & (ndimage.distance_transform_edt(~inside) <= radius)
    return reached


def largest_region(mask: Mask2D, *, by_corners: bool = False) -> Mask2D:
    """The largest connected region of a mask.

    Args:
        mask: Any mask.
        by_corners: Whether pixels that touch at a corner hold together, as those of a mass do; else sides alone count.

    Returns:
        The region; the mask itself where it has no other.
    """
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)) if by_corners else None)
    if count < 2:
        return mask
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    largest: Mask2D = labels == np.argmax(areas)
    return largest


def without_holes(mask: Mask2D) -> Mask2D:
    """A mask with what it surrounds.

    Args:
        mask: Any mask.

    Returns:
        A new mask: all that can't be reached from the edges of the image by the sides of background pixels.
    """
    # By labels, since `binary_fill_holes` takes four times as long on a full-size film.
    labels, count = ndimage.label(~mask)
    is_outside = np.zeros(count + 1, dtype=bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        is_outside[edge] = True
    is_outside[0] = False  # the mask itself
    filled: Mask2D = ~is_outside[labels]
    return filled
