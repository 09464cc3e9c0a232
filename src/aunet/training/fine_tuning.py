"""Starting from a checkpoint: which weights are taken over, which stay frozen, and where they came from."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from aunet.errors import TrainingError
from aunet.io.aside import digest
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import load_checkpoint, read_card
from aunet.models.factory import blank_network, build_network
from aunet.models.pretrained import load_pretrained, pretrained_weights, without_first_weights
from aunet.preprocessing.pipeline import Preprocessing
from aunet.training.deep_supervision import decoder_levels

logger = logging.getLogger(__name__)

HEAD = "classifier"
"""What the last convolution, which gives the classes, is called in every network of ours."""
ORIGIN = "init.json"
"""File of a run that names the checkpoint it started from."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The checkpoint that a run started from."""

    name: str
    sha256: str
    data_source: str
    """What its own card says of its training images."""

    @property
    def note(self) -> str:
        """A sentence for the model card."""
        return f"Started from the weights {self.name} (SHA-256 {self.sha256}), trained on: {self.data_source}."


def find_origin(out: Path, init: Path | None, *, is_begun: bool) -> Origin | None:
    """The checkpoint that the run in a folder starts, or has started, from.

    Args:
        out: Folder of the run.
        init: The checkpoint that is given now.
        is_begun: The run was begun before.

    Returns:
        The checkpoint; None where the run starts from random weights.

    Raises:
        TrainingError: The run was begun from another checkpoint, or from none.
    """
    given = Origin(init.name, digest(init), read_card(init).data_source) if init is not None else None
    if not is_begun:
        return given
    file = out / ORIGIN
    begun = Origin(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
    if given is not None and (begun is None or begun.sha256 != given.sha256):
        source = f"the weights {begun.name} (SHA-256 {begun.sha256})" if begun else "random weights"
        msg = f"{out}: was begun from {source}, not from {init}; leave --init out, or start anew in another folder"
        raise TrainingError(msg)
    return begun


def origin_to_json(origin: Origin) -> str:
    """The text of the file that `find_origin` reads."""
    return json.dumps(asdict(origin), indent=1) + "\n"


def check_start(
    settings: NetworkSettings,
    *,
    init: Path | None,
    frozen: Sequence[str],
    needs_head: bool,
    needs_levels: bool,
    needs_first_weights: bool,
) -> None:
    """Check before anything is prepared that a run can begin as its recipe says.

    Args:
        settings: The network wanted.
        init: The checkpoint to start from.
        frozen: Parts to be frozen.
        needs_head: The head is to be reset, or to have a learning rate of its own.
        needs_levels: The levels of the decoder are to be supervised.
        needs_first_weights: The run begins with the weights that the settings name, if any.

    What does not fit is a `TrainingError`; first weights that can't be had are a `CheckpointError`.
    """
    if init is not None:
        _refuse_other_network(init, read_card(init), settings)
    if needs_first_weights:
        pretrained_weights(settings)
    network = blank_network(settings)
    freeze(network, frozen)
    if needs_head:
        find_head(network)
    if needs_levels:
        decoder_levels(network)


def starting_network(
    settings: NetworkSettings,
    preprocessing: Preprocessing,
    *,
    seed: int,
    init: Path | None = None,
    is_resumed: bool = False,
    resets_head: bool = False,
) -> nn.Module:
    """The network that a run begins with.

    Args:
        settings: The network wanted.
        preprocessing: How the run's images are prepared; where the checkpoint's own were prepared otherwise, a warning
            names each difference.
        seed: Decides random weights.
        init: A checkpoint whose weights, batch statistics included, are taken over.
        is_resumed: All weights are about to come from the run's own file, so that pretrained ones are not asked for.
        resets_head: Give the head random weights nevertheless.

    Returns:
        The network; a checkpoint of another one is a `TrainingError`.
    """
    generator = torch.Generator().manual_seed(seed)
    if init is None:
        network = build_network(settings, generator=generator)
        if not is_resumed:
            load_pretrained(network, settings)
        return network
    network, card = load_checkpoint(init)
    _refuse_other_network(init, card, settings)
    theirs = asdict(Preprocessing.from_json(card.preprocessing))
    if differing := _differences(theirs, asdict(preprocessing)):
        logger.warning(
            "%s: its network was trained on images prepared otherwise: %s; set the recipe's [preprocessing] to fit, "
            "unless the difference is meant",
            init,
            differing,
        )
    if resets_head:
        head = find_head(network)
        fresh = build_network(settings, generator=generator).get_submodule(head)
        network.get_submodule(head).load_state_dict(fresh.state_dict())
    return network


def find_head(network: nn.Module) -> str:
    """Name of the part of a network that gives the classes.

    Args:
        network: The network.

    Returns:
        Its name, such as "classifier" or "decoder.classifier".

    Raises:
        TrainingError: No part, or more than one, has the name of a head.
    """
    found: list[str] = [name for name, _ in network.named_modules() if name.rpartition(".")[2] == HEAD]
    if len(found) != 1:
        msg = (
            f"fine_tuning.head, head_learning_rate_factor: {type(network).__name__} has {len(found)} parts called "
            f"{HEAD!r}, one is needed; leave both at their defaults with this network"
        )
        raise TrainingError(msg)
    return found[0]


def freeze(network: nn.Module, parts: Sequence[str]) -> None:
    """Take parts of a network out of training: their weights get no gradient.

    Args:
        network: The network, changed in place.
        parts: Names of its parts, such as "encoder", or of parts of these, such as "encoder.0".

    Raises:
        TrainingError: A part is not there, or nothing is left to train.
    """
    for name in parts:
        try:
            part = network.get_submodule(name)
        except AttributeError as error:
            known = ", ".join(_parts(network))
            msg = (
                f"fine_tuning.freeze: this network has no part {name!r}; its parts are {known}; those of a list are "
                "counted from 0 (encoder.0)"
            )
            raise TrainingError(msg) from error
        part.requires_grad_(requires_grad=False)
    if not any(weight.requires_grad for weight in network.parameters()):
        msg = f"fine_tuning.freeze names all parts of the network ({', '.join(parts)}); leave one to train"
        raise TrainingError(msg)


def _refuse_other_network(init: Path, card: ModelCard, settings: NetworkSettings) -> None:
    if differing := _differences(asdict(card.network), asdict(without_first_weights(settings))):
        msg = f"{init}: its weights are of another network: {differing}; set the recipe's [network] to fit"
        raise TrainingError(msg)


def _parts(network: nn.Module) -> list[str]:
    """Names of a network's parts; of the one inside where there is a single part, as in a network of others."""
    parts = [name for name, _ in network.named_children()]
    if len(parts) != 1:
        return parts
    inside = [f"{parts[0]}.{name}" for name, _ in network.get_submodule(parts[0]).named_children()]
    return inside or parts


def _differences(theirs: dict[str, object], ours: dict[str, object]) -> str:
    """Settings of the checkpoint that the recipe has otherwise, in words; "" where there are none."""
    return ", ".join(
        f"{name} {theirs[name]!r} (recipe: {value!r})" for name, value in ours.items() if theirs[name] != value
    )
