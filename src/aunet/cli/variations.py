"""The options `--flips` and `--scales`, which several verbs have."""

from typing import Annotated, overload

import typer

from aunet.models.card import SCALES_EXPECTED, Flips, Scales, are_scales

FlipsAsked = Annotated[
    Flips | None,
    typer.Option(help="Average over the image turned over as well; by default as the weights were calibrated."),
]
ScalesAsked = Annotated[
    str | None,
    typer.Option(
        help="Average over the image at these scales as well, such as 0.9,1.1, or none; by default as the weights were "
        "calibrated."
    ),
]


@overload
def parse_scales(text: str) -> Scales: ...
@overload
def parse_scales(text: None) -> None: ...
def parse_scales(text: str | None) -> Scales | None:
    """The scales that a user typed.

    Args:
        text: Numbers with commas between them, or "none"; None where the option is left out.

    Returns:
        The scales; None where the option is left out.

    Raises:
        BadParameter: The text is no such list.
    """
    if text is None:
        return None
    try:
        scales = () if text == "none" else tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = (1.0,)
    if not are_scales(scales):
        msg = f"{text!r}; expected none, or such as 0.9,1.1: {SCALES_EXPECTED}"
        raise typer.BadParameter(msg, param_hint="--scales")
    return scales
