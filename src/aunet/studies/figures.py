"""The paper's figures of distributions and of DSC, told apart by line and hatch so that they can be read in grey."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aunet.datasets.inspection import Inspection
from aunet.evaluation.tables import Table
from aunet.studies.categories import CATEGORIES, PROPERTY_TITLES, values_in

_LINES = ("-", "--", "-.", ":")
_COLOURS = ("black", "#c2410c", "#1f5fa8", "0.45")
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo")
_AREA_EDGES = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 1.0)
_PAPER_AREAS = {"CBIS-DDSM": (0.01, 81.8), "INbreast": (0.04, 81.0)}
"""Section 3.1: share of the images whose masses take less than this share of the image, in per cent."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What one data set holds."""

    name: str
    area_shares: Float64[np.ndarray, " n"]
    """Share of each image that its masses take, of the images with a mass."""
    properties: Mapping[str, Counter[str]]
    """By property, how many images are described by each value."""


def distribution_of(name: str, inspection: Inspection) -> Distribution:
    """Count what a data set holds.

    Args:
        name: What it is called in the figure.
        inspection: Its images, read.

    Returns:
        The counts.
    """
    shares = [fact.area_share for fact in inspection.images if fact.area_share]
    properties = {
        attribute: Counter(
            value for sample in inspection.dataset.samples for value in values_in(getattr(sample.properties, attribute))
        )
        for attribute in CATEGORIES
    }
    return Distribution(name, np.array(shares, dtype=np.float64), properties)


def distribution_figure(found: Sequence[Distribution]) -> Figure:
    """Area of the masses and the properties, a row of panels a data set.

    Args:
        found: The data sets.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(13, 3.2 * len(found)), layout="constrained")
    parts = figure.subfigures(len(found), 1, squeeze=False)[:, 0]
    for part, one in zip(parts, found, strict=True):
        part.suptitle(f"{one.name}: {one.area_shares.size} images with a mass")
        first, *others = part.subplots(1, 1 + len(CATEGORIES))
        _area_panel(first, one)
        for axes, attribute in zip(others, CATEGORIES, strict=True):
            _property_panel(axes, one, attribute)
    return figure


def distribution_table(found: Sequence[Distribution]) -> Table:
    """The figure's numbers.

    Args:
        found: The data sets.

    Returns:
        A row a value, a column a data set.
    """
    rows = [("images with a mass", *(str(one.area_shares.size) for one in found))]
    for limit in (0.01, 0.04):
        rows.append((f"masses below {limit:.0%} of the image", *(_below(one, limit) for one in found)))
        rows.append(("  in the paper", *(_published_below(one, limit) for one in found)))
    for attribute, values in CATEGORIES.items():
        rows += [
            (
                f"{PROPERTY_TITLES[attribute]} {value.replace('_', ' ').lower()}",
                *(str(one.properties[attribute][value]) if one.properties[attribute] else "-" for one in found),
            )
            for value in values
        ]
    return Table("Images of each kind", ("", *(one.name for one in found)), tuple(rows))


def cumulative_figure(scores: Mapping[str, Float64[np.ndarray, " n"]]) -> Figure:
    """Empirical cumulative distribution of DSC, a line a network; the further down and right, the better.

    Args:
        scores: DSC of each image in per cent, by network.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, values) in enumerate(scores.items()):
        if not values.size:
            continue
        ordered = np.sort(values) / 100
        shares = np.arange(1, ordered.size + 1) / ordered.size
        axes.step(
            np.concatenate([[0.0], ordered, [1.0]]),
            np.concatenate([[0.0], shares, [1.0]]),
            where="post",
            label=name,
            linestyle=_LINES[i % len(_LINES)],
            color=_COLOURS[i % len(_COLOURS)],
            linewidth=1.6,
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.02), xlabel="DSC", ylabel="Share of images with at most this DSC")
    # Above the axes, where no line can run through it.
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    _tidy(axes)
    return figure


def _area_panel(axes: Axes, found: Distribution) -> None:
    shares, _ = np.histogram(found.area_shares, bins=_AREA_EDGES)
    labels = [f"{low:.1%}-{high:.1%}" for low, high in pairwise(_AREA_EDGES[:-1])]
    _bars(axes, [*labels, f"> {_AREA_EDGES[-2]:.0%}"], [int(count) for count in shares])
    axes.set_title("share of the image", fontsize=10)
    axes.set_ylabel("images")


def _property_panel(axes: Axes, found: Distribution, attribute: str) -> None:
    counts = found.properties[attribute]
    axes.set_title(PROPERTY_TITLES[attribute], fontsize=10)
    if not counts:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not in its table", transform=axes.transAxes, ha="center", color="0.4")
        return
    known = CATEGORIES[attribute]
    others = sum(number for value, number in counts.items() if value not in known)
    labels = [value.replace("_", " ").lower() for value in known]
    _bars(axes, [*labels, "others"], [*(counts[value] for value in known), others])


def _bars(axes: Axes, labels: Sequence[str], counts: Sequence[int]) -> None:
    for place, count in enumerate(counts):
        axes.bar(place, count, color="0.85", edgecolor="black", hatch=_HATCHES[place % len(_HATCHES)], linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    _tidy(axes)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="0.9")
    axes.set_axisbelow(True)


def _below(found: Distribution, limit: float) -> str:
    return f"{100 * float(np.mean(found.area_shares < limit)):.1f} %" if found.area_shares.size else "-"


def _published_below(found: Distribution, limit: float) -> str:
    paper_limit, share = _PAPER_AREAS.get(found.name, (0.0, 0.0))
    return f"{share:.1f} %" if paper_limit == limit else "-"
