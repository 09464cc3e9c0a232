"""The model card of a run: what its checkpoints say of themselves."""

import logging
import platform
from datetime import UTC, datetime
from importlib.metadata import version

from aunet.datasets.dataset import DataSet
from aunet.datasets.source import SOURCE_NAME, Source
from aunet.models.card import ModelCard
from aunet.models.pretrained import without_first_weights
from aunet.preprocessing.population import Population
from aunet.training.fine_tuning import Origin
from aunet.training.hardware import Hardware
from aunet.training.recipe import Recipe
from aunet.training.recipe_sections import ProvenanceSection

logger = logging.getLogger(__name__)

_NOT_STATED = "not stated"


def card_of_run(
    recipe: Recipe, source: Source | None, hardware: Hardware, origin: Origin | None, training_images: Population
) -> ModelCard:
    """The card that every checkpoint of a run carries.

    Args:
        recipe: What the run does.
        source: Where its images come from, as the data set says.
        hardware: What it computes on.
        origin: The checkpoint that it started from, if any.
        training_images: What the training images are like.

    Returns:
        The card, without calibration and results.
    """
    packages = ("aunet", "torch", "lightning", "numpy")
    versions = {name: version(name) for name in packages} | {"python": platform.python_version()}
    provenance = recipe.provenance
    return ModelCard(
        network=without_first_weights(recipe.network.settings()),
        preprocessing=recipe.preprocessing.settings().to_json(),
        recipe=recipe.to_toml(),
        threshold=recipe.training.threshold,
        versions=versions | {"device": f"{hardware.accelerator}, {hardware.device_name}, {hardware.precision}"},
        licence=_licence(provenance, source),
        data_source=_data_source(provenance, source),
        trained=datetime.now(UTC).date().isoformat(),
        notes=" ".join(filter(None, (provenance.notes, origin.note if origin else ""))),
        training_images=training_images.to_json(),
    )


def remind_of_source(recipe: Recipe, dataset: DataSet) -> None:
    """Say in the log where the origin of the images can be stated, if neither recipe nor data set states it."""
    if recipe.provenance.data_source is None and dataset.source is None:
        logger.info(
            "where the images come from is not stated, and the model card will say so; state it in %s or by "
            '--set provenance.data_source="..."',
            dataset.root / SOURCE_NAME,
        )


def _data_source(provenance: ProvenanceSection, source: Source | None) -> str:
    images = provenance.data_source or (_NOT_STATED if source is None else str(source))
    return f"{images}; encoder: {provenance.encoder}" if provenance.encoder else images


def _licence(provenance: ProvenanceSection, source: Source | None) -> str:
    """The licence of the weights is for whoever trains them to choose; that of the images is known at most."""
    if provenance.licence is not None:
        return provenance.licence
    images = "" if source is None or provenance.data_source is not None else source.licence
    return f"{_NOT_STATED}; of the images: {images}" if images else _NOT_STATED
