"""The way from source pixels to model pixels as a value, and the exact way back.

Pixel `i` covers the interval [i, i + 1) of its axis, so its centre lies at i + 0.5, on every grid.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Shaped
from scipy import sparse

from aunet.sample import Image, Mask2D, Probability, Shape, Spacing

Array2D = Shaped[np.ndarray, "h w"]
MovedArray2D = Shaped[np.ndarray, "new_h new_w"]
MovedImage = Float32[np.ndarray, "new_h new_w"]
MovedMask = Bool[np.ndarray, "new_h new_w"]


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle cut out of the source grid, in source pixels."""

    top: int
    left: int
    rows: int
    columns: int

    def apply(self, array: Array2D) -> MovedArray2D:
        """The part of an array inside the rectangle (a view)."""
        return array[self.top : self.top + self.rows, self.left : self.left + self.columns]

    def invert(self, array: Array2D, *, shape: Shape) -> MovedArray2D:
        """The array back in its place on a grid of `shape`; zero outside the rectangle.

        What lay outside the rectangle is lost: a mask part there does not come back.
        """
        whole = np.zeros(shape, dtype=array.dtype)
        whole[self.top : self.top + self.rows, self.left : self.left + self.columns] = array
        return whole


@dataclass(frozen=True, slots=True)
class Mirror:
    """Left-right mirroring; its own inverse."""

    active: bool

    def apply(self, array: Array2D) -> Array2D:
        """The array mirrored if this step is active, else as it is (a view)."""
        return array[:, ::-1] if self.active else array


@dataclass(frozen=True, slots=True)
class Pad:
    """Rows of zeros added at the bottom and columns of zeros added on the right."""

    bottom: int = 0
    right: int = 0

    @classmethod
    def to_aspect(cls, shape: Shape, target: Shape) -> "Pad":
        """The smallest padding that gives `shape` the ratio of rows to columns of `target`, to the pixel."""
        rows, columns = shape
        target_rows, target_columns = target
        wanted_rows = -(-columns * target_rows // target_columns)
        wanted_columns = -(-rows * target_columns // target_rows)
        return cls(bottom=max(0, wanted_rows - rows), right=max(0, wanted_columns - columns))

    def apply(self, array: Array2D) -> MovedArray2D:
        """The array with its padding."""
        return np.pad(array, ((0, self.bottom), (0, self.right)))

    def invert(self, array: Array2D) -> MovedArray2D:
        """The array without its padding (a view)."""
        rows, columns = array.shape
        return array[: rows - self.bottom, : columns - self.right]


@dataclass(frozen=True, slots=True)
class Resize:
    """A change of the number of pixels over the same field, rows and columns each by its own factor."""

    before: Shape
    after: Shape

    def apply_image(self, image: Image) -> MovedImage:
        """The image with `after` pixels: area mean where an axis shrinks, bilinear where it grows."""
        return _by_rows_and_columns(
            image, _image_weights(self.before[0], self.after[0]), _image_weights(self.before[1], self.after[1])
        )

    def apply_mask(self, mask: Mask2D) -> MovedMask:
        """The mask with `after` pixels: each takes the value at its centre.

        A mask too small to cover the centre of any pixel still marks one: the pixel it covers most.
        """
        sampled = _take_centres(mask, before=self.before, after=self.after)
        if mask.any() and not sampled.any():
            coverage = _by_rows_and_columns(
                mask.astype(np.float32),
                _area_weights(self.before[0], self.after[0]),
                _area_weights(self.before[1], self.after[1]),
            )
            # The first of those that are alike but for rounding, so that the same mask in more pixels gives the same.
            most = np.argmax(coverage >= coverage.max() * (1 - 1e-5))
            sampled[np.unravel_index(most, coverage.shape)] = True
        return sampled

    def invert_mask(self, mask: Mask2D) -> MovedMask:
        """The mask back with `before` pixels: each takes the value of the pixel its centre lies in."""
        return _take_centres(mask, before=self.after, after=self.before)

    def invert_probability(self, probability: Probability) -> MovedImage:
        """The probability back with `before` pixels, bilinear between pixel centres."""
        return _by_rows_and_columns(
            probability,
            _bilinear_weights(self.after[0], self.before[0]),
            _bilinear_weights(self.after[1], self.before[1]),
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """How the model grid lies on the source grid: crop, then mirror, then pad, then resize.

    A mask drawn on the source inside the crop comes back from the model grid unchanged where no axis shrinks. Where
    one does, every source pixel that changed lies within half a model pixel, along rows and along columns, of the
    mask's boundary (half of the model pixel's own height and width: they may differ). The one exception is a mask
    that covers no model pixel's centre: it comes back as the one model pixel that it covers most.
    """

    source_shape: Shape
    crop: Crop
    mirror: Mirror
    pad: Pad
    model_shape: Shape

    def __post_init__(self) -> None:
        """Refuse a crop that leaves the source grid.

        Raises:
            ValueError: The crop is empty or leaves the source, the padding is negative, or the model grid is empty.
        """
        inside = (
            0 <= self.crop.top < self.crop.top + self.crop.rows <= self.source_shape[0]
            and 0 <= self.crop.left < self.crop.left + self.crop.columns <= self.source_shape[1]
        )
        if not inside or min(self.pad.bottom, self.pad.right) < 0 or min(self.model_shape) < 1:
            msg = f"this is no grid: {self}; the crop must lie inside the source, and the model grid hold a pixel"
            raise ValueError(msg)

    @classmethod
    def of(
        cls,
        source_shape: Shape,
        model_shape: Shape | None = None,
        *,
        crop: Crop | None = None,
        is_mirrored: bool = False,
        keeps_aspect: bool = False,
    ) -> "Grid":
        """The grid of `model_shape` pixels on a crop (default: all) of the source.

        Args:
            source_shape: Rows and columns of the source.
            model_shape: Rows and columns the network sees; None leaves the crop at its own size.
            crop: The part of the source that the network sees.
            is_mirrored: Whether left and right change places.
            keeps_aspect: Whether zeros on the right or at the bottom keep the picture's proportions.

        Returns:
            The grid.
        """
        part = crop or Crop(0, 0, *source_shape)
        target = model_shape or (part.rows, part.columns)
        pad = Pad.to_aspect((part.rows, part.columns), target) if keeps_aspect else Pad()
        return cls(source_shape, part, Mirror(active=is_mirrored), pad, target)

    def through(self, outer: "Grid") -> "Grid":
        """This grid on the source of another one, whose model grid is this one's source.

        Args:
            outer: The grid that comes first.

        Returns:
            The grid; the edges of its crop and padding move by up to half a pixel of that source.

        Raises:
            ValueError: This grid's source is not the other's model grid, or this one would mirror the other's padding,
                which then came before the image.
        """
        self._expect(outer.model_shape, self.source_shape, "source")
        first = outer.resize
        top, bottom, padded_rows = _span(
            self.crop.top, self.crop.rows, self.pad.bottom, first.before[0], first.after[0]
        )
        left, right, padded_columns = _span(
            self.crop.left, self.crop.columns, self.pad.right, first.before[1], first.after[1]
        )
        if self.mirror.active and right > outer.crop.columns:
            msg = "the second grid would mirror the padding of the first; mirror in the first"
            raise ValueError(msg)
        # What the second grid takes of the first one's padding is padding again.
        top, left = min(top, outer.crop.rows - 1), min(left, outer.crop.columns - 1)
        bottom, right = min(bottom, outer.crop.rows), min(right, outer.crop.columns)
        pad = Pad(bottom=padded_rows - bottom, right=padded_columns - right)
        from_left = outer.crop.columns - right if outer.mirror.active else left
        crop = Crop(outer.crop.top + top, outer.crop.left + from_left, bottom - top, right - left)
        mirror = Mirror(active=self.mirror.active != outer.mirror.active)
        return Grid(outer.source_shape, crop, mirror, pad, self.model_shape)

    @property
    def resize(self) -> Resize:
        """The last step."""
        return Resize((self.crop.rows + self.pad.bottom, self.crop.columns + self.pad.right), self.model_shape)

    @property
    def source_px_per_model_px(self) -> float:
        """Area of a model pixel, in source pixels."""
        resize = self.resize
        return resize.before[0] * resize.before[1] / (resize.after[0] * resize.after[1])

    def to_model_image(self, image: Image) -> MovedImage:
        """A source image on the model grid, anti-aliased by the area mean where it shrinks."""
        self._expect(image.shape, self.source_shape, "source")
        resize = self.resize
        rows = _image_weights(resize.before[0], resize.after[0])[:, : self.crop.rows]
        columns = _image_weights(resize.before[1], resize.after[1])[:, : self.crop.columns]
        # Rows shrink first: mirroring is then cheap, and the zeros of the padding need not be made at all.
        fewer_rows = self.mirror.apply(rows @ self.crop.apply(image))
        return np.ascontiguousarray((columns @ fewer_rows.T).T, dtype=np.float32)

    def to_model_mask(self, mask: Mask2D) -> MovedMask:
        """A source mask on the model grid; a part outside the crop is lost."""
        self._expect(mask.shape, self.source_shape, "source")
        return self.resize.apply_mask(self.pad.apply(self.mirror.apply(self.crop.apply(mask))))

    def to_source_mask(self, mask: Mask2D) -> MovedMask:
        """A model mask on the source grid; empty outside the crop."""
        self._expect(mask.shape, self.model_shape, "model")
        part = self.mirror.apply(self.pad.invert(self.resize.invert_mask(mask)))
        return self.crop.invert(part, shape=self.source_shape)

    def to_source_probability(self, probability: Probability) -> MovedImage:
        """A model probability on the source grid, bilinear between pixel centres; zero outside the crop."""
        self._expect(probability.shape, self.model_shape, "model")
        part = self.mirror.apply(self.pad.invert(self.resize.invert_probability(probability)))
        return self.crop.invert(part, shape=self.source_shape)

    def model_spacing_mm(self, spacing_mm: Spacing) -> Spacing:
        """(row, column) millimetres a model pixel, from those of a source pixel."""
        resize = self.resize
        return (
            spacing_mm[0] * resize.before[0] / resize.after[0],
            spacing_mm[1] * resize.before[1] / resize.after[1],
        )

    def to_json(self) -> str:
        """The grid as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Grid":
        """The grid that `to_json` wrote.

        Args:
            text: The JSON.

        Returns:
            The grid.

        Raises:
            ValueError: The text is no grid.
        """
        try:
            content = json.loads(text)
            return cls(
                source_shape=(int(content["source_shape"][0]), int(content["source_shape"][1])),
                crop=Crop(**content["crop"]),
                mirror=Mirror(**content["mirror"]),
                pad=Pad(**content["pad"]),
                model_shape=(int(content["model_shape"][0]), int(content["model_shape"][1])),
            )
        except (KeyError, TypeError, IndexError) as error:
            msg = f"not a grid as to_json writes it: {text[:80]!r}"
            raise ValueError(msg) from error

    def _expect(self, found: tuple[int, ...], expected: Shape, name: str) -> None:
        if found != expected:
            msg = f"the array has {found[0]} x {found[1]} pixels, the {name} grid {expected[0]} x {expected[1]}"
            raise ValueError(msg)


def _span(start: int, size: int, padding: int, before: int, after: int) -> tuple[int, int, int]:
    """Start, end and padded end of a part of an axis of `after` pixels, in the `before` pixels that they were."""
    first, last, padded = (round(edge * before / after) for edge in (start, start + size, start + size + padding))
    return first, last, padded


def _by_rows_and_columns(image: Image, rows: sparse.csr_array, columns: sparse.csr_array) -> MovedImage:
    """An image with one matrix applied along its rows' axis and one along its columns' axis."""
    return np.ascontiguousarray((columns @ (rows @ image).T).T, dtype=np.float32)


def _take_centres(mask: Mask2D, *, before: Shape, after: Shape) -> MovedMask:
    """For each new pixel the value of the old pixel its centre lies in, in whole numbers: nothing is rounded."""
    rows, columns = (
        (2 * np.arange(new, dtype=np.int64) + 1) * old // (2 * new) for old, new in zip(before, after, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _image_weights(before: int, after: int) -> sparse.csr_array:
    """Area mean where an axis shrinks, bilinear where it grows."""
    return _area_weights(before, after) if after <= before else _bilinear_weights(before, after)


@lru_cache(maxsize=64)
def _area_weights(before: int, after: int) -> sparse.csr_array:
    """(after, before): the share of each old pixel in each new one, rows summing to 1."""
    # In units of 1 / (before * after) of the axis both grids' edges are whole numbers.
    edges = np.union1d(np.arange(before + 1) * after, np.arange(after + 1) * before)
    starts, lengths = edges[:-1], np.diff(edges)
    entries = (lengths / before).astype(np.float32)
    return sparse.csr_array((entries, (starts // before, starts // after)), shape=(after, before))


@lru_cache(maxsize=64)
def _bilinear_weights(before: int, after: int) -> sparse.csr_array:
    """(after, before): linear interpolation between old pixel centres, constant beyond the outermost ones."""
    position = (np.arange(after) + 0.5) * before / after - 0.5
    lower = np.floor(position).astype(np.int64)
    fraction = (position - lower).astype(np.float32)
    new = np.arange(after)
    return sparse.csr_array(
        (
            np.concatenate([1 - fraction, fraction]),
            (np.concatenate([new, new]), np.clip(np.concatenate([lower, lower + 1]), 0, before - 1)),
        ),
        shape=(after, before),
    )
