"""Arguments of networks as recipes and cards hold them, checked before anything is built."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Arguments = TypeVar("Arguments", bound=BaseModel)


def checked(kind: type[Arguments], arguments: Mapping[str, Any], *, network: str) -> Arguments:  # Any: JSON and TOML
    """The arguments that a recipe has under `[network.arguments]`, or a card under `arguments` of its network.

    Args:
        kind: What they have to be.
        arguments: By name.
        network: The network that takes them, for the message.

    Returns:
        The checked arguments.

    Raises:
        ValueError: One is missing, unknown or of another type.
    """
    try:
        return kind.model_validate(dict(arguments))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        msg = f"[network.arguments] of {network}: {found}; it takes {', '.join(kind.model_fields)}"
        raise ValueError(msg) from error
