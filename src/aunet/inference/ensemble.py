"""Several networks as one: the mean of their probabilities."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aunet.errors import CheckpointError
from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.inference.segmenter import Segmenter
from aunet.inference.variations import mean_of
from aunet.models.card import Flips, ModelCard, Scales
from aunet.preprocessing.pipeline import Preprocessing


@dataclass(frozen=True, slots=True)
class EnsembleBackend:
    """Networks that see the same prepared images and are averaged."""

    backends: tuple[Backend, ...]
    card: ModelCard
    """That of the first, with a note on all."""

    def probability(self, images: Images) -> Probabilities:
        """The mean probability of mass."""
        return mean_of([backend.probability(images) for backend in self.backends])


def load_segmenter(
    weights: Sequence[Path],
    *,
    device: str = "auto",
    threads: int | None = None,
    flips: Flips | None = None,
    scales: Scales | None = None,
) -> Segmenter:
    """A segmenter of one file, or the ensemble of several: the mean of their probabilities, cut at their threshold.

    Args:
        weights: Checkpoints of `aunet train` and bundles of `aunet export`, at least one.
        device: Where checkpoints run, as in `Segmenter.load`.
        threads: Processor threads for bundles.
        flips: How each image is turned over as well; None for what the cards say.
        scales: At which scales each image is looked at as well; None for what the cards say.

    Returns:
        The segmenter; it names every file with its hash. A file that can't be used, stands there twice, or differs from
        the first in preprocessing or operating point is a `CheckpointError`.
    """
    members = [Segmenter.load(path, device=device, threads=threads, flips="none", scales=()) for path in weights]
    refuse_unlike(weights, members)
    first = members[0]
    for path, member in zip(weights[1:], members[1:], strict=True):
        _refuse_other_operating_point(weights[0], first.card, path, member.card)
    files = tuple(file for member in members for file in member.files)
    backend = first.backend
    if len(members) > 1:
        named = ", ".join(f"{file.name} (SHA-256 {file.sha256})" for file in files)
        note = f"Ensemble of {len(files)}: {named}. The rest of this card is that of the first."
        card = replace(first.card, notes=f"{first.card.notes} {note}".strip())
        backend = EnsembleBackend(tuple(member.backend for member in members), card)
    return replace(first, backend=backend, files=files).varying(flips, scales)


def refuse_unlike(weights: Sequence[Path], members: Sequence[Segmenter]) -> None:
    """Refuse networks that can't be averaged.

    Args:
        weights: Their files, for the messages.
        members: What was loaded from each.

    Raises:
        CheckpointError: Two are the same, or their images are prepared otherwise than those of the first.
    """
    first = members[0].preprocessing
    for path, member in zip(weights[1:], members[1:], strict=True):
        _refuse_other_preprocessing(weights[0], first, path, member.preprocessing)
    hashes = [file.sha256 for member in members for file in member.files]
    sha256, times = Counter(hashes).most_common(1)[0]
    if times > 1:
        twice = ", ".join(str(path) for path, one in zip(weights, hashes, strict=True) if one == sha256)
        msg = f"{twice}: the same weights are given {times} times and would count so often; name each once"
        raise CheckpointError(msg)


def _refuse_other_preprocessing(first_path: Path, first: Preprocessing, path: Path, other: Preprocessing) -> None:
    """Raise unless both networks see the same images.

    Raises:
        CheckpointError: They don't.
    """
    differing = ", ".join(
        f"{name} {getattr(other, name)!r} (there {getattr(first, name)!r})"
        for name in Preprocessing.__slots__
        if getattr(other, name) != getattr(first, name)
    )
    if differing:
        msg = (
            f"{path}: was trained on images prepared otherwise than those of {first_path}: {differing}; an ensemble's "
            "networks see the same images: evaluate each on its own, or train with the same [preprocessing]"
        )
        raise CheckpointError(msg)


def _refuse_other_operating_point(first_path: Path, first: ModelCard, path: Path, other: ModelCard) -> None:
    """Raise unless both networks mark the same regions of the same probability.

    Raises:
        CheckpointError: They don't.
    """
    for name in ("threshold", "smallest_mass_px", "lowest_score", "flips", "scales"):
        here, there = getattr(other, name), getattr(first, name)
        if here != there:
            msg = (
                f"{path}: its {name} is {here}, that of {first_path} {there}; an ensemble has one {name}: make one "
                "checkpoint of them with aunet calibrate, or evaluate each on its own"
            )
            raise CheckpointError(msg)
