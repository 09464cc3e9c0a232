"""The report's figures, as PNG pictures in memory."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from PIL import Image as Picture

from aunet.metrics.detection import Froc
from aunet.metrics.surface import border
from aunet.sample import Image, Mask2D

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
GREEN: Colour = (0, 230, 64)
_BLUE, _ORANGE = "#1f5fa8", "#c2410c"
_LEAST_OVERLAY_PX = 512


def cumulative_figure(scores: Sequence[float]) -> bytes:
    """Empirical cumulative distribution of DSC.

    Args:
        scores: DSC of each image with a mass, misses as 0.

    Returns:
        A PNG picture.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    shares = np.arange(1, ordered.size + 1) / ordered.size
    figure = _figure()
    axes = figure.add_subplot()
    axes.step(
        np.concatenate([[0.0], ordered, [1.0]]), np.concatenate([[0.0], shares, [1.0]]), where="post", color=_BLUE
    )
    median = float(np.median(ordered))
    axes.axvline(median, color="0.45", linestyle="--", linewidth=1)
    axes.annotate(f"median {median:.2f}", (median, 0.02), xytext=(4, 0), textcoords="offset points", color="0.3")
    axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.02), xlabel="DSC", ylabel="Share of images with at most this DSC")
    return _png(figure)


def size_figure(areas_px: Sequence[int], scores: Sequence[float], *, is_missed: Sequence[bool]) -> bytes:
    """DSC against the size of the mass.

    Args:
        areas_px: Pixels of the reference on the model grid, an image.
        scores: DSC of the same images.
        is_missed: Whether nothing was predicted in them.

    Returns:
        A PNG picture.
    """
    areas, values, missed = (
        np.asarray(areas_px),
        np.asarray(scores, dtype=np.float64),
        np.asarray(is_missed, dtype=bool),
    )
    figure = _figure()
    axes = figure.add_subplot()
    # Many points hide one another: the more there are, the more they let through.
    alpha = float(np.clip(200 / max(areas.size, 1), 0.2, 0.7))
    axes.scatter(areas[~missed], values[~missed], s=16, color=_BLUE, alpha=alpha, linewidths=0, label="predicted")
    if missed.any():
        axes.scatter(areas[missed], values[missed], s=28, color=_ORANGE, marker="x", label="missed")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    axes.set_xscale("log", base=4)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(ylim=(-0.04, 1.02), xlabel="Area of the mass, pixels of the model grid", ylabel="DSC")
    return _png(figure)


def froc_figure(curve: Froc, *, operating_point: tuple[float, float]) -> bytes:
    """FROC curve.

    Args:
        curve: Of a set of images with at least one mass.
        operating_point: (false positives an image, share of masses found) of what is marked by default.

    Returns:
        A PNG picture.
    """
    marked = [0.0, *(point.false_positives_per_image for point in curve.points)]
    found = [0.0, *(point.sensitivity for point in curve.points)]
    figure = _figure()
    axes = figure.add_subplot()
    axes.step(marked, found, where="post", color=_BLUE)
    axes.plot(*operating_point, "o", color=_ORANGE, label="operating point")
    # Above the axes, where no curve can run through it.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    axes.set(
        xlim=(0, max(1.0, 1.05 * marked[-1])), ylim=(0, 1.02), xlabel="False positives an image", ylabel="Masses found"
    )
    return _png(figure)


def grey_figure(here: Sequence[float], training: Sequence[float]) -> bytes:
    """Two distributions of grey within the breast, as their quantile functions; told apart without colour.

    Args:
        here: Evenly spaced quantiles of the data set, in [0, 1].
        training: As many of the training images.

    Returns:
        A PNG picture.
    """
    levels = np.linspace(0, 100, len(training))
    figure = _figure()
    axes = figure.add_subplot()
    axes.plot(levels, training, color=_BLUE, linewidth=2, label="training images")
    axes.plot(levels, here, color=_ORANGE, linewidth=2, linestyle="--", label="this data set")
    axes.legend(loc="upper left", frameon=False)
    axes.set(xlim=(0, 100), ylim=(0, 1.02), xlabel="Share of the breast, %", ylabel="Grey at most, share of the range")
    return _png(figure)


def overlay(image: Image, *, reference: Mask2D, prediction: Mask2D) -> bytes:
    """An image with the outlines of the reference (white) and of the prediction (green, on top).

    Args:
        image: Model grid, one channel.
        reference: Reference mask on the same grid.
        prediction: Predicted mask on the same grid.

    Returns:
        A PNG picture, enlarged so that outlines are thinner than a pixel of the image.
    """
    factor = max(2, -(-_LEAST_OVERLAY_PX // max(image.shape)))
    grey = _stretched(image).repeat(factor, axis=0).repeat(factor, axis=1)
    colours: UInt8[np.ndarray, "rows columns 3"] = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    for mask, colour in ((reference, WHITE), (prediction, GREEN)):
        colours[_outline(mask.repeat(factor, axis=0).repeat(factor, axis=1))] = colour
    return _encoded(colours)


def _outline(mask: Mask2D) -> Mask2D:
    """The mask's outline, inside of it and two pixels wide: one would be lost where the page shows it smaller."""
    outer = border(mask)
    outline: Mask2D = outer | border(mask & ~outer)
    return outline


def _stretched(image: Image) -> UInt8[np.ndarray, "h w"]:
    low, high = float(image.min()), float(image.max())
    # Not up to white: the reference's outline has to stand out from dense tissue.
    levels: UInt8[np.ndarray, "h w"] = ((image - low) / ((high - low) or 1.0) * 215).astype(np.uint8)
    return levels


def _encoded(colours: UInt8[np.ndarray, "rows columns 3"]) -> bytes:
    with io.BytesIO() as file:
        Picture.fromarray(colours).save(file, format="PNG", optimize=True)
        return file.getvalue()


def _figure() -> Figure:
    return Figure(figsize=(4.4, 3.4), dpi=150, layout="constrained")


def _png(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, color="0.9")
        axes.set_axisbelow(True)
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return file.getvalue()
