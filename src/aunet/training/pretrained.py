"""That images are prepared as a pretrained encoder expects them."""

import logging

from aunet.errors import RecipeError
from aunet.models.card import AU_TIMM, NetworkSettings
from aunet.models.encoders import TimmArguments
from aunet.models.pretrained import statistics_of
from aunet.preprocessing.pipeline import Preprocessing

logger = logging.getLogger(__name__)


def check_statistics(network: NetworkSettings, preprocessing: Preprocessing) -> None:
    """Refuse a recipe whose images are not normalised as its pretrained encoder expects.

    Weights that timm downloads need the statistics that timm states for them. Weights of a file may come from other
    images: the recipe has to name statistics, and a warning says where they are not timm's.

    Args:
        network: The network; one without pretrained weights needs nothing.
        preprocessing: How the images are prepared.

    Raises:
        RecipeError: There are no statistics, or others than timm states for its own weights.
    """
    if network.name != AU_TIMM:
        return
    arguments = TimmArguments.of(network.arguments)
    if not arguments.pretrained:
        return
    expected = statistics_of(arguments.encoder)
    lines = f"channel_mean = {list(expected.mean)}, channel_std = {list(expected.std)}"
    found = f"channel_mean = {preprocessing.channel_mean}, channel_std = {preprocessing.channel_std}"
    if preprocessing.channel_mean is None or preprocessing.channel_std is None:
        msg = (
            f"the weights of {arguments.encoder!r} are pretrained, and the recipe's [preprocessing] names no statistics"
            f" of channels; set those of the images they come from, for timm's own channels = 3, {lines}"
        )
        raise RecipeError(msg)
    if (preprocessing.channel_mean, preprocessing.channel_std) == (expected.mean, expected.std):
        return
    if arguments.pretrained is True:
        msg = f"the recipe's [preprocessing] has {found}; timm's weights of {arguments.encoder!r} need {lines}"
        raise RecipeError(msg)
    logger.warning(
        "the recipe has %s; timm states %s for its own weights of %s: make sure that those of %s were made so",
        found,
        lines,
        arguments.encoder,
        arguments.pretrained,
    )
