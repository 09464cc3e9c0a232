"""The AU block on any encoder of timm (PyTorch Image Models, of the extra `encoders`)."""

import difflib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from aunet.errors import MissingExtraError
from aunet.models.arguments import checked
from aunet.models.card import AU_TIMM
from aunet.models.decoder import AUDecoder
from aunet.models.sizes import require_multiples


class TimmArguments(BaseModel):
    """What a recipe says under `[network.arguments]` of the network `au-timm`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    """timm's name of a model that gives a pyramid of features, such as `resnet34` or `resnet34.a1_in1k`."""
    pretrained: bool | str = False
    """First weights of the encoder: random, those that timm downloads, the path of a file, or the name of a package
    that holds them (`aunet.models.pretrained.PACKAGES`)."""
    img_size: tuple[int, int] | None = None
    """(rows, columns) for encoders that are built for one size and can't take others."""

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "TimmArguments":  # Any: what JSON and TOML can say
        """The arguments as a recipe or a card holds them; a `ValueError` where they are others."""
        return checked(cls, arguments, network=AU_TIMM)


class AUTimm(nn.Module):
    """An encoder of timm and an AU decoder on all of its features."""

    def __init__(
        self,
        arguments: TimmArguments,
        *,
        in_channels: int = 3,
        classes: int = 2,
        reduction: int = 16,
        generator: torch.Generator | None = None,
    ) -> None:
        """Put the network together, with random weights whatever the arguments say (see `load_pretrained`).

        Args:
            arguments: Which encoder.
            in_channels: Channels of an image.
            classes: Classes a pixel can have, background first.
            reduction: The paper's r.
            generator: Source of the initial weights; None takes PyTorch's own.

        Raises:
            ValueError: timm has no such encoder, or it gives no pyramid of features.
        """
        super().__init__()
        self.encoder = create_encoder(arguments, in_channels=in_channels, generator=generator)
        information: Any = self.encoder.feature_info  # timm has no annotation for it
        strides = information.reduction()
        if len(strides) < 2 or any(2 * finer != coarser for finer, coarser in pairwise(strides)):
            msg = (
                f"the features of the encoder {arguments.encoder!r} have strides of {strides}; the AU block needs a"
                " pyramid in which each is twice the one before, as of resnet34 or pvt_v2_b0"
            )
            raise ValueError(msg)
        self.decoder = AUDecoder(
            information.channels(),
            stride=strides[0],
            classes=classes,
            reduction=reduction,
            generator=generator,
        )
        self._stride = strides[-1]
        # Transformers of the Swin family put the channels last.
        self._has_channels_last = getattr(self.encoder, "output_fmt", "NCHW") == "NHWC"

    def forward(self, images: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b classes h w"]:
        """Logits of the classes.

        Args:
            images: Prepared images; rows and columns are multiples of the coarsest features' stride, mostly 32.

        Returns:
            Logits on the images' grid, background first.
        """
        require_multiples(images, stride=self._stride)
        pyramid = self.encoder(images)
        if self._has_channels_last:
            pyramid = [features.permute(0, 3, 1, 2) for features in pyramid]
        logits: Tensor = self.decoder(pyramid)
        return logits


def timm() -> Any:  # noqa: ANN401 - a module without annotations
    """The library timm, imported when it is first needed: it is an extra.

    Raises:
        MissingExtraError: It is not installed.
        ModuleNotFoundError: Something that it needs is not.
    """
    try:
        import timm as library  # noqa: PLC0415 - the other networks need no timm
    except ModuleNotFoundError as error:
        if error.name not in {"timm", "torchvision"}:
            raise
        msg = (
            f'the network {AU_TIMM} takes its encoder from timm, which is not installed; pip install "aunet[encoders]"'
        )
        raise MissingExtraError(msg) from error
    return library


def create_encoder(
    arguments: TimmArguments,
    *,
    in_channels: int = 3,
    generator: torch.Generator | None = None,
    **options: object,
) -> nn.Module:
    """The encoder as timm builds it to give features.

    Args:
        arguments: Which encoder.
        in_channels: Channels of an image.
        generator: Source of the initial weights; None takes PyTorch's own.
        options: More for `timm.create_model`; without them the weights are random.

    Returns:
        A module from images to a list of features, finest first.

    Raises:
        ValueError: timm has no such model, or it gives no features of images of any size.
    """
    library, name = timm(), arguments.encoder
    if not library.is_model(name):
        near = difflib.get_close_matches(name, library.list_models())
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names all"
        msg = f"timm {library.__version__} has no model {name!r}; {hint}"
        raise ValueError(msg)
    if arguments.img_size is not None:
        options["img_size"] = arguments.img_size
    elif library.models.get_pretrained_cfg(name).fixed_input_size:
        options["dynamic_img_size"] = True
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:  # timm draws from PyTorch's own generator
            torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            encoder: nn.Module = library.create_model(name, features_only=True, in_chans=in_channels, **options)
        except (TypeError, RuntimeError, AttributeError, AssertionError) as error:
            hint = "; it is built for one size: set img_size" if "dynamic_img_size" in options else ""
            msg = f"timm gives no encoder {name!r}: {error}{hint}"
            raise ValueError(msg) from error
    return encoder
