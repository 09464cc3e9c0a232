"""Figures 6 and 7: outlines of networks on images that a rule has chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aunet.evaluation.scoring import marked, predict
from aunet.inference.segmenter import Segmenter
from aunet.io.files import UNREADABLE, reason_for
from aunet.metrics.overlap import dice
from aunet.preprocessing.cache import PreparedCache, PreparedSample
from aunet.sample import Mask2D
from aunet.studies.jobs import Failed, Job
from aunet.studies.results import EntryRuns

# Offset, and lengths of dashes and gaps, as matplotlib takes them; no dashes make a solid line.
Line = tuple[float, tuple[float, ...]]

_BY_SCORE = (0.25, 0.75)
_BY_SIZE = (0.0, 0.5, 1.0)
_CELL_INCHES = 1.9
_BRIGHTEST = 0.84
_REFERENCE_LINE: Line = (0.0, ())
_PREDICTION_LINE: Line = (0.0, (3.0, 1.2))
# Reference only, prediction only, both: the paper's red, green and yellow.
_FILLS = ListedColormap(["#d62728", "#2ca02c", "#f2d024"])


@dataclass(frozen=True, slots=True)
class Shown:
    """One image with what the networks made of it."""

    label: str
    prepared: PreparedSample
    predictions: Mapping[str, Mask2D | None]
    """By network; None where there is none."""
    dsc: Mapping[str, float]
    """In per cent, by network that has a prediction."""


def quarter_cases(entries: Sequence[EntryRuns]) -> tuple[str, ...]:
    """The images at the first and the third quarter of the networks' mean DSC: neither the best nor the worst.

    Args:
        entries: What each network found on one data set.

    Returns:
        Up to two images.
    """
    cases = sorted(set.intersection(*(set(entry.cases) for entry in entries))) if entries else []
    means = np.mean([entry.values("dsc", cases) for entry in entries], axis=0) if cases else np.array([])
    return _at(cases, means, _BY_SCORE)


def size_cases(entry: EntryRuns) -> tuple[str, ...]:
    """The images with the smallest, the median and the largest mass.

    Args:
        entry: What a network found on one data set.

    Returns:
        Up to three images.
    """
    sizes = {row.case: float(row.reference_px or 0) for row in entry.rows if row.has_mass and row.reference_px}
    return _at(list(sizes), np.array(list(sizes.values())), _BY_SIZE)


def show(case: str, label: str, jobs: Mapping[str, Sequence[Job]], entries: Sequence[EntryRuns]) -> Shown | Failed:
    """Predict an image once more by the networks that were tested on it.

    Args:
        case: The image.
        label: What the figure calls its data set.
        jobs: Finished jobs by name of the entry.
        entries: The networks.

    Returns:
        The image with each network's prediction (of the first seed), or why it can't be shown.
    """
    predictions: dict[str, Mask2D | None] = {}
    dsc = {}
    prepared = None
    for entry in entries:
        predictions[entry.name] = None
        for job in jobs[entry.name]:
            sample = next((one for one in job.part.samples if one.case == case and one.split == "test"), None)
            if sample is not None:
                segmenter = Segmenter.load(job.weights)
                try:
                    prepared = PreparedCache(job.cache, segmenter.preprocessing).load(sample)
                except UNREADABLE as error:
                    return Failed(f"{case}: {reason_for(sample, error)}")
                (probability,) = predict([prepared], segmenter)
                if probability is not None:
                    prediction = marked(probability, segmenter)
                    predictions[entry.name] = prediction
                    dsc[entry.name] = 100 * dice(prediction, prepared.mask)
                break
    if prepared is None:
        return Failed(f"{case}: no network was tested on it")
    return Shown(label, prepared, predictions, dsc)


def comparison_figure(images: Sequence[Shown], names: Sequence[str]) -> Figure:
    """Figure 6: a row an image; input, reference, and the outlines of each network.

    Args:
        images: The images.
        names: The columns: what a network is called in every row, up to the first bracket.

    Returns:
        The figure: reference outlines are solid and white, predicted ones dashed and green.
    """
    figure, panels = _grid(len(images), 2 + len(names))
    for row, (axes_of_row, shown) in enumerate(zip(panels, images, strict=True)):
        by_name = {_short(name): name for name in shown.predictions}
        _grey(axes_of_row[0], shown, title="input" if row == 0 else "")
        axes_of_row[0].set_ylabel(shown.label, fontsize=8)
        axes_of_row[1].imshow(shown.prepared.mask, cmap="gray")
        if row == 0:
            axes_of_row[1].set_title("reference", fontsize=9)
        for axes, name in zip(axes_of_row[2:], names, strict=True):
            _grey(axes, shown, title=name if row == 0 else "")
            _outlines(axes, shown, by_name[name])
    _legend(figure)
    return figure


def shapes_figure(images: Sequence[Shown], name: str) -> Figure:
    """Figure 7: a column an image; outlines above, overlap of reference and prediction below.

    Args:
        images: The images.
        name: The network, up to the first bracket.

    Returns:
        The figure.
    """
    figure, panels = _grid(2, len(images))
    for column, shown in enumerate(images):
        above, below = panels[0][column], panels[1][column]
        full = next(one for one in shown.predictions if _short(one) == name)
        _grey(above, shown, title=shown.label)
        _outlines(above, shown, full)
        _overlap(below, shown, full)
    _legend(figure)
    return figure


def short_names(entries: Sequence[EntryRuns]) -> tuple[str, ...]:
    """The networks' names without what stands in brackets, each once.

    Args:
        entries: The networks on all data sets.

    Returns:
        The names in order.
    """
    return tuple(dict.fromkeys(_short(entry.name) for entry in entries))


def _short(name: str) -> str:
    return name.partition(" (")[0]


def _at(cases: Sequence[str], values: np.ndarray, quantiles: Sequence[float]) -> tuple[str, ...]:
    """The cases at some quantiles of their values, each once."""
    if not len(cases):
        return ()
    order = np.argsort(values, kind="stable")
    return tuple(dict.fromkeys(cases[order[round(quantile * (len(cases) - 1))]] for quantile in quantiles))


def _grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    size = (columns * _CELL_INCHES, rows * _CELL_INCHES + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    return figure, panels


def _grey(axes: Axes, shown: Shown, *, title: str = "") -> None:
    image = shown.prepared.image[0]
    # Not up to white: the reference's outline has to stand out from dense tissue.
    axes.imshow(image, cmap="gray", vmax=float(image.max()) / _BRIGHTEST or 1.0)
    axes.set_title(title, fontsize=9)


def _outlines(axes: Axes, shown: Shown, name: str) -> None:
    prediction = shown.predictions[name]
    is_empty = prediction is None or not prediction.any()
    lines = ((shown.prepared.mask, "white", _REFERENCE_LINE), (prediction, "#00e640", _PREDICTION_LINE))
    rows, columns = shown.prepared.mask.shape
    for mask, colour, line in lines:
        if mask is not None and mask.any():
            # A contour closes only where the mask ends inside of what it is drawn from.
            padded = np.pad(mask.astype(np.float64), 1)
            places = (np.arange(-1, columns + 1), np.arange(-1, rows + 1))
            axes.contour(*places, padded, levels=[0.5], colors=[colour], linestyles=[line], linewidths=1.2)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    box = {"facecolor": "black", "edgecolor": "none", "pad": 1.5}
    said = "nothing" if is_empty else f"{shown.dsc[name]:.1f}"
    axes.annotate(said, (0.97, 0.03), xycoords="axes fraction", ha="right", fontsize=8, color="white", bbox=box)


def _overlap(axes: Axes, shown: Shown, name: str) -> None:
    prediction = shown.predictions[name]
    predicted = np.zeros_like(shown.prepared.mask) if prediction is None else prediction
    kinds = shown.prepared.mask + 2 * predicted.astype(np.int64)  # 1 reference only, 2 prediction only, 3 both
    _grey(axes, shown)
    axes.imshow(np.ma.masked_equal(kinds, 0), cmap=_FILLS, vmin=1, vmax=3, interpolation="nearest")
    for kind, hatch in ((1, "///"), (2, "...")):
        if (kinds == kind).any():
            axes.contourf(kinds == kind, levels=[0.5, 1.5], colors="none", hatches=[hatch])


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color="0.6", linestyle=_REFERENCE_LINE, label="reference (white)"),
        Line2D([], [], color="#00a030", linestyle=_PREDICTION_LINE, label="prediction (green); DSC in per cent"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
