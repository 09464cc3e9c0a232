"""Networks of other libraries, by the dotted name of their class.

A recipe names the class as "package.module:Class" and gives its arguments:

    [network]
    name = "monai.networks.nets:AttentionUnet"

    [network.arguments]
    spatial_dims = 2
    in_channels = 3
    out_channels = 2
    channels = [64, 128, 256, 512, 1024]
    strides = [2, 2, 2, 2]

The entries `width` and `reduction` mean nothing to such a network. The text "None" among the arguments stands for None,
for which TOML has no word.

Safety: a checkpoint carries the name and the arguments, and loading it imports the module and calls the class. Only a
class that is a `torch.nn.Module` is called, and no code comes out of the file; but the module is imported first, which
runs it, and the constructor of an installed class may do what its authors let it do, such as download weights or read a
file. So load checkpoints of dotted names only from those you trust.
"""

import importlib
import re

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aunet.models.card import NetworkSettings

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
# What constructors and forward passes raise where something given to them doesn't suit them.
_COMPLAINTS = (TypeError, ValueError, LookupError, AttributeError, AssertionError, RuntimeError, OSError, ImportError)


class ForeignNetwork(nn.Module):
    """A network of another library that is held to what ours do: images (b c h w) to logits (b classes h w)."""

    def __init__(self, network: nn.Module, *, name: str, classes: int) -> None:
        """Wrap the network.

        Args:
            network: The network.
            name: Its dotted name, for messages.
            classes: Channels that its output must have.
        """
        super().__init__()
        self.network = network
        self.name = name
        self.classes = classes

    def forward(self, images: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b classes h w"]:
        """Logits of the classes.

        Args:
            images: Prepared images.

        Returns:
            Logits on the images' grid, background first.

        Raises:
            OutOfMemoryError: There is too little memory.
            ValueError: The network can't take these images, or gives something else than logits of this shape.
        """
        shape = tuple(images.shape[1:])
        try:
            logits = self.network(images)
        except torch.OutOfMemoryError:
            raise
        except _COMPLAINTS as error:
            msg = (
                f"{self.name} can't take images of {' x '.join(map(str, shape))} (channels, rows, columns): {error};"
                " set network.arguments or the preprocessing to fit"
            )
            raise ValueError(msg) from error
        wanted = (self.classes, *shape[1:])
        if not isinstance(logits, Tensor):
            msg = f"{self.name} gives a {type(logits).__name__}; expected a tensor of logits {('b', *wanted)}"
            raise ValueError(msg)  # noqa: TRY004  (as for any other network that doesn't fit)
        if tuple(logits.shape[1:]) != wanted:
            msg = (
                f"{self.name} maps images {('b', *shape)} to {('b', *logits.shape[1:])}; expected {('b', *wanted)}:"
                " set network.arguments to fit"
            )
            raise ValueError(msg)
        return logits


def foreign_network(settings: NetworkSettings, *, generator: torch.Generator | None = None) -> ForeignNetwork:
    """A network of another library with fresh weights.

    Args:
        settings: Its dotted name and its arguments.
        generator: Source of a seed for PyTorch's own generator, from which the constructor takes its weights; None
            leaves that as it is.

    Returns:
        The network.

    Raises:
        ValueError: There is no such class, it is no network, or it can't be built with these arguments.
    """
    kind = _network_class(settings.name)
    arguments = {name: _python_value(value) for name, value in settings.arguments.items()}
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:
            torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            network = kind(**arguments)
        except _COMPLAINTS as error:
            msg = (
                f"{settings.name} can't be built with the arguments {dict(settings.arguments)}:"
                f" {type(error).__name__}: {error}; set network.arguments to fit"
            )
            raise ValueError(msg) from error
    return ForeignNetwork(network, name=settings.name, classes=settings.classes)


def _network_class(name: str) -> type[nn.Module]:
    """The class that a dotted name names, nothing of it called yet.

    Raises:
        ValueError: There is no such module or class, or it is no network.
    """
    if not _DOTTED.fullmatch(name):
        msg = f"network {name!r} is no dotted name; expected package.module:Class, as monai.networks.nets:AttentionUnet"
        raise ValueError(msg)
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        msg = (
            f"network {name!r}: the module {module_name} can't be imported ({error}); install the package it belongs to"
        )
        raise ValueError(msg) from error
    except (Exception, SystemExit) as error:  # code of others may raise anything
        msg = (
            f"network {name!r}: importing the module {module_name} fails ({type(error).__name__}: {error});"
            " mend it, or name another network"
        )
        raise ValueError(msg) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        what = "nothing of that name" if found is None else f"{found!r}"
        msg = f"network {name!r}: {module_name} has {what} there; expected a class that is a torch.nn.Module"
        raise ValueError(msg)  # noqa: TRY004  (a caller catches one error for all wrong names)
    return found


def _python_value(value: object) -> object:
    """A value of JSON or TOML as Python has it: the text "None" is None."""
    if isinstance(value, dict):
        return {name: _python_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_python_value(item) for item in value]
    return None if value == "None" else value
