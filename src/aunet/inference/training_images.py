"""What a model card says of the images that its network was trained on."""

from aunet.errors import CheckpointError
from aunet.models.card import ModelCard
from aunet.preprocessing.population import Population


def training_images(card: ModelCard) -> Population:
    """The training images in numbers.

    Args:
        card: Of a checkpoint or a bundle.

    Returns:
        The record.

    Raises:
        CheckpointError: The card holds none, or one that this version can't read.
    """
    if not card.training_images:
        msg = (
            "these weights hold no record of their training images, so nothing can be compared with them or matched to"
            " them: they come from an earlier version of aunet; train again (or fine-tune by --init) to have it"
        )
        raise CheckpointError(msg)
    try:
        return Population.from_json(card.training_images)
    except ValueError as error:
        msg = f"the model card's record of the training images can't be used: {error}"
        raise CheckpointError(msg) from error
