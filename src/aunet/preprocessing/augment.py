"""Random changes to training samples: sampled as a value first, then applied to image and mask alike."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from aunet.sample import Image, Mask2D


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """How far random changes may go; the defaults change nothing, as in the paper."""

    mirror_probability: float = 0.0
    """How often left and right change places."""
    flip_probability: float = 0.0
    """How often top and bottom change places."""
    rotation_degrees: float = 0.0
    """Rotations are drawn between minus and plus this angle."""
    scale: float = 0.0
    """Scales are drawn between 1 / (1 + this) and 1 + this, evenly in their logarithm."""
    shift: float = 0.0
    """Shifts are drawn between minus and plus this share of the image's rows and of its columns."""
    gamma: float = 0.0
    """Exponents are drawn between 1 / (1 + this) and 1 + this, evenly in their logarithm."""
    contrast: float = 0.0
    """Contrast factors are drawn between 1 / (1 + this) and 1 + this, evenly in their logarithm."""
    brightness: float = 0.0
    """Offsets are drawn between minus and plus this share of the image's range."""
    noise: float = 0.0
    """Standard deviations of Gaussian noise are drawn between 0 and this share of the image's range."""
    blur_px: float = 0.0
    """Standard deviations of a Gaussian blur are drawn between 0 and so many pixels of the model grid."""
    hide_probability: float = 0.0
    """How often an image's masses are taken out, so that it shows a breast without any."""
    paste_probability: float = 0.0
    """How often one mass of another image is added."""

    def __post_init__(self) -> None:
        """Refuse ranges that can't be drawn from.

        Raises:
            ValueError: A value is negative, or a probability above 1.
        """
        for name in self.__slots__:
            value = getattr(self, name)
            if value < 0 or (name.endswith("_probability") and value > 1):
                msg = f"{name} is {value}; it can't be negative, nor can a probability be above 1"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One drawn change; applying it twice to the same sample gives the same result twice."""

    is_mirrored: bool = False
    is_flipped: bool = False
    rotation_degrees: float = 0.0
    """Counter-clockwise as one looks at the image."""
    scale: float = 1.0
    """Above 1 enlarges."""
    shift: tuple[float, float] = (0.0, 0.0)
    """(row, column), as a share of the image's rows and columns."""
    gamma: float = 1.0
    contrast: float = 1.0
    brightness: float = 0.0
    """As a share of the image's range."""
    noise: float = 0.0
    """Standard deviation, as a share of the image's range."""
    noise_seed: int = 0
    blur_px: float = 0.0
    """Standard deviation, in pixels of the model grid."""

    @classmethod
    def sample(cls, rng: np.random.Generator, settings: AugmentationSettings) -> "Augmentation":
        """A change drawn within the ranges of `settings`.

        Args:
            rng: Where randomness comes from; every call draws the same number of values.
            settings: The ranges.

        Returns:
            The change.
        """
        mirror, flip = rng.random(2)
        rotation, scale, row, column, gamma, contrast, brightness = (float(value) for value in rng.uniform(-1, 1, 7))
        return cls(
            is_mirrored=bool(mirror < settings.mirror_probability),
            is_flipped=bool(flip < settings.flip_probability),
            rotation_degrees=rotation * settings.rotation_degrees,
            scale=(1 + settings.scale) ** scale,
            shift=(row * settings.shift, column * settings.shift),
            gamma=(1 + settings.gamma) ** gamma,
            contrast=(1 + settings.contrast) ** contrast,
            brightness=brightness * settings.brightness,
            noise=float(rng.random()) * settings.noise,
            noise_seed=int(rng.integers(2**32)),
            blur_px=float(rng.random()) * settings.blur_px,
        )

    def apply(self, image: Float32[np.ndarray, "c h w"], mask: Mask2D) -> tuple[Float32[np.ndarray, "c h w"], Mask2D]:
        """Image and mask changed alike; intensity changes touch the image alone.

        Args:
            image: A prepared image; its channels are copies of one another.
            mask: Its mask, on the same grid.

        Returns:
            The changed image (its values may leave [0, 1]; background stays as it is) and mask, both new arrays.
        """
        moved = self._with_intensity(self._blurred(self._moved_image(image[0])))
        return np.repeat(moved[np.newaxis], image.shape[0], axis=0), self.move_mask(mask)

    def move_mask(self, mask: Mask2D) -> Mask2D:
        """The mask moved as `apply` moves it: each pixel takes the value its centre comes from."""
        flipped = self._flipped_mask(mask)
        if self._keeps_places:
            return np.ascontiguousarray(flipped)
        matrix, offset = self._matrix(mask.shape)
        return _resampled_mask(flipped, matrix=matrix, offset=offset)

    def restore_mask(self, mask: Mask2D) -> Mask2D:
        """A moved mask brought back; exact without rotation, scale and shift, else to about a pixel.

        What was moved beyond the edge of the image does not come back.
        """
        if self._keeps_places:
            return np.ascontiguousarray(self._flipped_mask(mask))
        matrix, offset = self._matrix(mask.shape)
        inverse = np.linalg.inv(matrix)
        return np.ascontiguousarray(self._flipped_mask(_resampled_mask(mask, matrix=inverse, offset=-inverse @ offset)))

    @property
    def _keeps_places(self) -> bool:
        return self.rotation_degrees == 0 and self.scale == 1 and self.shift == (0, 0)

    def _matrix(self, shape: tuple[int, ...]) -> tuple[Float64[np.ndarray, "2 2"], Float64[np.ndarray, " 2"]]:
        """Where an output pixel comes from: `matrix @ index + offset`, about the image's centre."""
        angle = math.radians(self.rotation_degrees)
        # Rows point down, so that a counter-clockwise turn of the picture takes (row, column) by this matrix.
        matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / self.scale
        centre = (np.array(shape, dtype=np.float64) - 1) / 2
        shift_px = np.array(self.shift) * np.array(shape)
        return matrix, centre - matrix @ (centre + shift_px)

    def _moved_image(self, image: Image) -> Image:
        flipped = image[:: -1 if self.is_flipped else 1, :: -1 if self.is_mirrored else 1]
        if self._keeps_places:
            return np.ascontiguousarray(flipped)
        matrix, offset = self._matrix(image.shape)
        background = float(image.min())
        moved: Image = ndimage.affine_transform(flipped, matrix, offset=offset, order=1, cval=background)
        return moved

    def _blurred(self, image: Image) -> Image:
        if not self.blur_px:
            return image
        blurred: Image = ndimage.gaussian_filter(image, self.blur_px)
        # The rim must not run out into the background, whose value tells it from the breast.
        return np.where(image > image.min(), blurred, image)

    def _flipped_mask(self, mask: Mask2D) -> Mask2D:
        return mask[:: -1 if self.is_flipped else 1, :: -1 if self.is_mirrored else 1]

    def _with_intensity(self, image: Image) -> Image:
        lowest, extent = float(image.min()), float(image.max() - image.min())
        if extent == 0 or (self.gamma, self.contrast, self.brightness, self.noise) == (1, 1, 0, 0):
            return image
        is_breast = image > lowest
        share = (image - lowest) / extent
        changed = (share**self.gamma - 0.5) * self.contrast + 0.5 + self.brightness
        if self.noise:
            changed = changed + self.noise * np.random.default_rng(self.noise_seed).standard_normal(image.shape)
        return np.where(is_breast, np.maximum(changed, 0) * extent + lowest, image).astype(np.float32)


def _resampled_mask(mask: Mask2D, *, matrix: Float64[np.ndarray, "2 2"], offset: Float64[np.ndarray, " 2"]) -> Mask2D:
    moved = ndimage.affine_transform(mask.astype(np.uint8), matrix, offset=offset, order=0)
    return np.asarray(moved, dtype=bool)
