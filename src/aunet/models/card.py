"""What a checkpoint says of itself: network, preprocessing, recipe, threshold, provenance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

from aunet.errors import CheckpointError

FORMAT = 1
AU_TIMM = "au-timm"
"""Name of the network whose encoder is one of timm's (`aunet.models.encoders`)."""
MEAN = "mean"
"""Name of the network that averages several (`aunet.models.mean`)."""
REDUCTIONS = {f"aunet-r{reduction}": reduction for reduction in (2, 4, 8, 32)}
"""Names of AUNet with the other reduction ratios of the paper's table 2."""
CARD_KEY = "aunet.card"
"""Name of the card among the metadata of a checkpoint or a bundle."""

Flips = Literal["none", "vertical", "horizontal", "both"]
"""`vertical` averages over top and bottom changing places, `horizontal` over left and right, `both` over all four."""
Scales = tuple[float, ...]
"""Scales at which an image is looked at besides its own; above 1 enlarges."""
_POSSIBLE_SCALES = 0.5, 2.0
SCALES_EXPECTED = "different numbers from 0.5 to 2, none of them 1: the image's own scale is always among them"


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Everything that fixes a network's shape."""

    name: str = "aunet"
    """One of `aunet.models.factory.NETWORK_NAMES`, "au-timm", "mean", or a class's dotted name (`models.foreign`)."""
    in_channels: int = 3
    classes: int = 2
    """Background and mass."""
    width: int = 64
    """Channels of the first level; each of the four levels below has twice those of the level above."""
    reduction: int = 16
    """The paper's r, for the names "aunet" and "au-timm" (the likes of "aunet-r8" have their own): how far the AU
    block's attention squeezes its channels."""
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)  # Any: what JSON and TOML can say
    """More arguments of the network's constructor, by name."""

    @property
    def is_foreign(self) -> bool:
        """Whether the name is the dotted name of a class, and not one of our names."""
        return ":" in self.name

    def __str__(self) -> str:
        if self.is_foreign:
            return self.name
        if self.name == MEAN:
            members = self.arguments.get("members", [])
            return f"{self.name} of " + " and ".join(str(NetworkSettings(**member["network"])) for member in members)
        if self.name == AU_TIMM:
            return f"{self.name}, encoder {self.arguments.get('encoder')}, r {self.reduction}"
        return f"{self.name}, width {self.width}" + (f", r {self.reduction}" if self.name == "aunet" else "")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is needed to use a trained network, and where it comes from."""

    network: NetworkSettings
    preprocessing: str
    """JSON text of the preprocessing that the network was trained with."""
    recipe: str
    """TOML text of the recipe that trained it."""
    threshold: float
    """Probability from which a pixel counts as mass."""
    versions: dict[str, str]
    """Versions of the software that trained it."""
    licence: str
    data_source: str
    trained: str
    """ISO date."""
    notes: str
    training_images: str = ""
    """JSON text of what the training images are like (grey values, sizes, geometry); "" where it was not recorded."""
    temperature: float = 1.0
    """What the logits are divided by before the softmax, so that probabilities are frequencies; 1 leaves them alone."""
    smallest_mass_px: int = 0
    """Predicted regions of fewer pixels of the model grid are dropped."""
    lowest_score: float = 0.0
    """Predicted regions of a lower score (`aunet.metrics.detection.region_scores`) are dropped."""
    flips: Flips = "none"
    """How each image is turned over as well, unless another way is asked for."""
    scales: Scales = ()
    """At which scales each image is looked at as well, turned over and not, unless others are asked for."""
    calibration: str = ""
    """JSON text of how temperature and operating point were chosen, and on what; "" where they were not."""
    results: str = ""
    """JSON text of the scores that the network has reached; "" where none are recorded."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns) of one prepared image.

        Raises:
            CheckpointError: The preprocessing names no rows and columns.
        """
        try:
            settings = json.loads(self.preprocessing)
            rows, columns = settings["rows"], settings["columns"]
        except (ValueError, TypeError, KeyError) as error:
            msg = f"the model card's preprocessing names no rows and columns: {self.preprocessing[:200]!r}"
            raise CheckpointError(msg) from error
        if not (type(rows) is int and type(columns) is int and rows > 0 and columns > 0):
            msg = (
                f"the model card's preprocessing has rows {rows!r} and columns {columns!r}; positive integers expected"
            )
            raise CheckpointError(msg)
        return self.network.in_channels, rows, columns

    def to_json(self) -> str:
        """This card as JSON text, as it stands in a checkpoint and in an exported bundle."""
        return json.dumps({"format": FORMAT} | asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """The card that a JSON text holds.

        Args:
            text: What `to_json` gave.

        Returns:
            The card.

        Raises:
            CheckpointError: The text is no JSON, or an entry is missing, unknown or of another type.
        """
        entries = _LATER_ENTRIES | _object(text)
        version = entries.pop("format", None)
        if version != FORMAT:
            msg = f"model card of format {version!r}; this version of aunet reads format {FORMAT}"
            raise CheckpointError(msg)
        _require(entries, {field.name: field.type for field in fields(cls)}, where="model card")
        # Cards were once written without arguments.
        network = {"arguments": {}} | entries.pop("network")
        _require_network(network)
        entries |= {name: float(entries[name]) for name in ("threshold", "temperature", "lowest_score")}
        _require_possible(entries)
        entries["scales"] = tuple(float(scale) for scale in entries["scales"])
        versions = {str(name): str(version) for name, version in entries["versions"].items()}
        return cls(network=NetworkSettings(**network), **entries | {"versions": versions})


def are_scales(values: Sequence[object]) -> bool:
    """Whether values are scales at which an image can be looked at besides its own, each named once."""
    least, greatest = _POSSIBLE_SCALES
    are_possible = all(isinstance(value, int | float) and least <= value <= greatest for value in values)
    return are_possible and len({1.0, *values}) == 1 + len(values)


def card_of(metadata: dict[str, str], *, path: Path) -> ModelCard:
    """The card among the metadata of a checkpoint or a bundle.

    Args:
        metadata: The file's metadata.
        path: The file, for messages.

    Returns:
        The card.

    Raises:
        CheckpointError: There is no card, or it is incomplete.
    """
    if CARD_KEY not in metadata:
        msg = f"{path}: holds no model card, so it was not written by aunet; give a file of aunet train or aunet export"
        raise CheckpointError(msg)
    try:
        return ModelCard.from_json(metadata[CARD_KEY])
    except CheckpointError as error:
        msg = f"{path}: {error}"
        raise CheckpointError(msg) from error


# Entries that cards of earlier versions don't have, and what they meant without.
_LATER_ENTRIES: dict[str, Any] = {
    field.name: field.default for field in fields(ModelCard) if field.default is not MISSING
}

# JSON has one kind of number: a whole one is a fine float, but a boolean is no integer.
_JSON_TYPES: dict[object, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    dict[str, str]: (dict,),
    Mapping[str, Any]: (dict,),
    NetworkSettings: (dict,),
    Flips: (str,),
    Scales: (list, tuple),
}


def _object(text: str) -> dict[str, Any]:  # JSON values, checked one by one afterwards
    """The JSON object in a text.

    Raises:
        CheckpointError: It is no JSON object.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"the model card is no JSON text: {error}"
        raise CheckpointError(msg) from error
    if not isinstance(entries, dict):
        msg = f"the model card is a JSON {type(entries).__name__}; an object expected"
        raise CheckpointError(msg)
    return entries


def _require_network(network: dict[str, Any]) -> None:
    """Refuse settings of a network that are incomplete, also those of the networks of a mean.

    Raises:
        CheckpointError: They are.
    """
    _require(network, {field.name: field.type for field in fields(NetworkSettings)}, where="model card, network")
    if network["name"] != MEAN:
        return
    members = network["arguments"].get("members")
    if not isinstance(members, list) or not members:
        msg = f"model card, network {MEAN!r}: members is {members!r}; a list of networks is expected"
        raise CheckpointError(msg)
    for member in members:
        entries = member if isinstance(member, dict) else {}
        _require(entries, {"network": NetworkSettings, "temperature": float}, where="model card, member of the mean")
        _require_network(entries["network"])


def _require_possible(entries: dict[str, Any]) -> None:
    """Refuse numbers that no calibration gives.

    Raises:
        CheckpointError: There is one.
    """
    threshold, temperature = entries["threshold"], entries["temperature"]
    lowest_score, smallest_px = entries["lowest_score"], entries["smallest_mass_px"]
    possible = {
        f"the threshold is {threshold}; expected between 0 and 1": 0 < threshold < 1,
        f"the temperature is {temperature}; expected a finite number above 0": 0 < temperature < inf,
        f"the lowest score is {lowest_score}; expected from 0 to 1": 0 <= lowest_score <= 1,
        f"the smallest mass is {smallest_px} pixels; expected 0 or more": smallest_px >= 0,
        f"the flips are {entries['flips']!r}; expected one of {', '.join(get_args(Flips))}": entries["flips"]
        in get_args(Flips),
        f"the scales are {entries['scales']!r}; expected {SCALES_EXPECTED}": are_scales(entries["scales"]),
    }
    for complaint, is_met in possible.items():
        if not is_met:
            msg = f"model card: {complaint}"
            raise CheckpointError(msg)


def _require(entries: dict[str, Any], expected: dict[str, object], *, where: str) -> None:
    """Refuse missing entries, unknown ones, and values of another type.

    Raises:
        CheckpointError: There is one.
    """
    if missing := sorted(expected.keys() - entries.keys()):
        msg = f"{where}: {', '.join(missing)} missing; the file is incomplete, train or export again"
        raise CheckpointError(msg)
    if unknown := sorted(entries.keys() - expected.keys()):
        msg = f"{where}: unknown entries {', '.join(unknown)}; a later version of aunet may have written it"
        raise CheckpointError(msg)
    for name, kind in expected.items():
        value = entries[name]
        if isinstance(value, bool) or not isinstance(value, _JSON_TYPES[kind]):
            msg = f"{where}: {name} is {value!r}; expected {getattr(kind, '__name__', kind)}"
            raise CheckpointError(msg)
