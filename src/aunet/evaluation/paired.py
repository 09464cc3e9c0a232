"""Two networks on the same patients: signed-rank test, effect size, and a correction for many comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import rankdata, wilcoxon


@dataclass(frozen=True, slots=True)
class Paired:
    """How the values of one network differ from those of another one, patient by patient."""

    n: int
    """Patients for whom both have a value."""
    difference: float
    """Mean over the patients of ours minus the reference's; NaN without patients."""
    p: float
    """Of the two-sided Wilcoxon signed-rank test; 1 where no patient differs, NaN without patients."""
    effect: float
    """Matched-pairs rank-biserial correlation: from -1 (every patient below the reference) to 1 (every one above).
    Patients without a difference draw it to 0."""


def compare_paired(
    ours: Float64[np.ndarray, " n"], reference: Float64[np.ndarray, " n"], patients: Int64[np.ndarray, " n"]
) -> Paired:
    """Compare two networks by their values of the same images.

    The pairs are the patients' means, not the images: images of one patient resemble each other, and a test that took
    them for independent would find differences too easily. Patients without a difference keep their ranks, in the
    test and in the effect.

    Args:
        ours: One value an image; NaN leaves the image out.
        reference: The other network's values of the same images.
        patients: Number of each image's patient.

    Returns:
        The comparison.

    Source:
        Wilcoxon 1945, doi 10.2307/3001968; Pratt 1959, doi 10.1080/01621459.1959.10501526 (ranks of zeros);
        Kerby 2014, doi 10.2466/11.IT.3.1 (rank-biserial correlation).
    """
    both = ~(np.isnan(ours) | np.isnan(reference))
    if not both.any():
        return Paired(0, nan, nan, nan)
    found, cluster = np.unique(patients[both], return_inverse=True)
    differences = np.bincount(cluster, weights=(ours - reference)[both]) / np.bincount(cluster)
    mean = float(differences.mean())
    if not differences.any():
        return Paired(found.size, mean, 1.0, 0.0)
    ranks = rankdata(np.abs(differences))
    effect = float(np.sum(np.sign(differences) * ranks) / ranks.sum())
    return Paired(found.size, mean, float(wilcoxon(differences, zero_method="pratt").pvalue), effect)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values corrected for their number.

    Args:
        p_values: Of all comparisons that are made; a NaN is no comparison and stays as it is.

    Returns:
        For each the smallest level at which Holm's step-down procedure would reject it, in the order given.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw)[: int(np.count_nonzero(~np.isnan(raw)))]
    corrected = np.full(raw.shape, nan)
    factors = np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return tuple(map(float, corrected))
