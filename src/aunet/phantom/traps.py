"""What is wrong in real data sets, put into phantoms on request, one trap an image, and listed in `traps.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aunet.io.aside import written_aside
from aunet.phantom.layouts import PlannedImage

LIST_NAME = "traps.json"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Trap:
    """One thing that is wrong in a data set."""

    name: str
    what: str
    """What is wrong, in words."""
    ledger: Literal["read", "repaired", "refused", "note"]
    """What becomes of the image: read with a remark, repaired or refused; or a note on the data set as a whole."""
    needs: Literal["image", "table"] = "image"
    """Whether it is one image's, or a whole table's."""


def chosen_traps(words: Sequence[str], known: Sequence[Trap]) -> tuple[Trap, ...]:
    """The traps of these names, in the order in which they are known.

    Args:
        words: Names of traps; "all" stands for every one.
        known: The traps of a layout.

    Raises:
        ValueError: A name is not known; the message gives the known ones.
    """
    names = [trap.name for trap in known]
    for word in words:
        if word not in {ALL, *names}:
            msg = f'unknown trap "{word}"; expected {ALL} or some of {", ".join(names)}'
            raise ValueError(msg)
    return tuple(trap for trap in known if ALL in words or trap.name in words)


def place(traps: Sequence[Trap], images: Sequence[PlannedImage]) -> Mapping[tuple[int, ...], Trap]:
    """Which image gets which trap: the first image with one mass the first, and so on.

    More patients move no trap to another image.

    Args:
        traps: What is to be placed; those of whole tables are left out.
        images: What is planned.

    Returns:
        The traps by the seed of their image.

    Raises:
        ValueError: There are fewer images with one mass than traps.
    """
    placed = [trap for trap in traps if trap.needs == "image"]
    fit = [image for image in images if image.number_of_masses == 1]
    if len(fit) < len(placed):
        msg = f"{len(placed)} traps need as many images with one mass, and there are {len(fit)}; draw more patients"
        raise ValueError(msg)
    return {image.seed: trap for image, trap in zip(fit, placed, strict=False)}


def listed(placed: Sequence[tuple[Trap, str]]) -> str:
    """The text of `traps.json`.

    Args:
        placed: Each trap, and the name of the case or table that it is in.
    """
    entries = [{"trap": trap.name, "in": where, "what": trap.what, "ledger": trap.ledger} for trap, where in placed]
    return json.dumps(entries, indent=1) + "\n"


def cut_in_half(path: Path) -> None:
    """Leave the first half of a file, as a download that broke off does."""
    content = path.read_bytes()
    with written_aside(path) as aside:
        aside.write_bytes(content[: len(content) // 2])
