"""Several checkpoints made into one that averages them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from aunet.errors import CheckpointError
from aunet.models.card import ModelCard
from aunet.models.checkpoint import load_checkpoint
from aunet.models.mean import MeanNetwork, mean_settings


def combined(checkpoints: Sequence[Path]) -> tuple[nn.Module, ModelCard]:
    """The network that averages those of some checkpoints, and its card.

    Each network keeps its temperature; their operating points are left behind, and `aunet calibrate` chooses a new one.

    Args:
        checkpoints: Files that `save_checkpoint` or `export_onnx` wrote, at least two, of networks that see images
            prepared alike.

    Returns:
        The network in evaluation mode, and a card that names all licences, sources and recipes; its preprocessing, its
        versions of software and what it says of the training images are those of the first. Each file counts once, also
        one that is a mean itself.

    Raises:
        CheckpointError: A file can't be used, or its network sees other channels or classes than the first.
    """
    networks, cards = zip(*map(load_checkpoint, checkpoints), strict=True)
    temperatures = [card.temperature for card in cards]
    try:
        settings = mean_settings([(card.network, card.temperature) for card in cards])
    except ValueError as error:
        msg = f"{', '.join(map(str, checkpoints))}: {error}"
        raise CheckpointError(msg) from error
    card = replace(
        cards[0],
        network=settings,
        recipe="\n".join(f"# {card.network}\n{card.recipe}" for card in cards),
        licence=_each_once([card.licence for card in cards]),
        data_source=_each_once([card.data_source for card in cards]),
        notes=_each_once([card.notes for card in cards]),
        trained=max(card.trained for card in cards),
        threshold=0.5,
        temperature=1.0,
        smallest_mass_px=0,
        lowest_score=0.0,
        flips="none",
        scales=(),
        calibration="",
        results="",
    )
    return MeanNetwork(networks, temperatures=temperatures).eval(), card


def _each_once(texts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, texts)))
